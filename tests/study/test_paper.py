"""The paper study: every published model, with its stages, and its size."""

from __future__ import annotations

import csv

import pandas as pd
import pytest

from metamers.errors import StudyError
from metamers.network_check import check_networks
from metamers.plan import Plan
from metamers.study.reading import ROOT, load_study, missing_data
from metamers.study.slices import model_facts, synthesis_of


@pytest.fixture(scope="module")
def study():
    return load_study("paper")


@pytest.fixture(scope="module")
def published():
    found: dict[tuple[str, str], list[str]] = {}
    with open(ROOT / "resources/published/model_stages.csv", newline="") as file:
        for row in csv.DictReader(file):
            key = (row["modality"], row["model"])
            found.setdefault(key, []).append(row["stage"])
    return found


def test_every_published_model_with_its_stages_in_their_order(study, published):
    for (modality, model), stages in published.items():
        entry = study.models[model]
        assert entry.modality == modality
        # The input of vision networks is no stage: its metamers are the image itself.
        shown = stages if modality == "audio" else stages[1:]
        assert list(entry.stages) == shown, model
        if model != "alexnet_linf_4_robust":
            assert entry.published == model


def test_numbers_of_models(study):
    ours = {"vision": 34, "audio": 24}
    assert {m: len(study.models_of(m)) for m in study.modalities} == ours
    of_2019 = [m for m, e in study.models.items() if "poster_2019" in e.figures]
    assert len(of_2019) == 9


def test_perturbations_have_the_published_sizes(study):
    def perturbation(model):
        return study.models[model].training.perturbation

    assert perturbation("alexnet_random_linf8_perturb").epsilon == 8 / 255
    assert perturbation("alexnet_linf_4_robust").epsilon == 4 / 255
    assert perturbation("alexnet_l2_3_robust").steps == 7
    coch = perturbation("kell2018_l2_p5_robust_cochleagram")
    assert (coch.epsilon, coch.steps, coch.step_size) == (0.5, 5, 0.25)
    assert coch.domain == "front_end"
    assert perturbation("cochresnet50_l2_1_random_step_waveform").kind == "random"


def test_synthesis_is_the_published_one(study):
    vision, hmax = synthesis_of(study, "resnet50"), synthesis_of(study, "hmax_standard")
    assert (vision["rounds"], vision["steps_per_round"]) == (8, 3000)
    assert (vision["initial_mean"], vision["initial_deviation"]) == (0.5, 0.05)
    assert vision["matching"] is None
    # Of images from 0 to 255: noise of 10 and a first step of 255.
    assert 255 * hmax["initial_deviation"] == pytest.approx(10)
    assert hmax["first_step"] == 1.0
    assert hmax["matching"]["kind"] == "random_unit"
    sound = synthesis_of(study, "spectemp_filters")
    assert sound["initial_deviation"] == 1e-5
    assert sound["matching"]["kind"] == "growing_filters"


def test_jobs_are_as_many_as_the_models_and_stages_make(study):
    plan = Plan("paper")
    counted: dict[str, int] = {}
    for rule, _ in plan.jobs():
        counted[rule] = counted.get(rule, 0) + 1
    vision = [study.models[m] for m in study.models_of("vision")]
    audio = [study.models[m] for m in study.models_of("audio")]
    shards = {"vision": 400 // 100, "audio": 400 // 40}
    stages = sum(len(entry.stages) for entry in vision) * shards["vision"]
    stages += len(study.models["hmax_standard"].stages) * (400 // 40 - 400 // 100)
    stages += sum(len(entry.stages) for entry in audio) * shards["audio"]
    assert counted["synthesize_metamers"] == stages
    assert counted["judge_metamers"] == len(vision) ** 2 + len(audio) ** 2
    for rule in ("train_model", "sample_null", "screen_metamers", "build_model_page"):
        assert counted[rule] == len(vision) + len(audio)
    assert counted["measure_collapse"] == len(audio)
    assert counted["prepare_stimuli"] == counted["run_controls"] == 2


def test_missing_data_are_named_with_what_belongs_there(study, tmp_path):
    lines = missing_data(study, tmp_path)
    assert len(lines) == 4
    assert "stimuli.vision.source.path: there is no 'data/imagenet/train'" in lines[0]
    assert "path, word, onset, source" in lines[2]
    for folder in ("imagenet/train", "imagenet/val", "speech", "audioset"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    (tmp_path / "data/speech/clips.csv").touch()
    (tmp_path / "data/audioset/backgrounds.csv").touch()
    assert missing_data(study, tmp_path) == []


def test_timm_networks_get_stimuli_as_they_were_trained_on(study):
    import timm

    # Published so, though its weights were trained with 0.5 (docs/deviations.md).
    published = {"vision_transformer_vit_large_patch16_224"}
    checked = set()
    for name, model in study.models.items():
        if model.architecture.startswith("timm:") and name not in published:
            architecture = model.architecture.removeprefix("timm:")
            wanted = timm.get_pretrained_cfg(architecture)
            found = model.preprocessing
            assert tuple(found.mean) == tuple(wanted.mean), name
            assert tuple(found.std) == tuple(wanted.std), name
            checked.add(name)
    assert "resnet101_v2_2019" in checked


def test_claims_find_their_models_in_the_paper_study(study):
    from metamers.recognition.panel import relation
    from metamers.statistics.claims_file import load_claims
    from metamers.statistics.evidence import Evidence, NotTestable

    facts = model_facts(study)
    claims = load_claims(ROOT / "resources/claims.yaml")
    lacking = set()
    for claim in claims.claims:
        for modality in claim.modalities:
            models = {k: v for k, v in facts.items() if v["modality"] == modality}
            empty = pd.DataFrame()
            evidence = Evidence(models, {}, empty, empty, claims.rules, 0, 10)
            try:
                evidence.select(claim.models)
                if claim.against and claim.estimand != "transfer_contrast":
                    evidence.pairs(claim)
            except NotTestable:
                lacking.add((claim.id, modality))
    # No untrained network of vision is in the study.
    assert lacking == {
        ("untrained_metamers_are_more_recognizable", "vision"),
        ("untrained_metamers_are_closer", "vision"),
    }
    words = "word_network_2019"
    assert relation(facts, words, "audioset_network_2019") == "other_task"
    others = [name for name, model in facts.items() if model["group"] == "other_task"]
    assert others == ["audioset_network_2019"]


def test_controls_are_of_a_model_with_the_shape_of_the_references(tmp_path):
    path = tmp_path / "paper.yaml"
    text = (ROOT / "config/studies/paper.yaml").read_text()
    control = "vision: {model: resnet50, stage: layer4_fake_relu, step_factor: 4}"
    assert control in text
    other = "vision: {model: hmax_standard, stage: c1_out, step_factor: 4}"
    path.write_text(text.replace(control, other))
    with pytest.raises(StudyError, match="'hmax_standard' have a shape of their own"):
        load_study(path)


def test_a_joint_task_needs_the_outputs_of_both_labels(tmp_path):
    words, backgrounds = 12, 8
    task = "joint: {modality: audio, label: word, second: "
    task += f"{{label: background, after: {words}}}}}"
    text = (ROOT / "config/studies/demo.yaml").read_text()
    text = text.replace("tasks:\n", f"tasks:\n  {task}\n", 1)
    first, rest = text.split("  cochcnn_backgrounds:\n")
    old = f"classes: {backgrounds}"
    assert old in rest
    path = tmp_path / "demo.yaml"

    def checked(outputs):
        changed = rest.replace(old, f"classes: {outputs}", 1)
        changed = changed.replace("task: backgrounds", "task: joint", 1)
        path.write_text(first + "  cochcnn_backgrounds:\n" + changed)
        check_networks(load_study(path), tmp_path / "checked.json")

    checked(words + backgrounds)
    with pytest.raises(StudyError, match="its task 'joint' has 20 categories"):
        checked(words)
