"""The cochleagram: the front end of the auditory networks, differentiable.

A sound is split by a half-cosine filterbank on an ERB-number scale; each band's
envelope is low-pass filtered, downsampled and compressed (Feather et al. 2023,
Methods; the study's released code, chcochleagram and audio_input_representations.py).

It is the larger part of the cost of an auditory network, so bands and envelopes are
one autograd function with a backward pass of its own: one complex FFT a band each
way, and a single array kept between them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from metamers.errors import StudyError

FLOOR = 1e-16  # least squared magnitude of a band: keeps the gradient at silence finite


class Cochleagram(nn.Module):
    """From sounds to cochleagrams.

    Parameters
    ----------
    sample_rate
        Of the sounds, Hz.
    duration
        Of the sounds, s.
    low, high
        Range of the center frequencies, Hz; `high` at most half the sample rate.
    filters
        Number n of filters at sample factor 1. The filterbank has (n + 1) s - 1
        band-pass, s low-pass and s high-pass filters.
    sample_factor
        Overlap s of the filters.
    envelope_rate
        Frames per second, Hz; divides the sample rate.
    lowpass_seconds
        Length of the downsampling filter, s; rounded to an odd number of samples.
    kaiser_beta
        Of the window of the downsampling filter.
    half_sample_shift
        Whether that filter stands half a sample off center, as published.
    envelope_scale
        Factor on the envelopes before compression.
    compression
        Exponent.
    compression_offset
        Added to the envelopes before compression.
    compression_gradient_limit
        The derivative of the compression is clipped to plus and minus this.

    Raises
    ------
    StudyError
        If a value is out of its range.
    """

    responses: Tensor
    kernel: Tensor

    def __init__(
        self,
        *,
        sample_rate: int,
        duration: float,
        low: float = 50.0,
        high: float = 10000.0,
        filters: int = 50,
        sample_factor: int = 4,
        envelope_rate: float = 200.0,
        lowpass_seconds: float = 0.05005,
        kaiser_beta: float = 5.0,
        half_sample_shift: bool = True,
        envelope_scale: float = 1.0,
        compression: float = 0.3,
        compression_offset: float = 1e-8,
        compression_gradient_limit: float = 5.0,
    ) -> None:
        super().__init__()
        self.samples = round(sample_rate * duration)
        self.stride = _stride(sample_rate, envelope_rate)
        taps = odd_taps(lowpass_seconds, sample_rate)
        _check(low, high, filters, sample_factor, sample_rate, self.samples, taps)
        self.frames = (self.samples - taps) // self.stride + 1
        responses, self.centers = filterbank(
            self.samples, sample_rate, low, high, filters, sample_factor
        )
        self.rows = len(responses)
        self.register_buffer("responses", _buffer(responses), persistent=False)
        kernel = lowpass_kernel(taps, self.stride, kaiser_beta, half_sample_shift)
        blocks = -(-taps // self.stride)
        padded = np.zeros(blocks * self.stride)
        padded[:taps] = kernel
        # Row j holds the taps that fall on the j-th block of `stride` samples.
        kernel_blocks = _buffer(padded.reshape(blocks, self.stride))
        self.register_buffer("kernel", kernel_blocks, persistent=False)
        self.scale = envelope_scale
        self.exponent = compression
        self.offset = compression_offset
        self.limit = compression_gradient_limit

    def forward(self, x: Tensor) -> Tensor:
        """Return cochleagrams (n, 1, rows, frames); row 0 is the lowest.

        Parameters
        ----------
        x
            Sounds (n, samples) in [-1, 1].
        """
        if x.ndim != 2 or x.shape[1] != self.samples:
            raise StudyError(
                f"the cochleagram takes sounds of shape (n, {self.samples}) and got "
                f"{tuple(x.shape)}; see sample_rate and duration"
            )
        envelope = envelopes(x, self.responses, self.kernel, self.frames)
        if self.scale != 1.0:
            envelope = self.scale * envelope
        compressed = compress(envelope, self.exponent, self.offset, self.limit)
        return compressed.unsqueeze(1)


def erb_number(frequency: np.ndarray | float) -> np.ndarray:
    """Return ERB-numbers of frequencies in Hz (Glasberg & Moore 1990)."""
    return 9.265 * np.log1p(np.asarray(frequency) / (24.7 * 9.265))


def filterbank(
    samples: int,
    sample_rate: int,
    low: float,
    high: float,
    filters: int,
    sample_factor: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the magnitude responses of the filterbank and its center frequencies.

    Parameters
    ----------
    samples, sample_rate
        Of the sounds; the responses stand at their Fourier frequencies.
    low, high, filters, sample_factor
        As for `Cochleagram`.

    Returns
    -------
    responses : ndarray
        (rows, samples // 2 + 1), in [0, 1]; at each frequency their squares sum to 1.
        Low-pass filters first, then band-pass from low to high, then high-pass.
    centers : ndarray
        Center frequencies of the band-pass filters, Hz.
    """
    frequencies = np.fft.rfftfreq(samples, 1 / sample_rate)
    bands = sample_factor * (filters + 1) - 1
    points = np.linspace(erb_number(low), erb_number(high), bands + 2)
    width = sample_factor * (points[1] - points[0])
    distance = erb_number(frequencies) - points[1:-1, None]
    bandpass = np.where(
        np.abs(distance) < width, np.cos(np.pi / 2 * distance / width), 0.0
    )
    centers = 24.7 * 9.265 * np.expm1(points[1:-1] / 9.265)
    complement = np.sqrt(1 - bandpass**2)
    below = frequencies < centers[:, None]
    above = frequencies > centers[:, None]
    lowpass = np.where(below, complement, 0.0)[:sample_factor]
    highpass = np.where(above, complement, 0.0)[bands - sample_factor :]
    rows = np.concatenate([lowpass, bandpass, highpass])
    return rows / math.sqrt(sample_factor), centers


def odd_taps(seconds: float, sample_rate: int) -> int:
    """Return a filter length as an odd number of samples, the nearest one."""
    return 2 * round((seconds * sample_rate - 1) / 2) + 1


def lowpass_kernel(
    taps: int, stride: int, kaiser_beta: float, half_sample_shift: bool
) -> np.ndarray:
    """Return the low-pass filter before downsampling: a windowed sinc.

    Parameters
    ----------
    taps
        Odd length in samples.
    stride
        Of the downsampling; the cutoff is its Nyquist frequency.
    kaiser_beta
        Of the window.
    half_sample_shift
        Whether time runs from -taps / 2, as published, rather than -(taps - 1) / 2.

    Returns
    -------
    ndarray
        (taps,), float64; correlated with the envelope, not convolved.
    """
    start = taps / 2 if half_sample_shift else (taps - 1) / 2
    time = np.arange(taps) - start
    return np.sinc(time / stride) / stride * np.kaiser(taps, kaiser_beta)


def envelopes(x: Tensor, responses: Tensor, kernel: Tensor, frames: int) -> Tensor:
    """Return the downsampled envelopes of all bands.

    The positive frequencies of a band are not doubled, so an envelope is half the
    usual Hilbert envelope.

    Parameters
    ----------
    x
        Sounds (n, samples).
    responses
        (rows, samples // 2 + 1) from `filterbank`.
    kernel
        Low-pass filter, laid out in blocks of `stride`: (blocks, stride).
    frames
        Outputs on the time axis.

    Returns
    -------
    Tensor
        (n, rows, frames); may fall slightly below 0.
    """
    return _Envelopes.apply(x, responses, kernel, frames)


class _Envelopes(torch.autograd.Function):
    """Bands, their magnitude and its strided low-pass, with one array each way.

    The analytic signal of a band is the inverse transform of its half spectrum. Its
    real and imaginary parts come from two inverse real transforms, which cost less
    than one complex one and leave contiguous parts; halving the bins between zero and
    the Nyquist frequency undoes what a real transform doubles.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, responses: Tensor, kernel: Tensor, frames: int
    ) -> Tensor:
        samples = x.shape[1]
        weighted = responses * _bin_weights(samples, responses)
        spectrum = torch.fft.rfft(x)
        real = torch.fft.irfft(spectrum[:, None] * weighted, n=samples)
        quarter = torch.complex(spectrum.imag, -spectrum.real)  # times -i
        imaginary = torch.fft.irfft(quarter[:, None] * weighted, n=samples)
        magnitude = torch.addcmul(real * real, imaginary, imaginary)
        magnitude.clamp_min_(FLOOR).sqrt_()
        ctx.save_for_backward(real, imaginary, magnitude, weighted, kernel)
        return _lowpass(magnitude, kernel, frames)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        real, imaginary, magnitude, weighted, kernel = ctx.saved_tensors
        samples = real.shape[-1]
        ratio = _lowpass_transposed(gradients[0], kernel, samples)
        ratio /= magnitude
        floor = torch.tensor(FLOOR, dtype=real.dtype, device=real.device).sqrt()
        ratio.masked_fill_(magnitude <= floor, 0.0)
        first = (torch.fft.rfft(ratio * real) * weighted).sum(1)
        second = (torch.fft.rfft(ratio.mul_(imaginary)) * weighted).sum(1)
        total = torch.complex(first.real - second.imag, first.imag + second.real)
        return torch.fft.irfft(total, n=samples), None, None, None


def compress(x: Tensor, exponent: float, offset: float, limit: float) -> Tensor:
    """Return (max(x, 0) + offset) ** exponent with a clipped derivative.

    Parameters
    ----------
    x
        Envelopes, of any shape.
    exponent, offset
        Of the power law.
    limit
        The power law's derivative is clipped to [-limit, limit]; the rectification
        has derivative 1 everywhere.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    return _Compression.apply(x, exponent, offset, limit)


class _Compression(torch.autograd.Function):
    """A rectified power law whose derivative is bounded."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, exponent: float, offset: float, limit: float
    ) -> Tensor:
        base = x.clamp_min(0).add_(offset)
        ctx.save_for_backward(base)
        ctx.exponent, ctx.limit = exponent, limit
        return base.pow(exponent)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        (base,) = ctx.saved_tensors
        slope = base.pow(ctx.exponent - 1).mul_(ctx.exponent)
        slope.clamp_(-ctx.limit, ctx.limit)
        return slope.mul_(gradients[0]), None, None, None


def _lowpass(envelope: Tensor, kernel: Tensor, frames: int) -> Tensor:
    """Correlate with the kernel at its stride: one product, then sums of diagonals."""
    blocks, stride = kernel.shape
    n, rows, samples = envelope.shape
    needed = (frames + blocks - 1) * stride
    if needed > samples:
        envelope = functional.pad(envelope, (0, needed - samples))
    products = envelope[..., :needed].reshape(-1, stride) @ kernel.T
    return _diagonals(products, n * rows, frames).sum(-1).view(n, rows, frames)


def _lowpass_transposed(gradient: Tensor, kernel: Tensor, samples: int) -> Tensor:
    """Return the gradient of `_lowpass` with respect to the envelope."""
    blocks, stride = kernel.shape
    n, rows, frames = gradient.shape
    length = frames + blocks - 1
    products = gradient.new_zeros(n * rows * length, blocks)
    diagonals = _diagonals(products, n * rows, frames)
    diagonals.copy_(gradient.reshape(n * rows, frames, 1).expand_as(diagonals))
    spread = (products @ kernel).view(n, rows, length * stride)
    if length * stride >= samples:
        return spread[..., :samples].contiguous()
    return functional.pad(spread, (0, samples - length * stride))


def _diagonals(products: Tensor, series: int, frames: int) -> Tensor:
    """View (series * length, blocks) as (series, frames, blocks), from row t + j."""
    blocks = products.shape[1]
    length = frames + blocks - 1
    return products.as_strided(
        (series, frames, blocks), (length * blocks, blocks, blocks + 1)
    )


def _bin_weights(samples: int, like: Tensor) -> Tensor:
    weights = torch.full_like(like[0], 0.5)
    weights[0] = 1.0
    if samples % 2 == 0:
        weights[-1] = 1.0
    return weights


def _buffer(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _stride(sample_rate: int, envelope_rate: float) -> int:
    stride = sample_rate / envelope_rate
    if stride < 1 or abs(stride - round(stride)) > 1e-9:
        raise StudyError(
            f"front end: envelope_rate {envelope_rate} Hz does not divide the sample "
            f"rate {sample_rate} Hz; choose one that does, e.g. {sample_rate / 40:g}"
        )
    return round(stride)


def _check(
    low: float,
    high: float,
    filters: int,
    sample_factor: int,
    sample_rate: int,
    samples: int,
    taps: int,
) -> None:
    if not 0 < low < high <= sample_rate / 2:
        raise StudyError(
            f"front end: low {low} Hz and high {high} Hz must satisfy "
            f"0 < low < high <= {sample_rate / 2:g} Hz, half the sample rate"
        )
    if filters < 1 or sample_factor < 1:
        raise StudyError(
            f"front end: filters ({filters}) and sample_factor ({sample_factor}) "
            "must be at least 1"
        )
    if not 1 <= taps <= samples:
        raise StudyError(
            f"front end: lowpass_seconds gives {taps} taps at {sample_rate} Hz, for "
            f"sounds of {samples} samples; it must be shorter than the sounds"
        )
