"""The file of claims is read strictly, and wrong ones are answered with help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from metamers.errors import StudyError
from metamers.statistics.claims_file import EstimandKind, load_claims, parse_claims
from metamers.statistics.estimands import VALUES


@pytest.fixture
def content() -> dict[str, Any]:
    return {
        "rules": {
            "significance": 0.05,
            "least_stimuli": 8,
            "least_evaluators": 2,
            "least_models": 5,
        },
        "claims": [
            {
                "id": "late_loses",
                "statement": "Late metamers lose recognition.",
                "modalities": ["vision"],
                "observers": "networks",
                "estimand": "recognition_change",
                "models": {"groups": ["standard"]},
                "stages": "late",
                "direction": "less",
                "smallest_effect": 0.2,
            },
            {
                "id": "random_is_standard",
                "statement": "Random is as standard.",
                "modalities": ["vision", "audio"],
                "observers": "networks",
                "estimand": "recognition_contrast",
                "models": {"groups": ["random"]},
                "against": {"groups": ["standard"]},
                "stages": "late",
                "direction": "equivalent",
                "equivalence_margin": 0.1,
            },
        ],
    }


def test_the_tracked_file_is_valid_and_covers_every_estimand(root: Path) -> None:
    claims = load_claims(root / "resources" / "claims.yaml").claims
    assert {claim.estimand for claim in claims} == set(get_args(EstimandKind))
    assert {claim.observers for claim in claims} == {"networks", "people"}
    assert set(VALUES) < set(get_args(EstimandKind))


def test_network_claims_about_recognition_do_not_pose_as_claims_about_people(
    root: Path,
) -> None:
    for claim in load_claims(root / "resources" / "claims.yaml").claims:
        if claim.observers == "people":
            assert "by people" in claim.statement
        elif "recogni" in claim.statement:
            assert claim.statement.startswith("Network analogue:") or (
                "by other networks" in claim.statement
            )


def test_a_valid_content(content: dict[str, Any]) -> None:
    parsed = parse_claims(content)
    assert [claim.id for claim in parsed.claims] == [
        "late_loses",
        "random_is_standard",
    ]
    assert parsed.claims[0].pairing == "layout"


Change = Callable[[dict[str, Any]], Any]
WRONG: dict[str, tuple[Change, str]] = {
    "unknown key": (
        lambda c: c["claims"][0].update(directon="less"),
        r"claims\[0\]\.directon: unknown key.*did you mean 'direction'",
    ),
    "unknown key of a selector": (
        lambda c: c["claims"][1]["against"].update(group=["standard"]),
        r"claims\[1\]\.against\.group: unknown key.*did you mean 'groups'",
    ),
    "unknown rule": (
        lambda c: c["rules"].update(significanc=0.1),
        r"rules\.significanc: unknown key.*did you mean 'significance'",
    ),
    "unknown section": (
        lambda c: c.update(claim=[]),
        r"claim: unknown key; allowed are rules, claims; did you mean 'claims'",
    ),
    "unknown estimand": (
        lambda c: c["claims"][0].update(estimand="recognition_chang"),
        r"claims\[0\]\.estimand: .*'recognition_chang'; did you mean",
    ),
    "unknown direction": (
        lambda c: c["claims"][0].update(direction="lesser"),
        r"claims\[0\]\.direction: .*not 'lesser'",
    ),
    "unknown modality": (
        lambda c: c["claims"][0].update(modalities=["visual"]),
        r"claims\[0\]\.modalities\[0\]: .*'vision' or 'audio', not 'visual'",
    ),
    "modality twice": (
        lambda c: c["claims"][0].update(modalities=["audio", "audio"]),
        "a modality stands twice",
    ),
    "no smallest effect": (
        lambda c: c["claims"][0].pop("smallest_effect"),
        r"claims\[0\]: direction 'less' is decided by smallest_effect, so give",
    ),
    "no margin": (
        lambda c: c["claims"][1].pop("equivalence_margin"),
        r"claims\[1\]: direction 'equivalent' is decided by equivalence_margin",
    ),
    "a number that decides nothing": (
        lambda c: c["claims"][1].update(smallest_effect=0.1),
        "so remove smallest_effect",
    ),
    "effect below zero": (
        lambda c: c["claims"][0].update(smallest_effect=-0.2),
        r"claims\[0\]\.smallest_effect: .*greater than 0, not -0.2",
    ),
    "effect as text": (
        lambda c: c["claims"][0].update(smallest_effect="0.2"),
        r"claims\[0\]\.smallest_effect: .*not '0.2'",
    ),
    "contrast with nothing": (
        lambda c: c["claims"][1].pop("against"),
        r"claims\[1\]: estimand 'recognition_contrast' needs against",
    ),
    "change with a comparison": (
        lambda c: c["claims"][0].update(against={"groups": ["random"]}),
        "does not use against",
    ),
    "no stages": (
        lambda c: c["claims"][0].pop("stages"),
        "'recognition_change' needs stages",
    ),
    "empty selector": (
        lambda c: c["claims"][0].update(models={}),
        "give groups, models or trained",
    ),
    "people and robustness": (
        lambda c: c["claims"][0].update(
            observers="people",
            estimand="robustness_correlation",
        ),
        "people give no robustness_correlation",
    ),
    "a bound for a difference": (
        lambda c: (
            c["claims"][0].update(direction="at_least", bound=0.9)
            or c["claims"][0].pop("smallest_effect")
        ),
        "go together",
    ),
    "id twice": (
        lambda c: c["claims"][1].update(id="late_loses"),
        "the id 'late_loses' stands twice",
    ),
    "id with spaces": (
        lambda c: c["claims"][0].update(id="late loses"),
        r"claims\[0\]\.id",
    ),
    "no claims": (lambda c: c.update(claims=[]), "claims: "),
    "no rules": (lambda c: c.pop("rules"), "rules: Field required"),
    "significance of one": (
        lambda c: c["rules"].update(significance=1.0),
        r"rules\.significance: .*less than 1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_refused(content: dict[str, Any], name: str) -> None:
    change, message = WRONG[name]
    change(content)
    with pytest.raises(StudyError, match=message):
        parse_claims(content)


def test_every_problem_is_named_at_once(content: dict[str, Any]) -> None:
    content["claims"][0]["estimand"] = "nothing"
    content["claims"][1]["stages"] = "middle"
    with pytest.raises(StudyError) as error:
        parse_claims(content, "my.yaml")
    assert str(error.value).startswith("my.yaml: ")
    assert "claims[0].estimand" in str(error.value)
    assert "claims[1].stages" in str(error.value)


@pytest.mark.parametrize("content", [None, [], "claims"])
def test_files_of_another_shape(content: object) -> None:
    with pytest.raises(StudyError):
        parse_claims(content)


def test_missing_and_broken_files(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match="no such file"):
        load_claims(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("claims: [", encoding="utf-8")
    with pytest.raises(StudyError, match="no YAML"):
        load_claims(broken)
    good = tmp_path / "good.yaml"
    good.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_claims(good) == parse_claims(content)
