"""Controls of one stage, against the metamers' own functions and a plain forward."""

import numpy as np
import pytest
import torch
from torch import nn

from metamers.networks.network import Network
from metamers.recognition.controls import (
    ControlledStage,
    ControlStimuli,
    judge_controls,
    make_controls,
)
from metamers.recognition.presentation import as_presented
from metamers.stimuli.files import Split
from metamers.synthesis.measures import MEASURES
from metamers.synthesis.null_files import NullDistribution, write_null
from metamers.synthesis.shard_job import synthesize_shard
from metamers.synthesis.shards import pack_shards, select_shard, write_shard

NAMES = ["zero", "one", "two"]
STAGES = {"conv": "0", "relu": "1", "final": "3"}
SYNTHESIS = {
    "rounds": 2,
    "steps_per_round": 5,
    "first_step": 1.0,
    "initial_mean": 0.5,
    "initial_deviation": 0.05,
    "shard_size": 3,
    "log_every": 5,
    "threads": 1,
    "dtype": "float32",
}
ENTRY = {
    "modality": "vision",
    "task": {"name": "digits", "label": "category", "decision": {"kind": "argmax"}},
}
SETTINGS = {
    "seed": 5,
    "study": "tiny",
    "model": "net",
    "stage": "relu",
    "path": "1",
    "straight_through": True,
    "step_factor": 4,
    "synthesis": SYNTHESIS,
    "entry": ENTRY,
    "screening": {"rule": "maximum", "quantile": None},
}
ABOUT = ControlledStage("tiny", "net", "digits", "relu", 2, 3)
# The distance of two stimuli of the null: 10 log10(||a|| / ||a - b||) = 3 dB.
UNIT = 10**-0.3


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)
        )
    return Network(nn.Identity(), body).eval().requires_grad_(False)


@pytest.fixture
def references():
    stimulus = np.random.default_rng(1).integers(0, 256, (5, 1, 6, 6))
    names = np.array([f"digit_{index}" for index in range(5)])
    return Split(stimulus.astype(np.uint8), names, {"category": np.arange(5) % 3})


@pytest.fixture
def null_path(tmp_path):
    distribution = NullDistribution(
        maximum=-2.0,
        ceiling=False,
        pairs=100,
        units=64,
        quantile_levels=np.array([0.0, 0.5, 1.0]),
        quantiles=np.array([1.0, 3.0, 5.0]),
        histogram_counts=np.array([100]),
        histogram_edges=np.array([-9.0, 9.0]),
    )
    measures = dict.fromkeys(MEASURES, distribution)
    write_null(dict.fromkeys(STAGES, measures), tmp_path / "null.h5")
    return tmp_path / "null.h5"


def shard(network, references, number, settings=SYNTHESIS):
    chosen = select_shard(references, number, 3)
    place = ("relu", "1", True, chosen, settings, SETTINGS["seed"])
    return synthesize_shard(network, ENTRY, *place)


@pytest.fixture
def metamers_path(network, references, tmp_path):
    paths = []
    for number in range(2):
        provenance = {
            "settings": {**SETTINGS, "shard": number},
            "settings_hash": "",
            "code_fingerprint": "",
            "versions": {},
            "device": "cpu",
            "threads": 1,
            "seconds": 1.0,
        }
        paths.append(tmp_path / f"{number}.h5")
        write_shard(shard(network, references, number), paths[-1], provenance)
    pack_shards({"relu": paths}, tmp_path / "net.h5")
    return tmp_path / "net.h5"


@pytest.fixture
def controls(network, references, metamers_path, null_path):
    return make_controls(
        network,
        SETTINGS,
        references,
        {"category": NAMES},
        metamers_path=metamers_path,
        null_path=null_path,
    )


def judge(network, references, controls, null_path, entry=ENTRY, batch_size=2):
    return judge_controls(
        network,
        entry,
        STAGES,
        controls,
        references,
        {"category": NAMES, "parity": ["even", "odd", "neither"]},
        null_path,
        ABOUT,
        evaluator="judge",
        batch_size=batch_size,
    )


def test_standard_and_longer_are_what_synthesis_gives(controls, network, references):
    longer = {**SYNTHESIS, "steps_per_round": 20}
    for name, settings in (("standard", SYNTHESIS), ("longer", longer)):
        shards = [shard(network, references, number, settings) for number in (0, 1)]
        made = np.concatenate([one.metamer for one in shards])
        np.testing.assert_array_equal(controls[name].stimulus, made)
        # The null lies below every measure: only the answer can fail.
        same = np.concatenate([one.response == one.natural_response for one in shards])
        np.testing.assert_array_equal(controls[name].passed, same)


def test_noise_has_the_error_of_the_standard(controls, references):
    natural = references.values()
    axes = (1, 2, 3)
    error = ((controls["standard"].stimulus - natural) ** 2).mean(axes) ** 0.5
    noise = ((controls["noise"].stimulus - natural) ** 2).mean(axes) ** 0.5
    np.testing.assert_allclose(noise, error, rtol=1e-3)
    assert controls["noise"].passed.all()


def test_answers_and_distances(controls, network, references, null_path):
    trials = judge(network, references, controls, null_path)
    assert trials["control"].unique().tolist() == ["natural", *controls]
    truth = np.array(NAMES)[references.label["category"]]
    relu = nn.Sequential(*network.body[:2])
    shown = {"natural": references.stimulus}
    shown |= {name: control.stimulus for name, control in controls.items()}
    target = relu(torch.from_numpy(as_presented(shown["natural"], "vision"))).flatten(1)
    for name, stimulus in shown.items():
        part = trials[trials["control"] == name]
        presented = torch.from_numpy(as_presented(stimulus, "vision"))
        answers = np.array(NAMES)[network(presented).argmax(1).numpy()]
        assert part["stimulus_id"].tolist() == references.id.tolist()
        np.testing.assert_array_equal(part["response"], answers)
        np.testing.assert_array_equal(part["label"], truth)
        np.testing.assert_array_equal(part["correct"].astype(bool), answers == truth)
        difference = (relu(presented).flatten(1) - target).norm(dim=1)
        expected = (difference / target.norm(dim=1)).numpy() / UNIT
        np.testing.assert_allclose(part["relative_distance"], expected, rtol=1e-4)
    natural = trials["control"] == "natural"
    assert (trials["stage_index"] == np.where(natural, 0, 2)).all()
    assert (trials["stage"] == np.where(natural, "natural", "relu")).all()


def test_batches_do_not_matter(controls, network, references, null_path):
    small = judge(network, references, controls, null_path, batch_size=2)
    large = judge(network, references, controls, null_path, batch_size=100)
    np.testing.assert_array_equal(small["response"], large["response"])
    np.testing.assert_allclose(
        small["relative_distance"], large["relative_distance"], rtol=1e-5
    )


def test_an_evaluator_of_another_question_is_not_correct_or_wrong(
    network, references, null_path
):
    stimuli = {"standard": ControlStimuli(references.values(), np.ones(5, bool))}
    entry = {**ENTRY, "task": {**ENTRY["task"], "name": "parity", "label": "parity"}}
    trials = judge(network, references, stimuli, null_path, entry)
    assert trials["correct"].isna().all()
    assert set(trials["response"]) <= {"even", "odd", "neither"}
    assert (trials["response"] == trials["natural_response"]).all()
    np.testing.assert_allclose(trials["relative_distance"], 0, atol=1e-6)
