"""One network in training: SGD with momentum, as the published models were trained.

Everything random is derived from the seed, the epoch and the place in it, so a
training that was interrupted and resumed gives the weights it would have given.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metamers.errors import StudyError, suggest
from metamers.networks.network import Network
from metamers.randomness import derive_seed, torch_generator
from metamers.resume import ResumeState
from metamers.training.data import TrainingStimuli, training_stimuli
from metamers.training.distributed import ALONE, Group, part_of_loss
from metamers.training.evaluation import TaskLogits, correct_answers, task_losses
from metamers.training.loading import batches
from metamers.training.perturbations import (
    FRONT_END_BOUNDS,
    STIMULUS_BOUNDS,
    Generators,
    perturb,
)
from metamers.training.schedule import learning_rate
from metamers.training.stimuli import Batch, Target

logger = logging.getLogger(__name__)

COLUMNS = (
    "epoch",
    "training_loss",
    "training_accuracy",
    "test_loss",
    "test_accuracy",
    "learning_rate",
    "seconds",
)
DOMAINS = ("stimulus", "front_end")


@dataclass
class Progress:
    """How far a training is: all that is not in the network and the optimizer."""

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    correct: float = 0.0
    seen: float = 0.0
    seconds: float = 0.0
    history: list[list[float]] = field(default_factory=list)


class TrainingRun:
    """A network in training: one step, its stimuli, and its state.

    Parameters
    ----------
    network
        On `device`. Where the entry names what is ``trainable``, all else is frozen.
    entry
        A resolved model entry with a training section.
    task_logits
        From outputs to the categories that are learned.
    stimuli_path
        The stimulus file.
    seed
        Seed of order, augmentation, perturbation and stochastic layers.
    device
        A torch device.
    group
        The processes that train the network, each on its part of every batch.
    workers
        Processes that read and augment stimuli for this one; 0: none.

    Raises
    ------
    StudyError
        If the entry asks for what its network or its stimuli do not have.
    """

    def __init__(
        self,
        network: Network,
        entry: Mapping[str, Any],
        task_logits: TaskLogits,
        stimuli_path: str | Path,
        seed: int,
        device: str | torch.device,
        group: Group = ALONE,
        workers: int = 0,
    ) -> None:
        self.network, self.entry, self.task_logits = network, entry, task_logits
        self.seed, self.device = seed, torch.device(device)
        self.group, self.workers = group, workers
        self.training: Mapping[str, Any] = entry["training"]
        self.epochs: int = self.training.get("stop_after") or self.training["epochs"]
        self.stimuli: TrainingStimuli = training_stimuli(entry, stimuli_path, seed)
        self.stimuli.check_labels()
        self.perturbation = _perturbation(entry)
        self.domain = (self.perturbation or {}).pop("domain", "stimulus")
        self.batch_size = min(self.training["batch_size"], len(self.stimuli))
        # An incomplete last batch would count its stimuli more, and batch norm cannot
        # normalize one: it is left out, in each epoch other stimuli.
        self.batches = len(self.stimuli) // self.batch_size
        self.learning = learning_modules(network, self.training.get("trainable") or [])
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(
            self.parameters,
            lr=self.training["learning_rate"],
            momentum=self.training["momentum"],
            weight_decay=self.training["weight_decay"],
        )
        # The preprocessing has no weights: what is averaged is the architecture.
        self._averaged = group.parallel(network.body, self.device)
        self.progress = Progress()

    def remaining_batches(self) -> Iterator[Batch]:
        """Give this process's part of the epoch's batches that were not seen yet."""
        epoch, size = self.progress.epoch, self.batch_size
        order, part = self.stimuli.order(epoch), self.group.part(size)
        indices = [
            order[batch * size : (batch + 1) * size][part]
            for batch in range(self.progress.batch, self.batches)
        ]
        return batches(self.stimuli, epoch, indices, self.workers, self.device)

    def step(self, x: Tensor, label: Target) -> tuple[float, int]:
        """Take one step of SGD; none if the loss is not finite.

        Parameters
        ----------
        x, label
            This process's part of a batch.

        Returns
        -------
        loss, correct
            Mean loss of the whole batch, and how many answers were right.
        """
        place = (self.progress.epoch, self.progress.batch)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(*place)
        # Each process draws for its own stimuli.
        own = (self.group.rank,) if self.group.rank else ()
        with _seeded(derive_seed(self.seed, "layers", *place, *own), self.device):
            inputs = self._perturbed(x, label, place)
            self._start_learning()
            outputs = self._outputs(inputs, self._averaged)
            loss = part_of_loss(outputs, label, self.task_logits, self.group)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        correct = correct_answers(outputs.detach(), label, self.task_logits).sum()
        # Read after the backward pass was started, for which a GPU then does not wait.
        found = torch.stack([loss.detach().double(), correct.double()]).tolist()
        value, right = self.group.totals(found[0] / self.group.size, found[1])
        if np.isfinite(value):
            if limit := self.training.get("gradient_limit"):
                nn.utils.clip_grad_norm_(self.parameters, limit)
            self.optimizer.step()
        self.group.match_buffers(self.network.body)
        return value, int(right)

    def _rate(self, epoch: int, batch: int) -> float:
        """Return the learning rate of one batch."""
        return learning_rate(self.training, epoch * self.batches + batch, self.batches)

    def _start_learning(self) -> None:
        """Put what learns in training mode, and all else in evaluation mode."""
        self.network.train(not self.training.get("trainable"))
        for module in self.learning:
            module.train()

    def _outputs(self, x: Tensor, body: nn.Module) -> Tensor:
        """Return the outputs for what is perturbed: stimuli, or the front end's output.

        With mixed precision the architecture computes in bfloat16, in training and in
        its attacks; preprocessing, losses and weights stay float32.
        """
        mixed = self.training.get("mixed_precision", False)
        if self.domain == "stimulus":
            if not mixed and body is self.network.body:
                return self.network(x)
            x = self.network.preprocessing(x)
        if not mixed:
            return body(x)
        with torch.autocast(self.device.type, torch.bfloat16):
            return body(x).float()

    def _perturbed(self, x: Tensor, label: Target, place: tuple[int, int]) -> Tensor:
        """Return what is trained on, perturbed as asked.

        The attack sees the network in evaluation mode (as in the study's released
        code, robustness/attacker.py): no stimulus of a batch affects another.
        """
        if self.perturbation is None:
            return x
        self.network.eval()
        bounds = STIMULUS_BOUNDS[self.entry["modality"]]
        if self.domain == "front_end":
            with torch.no_grad():
                x = self.network.preprocessing(x)
            bounds = FRONT_END_BOUNDS

        def loss_of(stimuli: Tensor) -> Tensor:
            outputs = self._outputs(stimuli, self.network.body)
            return task_losses(outputs, label, self.task_logits)

        generator = self._generators(x, place)
        return perturb(
            loss_of, x, bounds=bounds, generator=generator, **self.perturbation
        )

    def _generators(self, x: Tensor, place: tuple[int, int]) -> Generators:
        """Return what draws perturbations, by the place of a stimulus in the batch.

        On a GPU each stimulus has a generator there: to draw the noise of a batch of
        photographs on the processor takes longer than to train on them.
        """
        first = self.group.part(self.batch_size).start
        if self.device.type != "cpu":
            named = (self.seed, "perturbation", *place)
            return [
                torch_generator(*named, first + number, device=str(self.device))
                for number in range(len(x))
            ]
        generator = torch_generator(self.seed, "perturbation", *place)
        # What the processes before this one draw from the same stream.
        torch.rand((first, *x.shape[1:]), generator=generator)
        return generator

    def end_epoch(self, test_loss: float, test_accuracy: float, seconds: float) -> None:
        """Write the epoch's line and go to the next."""
        progress = self.progress
        rate = self._rate(progress.epoch, self.batches - 1)
        means = [progress.loss / progress.seen, progress.correct / progress.seen]
        progress.history.append(
            [progress.epoch + 1, *means, test_loss, test_accuracy, rate, seconds]
        )
        progress.epoch, progress.batch = progress.epoch + 1, 0
        progress.loss = progress.correct = progress.seen = progress.seconds = 0.0

    def snapshot(self) -> dict[str, Any]:
        """Return the state as arrays: network, momentum, place and history."""
        progress = self.progress
        state: dict[str, Any] = {
            f"network/{name}": value.detach().cpu()
            for name, value in self.network.state_dict().items()
        }
        for name, parameter in self.network.named_parameters():
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                state[f"momentum/{name}"] = momentum.detach().cpu()
        sums = [progress.loss, progress.correct, progress.seen, progress.seconds]
        state["place"] = np.array([progress.epoch, progress.batch])
        state["sums"] = np.array(sums)
        state["history"] = np.array(progress.history).reshape(-1, len(COLUMNS))
        state["processes"] = np.array(self.group.size)
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go to the state that a snapshot recorded."""
        if self.group.is_first and state["processes"] != self.group.size:
            logger.warning(
                "%d processes (GPUs) trained so far, and now %d go on: the result will "
                "not be that of either to the last digit",
                *(state["processes"], self.group.size),
            )
        tensors = {
            name.removeprefix("network/"): torch.from_numpy(value)
            for name, value in state.items()
            if name.startswith("network/")
        }
        self.network.load_state_dict(tensors)
        for name, parameter in self.network.named_parameters():
            if f"momentum/{name}" in state:
                momentum = torch.from_numpy(state[f"momentum/{name}"]).to(self.device)
                self.optimizer.state[parameter]["momentum_buffer"] = momentum
        epoch, batch = (int(value) for value in state["place"])
        loss, correct, seen, seconds = (float(value) for value in state["sums"])
        history = state["history"].tolist()
        self.progress = Progress(epoch, batch, loss, correct, seen, seconds, history)

    def not_finite(self, loss: float, state: ResumeState | None) -> StudyError:
        """Word the error for a loss that is no number."""
        epoch, batch = self.progress.epoch + 1, self.progress.batch + 1
        kept = ""
        if state is not None and state.path.exists():
            kept = f"; the network and history up to its last save are in {state.path}"
        raised = "; or a smaller perturbation.epsilon" if self.perturbation else ""
        return StudyError(
            f"the training loss became {loss} in epoch {epoch}, batch {batch}{kept}. "
            f"Give a smaller training.learning_rate (it is "
            f"{self.training['learning_rate']}; try a third of it){raised}"
        )


def learning_modules(network: Network, paths: Sequence[str]) -> list[nn.Module]:
    """Freeze a network but for some of its modules.

    Parameters
    ----------
    network
        Its parameters are frozen but for those of the modules.
    paths
        Of modules of the architecture; none: nothing is frozen.

    Returns
    -------
    list of Module
        These modules.

    Raises
    ------
    StudyError
        If there is no such module, or all of them are without parameters.
    """
    modules = dict(network.body.named_modules())
    modules.pop("")
    for path in paths:
        if path not in modules:
            raise StudyError(
                f"training.trainable: the architecture has no module '{path}'"
                f"{suggest(path, modules)}"
            )
    chosen = [modules[path] for path in paths]
    if chosen:
        network.requires_grad_(False)
        for module in chosen:
            module.requires_grad_(True)
        if not any(value.requires_grad for value in network.parameters()):
            raise StudyError(
                f"training.trainable: {', '.join(paths)} have no weights that could "
                "learn; name modules that have, such as the last linear layer"
            )
    return chosen


def _perturbation(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of `perturb` and the domain, or None."""
    given = entry["training"].get("perturbation")
    if given is None:
        return None
    settings = {key: value for key, value in given.items() if value is not None}
    domain = settings.setdefault("domain", "stimulus")
    if domain not in DOMAINS:
        raise StudyError(
            f"perturbation.domain is '{domain}'; allowed are {' and '.join(DOMAINS)}"
            + suggest(domain, DOMAINS)
        )
    if domain == "front_end" and entry["preprocessing"].get("front_end") is None:
        raise StudyError(
            "perturbation.domain is 'front_end', but the model has no "
            "preprocessing.front_end; give domain: stimulus"
        )
    return settings


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed what stochastic layers (dropout) draw, and leave the global state alone."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield
