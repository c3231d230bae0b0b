"""The cochleagram against its published numbers and a slow, plain implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from metamers.errors import StudyError
from metamers.networks.cochleagram import (
    Cochleagram,
    compress,
    envelopes,
    erb_number,
    filterbank,
    lowpass_kernel,
    odd_taps,
)

SMALL = {
    "sample_rate": 8000,
    "duration": 0.2,
    "low": 50.0,
    "high": 4000.0,
    "filters": 5,
    "sample_factor": 2,
}


def slow_cochleagram(
    x,
    *,
    sample_rate,
    duration,
    low,
    high,
    filters,
    sample_factor,
    envelope_rate=200.0,
    lowpass_seconds=0.05005,
    kaiser_beta=5.0,
    half_sample_shift=True,
    envelope_scale=1.0,
    compression=0.3,
    compression_offset=1e-8,
):
    """Follow the description step by step, one band, frame and tap at a time."""

    def erb(f):
        return 9.265 * math.log(1 + f / (24.7 * 9.265))

    samples = len(x)
    step = sample_rate / samples
    spectrum = np.fft.fft(x)[: samples // 2 + 1]
    count = sample_factor * (filters + 1) - 1
    spacing = (erb(high) - erb(low)) / (count + 1)
    centers = [erb(low) + (i + 1) * spacing for i in range(count)]

    def bandpass(i, f):
        distance = erb(f) - centers[i]
        inside = abs(distance) < sample_factor * spacing
        scaled = math.pi * distance / (2 * sample_factor * spacing)
        return math.cos(scaled) if inside else 0.0

    def row(r, f):
        if r < sample_factor:
            return math.sqrt(1 - bandpass(r, f) ** 2) * (erb(f) < centers[r])
        if r < sample_factor + count:
            return bandpass(r - sample_factor, f)
        i = r - 2 * sample_factor
        return math.sqrt(1 - bandpass(i, f) ** 2) * (erb(f) > centers[i])

    stride = round(sample_rate / envelope_rate)
    taps = round(lowpass_seconds * sample_rate)
    taps += 1 - taps % 2
    window = np.kaiser(taps, kaiser_beta)
    start = -taps / 2 if half_sample_shift else -(taps - 1) / 2
    kernel = [np.sinc((start + t) / stride) / stride * window[t] for t in range(taps)]
    result = []
    for r in range(count + 2 * sample_factor):
        padded = np.zeros(samples, dtype=complex)
        for k in range(samples // 2 + 1):
            response = row(r, k * step) / math.sqrt(sample_factor)
            padded[k] = spectrum[k] * response
        signal = np.fft.ifft(padded)
        envelope = np.sqrt(np.maximum(signal.real**2 + signal.imag**2, 1e-16))
        frames = []
        for begin in range(0, samples - taps + 1, stride):
            value = sum(envelope[begin + t] * kernel[t] for t in range(taps))
            value = max(envelope_scale * value, 0.0) + compression_offset
            frames.append(value**compression)
        result.append(frames)
    return np.array(result)


@pytest.fixture(scope="module")
def sounds():
    generator = torch.Generator().manual_seed(11)
    return 0.1 * torch.randn(2, 1600, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"half_sample_shift": False, "sample_factor": 3, "kaiser_beta": 2.0},
        {"envelope_rate": 400.0, "envelope_scale": 796.874, "compression": 0.5},
        {"duration": 0.199875, "low": 20.0, "high": 3000.0},  # an odd number of samples
        {"lowpass_seconds": 0.045, "duration": 0.19},
    ],
    ids=["published", "centered", "rates", "odd length", "other taps"],
)
def test_agrees_with_the_slow_implementation(sounds, changes):
    settings = {**SMALL, **changes}
    front_end = Cochleagram(**settings).double()
    # Buffers are float32; double precision needs the responses computed afresh.
    samples = front_end.samples
    exact = filterbank(
        samples,
        8000,
        *(settings[k] for k in ("low", "high")),
        settings["filters"],
        settings["sample_factor"],
    )[0]
    front_end.responses = torch.from_numpy(exact)
    x = sounds[:, :samples]
    expected = np.stack([slow_cochleagram(row.numpy(), **settings) for row in x])
    found = front_end(x)[:, 0].numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-7)
    single = Cochleagram(**settings)(x.float())[:, 0].numpy()
    np.testing.assert_allclose(single, expected, rtol=2e-3, atol=1e-4)


def test_published_dimensions_and_centers():
    front_end = Cochleagram(sample_rate=20000, duration=2.0)
    assert (front_end.rows, front_end.frames) == (211, 390)
    assert front_end(torch.zeros(1, 40000)).shape == (1, 1, 211, 390)
    assert len(front_end.centers) == 203
    assert front_end.centers[0] == pytest.approx(54.97, abs=0.005)
    assert front_end.centers[-1] == pytest.approx(9820.96, abs=0.005)
    spacing = np.diff(erb_number(front_end.centers))
    np.testing.assert_allclose(spacing, 0.16360, atol=1e-5)


@pytest.fixture(scope="module")
def published():
    """Return the front end of Feather et al. 2023."""
    return Cochleagram(sample_rate=20000, duration=2.0)


def test_published_filters_are_flat_and_in_order(published):
    responses = published.responses.double()
    assert responses.shape == (211, 20001)
    total = responses.square().sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)
    # A band is open at four spacings from its center, where its fourth neighbor peaks.
    frequency = np.arange(20001) * 0.5
    reach = 4 * 0.16360
    for band in (0, 101, 202):
        inside = frequency[(responses[4 + band] > 0).numpy()]
        erbs = erb_number(inside) - erb_number(published.centers[band])
        assert -reach - 1e-3 < erbs[0] < 0 < erbs[-1] < reach + 1e-3
    # At 0 Hz no band is open. At 10 kHz the last three are, one to three spacings
    # above their centers, and what they leave is in the high-pass filters.
    lowest = torch.zeros(211, dtype=torch.float64)
    lowest[:4] = 0.5
    torch.testing.assert_close(responses[:, 0], lowest)
    angle = torch.pi / 8 * torch.arange(4, 0, -1, dtype=torch.float64)
    highest = torch.zeros(211, dtype=torch.float64)
    highest[-7:-4] = angle[1:].cos() / 2
    highest[-4:] = angle.sin() / 2
    torch.testing.assert_close(responses[:, -1], highest, rtol=0, atol=1e-6)


def test_published_envelope_has_half_the_amplitude_of_its_tone(published):
    frequency = float(published.centers[100])
    tone = 0.1 * torch.sin(2 * torch.pi * frequency * torch.arange(40000) / 20000)
    envelope = envelopes(tone[None], published.responses, published.kernel, 390)[0]
    assert envelope[:, 195].argmax() == 104
    # One of four overlapping bands peaks at 1 / sqrt(4); squares of all sum to 1.
    assert envelope[104, 195] == pytest.approx(0.1 / 2 / 2, rel=0.01)
    assert envelope[:, 195].square().sum().sqrt() == pytest.approx(0.1 / 2, rel=0.01)


def test_published_downsampling_filter_is_half_a_sample_off_center(published):
    kernel = published.kernel.flatten()[:1001].double().numpy()
    assert published.kernel.shape == (11, 100)
    assert not published.kernel.flatten()[1001:].any()
    sinc = kernel / np.kaiser(1001, 5.0)
    time = np.arange(1001) - 500.5
    np.testing.assert_allclose(sinc, np.sinc(time / 100) / 100, rtol=0, atol=1e-8)
    # The window is centered, the sinc is not: it has no middle sample.
    assert sinc[500] == pytest.approx(sinc[501], rel=1e-6)
    assert kernel[500] > kernel[501]


def test_published_gradient_is_clipped_where_envelopes_are_below_0_018(published):
    noise = torch.randn(1, 40000, generator=torch.Generator().manual_seed(5))
    quiet, loud = (
        level * noise / noise.square().mean().sqrt() for level in (0.01, 0.5)
    )
    gradients = {}
    for name, x in (("quiet", quiet), ("loud", loud)):
        x.requires_grad_()
        envelope = envelopes(x, published.responses, published.kernel, 390)
        assert (envelope.max() < 0.0179) == (name == "quiet")
        (plain,) = torch.autograd.grad(envelope.sum(), x)
        (compressed,) = torch.autograd.grad(published(x).sum(), x)
        assert torch.isfinite(compressed).all()
        gradients[name] = compressed, 5.0 * plain
    torch.testing.assert_close(*gradients["quiet"], rtol=1e-4, atol=1e-4)
    compressed, clipped = gradients["loud"]
    assert (compressed - clipped).norm() > 0.1 * clipped.norm()


def test_published_gradient_at_silence_and_at_the_initial_noise(published):
    noise = 1e-7 * torch.randn(1, 40000, generator=torch.Generator().manual_seed(0))
    for x in (torch.zeros(1, 40000), noise):
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(published(x).square().sum(), x)
        assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
    silence = published(torch.zeros(1, 40000))
    # Nothing but the floor of the magnitudes and the offset is left.
    assert silence.max() < (1e-8 + 1.1e-8) ** 0.3
    assert silence.min() > 1e-8**0.3


def test_front_end_of_2019(published):
    front_end = Cochleagram(
        sample_rate=20000, duration=2.0, low=20.0, high=8000.0, envelope_scale=796.874
    )
    assert (front_end.rows, front_end.frames) == (211, 390)
    assert len(front_end.centers) == 203
    spacing = (erb_number(8000.0) - erb_number(20.0)) / 204
    expected = erb_number(20.0) + spacing * np.arange(1, 204)
    np.testing.assert_allclose(erb_number(front_end.centers), expected, rtol=1e-9)
    total = front_end.responses.square().sum(0)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)
    x = 0.1 * torch.randn(1, 40000, generator=torch.Generator().manual_seed(5))
    envelope = envelopes(x, front_end.responses, front_end.kernel, 390)[:, None]
    scaled = (796.874 * envelope.clamp_min(0) + 1e-8) ** 0.3
    torch.testing.assert_close(front_end(x), scaled)
    silence = torch.zeros(1, 40000, requires_grad=True)
    (gradient,) = torch.autograd.grad(front_end(silence).sum(), silence)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(("filters", "factor"), [(50, 4), (10, 2), (8, 1)])
def test_squared_responses_sum_to_one(filters, factor):
    responses, centers = filterbank(8000, 20000, 50.0, 10000.0, filters, factor)
    np.testing.assert_allclose((responses**2).sum(0), 1.0, atol=1e-12)
    assert len(responses) == len(centers) + 2 * factor
    assert responses.min() >= 0
    # A band is open at its ends and peaks at its center.
    peak = responses[factor:-factor].argmax(1) * 20000 / 8000
    np.testing.assert_allclose(peak, centers, atol=2.5)


def test_a_tone_is_loudest_in_its_own_row():
    front_end = Cochleagram(
        sample_rate=8000, duration=0.6, high=4000.0, filters=10, sample_factor=2
    )
    time = torch.arange(4800) / 8000
    for band in (6, 12, 17):
        tone = 0.1 * torch.sin(2 * torch.pi * front_end.centers[band] * time)
        rows = front_end(tone[None])[0, 0, :, 20:-20].mean(1)
        assert rows.argmax() == band + 2
    # Half the usual envelope, split between bands whose squares sum to one.
    envelope = envelopes(tone[None], front_end.responses, front_end.kernel, 110)
    total = envelope[0, :, 50].square().sum().sqrt()
    assert total == pytest.approx(0.05, rel=0.01)


def test_lowpass_kernel():
    published = lowpass_kernel(1001, 100, 5.0, half_sample_shift=True)
    assert published.shape == (1001,)
    assert published.sum() == pytest.approx(1.0, abs=0.01)
    assert not np.allclose(published, published[::-1])
    centered = lowpass_kernel(1001, 100, 5.0, half_sample_shift=False)
    np.testing.assert_allclose(centered, centered[::-1])
    assert centered[500] == pytest.approx(1 / 100)
    assert odd_taps(0.05005, 20000) == 1001
    assert odd_taps(0.05005, 8000) == 401
    assert odd_taps(0.05, 8000) % 2 == 1


def test_gradient_is_finite_at_silence_and_at_the_initial_noise():
    front_end = Cochleagram(**SMALL)
    noise = 1e-7 * torch.randn(1, 1600, generator=torch.Generator().manual_seed(0))
    for x in (torch.zeros(1, 1600), noise):
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(front_end(x).square().sum(), x)
        assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_no_gradient_below_the_floor():
    front_end = Cochleagram(**SMALL)
    x = torch.full((1, 1600), 1e-11, requires_grad=True)
    output = envelopes(x, front_end.responses, front_end.kernel, front_end.frames)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert gradient.abs().max() == 0


def test_gradient_of_the_envelopes_in_double_precision():
    # Odd and even lengths: with and without a bin at the Nyquist frequency.
    generator = torch.Generator().manual_seed(2)
    for samples in (40, 41):
        responses = torch.rand(3, samples // 2 + 1, generator=generator).double()
        kernel = torch.randn(3, 5, generator=generator).double()
        x = torch.randn(2, samples, generator=generator).double().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x, r=responses, k=kernel: envelopes(x, r, k, 6), (x,)
        )


def test_gradient_agrees_with_plain_autograd(sounds):
    front_end = Cochleagram(**SMALL).double()
    samples = front_end.samples

    def plain(x):
        spectrum = torch.fft.rfft(x)[:, None] * front_end.responses
        rest = samples - spectrum.shape[-1]
        signal = torch.fft.ifft(torch.nn.functional.pad(spectrum, (0, rest)))
        power = signal.real**2 + signal.imag**2
        envelope = torch.sqrt(torch.clamp(power, min=1e-16))
        kernel = front_end.kernel.reshape(1, 1, -1)[..., :401]
        rows = envelope.reshape(-1, 1, samples)
        return torch.nn.functional.conv1d(rows, kernel, stride=40)

    x = sounds.clone().requires_grad_()
    ours = envelopes(x, front_end.responses, front_end.kernel, front_end.frames)
    weight = torch.randn(
        ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
    )
    expected = plain(x).view_as(ours)
    torch.testing.assert_close(ours, expected)
    (gradient,) = torch.autograd.grad((ours * weight).sum(), x)
    (by_autograd,) = torch.autograd.grad((expected * weight).sum(), x)
    torch.testing.assert_close(gradient, by_autograd)


def test_compression_and_its_clipped_gradient():
    x = torch.tensor([-0.5, 0.0, 1e-4, 0.0179, 0.0181, 0.1, 2.0], dtype=torch.float64)
    x.requires_grad_()
    y = compress(x, 0.3, 1e-8, 5.0)
    base = x.detach().clamp(min=0) + 1e-8
    torch.testing.assert_close(y, base**0.3)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    # Identity through the rectification, clipped below 0.018.
    assert gradient[:4].tolist() == [5.0] * 4
    torch.testing.assert_close(gradient[4:], 0.3 * base[4:] ** -0.7)
    assert gradient[4] < 5.0
    z = torch.linspace(0.1, 2, 5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: compress(z, 0.3, 1e-8, 5.0), (z,))


def test_sounds_of_a_batch_do_not_touch_each_other(sounds):
    front_end = Cochleagram(**SMALL)
    together = front_end(sounds.float())
    for sound, expected in zip(sounds.float(), together, strict=True):
        torch.testing.assert_close(front_end(sound[None])[0], expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high": 5000.0}, "high 5000.0 Hz must satisfy.*4000 Hz"),
        ({"low": 0.0}, "low 0.0 Hz"),
        ({"envelope_rate": 300.0}, "does not divide the sample rate 8000"),
        ({"lowpass_seconds": 0.3}, "2401 taps.*1600 samples"),
        ({"filters": 0}, "at least 1"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(StudyError, match=message):
        Cochleagram(**{**SMALL, **changes})


def test_sounds_of_another_length_are_refused():
    with pytest.raises(StudyError, match=r"\(n, 1600\).*\(1, 1500\)"):
        Cochleagram(**SMALL)(torch.zeros(1, 1500))
