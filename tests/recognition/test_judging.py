"""A network judges metamers, against a plain forward pass and a plain table."""

import dataclasses

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from metamers.errors import StudyError
from metamers.networks.network import Network
from metamers.recognition.agreement import agreement
from metamers.recognition.judging import (
    GeneratorFiles,
    judge_block,
    null_distances,
    stage_of_same_depth,
)
from metamers.recognition.observing import Observer
from metamers.recognition.tables import TRIAL_COLUMNS
from metamers.stimuli.files import Split, StimulusSet, write_stimuli
from metamers.synthesis.measures import MEASURES
from metamers.synthesis.null_files import NullDistribution, write_null

CATEGORIES = ["zero", "one", "two"]
IDS = np.array([f"digit_{index}" for index in range(7)])
STAGES = {"early": "relu0", "middle": "relu1", "final": "final"}
GENERATORS = {"deep": ["a", "b", "c", "d", "e"], "shallow": ["first", "last"]}
TASK = {"name": "digits", "label": "category", "decision": {"kind": "argmax"}}
ENTRY = {"modality": "vision", "task": TASK}
# Median of 10 log10(||a|| / ||a - b||) of each stage: distances 0.1, 1 and 10 ** 0.3.
MEDIAN_DB = {"early": 10.0, "middle": 0.0, "final": -3.0}


class Body(nn.Module):
    """A small net whose batch norm would mix stimuli outside evaluation mode."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.conv = nn.Linear(inputs, 12)
        self.norm = nn.BatchNorm1d(12)
        self.relu0 = nn.ReLU()
        self.dense = nn.Linear(12, 9)
        self.relu1 = nn.ReLU()
        self.final = nn.Linear(9, classes)

    def forward(self, x):
        early = self.relu0(self.norm(self.conv(x.flatten(1))))
        return self.final(self.relu1(self.dense(early)))


def make_network(inputs=16, classes=3, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network(nn.Identity(), Body(inputs, classes)).requires_grad_(False)
        # Center the outputs, so that the answers differ.
        network.body.final.bias -= network(torch.rand(50, inputs)).mean(0)
    network.body.norm.reset_running_stats()
    return network


def make_references(generator):
    stimulus = generator.integers(0, 256, (7, 1, 4, 4)).astype(np.uint8)
    label = {"category": np.arange(7) % 3}
    return Split(stimulus=stimulus, id=IDS, label=label)


def make_null(medians):
    levels = np.array([0.0, 0.5, 1.0])

    def distribution(median):
        return NullDistribution(
            maximum=median + 5,
            ceiling=False,
            pairs=100,
            units=9,
            quantile_levels=levels,
            quantiles=np.array([median - 1, median, median + 5]),
            histogram_counts=np.array([100]),
            histogram_edges=np.array([-9.0, 9.0]),
        )

    return {
        stage: {measure: distribution(median) for measure in MEASURES}
        for stage, median in medians.items()
    }


def write_generator(folder, name, stages, generator, shape=(1, 4, 4)):
    """Write metamers in an order of their own, and their screening."""
    rows = []
    with h5py.File(folder / f"{name}.h5", "w") as file:
        for stage in stages:
            ids = generator.permutation(IDS)
            group = file.create_group(stage)
            group["stimulus_id"] = ids.astype(object)
            metamers = generator.uniform(-0.1, 1.1, (len(ids), *shape))
            group["metamer"] = metamers.astype(np.float32)
            rows += [(stage, one, bool(generator.random() < 0.7)) for one in ids]
    table = pd.DataFrame(rows, columns=["stage", "stimulus_id", "passed"])
    table.insert(0, "model", name)
    table.assign(reason="").to_csv(folder / f"{name}.csv", index=False)
    return GeneratorFiles(
        folder / f"{name}.h5", folder / f"{name}.csv", stages, "digits"
    )


@dataclasses.dataclass
class Block:
    folder: object
    references: Split
    generators: dict

    def judge(self, entry=ENTRY, network=None, batch_size=100, **changes):
        options = {"stages": STAGES, "generators": self.generators} | changes
        return judge_block(
            network or make_network(),
            entry,
            options["stages"],
            options["generators"],
            self.folder / "stimuli.h5",
            self.folder / "null.h5",
            study="tiny",
            evaluator="judge",
            batch_size=batch_size,
        )


@pytest.fixture
def block(tmp_path):
    generator = np.random.default_rng(4)
    references = make_references(generator)
    # As with words and backgrounds: the references carry one label, others another.
    other = dataclasses.replace(references, label={"parity": np.arange(7) % 2})
    stimuli = StimulusSet(
        "vision",
        {"reference": references, "test": other},
        {"category": CATEGORIES, "parity": ["even", "odd"]},
    )
    write_stimuli(stimuli, tmp_path / "stimuli.h5", tmp_path / "stimuli.csv")
    write_null(make_null(MEDIAN_DB), tmp_path / "null.h5")
    files = {
        name: write_generator(tmp_path, name, stages, generator)
        for name, stages in GENERATORS.items()
    }
    return Block(tmp_path, references, files)


def expected_rows(block, network):
    """Compute the trial table one stimulus at a time, without the package."""
    body = network.eval().body
    # Five stages meet three at depths 0, .5, 1, 1.5, 2 (halves go deeper).
    partner = {"a": 0, "b": 1, "c": 1, "d": 2, "e": 2, "first": 0, "last": 2}

    def look(pixels):
        x = torch.from_numpy(pixels.astype(np.float32) / np.float32(255))[None]
        early = torch.relu(body.norm(body.conv(x.flatten(1))))
        middle = torch.relu(body.dense(early))
        final = body.final(middle)
        return [early, middle, final], CATEGORIES[int(final.argmax())]

    for name, files in block.generators.items():
        screening = pd.read_csv(files.screening).set_index(["stage", "stimulus_id"])
        with h5py.File(files.metamers) as file:
            for index, stimulus in enumerate(IDS):
                natural, answer = look(block.references.stimulus[index])
                label = CATEGORIES[index % 3]
                yield (name, "natural", 0, stimulus, label, answer, answer, True, 0.0)
                for depth, stage in enumerate(files.stages, start=1):
                    ids = file[stage]["stimulus_id"].asstr()[:].tolist()
                    metamer = file[stage]["metamer"][ids.index(stimulus)]
                    pixels = np.floor(np.clip(metamer, 0, 1) * np.float32(255))
                    seen, response = look(pixels)
                    a, a0 = seen[partner[stage]], natural[partner[stage]]
                    distance = float((a - a0).norm() / a0.norm())
                    unit = [0.1, 1.0, 10**0.3][partner[stage]]
                    passed = screening.loc[(stage, stimulus), "passed"]
                    yield (
                        *(name, stage, depth, stimulus, label, response, answer),
                        *(bool(passed), distance / unit),
                    )


def test_trials_are_those_of_a_plain_forward_pass(block):
    network = make_network()
    trials = block.judge(network=network)
    columns = ["generator", "stage", "stage_index", "stimulus_id", "label"]
    columns += ["response", "natural_response", "passed", "relative_distance"]
    expected = pd.DataFrame(expected_rows(block, network), columns=columns)
    expected = expected.sort_values(["generator", "stage_index", "stimulus_id"])
    assert len(set(expected["response"])) > 1
    pd.testing.assert_frame_equal(
        trials[columns], expected.reset_index(drop=True), rtol=1e-4, atol=1e-6
    )
    correct = (trials["response"] == trials["label"]).astype("boolean")
    pd.testing.assert_series_equal(trials["correct"], correct, check_names=False)


def test_the_table_is_a_trial_table(block):
    trials = block.judge()
    assert {name: str(kind) for name, kind in trials.dtypes.items()} == TRIAL_COLUMNS
    assert len(trials) == 7 * (1 + 5 + 1 + 2)
    assert set(trials["study"]) == {"tiny"}
    assert set(trials["observer"]) == {"judge"}
    assert set(trials["observer_kind"]) == {"network"}
    assert set(trials["task"]) == set(trials["generator_task"]) == {"digits"}


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_answers_do_not_depend_on_the_batch(block, batch_size):
    whole = block.judge()
    parts = block.judge(batch_size=batch_size)
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-5, atol=1e-6)


def test_another_task_is_neither_right_nor_wrong(block):
    task = {"name": "parity", "label": "parity", "decision": {"kind": "argmax"}}
    entry = {"modality": "vision", "task": task}
    trials = block.judge(entry, make_network(classes=2))
    assert trials["correct"].isna().all()
    assert set(trials["response"]) | set(trials["natural_response"]) <= {"even", "odd"}
    assert set(trials["label"]) == set(CATEGORIES)
    assert set(trials["task"]) == {"parity"}
    # It can still be compared with itself.
    assert agreement(trials)["n"].sum() == trials.query("stage_index > 0").passed.sum()


def test_finer_classes_answer_by_their_category(block):
    mapping = {"zero": [4], "one": [0, 3], "two": [1]}
    task = TASK | {"decision": {"kind": "mapped_maximum", "map": mapping}}
    network = make_network(classes=6)
    trials = block.judge({"modality": "vision", "task": task}, network)
    natural = trials[trials["stage"] == "natural"].iloc[:7]
    pixels = torch.from_numpy(block.references.values())
    logits = network.eval()(pixels)[:, [0, 1, 3, 4]]
    names = np.array(["one", "two", "one", "zero"])[logits.argmax(1).numpy()]
    assert natural["response"].tolist() == names.tolist()
    assert natural["correct"].notna().all()


def test_what_a_person_cannot_see_does_not_count(block):
    # Brighter by less than one of 256 levels: the file is the natural stimulus.
    files = block.generators["shallow"]
    with h5py.File(files.metamers, "a") as file:
        for stage in files.stages:
            order = [list(IDS).index(one) for one in file[stage]["stimulus_id"].asstr()]
            natural = block.references.values()[order]
            file[stage]["metamer"][...] = np.minimum(natural + 0.9 / 255, 1)
    trials = block.judge().query("generator == 'shallow'")
    assert (trials["relative_distance"] < 1e-5).all()  # rounding between batches
    assert (trials["response"] == trials["natural_response"]).all()


def test_sounds_are_judged_after_the_front_end(tmp_path):
    generator = np.random.default_rng(0)
    sounds = generator.integers(-30000, 30000, (7, 16)).astype(np.int16)
    reference = Split(stimulus=sounds, id=IDS, label={"word": np.arange(7) % 3})
    stimuli = StimulusSet("audio", {"reference": reference}, {"word": CATEGORIES}, 8000)
    write_stimuli(stimuli, tmp_path / "stimuli.h5", tmp_path / "stimuli.csv")
    write_null(make_null({"cochleagram": 0.0, "final": 0.0}), tmp_path / "null.h5")
    files = write_generator(tmp_path, "own", ["first", "last"], generator, (16,))
    network = make_network()
    network.preprocessing = nn.Hardtanh(-0.5, 0.5)
    task = {"name": "words", "label": "word", "decision": {"kind": "argmax"}}
    trials = Block(tmp_path, reference, {"own": files}).judge(
        {"modality": "audio", "task": task},
        network,
        stages={"cochleagram": "front_end", "final": "final"},
    )
    assert len(trials) == 7 * 3
    assert trials["correct"].notna().all()
    row = trials[trials["stage"] == "first"].iloc[3]
    with h5py.File(files.metamers) as file:
        at = file["first"]["stimulus_id"].asstr()[:].tolist().index(row["stimulus_id"])
        metamer = file["first"]["metamer"][at]
    metamer = np.rint(np.clip(metamer, -1, 1) * 32767) / 32767
    a, a0 = (np.clip(x, -0.5, 0.5) for x in (metamer, sounds[3] / 32767))
    distance = np.linalg.norm(a - a0) / np.linalg.norm(a0)
    assert row["relative_distance"] == pytest.approx(distance, rel=1e-4)


def test_silent_stages_have_no_distance(block):
    network = make_network()
    network.body.dense.weight.zero_()
    network.body.dense.bias.fill_(-1)
    trials = block.judge(network=network)
    middle = trials[trials["stage"].isin(["b", "c"])]
    assert middle["relative_distance"].isna().all()
    assert trials.query("stage == 'a'")["relative_distance"].notna().all()


def test_the_network_is_left_as_it_was(block):
    network = make_network()
    before = [name for name, _ in network.named_modules()]
    statistics = network.body.norm.running_mean.clone()
    block.judge(network=network)
    assert [name for name, _ in network.named_modules()] == before
    assert torch.equal(network.body.norm.running_mean, statistics)
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("mine", "index", "total", "expected"),
    [
        (8, 0, 8, 0),
        (8, 5, 8, 5),
        (8, 7, 8, 7),
        (7, 0, 8, 0),
        (7, 7, 8, 6),
        (7, 4, 8, 3),
        (8, 3, 7, 4),
        (3, 1, 5, 1),
        (1, 2, 5, 0),
        (4, 0, 1, 3),
    ],
)
def test_stages_meet_at_the_same_relative_depth(mine, index, total, expected):
    stages = [f"stage{number}" for number in range(mine)]
    assert stage_of_same_depth(stages, index, total) == f"stage{expected}"


def test_stages_outside_are_refused():
    with pytest.raises(ValueError, match="from 0 to 2"):
        stage_of_same_depth(["a"], 3, 3)


def test_null_distances_are_the_median_of_random_pairs(tmp_path):
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 1001, 20))
    ratio = np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)
    median_db = float(np.median(10 * np.log10(1 / ratio)))
    write_null(make_null({"stage": median_db}), tmp_path / "null.h5")
    found = null_distances(tmp_path / "null.h5", ["stage"])
    assert found == {"stage": pytest.approx(np.median(ratio))}
    with pytest.raises(StudyError, match="did you mean 'stage'"):
        null_distances(tmp_path / "null.h5", ["stages"])


def remove_metamer(files):
    with h5py.File(files.metamers, "a") as file:
        ids = file["last"]["stimulus_id"].asstr()[:].astype(object)
        ids[2] = "digit_99"
        file["last"]["stimulus_id"][...] = ids


def remove_stage(files):
    with h5py.File(files.metamers, "a") as file:
        del file["last"]


def remove_screening(files):
    table = pd.read_csv(files.screening)
    table.iloc[:-1].to_csv(files.screening, index=False)


def empty_screening(files):
    table = pd.read_csv(files.screening, dtype=str)
    table.loc[3, "passed"] = None
    table.to_csv(files.screening, index=False)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_metamer, "2 without a counterpart"),
        (remove_stage, "no metamers of the stage 'last'"),
        (remove_screening, r"shallow\.csv: has no row for stage 'last'"),
        (empty_screening, "`passed` is empty"),
    ],
)
def test_incomplete_files_are_refused(block, damage, message):
    damage(block.generators["shallow"])
    with pytest.raises(StudyError, match=message):
        block.judge()


def test_an_observer_answers_in_batches(block):
    network = make_network()
    observer = Observer(network, ENTRY, {}, {"category": CATEGORIES})
    values = block.references.values()
    whole = np.array(CATEGORIES)[network(torch.from_numpy(values)).argmax(1).numpy()]
    assert observer.answer(values, batch_size=3).tolist() == whole.tolist()
    assert observer.answer(block.references.stimulus).tolist() == whole.tolist()
    assert observer.answer(values[:0]).tolist() == []
