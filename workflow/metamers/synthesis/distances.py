"""Distances between two activations of a stage, as screening uses them."""

from __future__ import annotations

import torch
from torch import Tensor

from metamers.synthesis.measures import MEASURES

__all__ = ["MEASURES", "average_ranks", "correlation", "distances"]

# Values compared at once: ranks need some ten arrays of this size in 64 bit.
VALUES_AT_ONCE = 2**24


def distances(activation: Tensor, target: Tensor) -> Tensor:
    """Measure how alike the activations to metamers and to references are.

    Parameters
    ----------
    activation
        A', (n, ...): activations to metamers.
    target
        A, (n, ...): activations to their references.

    Returns
    -------
    Tensor
        float64 (n, 3): Spearman's rho, Pearson's r, and, in dB,
        ``10 log10(||A|| / ||A - A'||)``. Its norms are not squared, as in the study's
        released code (robustness/tools/distance_measures.py), so that it is half the
        usual signal-to-noise ratio; it is infinite where A' equals A. All three are 0
        where A or A' is all zero, and a correlation is 0 where A or A' is constant;
        all three are NaN where A or A' is not finite.
    """
    if activation.shape != target.shape:
        raise ValueError(
            f"activations of shapes {tuple(activation.shape)} and "
            f"{tuple(target.shape)} cannot be compared"
        )
    rows = max(1, VALUES_AT_ONCE // max(1, activation[0].numel()))
    parts = zip(activation.split(rows), target.split(rows), strict=True)
    return torch.cat(
        [_distances(widened(first), widened(second)) for first, second in parts]
    )


def _distances(first: Tensor, second: Tensor) -> Tensor:
    noise = torch.linalg.vector_norm(second - first, dim=1)
    ratio = torch.linalg.vector_norm(second, dim=1) / noise
    measured = torch.stack(
        [
            correlation(average_ranks(first), average_ranks(second)),
            correlation(first, second),
            10 * torch.log10(ratio),
        ],
        dim=1,
    )
    silent = ~first.any(dim=1) | ~second.any(dim=1)
    finite = first.isfinite().all(dim=1) & second.isfinite().all(dim=1)
    measured = torch.where(silent[:, None], 0.0, measured)
    return torch.where(finite[:, None], measured, torch.nan)


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's r of each pair of rows; 0 where a row is constant.

    Parameters
    ----------
    first, second
        (n, units).
    """
    product = torch.ones_like(first[:, 0])
    centered = []
    for values in (first, second):
        difference = values - values.mean(dim=1, keepdim=True)
        norm = torch.linalg.vector_norm(difference, dim=1, keepdim=True)
        # By its range, since rounding leaves the centered values of a constant row
        # small but not zero.
        constant = values.amax(dim=1) == values.amin(dim=1)
        product = torch.where(constant, 0.0, product)
        centered.append(difference / torch.where(norm > 0, norm, 1.0))
    return (product * (centered[0] * centered[1]).sum(dim=1)).clamp(-1, 1)


def average_ranks(values: Tensor) -> Tensor:
    """Rank each row from 1; equal values share the mean of their ranks.

    Parameters
    ----------
    values
        (n, units).

    Returns
    -------
    Tensor
        float64 (n, units).
    """
    ordered, order = values.sort(dim=1)
    position = torch.arange(values.shape[1], device=values.device).expand_as(order)
    differs = ordered[:, 1:] != ordered[:, :-1]
    edge = torch.ones_like(order[:, :1], dtype=torch.bool)
    starts, ends = torch.cat([edge, differs], dim=1), torch.cat([differs, edge], dim=1)
    first = torch.where(starts, position, 0).cummax(dim=1).values
    # The last position of a run of equal values: the nearest end to the right.
    last = torch.where(ends, position, values.shape[1]).flip(1)
    last = last.cummin(dim=1).values.flip(1)
    mean_rank = (first + last).to(torch.float64) / 2 + 1
    return torch.empty_like(mean_rank).scatter_(1, order, mean_rank)


def widened(activation: Tensor) -> Tensor:
    """Return the activations as float64 (n, units), on a device that has this type."""
    if activation.device.type == "mps":
        activation = activation.cpu()
    return activation.detach().flatten(1).to(torch.float64)
