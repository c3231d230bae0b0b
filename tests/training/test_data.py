"""Batches of training and test stimuli."""

import pickle
import time

import h5py
import listed_files
import numpy as np
import pytest
import torch
from conftest import RATE, SAMPLES
from PIL import Image

from metamers.errors import StudyError
from metamers.randomness import numpy_generator
from metamers.stimuli.image_files import as_arrays, cut, middle
from metamers.stimuli.listed import Listing, write_listing
from metamers.training import rows as rows_module
from metamers.training.augmentation import PICTURE_DRAWS, change_colors, crop_box
from metamers.training.data import (
    Labels,
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
    monkeypatch.setattr(rows_module, "LARGEST_IN_MEMORY", 0)
    disk = StimulusRows(image_file, "training")
    assert disk.source._array is None
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


@pytest.fixture(scope="module")
def image_list(tmp_path_factory):
    return listed_files.write_image_list(tmp_path_factory.mktemp("image_list"))


@pytest.fixture(scope="module")
def sound_list(tmp_path_factory):
    return listed_files.write_sound_list(tmp_path_factory.mktemp("sound_list"))


def as_array(image):
    return as_arrays([image], 1)[0]


def listed_entry(entry, task, **augmentation):
    training = {**entry["training"], "augmentation": augmentation}
    return {**entry, "task": task, "training": training}


def test_rows_go_to_another_process_by_their_names(image_file, sound_list):
    for path, split in ((image_file, "training"), (sound_list, "test_noisy")):
        rows = StimulusRows(path, split)
        text = pickle.dumps(rows)
        assert len(text) < 1000
        chosen = np.array([1, 0])
        np.testing.assert_array_equal(
            pickle.loads(text).stored(chosen), rows.stored(chosen)
        )


def test_listed_images_are_read_as_tests_show_them(image_list):
    rows = StimulusRows(image_list, "test")
    assert len(rows) == 12
    assert rows.id[5] == "val/n01/val_1_1.JPEG"
    assert rows.label("class").tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert rows.label("category").tolist() == [1] * 4 + [-1] * 4 + [0] * 4
    with Image.open(image_list.parent / "imagenet" / rows.id[5]) as image:
        expected = as_array(middle(image.convert("RGB"), listed_files.SIZE))
    np.testing.assert_array_equal(rows.stored(np.array([5]))[0], expected)
    np.testing.assert_allclose(rows.values(np.array([5]))[0], expected / 255, rtol=1e-6)


def test_a_training_image_is_its_crop_in_its_colors(image_list, image_entry):
    augmentation = {"crop": [0.3, 0.9], "color_jitter": {"contrast": 0.5}}
    entry = listed_entry(image_entry, listed_files.image_task(), **augmentation)
    stimuli = training_stimuli(entry, image_list, seed=3)
    chosen = np.array([20, 3, 11])
    x, label = stimuli.batch(4, chosen)
    assert label.tolist() == [2, 0, 1]
    draws = stimuli.draws(4, chosen, PICTURE_DRAWS, "picture")
    for place, index in enumerate(chosen):
        with Image.open(stimuli.rows.source.listing.file(index)) as image:
            box = crop_box(image.height, image.width, draws[place], (0.3, 0.9))
            cropped = cut(image, box, listed_files.SIZE)
        expected = as_array(change_colors(cropped, draws[place], augmentation))
        np.testing.assert_array_equal(255 * x[place].numpy(), expected)


def test_stored_images_are_cropped_and_recolored_too(image_file, image_entry):
    augmentation = {"crop": [0.2, 0.6], "color_jitter": {"brightness": 0.4}}
    entry = listed_entry(image_entry, image_entry["task"], **augmentation)
    stimuli = training_stimuli(entry, image_file, seed=3)
    chosen = np.array([8, 1])
    x, _ = stimuli.batch(0, chosen)
    draws = stimuli.draws(0, chosen, PICTURE_DRAWS, "picture")
    stored = stimuli.rows.stored(chosen)[:, 0]
    for place in range(2):
        box = crop_box(8, 8, draws[place], (0.2, 0.6))
        expected = change_colors(
            cut(Image.fromarray(stored[place]), box, 8), draws[place], augmentation
        )
        np.testing.assert_array_equal(255 * x[place].numpy(), as_array(expected))


def test_draws_are_rows_of_one_table(image_file, image_entry):
    stimuli = training_stimuli(image_entry, image_file, seed=3)
    table = numpy_generator(3, "augmentation", 2).random((100, 5))
    chosen = np.array([99, 0, 41])
    np.testing.assert_array_equal(stimuli.draws(2, chosen, 5), table[chosen])


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_a_listed_stimulus_does_not_depend_on_its_batch(modality, request):
    path = request.getfixturevalue(f"{modality}_list")
    entry = request.getfixturevalue(f"{modality}_entry")
    if modality == "image":
        task = listed_files.image_task()
        jitter = {"brightness": 0.2, "saturation": 0.2, "hue": 0.1}
        augmentation = {"crop": [0.1, 1.0], "flip": True, "color_jitter": jitter}
        augmentation |= {"lighting": 0.1, "grey": 0.3, "blur": 0.5, "solarize": 0.3}
    else:
        task, augmentation = listed_files.sound_task(), {"snr": [-5.0, 5.0]}
        entry = {**entry, "sample_rate": listed_files.RATE}
    entry = listed_entry(entry, task, **augmentation)
    stimuli = training_stimuli(entry, path, seed=3)
    chosen = np.array([5, 8, 2, 0])
    x, _ = stimuli.batch(2, chosen)
    alone, _ = training_stimuli(entry, path, seed=3).batch(2, chosen[1:2])
    assert torch.equal(x[1:2], alone)
    other, _ = stimuli.batch(1, chosen)
    assert (other - x).abs().amax(dim=tuple(range(1, x.ndim))).min() > 0.01
    assert x.min() >= -1.0 and x.max() <= 1.0


def test_lighting_of_grey_images_is_refused(image_file, image_entry):
    entry = listed_entry(image_entry, image_entry["task"], lighting=0.1)
    with pytest.raises(StudyError, match="the images are grey"):
        training_stimuli(entry, image_file, seed=0)


def test_words_and_the_labels_of_backgrounds_are_learned_together(
    sound_list, sound_entry
):
    entry = listed_entry(sound_entry, listed_files.sound_task(), snr=[-5.0, 5.0])
    entry["sample_rate"] = listed_files.RATE
    stimuli = training_stimuli(entry, sound_list, seed=0)
    stimuli.check_labels()
    chosen = np.arange(len(stimuli))
    x, labels = stimuli.batch(0, chosen)
    assert isinstance(labels, Labels) and len(labels) == len(chosen)
    # The word of a silent clip is the null word, whatever the table says.
    silent = np.array(["silent" in name for name in stimuli.rows.id])
    assert silent.sum() == 8
    spoken = stimuli.rows.label("word").copy()
    assert set(spoken[silent]) == {2}
    spoken[silent] = 0
    assert labels.first.tolist() == spoken.tolist()
    # What is heard of it is the background, at the level of all.
    level = x.double().square().mean(dim=1).sqrt()
    torch.testing.assert_close(level, torch.full_like(level, 0.1), rtol=1e-3, atol=0)
    drawn = stimuli.draws(0, chosen, 4)[:, 1]
    background = np.floor(drawn * len(stimuli.backgrounds)).astype(int)
    expected = stimuli.backgrounds.label("background", background)
    np.testing.assert_array_equal(labels.second.numpy(), expected)
    assert labels.second.dtype == torch.uint8
    assert set(labels.second.sum(dim=1).tolist()) == {1, 2}


def test_clean_words_are_those_of_the_list(sound_list, sound_entry):
    task = listed_files.sound_task(second=None)
    entry = listed_entry(sound_entry, task, snr=None)
    stimuli = training_stimuli(
        {**entry, "sample_rate": listed_files.RATE}, sound_list, seed=0
    )
    x, label = stimuli.batch(0, np.arange(len(stimuli)))
    heard = x.any(dim=1)
    assert (label[~heard] == 0).all() and (label[heard] > 0).all()
    pitch = torch.fft.rfft(x[heard]).abs().argmax(dim=1) * 2
    # Vocabulary: the null word, high, low.
    assert pitch.tolist() == [{1: 900, 2: 200}[k] for k in label[heard].tolist()]


def test_a_task_of_one_label_refuses_several(sound_list, sound_entry):
    task = listed_files.sound_task(second=None, label="background")
    entry = listed_entry(sound_entry, task, snr=[-5.0, 5.0])
    stimuli = training_stimuli(entry, sound_list, seed=0)
    with pytest.raises(StudyError, match="write multi_label: true"):
        stimuli.check_labels()
    task["multi_label"] = True
    training_stimuli(entry, sound_list, seed=0).check_labels()


def test_evaluation_gives_the_labels_that_are_learned(image_list, sound_list):
    rows = StimulusRows(image_list, "test")
    entry = {"modality": "vision", "task": listed_files.image_task()}
    batches = list(evaluation_batches(entry, rows, batch_size=5))
    assert (
        torch.cat([label for _, label, _ in batches]).tolist()
        == [0] * 4 + [1] * 4 + [2] * 4
    )
    rows = StimulusRows(sound_list, "test_noisy")
    entry = {"modality": "audio", "task": listed_files.sound_task()}
    x, labels, _ = next(evaluation_batches(entry, rows))
    np.testing.assert_array_equal(x.numpy(), rows.values(np.arange(len(rows))))
    assert labels.first.tolist() == rows.label("word").tolist()
    np.testing.assert_array_equal(labels.second.numpy(), rows.label("background"))


def test_lists_of_a_million_paths_take_little_time_and_memory(tmp_path):
    count = 1_300_000
    names = np.char.add("train/n01440764/n01440764_", np.arange(count).astype(str))
    listing = Listing(
        kind="images",
        root=tmp_path,
        path=np.char.add(names, ".JPEG").astype(np.bytes_),
        label={"class": np.arange(count) % 1000, "category": np.full(count, -1)},
        settings={"size": 224, "channels": 3},
    )
    with h5py.File(tmp_path / "vision.h5", "w") as file:
        file.attrs["format_version"] = 1
        write_listing(listing, file.create_group("training"))
    assert (tmp_path / "vision.h5").stat().st_size < 20e6
    before = time.process_time()
    rows = StimulusRows(tmp_path / "vision.h5", "training")
    assert time.process_time() - before < 5.0
    held = [rows.source.listing.path, *rows.labels.values()]
    assert sum(array.nbytes for array in held) < 100e6
    assert rows.source.listing.file(7).name == "n01440764_7.JPEG"
