"""Claims on simulated studies of which the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metamers.statistics.claims import COLUMNS, evaluate_claims
from metamers.statistics.claims_file import ClaimsFile, load_claims, parse_claims
from metamers.statistics.evidence import same_layout

OPTIONS = {"seed": 11, "draws": 1000, "confidence": 0.95}
LOSS = {"adversarial": 0.3, "untrained": 0.1, "lowpass": 0.4, "places": 0.9}


def published(generator: str, index: int, count: int) -> float:
    """Recognize as the study found: full when early, by group when late."""
    if 3 * index <= count:
        return 0.95
    return 0.95 - LOSS.get(generator, 0.8) * (0.5 if 3 * index <= 2 * count else 1.0)


def opposite(generator: str, index: int, count: int) -> float:
    """Recognize late metamers of standard networks best of all."""
    late = 3 * index > 2 * count
    return 0.35 if generator in LOSS and late else 0.95


@pytest.fixture(scope="module")
def claims(root: Path) -> ClaimsFile:
    return load_claims(root / "resources" / "claims.yaml")


@pytest.fixture(scope="module")
def named(models: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the models under the names that the tracked claims use."""
    names = {"standard": "alexnet_standard", "residual": "resnet_standard"}
    return {
        names.get(name, name): facts
        | {"siblings": [names.get(other, other) for other in facts["siblings"]]}
        for name, facts in models.items()
    }


def robustness(models: dict[str, Any], **accuracy: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": name, "epsilon": epsilon, "n": 400, "accuracy": value}
            for name in models
            for epsilon, value in ((0.0, 0.95), (1.0, accuracy.get(name, 0.2)))
        ]
    )


def rename(trials: pd.DataFrame) -> pd.DataFrame:
    names = {"standard": "alexnet_standard", "residual": "resnet_standard"}
    return trials.replace({"generator": names, "observer": names})


@pytest.fixture(scope="module")
def study(models, named, simulate) -> dict[str, Any]:
    trials = rename(simulate(models, published, n_stimuli=150, people=6, failed=0.1))
    return {
        "trials": trials,
        "models": named,
        "robustness": robustness(named, adversarial=0.8),
    }


@pytest.fixture(scope="module")
def table(claims, study) -> pd.DataFrame:
    frame = evaluate_claims(claims, **study, **OPTIONS)
    return frame[frame["modality"] == "vision"].set_index("claim")


def test_columns_and_rows(claims, study) -> None:
    frame = evaluate_claims(claims, **study, **(OPTIONS | {"draws": 20}))
    assert tuple(frame.columns) == COLUMNS
    expected = [(c.id, m) for c in claims.claims for m in c.modalities]
    assert list(zip(frame["claim"], frame["modality"], strict=True)) == expected
    assert (frame["reason"].str.len() > 0).all()


@pytest.mark.parametrize(
    ("claim", "effect"),
    [
        ("own_match", 1.0),
        ("early_stages_stay_recognized", 0.0),
        ("late_stages_lose_recognition", -0.8),
        ("early_stages_stay_recognized_by_people", 0.0),
        ("late_stages_lose_recognition_by_people", -0.8),
        ("adversarial_training_raises_recognition", 0.5),
        ("adversarial_training_raises_recognition_by_people", 0.5),
        ("adversarial_beats_random_perturbation", 0.5),
        ("random_perturbation_changes_nothing", 0.0),
        ("adversarial_stays_below_natural", -0.3),
        ("adversarial_training_makes_robust", 0.6 / 0.95),
        ("reduced_aliasing_raises_recognition", (0.2 + 0.2 + 0.4 + 0.4) / 6),
        ("untrained_metamers_are_more_recognizable", 0.7),
        ("untrained_metamers_are_closer", -0.7),
    ],
)
def test_what_is_true_is_supported(table, claim: str, effect: float) -> None:
    row = table.loc[claim]
    assert row["verdict"] == "supported", row["reason"]
    assert row["effect"] == pytest.approx(effect, abs=0.08)
    assert row["lower"] - 1e-9 <= row["effect"] <= row["upper"] + 1e-9
    assert row["effect_unscreened"] == pytest.approx(effect, abs=0.08)


@pytest.mark.parametrize(
    ("accuracy", "recognized", "verdicts"),
    [
        # As published: as robust, and yet not recognized as well.
        (0.6, 0.8, ("supported", "supported")),
        (0.2, 0.0, ("contradicted", "contradicted")),
    ],
)
def test_a_front_end_like_v1_against_reduced_aliasing(
    claims, models, simulate, accuracy, recognized, verdicts
) -> None:
    vone = {**models["lowpass"], "group": "v1_front_end"}
    vone["stages"] = ["v1", *vone["stages"][1:]]
    more = {**models, "vone": vone}
    asked = [claim for claim in claims.claims if "v1_front_end" in claim.id]
    assert len(asked) == 2
    trials = simulate(
        more,
        lambda generator, index, count: (
            published(generator, index, count)
            if generator != "vone"
            else 0.95 - (recognized if 3 * index > count else 0.0)
        ),
        n_stimuli=150,
    )
    frame = evaluate_claims(
        claims.model_copy(update={"claims": asked}),
        trials,
        more,
        robustness=robustness(more, lowpass=0.6, vone=accuracy),
        **OPTIONS,
    )
    assert tuple(frame["verdict"]) == verdicts, frame.T


def test_layouts_are_the_same_if_a_stage_is_renamed_in_its_place() -> None:
    plain = ["conv_0", "conv_1", "conv_2", "conv_3", "fc"]
    assert same_layout(plain, ["pool_0_0", "pool_1_0", "conv_2", "conv_3", "fc"])
    assert not same_layout(plain, plain[:-1])
    assert not same_layout(plain, ["a", "b", "c", "conv_3", "fc"])


def test_classical_models_need_not_keep_their_answers(claims, models, simulate) -> None:
    classical = {**models["random"], "group": "classical"}
    more = {**models, "hmax": classical}
    asked = [claim for claim in claims.claims if claim.id == "own_match"]
    trials = simulate(more, published, n_stimuli=60)
    answered = (trials["observer"] == "hmax") & (trials["generator"] == "hmax")
    late = answered & (trials["stage_index"] > 0)
    trials.loc[late, "response"] = "none of them"
    only = claims.model_copy(update={"claims": asked})
    frame = evaluate_claims(only, trials, more, **OPTIONS)
    assert frame["verdict"].iloc[0] == "supported"


def test_seeds_are_the_yardstick(table) -> None:
    known = table.loc[
        [
            "adversarial_training_raises_recognition",
            "late_stages_lose_recognition",
            "random_perturbation_changes_nothing",
        ],
        "seed_difference",
    ]
    assert ((known >= 0) & (known < 0.1)).all()


def test_two_generators_are_compared_by_judges_of_both(table) -> None:
    # Neither adversarial nor standard nor second (a sibling) judges: three are left.
    row = table.loc["adversarial_training_raises_recognition"]
    assert row["n_evaluators"] == 3
    assert 120 < row["n_stimuli"] < 150


def test_the_opposite_is_contradicted(claims, study, models, simulate) -> None:
    trials = rename(simulate(models, opposite, people=6, own=0.6))
    frame = evaluate_claims(
        claims,
        trials=trials,
        models=study["models"],
        robustness=robustness(study["models"], alexnet_standard=0.9, lowpass=0.3),
        **OPTIONS,
    )
    verdicts = frame[frame["modality"] == "vision"].set_index("claim")["verdict"]
    for claim in (
        "own_match",
        "late_stages_lose_recognition",
        "late_stages_lose_recognition_by_people",
        "adversarial_training_raises_recognition",
        "adversarial_beats_random_perturbation",
        "adversarial_training_makes_robust",
        "reduced_aliasing_raises_recognition",
        "untrained_metamers_are_more_recognizable",
        "untrained_metamers_are_closer",
    ):
        assert verdicts[claim] == "contradicted", claim


def test_few_stimuli_leave_small_effects_open(claims, study, models, simulate) -> None:
    def barely(generator: str, index: int, count: int) -> float:
        return 0.55 if generator == "adversarial" else 0.5

    trials = rename(simulate(models, barely, n_stimuli=20))
    frame = evaluate_claims(claims, trials, study["models"], **OPTIONS)
    verdicts = frame[frame["modality"] == "vision"].set_index("claim")["verdict"]
    assert verdicts["adversarial_training_raises_recognition"] == "inconclusive"
    assert verdicts["random_perturbation_changes_nothing"] == "inconclusive"


def test_what_is_missing_is_named(claims, study) -> None:
    lacking = [name for name in study["models"] if name != "random"]
    trials = study["trials"]
    trials = trials[
        trials["generator"].isin(lacking)
        & (trials["observer"].isin(lacking))
        & (trials["stage"] != "final")
    ]
    models = {name: study["models"][name] for name in lacking}
    frame = evaluate_claims(claims, trials, models, **(OPTIONS | {"draws": 50}))
    rows = frame.set_index(["claim", "modality"])
    reasons = {
        ("random_perturbation_changes_nothing", "vision"): "no model of group random",
        ("late_stages_lose_recognition_by_people", "vision"): "no person judged",
        ("adversarial_training_makes_robust", "vision"): "robustness of adversarial",
        ("robustness_goes_with_recognition", "vision"): "was not measured",
        ("own_match", "audio"): "no model",
        ("training_collapses_noisy_and_clean_speech", "audio"): "no model",
    }
    for key, reason in reasons.items():
        row = rows.loc[key]
        if key[0].startswith("training_collapses"):
            reason = "collapse"
        assert row["verdict"] == "not testable"
        assert reason in row["reason"]
        assert np.isnan(row["effect"])
        assert np.isnan(row["p_adjusted"])
    own = rows.loc[("own_match", "vision")]
    assert own["verdict"] == "not testable"
    assert "did not judge its own metamers of all stages" in own["reason"]


def test_failed_screening_is_named(claims, study) -> None:
    trials = study["trials"]
    failed = (trials["generator"] == "untrained") & (trials["stage_index"] > 0)
    trials = trials.assign(passed=trials["passed"] & ~failed)
    frame = evaluate_claims(
        claims, trials, study["models"], **(OPTIONS | {"draws": 50})
    )
    row = frame.set_index(["claim", "modality"]).loc[
        ("untrained_metamers_are_more_recognizable", "vision")
    ]
    assert row["verdict"] == "not testable"
    assert "fewer than 8 metamers of untrained are left" in row["reason"]


def test_a_stage_without_survivors_is_left_out_and_noted(claims, study) -> None:
    trials = study["trials"]
    failed = (trials["generator"] == "adversarial") & (trials["stage"] == "final")
    trials = trials.assign(passed=trials["passed"] & ~failed)
    frame = evaluate_claims(claims, trials, study["models"], **OPTIONS)
    row = frame.set_index(["claim", "modality"]).loc[
        ("adversarial_training_raises_recognition", "vision")
    ]
    assert row["verdict"] == "supported"
    assert "metamers of adversarial are left at final" in row["reason"]


def test_too_few_draws_are_named(claims, study) -> None:
    frame = evaluate_claims(claims, **study, **(OPTIONS | {"draws": 50}))
    row = frame.set_index(["claim", "modality"]).loc[
        ("adversarial_training_raises_recognition", "vision")
    ]
    assert row["verdict"] == "inconclusive"
    assert "set statistics.bootstrap higher" in row["reason"]


def test_same_seed_same_table(claims, study) -> None:
    options = OPTIONS | {"draws": 50}
    first = evaluate_claims(claims, **study, **options)
    shuffled = study | {"trials": study["trials"].sample(frac=1, random_state=1)}
    pd.testing.assert_frame_equal(evaluate_claims(claims, **shuffled, **options), first)


def test_robustness_and_recognition_over_models(claims, study) -> None:
    late = {"adversarial": 0.8, "lowpass": 0.6, "random": 0.2, "residual": 0.15}
    table = robustness(study["models"], **late)
    frame = evaluate_claims(
        claims, study["trials"], study["models"], robustness=table, **OPTIONS
    )
    row = frame.set_index(["claim", "modality"]).loc[
        ("robustness_goes_with_recognition", "vision")
    ]
    assert row["effect"] > 0.5
    assert (
        "of depth alone -0.9" in row["reason"]
        or "of depth alone -0.8" in (row["reason"])
    )
    assert np.isnan(row["seed_difference"])


# ---------------------------------------------------------------- speech, tasks


@pytest.fixture(scope="module")
def speech(models, simulate) -> dict[str, Any]:
    """Return a study of sounds in which seeds agree and tasks do not."""
    chosen = {
        name: facts | {"modality": "audio", "task": "words"}
        for name, facts in models.items()
        if name != "residual"
    }
    chosen["places"] = chosen["places"] | {"task": "backgrounds"}
    trials = simulate(models, published)
    trials = trials[trials["generator"].isin(list(chosen))]
    trials = trials[trials["observer"].isin(list(chosen))]
    trials = trials.assign(modality="audio")
    # Seeds answer to each other's metamers as to the natural stimuli.
    pair = trials["generator"].isin(["standard", "second"])
    pair &= trials["observer"].isin(["standard", "second"])
    trials.loc[pair, "response"] = trials.loc[pair, "natural_response"]
    random = np.random.default_rng(2)
    ratio = {"untrained": 1.0}
    collapse = pd.DataFrame(
        [
            {
                "model": name,
                "stage": stage,
                "stage_index": place + 1,
                "stimulus_id": f"sound_{item}",
                "ratio": ratio.get(name, 0.5) * np.exp(0.1 * random.normal()),
            }
            for name in chosen
            for place, stage in enumerate(chosen[name]["stages"])
            for item in range(30)
            for _ in range(2)
        ]
    )
    return {"trials": trials, "models": chosen, "collapse": collapse}


@pytest.mark.parametrize(
    ("claim", "effect"),
    [
        ("seeds_share_more_than_tasks", 1.0),
        ("background_task_loses_words", -0.1),
        ("training_collapses_noisy_and_clean_speech", -0.5),
    ],
)
def test_claims_of_speech(claims, speech, claim: str, effect: float) -> None:
    frame = evaluate_claims(claims, **speech, **OPTIONS)
    row = frame.set_index(["claim", "modality"]).loc[(claim, "audio")]
    assert row["effect"] == pytest.approx(effect, abs=0.12)
    assert row["verdict"] in ("supported", "inconclusive")
    if abs(effect) > 0.2:
        assert row["verdict"] == "supported", row["reason"]


def test_a_constant_answer_leaves_transfer_untestable(claims, speech) -> None:
    trials = speech["trials"].copy()
    constant = trials["observer"] == "places"
    trials.loc[constant, ["response", "natural_response"]] = "hum"
    frame = evaluate_claims(
        claims, trials, speech["models"], **(OPTIONS | {"draws": 20})
    )
    row = frame.set_index(["claim", "modality"]).loc[
        ("seeds_share_more_than_tasks", "audio")
    ]
    assert row["verdict"] == "not testable"
    assert "agreement beyond chance is undefined" in row["reason"]


def test_claims_of_two_studies_do_not_mix(claims, study, speech) -> None:
    """The modalities of one study are measured apart, and corrected together."""
    sounds = speech["trials"].assign(
        generator="a_" + speech["trials"]["generator"],
        observer="a_" + speech["trials"]["observer"],
    )
    facts = {
        f"a_{name}": model | {"siblings": [f"a_{s}" for s in model["siblings"]]}
        for name, model in speech["models"].items()
    }
    both = evaluate_claims(
        claims,
        pd.concat([study["trials"], sounds]),
        study["models"] | facts,
        robustness=study["robustness"],
        **OPTIONS,
    )
    alone = evaluate_claims(claims, **study, **OPTIONS)
    seen, apart = (frame[frame["modality"] == "vision"] for frame in (both, alone))
    pd.testing.assert_series_equal(seen["effect"], apart["effect"])
    pd.testing.assert_series_equal(seen["lower"], apart["lower"])
    tested = seen["p_adjusted"].notna()
    assert (seen["p_adjusted"][tested] >= apart["p_adjusted"][tested]).all()


def test_pairs_need_the_same_stages(study) -> None:
    content = {
        "rules": {
            "significance": 0.05,
            "least_stimuli": 8,
            "least_evaluators": 2,
            "least_models": 5,
        },
        "claims": [
            {
                "id": "residual_against_random",
                "statement": "Two models of different stages.",
                "modalities": ["vision"],
                "observers": "networks",
                "estimand": "recognition_contrast",
                "models": {"models": ["resnet_standard"]},
                "against": {"groups": ["random"]},
                "stages": "late",
                "direction": "different",
                "smallest_effect": 0.1,
            }
        ],
    }
    frame = evaluate_claims(parse_claims(content), **study, **(OPTIONS | {"draws": 20}))
    assert frame["verdict"].item() == "not testable"
    assert "has the stages of a model of group random" in frame["reason"].item()
    content["claims"][0]["pairing"] = "all"
    frame = evaluate_claims(parse_claims(content), **study, **(OPTIONS | {"draws": 20}))
    assert frame["verdict"].item() != "not testable"
