"""The synthesis loop: from noise to a metamer by normalized gradient descent.

The procedure of Feather et al. 2023 (Methods, "Model metamer generation"; the study's
released code, robustness/attacker.py and attack_steps.py), for a batch in which every
stimulus has its own loss, its own gradient norm and its own step.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metamers.errors import StudyError, suggest
from metamers.provenance import settings_hash
from metamers.resume import ResumeState
from metamers.synthesis.initial import BOUNDS
from metamers.synthesis.loss import (
    PartialTarget,
    SmoothnessPrior,
    loss_and_activation_gradient,
    matching_loss,
    target_scale,
)
from metamers.synthesis.matching import Matching, Phase

logger = logging.getLogger(__name__)

# Added to the gradient's norm before the division, as in the released code.
NORM_OFFSET = 1e-10
DTYPES = {"float32": torch.float32, "float64": torch.float64}
# The settings that the result depends on; a saved state of others is not used.
SCHEDULE = (
    "rounds",
    "steps_per_round",
    "first_step",
    "log_every",
    "dtype",
    "smoothness",
)

StageForwardCallable = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Synthesis:
    """Metamers and the course of their loss.

    Attributes
    ----------
    metamer
        The last iterate, shaped as the references, in stimulus units.
    loss
        (n, logged): matching loss of the iterate after ``logged_step`` steps; the last
        column is that of `metamer`.
    logged_step
        (logged,): 0, ``log_every``, ..., the number of steps.
    """

    metamer: np.ndarray
    loss: np.ndarray
    logged_step: np.ndarray


def synthesize(
    stage_forward: StageForwardCallable,
    reference: Tensor | np.ndarray,
    initial: Tensor | np.ndarray,
    settings: Mapping[str, Any],
    *,
    bounds: tuple[float, float] | None = None,
    matching: Matching | None = None,
    state_path: str | Path | None = None,
    fingerprint: str = "",
    interval_seconds: float = 60.0,
) -> Synthesis:
    """Make stimuli that evoke the activations of the references at one stage.

    Each step is ``x <- clamp(x - eta * g / (||g|| + 1e-10))`` with g the gradient of
    the stimulus's own matching loss; eta starts at ``first_step`` and halves after
    every round. The last iterate is the metamer, whatever its loss.

    Parameters
    ----------
    stage_forward
        Maps stimuli (n, ...) to the stage's activations (n, ...); in eval mode, of the
        dtype of the settings, and independent between stimuli.
    reference
        Natural stimuli, (n, channels, height, width) in [0, 1] or (n, samples) in
        [-1, 1]; the computation runs on this tensor's device.
    initial
        What the metamers start from, shaped as `reference`.
    settings
        ``rounds``, ``steps_per_round``, ``first_step`` (stimulus units), ``log_every``
        (steps), ``dtype`` ("float32" or "float64") and, if a penalty on rough stimuli
        is wanted, its weight ``smoothness``.
    bounds
        Lowest and highest value of a stimulus; by default those of images for
        references of four dimensions, of sounds for two.
    matching
        Which units the gradient is of at each step; None for all at all steps.
    state_path
        Where the state is kept so that a killed synthesis goes on, bit for bit as if
        it had not been, until `metamers.resume.discard`; None keeps none.
    fingerprint
        Hash of what else the result depends on (the network above all).
    interval_seconds
        Time between two saves of the state.

    Raises
    ------
    metamers.resume.Interrupted
        After a signal, when the state has been saved.
    StudyError
        If another live process works on the same state, or for an unknown dtype.
    """
    dtype = compute_dtype(settings)
    reference = torch.as_tensor(reference).to(dtype)
    iterate = torch.as_tensor(initial).to(reference, copy=True)
    if iterate.shape != reference.shape:
        raise ValueError(
            f"the initial stimuli have shape {tuple(iterate.shape)}, the references "
            f"{tuple(reference.shape)}; both must be the same"
        )
    if bounds is None:
        bounds = BOUNDS["vision" if reference.ndim == 4 else "audio"]
    with torch.no_grad():
        target = stage_forward(reference).detach()
    logged_step = logged_steps(settings)
    loss = iterate.new_full((len(iterate), len(logged_step)), torch.nan)
    with contextlib.ExitStack() as stack:
        state = None
        if state_path is not None:
            content = state_fingerprint(reference, iterate, settings, bounds, matching)
            state = stack.enter_context(
                ResumeState(state_path, f"{fingerprint}-{content}", interval_seconds)
            )
        prior = None
        if settings.get("smoothness"):
            prior = SmoothnessPrior(reference, settings["smoothness"])
        descend(
            stage_forward,
            target,
            iterate,
            loss,
            settings,
            bounds,
            state,
            matching,
            prior,
        )
        if state is not None:
            state.complete()
    return Synthesis(iterate.cpu().numpy(), loss.cpu().numpy(), logged_step)


def descend(
    stage_forward: StageForwardCallable,
    target: Tensor,
    iterate: Tensor,
    loss: Tensor,
    settings: Mapping[str, Any],
    bounds: tuple[float, float],
    state: ResumeState | None = None,
    matching: Matching | None = None,
    prior: SmoothnessPrior | None = None,
) -> None:
    """Run the steps that are left, changing `iterate` and `loss` in place.

    Nothing in a step waits for the device: the loss is kept there, and is read only at
    the end of a round, for the log file, and when the state is saved.

    Parameters
    ----------
    stage_forward, settings, bounds
        As for `synthesize`.
    target
        The activations to match.
    iterate
        The stimuli, at the first step the initial ones.
    loss
        (n, logged), filled as the steps go.
    state
        Where the state is kept and read from, if anywhere.
    matching
        As for `synthesize`.
    prior
        Penalty whose gradient is added to that of the matching loss, if any.
    """
    scale = target_scale(target)
    phase: Phase | None = None
    partial: PartialTarget | None = None
    rounds, per_round = settings["rounds"], settings["steps_per_round"]
    steps = rounds * per_round
    for step in range(restore(state, iterate, loss), steps):
        if matching is not None and (now := matching.phase(step)) != phase:
            phase, partial = now, None
            if now is not None:
                partial = PartialTarget.of(matching.subset(now, target), target)
        step_loss, gradient = loss_and_gradient(
            stage_forward, iterate, target, scale, partial
        )
        if prior is not None:
            gradient = gradient + prior.gradient(iterate)
        if step % settings["log_every"] == 0:
            loss[:, step // settings["log_every"]] = step_loss
        take_step(iterate, gradient, step_size(step, settings), bounds)
        if (step + 1) % per_round == 0 and logger.isEnabledFor(logging.INFO):
            logger.info(
                "round %d of %d: median loss %.3g before its last step",
                (step + 1) // per_round,
                rounds,
                float(step_loss.median()),
            )
        # Also at the end: what comes after it may fail, as on a full disk.
        if state is not None and (state.due() or step + 1 == steps):
            saved = {"iterate": iterate.cpu(), "loss": loss.cpu(), "step": step + 1}
            state.save(saved)
    with torch.no_grad():
        loss[:, -1] = matching_loss(stage_forward(iterate), target, scale)


def loss_and_gradient(
    stage_forward: StageForwardCallable,
    iterate: Tensor,
    target: Tensor,
    scale: Tensor,
    partial: PartialTarget | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the matching loss (n,) and the gradient for each stimulus.

    Arguments as for `metamers.synthesis.loss.loss_and_activation_gradient`.
    """
    stimulus = iterate.detach().requires_grad_()
    with torch.enable_grad():
        activation = stage_forward(stimulus)
    loss, outer = loss_and_activation_gradient(activation, target, scale, partial)
    # The losses are independent, so one backward pass holds the gradient of each.
    (gradient,) = torch.autograd.grad(activation, stimulus, outer)
    return loss, gradient


def take_step(
    iterate: Tensor, gradient: Tensor, size: float, bounds: tuple[float, float]
) -> None:
    """Move each stimulus by `size` (L2 norm) down its gradient, in place, in bounds."""
    with torch.no_grad():
        norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1) + NORM_OFFSET
        direction = gradient / norm.view(-1, *[1] * (gradient.ndim - 1))
        iterate.sub_(direction, alpha=size).clamp_(*bounds)


def step_size(step: int, settings: Mapping[str, Any]) -> float:
    """Return the size of a step (counted from 0): halved after every round."""
    return settings["first_step"] * 0.5 ** (step // settings["steps_per_round"])


def logged_steps(settings: Mapping[str, Any]) -> np.ndarray:
    """Return the numbers of steps after which the loss is logged."""
    total = settings["rounds"] * settings["steps_per_round"]
    return np.array([*range(0, total, settings["log_every"]), total])


def compute_dtype(settings: Mapping[str, Any]) -> torch.dtype:
    """Return the dtype that the settings name."""
    name = settings.get("dtype", "float32")
    if name not in DTYPES:
        raise StudyError(
            f"synthesis dtype: {name!r} is not one of {', '.join(DTYPES)}"
            f"{suggest(name, DTYPES)}"
        )
    return DTYPES[name]


def restore(state: ResumeState | None, iterate: Tensor, loss: Tensor) -> int:
    """Read the saved state, if there is one, and return the steps already taken."""
    saved = state.load() if state is not None else None
    if saved is None:
        return 0
    iterate.copy_(torch.from_numpy(saved["iterate"]))
    loss.copy_(torch.from_numpy(saved["loss"]))
    return int(saved["step"])


def state_fingerprint(
    reference: Tensor,
    initial: Tensor,
    settings: Mapping[str, Any],
    bounds: tuple[float, float],
    matching: Matching | None,
) -> str:
    """Hash what the synthesis is of, so that no other's state is taken up."""
    digest = hashlib.sha256()
    for stimuli in (reference, initial):
        digest.update(stimuli.cpu().numpy().tobytes())
    schedule = {name: settings.get(name) for name in SCHEDULE}
    schedule["matching"] = repr(matching)
    digest.update(settings_hash({**schedule, "bounds": list(bounds)}).encode())
    return digest.hexdigest()[:16]
