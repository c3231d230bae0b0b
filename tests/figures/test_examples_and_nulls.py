"""Example metamers and null histograms."""

import numpy as np
import pytest

from metamers.figures.examples import plot_examples, spectrogram
from metamers.figures.nulls import plot_nulls


def captions(figure):
    return [text.get_text() for text in figure.texts]


def test_images_are_shown_as_they_are(vision_examples, screening, models):
    figure, table = plot_examples(vision_examples, screening, models)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) == 6 * 9 + 8
    np.testing.assert_array_equal(shown[0], vision_examples.reference[0])
    first = vision_examples.metamers["alexnet_standard", "relu0"]
    np.testing.assert_array_equal(shown[1], first[0])
    difference = (first - vision_examples.reference).astype(float)
    assert table["rms_difference"].iloc[0] == pytest.approx(
        np.sqrt((difference**2).mean())
    )
    passed = screening.query("stimulus_id == 'item_003' and passed")
    count = passed["model"].str.contains("net_").mul(1).sum()
    assert count == len(passed[passed["model"].isin(table["model"])])
    marks = [word for word in captions(figure) if word.endswith("✓")]
    assert len(marks) == count


def test_sounds_are_said_to_be_synthetic_and_share_a_scale(
    audio_examples, screening, models
):
    figure, _ = plot_examples(audio_examples, screening, models, front_end=None)
    assert any("Synthetic speech (eSpeak NG)" in word for word in captions(figure))
    scales = {axes.images[0].get_clim() for axes in figure.axes if axes.images}
    assert len(scales) == 1


def test_missing_metamers_are_gaps(vision_examples, screening, models):
    kept = {
        key: value
        for key, value in vision_examples.metamers.items()
        if key != ("alexnet_random", "relu1")
    }
    lacking = type(vision_examples)(**{**vars(vision_examples), "metamers": kept})
    figure, table = plot_examples(lacking, screening, models)
    assert sum(not axes.images for axes in figure.axes) == 1
    row = table.query("model == 'alexnet_random' and stage == 'relu1'")
    assert row["rms_difference"].isna().all()
    figure, table = plot_examples(lacking, screening.iloc[:0], models)
    assert table["response"].isna().all()


def test_a_tone_is_at_its_frequency_in_the_spectrogram():
    rate, frequency = 8000, 1000.0
    tone = np.sin(2 * np.pi * frequency * np.arange(rate) / rate)
    levels = spectrogram(tone[None], rate)[0]
    frequencies = np.fft.rfftfreq(round(0.025 * rate), 1 / rate)
    assert set(frequencies[levels.argmax(0)]) == {frequency}


def test_histograms_thresholds_and_counts(null_table, screening, models):
    name = "alexnet_standard"
    own = screening[screening["model"] == name]
    stages = models[name]["stages"]
    figure, table = plot_nulls(null_table, own, model=name, stages=stages)
    bins = table[(table["kind"] == "null") & (table["stage"] == "relu0")]
    assert bins.groupby("measure")["value"].sum().eq(2000).all()
    values = table.query("kind == 'metamer' and stage == 'relu2'")
    np.testing.assert_array_equal(
        values[values["measure"] == "pearson"]["value"],
        own.loc[own["stage"] == "relu2", "pearson"],
    )
    thresholds = table[table["kind"] == "threshold"]
    # the rank correlation over ten units is not used: it has no threshold
    assert len(thresholds) == 3 * 8 - 1
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "not used: 10 units" in words
    assert words.count("20 of 20 above") == 23


def test_nulls_without_metamers_or_without_anything(null_table, screening, models):
    name = "alexnet_standard"
    figure, table = plot_nulls(
        null_table, screening.iloc[:0], model=name, stages=models[name]["stages"]
    )
    assert set(table["kind"]) == {"null"}
    figure, table = plot_nulls(
        null_table.iloc[:0], screening.iloc[:0], model=name, stages=["relu0"]
    )
    assert table.empty
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["none"] * 3
