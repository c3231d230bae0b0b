"""Perturbations of stimuli in training and in measures of robustness.

Adversarial ones are untargeted projected gradient descent (Madry et al. 2018), random
ones the controls of Feather et al. 2023 (Methods, "Adversarial training"): as large
as the adversarial ones, but with no gradient in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from metamers.errors import StudyError, suggest

KINDS = ("adversarial", "random")
NORMS = ("l2", "linf")
# The clip is what a stimulus may be (a cochleagram: what a front end may give).
STIMULUS_BOUNDS = {"vision": (0.0, 1.0), "audio": (-1.0, 1.0)}
FRONT_END_BOUNDS = (0.0, 100.0)
# Gradients shorter than this are no direction; it keeps a zero gradient a zero step.
SMALLEST_NORM = 1e-12

Generators = torch.Generator | Sequence[torch.Generator]


def perturb(
    loss_of: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    kind: str,
    norm: str,
    epsilon: float,
    steps: int = 0,
    step_size: float | None = None,
    random_start: bool = True,
    bounds: tuple[float, float],
    generator: Generators,
) -> Tensor:
    """Perturb each stimulus of a batch within its own ball of radius `epsilon`.

    Parameters
    ----------
    loss_of
        Gives the losses (n,) of a batch, which an adversarial perturbation raises.
        No loss may depend on another stimulus of the batch (networks in eval mode).
    x
        Stimuli, or what the front end makes of them (n, ...).
    kind
        ``adversarial`` or ``random``. A random perturbation lies exactly on the shell
        (l2) or in a corner (linf) of the ball before it is clipped to `bounds`.
    norm
        ``l2`` or ``linf``, of each stimulus by itself.
    epsilon
        Radius in the units of `x`; 0 returns `x` as it is.
    steps
        Gradient steps of an adversarial perturbation.
    step_size
        Length of a step in the units of `x`; None is the published epsilon / 2.
    random_start
        Whether an adversarial perturbation starts at a random place in the ball
        (l2: on its shell) instead of at `x`.
    bounds
        Smallest and largest value of a perturbed stimulus.
    generator
        One for the batch, or one a stimulus, so that the perturbation of a stimulus
        does not depend on its batch.

    Returns
    -------
    Tensor
        Perturbed stimuli, detached, of the shape of `x`.

    Raises
    ------
    StudyError
        If `kind` or `norm` is none of the above, or a size is negative.
    """
    _check(kind, norm, epsilon, steps, step_size)
    original = x.detach()
    if epsilon == 0:
        return original
    if kind == "random":
        offset = random_offset(original, norm, epsilon, generator)
        return (original + offset).clamp(*bounds)
    length = epsilon / 2 if step_size is None else step_size
    current = original
    if random_start:
        start = random_start_offset(original, norm, epsilon, generator)
        current = (original + start).clamp(*bounds)
    for _ in range(steps):
        with torch.enable_grad():
            leaf = current.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(loss_of(leaf).sum(), leaf)
        stepped = current + length * _direction(gradient, norm)
        current = original + project(stepped - original, norm, epsilon)
        current = current.clamp(*bounds)
    return current.detach()


def random_offset(
    x: Tensor, norm: str, epsilon: float, generator: Generators
) -> Tensor:
    """Draw offsets exactly on the l2 shell, or in corners of the linf ball.

    As in the study's released code (robustness/attack_steps.py): l2, a vector of
    uniform(0, 1) - 0.5 scaled to the length `epsilon`; linf, +epsilon or -epsilon for
    each value by a fair coin.

    Parameters
    ----------
    x
        Stimuli (n, ...), for their shape, type and device.
    norm, epsilon, generator
        As in `perturb`.

    Returns
    -------
    Tensor
        Offsets of the shape of `x`.
    """
    uniform = _uniform(x, generator)
    if norm == "linf":
        return torch.where(uniform < 0.5, -epsilon, epsilon).to(x)
    return epsilon * _unit(uniform - 0.5)


def random_start_offset(
    x: Tensor, norm: str, epsilon: float, generator: Generators
) -> Tensor:
    """Draw where an attack starts: on the l2 shell, or uniform in the linf ball.

    Parameters and the result are those of `random_offset`.
    """
    if norm == "linf":
        return epsilon * (2 * _uniform(x, generator) - 1)
    return random_offset(x, norm, epsilon, generator)


def project(offset: Tensor, norm: str, epsilon: float) -> Tensor:
    """Return the nearest offsets (n, ...) within the ball of radius `epsilon`."""
    if norm == "linf":
        return offset.clamp(-epsilon, epsilon)
    lengths = _norms(offset)
    return offset * (epsilon / lengths.clamp(min=SMALLEST_NORM)).clamp(max=1.0)


def _direction(gradient: Tensor, norm: str) -> Tensor:
    """Return the steepest step of length one for each stimulus."""
    return gradient.sign() if norm == "linf" else _unit(gradient)


def _unit(vectors: Tensor) -> Tensor:
    """Scale each stimulus to the l2 norm 1; zeros stay zeros."""
    # Dividing by the largest value first keeps tiny gradients from underflowing when
    # they are squared (a confident network's are below 1e-20).
    largest = (
        vectors.abs().flatten(1).amax(dim=1).clamp(min=torch.finfo(vectors.dtype).tiny)
    )
    scaled = vectors / _like(largest, vectors)
    return scaled / _norms(scaled).clamp(min=SMALLEST_NORM)


def _norms(vectors: Tensor) -> Tensor:
    """Return the l2 norm of each stimulus, shaped to scale it."""
    return _like(vectors.flatten(1).norm(dim=1), vectors)


def _like(values: Tensor, vectors: Tensor) -> Tensor:
    """Shape one value a stimulus (n,) so that it scales stimuli (n, ...)."""
    return values.view(-1, *[1] * (vectors.ndim - 1))


def _uniform(x: Tensor, generator: Generators) -> Tensor:
    """Draw uniform(0, 1) values on the generators' device, in the shape of `x`."""
    if isinstance(generator, torch.Generator):
        drawn = torch.rand(x.shape, generator=generator, device=generator.device)
        return drawn.to(x)
    if len(generator) != len(x):
        raise ValueError(
            f"{len(generator)} generators for {len(x)} stimuli: give one for all, "
            "or one for each"
        )
    shape = x.shape[1:]
    rows = [torch.rand(shape, generator=one, device=one.device) for one in generator]
    return torch.stack(rows).to(x)


def _check(
    kind: str, norm: str, epsilon: float, steps: int, step_size: float | None
) -> None:
    """Refuse settings that mean nothing."""
    for what, name, allowed in (("kind", kind, KINDS), ("norm", norm, NORMS)):
        if name not in allowed:
            raise StudyError(
                f"perturbation {what} '{name}' is not one of {', '.join(allowed)}"
                + suggest(name, allowed)
            )
    sizes = {"epsilon": epsilon, "steps": steps, "step_size": step_size or 0.0}
    for what, size in sizes.items():
        if not 0 <= size < float("inf"):
            raise StudyError(f"perturbation {what} is {size}: give a number >= 0")
