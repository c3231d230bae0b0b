"""Augmentations against transforms that can be had exactly in another way."""

import numpy as np
import pytest
import torch

from metamers.training.augmentation import augment_images, excerpts, shift_sounds


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
