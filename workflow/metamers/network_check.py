"""Whether the networks of a study exist, checked in a process of its own, once.

Snakemake never imports torch: the first reading of a study asks this module, run as
``python -m metamers.network_check``, and keeps the answer by a hash of what was asked.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from metamers.errors import StudyError
from metamers.files import write_json
from metamers.fingerprint import code_fingerprint
from metamers.networks.registry import architecture_module
from metamers.provenance import NETWORK_PACKAGES, settings_hash, versions
from metamers.study.definition import Study
from metamers.study.slices import input_shape, resolved_entry
from metamers.study.sources import Task

Facts = dict[str, Any]

# Processes that check networks at a time; each may hold the largest network.
MOST_PROCESSES = 4
CACHE = Path(".snakemake") / "metamers" / "checked_networks.json"


def questions(study: Study) -> dict[str, dict[str, Any]]:
    """Return, for each model, what its check depends on, JSON-ready."""
    found = {}
    installed = {
        name: version
        for name, version in versions().items()
        if name in NETWORK_PACKAGES
    }
    for name, model in study.models.items():
        resolved = resolved_entry(study, name)
        entry = {**resolved, "training": None, "weights": None, "seed": None}
        task = study.tasks[model.task]
        found[name] = {
            "entry": entry,
            "stages": dict(model.stages),
            "input_shape": input_shape(study, str(model.modality)),
            "outputs": _outputs(study, str(model.modality), task),
            "versions": installed,
            "code": _code(name, model.architecture),
        }
    return found


def _code(name: str, architecture: str) -> str:
    """Return the fingerprint of what builds a network and finds its stages."""
    try:
        module = architecture_module(architecture)
    except StudyError as error:
        raise StudyError(f"models.{name}.architecture: {error}") from None
    return code_fingerprint("metamers.networks.stages", architecture=module)


def _outputs(study: Study, modality: str, task: Task) -> int | None:
    """Return how many outputs a task needs, where the study file says so."""
    if task.decision is not None:
        return None
    labels = [task.label] + ([task.second.label] if task.second else [])
    counts = [_categories(study, modality, label) for label in labels]
    return sum(count for count in counts if count) if all(counts) else None


def _categories(study: Study, modality: str, label: str) -> int | None:
    source = getattr(study.stimuli, modality).source
    if source.kind == "mnist":
        return 10
    if source.kind == "espeak":
        return len(source.backgrounds if label == "background" else source.words)
    return None


def check_networks(study: Study, cache: Path = CACHE) -> None:
    """Refuse a study whose architectures or stages do not exist.

    Parameters
    ----------
    study
        A study that `load_study` accepted.
    cache
        File that remembers the questions that were answered well, and the sizes of
        these networks; what stands in it is not asked again.

    Raises
    ------
    StudyError
        With one line for every model that cannot be built, or has no such stage, or
        the wrong number of outputs.
    """
    asked = questions(study)
    hashes = {name: settings_hash(question) for name, question in asked.items()}
    known = _read_cache(cache)
    # Networks that differ in their training alone are one question.
    new = {hashes[name]: asked[name] for name in asked if hashes[name] not in known}
    if not new:
        return
    answers = _ask(new)
    good = {key: answer for key, answer in answers.items() if "problem" not in answer}
    write_json(dict(sorted((known | good).items())), cache)
    mistakes = [
        f"models.{name}: {answers[key]['problem']}"
        for name, key in hashes.items()
        if "problem" in answers.get(key, ())
    ]
    if mistakes:
        raise StudyError(
            f"{len(mistakes)} network(s) cannot be used:\n  " + "\n  ".join(mistakes)
        )


def can_check_networks() -> bool:
    """Say whether torch is installed here, which the check and all networks need."""
    return importlib.util.find_spec("torch") is not None


def known_facts(study: Study, cache: Path = CACHE) -> dict[str, Facts]:
    """Return the sizes of the networks that were checked.

    Returns
    -------
    dict
        {model: {"flops": operations of a forward pass of one stimulus, "parameters"}},
        of the models that were checked as they are now.
    """
    known = _read_cache(cache)
    if not known:
        return {}
    hashes = {name: settings_hash(asked) for name, asked in questions(study).items()}
    return {name: known[key] for name, key in hashes.items() if key in known}


def _read_cache(cache: Path) -> dict[str, Facts]:
    try:
        content = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _ask(new: dict[str, dict[str, Any]]) -> dict[str, Facts]:
    """Have processes that may import torch check some networks."""
    root = Path(__file__).resolve().parents[1]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    names = list(new)
    count = min(len(names), os.cpu_count() or 1, MOST_PROCESSES)
    parts = [{name: new[name] for name in names[one::count]} for one in range(count)]

    def answers(part: dict[str, dict[str, Any]]) -> dict[str, Facts]:
        process = subprocess.run(
            [sys.executable, "-m", "metamers.network_check"],
            input=json.dumps(part),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        if process.returncode:
            raise StudyError(
                "the networks of the study could not be checked; the check says:\n"
                + process.stderr[-3000:]
            )
        found: dict[str, Facts] = json.loads(process.stdout.splitlines()[-1])
        return found

    with ThreadPoolExecutor(count) as pool:
        found = {}
        for one in pool.map(answers, parts):
            found.update(one)
    return found


def check_one(question: dict[str, Any]) -> Facts:
    """Build one network and look for its stages.

    Returns
    -------
    dict
        ``problem``: what is wrong; or, if nothing is, ``flops`` and ``parameters``.
    """
    from metamers.networks.network import build_network
    from metamers.networks.stages import check_network, example

    entry, shape = question["entry"], tuple(question["input_shape"])
    try:
        network = build_network(entry, seed=0).eval().requires_grad_(False)
        check_network(network, entry, question["stages"], shape)
        outputs, flops = _forward(network, example(entry, shape))
    except StudyError as error:
        return {"problem": str(error)}
    except Exception as error:
        return {"problem": f"{type(error).__name__} on a forward pass: {error}"}
    wanted = question["outputs"]
    if wanted is not None and tuple(outputs) != (2, wanted):
        problem = (
            f"the network answers with {tuple(outputs[1:])} outputs, but its task "
            f"'{entry['task']['name']}' has {wanted} categories; change its arguments, "
            "or give the task a decision"
        )
        return {"problem": problem}
    flops += _front_end_flops(network)
    parameters = sum(value.numel() for value in network.parameters())
    return {"flops": flops, "parameters": parameters}


def _forward(network: Any, x: Any) -> tuple[tuple[int, ...], float]:
    """Return the shape of a network's outputs, and the operations of one stimulus."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad():
        try:
            # Operations are counted without being done, where a network allows that.
            with FlopCounterMode(display=False) as counter:
                shape = copy.deepcopy(network).to("meta")(x.to("meta")).shape
        except (NotImplementedError, RuntimeError):
            with FlopCounterMode(display=False) as counter:
                shape = network(x).shape
    return tuple(shape), counter.get_total_flops() / len(x)


def _front_end_flops(network: Any) -> float:
    """Return the operations of cochleagrams, whose transforms torch does not count."""
    from metamers.networks.cochleagram import Cochleagram

    return sum(
        # Two inverse transforms of each filter's output, 2.5 N log2 N each.
        2 * module.rows * 2.5 * module.samples * math.log2(module.samples)
        for module in network.modules()
        if isinstance(module, Cochleagram)
    )


def main() -> None:
    """Answer the questions on standard input, one JSON line on standard output."""
    asked = json.load(sys.stdin)
    answers = {name: check_one(question) for name, question in asked.items()}
    sys.stdout.write("\n" + json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
