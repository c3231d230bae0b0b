"""Batches of training and test stimuli."""

import h5py
import numpy as np
import pytest
import torch
from conftest import RATE, SAMPLES

from metamers.errors import StudyError
from metamers.training import data
from metamers.training.data import (
    StimulusRows,
    categories,
    evaluation_batches,
    training_stimuli,
)


def test_values_are_in_stimulus_units(image_file, sound_file):
    images = StimulusRows(image_file, "training")
    with h5py.File(image_file) as file:
        stored = file["training/stimulus"][:]
    chosen = np.array([5, 3, 5])
    np.testing.assert_allclose(images.values(chosen), stored[chosen] / 255, rtol=1e-6)
    sounds = StimulusRows(sound_file, "training").values(np.arange(90))
    assert sounds.dtype == np.float32
    np.testing.assert_allclose(np.sqrt((sounds**2).mean(axis=1)), 0.1, rtol=1e-3)


def test_rows_read_from_disk_are_those_in_memory(image_file, monkeypatch):
    memory = StimulusRows(image_file, "training")
    monkeypatch.setattr(data, "LARGEST_IN_MEMORY", 0)
    disk = StimulusRows(image_file, "training")
    assert isinstance(disk._stored, h5py.Dataset)
    chosen = np.array([7, 2, 2, 99, 0])
    np.testing.assert_array_equal(disk.stored(chosen), memory.stored(chosen))


def test_a_missing_file_split_or_label_is_named(image_file, tmp_path):
    with pytest.raises(StudyError, match="prepare_stimuli"):
        StimulusRows(tmp_path / "none.h5", "training")
    with pytest.raises(StudyError, match="did you mean 'training'"):
        StimulusRows(image_file, "trainning")
    with pytest.raises(StudyError, match="did you mean 'category'"):
        StimulusRows(image_file, "training").label("categories")


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_a_stimulus_of_an_epoch_does_not_depend_on_its_batch(modality, request):
    entry = request.getfixturevalue(f"{modality}_entry")
    path = request.getfixturevalue(f"{modality}_file")
    stimuli = training_stimuli(entry, path, seed=3)
    chosen = np.array([4, 17, 60])
    x, label = stimuli.batch(2, chosen)
    alone, _ = training_stimuli(entry, path, seed=3).batch(2, chosen[1:2])
    torch.testing.assert_close(x[1:2], alone, rtol=0, atol=1e-6)
    assert x.dtype == torch.float32
    assert label.tolist() == (chosen % 3).tolist()
    for other in (
        stimuli.batch(1, chosen),
        training_stimuli(entry, path, seed=4).batch(2, chosen),
    ):
        assert (other[0] - x).abs().amax(dim=tuple(range(1, x.ndim))).min() > 0.01
    again, _ = stimuli.batch(2, chosen)
    assert torch.equal(again, x)


def test_the_order_is_a_new_permutation_each_epoch(image_file, image_entry):
    stimuli = training_stimuli(image_entry, image_file, seed=3)
    first, second = stimuli.order(0), stimuli.order(1)
    np.testing.assert_array_equal(np.sort(first), np.arange(100))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, stimuli.order(0))


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_without_training_stimuli_are_as_they_are(modality, request):
    entry = {**request.getfixturevalue(f"{modality}_entry"), "training": None}
    path = request.getfixturevalue(f"{modality}_file")
    stimuli = training_stimuli(entry, path, seed=0)
    chosen = np.arange(10)
    x, _ = stimuli.batch(0, chosen)
    rows = StimulusRows(path, "training")
    np.testing.assert_allclose(x.numpy(), rows.values(chosen), rtol=1e-6)


def test_sounds_are_mixed_at_ratios_within_the_range_and_one_level(
    sound_file, sound_entry
):
    sound_entry["training"]["augmentation"] = {"shift": 0.0, "snr": [-3.0, 3.0]}
    stimuli = training_stimuli(sound_entry, sound_file, seed=0)
    x, _ = stimuli.batch(0, np.arange(90))
    mixed = x.double().numpy()
    level = np.sqrt((mixed**2).mean(axis=1))
    np.testing.assert_allclose(level, 0.1, rtol=2e-3)
    speech = StimulusRows(sound_file, "training").values(np.arange(90)).astype(float)
    # The part of the mixture that is along the speech, against the rest.
    share = (mixed * speech).sum(1) / (speech**2).sum(1)
    rest = mixed - share[:, None] * speech
    snr = 20 * np.log10(share * 0.1 / np.sqrt((rest**2).mean(axis=1)))
    # Chance correlations of speech and noise move the estimate by about a dB.
    assert -5 < snr.min() < -1
    assert 1 < snr.max() < 5


def test_the_task_says_which_label_is_learned(sound_file, sound_entry):
    sound_entry["task"]["label"] = "background"
    stimuli = training_stimuli(sound_entry, sound_file, seed=0)
    x, label = stimuli.batch(0, np.arange(90))
    assert set(label.tolist()) == {0, 1}
    # White noise (0) has most of its power above 300 Hz, where the hum (1) has none
    # and the lower two words neither.
    lower = np.arange(90) % 3 < 2
    power = torch.fft.rfft(x).abs().square()
    frequency = torch.fft.rfftfreq(SAMPLES, 1 / RATE)
    high = power[:, (frequency > 300)].sum(1) / power.sum(1)
    assert high[torch.from_numpy(lower) & (label == 0)].min() > 0.04
    assert high[torch.from_numpy(lower) & (label == 1)].max() < 0.04


def test_a_shift_in_seconds_is_a_shift_in_samples(sound_file, sound_entry):
    sound_entry["training"]["augmentation"] = {"shift": 0.02, "snr": None}
    stimuli = training_stimuli(sound_entry, sound_file, seed=0)
    x, _ = stimuli.batch(0, np.arange(90))
    clean = StimulusRows(sound_file, "training").values(np.arange(90))
    shifts = []
    for moved, original in zip(x.numpy(), clean, strict=True):
        # What came in is silence: zeros at the start of sounds that moved later.
        first, last = np.flatnonzero(moved)[[0, -1]]
        shift = first if last == SAMPLES - 1 else last - (SAMPLES - 1)
        source = original[: SAMPLES - shift] if shift >= 0 else original[-shift:]
        target = moved[shift:] if shift >= 0 else moved[:shift]
        np.testing.assert_array_equal(target, source)
        shifts.append(shift)
    assert max(shifts) > 30
    assert min(shifts) < -30
    assert max(map(abs, shifts)) <= 0.02 * RATE


def test_a_background_task_without_backgrounds_is_refused(sound_file, sound_entry):
    sound_entry["task"]["label"] = "background"
    sound_entry["training"]["augmentation"] = {"shift": 0.0, "snr": None}
    stimuli = training_stimuli(sound_entry, sound_file, seed=0)
    with pytest.raises(StudyError, match=r"with augmentation\.snr null"):
        stimuli.check_labels()


def test_test_stimuli_come_in_their_order(sound_file, sound_entry):
    rows = StimulusRows(sound_file, "test_noisy")
    chosen = np.array([2, 9, 11, 20, 29])
    parts = list(evaluation_batches(sound_entry, rows, chosen, batch_size=2))
    assert [len(x) for x, _, _ in parts] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([i for _, _, i in parts]), chosen)
    labels = torch.cat([label for _, label, _ in parts])
    assert labels.tolist() == rows.label("word")[chosen].tolist()


def test_categories_are_those_of_the_tasks_label(sound_file, sound_entry):
    assert categories(sound_entry, sound_file) == ["low", "middle", "high"]
    sound_entry["task"]["label"] = "words"
    with pytest.raises(StudyError, match="did you mean 'word'"):
        categories(sound_entry, sound_file)
