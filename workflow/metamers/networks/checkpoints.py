"""Files of weights in the forms they are published in, read for an architecture.

Every name in a file is used, renamed or left out by a rule that says so; otherwise
the file is refused. Nothing in a file is run: torch files are read by torch's reader of
weights alone.
"""

from __future__ import annotations

import importlib
import pickletools
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from metamers.errors import StudyError

Rules = Mapping[str, Any]

# Under which key a checkpoint keeps the weights, beside the record of its training.
STATE_KEYS = ("state_dict", "model_state_dict", "model")
# Known for every file, after its own rules: the prefixes of the robustness library, on
# which the study's released code builds (the network as "module.model.", once more as
# "module.attacker.model.", and the normalizer beside them), of DataParallel ("module.")
# and of this package's own networks ("body.").
RENAME = {r"^module\.model\.": "", r"^module\.": "", r"^body\.": ""}
COPIES = {r"^module\.attacker\.model\.": "module.model."}
LEAVE_OUT = (r"^module\.(attacker\.)?(normalizer|normalize|preproc)\.",)
SHOWN = 5


class Placeholder:
    """Stands where a file has an object of another package, and does nothing."""

    def __init__(self, *arguments: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def load_checkpoint(
    body: nn.Module,
    path: str | Path,
    rules: Rules | None = None,
    *,
    head: str | Path | None = None,
    may_lack: Sequence[str] = (),
) -> None:
    """Fill an architecture with the weights of a file, all of them accounted for.

    Parameters
    ----------
    body
        The architecture. Values are converted to its own type of number.
    path
        Safetensors, or a torch file of weights alone or of a checkpoint that holds
        them under one of `STATE_KEYS`.
    rules
        ``rename``, ``leave_out``, ``copies``, ``placeholders`` and ``reader`` as in
        `metamers.networks.weights_registry.Rules`, for what the general rules do not
        cover.
    head
        File of the read-out, for what the first file lacks.
    may_lack
        Modules that neither file need hold; they keep their values.

    Raises
    ------
    StudyError
        If a weight is missing, left over, given twice or of another shape, or a copy
        differs from its original; lists the first of them and counts all.
    """
    expected = body.state_dict()
    state, strangers = _fitting(read_state(path, rules), expected, rules or {}, path)
    if head is not None:
        read_out, more = _fitting(read_state(head), expected, {}, head)
        twice = sorted(set(read_out) & set(state))
        if twice:
            raise StudyError(
                f"weights.head: {_shown('in both files', twice)}; {head} may only hold "
                f"what {path} lacks"
            )
        state, strangers = {**state, **read_out}, strangers + more
    missing = [
        key
        for key in expected
        # Counters of batch norm came with torch 0.4.1 and do nothing in evaluation.
        if key not in state
        and not key.endswith("num_batches_tracked")
        and not any(key.startswith(f"{module}.") for module in may_lack)
    ]
    shapes = [
        f"{key} {tuple(value.shape)} for {tuple(expected[key].shape)}"
        for key, value in state.items()
        if value.shape != expected[key].shape
    ]
    problems = [
        _shown(what, keys)
        for what, keys in (
            ("missing", sorted(missing)),
            ("not in the network", sorted(strangers)),
            ("of another shape", sorted(shapes)),
        )
        if keys
    ]
    if problems:
        lacking = (
            ". A read-out that the file lacks is trained (training.trainable) or given "
            "(weights.head)"
        )
        raise StudyError(
            f"weights in {path} do not fit the architecture; {'; '.join(problems)}. "
            f"Check the model's architecture and arguments{lacking if missing else ''}"
        )
    body.load_state_dict(state, strict=False)


def read_state(path: str | Path, rules: Rules | None = None) -> dict[str, Any]:
    """Read what a file of weights holds, by its own names.

    Parameters
    ----------
    path, rules
        As in `load_checkpoint`.

    Returns
    -------
    dict
        Tensors; of a file that mixes them with other values, these too.

    Raises
    ------
    StudyError
        If there is no such file, or it holds more than weights and the rules say
        nothing of it.
    """
    path, rules = Path(path), rules or {}
    if not path.is_file():
        raise StudyError(f"no weights at {path}; train the model or mend the path")
    if rules.get("reader"):
        module, _, name = rules["reader"].partition(":")
        return getattr(importlib.import_module(module), name)(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    content = _read_torch(path, rules.get("placeholders", ()))
    for key in STATE_KEYS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
    return dict(content)


def named_objects(path: str | Path) -> set[str]:
    """Return the classes and functions that a torch file names, without loading it.

    Parameters
    ----------
    path
        A torch file, in today's format or that before torch 1.6. Of any other file
        what is found up to where it stops being one.
    """
    names: set[str] = set()
    with open(path, "rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        try:
            if zipped:
                with zipfile.ZipFile(file) as archive:
                    for member in archive.namelist():
                        if member.endswith("/data.pkl"):
                            with archive.open(member) as pickle:
                                names.update(_globals(pickle))
            else:
                # Magic number, version, system; the fourth pickle is the content.
                for _ in range(4):
                    names.update(_globals(file))
        except (ValueError, zipfile.BadZipFile):
            pass
    return names


def _fitting(
    state: Mapping[str, Any],
    expected: Mapping[str, Tensor],
    rules: Rules,
    path: str | Path,
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights by the architecture's names, and the names of all others."""
    leave_out = (*rules.get("leave_out", ()), *LEAVE_OUT)
    copies = {**rules.get("copies", {}), **COPIES}
    rename = {**rules.get("rename", {}), **RENAME}
    found: dict[str, Tensor] = {}
    strangers = []
    for key, value in state.items():
        name = key
        if key not in expected:
            if any(re.search(pattern, key) for pattern in leave_out):
                continue
            original = _replaced(key, copies)
            if original != key and original in state:
                _check_copy(value, state[original], key, original, path)
                continue
            name = _renamed(key, rename, expected)
        if name in found:
            raise StudyError(
                f"weights in {path}: several names in the file stand for {name}, {key} "
                "among them; leave all but one out"
            )
        if name not in expected or not isinstance(value, Tensor):
            strangers.append(name)
        else:
            found[name] = value
    return found, strangers


def _renamed(key: str, rename: Mapping[str, str], expected: Mapping[str, Any]) -> str:
    for pattern, replacement in rename.items():
        if key in expected:
            break
        key = re.sub(pattern, replacement, key, count=1)
    return key


def _replaced(key: str, copies: Mapping[str, str]) -> str:
    for pattern, replacement in copies.items():
        if re.search(pattern, key):
            return re.sub(pattern, replacement, key, count=1)
    return key


def _check_copy(
    copy: Any, original: Any, key: str, name: str, path: str | Path
) -> None:
    same = (
        isinstance(copy, Tensor)
        and isinstance(original, Tensor)
        and torch.equal(copy, original)
    )
    if not same:
        raise StudyError(
            f"weights in {path}: {key} should be a copy of {name} and has other "
            "values, so the file does not say which network it holds"
        )


def _shown(what: str, keys: list[str]) -> str:
    more = " ..." if len(keys) > SHOWN else ""
    return f"{what}: {', '.join(keys[:SHOWN])}{more} ({len(keys)})"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise StudyError(
            f"{path} is no safetensors file, or not whole ({error}); fetch it again"
        ) from None


def _read_torch(path: Path, packages: Sequence[str]) -> Mapping[str, Any]:
    """Read a torch file; objects of `packages` become placeholders."""
    named = named_objects(path)
    allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (Placeholder, name) for name in named if name.split(".")[0] in packages
    ]
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            # Of TorchScript, which is then refused.
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles raise almost anything
        raise StudyError(_refusal(path, named, str(error))) from None
    if not isinstance(content, Mapping):
        raise StudyError(
            f"{path} holds a {type(content).__name__} and no weights by name; save the "
            "state dict, best as safetensors"
        )
    return content


def _refusal(path: Path, named: set[str], error: str) -> str:
    """Say why a torch file is not opened."""
    own = ("torch", "collections", "_codecs")
    foreign = sorted(name for name in named if name.split(".")[0] not in own)
    if "TorchScript" in error:
        why = "it is TorchScript, a program with its weights"
    elif foreign:
        why = _shown("it names", foreign)
    else:
        why = error.splitlines()[0] if error else "it is damaged"
    return (
        f"{path} is not a plain file of weights and is not opened, since opening "
        f"others can run code ({why}); where you trust it, open it yourself and save "
        "the state dict alone, best as safetensors"
    )


def _globals(pickle: IO[bytes]) -> Iterator[str]:
    """Go through the names in the next pickle of a file."""
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(texts[-2:])
        elif isinstance(argument, str):
            texts = [*texts[-1:], argument]
