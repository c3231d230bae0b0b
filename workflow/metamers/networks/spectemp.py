"""SpecTemp: spectrotemporal modulation filters on a cochleagram, and a linear read-out.

The cortical model of Chi, Ru & Shamma (2005): each filter passes a temporal rate, a
spectral rate and, where neither is 0, one direction of frequency sweeps (Feather et
al. 2023, Methods; the study's released code, audio_models/spectemp_filts.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from metamers.errors import StudyError

TEMPORAL_RATES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
SPECTRAL_RATES = (0.0, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0)
DOWNWARD, UPWARD = 1.0, -1.0


class SpecTemp(nn.Module):
    """Filters, their power, its mean over time, and a read-out, the one trained part.

    Parameters
    ----------
    classes
        Number of logits.
    rows, frames
        Of the cochleagram.
    temporal_rates
        Of the filters, Hz, rising; the last filter is a high-pass.
    spectral_rates
        Of the filters, cycles per ERB, rising; the last filter is a high-pass.
    frame_rate
        Of the cochleagram, Hz.
    rows_per_erb
        Of the cochleagram; the study takes 6 where its front end has 6.11.
    scale
        Factor on the cochleagram.
    floor
        Least power.

    Raises
    ------
    StudyError
        If a rate is out of its range.
    """

    def __init__(
        self,
        classes: int = 794,
        rows: int = 211,
        frames: int = 390,
        temporal_rates: Sequence[float] = TEMPORAL_RATES,
        spectral_rates: Sequence[float] = SPECTRAL_RATES,
        frame_rate: float = 200.0,
        rows_per_erb: float = 6.0,
        scale: float = 100.0,
        floor: float = 1e-8,
    ) -> None:
        super().__init__()
        _check("temporal_rates", temporal_rates, frame_rate, "Hz")
        _check("spectral_rates", spectral_rates, rows_per_erb, "cycles per ERB")
        self.shape = (rows, frames)
        self.scale = scale
        self.filtered_signal = ModulationFilters(
            rows, frames, temporal_rates, spectral_rates, frame_rate, rows_per_erb
        )
        rates = self.filtered_signal.filter_rates
        self.spectempfilter_power = Power(rates, floor)
        self.avgpool = TimeAverage()
        self.final = nn.Linear(len(rates) * rows, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of cochleagrams (n, 1, rows, frames)."""
        if x.shape[1:] != (1, *self.shape):
            raise StudyError(
                f"the network is made for cochleagrams of {self.shape} (rows, frames) "
                f"and the front end gives {tuple(x.shape[-2:])}; set the arguments "
                "rows and frames of the model"
            )
        power = self.spectempfilter_power(self.filtered_signal(self.scale * x))
        return self.final(self.avgpool(power).flatten(1))


class ModulationFilters(nn.Module):
    """Filter a cochleagram by modulation rates, in its two-dimensional spectrum.

    A filter is the product of a response over spectral rates and one over temporal
    rates, so that only these factors are kept. Zeros, twice the cochleagram's length
    in time and once its height, keep its ends from meeting.

    Parameters
    ----------
    rows, frames, temporal_rates, spectral_rates, frame_rate, rows_per_erb
        As for `SpecTemp`.

    Attributes
    ----------
    filter_rates
        (filters, 2): temporal rate in Hz, negative for filters of upward sweeps, and
        spectral rate in cycles per ERB. First come all rates with the filters of
        downward sweeps, then those that have a direction with upward ones; temporal
        rates change slowest.
    """

    filter_rates: Tensor
    temporal: Tensor
    still: Tensor
    downward: Tensor
    upward: Tensor

    def __init__(
        self,
        rows: int,
        frames: int,
        temporal_rates: Sequence[float],
        spectral_rates: Sequence[float],
        frame_rate: float,
        rows_per_erb: float,
    ) -> None:
        super().__init__()
        self.rows, self.frames = rows, frames
        self.padded = (2 * rows, 3 * frames)
        self.temporal_rates = tuple(temporal_rates)
        temporal = temporal_responses(temporal_rates, self.padded[1], frame_rate)
        spectral = spectral_responses(spectral_rates, self.padded[0], rows_per_erb)
        swept = spectral[[rate > 0 for rate in spectral_rates]]
        buffers = {
            # Real and imaginary parts: a change of dtype would drop the latter.
            "temporal": np.stack([temporal.real, temporal.imag], -1),
            "still": spectral,
            "downward": spectral * one_direction(self.padded[0], DOWNWARD),
            "upward": swept * one_direction(self.padded[0], UPWARD),
        }
        rates = [(t, s) for t in temporal_rates for s in spectral_rates]
        rates += [(-t, s) for t, s in rates if t > 0 and s > 0]
        buffers["filter_rates"] = np.array(rates)
        for name, values in buffers.items():
            buffer = torch.from_numpy(values.astype(np.float32))
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, filters, rows, frames) of a cochleagram (n, 1, rows, frames)."""
        spectrum = torch.fft.rfft2(x, s=self.padded)
        responses = list(
            zip(self.temporal_rates, torch.view_as_complex(self.temporal), strict=True)
        )
        still, downward, upward = (
            torch.fft.ifft(spectrum * bank[:, :, None], dim=-2)[..., : self.rows, :]
            for bank in (self.still, self.downward, self.upward)
        )
        filtered = [
            self._over_time(downward if rate > 0 else still, response)
            for rate, response in responses
        ]
        filtered += [
            self._over_time(upward, response)
            for rate, response in responses
            if rate > 0
        ]
        return torch.cat(filtered, 1)

    def _over_time(self, x: Tensor, response: Tensor) -> Tensor:
        filtered = torch.fft.irfft(x * response, n=self.padded[1])
        return filtered[..., : self.frames]


def temporal_responses(
    rates: Sequence[float], frames: int, frame_rate: float
) -> np.ndarray:
    """Return the filters' responses over temporal rates.

    Parameters
    ----------
    rates
        Best rates, Hz.
    frames
        Length of the transform.
    frame_rate
        Hz.

    Returns
    -------
    ndarray
        complex (rates, frames // 2 + 1), from rate 0 up; peak magnitude 1. That of
        rate 0 passes the mean only, the highest everything above its peak.
    """
    time = np.arange(frames) / frame_rate
    responses = np.zeros((len(rates), frames // 2 + 1), dtype=complex)
    for number, rate in enumerate(rates):
        if rate == 0:
            responses[number, 0] = 1
            continue
        cycles = rate * time
        impulse = np.sin(2 * np.pi * cycles) * cycles**2 * np.exp(-3.5 * cycles)
        response = np.fft.rfft(impulse - impulse.mean())
        magnitude = peak_one(np.abs(response), rate == max(rates))
        responses[number] = magnitude * np.exp(1j * np.angle(response))
    return responses


def spectral_responses(
    rates: Sequence[float], rows: int, rows_per_erb: float
) -> np.ndarray:
    """Return the filters' responses over spectral rates.

    Parameters
    ----------
    rates
        Best rates, cycles per ERB.
    rows
        Length of the transform.
    rows_per_erb
        Rows of the cochleagram per ERB.

    Returns
    -------
    ndarray
        (rates, rows), in the order of `numpy.fft.fftfreq`; peak 1, equal for positive
        and negative rates. Rate 0 and the highest as for `temporal_responses`.
    """
    frequency = np.abs(np.fft.fftfreq(rows, 1 / rows_per_erb))
    half = rows // 2 + 1  # from 0 up to half the rows per ERB
    responses = np.zeros((len(rates), rows))
    for number, rate in enumerate(rates):
        if rate == 0:
            responses[number, 0] = 1
            continue
        ratio = (frequency / rate) ** 2
        response = ratio * np.exp(-ratio)
        response[:half] = peak_one(response[:half], rate == max(rates))
        response[half:] = response[1 : rows - half + 1][::-1]
        responses[number] = response
    return responses


def peak_one(magnitude: np.ndarray, highpass: bool) -> np.ndarray:
    """Return a magnitude divided by its peak, and 1 above that for a high-pass."""
    peak = int(magnitude.argmax())
    scaled = magnitude / magnitude[peak]
    if highpass:
        scaled[peak:] = 1
    return scaled


def one_direction(rows: int, direction: float) -> np.ndarray:
    """Return what lets pass sweeps of one direction, at positive temporal rates.

    Energy of a downward sweep is where temporal and spectral rate have one sign, that
    of an upward sweep where they differ.

    Parameters
    ----------
    rows
        Length of the transform.
    direction
        `DOWNWARD` or `UPWARD`.

    Returns
    -------
    ndarray
        (rows,): 0 or 1; half at the highest rate, whose two signs are one bin.
    """
    frequency = np.fft.fftfreq(rows)
    kept = np.where(direction * frequency >= 0, 1.0, 0.0)
    if rows % 2 == 0:
        kept[rows // 2] = 0.5
    return kept


class Power(nn.Module):
    """Square of the filtered cochleagram.

    Parameters
    ----------
    filter_rates
        Of the filters, as of `ModulationFilters`.
    floor
        Least power.
    """

    filter_rates: Tensor

    def __init__(self, filter_rates: Tensor, floor: float) -> None:
        super().__init__()
        self.floor = floor
        self.register_buffer("filter_rates", filter_rates, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor shaped as `x`, at least the floor."""
        return x.square().clamp_min(self.floor)


class TimeAverage(nn.Module):
    """Mean over frames."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, filters, rows) of (n, filters, rows, frames)."""
        return x.mean(-1)


def _check(name: str, rates: Sequence[float], sampling: float, unit: str) -> None:
    rising = all(low < high for low, high in itertools.pairwise(rates))
    if not rates or not rising or rates[0] < 0 or rates[-1] >= sampling / 2:
        raise StudyError(
            f"SpecTemp: {name} {list(rates)} must rise from 0 or more and stay below "
            f"{sampling / 2:g} {unit}, half of what the cochleagram has"
        )
