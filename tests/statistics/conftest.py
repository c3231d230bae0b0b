"""Simulated studies with a known truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

LABELS = ("one", "two", "three", "four", "five")
STAGES = ("relu0", "relu1", "relu2", "fc0", "fc1", "final")


def model_facts(**changes: Any) -> dict[str, Any]:
    """Describe one network as the study does."""
    facts: dict[str, Any] = {
        "modality": "vision",
        "task": "digits",
        "trained": True,
        "siblings": [],
        "group": "standard",
        "published": None,
        "stages": list(STAGES),
    }
    return facts | changes


@pytest.fixture(scope="session")
def models() -> dict[str, dict[str, Any]]:
    """Return eight networks: all groups of the demo in one modality."""
    return {
        "standard": model_facts(siblings=["second"], published="alexnet"),
        "second": model_facts(group="second_seed", siblings=["standard"]),
        "adversarial": model_facts(group="adversarial"),
        "random": model_facts(group="random"),
        "lowpass": model_facts(group="reduced_aliasing"),
        "untrained": model_facts(group="untrained", trained=False),
        "residual": model_facts(stages=["conv", "layer1", "layer2", "final"]),
        "places": model_facts(group="other_task", task="places"),
    }


def simulate_trials(
    models: Mapping[str, Mapping[str, Any]],
    probability: Callable[[str, int, int], float],
    *,
    seed: int = 1,
    n_stimuli: int = 60,
    people: int = 0,
    own: float = 1.0,
    failed: float = 0.0,
) -> pd.DataFrame:
    """Simulate a trial table.

    Parameters
    ----------
    models
        Facts of each model; all judge all, and `people` participants too.
    probability
        Of a correct answer, from generator, stage index (0 natural) and number of
        stages.
    seed, n_stimuli, people
        As they say.
    own
        Probability that a generator answers to its metamer as to the reference.
    failed
        Share of metamers that fail the screening.
    """
    random = np.random.default_rng(seed)
    label = np.resize(LABELS, n_stimuli)
    stimuli = np.array([f"stimulus_{index:03d}" for index in range(n_stimuli)])
    observers = [(name, "network", facts["task"]) for name, facts in models.items()]
    observers += [(f"person_{i}", "human", "digits") for i in range(people)]
    parts = []
    for generator, facts in models.items():
        stages = ("natural", *facts["stages"])
        for index, stage in enumerate(stages):
            passed = random.random(n_stimuli) >= failed
            for observer, kind, task in observers:
                chance = probability(generator, index, len(stages) - 1)
                correct = random.random(n_stimuli) < chance
                wrong = np.array(LABELS)[
                    (np.arange(n_stimuli) + random.integers(1, 5, n_stimuli)) % 5
                ]
                response = np.where(correct, label, wrong)
                natural = label.copy()
                if observer == generator and index > 0:
                    response = np.where(random.random(n_stimuli) < own, label, wrong)
                if index == 0:
                    natural = response
                same_task = task == "digits"
                parts.append(
                    {
                        "study": "simulated",
                        "modality": facts["modality"],
                        "observer": observer,
                        "observer_kind": kind,
                        "generator": generator,
                        "stage": stage,
                        "stage_index": index,
                        "stimulus_id": stimuli,
                        "label": label,
                        "response": response,
                        "natural_response": natural,
                        "correct": (response == label).astype(object)
                        if same_task
                        else np.array(None),
                        "passed": passed | (index == 0),
                        "relative_distance": 1.0 - chance,
                        "task": task,
                        "generator_task": facts["task"],
                    }
                )
    columns = {
        name: np.concatenate([np.broadcast_to(part[name], n_stimuli) for part in parts])
        for name in parts[0]
    }
    columns["correct"] = pd.array(columns["correct"], dtype="boolean")
    return pd.DataFrame(columns)


@pytest.fixture(scope="session")
def simulate() -> Callable[..., pd.DataFrame]:
    """Return `simulate_trials`."""
    return simulate_trials
