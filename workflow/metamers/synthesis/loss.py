"""How far a stage's activations are from those of the reference (matching loss)."""

from __future__ import annotations

import torch
from torch import Tensor


def matching_loss(
    activation: Tensor, target: Tensor, scale: Tensor | None = None
) -> Tensor:
    """Return ``||A' - A|| / ||A||`` of each stimulus, over all units of the stage.

    Parameters
    ----------
    activation
        A', (n, ...): the stage's activations to the stimuli being optimized.
    target
        A, (n, ...): those to the references.
    scale
        What `target_scale` returns for `target`, where it is at hand.

    Returns
    -------
    Tensor
        (n,), no unit, >= 0; no stimulus enters the loss of another.

    Notes
    -----
    Feather et al. 2023, Methods; the study's released code
    (robustness/custom_synthesis_losses.py) averages over a batch of one.
    """
    if activation.shape != target.shape:
        raise ValueError(
            f"activations of shape {tuple(activation.shape)} cannot be matched to "
            f"targets of shape {tuple(target.shape)}"
        )
    if scale is None:
        scale = target_scale(target)
    difference = (activation - target).flatten(1)
    return torch.linalg.vector_norm(difference, dim=1) / scale


def loss_and_activation_gradient(
    activation: Tensor, target: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the matching loss (n,) and its gradient with respect to the activation.

    The same as differentiating `matching_loss`, in half the passes over the stage's
    units, which at an early stage cost as much as the layers below it.

    Parameters
    ----------
    activation, target, scale
        As for `matching_loss`; the graph of `activation` is left alone.

    Returns
    -------
    loss : Tensor
        (n,).
    gradient : Tensor
        Shaped as `activation`; 0 where the activation equals its target.
    """
    with torch.no_grad():
        difference = activation.detach() - target
        norm = torch.linalg.vector_norm(difference.flatten(1), dim=1)
        divisor = norm * scale
        divisor = torch.where(divisor > 0, divisor, torch.ones_like(divisor))
        difference.div_(divisor.view(-1, *[1] * (difference.ndim - 1)))
    return norm / scale, difference


def target_scale(target: Tensor) -> Tensor:
    """Return ``||A||`` of each stimulus (n,), and 1 where A is all zero.

    The loss of an all-zero target is thereby the norm of the activation itself, which
    has the same minimum and, the step being normalized, the same path towards it.
    """
    norm = torch.linalg.vector_norm(target.flatten(1), dim=1)
    return torch.where(norm > 0, norm, torch.ones_like(norm))
