"""Images read from their files, against torchvision's transforms."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms.v2 import functional

from metamers.errors import StudyError
from metamers.stimuli.image_files import (
    ImageFiles,
    as_arrays,
    cut,
    cut_from_file,
    middle,
)
from metamers.stimuli.listed import Listing, as_paths


def picture(width, height, mode="RGB"):
    """Smooth colors, so that ways of scaling hardly differ."""
    rows, columns = np.mgrid[:height, :width]
    waves = [
        127 + 120 * np.sin(columns / width * a + rows / height * b)
        for a, b in ((9, 4), (5, 7), (3, 11))
    ]
    return Image.fromarray(np.stack(waves, axis=2).astype(np.uint8)).convert(mode)


def as_array(image):
    return as_arrays([image], 1)[0]


def files(folder, *images, size=32, channels=3, suffix=".JPEG"):
    for number, image in enumerate(images):
        image.save(folder / f"{number}{suffix}", quality=95)
    return ImageFiles(
        Listing(
            kind="images",
            root=folder,
            path=as_paths([f"{number}{suffix}" for number in range(len(images))]),
            label={},
            settings={"size": size, "channels": channels},
        )
    )


@pytest.mark.parametrize("shape", [(60, 45), (45, 61), (37, 37), (20, 29), (256, 300)])
@pytest.mark.parametrize("size", [32, 56])
def test_the_test_transform_is_torchvisions(shape, size):
    image = picture(*shape)
    resized = functional.resize(image, [round(size * 256 / 224)], antialias=True)
    expected = functional.center_crop(resized, [size, size])
    np.testing.assert_array_equal(as_array(middle(image, size)), as_array(expected))


def test_a_cut_is_torchvisions_resized_crop():
    image = picture(90, 70)
    expected = functional.resized_crop(image, 5, 20, 41, 33, [32, 32], antialias=True)
    found = cut(image, (5, 20, 41, 33), 32)
    np.testing.assert_array_equal(as_array(found), as_array(expected))


def test_a_large_jpeg_is_decoded_smaller_but_looks_the_same(tmp_path):
    picture(403, 501).save(tmp_path / "a.jpeg", quality=95)
    box = (31, 17, 300, 280)
    with Image.open(tmp_path / "a.jpeg") as image:
        quick = cut_from_file(image, box, 32)
        assert image.size == (51, 63)
    with Image.open(tmp_path / "a.jpeg") as image:
        slow = cut(image.convert("RGB"), box, 32)
    difference = np.abs(as_array(quick).astype(int) - as_array(slow))
    assert difference.max() <= 8
    assert difference.mean() < 1


def test_a_box_of_the_wanted_size_is_decoded_in_full(tmp_path):
    picture(200, 120).save(tmp_path / "a.jpeg", quality=95)
    box = (10, 20, 63, 70)
    with Image.open(tmp_path / "a.jpeg") as image:
        quick = as_array(cut_from_file(image, box, 32))
    with Image.open(tmp_path / "a.jpeg") as image:
        np.testing.assert_array_equal(quick, as_array(cut(image, box, 32)))


def test_images_of_any_mode_have_the_channels_asked_for(tmp_path):
    images = [picture(50, 40, mode) for mode in ("RGB", "L", "CMYK")]
    colored = files(tmp_path, *images)
    stored = colored.stored(np.array([2, 0, 1]))
    assert stored.shape == (3, 3, 32, 32) and stored.dtype == np.uint8
    assert np.ptp(stored[2], axis=0).max() == 0
    assert np.abs(stored[0].astype(int) - stored[1]).mean() < 3
    np.testing.assert_allclose(colored.values(np.array([1]))[0] * 255, stored[2], 1e-6)
    grey = files(tmp_path, *images, channels=1)
    assert grey.stored(np.array([0, 2])).shape == (2, 1, 32, 32)
    assert grey.picture(0, lambda height, width: (0, 0, height, width)).mode == "L"


def test_a_palette_is_looked_up_before_it_is_averaged(tmp_path):
    palette = picture(50, 40).quantize(16)
    found = files(tmp_path, palette, suffix=".png").picture(
        0, lambda height, width: (0, 0, height, width)
    )
    expected = cut(palette.convert("RGB"), (0, 0, 40, 50), 32)
    np.testing.assert_array_equal(as_array(found), as_array(expected))


def test_missing_and_broken_files_say_what_to_do(tmp_path):
    images = files(tmp_path, picture(40, 40), picture(40, 40))
    (tmp_path / "0.JPEG").unlink()
    with pytest.raises(StudyError, match=r"no image .*0\.JPEG, which the stimuli list"):
        images.picture(0)
    whole = Path(tmp_path / "1.JPEG").read_bytes()
    (tmp_path / "1.JPEG").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StudyError, match=r"1\.JPEG cannot be read as an image"):
        images.stored(np.array([1]))
