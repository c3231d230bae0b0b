"""What metamers look like: one reference, every model, every stage."""

from __future__ import annotations

import importlib.util
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metamers.figures.style import (
    SMALL,
    TWO_COLUMNS,
    answer_name,
    axes_at,
    gap,
    new_figure,
    readable,
    styled,
    text_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metamers.figures.inputs import Examples

LEFT, GUTTER, WIDEST = 26.0, 1.6, 22.0
LETTERS_ACROSS = 17
TOP, TITLE, CAPTION = 15.0, 3.6, 4.2
PASSED_COLOR, FAILED_COLOR = "#00795C", "#C44E00"


@styled
def plot_examples(
    examples: Examples,
    screening: pd.DataFrame,
    models: dict[str, dict[str, Any]],
    *,
    front_end: dict[str, Any] | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Show a reference and its metamers: a row each model, a column each stage.

    Parameters
    ----------
    examples
        The reference and its metamers.
    screening
        Rows of ``screening/{model}.csv`` of all models: model, stage, stimulus_id,
        response, natural_response, passed, final_loss, reason.
    models
        Models of the study by name: modality, stages. One row each, in this order.
    front_end
        Settings of the cochleagram in which sounds are drawn (`front_ends` of the
        study); a plain spectrogram where they, or torch, are missing.

    Returns
    -------
    figure, table
        A row for each cell: response, whether it passed, the final loss, and the root
        mean square difference from the reference in stimulus units.
    """
    if importlib.util.find_spec("torch") is None:
        front_end = None
    names = [n for n, model in models.items() if model["modality"] == examples.modality]
    deepest = max((len(models[name]["stages"]) for name in names), default=1)
    width = min((TWO_COLUMNS - LEFT - 1.0) / (deepest + 1) - GUTTER, WIDEST)
    tall = width if examples.modality == "vision" else width * 0.8
    row_height = TITLE + tall + CAPTION
    figure = new_figure(TWO_COLUMNS, TOP + max(len(names), 1) * row_height + 6.0)
    pictures, scale = _pictures(examples, front_end)
    _head(figure, examples, front_end)
    facts = screening[screening["stimulus_id"].astype(str) == examples.stimulus_id]
    facts = facts.set_index(["model", "stage"])
    rows = []
    for row, name in enumerate(names):
        top = TOP + row * row_height + TITLE
        label = "\n".join(textwrap.wrap(readable(name), LETTERS_ACROSS))
        text_at(figure, 1.0, top + tall / 2, label, va="center")
        for column, stage in enumerate([None, *models[name]["stages"]]):
            left = LEFT + column * (width + GUTTER)
            axes = axes_at(figure, left, top, width, tall)
            if stage is None:
                _show(axes, pictures[None], scale)
                title, caption, color = "reference", examples.label, "black"
            else:
                values = _facts(facts, name, stage)
                rows.append({"model": name, "stage": stage, **values})
                rows[-1]["rms_difference"] = _difference(examples, (name, stage))
                _show(axes, pictures.get((name, stage)), scale)
                title = stage
                caption, color = _caption(values)
            axes.set_title(readable(title, int(width * 0.85)), fontsize=SMALL, pad=1.5)
            # fixed in millimeters: the size of a caption does not follow the picture
            text_at(
                figure,
                left + width / 2,
                top + tall + 0.7,
                readable(caption, int(width * 0.85)),
                ha="center",
                fontsize=SMALL,
                color=color,
            )
    table = pd.DataFrame(rows).assign(stimulus_id=examples.stimulus_id)
    return figure, table


def cochleagrams(
    sounds: np.ndarray, sample_rate: int, front_end: dict[str, Any]
) -> np.ndarray:
    """Compute the cochleagrams of sounds by the networks' own front end.

    Parameters
    ----------
    sounds
        (n, samples) in [-1, 1].
    sample_rate
        In Hz.
    front_end
        Settings of the cochleagram.

    Returns
    -------
    ndarray
        (n, filters, times), compressed as the networks get it.
    """
    import torch

    from metamers.networks.cochleagram import Cochleagram

    settings = {name: value for name, value in front_end.items() if name != "kind"}
    layer = Cochleagram(
        sample_rate=sample_rate, duration=sounds.shape[1] / sample_rate, **settings
    )
    with torch.no_grad():
        output = layer(torch.as_tensor(sounds, dtype=torch.float32)).numpy()
    return output.reshape(len(sounds), *output.shape[-2:])


def spectrogram(sounds: np.ndarray, sample_rate: int) -> np.ndarray:
    """Compute plain log spectrograms, for sounds without a cochleagram.

    Parameters
    ----------
    sounds
        (n, samples) in [-1, 1].
    sample_rate
        In Hz; windows last 25 ms (Hann) and overlap by 15 ms.

    Returns
    -------
    ndarray
        (n, frequencies, times) in dB re 1, at least -80.
    """
    length, hop = round(0.025 * sample_rate), round(0.01 * sample_rate)
    frames = np.lib.stride_tricks.sliding_window_view(sounds, length, axis=1)[:, ::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(length), axis=-1)) ** 2
    return 10 * np.log10(np.maximum(power, 1e-8)).transpose(0, 2, 1)


def _pictures(
    examples: Examples, front_end: dict[str, Any] | None
) -> tuple[dict[tuple[str, str] | None, np.ndarray], dict[str, Any]]:
    """Turn the reference (None) and the metamers into pictures of one gray scale."""
    keys: list[tuple[str, str] | None] = [None, *examples.metamers]
    stimuli = [examples.reference, *examples.metamers.values()]
    if examples.modality == "vision":
        moved = [np.clip(np.moveaxis(image, 0, -1), 0, 1) for image in stimuli]
        flat = [image[..., 0] if image.shape[-1] == 1 else image for image in moved]
        scale = {"cmap": "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        return dict(zip(keys, flat, strict=True)), scale
    sounds = np.stack(stimuli)
    assert examples.sample_rate is not None
    if front_end is None:
        drawn = spectrogram(sounds, examples.sample_rate)
    else:
        drawn = cochleagrams(sounds, examples.sample_rate, front_end)
    scale = {
        "cmap": "magma",
        "vmin": float(drawn[0].min()),
        "vmax": float(drawn[0].max()),
        "interpolation": "nearest",
        "origin": "lower",
        "aspect": "auto",
    }
    return dict(zip(keys, drawn, strict=True)), scale


def _show(axes: Axes, picture: np.ndarray | None, scale: dict[str, Any]) -> None:
    """Show one picture without ticks, or a labeled gap."""
    if picture is None:
        gap(axes, "none")
        return
    axes.imshow(picture, **scale)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)


def _head(figure: Figure, examples: Examples, front_end: dict[str, Any] | None) -> None:
    """Say above the grid what is shown and what the captions mean."""
    sort = {"vision": "Image", "audio": "Sound"}[examples.modality]
    lines = [
        f"{sort} {examples.stimulus_id}, true category “{examples.label}”, "
        "and its metamers",
        "Below each: the generating network's answer to it; ✓ passed the screening, "
        "✗ did not. The reference was not chosen: it stands at a fixed place of the "
        "file.",
    ]
    if examples.modality == "audio":
        kind = "cochleagrams" if front_end is not None else "spectrograms (log power)"
        assert examples.sample_rate is not None
        seconds = examples.reference.size / examples.sample_rate
        what = "Synthetic speech (eSpeak NG)" if examples.synthetic else "Speech"
        lines.append(
            f"{what}, drawn as {kind}: time to the right (0 to {seconds:.2g} s), "
            f"frequency upward (to {examples.sample_rate / 2000:.2g} kHz), one scale."
        )
    text_at(figure, 1.0, 1.2, lines[0], fontweight="bold")
    text_at(figure, 1.0, 5.2, "\n".join(lines[1:]), fontsize=SMALL + 0.5)


def _facts(facts: pd.DataFrame, model: str, stage: str) -> dict[str, Any]:
    """Return what the screening says of one metamer."""
    names = ("response", "natural_response", "passed", "final_loss", "reason")
    if (model, stage) not in facts.index:
        return dict.fromkeys(names)
    row = facts.loc[[(model, stage)]].iloc[0]
    return {name: row.get(name) for name in names}


def _caption(values: dict[str, Any]) -> tuple[str, str]:
    """Return the caption of one metamer and its color."""
    if values["response"] is None:
        return "–", "black"
    passed = bool(values["passed"])
    mark = "✓" if passed else "✗"
    return (
        f"{answer_name(values['response'])} {mark}",
        PASSED_COLOR if passed else FAILED_COLOR,
    )


def _difference(examples: Examples, key: tuple[str, str]) -> float:
    """Return the root mean square difference of a metamer from its reference."""
    if key not in examples.metamers:
        return float("nan")
    difference = examples.metamers[key] - examples.reference
    return float(np.sqrt(np.mean(difference.astype(float) ** 2)))
