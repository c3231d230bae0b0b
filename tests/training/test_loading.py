"""Batches read by this process and by others."""

import os
import signal
import time
from functools import partial

import listed_files
import numpy as np
import pytest
import torch

from metamers.errors import StudyError
from metamers.training.data import Labels, training_stimuli
from metamers.training.loading import batches, read_ahead


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """Return training stimuli of listed images and of listed sounds."""
    jitter = {"brightness": 0.2, "contrast": 0.2}
    images = {
        "modality": "vision",
        "task": listed_files.image_task(),
        "training": {
            "augmentation": {
                "crop": [0.2, 1.0],
                "flip": True,
                "color_jitter": jitter,
                "lighting": 0.1,
            }
        },
    }
    sounds = {
        "modality": "audio",
        "sample_rate": listed_files.RATE,
        "task": listed_files.sound_task(),
        "training": {"augmentation": {"snr": [-5.0, 5.0], "shift": 0.01}},
    }
    image_path = listed_files.write_image_list(tmp_path_factory.mktemp("image_list"))
    sound_path = listed_files.write_sound_list(tmp_path_factory.mktemp("sound_list"))
    return {
        "image": training_stimuli(images, image_path, 5),
        "sound": training_stimuli(sounds, sound_path, 5),
    }


def as_tensors(label):
    return (label.first, label.second) if isinstance(label, Labels) else (label,)


@pytest.mark.parametrize("modality", ["image", "sound"])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_do_not_depend_on_who_reads_them(listed, modality, workers):
    stimuli = listed[modality]
    order = stimuli.order(2)
    parts = [order[:4], order[4:5], order[5:12], order[:3]]
    found = list(batches(stimuli, 2, parts, workers))
    assert len(found) == 4
    for (x, label), part in zip(found, parts, strict=True):
        expected, labels = stimuli.batch(2, part)
        assert torch.equal(x, expected)
        for own, other in zip(as_tensors(label), as_tensors(labels), strict=True):
            assert torch.equal(own, other)


def test_no_batches_are_none(listed):
    assert list(batches(listed["image"], 0, [], 2)) == []


def test_reading_moves_no_global_random_state(listed):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(batches(listed["image"], 0, [np.arange(2)], 1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stimulus_that_cannot_be_read_is_named_without_a_traceback(tmp_path, workers):
    path = listed_files.write_image_list(tmp_path)
    entry = {"modality": "vision", "task": listed_files.image_task(), "training": None}
    stimuli = training_stimuli(entry, path, 0)
    (tmp_path / "imagenet/train/n01/train_1_3.JPEG").unlink()
    parts = [np.arange(4), np.arange(10, 14)]
    reading = batches(stimuli, 0, parts, workers)
    assert len(next(reading)[0]) == 4
    with pytest.raises(StudyError) as error:
        next(reading)
    assert str(error.value).startswith("there is no image")
    assert "Traceback" not in str(error.value)


def _read_slowly(indices):
    time.sleep(0.1)
    return os.getpid(), torch.from_numpy(indices)


def test_processes_outlive_the_signals_of_a_batch_system():
    parts = [np.array([k]) for k in range(12)]
    reading = read_ahead(_read_slowly, lambda found: found, parts, 2, "cpu")
    found = [next(reading)]
    for received in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        os.kill(found[0][0], received)
    found += reading
    assert [int(x) for _, x in found] == list(range(12))
    assert len({pid for pid, _ in found}) == 2


def test_processes_end_with_the_reading():
    parts = [np.array([k]) for k in range(50)]
    reading = read_ahead(_read_slowly, lambda found: found, parts, 1, "cpu")
    pid, _ = next(reading)
    reading.close()
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the reading process is still there")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_to_the_gpu(listed, workers):
    stimuli = listed["sound"]
    parts = [np.arange(4), np.arange(4, 9)]
    on_gpu = partial(batches, device="cuda")
    for (x, label), part in zip(on_gpu(stimuli, 0, parts, workers), parts, strict=True):
        expected, labels = stimuli.batch(0, part)
        assert x.device.type == label.first.device.type == "cuda"
        torch.testing.assert_close(x.cpu(), expected)
        assert torch.equal(label.second.cpu(), labels.second)
