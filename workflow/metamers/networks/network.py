"""A network as the study uses it: preprocessing first, then the architecture."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from metamers.errors import StudyError, suggest
from metamers.networks.checkpoints import load_checkpoint
from metamers.networks.registry import resolve_architecture, resolve_front_end

# Red, green and blue in the lightness of a grey image (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)


class Network(nn.Module):
    """An architecture behind its preprocessing.

    Because the preprocessing is the first layer, inputs, perturbations and metamers
    are all in the units of the stimulus.

    Parameters
    ----------
    preprocessing
        From stimuli to what the architecture takes.
    body
        The architecture; stages are module paths inside it.
    """

    def __init__(self, preprocessing: nn.Module, body: nn.Module) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Return logits.

        Parameters
        ----------
        x
            Images (n, channels, height, width) in [0, 1], or sounds (n, samples) in
            [-1, 1].

        Returns
        -------
        Tensor
            (n, classes).
        """
        return self.body(self.preprocessing(x))

    def as_optimized(self, x: Tensor) -> Tensor:
        """Return natural stimuli in the shape that the network's metamers have.

        It is the study's, unless the preprocessing is ``native``.
        """
        if getattr(self.preprocessing, "native", False):
            return self.preprocessing.fit(x)  # type: ignore[operator]
        return x


class ImagePreprocessing(nn.Module):
    """Clamp images to [0, 1], then repeat channels, resize and normalize as asked.

    Parameters
    ----------
    mean, std
        Per channel (or one for all), in units of [0, 1]; None for no shift or scale.
    resize
        Height and width in pixels to resize to (bilinear, antialiased); None: as is.
    channels
        Channels that the architecture takes; a grey image is repeated, colors are made
        grey.
    native
        Whether metamers are made at that size and with these channels (`fit`).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        resize: int | None = None,
        channels: int | None = None,
        native: bool = False,
    ) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            if values is not None and channels and len(values) not in (1, channels):
                raise StudyError(
                    f"preprocessing.{name} has {len(values)} values for {channels} "
                    f"channels; give 1 or {channels}"
                )
        if std is not None and min(std) <= 0:
            raise StudyError(f"preprocessing.std is {std}; it must be above 0")
        # What the settings say is not among the weights.
        self.register_buffer("mean", _per_channel(mean, 0.0), persistent=False)
        self.register_buffer("std", _per_channel(std, 1.0), persistent=False)
        self.plain = mean is None and std is None
        self.resize = resize
        self.channels = channels
        self.native = native

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, height, width), normalized."""
        x = self.fit(x.clamp(0.0, 1.0))
        return x if self.plain else (x - self.mean) / self.std

    def fit(self, x: Tensor) -> Tensor:
        """Return images with the channels and size that the architecture takes."""
        if self.channels is not None and x.shape[1] != self.channels:
            if self.channels == 1 and x.shape[1] == len(LUMA):
                x = (x * x.new_tensor(LUMA).view(1, -1, 1, 1)).sum(1, keepdim=True)
            elif x.shape[1] == 1:
                x = x.expand(-1, self.channels, -1, -1)
            else:
                raise StudyError(
                    f"images have {x.shape[1]} channels and the network takes "
                    f"{self.channels}; grey images can be repeated, and images of 3 "
                    "channels be made grey"
                )
        if self.resize is not None and x.shape[-2:] != (self.resize, self.resize):
            x = functional.interpolate(
                x,
                size=(self.resize, self.resize),
                mode="bilinear",
                align_corners=False,
                antialias=True,
            )
        return x


class SoundPreprocessing(nn.Module):
    """Clamp sounds to [-1, 1] and pass them through the front end.

    Parameters
    ----------
    front_end
        Takes (n, samples); None hands the waveform to the architecture.
    """

    def __init__(self, front_end: nn.Module | None) -> None:
        super().__init__()
        self.front_end = front_end

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 1, rows, frames), or (n, samples) without a front end."""
        x = x.clamp(-1.0, 1.0)
        return x if self.front_end is None else self.front_end(x)


def build_network(entry: dict[str, Any], seed: int | None) -> Network:
    """Build the network of a model entry.

    Parameters
    ----------
    entry
        A resolved model entry: ``modality``, ``architecture``, ``arguments``,
        ``preprocessing``, and for sounds ``sample_rate`` (Hz) and ``duration`` (s).
    seed
        Seeds the initial weights without touching the global generator; None draws
        them unseeded, for weights that are overwritten anyway.

    Returns
    -------
    Network
        In training mode, on the CPU; no layer works in place.

    Raises
    ------
    StudyError
        If the architecture or its arguments do not exist.
    """
    spec = entry["architecture"]
    builder = resolve_architecture(spec)
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        body = _call(builder, spec, dict(entry.get("arguments") or {}))
    if not isinstance(body, nn.Module):
        raise StudyError(
            f"architecture {spec!r} made a {type(body).__name__}, not a torch module"
        )
    for module in body.modules():
        # An activation that overwrites its input destroys what the straight-through
        # gradient needs, and what a hook on the module before it kept.
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    return Network(_preprocessing(entry), body)


def load_network(
    entry: dict[str, Any], weights_path: str | Path, device: str | torch.device = "cpu"
) -> Network:
    """Load a trained network for evaluation.

    Parameters
    ----------
    entry
        As in `build_network`.
    weights_path
        A safetensors file that `save_weights` wrote, or a published file: safetensors
        or a torch state dict (read with ``weights_only``), of the whole network or of
        the architecture alone.
    device
        Where to put it.

    Returns
    -------
    Network
        In evaluation mode; no parameter requires a gradient.

    Raises
    ------
    StudyError
        If a weight is missing, left over or of another shape.
    """
    network = build_network(entry, seed=None)
    load_weights(network, weights_path)
    return network.to(device).eval().requires_grad_(False)


def load_weights(network: Network, path: str | Path) -> None:
    """Fill a network with the weights of a file, every one of them accounted for.

    Parameters and errors as in `load_network`.
    """
    load_checkpoint(network.body, path)


def save_weights(
    network: Network, path: str | Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a network's state as safetensors.

    Parameters
    ----------
    network
        Its parameters and persistent buffers are written; preprocessing has none.
    path
        Appears whole or not at all.
    metadata
        Text to store beside the weights, e.g. ``{"provenance": JSON}``.
    """
    from safetensors.torch import save

    from metamers.files import atomic_path

    state = {
        key: value.detach().cpu().clone().contiguous()
        for key, value in network.state_dict().items()
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, metadata))


def _call(builder: Any, spec: str, arguments: dict[str, Any]) -> Any:
    try:
        inspect.signature(builder).bind(**arguments)
    except TypeError as error:
        parameters = inspect.signature(builder).parameters.values()
        kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        allowed = [p.name for p in parameters if p.kind not in kinds]
        wrong = next((name for name in arguments if name not in allowed), "")
        raise StudyError(
            f"arguments {arguments} do not fit {spec}: {error}; it takes "
            f"{', '.join(allowed)}{suggest(wrong, allowed)}"
        ) from error
    except ValueError:  # a callable without a signature
        pass
    try:
        return builder(**arguments)
    except TypeError as error:
        raise StudyError(
            f"{spec} cannot be built with arguments {arguments}: {error}"
        ) from error


def _preprocessing(entry: dict[str, Any]) -> nn.Module:
    settings = dict(entry.get("preprocessing") or {})
    front_end = settings.pop("front_end", None)
    if entry["modality"] == "vision":
        return ImagePreprocessing(**settings)
    if front_end is None:
        return SoundPreprocessing(None)
    arguments = {key: value for key, value in front_end.items() if key != "kind"}
    module = resolve_front_end(front_end)(
        **arguments, sample_rate=entry["sample_rate"], duration=entry["duration"]
    )
    return SoundPreprocessing(module)


def _per_channel(values: list[float] | None, default: float) -> Tensor:
    return torch.tensor([default] if values is None else values).view(1, -1, 1, 1)
