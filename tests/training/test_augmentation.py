"""Augmentations against transforms that can be had exactly in another way."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from metamers.training import augmentation
from metamers.training.augmentation import (
    augment_images,
    change_colors,
    changes_pictures,
    crop_box,
    excerpts,
    shift_sounds,
)


def images(count=2, height=12, width=12):
    return torch.rand(
        count, 1, height, width, generator=torch.Generator().manual_seed(0)
    )


def draws(**given):
    names = ("right", "down", "rotation", "scale", "flip")
    return torch.tensor([[given.get(name, 0.0) for name in names]] * 2)


@pytest.mark.parametrize(("right", "down"), [(1.0, 0.0), (0.0, 0.5), (-0.5, 1.0)])
def test_a_shift_moves_whole_pixels(right, down):
    x = images(height=10, width=14)
    moved = augment_images(x, draws(right=right, down=down), {"shift": 2})
    across, along = round(2 * right), round(2 * down)
    expected = torch.roll(x, (along, across), dims=(2, 3))
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(moved[inner], expected[inner], atol=1e-5, rtol=0)


def test_a_quarter_turn_is_clockwise():
    x = images()
    turned = augment_images(x, draws(rotation=1.0), {"rotation": 90.0})
    expected = torch.rot90(x, -1, dims=(2, 3))
    torch.testing.assert_close(turned, expected, atol=1e-5, rtol=0)


def test_turning_keeps_angles_in_images_that_are_not_square():
    # A disc off the center of a wide image, turned by 90 degrees about the center.
    rows, columns = torch.meshgrid(
        torch.arange(20) - 9.5, torch.arange(40) - 19.5, indexing="ij"
    )

    def disc(right, down):
        distance = (columns - right) ** 2 + (rows - down) ** 2
        return torch.exp(-distance / 8)[None, None].repeat(2, 1, 1, 1)

    turned = augment_images(disc(5.0, 0.0), draws(rotation=1.0), {"rotation": 90.0})
    # The outer columns show what was outside the image, mirrored.
    middle = (slice(None), slice(None), slice(None), slice(10, 30))
    expected = disc(0.0, 5.0)[middle]
    torch.testing.assert_close(turned[middle], expected, atol=0.02, rtol=0)


def test_scale_enlarges_about_the_center():
    rows = torch.arange(32) - 15.5

    def blob(width):
        profile = torch.exp(-(rows**2) / (2 * width**2))
        return (profile[:, None] * profile)[None, None].repeat(2, 1, 1, 1)

    grown = augment_images(blob(4.0), draws(scale=1.0), {"scale": 0.25})
    torch.testing.assert_close(grown, blob(5.0), atol=0.02, rtol=0)
    shrunk = augment_images(blob(4.0), draws(scale=-1.0), {"scale": 0.25})
    torch.testing.assert_close(shrunk, blob(3.0), atol=0.02, rtol=0)


def test_each_image_follows_its_own_draws():
    x = images()
    both = draws()
    both[1, 0] = 1.0
    moved = augment_images(x, both, {"shift": 3})
    torch.testing.assert_close(moved[0], x[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(moved[1, :, :, 3:], x[1, :, :, :-3], atol=1e-5, rtol=0)


def test_a_flip_mirrors_images_whose_draw_is_below_zero():
    x = images()
    both = draws()
    both[1, 4] = -0.3
    mirrored = augment_images(x, both, {"flip": True})
    torch.testing.assert_close(mirrored[0], x[0])
    torch.testing.assert_close(mirrored[1], x[1].flip(-1))


def test_without_augmentation_nothing_changes():
    x = images()
    given = draws(right=1.0, rotation=1.0, scale=1.0, flip=-1.0)
    assert torch.equal(augment_images(x, given, {}), x)


def test_images_stay_in_their_range():
    x = (images(height=16, width=16) > 0.5).float()
    given = torch.rand(2, 5, generator=torch.Generator().manual_seed(1)) * 2 - 1
    changed = augment_images(x, given, {"shift": 4, "rotation": 45.0, "scale": 0.5})
    assert changed.min() >= 0.0
    assert changed.max() <= 1.0


def test_sounds_move_in_time_and_silence_comes_in():
    sounds = np.arange(1, 7, dtype=np.float32)[None].repeat(3, axis=0)
    moved = shift_sounds(sounds, np.array([0, 2, -2]))
    np.testing.assert_array_equal(
        moved, [[1, 2, 3, 4, 5, 6], [0, 0, 1, 2, 3, 4], [3, 4, 5, 6, 0, 0]]
    )
    assert moved.dtype == np.float32


def test_excerpts_of_longer_sounds_stay_between_their_ends():
    sounds = np.arange(10)[None].repeat(3, axis=0)
    cut = excerpts(sounds, np.array([0.0, 0.5, 0.999999]), 4)
    np.testing.assert_array_equal(cut, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]])


def test_shorter_sounds_are_repeated():
    sounds = np.arange(4)[None].repeat(2, axis=0)
    cut = excerpts(sounds, np.array([0.0, 0.5]), 6)
    np.testing.assert_array_equal(cut, [[0, 1, 2, 3, 0, 1], [2, 3, 0, 1, 2, 3]])


def picture(width=40, height=32):
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, size=(4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def picture_draws(seed=0, **given):
    """Draws of which those named are given: a slice of the module, or a number."""
    found = np.random.default_rng(seed).random(augmentation.PICTURE_DRAWS)
    for name, values in given.items():
        found[getattr(augmentation, f"_{name.upper()}")] = values
    return found


def test_crops_are_drawn_as_torchvision_draws_them(monkeypatch):
    # Its draws come from the same uniform ones, in its order: area and ratio of each
    # try, then the place.
    transform = v2.RandomResizedCrop(8, scale=(0.05, 1.0))
    tries = []
    for seed in range(300):
        width, height = np.random.default_rng(seed).integers(8, 90, 2).tolist()
        given = picture_draws(seed)
        crop = given[augmentation._CROP]
        pending = crop.tolist()

        class Uniform:
            def __init__(self, draws):
                self.draws = draws

            def uniform_(self, low, high):
                value = low + (high - low) * self.draws.pop(0)
                return torch.tensor([value], dtype=torch.float64)

        places = crop[-2:].tolist()

        def randint(low, high, size, places=places):
            return torch.tensor([int(low + (high - low) * places.pop(0))])

        with monkeypatch.context() as patch:
            uniform = Uniform(pending)
            patch.setattr(torch, "empty", lambda size, uniform=uniform: uniform)
            patch.setattr(torch, "randint", randint)
            image = tv_tensors.Image(np.zeros((height, width, 3)).transpose(2, 0, 1))
            expected = transform.make_params([image])
        box = crop_box(height, width, given, (0.05, 1.0))
        assert box == tuple(expected[k] for k in ("top", "left", "height", "width"))
        tries.append((22 - len(pending)) // 2)
    assert max(tries) > 2


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((100, 10), (43, 0, 13, 10)),
        ((10, 100), (0, 43, 10, 13)),
        ((30, 30), (0, 0, 30, 30)),
    ],
)
def test_where_no_crop_fits_the_middle_is_taken(shape, box):
    # The largest area with sides of 4:3 is larger than these images.
    impossible = picture_draws(crop=[0.999999, 0.9] * 10 + [0.5, 0.5])
    assert crop_box(*shape, impossible, (1.0, 1.0)) == box


@pytest.mark.parametrize("name", augmentation.COLORS)
@pytest.mark.parametrize(("draw", "part"), [(0.0, -1.0), (0.75, 0.5)])
def test_a_color_changes_by_its_factor(name, draw, part):
    amounts = [0.3] * 4
    amounts[augmentation.COLORS.index(name)] = draw
    given = picture_draws(jitter=[0.0, 0.4, *amounts])
    changed = change_colors(picture(), given, {"color_jitter": {name: 0.2}})
    factor = 0.2 * part + (0.0 if name == "hue" else 1.0)
    expected = getattr(functional, f"adjust_{name}")(picture(), factor)
    np.testing.assert_array_equal(np.asarray(changed), np.asarray(expected))


def test_colors_change_in_the_order_drawn():
    jitter = {"color_jitter": {"brightness": 0.9, "contrast": 0.9}}
    found = set()
    for order in np.linspace(0, 0.999, 24):
        given = picture_draws(jitter=[0.0, order, 0.95, 0.02, 0.5, 0.5])
        found.add(change_colors(picture(), given, jitter).tobytes())
    bright, contrast = 1 + 0.9 * 0.9, 1 + 0.9 * (2 * 0.02 - 1)
    one = functional.adjust_brightness(picture(), bright)
    other = functional.adjust_contrast(picture(), contrast)
    assert found == {
        functional.adjust_contrast(one, contrast).tobytes(),
        functional.adjust_brightness(other, bright).tobytes(),
    }


def test_a_factor_is_never_negative():
    given = picture_draws(jitter=[0.0, 0.0, 0.0, 0.5, 0.5, 0.5])
    black = change_colors(picture(), given, {"color_jitter": {"brightness": 3.0}})
    assert not np.asarray(black).any()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grey", lambda image: functional.rgb_to_grayscale(image, 3)),
        ("solarize", lambda image: functional.solarize(image, 128)),
        ("blur", lambda image: functional.gaussian_blur(image, [13, 13], [1.05, 1.05])),
    ],
)
def test_a_part_of_the_images_is_changed(name, expected):
    chosen = picture_draws(**{name: [0.29, 0.5] if name == "blur" else [0.29]})
    spared = picture_draws(**{name: [0.31, 0.5] if name == "blur" else [0.31]})
    changed = change_colors(picture(), chosen, {name: 0.3})
    np.testing.assert_array_equal(np.asarray(changed), np.asarray(expected(picture())))
    same = change_colors(picture(), spared, {name: 0.3})
    np.testing.assert_array_equal(np.asarray(same), np.asarray(picture()))


def test_a_part_of_the_images_keeps_its_colors():
    jitter = {"color_jitter": {"brightness": 0.5, "probability": 0.8}}
    chosen = picture_draws(jitter=[0.79, 0.0, 0.9, 0.5, 0.5, 0.5])
    spared = picture_draws(jitter=[0.81, 0.0, 0.9, 0.5, 0.5, 0.5])
    assert change_colors(picture(), chosen, jitter).tobytes() != picture().tobytes()
    assert change_colors(picture(), spared, jitter).tobytes() == picture().tobytes()


def test_small_and_grey_images_can_be_changed():
    small = picture().convert("L").resize((4, 4))
    everything = {
        "color_jitter": dict.fromkeys(augmentation.COLORS, 0.3),
        "grey": 1.0,
        "blur": 1.0,
        "solarize": 1.0,
    }
    changed = change_colors(small, picture_draws(), everything)
    assert changed.mode == "L"
    assert changed.size == (4, 4)


def test_which_changes_are_made_picture_by_picture():
    assert not changes_pictures({"shift": 1.0, "flip": True, "lighting": 0.1})
    assert not changes_pictures({"crop": None, "grey": 0.0})
    assert changes_pictures({"crop": [0.08, 1.0]})
    assert changes_pictures({"solarize": 0.2})


def test_lighting_adds_one_color_along_the_components():
    count = 4000
    given = torch.rand(
        count,
        augmentation.PICTURE_DRAWS,
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    x = torch.full((count, 3, 2, 2), 0.5)
    lit = augmentation.add_lighting(x, given, 0.05)
    added = (lit - x).double()
    torch.testing.assert_close(added, added[:, :, :1, :1].expand_as(added))
    colors = added[:, :, 0, 0]
    vectors = torch.tensor(augmentation.COLOR_EIGENVECTORS, dtype=torch.float64)
    # The published vectors are rounded to four digits.
    torch.testing.assert_close(
        vectors.T @ vectors, torch.eye(3, dtype=torch.float64), atol=2e-3, rtol=0
    )
    along = colors @ vectors
    expected = 0.05 * torch.tensor(augmentation.COLOR_EIGENVALUES, dtype=torch.float64)
    torch.testing.assert_close(along.std(dim=0), expected, rtol=0.04, atol=0)
    assert along.mean(dim=0).abs().max() < 0.05 * expected.max()
    zero = augmentation.add_lighting(x[:1], torch.zeros_like(given[:1]), 0.05)
    assert zero.isfinite().all()
    bright = augmentation.add_lighting(torch.ones_like(x), given, 5.0)
    assert bright.min() >= 0.0 and bright.max() <= 1.0
