"""A model of one's own, and stimuli of one's own, through the same rules."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

STUDY = "config/studies/tiny.yaml"


MINE = """\
models:
  mine:
    architecture: torchvision:resnet18
    arguments: {num_classes: 10}
    task: digits
    preprocessing: {channels: 3}
    stages: {layer4: layer4}
"""


def test_model_in_five_lines_reaches_figures_and_scores(finished, tmp_path):
    copied = finished.copy(tmp_path / "repository")
    folder = copied.folder / "config" / "studies" / "tiny.d"
    folder.mkdir()
    (folder / "mine.yaml").write_text(MINE)
    weights = copied.folder / "results/tiny/models/net/weights.safetensors"
    before = weights.stat().st_mtime_ns
    copied.snakemake("--cores", "2")
    results = copied.folder / "results" / "tiny"
    scores = pd.read_csv(results / "statistics" / "scores.csv")
    assert set(scores["model"]) == {"net", "perturbed", "coch", "mine"}
    plotted = pd.read_csv(results / "figures" / "recognition_by_stage_vision.csv")
    assert "mine" in set(plotted["generator"])
    trials = pd.read_parquet(results / "trials.parquet")
    pairs = set(zip(trials["generator"], trials["observer"], strict=True))
    assert {("mine", "net"), ("net", "mine"), ("mine", "mine")} <= pairs
    assert (results / "pages" / "mine.html").is_file()
    assert weights.stat().st_mtime_ns == before
    assert copied.planned() == set()


@pytest.fixture
def lab_study(clone, shared):
    """Return the tiny study on photographs, recorded words and recorded noise."""
    lab = shared / "lab"
    study = yaml.safe_load((clone.folder / STUDY).read_text())
    study["name"] = "lab_slice"
    study["stimuli"]["vision"] = {
        "source": {
            "kind": "image_folder",
            "training": str(lab / "objects16" / "train"),
            "test": str(lab / "objects16" / "test"),
            "categories": ["bird", "dog", "bear"],
        },
        "size": 64,
        "channels": 3,
        "training_per_category": 40,
        "test_per_category": 5,
        "references_per_category": 2,
    }
    study["stimuli"]["audio"]["source"] = {
        "kind": "clip_folder",
        "clips": str(lab / "spoken_digits"),
        "backgrounds": str(lab / "backgrounds"),
        "test_speakers": ["theo"],
        "words": ["one", "two"],
        "training_per_word": 30,
        "test_per_word": 4,
        "background_classes": ["rain", "helicopter"],
        "training_background_clips": 4,
        "test_background_clips": 2,
    }
    net, coch = study["models"]["net"], study["models"]["coch"]
    net["arguments"] = {"classes": 3, "channels": 3, "size": 64}
    net["preprocessing"] = {"mean": [0.45] * 3, "std": [0.25] * 3}
    study["models"] = {"net": net, "coch": coch}
    return study


def test_folders_of_images_and_clips_give_metamers(clone, lab_study, tmp_path):
    copied = clone.copy(tmp_path / "repository")
    (copied.folder / "lab.yaml").write_text(yaml.safe_dump(lab_study, sort_keys=False))
    targets = [f"results/lab_slice/screening/{name}.csv" for name in ("net", "coch")]
    copied.snakemake("--cores", "2", *targets, study="./lab.yaml")
    vision, audio = (pd.read_csv(copied.folder / path) for path in targets)
    assert len(vision) == 2 * 6  # two stages of three categories of two references
    assert len(audio) == 4
    assert vision["final_loss"].between(0, 1.5).all()
    stimuli = pd.read_csv(copied.folder / "results/lab_slice/stimuli/audio.csv")
    assert set(stimuli.query("split == 'reference'")["speaker"]) == {"theo"}
    assert "theo" not in set(stimuli.query("split == 'training'")["speaker"])
