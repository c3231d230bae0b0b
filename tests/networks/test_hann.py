"""Hann pooling: its kernel, its sizes, and what it does to stripes that alias."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from metamers.networks.hann import HannPool2d, hann_taps, same_padding


@pytest.mark.parametrize("size", [3, 8, 9, 12, 17])
def test_taps_are_the_inner_points_of_the_window(size):
    window = np.hanning(size)
    np.testing.assert_allclose(window[[0, -1]], 0, atol=1e-15)
    expected = window[1:-1] / window[1:-1].sum()
    np.testing.assert_allclose(hann_taps(size).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("size", "stride", "padding", "shape"),
    [(17, 4, 5, (55, 55)), (9, 2, 2, (27, 27)), (8, 2, None, (28, 28))],
)
def test_is_a_strided_convolution_of_each_channel(size, stride, padding, shape):
    generator = torch.Generator().manual_seed(0)
    length = {17: 224, 9: 55, 8: 55}[size]
    x = torch.randn(2, 3, length, length, generator=generator, dtype=torch.float64)
    taps = torch.from_numpy(np.hanning(size)[1:-1])
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    if padding is None:
        before, after = same_padding(length, size - 2, stride)
        padded = functional.pad(x, (before, after, before, after))
    else:
        padded = functional.pad(x, (padding,) * 4)
    expected = functional.conv2d(
        padded, kernel.expand(3, 1, -1, -1), stride=stride, groups=3
    )
    found = HannPool2d(size, stride, padding)(x)
    assert found.shape[-2:] == shape
    torch.testing.assert_close(found, expected)


def attenuation(size, stride, frequency, axis):
    """Return what is left of stripes of a frequency (cycles a sample), in dB."""
    phase = 2 * math.pi * frequency * torch.arange(240, dtype=torch.float64)
    edge = 4 * size // stride
    power = 0.0
    for wave in (torch.cos(phase), torch.sin(phase)):
        x = wave.view((1, 1, -1, 1) if axis == 0 else (1, 1, 1, -1))
        pooled = HannPool2d(size, stride)(x.expand(1, 1, 240, 240))
        power = power + pooled[0, 0, edge:-edge, edge:-edge] ** 2
    return 10 * math.log10(float(power.max()))


@pytest.mark.parametrize("axis", [0, 1])
def test_stripes_above_nyquist_are_attenuated_by_24_db(axis):
    for stride in (2, 3):
        window = np.hanning(4 * stride)
        for frequency in np.linspace(0.5 / stride, 0.5, 12):
            found = attenuation(4 * stride, stride, float(frequency), axis)
            assert found < -24.0
            wave = np.exp(-2j * np.pi * frequency * np.arange(len(window)))
            expected = abs(window @ wave) / window.sum()
            assert 10 ** (found / 20) == pytest.approx(expected, abs=1e-9)
    # Stripes that the coarse grid can carry pass.
    assert attenuation(8, 2, 0.02, axis) > -1.0


def test_flat_images_stay_flat_inside():
    x = torch.full((1, 2, 32, 40), 0.7)
    pooled = HannPool2d((8, 12), (2, 3))(x)
    assert pooled.shape == (1, 2, 16, 14)
    inside = pooled[..., 3:-3, 3:-3]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.7))


def test_size_three_is_a_plain_stride():
    x = torch.rand(1, 1, 9, 9)
    torch.testing.assert_close(HannPool2d(3, 2)(x), x[..., ::2, ::2])
    with pytest.raises(ValueError, match="sizes begin at 3"):
        HannPool2d(2, 1)


def test_works_after_inference_mode_and_in_both_precisions():
    pool = HannPool2d(8, 2)
    x = torch.rand(1, 1, 16, 16)
    with torch.inference_mode():
        first = pool(x)
    leaf = x.clone().requires_grad_()
    output = pool(leaf)
    output.sum().backward()
    torch.testing.assert_close(output.detach(), first.clone())
    assert leaf.grad.any()
    assert pool(x.double()).dtype == torch.float64
    double = torch.rand(1, 2, 5, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(pool, (double,))


@pytest.mark.parametrize(
    ("length", "taps", "stride"), [(55, 6, 2), (25, 7, 1), (9, 2, 4)]
)
def test_same_padding_puts_the_odd_zero_last(length, taps, stride):
    before, after = same_padding(length, taps, stride)
    assert 0 <= after - before <= 1
    outputs = (length + before + after - taps) // stride + 1
    assert outputs == math.ceil(length / stride)
