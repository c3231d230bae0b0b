"""The zero-shot read-out of CLIP: one text embedding for each class.

A class is named in 80 sentences ("a photo of a {}." and the like); the mean of their
normalised embeddings, normalised again, is its row of the read-out (Radford et al.
2021, section 3.1.4, with the prompts that its authors published for ImageNet). No
training is involved, and nothing is downloaded: class names, sentences and vocabulary
come with open_clip.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import QuickGELU, TextTransformer
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES
from torch import Tensor

from metamers.errors import StudyError
from metamers.files import atomic_path

logger = logging.getLogger(__name__)

Template = Callable[[str], str]

KEY = "head.weight"
_TENSORS = ("positional_embedding", "text_projection", "token_embedding.weight")
_MODULES = ("transformer.", "ln_final.")
_HEAD_WIDTH = 64


def zero_shot_head(text_embeddings: Tensor) -> Tensor:
    """Return the read-out that the embeddings of each class's sentences give.

    Parameters
    ----------
    text_embeddings
        (classes, sentences, embedding), of any norm above 0.

    Returns
    -------
    Tensor
        (classes, embedding), each row of norm 1.

    Raises
    ------
    StudyError
        If a sentence or a mean has no direction.
    """
    norms = text_embeddings.norm(dim=-1, keepdim=True)
    means = (text_embeddings / norms).mean(dim=1)
    head = means / means.norm(dim=-1, keepdim=True)
    if not bool(torch.isfinite(head).all()):
        raise StudyError(
            "the text embedding of a class is zero or not finite; check the weights "
            "of the text tower"
        )
    return head


def embed_class_names(
    weights_path: str | Path,
    class_names: Sequence[str] = IMAGENET_CLASSNAMES,
    templates: Sequence[Template] = OPENAI_IMAGENET_TEMPLATES,
    device: str | torch.device = "cpu",
    classes_per_batch: int = 10,
) -> Iterator[Tensor]:
    """Embed the sentences about each class with CLIP's text tower, batch by batch.

    Parameters
    ----------
    weights_path
        Safetensors file of a whole CLIP model of OpenAI's, named as in open_clip; the
        sizes of the text tower follow from it.
    class_names
        One for each logit, in their order.
    templates
        Each makes a sentence of a class name.
    device
        Where to compute, in float32.
    classes_per_batch
        Classes whose sentences go through the tower together.

    Yields
    ------
    Tensor
        (at most `classes_per_batch`, templates, embedding), on the CPU, not
        normalised.

    Raises
    ------
    StudyError
        If the file is no safetensors file or holds no such text tower.
    """
    sentences = [template(name) for name in class_names for template in templates]
    tokens = SimpleTokenizer()(sentences)
    # The feature is that of the last token, which has the largest number, and no token
    # sees those after it: what pads the sentences is left out.
    length = int(tokens.argmax(dim=1).max()) + 1
    tower = _text_tower(_read_text_weights(Path(weights_path)), length).to(device)
    batch = classes_per_batch * len(templates)
    for start in range(0, len(sentences), batch):
        logger.info(
            "text embeddings: class %d of %d",
            start // len(templates) + 1,
            len(class_names),
        )
        with torch.no_grad():
            features = tower(tokens[start : start + batch, :length].to(device))
        yield features.cpu().unflatten(0, (-1, len(templates)))


def make_zero_shot_head(
    weights_path: str | Path,
    output_path: str | Path,
    device: str | torch.device = "cpu",
    metadata: dict[str, str] | None = None,
    class_names: Sequence[str] = IMAGENET_CLASSNAMES,
    templates: Sequence[Template] = OPENAI_IMAGENET_TEMPLATES,
) -> None:
    """Write the read-out of a CLIP model, by default of ImageNet's 1000 classes.

    Parameters
    ----------
    weights_path, device, class_names, templates
        As in `embed_class_names`.
    output_path
        As `path` in `write_head`.
    metadata
        Text to store beside it and beside what it was made from, e.g.
        ``{"provenance": JSON}``.

    Raises
    ------
    StudyError
        As in `embed_class_names`.
    """
    batches = embed_class_names(weights_path, class_names, templates, device)
    head = torch.cat([zero_shot_head(batch) for batch in batches])
    with open(weights_path, "rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    source = {
        "weights_sha256": checksum,
        "classes": len(class_names),
        "templates": len(templates),
        "open_clip_torch": importlib.metadata.version("open_clip_torch"),
    }
    write_head(head, output_path, {"zero_shot": json.dumps(source), **(metadata or {})})


def write_head(
    head: Tensor, path: str | Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a read-out as safetensors, as ``head.weight`` of the CLIP networks.

    Parameters
    ----------
    head
        (classes, embedding).
    path
        Appears whole or not at all.
    metadata
        Text to store beside it.
    """
    from safetensors.torch import save

    state = {KEY: head.detach().cpu().float().contiguous()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, metadata))


def read_head(path: str | Path) -> Tensor:
    """Read a read-out that `write_head` wrote.

    Returns
    -------
    Tensor
        (classes, embedding), float32.

    Raises
    ------
    StudyError
        If there is no such file or it holds something else.
    """
    state = _read_safetensors(Path(path), lambda key: True)
    if set(state) != {KEY} or state[KEY].ndim != 2:
        found = ", ".join(f"{key} {tuple(state[key].shape)}" for key in sorted(state))
        raise StudyError(
            f"{path} holds {found or 'nothing'}; a read-out is one tensor {KEY} "
            "(classes, embedding)"
        )
    return state[KEY]


def _read_text_weights(path: Path) -> dict[str, Tensor]:
    weights = _read_safetensors(
        path, lambda key: key in _TENSORS or key.startswith(_MODULES)
    )
    missing = [key for key in _TENSORS if key not in weights]
    if missing:
        raise StudyError(
            f"{path} holds no text tower of CLIP ({', '.join(missing)} missing); give "
            "the file of the whole model, image and text"
        )
    return weights


def _read_safetensors(path: Path, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise StudyError(f"no file {path}; fetch it, or mend the path")
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in filter(wanted, file.keys())}
    except SafetensorError as error:
        raise StudyError(
            f"{path} is not a safetensors file ({error}); the public weights of CLIP "
            "come as one, open_clip_model.safetensors"
        ) from error


def _text_tower(weights: dict[str, Tensor], length: int) -> TextTransformer:
    """Build a text tower that reads the first `length` tokens, of known weights."""
    positions = weights["positional_embedding"]
    if length > len(positions):
        raise StudyError(
            f"a sentence has {length} tokens and the text tower reads "
            f"{len(positions)}; shorten the class names"
        )
    vocabulary, width = weights["token_embedding.weight"].shape
    blocks = {
        key.split(".")[2] for key in weights if key.startswith("transformer.resblocks.")
    }
    tower = TextTransformer(
        context_length=length,
        vocab_size=vocabulary,
        width=width,
        heads=width // _HEAD_WIDTH,
        layers=len(blocks),
        output_dim=weights["text_projection"].shape[-1],
        act_layer=QuickGELU,
    )
    state = {**weights, "positional_embedding": positions[:length]}
    try:
        tower.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise StudyError(
            f"the weights do not fit CLIP's text tower ({reason}); give OpenAI's model "
            "with names as in open_clip"
        ) from error
    return tower.eval().requires_grad_(False)
