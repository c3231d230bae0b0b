"""Which networks are "other networks"."""

import pandas as pd
import pytest

from metamers.errors import StudyError
from metamers.recognition.panel import RELATIONS, panel, relation, relations


def facts(modality="vision", task="digits", trained=True, siblings=()):
    return {
        "modality": modality,
        "task": task,
        "trained": trained,
        "siblings": list(siblings),
    }


MODELS = {
    "standard": facts(siblings=["second"]),
    "second": facts(siblings=["standard"]),
    "adversarial": facts(),
    "untrained": facts(trained=False, siblings=["untrained_second"]),
    "untrained_second": facts(trained=False, siblings=["untrained"]),
    "resnet": facts(),
    "words": facts("audio", "words"),
    "backgrounds": facts("audio", "backgrounds"),
    "untrained_backgrounds": facts("audio", "backgrounds", trained=False),
}


def test_the_panel_is_trained_same_task_and_no_kin():
    assert panel(MODELS, "standard") == ["adversarial", "resnet"]
    assert panel(MODELS, "adversarial") == ["standard", "second", "resnet"]
    assert panel(MODELS, "untrained") == ["standard", "second", "adversarial", "resnet"]
    assert panel(MODELS, "words") == []


@pytest.mark.parametrize(
    ("generator", "evaluator", "expected"),
    [
        ("standard", "standard", "own"),
        ("untrained", "untrained", "own"),
        ("standard", "second", "seed_sibling"),
        ("untrained", "untrained_second", "seed_sibling"),
        ("standard", "untrained", "untrained"),
        ("words", "untrained_backgrounds", "untrained"),
        ("words", "backgrounds", "other_task"),
        ("standard", "resnet", "panel"),
    ],
)
def test_relations(generator, evaluator, expected):
    assert relation(MODELS, generator, evaluator) == expected
    assert expected in RELATIONS


def test_kinship_is_mutual():
    models = {"first": facts(siblings=["second"]), "second": facts()}
    assert relation(models, "second", "first") == "seed_sibling"
    assert relation(models, "first", "second") == "seed_sibling"


def test_every_other_model_has_exactly_one_relation():
    for generator, about in MODELS.items():
        same = [m for m in MODELS if MODELS[m]["modality"] == about["modality"]]
        given = {name: relation(MODELS, generator, name) for name in same}
        chosen = [name for name, kind in given.items() if kind == "panel"]
        assert chosen == panel(MODELS, generator)
        assert list(given.values()).count("own") == 1


def test_rows_are_labeled():
    table = pd.DataFrame(
        [
            ("resnet", "network", "standard"),
            ("second", "network", "standard"),
            ("p01", "human", "standard"),
            ("resnet", "network", "resnet"),
        ],
        columns=["observer", "observer_kind", "generator"],
        index=[5, 6, 7, 9],
    )
    labeled = relations(table, MODELS)
    assert labeled.to_dict() == {5: "panel", 6: "seed_sibling", 7: "people", 9: "own"}


def test_wrong_pairs_are_refused():
    with pytest.raises(StudyError, match="did you mean 'resnet'"):
        panel(MODELS, "resnets")
    with pytest.raises(StudyError, match="one modality"):
        relation(MODELS, "standard", "words")
