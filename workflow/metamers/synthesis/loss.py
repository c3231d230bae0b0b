"""How far a stage's activations are from those of the reference (matching loss)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metamers.synthesis.matching import Subset


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


@dataclass(frozen=True)
class PartialTarget:
    """Some units of a stage, to be matched alone.

    Attributes
    ----------
    subset
        The units.
    scale
        What `target_scale` returns for the target's values there.
    """

    subset: Subset
    scale: Tensor

    @classmethod
    def of(cls, subset: Subset, target: Tensor) -> PartialTarget:
        """Return those units of a target (n, ...)."""
        return cls(subset, target_scale(subset.restrict(target.clone())))


def loss_and_activation_gradient(
    activation: Tensor,
    target: Tensor,
    scale: Tensor,
    partial: PartialTarget | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the matching loss (n,) and its gradient with respect to the activation.

    The same as differentiating `matching_loss`, in half the passes over the stage's
    units, which at an early stage cost as much as the layers below it.

    Parameters
    ----------
    activation, target, scale
        As for `matching_loss`; the graph of `activation` is left alone.
    partial
        Units whose loss alone the gradient is of; None for all.

    Returns
    -------
    loss : Tensor
        (n,), over all units in any case.
    gradient : Tensor
        Shaped as `activation`; 0 where the activation equals its target.
    """
    with torch.no_grad():
        difference = activation.detach() - target
        norm = torch.linalg.vector_norm(difference.flatten(1), dim=1)
        loss = norm / scale
        if partial is not None:
            difference = partial.subset.restrict(difference)
            norm = torch.linalg.vector_norm(difference.flatten(1), dim=1)
            scale = partial.scale
        divisor = norm * scale
        divisor = torch.where(divisor > 0, divisor, torch.ones_like(divisor))
        difference.div_(divisor.view(-1, *[1] * (difference.ndim - 1)))
    return loss, difference


def target_scale(target: Tensor) -> Tensor:
    """Return ``||A||`` of each stimulus (n,), and 1 where A is all zero.

    The loss of an all-zero target is thereby the norm of the activation itself, which
    has the same minimum and, the step being normalized, the same path towards it.
    """
    norm = torch.linalg.vector_norm(target.flatten(1), dim=1)
    return torch.where(norm > 0, norm, torch.ones_like(norm))


class SmoothnessPrior:
    """A penalty on stimuli that are rougher than natural ones.

    The penalty is ``weight * roughness(x) / roughness(reference)`` and so is, as the
    matching loss, without a unit.

    Parameters
    ----------
    reference
        Natural stimuli (n, ...). Where one is constant its roughness is taken for 1.
    weight
        Of the penalty, beside 1 of the matching loss.
    """

    def __init__(self, reference: Tensor, weight: float) -> None:
        natural = roughness(reference)
        self.weight = weight / torch.where(natural > 0, natural, 1)

    def gradient(self, x: Tensor) -> Tensor:
        """Return the penalty's gradient with respect to stimuli `x` (n, ...)."""
        stimulus = x.detach().requires_grad_()
        with torch.enable_grad():
            penalty = self.weight * roughness(stimulus)
        return torch.autograd.grad(penalty.sum(), stimulus)[0]


def roughness(x: Tensor) -> Tensor:
    """Return the mean squared difference of neighbors in each stimulus.

    Parameters
    ----------
    x
        Images (n, channels, height, width), whose neighbors are pixels above and
        beside one another in one channel, or sounds (n, samples).

    Returns
    -------
    Tensor
        (n,), in squared stimulus units.
    """
    steps = [
        x.diff(dim=axis).flatten(1) for axis in range(2 if x.ndim > 2 else 1, x.ndim)
    ]
    return torch.cat(steps, 1).square().mean(1)
