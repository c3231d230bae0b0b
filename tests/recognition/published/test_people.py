"""The published human data, against the means that the study's analyses give."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io

from metamers.errors import StudyError
from metamers.recognition.published.people import (
    SUMMARY_COLUMNS,
    main,
    published_participants,
    read_published_folder,
    read_published_set,
    summarize,
)
from metamers.recognition.tables import RECOGNITION_COLUMNS, published_recognition

MEANS = pd.read_csv(Path(__file__).with_name("published_means.csv"))
NAME = "VisionExperiment7_network_vs_humans_datamatrix_toy_net_public.mat"


@pytest.fixture(scope="module")
def sets(shared):
    return read_published_folder(shared / "published" / "originals")


@pytest.fixture(scope="module")
def resource(root):
    return root / "resources" / "published_recognition.csv"


@pytest.fixture(scope="module")
def tracked(resource):
    return pd.read_csv(resource)


def check_means(table, expected):
    """Compare one set's rows with its three-decimal means."""
    people = table[table["observer_kind"] == "human"].sort_values("stage_index")
    network = table[table["observer_kind"] == "network"].sort_values("stage_index")
    means = [float(mean) for mean in expected.human_means.split()]
    assert people["stage_index"].tolist() == list(range(len(means)))
    np.testing.assert_allclose(people["mean"], means, rtol=0, atol=5.01e-4)
    assert network["mean"].iloc[1:].mean() == pytest.approx(
        expected.network_mean, abs=5.01e-4
    )
    assert set(table["n"]) == {expected.participants}


def test_the_tracked_means_are_the_published_ones(tracked):
    assert list(tracked.columns) == SUMMARY_COLUMNS
    keys = ["modality", "repo_experiment", "model"]
    groups = {key: part for key, part in tracked.groupby(keys)}
    assert len(MEANS) == len(groups) == 59
    for expected in MEANS.itertuples():
        key = (expected.modality, expected.repo_experiment, expected.model)
        check_means(groups[key], expected)
    assert tracked["mean"].between(0, 1).all()
    # The standard error of n proportions cannot exceed that of a fair coin.
    assert (tracked["sem"] <= 0.5 / np.sqrt(tracked["n"])).all()


def test_the_tracked_means_come_from_the_files(sets, tracked):
    again = summarize(sets)
    exact = [column for column in SUMMARY_COLUMNS if column not in ("mean", "sem")]
    pd.testing.assert_frame_equal(again[exact], tracked[exact])
    np.testing.assert_allclose(again["mean"], tracked["mean"], rtol=1e-9)
    np.testing.assert_allclose(again["sem"], tracked["sem"], rtol=1e-9)


def test_the_command_writes_the_tracked_file(sets, shared, resource, tmp_path):
    main([str(shared / "published" / "originals"), str(tmp_path / "means.csv")])
    assert (tmp_path / "means.csv").read_text() == resource.read_text()


def test_stages_are_those_of_the_published_table_of_experiments(sets, shared):
    path = shared / "published" / "reference" / "experiments.csv"
    with path.open(newline="") as lines:
        listed = {
            (row["modality"], int(row["repo_experiment"]), row["model"]): row
            for row in csv.DictReader(lines)
        }
    assert len(sets) == len(listed) == 59
    for published in sets:
        modality = {"vision": "visual", "audio": "audio"}[published.modality]
        row = listed[modality, published.repo_experiment, published.model]
        assert len(published.participants) == int(row["n_participants"])
        natural, *stages = row["stages"].split("|")
        assert natural.startswith("natural_")
        assert published.stages == ("natural", *stages)


def test_people_of_one_experiment_are_the_same_for_all_models(sets):
    natural = {}
    for published in sets:
        key = (published.modality, published.repo_experiment)
        mine = (published.participants, published.proportion_correct[:, 0, 0].tolist())
        assert natural.setdefault(key, mine) == mine
    assert len(natural) == 15


def test_every_participant_has_a_row(sets):
    table = published_participants(sets)
    assert list(table.columns) == list(RECOGNITION_COLUMNS)
    assert len(table) == sum(one.proportion_correct.size for one in sets)
    assert set(table["observer"]) == {"human", *MEANS["model"]}
    assert table["n"].isna().all()
    pooled = table[
        (table["generator"] == "resnet50")
        & (table["stage"] == "layer4_fake_relu")
        & (table["observer_kind"] == "human")
    ]
    # ResNet50 was in the vision experiments 1, 3, 5 and 10.
    assert len(pooled) == 22 + 20 + 21 + 21
    people = pooled.groupby("experiment")["proportion_correct"].mean()
    assert people["published_1"] == pytest.approx(0.212, abs=5.01e-4)
    assert people["published_3"] == pytest.approx(0.294, abs=5.01e-4)


def test_the_tracked_means_are_a_recognition_table(resource, tracked):
    table = published_recognition(resource)
    assert list(table.columns) == list(RECOGNITION_COLUMNS)
    assert len(table) == len(tracked)
    people = table[(table["observer"] == "human") & (table["generator"] == "kell2018")]
    assert set(people["experiment"]) == {"published_1", "published_4", "published_8"}


def content(**changes):
    """Return the variables of a small valid file, some of them changed."""
    values = {
        "participant_data_matrix": np.linspace(0, 1, 12).reshape(2, 3, 2),
        "participants": np.array(["0 ", "10"]),
        "model_layers": np.array(["natural_image", "relu0        ", "final        "]),
        "conditions": np.array(["Human  ", "Network"]),
        "axis_order": np.array(["participants", "model_layers", "conditions  "]),
    }
    values |= changes
    return {name: value for name, value in values.items() if value is not None}


def write(folder, values, name=NAME):
    path = folder / name
    scipy.io.savemat(path, values)
    return path


def test_a_small_file_is_read(tmp_path):
    published = read_published_set(write(tmp_path, content()))
    assert (published.modality, published.repo_experiment) == ("vision", 7)
    assert published.model == "toy_net"
    assert published.participants == ("0", "10")
    assert published.stages == ("natural", "relu0", "final")
    table = summarize([published]).set_index(["observer_kind", "stage"])
    # Participant 0 has 0, 2, 4 elevenths as a person, participant 1 has 6, 8, 10.
    assert table.loc[("human", "natural"), "mean"] == round(3 / 11, 10)
    # Two values six elevenths apart: ddof 0 gives 3 / 11, over the root of two.
    error = table.loc[("network", "final"), "sem"]
    assert error == pytest.approx(3 / 11 / np.sqrt(2), rel=1e-9)


def outside(value):
    matrix = np.full((2, 3, 2), 0.5)
    matrix[1, 2, 0] = value
    return matrix


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"participants": None}, "has no variable participants"),
        ({"participant_data_matrix": outside(1.01)}, r"1\.01 at \(1, 2, 0\)"),
        ({"participant_data_matrix": outside(-1e-9)}, r"in \[0, 1\]"),
        ({"participant_data_matrix": outside(np.nan)}, r"nan at \(1, 2, 0\)"),
        ({"participant_data_matrix": np.zeros((2, 3))}, "3 dimension"),
        ({"participant_data_matrix": np.zeros((2, 4, 2))}, "shape"),
        ({"participant_data_matrix": np.zeros((2, 2000, 2))}, "1 to 1000"),
        ({"participant_data_matrix": np.zeros((2, 3, 2), dtype=complex)}, "complex"),
        ({"participant_data_matrix": np.zeros((2, 3, 2), dtype=int)}, "int64"),
        ({"participants": np.array([[{}], [{}]], dtype=object)}, "cell"),
        ({"participants": np.zeros((2, 1))}, "must be text"),
        ({"participant_data_matrix": np.array(["a", "b"])}, "must be numbers"),
        ({"participants": np.array(["7", "7"])}, "twice"),
        ({"participants": np.array(["7", "../x"])}, "no name"),
        ({"conditions": np.array(["Network", "Human  "])}, "must be"),
        ({"axis_order": np.array(["a", "b", "c"])}, "must be"),
        ({"model_layers": np.array(["natural_audio", "r", "f"])}, "natural_image"),
    ],
)
def test_wrong_content_is_refused(tmp_path, changes, message):
    path = write(tmp_path, content(**changes))
    with pytest.raises(StudyError, match=message) as error:
        read_published_set(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("keep", [0, 40, 128, 200, 500, -200])
def test_damaged_files_are_refused(tmp_path, keep):
    path = write(tmp_path, content())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StudyError):
        read_published_set(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(b"\x80\x04cos\nsystem\n" * 30)
    with pytest.raises(StudyError, match="not a MATLAB 5 file"):
        read_published_set(path)
    path.write_bytes(bytes(1_000_001))
    with pytest.raises(StudyError, match="1000001 bytes"):
        read_published_set(path)
    with pytest.raises(StudyError, match="cannot be read"):
        read_published_set(tmp_path / NAME.replace("7", "8"))
    with pytest.raises(StudyError, match="not the name of a published file"):
        read_published_set(tmp_path / "other.mat")


def test_folders_are_searched_and_repeats_refused(tmp_path):
    with pytest.raises(StudyError, match="no file in it"):
        read_published_folder(tmp_path)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "first", content())
    write(tmp_path / "second", content(), NAME.replace("toy_net", "another"))
    models = [published.model for published in read_published_folder(tmp_path)]
    assert models == ["another", "toy_net"]
    write(tmp_path / "second", content())
    with pytest.raises(StudyError, match="twice"):
        read_published_folder(tmp_path)


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path), str(tmp_path / "means.csv")])
    assert "no file in it" in capsys.readouterr().err
    assert not (tmp_path / "means.csv").exists()
