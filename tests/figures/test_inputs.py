"""What the figures read from the study's files."""

import h5py
import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.figures.inputs import (
    read_examples,
    read_losses,
    read_metamer,
    read_nulls,
    read_tables,
    spread_places,
)
from metamers.stimuli.files import Split, StimulusSet, write_stimuli
from metamers.synthesis.null_files import NullDistribution, write_null


@pytest.fixture
def pack(tmp_path):
    """Write a pack of metamers of three stimuli at two stages."""
    path = tmp_path / "net.h5"
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for stage in ("relu1", "relu0"):
            group = file.create_group(stage)
            group["metamer"] = generator.random((3, 1, 4, 4), dtype=np.float32)
            group.create_dataset(
                "stimulus_id", data=["b", "a", "c"], dtype=h5py.string_dtype()
            )
            group["loss"] = np.array([[4.0, 1.0], [8.0, 3.0], [6.0, 2.0]])
            group["logged_step"] = np.array([0, 10])
    return path


@pytest.fixture
def stimuli(tmp_path):
    split = Split(
        stimulus=np.arange(48, dtype=np.uint8).reshape(3, 1, 4, 4),
        id=np.array(["a", "b", "c"]),
        label={"category": np.array([2, 0, 1])},
    )
    path = tmp_path / "vision.h5"
    stimulus_set = StimulusSet(
        "vision", {"reference": split}, {"category": ["x", "y", "z"]}
    )
    write_stimuli(stimulus_set, path, tmp_path / "vision.csv")
    return path


def test_losses_are_quartiles_in_the_order_of_the_study(pack):
    table = read_losses(pack, "net", ["relu0", "absent", "relu1"])
    assert table["stage"].tolist() == ["relu0"] * 2 + ["relu1"] * 2
    assert table["stage_index"].tolist() == [1, 1, 3, 3]
    assert table["median"].tolist() == [6.0, 2.0] * 2
    assert table["lower"].tolist() == [5.0, 1.5] * 2
    assert table["upper"].tolist() == [7.0, 2.5] * 2
    assert set(table["n"]) == {3}


def test_a_metamer_is_found_by_its_reference(pack):
    found = read_metamer(pack, "a")
    with h5py.File(pack) as file:
        for stage in ("relu0", "relu1"):
            np.testing.assert_array_equal(found[stage], file[stage]["metamer"][1])
    assert read_metamer(pack, "unknown") == {}
    assert read_metamer(pack.with_name("absent.h5"), "a") == {}


def test_examples_are_what_a_person_would_get(pack, stimuli, tmp_path):
    paths = {"net": pack, "absent": tmp_path / "absent.h5"}
    example = read_examples(stimuli, paths, "category", 1)
    assert (example.stimulus_id, example.label) == ("b", "x")
    np.testing.assert_allclose(
        example.reference * 255, np.arange(16, 32).reshape(1, 4, 4), rtol=1e-6
    )
    assert set(example.metamers) == {("net", "relu0"), ("net", "relu1")}
    levels = example.metamers["net", "relu0"] * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)


def test_a_place_beyond_the_references_is_refused(pack, stimuli):
    with pytest.raises(StudyError, match=r"example 3 .* choose 0 to 2"):
        read_examples(stimuli, {"net": pack}, "category", 3)


def test_nulls_come_back_bin_by_bin(tmp_path):
    counts, edges = np.array([1, 4, 0]), np.array([-1.0, 0.0, 0.5, 1.0])
    null = NullDistribution(
        maximum=0.4,
        ceiling=False,
        pairs=5,
        units=7,
        quantile_levels=np.array([0.0, 1.0]),
        quantiles=np.array([-0.5, 0.4]),
        histogram_counts=counts,
        histogram_edges=edges,
    )
    measures = ("spearman", "pearson", "db_snr")
    path = tmp_path / "null.h5"
    write_null({"relu0": dict.fromkeys(measures, null)}, path)
    table = read_nulls(path, "net", ["absent", "relu0"])
    assert len(table) == 9
    part = table[table["measure"] == "pearson"]
    assert part["count"].tolist() == counts.tolist()
    assert part["lower_edge"].tolist() == edges[:-1].tolist()
    assert part["upper_edge"].tolist() == edges[1:].tolist()
    assert set(part["stage_index"]) == {2}
    assert set(part["units"]) == {7}


def test_tables_that_are_not_there_are_left_out(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    table = read_tables([path, tmp_path / "absent.csv", path])
    assert table["x"].tolist() == [1, 1]
    assert read_tables([]).empty


def test_examples_are_spread_over_the_file():
    assert spread_places(40, 4) == [0, 10, 20, 30]
    assert spread_places(3, 4) == [0, 1, 2]
