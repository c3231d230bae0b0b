"""One network in training: SGD with momentum, as the published models were trained.

Everything random is derived from the seed, the epoch and the place in it, so a
training that was interrupted and resumed gives the weights it would have given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
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
from metamers.training.evaluation import TaskLogits
from metamers.training.perturbations import FRONT_END_BOUNDS, STIMULUS_BOUNDS, perturb
from metamers.training.schedule import learning_rate

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

Batch = tuple[Tensor, Tensor]


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
        On `device`.
    entry
        A resolved model entry with a training section.
    task_logits
        From outputs to the categories of the task.
    stimuli_path
        The stimulus file.
    seed
        Seed of order, augmentation, perturbation and stochastic layers.
    device
        A torch device.
    """

    def __init__(
        self,
        network: Network,
        entry: Mapping[str, Any],
        task_logits: TaskLogits,
        stimuli_path: str | Path,
        seed: int,
        device: str | torch.device,
    ) -> None:
        self.network, self.entry, self.task_logits = network, entry, task_logits
        self.seed, self.device = seed, torch.device(device)
        self.training: Mapping[str, Any] = entry["training"]
        self.stimuli: TrainingStimuli = training_stimuli(entry, stimuli_path, seed)
        self.stimuli.check_labels()
        self.perturbation = _perturbation(entry)
        self.batch_size = min(self.training["batch_size"], len(self.stimuli))
        # An incomplete last batch would count its stimuli more, and batch norm cannot
        # normalize one: it is left out, in each epoch other stimuli.
        self.batches = len(self.stimuli) // self.batch_size
        self.optimizer = torch.optim.SGD(
            network.parameters(),
            lr=self.training["learning_rate"],
            momentum=self.training["momentum"],
            weight_decay=self.training["weight_decay"],
        )
        self.progress = Progress()

    def remaining_batches(self) -> Iterator[Batch]:
        """Give the epoch's batches from the first that was not seen yet."""
        epoch, size = self.progress.epoch, self.batch_size
        order = self.stimuli.order(epoch)
        indices = [
            order[batch * size : (batch + 1) * size]
            for batch in range(self.progress.batch, self.batches)
        ]
        if self.device.type == "cpu":
            for chosen in indices:
                yield self.stimuli.batch(epoch, chosen)
            return
        # The next batch is read and augmented while the accelerator works on this.
        yield from one_ahead(
            lambda chosen: self.stimuli.batch(epoch, chosen, self.device), indices
        )

    def step(self, x: Tensor, label: Tensor) -> tuple[float, int]:
        """Take one step of SGD; none if the loss is not finite.

        Returns
        -------
        loss, correct
            Mean cross-entropy of the batch, and how many answers were right.
        """
        place = (self.progress.epoch, self.progress.batch)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(*place)
        with _seeded(derive_seed(self.seed, "layers", *place), self.device):
            inputs, head = self._inputs(x, label, place)
            self.network.train()
            logits = self.task_logits(head(inputs))
            loss = nn.functional.cross_entropy(logits, label)
        value = float(loss.detach())
        if np.isfinite(value):
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        return value, int((logits.argmax(dim=1) == label).sum())

    def _rate(self, epoch: int, batch: int) -> float:
        """Return the learning rate of one batch."""
        return learning_rate(self.training, epoch * self.batches + batch, self.batches)

    def _inputs(
        self, x: Tensor, label: Tensor, place: tuple[int, int]
    ) -> tuple[Tensor, nn.Module]:
        """Return what is trained on, perturbed as asked, and the layers that take it.

        The attack sees the network in evaluation mode (as in the study's released
        code, robustness/attacker.py): no stimulus of a batch affects another.
        """
        if self.perturbation is None:
            return x, self.network
        settings = dict(self.perturbation)
        self.network.eval()
        head: nn.Module = self.network
        bounds = STIMULUS_BOUNDS[self.entry["modality"]]
        if settings.pop("domain") == "front_end":
            with torch.no_grad():
                x = self.network.preprocessing(x)
            head, bounds = self.network.body, FRONT_END_BOUNDS

        def loss_of(stimuli: Tensor) -> Tensor:
            logits = self.task_logits(head(stimuli))
            return nn.functional.cross_entropy(logits, label, reduction="none")

        generator = torch_generator(self.seed, "perturbation", *place)
        perturbed = perturb(loss_of, x, bounds=bounds, generator=generator, **settings)
        return perturbed, head

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
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go to the state that a snapshot recorded."""
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


def one_ahead(
    make: Callable[[np.ndarray], Batch], items: Iterable[np.ndarray]
) -> Iterator[Batch]:
    """Give ``make(item)`` of each item, and make the next in a thread meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming: Future[Batch] | None = None
        for item in items:
            following = reader.submit(make, item)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()


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
