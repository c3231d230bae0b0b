"""Which architecture a study means by a name, and the module it is written in.

Modules are named here as text and imported only when their architecture is used, so
that the code fingerprint of a model covers its own architecture and no other.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from metamers.errors import StudyError, suggest

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = {
    "SmallAlexNet": "metamers.networks.alexnet",
    "SmallLowpassAlexNet": "metamers.networks.alexnet",
    "SmallResNet": "metamers.networks.resnet",
    "SmallCochCNN": "metamers.networks.cochcnn",
    "SmallLowpassCochCNN": "metamers.networks.cochcnn",
    "CochCNN9": "metamers.networks.cochcnn9",
    "LowpassCochCNN9": "metamers.networks.cochcnn9",
    "CochResNet50": "metamers.networks.cochresnet50",
    "SpecTemp": "metamers.networks.spectemp",
    "HMAX": "metamers.networks.hmax",
    "CORnetS": "metamers.networks.cornet",
    "AlexNetGN": "metamers.networks.alexnet_group_norm",
    "LowpassAlexNet": "metamers.networks.alexnet_lowpass",
    "VOneAlexNet": "metamers.networks.vone_alexnet",
    "ClipResNet50": "metamers.networks.clip",
    "ClipViTB32": "metamers.networks.clip",
}
FRONT_ENDS = {"cochleagram": ("metamers.networks.cochleagram", "Cochleagram")}
FORMS = (
    "'metamers:SmallAlexNet', 'torchvision:alexnet', 'timm:resnet18' or "
    "'package.module:callable'"
)


def resolve_architecture(spec: str) -> Callable[..., nn.Module]:
    """Return the callable that makes the networks of an architecture.

    Parameters
    ----------
    spec
        ``metamers:Name``, ``torchvision:name``, ``timm:name``, or an import path
        ``package.module:callable``. Only the named module is imported.

    Returns
    -------
    callable
        Takes the model's ``arguments`` and returns an `torch.nn.Module`. Networks of
        torchvision and timm come without pretrained weights unless the arguments
        ask for them.

    Raises
    ------
    StudyError
        If there is no such architecture; names the nearest one.
    """
    source, name = _parts(spec)
    if source == "metamers":
        module = importlib.import_module(_own_module(spec, name))
        return getattr(module, name)
    if source == "torchvision":
        return _torchvision(spec, name)
    if source == "timm":
        return _timm(spec, name)
    return _imported(spec, source, name)


def architecture_module(spec: str) -> str | None:
    """Name the module of an own architecture, without importing anything.

    Parameters
    ----------
    spec
        As in `resolve_architecture`.

    Returns
    -------
    str or None
        The dotted module of a ``metamers:`` architecture; None for any other.
    """
    source, name = _parts(spec)
    return _own_module(spec, name) if source == "metamers" else None


def front_end_module(front_end: dict[str, Any] | None) -> str | None:
    """Name the module of a front end, without importing anything.

    Parameters
    ----------
    front_end
        A section of the study's ``front_ends``, with its ``kind``; None for none.
    """
    return None if front_end is None else _front_end(front_end)[0]


def resolve_front_end(front_end: dict[str, Any]) -> Callable[..., nn.Module]:
    """Return the class of a front end; its module is imported now."""
    module, name = _front_end(front_end)
    return getattr(importlib.import_module(module), name)


def _front_end(front_end: dict[str, Any]) -> tuple[str, str]:
    kind = front_end.get("kind")
    if kind not in FRONT_ENDS:
        raise StudyError(
            f"unknown kind of front end {kind!r}; allowed: "
            f"{', '.join(FRONT_ENDS)}{suggest(kind, FRONT_ENDS)}"
        )
    return FRONT_ENDS[kind]


def _parts(spec: str) -> tuple[str, str]:
    source, separator, name = str(spec).partition(":")
    if not (separator and source and name):
        raise StudyError(f"architecture {spec!r} is not of the form {FORMS}")
    return source, name


def _own_module(spec: str, name: str) -> str:
    if name not in ARCHITECTURES:
        raise StudyError(
            f"unknown architecture {spec!r}; of this package are: "
            f"{', '.join(ARCHITECTURES)}{suggest(name, ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]


def _torchvision(spec: str, name: str) -> Callable[..., nn.Module]:
    models = importlib.import_module("torchvision.models")
    # Only the classifiers: detectors and segmenters of torchvision take other inputs
    # and download the weights of their backbone unasked.
    names = models.list_models(module=models)
    if name not in names:
        raise StudyError(
            f"torchvision has no classification network {name!r} "
            f"(architecture {spec!r}){suggest(name, names)}; "
            "torchvision.models.list_models() lists them"
        )
    return models.get_model_builder(name)


def _timm(spec: str, name: str) -> Callable[..., nn.Module]:
    try:
        timm = importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise StudyError(
            f"architecture {spec!r} needs the package timm; install it with "
            "`pip install timm`"
        ) from error
    if not timm.is_model(name):
        raise StudyError(
            f"timm has no network {name!r} (architecture {spec!r})"
            f"{suggest(name, timm.list_models())}; timm.list_models() lists them"
        )
    return functools.partial(timm.create_model, name, pretrained=False)


def _imported(spec: str, module_name: str, name: str) -> Callable[..., nn.Module]:
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        near = suggest(module_name, ["metamers", "torchvision", "timm"])
        raise StudyError(
            f"architecture {spec!r}: no module {error.name!r} can be imported{near}; "
            f"write {FORMS}, and put a module of your own on PYTHONPATH"
        ) from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise StudyError(
                f"architecture {spec!r}: {module_name} has no {part!r}"
                f"{suggest(part, dir(found))}"
            )
        found = getattr(found, part)
    if not callable(found):
        raise StudyError(
            f"architecture {spec!r} is a {type(found).__name__}, not something that "
            "can be called to make a network"
        )
    return found
