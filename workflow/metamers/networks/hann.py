"""Pooling with a Hann window: averaging that hardly aliases."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class HannPool2d(nn.Module):
    """Average each channel under a Hann window, at a stride.

    The kernel is the outer product of a Hann window with itself, without the window's
    two end points (which are zero) and normalized to sum 1 (the study's released
    code, custom_modules.py).

    Parameters
    ----------
    size
        Nominal length p of the window, rows and columns or one for both; p - 2 taps
        are used. Four times the stride puts the first zero below the new Nyquist
        frequency.
    stride
        Rows and columns, or one for both.
    padding
        Zeros before and after each axis. None gives ceil(input / stride) outputs,
        where an odd zero goes to the end.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        stride: int | tuple[int, int],
        padding: int | tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.size = _pair(size)
        if min(self.size) < 3:
            raise ValueError(
                f"a Hann pooling of size {size} has no taps; sizes begin at 3"
            )
        self.stride = _pair(stride)
        self.padding = None if padding is None else _pair(padding)
        self._matrices: dict[tuple[object, ...], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, rows, columns), pooled.

        Parameters
        ----------
        x
            (n, channels, rows, columns).
        """
        # The kernel is separable, and a banded matrix for each axis costs less, above
        # all backward, than a convolution of each channel by itself.
        return self._matrix(0, x) @ (x @ self._matrix(1, x).T)

    def _matrix(self, axis: int, x: Tensor) -> Tensor:
        length = x.shape[2 + axis]
        key = (axis, length, x.dtype, x.device)
        if key not in self._matrices:
            padding = None if self.padding is None else self.padding[axis]
            rows = hann_matrix(length, self.size[axis], self.stride[axis], padding)
            with torch.inference_mode(False):
                self._matrices[key] = rows.to(x.device, x.dtype)
        return self._matrices[key]

    def extra_repr(self) -> str:
        """Say the size, stride and padding."""
        return f"size={self.size}, stride={self.stride}, padding={self.padding}"


def hann_taps(size: int) -> Tensor:
    """Return the inner points of a Hann window of `size`, normalized to sum 1.

    Returns
    -------
    Tensor
        (size - 2,), float64.
    """
    window = torch.hann_window(size, periodic=False, dtype=torch.float64)[1:-1]
    return window / window.sum()


def hann_matrix(length: int, size: int, stride: int, padding: int | None) -> Tensor:
    """Return the matrix that pools one axis.

    Parameters
    ----------
    length
        Of the axis.
    size, stride
        Nominal size of the window, and the step between outputs.
    padding
        Zeros at both ends; None for ceil(length / stride) outputs.

    Returns
    -------
    Tensor
        (outputs, length), float64. Zeros of the padding are part of the average.
    """
    taps = hann_taps(size)
    if padding is None:
        before, after = same_padding(length, len(taps), stride)
    else:
        before = after = padding
    outputs = (length + before + after - len(taps)) // stride + 1
    matrix = torch.zeros(outputs, before + length + after, dtype=torch.float64)
    for output in range(outputs):
        begin = output * stride
        matrix[output, begin : begin + len(taps)] = taps
    return matrix[:, before : before + length]


def same_padding(length: int, taps: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after an axis for ceil(length / stride) outputs.

    The odd zero goes to the end, as in TensorFlow's SAME padding.
    """
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + taps - length, 0)
    return total // 2, total - total // 2


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
