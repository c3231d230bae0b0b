"""What a person would get, and the files of it."""

import numpy as np
import pytest
import soundfile
from PIL import Image

from metamers.errors import StudyError
from metamers.recognition.presentation import (
    as_presented,
    quantize,
    write_png,
    write_wav,
)


def test_images_are_truncated_not_rounded():
    levels = np.array([0.0, 0.999 / 255, 1.0 / 255, 127.9 / 255, 254.9 / 255, 1.0])
    assert quantize(levels, "vision").tolist() == [0, 0, 1, 127, 254, 255]


def test_sounds_are_rounded_to_16_bit():
    levels = np.array([-1.0, -0.6 / 32767, 0.4 / 32767, 1.6 / 32767, 1.0])
    assert quantize(levels, "audio").tolist() == [-32767, -1, 0, 2, 32767]


@pytest.mark.parametrize(
    ("modality", "stored"),
    [
        ("vision", np.arange(256, dtype=np.uint8)),
        ("audio", np.arange(-32767, 32768, dtype=np.int16)),
    ],
)
def test_natural_stimuli_come_back_as_they_are(modality, stored):
    values = as_presented(stored, modality)
    assert values.dtype == np.float32
    assert np.array_equal(quantize(values, modality), stored)
    assert np.array_equal(as_presented(values, modality), values)


def test_values_outside_the_range_are_clipped():
    assert as_presented(np.array([-0.5, 1.5]), "vision").tolist() == [0, 1]
    assert as_presented(np.array([-1.5, 1.5]), "audio").tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("stimulus", "modality", "message"),
    [
        (np.zeros(3), "visions", "did you mean 'vision'"),
        (np.zeros(3, dtype=np.int16), "vision", "int16"),
        (np.array([0.5, np.nan]), "audio", "not numbers"),
    ],
)
def test_what_cannot_be_presented_is_refused(stimulus, modality, message):
    with pytest.raises(StudyError, match=message):
        as_presented(stimulus, modality)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_the_truncated_pixels(tmp_path, channels):
    image = np.random.default_rng(0).random((channels, 5, 7))
    write_png(image, tmp_path / "image.png")
    pixels = np.asarray(Image.open(tmp_path / "image.png"))
    expected = (image * 255).astype(np.uint8)
    shown = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    assert np.array_equal(shown, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


def test_png_is_enlarged_without_interpolation(tmp_path):
    write_png(np.array([[0.0, 1.0]]), tmp_path / "image.png", enlarge=2)
    pixels = np.asarray(Image.open(tmp_path / "image.png"))
    assert pixels.tolist() == [[0, 0, 255, 255]] * 2


def test_wav_holds_the_samples(tmp_path):
    sound = np.random.default_rng(0).uniform(-1, 1, 100)
    write_wav(sound, tmp_path / "sound.wav", 8000)
    samples, rate = soundfile.read(tmp_path / "sound.wav", dtype="int16")
    assert rate == 8000
    assert np.array_equal(samples, np.rint(sound * 32767))
    assert soundfile.info(tmp_path / "sound.wav").subtype == "PCM_16"


def test_wrong_shapes_are_refused(tmp_path):
    with pytest.raises(StudyError, match=r"\(2, 4, 4\)"):
        write_png(np.zeros((2, 4, 4)), tmp_path / "image.png")
    with pytest.raises(StudyError, match=r"\(1, 9\)"):
        write_wav(np.zeros((1, 9)), tmp_path / "sound.wav", 8000)
    with pytest.raises(ValueError, match="enlarge is 0"):
        write_png(np.zeros((4, 4)), tmp_path / "image.png", enlarge=0)
    assert not list(tmp_path.iterdir())
