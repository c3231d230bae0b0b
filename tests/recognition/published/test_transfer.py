"""Published answers of networks, and published regressions, from pickles."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from metamers.errors import StudyError
from metamers.recognition.published.transfer import (
    SUMMARY_COLUMNS,
    TRIAL_COLUMNS,
    read_transfer,
    read_transfer_file,
)
from metamers.recognition.published.voxels import read_voxels, read_voxels_file

STAGES = {"input_after_preproc": [True, False], "final": [False, False, True]}


def answers(**changes):
    label = {stage: ["dog"] * len(right) for stage, right in STAGES.items()}
    response = {
        stage: ["dog" if value else "cat" for value in right]
        for stage, right in STAGES.items()
    }
    content = {
        "correct_incorrect": STAGES,
        "average_correct": {s: np.float64(np.mean(r)) for s, r in STAGES.items()},
        "labels_all_layers": label,
        "predictions__all_layers": response,
        "bootstrap_sem": dict.fromkeys(STAGES, np.float64(0.1)),
    }
    return content | changes


def written(folder, content, name="kell2018", sense="audio"):
    path = (
        folder
        / f"{sense}_networks/{name}/network_network_evaluations"
        / "accuracy_on_metamers_from_cochresnet50.pckl"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


def test_trials_and_summary_of_a_file(tmp_path):
    trials, summary = read_transfer_file(written(tmp_path, answers()))
    assert list(trials.columns) == list(TRIAL_COLUMNS)
    assert list(summary.columns) == SUMMARY_COLUMNS
    assert trials["correct"].tolist() == [True, False, False, False, True]
    assert set(trials["observer"]) == {"kell2018"}
    assert set(trials["generator"]) == {"cochresnet50"}
    assert summary["n"].tolist() == [2, 3]
    assert summary["proportion_correct"].tolist() == pytest.approx([0.5, 1 / 3])
    assert summary["stage_index"].tolist() == [0, 1]


def test_no_files_give_empty_tables_of_the_same_columns():
    trials, summary = read_transfer([])
    assert list(trials.columns) == list(TRIAL_COLUMNS)
    assert list(summary.columns) == SUMMARY_COLUMNS
    assert read_voxels([]).empty


def test_files_are_stacked_in_one_order(tmp_path):
    paths = [written(tmp_path, answers(), name) for name in ("kell2018", "a_net")]
    trials, summary = read_transfer(paths)
    again = read_transfer(reversed(paths))
    pd.testing.assert_frame_equal(trials, again[0])
    pd.testing.assert_frame_equal(summary, again[1])
    assert len(trials) == 10
    assert trials["label"].dtype == "category"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"average_correct": {"final": 0.5}}, "same stages"),
        ({"average_correct": dict.fromkeys(STAGES, 0.9)}, "do not give the mean"),
        ({"labels_all_layers": {key: [] for key in STAGES}}, "not 1 to 400"),
        ({"labels_all_layers": {key: [1, 2] for key in STAGES}}, "answers in text"),
        ({"bootstrap_sem": 3}, "same stages"),
    ],
)
def test_content_that_does_not_fit_is_refused(tmp_path, changes, message):
    with pytest.raises(StudyError, match=message):
        read_transfer_file(written(tmp_path, answers(**changes)))


def test_missing_keys_and_strange_paths_are_refused(tmp_path):
    with pytest.raises(StudyError, match="has no labels_16_way_all_layers"):
        read_transfer_file(written(tmp_path, answers(), sense="visual"))
    with pytest.raises(StudyError, match="not the path of a published file"):
        read_transfer_file(tmp_path / "accuracy.pckl")
    with pytest.raises(StudyError, match="not the path of a published file"):
        read_voxels_file(tmp_path / "voxelwise.pckl")


def test_medians_by_region_and_participant(tmp_path):
    path = (
        tmp_path / "audio_networks/kell2018/regression_results/natsound_activations"
        "/voxelwise_regression_b'relu2'_randseed3882.pckl"
    )
    path.parent.mkdir(parents=True)
    r2 = np.array([[0.1, 0.3, 0.2], [0.5, 0.5, 0.5], [0.9, 0.8, 0.7]])
    meta = np.array([(0,), (0,), (1,)], dtype=[("subj_idx", "<i8")])
    masks = {"masks": np.array([[1.0], [0.0], [1.0]]), "mask_names": ["pitch"]}
    content = {"r2s": r2, "voxel_meta": meta, "roi_masks": masks}
    path.write_bytes(pickle.dumps(content, protocol=4))
    table = read_voxels_file(path).set_index(["roi", "participant"])["median_r2"]
    assert table["all_aud_voxels", 0] == pytest.approx(0.35)
    assert table["all_aud_voxels", 1] == pytest.approx(0.8)
    assert table["pitch", 0] == pytest.approx(0.2)
    content["r2s"] = r2[:2]
    path.write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(StudyError, match="same voxels"):
        read_voxels_file(path)
