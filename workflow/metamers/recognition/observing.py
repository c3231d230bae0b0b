"""A network looks at stimuli: its answers and, in the same pass, its activations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metamers.networks.network import Network
from metamers.networks.stages import FRONT_END, activations
from metamers.recognition.decisions import answer_names, decide
from metamers.recognition.presentation import as_presented

_BODY = "0"  # the name of the first module of a Sequential
_ANSWER = "\n"  # no stage of a study can be called this


@dataclass(frozen=True)
class Observation:
    """What a network made of some stimuli.

    Attributes
    ----------
    answers
        (n,) str: names of the answers.
    activations
        {stage: (n, ...)}, on the network's device.
    """

    answers: np.ndarray
    activations: dict[str, Tensor]


class Observer:
    """A network that answers to stimuli by name.

    Parameters
    ----------
    network
        On `device`; it is put into evaluation mode, so that no stimulus depends on
        its neighbors.
    entry
        Its resolved model entry.
    stages
        Its stages, {name: module path}.
    categories
        {label: names} of the stimulus file.
    device
        Where the network is.
    """

    def __init__(
        self,
        network: Network,
        entry: Mapping[str, Any],
        stages: Mapping[str, str],
        categories: Mapping[str, Sequence[str]],
        device: str | torch.device = "cpu",
    ) -> None:
        # One module around the architecture, so that its output, the logits, is a
        # stage like the others and one forward pass serves for both.
        body = nn.Sequential(network.body)
        self._network = Network(network.preprocessing, body).eval()
        self._paths = {
            name: FRONT_END if path == FRONT_END else f"{_BODY}.{path}"
            for name, path in stages.items()
        }
        self._modality = entry["modality"]
        self._decision = entry["task"]["decision"]
        self._names = np.array(answer_names(entry["task"], categories))
        self._device = device

    def observe(self, stimuli: np.ndarray, stages: Collection[str] = ()) -> Observation:
        """Show stimuli as a person would get them, in one forward pass.

        Parameters
        ----------
        stimuli
            (n, channels, height, width) or (n, samples), at least one; floats in
            stimulus units or integers as stored.
        stages
            Names of the stages whose activations are wanted.

        Returns
        -------
        Observation
            Answers and activations.
        """
        presented = torch.from_numpy(as_presented(stimuli, self._modality))
        paths = {stage: self._paths[stage] for stage in stages} | {_ANSWER: _BODY}
        with torch.inference_mode():
            found = activations(self._network, paths, presented.to(self._device))
            answers = decide(found.pop(_ANSWER), self._decision)
        return Observation(self._names[answers.cpu().numpy()], found)

    def answer(self, stimuli: np.ndarray, batch_size: int = 100) -> np.ndarray:
        """Return the names of the answers to any number of stimuli.

        Parameters
        ----------
        stimuli
            As in `observe`; there may be none.
        batch_size
            Stimuli in one forward pass.

        Returns
        -------
        ndarray of str
            (n,).
        """
        parts = [
            self.observe(stimuli[start : start + batch_size]).answers
            for start in range(0, len(stimuli), batch_size)
        ]
        return np.concatenate([np.array([], dtype=self._names.dtype), *parts])
