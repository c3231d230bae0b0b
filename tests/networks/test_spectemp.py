"""SpecTemp against its definition in the full two-dimensional spectrum."""

import numpy as np
import pytest
import torch

from metamers.errors import StudyError
from metamers.networks.cochleagram import Cochleagram
from metamers.networks.network import Network, SoundPreprocessing
from metamers.networks.spectemp import (
    SPECTRAL_RATES,
    TEMPORAL_RATES,
    ModulationFilters,
    Power,
    SpecTemp,
    spectral_responses,
    temporal_responses,
)
from metamers.networks.stages import FRONT_END, StageForward, describe
from metamers.randomness import torch_generator

SMALL = {
    "classes": 5,
    "rows": 24,
    "frames": 60,
    "temporal_rates": [0, 2, 8],
    "spectral_rates": [0, 0.25, 1],
}
STAGES = ("filtered_signal", "spectempfilter_power", "avgpool", "final")


def small(**changes) -> SpecTemp:
    return SpecTemp(**{**SMALL, **changes}).eval().requires_grad_(False)


def cochleagrams(count: int = 2, rows: int = 24, frames: int = 60) -> torch.Tensor:
    generator = torch_generator(0, "cochleagrams")
    return torch.rand(count, 1, rows, frames, generator=generator)


def index_of(filters: ModulationFilters, temporal: float, spectral: float) -> int:
    rates = [tuple(pair) for pair in filters.filter_rates.tolist()]
    assert rates.count((temporal, spectral)) == 1
    return rates.index((temporal, spectral))


def test_there_are_63_and_48_filters():
    filters = SpecTemp().filtered_signal
    rates = [tuple(pair) for pair in filters.filter_rates.tolist()]
    assert len(rates) == len(set(rates)) == 111
    down = [(t, s) for t in TEMPORAL_RATES for s in SPECTRAL_RATES]
    assert rates[:63] == down
    assert rates[63:] == [(-t, s) for t, s in down if t and s]
    assert len(rates[63:]) == 48


def test_temporal_responses():
    responses = temporal_responses(TEMPORAL_RATES, 1170, 200.0)
    assert responses.shape == (9, 586)
    magnitude = np.abs(responses)
    np.testing.assert_allclose(magnitude.max(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(responses[0], np.eye(1, 586)[0])
    np.testing.assert_allclose(magnitude[1:, 0], 0, atol=1e-12)
    frequency = np.fft.rfftfreq(1170, 1 / 200)
    for rate, one in zip(TEMPORAL_RATES[1:], magnitude[1:], strict=True):
        assert frequency[one.argmax()] == pytest.approx(rate, rel=0.06, abs=0.18)
    np.testing.assert_allclose(magnitude[8, frequency >= 66], 1, rtol=1e-12)
    assert (magnitude[7, -50:] < 0.1).all()
    # The phase is that of the gamma-like impulse response, whose response is closed.
    time, rate = np.arange(1170) / 200, 4.0
    impulse = np.sin(2 * np.pi * rate * time) * (rate * time) ** 2
    expected = np.fft.rfft(impulse * np.exp(-3.5 * rate * time))[1:]
    expected /= np.abs(expected).max()
    np.testing.assert_allclose(responses[4, 1:], expected, atol=1e-9)


@pytest.mark.parametrize("rows", [422, 45])
def test_spectral_responses(rows):
    responses = spectral_responses(SPECTRAL_RATES, rows, 6.0)
    assert responses.shape == (7, rows)
    np.testing.assert_array_equal(responses.max(1), 1)
    np.testing.assert_array_equal(responses[0], np.eye(1, rows)[0])
    np.testing.assert_array_equal(responses[1:, 0], 0)
    np.testing.assert_array_equal(responses[:, 1:], responses[:, :0:-1])
    frequency = np.abs(np.fft.fftfreq(rows, 1 / 6))
    for rate, one in zip(SPECTRAL_RATES[1:], responses[1:], strict=True):
        assert frequency[one.argmax()] == pytest.approx(rate, abs=6 / rows)
    ratio = (frequency / 0.5) ** 2
    shape = ratio * np.exp(1 - ratio)
    np.testing.assert_allclose(responses[4], shape / shape.max(), rtol=1e-12)
    above = frequency >= frequency[responses[6].argmax()]
    np.testing.assert_array_equal(responses[6][above], 1)
    assert responses[5][frequency > 2.9].max() < 0.01


def full_response(temporal: float, spectral: float, shape, top) -> np.ndarray:
    """Return a filter in the whole plane: spectral times temporal, two quadrants."""
    rows, frames = shape
    frequency, rate = np.fft.fftfreq(rows, 1 / 6), np.fft.fftfreq(frames, 1 / 200)
    if temporal == 0:
        over_time = (rate == 0).astype(complex)
    else:
        cycles = abs(temporal) * np.arange(frames) / 200
        impulse = np.sin(2 * np.pi * cycles) * cycles**2 * np.exp(-3.5 * cycles)
        response = np.fft.fft(impulse - impulse.mean())
        magnitude = np.abs(response) / np.abs(response).max()
        if abs(temporal) == top[0]:
            peak = np.abs(rate[magnitude.argmax()])
            magnitude[np.abs(rate) >= peak] = 1
        over_time = magnitude * np.exp(1j * np.angle(response))
    if spectral == 0:
        over_frequency = (frequency == 0).astype(float)
    else:
        ratio = (frequency / spectral) ** 2
        over_frequency = ratio * np.exp(-ratio)
        over_frequency /= over_frequency.max()
        if spectral == top[1]:
            peak = np.abs(frequency[over_frequency.argmax()])
            over_frequency[np.abs(frequency) >= peak] = 1
    plane = over_frequency[:, None] * over_time
    if temporal and spectral:
        quadrant = np.sign(frequency)[:, None] * np.sign(rate)
        plane[quadrant * np.sign(temporal) < 0] = 0
    return plane


@pytest.mark.parametrize(("rows", "frames"), [(24, 61), (23, 60)])
def test_the_output_is_the_real_part_of_the_filtered_plane(rows, frames):
    filters = small(rows=rows, frames=frames).filtered_signal.double()
    x = cochleagrams(1, rows, frames).double()
    found = filters(x)[0].numpy()
    padded = (2 * rows, 3 * frames)
    spectrum = np.fft.fft2(x[0, 0].numpy(), s=padded)
    assert found.shape == (13, rows, frames)
    for rates, one in zip(filters.filter_rates.tolist(), found, strict=True):
        plane = full_response(*rates, padded, (8, 1))
        if padded[1] % 2 == 0 and rates[0] * rates[1]:
            # One bin is at the highest rate of both axes, where sweeps of the two
            # directions are the same: half of it goes to each.
            high = full_response(abs(rates[0]), rates[1], padded, (8, 1))
            plane[rows, padded[1] // 2] = 0.5 * high[rows, padded[1] // 2]
        expected = np.fft.ifft2(spectrum * plane)[:rows, :frames].real
        np.testing.assert_allclose(one, expected, atol=2e-6 * np.abs(expected).max())


def ripple(direction: float) -> torch.Tensor:
    """Return a ripple of 8 Hz and 0.5 cycles/ERB that moves up (1) or down (-1)."""
    time, erb = torch.arange(390) / 200, torch.arange(211)[:, None] / 6
    return torch.cos(2 * np.pi * (8 * time - direction * 0.5 * erb))[None, None]


def test_a_moving_ripple_excites_the_filters_of_its_direction():
    filters = SpecTemp().filtered_signal
    for moving, with_it, against_it in ((1, -8.0, 8.0), (-1, 8.0, -8.0)):
        filtered = filters(ripple(moving))[0, :, 60:150, 150:300]
        power = filtered.square().mean((1, 2))
        matched = index_of(filters, with_it, 0.5)
        assert int(power.argmax()) == matched
        assert power[matched] > 0.4  # of 0.5, the ripple's own
        assert power[index_of(filters, against_it, 0.5)] < 1e-3 * power[matched]
        assert power[index_of(filters, with_it / 8, 0.5)] < 0.1 * power[matched]


def test_rate_0_passes_the_mean_only():
    filters = small().filtered_signal
    x = cochleagrams(1)
    filtered = filters(x)[0]
    mean = x.sum() / (48 * 180)
    constant = filtered[index_of(filters, 0, 0)]
    torch.testing.assert_close(constant, mean.expand(24, 60))
    still = filtered[index_of(filters, 0, 1)]
    torch.testing.assert_close(still, still[:, :1].expand(24, 60), atol=1e-6, rtol=0)
    flat = filtered[index_of(filters, 8, 0)]
    torch.testing.assert_close(flat, flat[:1].expand(24, 60), atol=1e-6, rtol=0)


def test_the_output_is_linear_and_keeps_stimuli_apart():
    filters = small().filtered_signal.double()
    x = cochleagrams(3).double()
    together = filters(x)
    torch.testing.assert_close(filters(2 * x[1:2] - x[:1])[0],
                               2 * together[1] - together[0])  # fmt: skip
    torch.testing.assert_close(filters(x[2:])[0], together[2], rtol=1e-9, atol=1e-12)


def test_the_stages_follow_from_one_another():
    network = small()
    x = cochleagrams()
    filtered = network.filtered_signal(100 * x)
    power = network.spectempfilter_power(filtered)
    torch.testing.assert_close(power, (filtered**2).clamp_min(1e-8))
    pooled = network.avgpool(power)
    torch.testing.assert_close(pooled, power.mean(3))
    weight, bias = network.final.weight, network.final.bias
    expected = pooled.flatten(1) @ weight.T + bias
    torch.testing.assert_close(network(x), expected)
    assert (Power(torch.zeros(1, 2), 1e-8)(torch.zeros(1, 1, 2, 2)) == 1e-8).all()
    for stage in (network.filtered_signal, network.spectempfilter_power):
        assert torch.equal(stage.filter_rates, network.filtered_signal.filter_rates)
        assert len(stage.filter_rates) == filtered.shape[1]


def test_the_published_network_has_its_stages():
    front_end = Cochleagram(sample_rate=20000, duration=2.0)
    network = Network(SoundPreprocessing(front_end), SpecTemp())
    network = network.eval().requires_grad_(False)
    x = 0.1 * torch.randn(1, 40000, generator=torch_generator(0, "sound"))
    stages = {stage: stage for stage in (FRONT_END, *STAGES)}
    found = {stage.name: stage for stage in describe(network, stages, x)}
    shapes = {name: stage.shape for name, stage in found.items()}
    assert shapes == {
        FRONT_END: (1, 211, 390),
        "filtered_signal": (111, 211, 390),
        "spectempfilter_power": (111, 211, 390),
        "avgpool": (111, 211),
        "final": (794,),
    }
    assert network.body.final.in_features == 23421
    assert {stage.gradient for stage in found.values()} == {"plain"}
    assert [name for name, _ in SpecTemp().named_parameters()] == [
        "final.weight",
        "final.bias",
    ]
    assert set(SpecTemp().state_dict()) == {"final.weight", "final.bias"}


@pytest.mark.parametrize("stage", STAGES)
def test_the_gradient_reaches_the_cochleagram(stage):
    network = Network(torch.nn.Identity(), small().double())
    forward = StageForward(network, stage)
    x = cochleagrams(1).double().requires_grad_()
    weight = forward.inspect(x)
    (gradient,) = torch.autograd.grad((forward(x) * weight).sum(), x)
    step = torch.zeros_like(x)
    step[0, 0, 11, 25] = 1e-6
    difference = (forward(x + step) - forward(x - step)) * weight / 2e-6
    assert gradient[0, 0, 11, 25].item() == pytest.approx(
        difference.sum().item(), rel=1e-5
    )


def test_a_change_of_dtype_keeps_the_phase():
    network, x = small(), cochleagrams()
    expected = network(x)
    changed = small().to(dtype=torch.float64)
    changed.load_state_dict(network.state_dict())
    torch.testing.assert_close(changed(x.double()).float(), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temporal_rates": [0, 8, 2]}, r"temporal_rates \[0, 8, 2\].*100 Hz"),
        ({"temporal_rates": [0, 100]}, "stay below 100 Hz"),
        ({"spectral_rates": [-1, 2]}, "spectral_rates.*rise from 0 or more"),
        ({"spectral_rates": []}, "3 cycles per ERB"),
    ],
)
def test_rates_out_of_range_are_refused(changes, message):
    with pytest.raises(StudyError, match=message):
        small(**changes)


def test_a_cochleagram_of_another_size_says_which_arguments_to_set():
    with pytest.raises(StudyError, match=r"\(24, 60\).*\(24, 61\).*rows and frames"):
        small()(cochleagrams(1, 24, 61))
