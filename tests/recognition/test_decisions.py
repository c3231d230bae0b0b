"""Answers: the largest output, or the largest over the mapped classes."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from metamers.errors import StudyError
from metamers.recognition.decisions import (
    answer_names,
    decide,
    imagenet_16_categories,
    read_category_map,
)

MAP = {"kind": "mapped_maximum", "map": {"cat": [4, 1], "dog": [2], "car": [0]}}


def published_decision(logits, mapping):
    """Walk down the classes as the study's released code does."""
    owner = {index: k for k, part in enumerate(mapping.values()) for index in part}
    for index in np.flip(np.argsort(logits, kind="stable")):
        if index in owner:
            return owner[index]
    raise AssertionError("no class is mapped")


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_mapped_maximum_is_the_published_walk_down(convert):
    mapping = imagenet_16_categories()
    logits = np.random.default_rng(3).integers(0, 40, (200, 1000)).astype(np.float32)
    answers = decide(convert(logits), {"kind": "mapped_maximum", "map": mapping})
    expected = [published_decision(row, mapping) for row in logits]
    assert len(set(expected)) > 8
    assert answers.tolist() == expected


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_unmapped_classes_and_sums_do_not_count(convert):
    # Class 3 is the largest but unmapped; cat has the larger sum, dog the maximum.
    logits = convert(np.array([[0.0, 3.0, 4.0, 9.0, 3.5]]))
    assert decide(logits, MAP).tolist() == [1]


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_ties_go_to_the_higher_class(convert):
    logits = convert(np.array([[1.0, 2.0, 2.0, 9.0, 2.0], [1.0, 1.0, 0.0, 1.0, 0.0]]))
    assert decide(logits, MAP).tolist() == [0, 0]
    assert decide(logits, {"kind": "argmax"}).tolist() == [3, 3]


def test_argmax_agrees_with_numpy_and_keeps_the_kind():
    logits = np.random.default_rng(0).normal(size=(50, 10))
    answers = decide(logits, {"kind": "argmax"})
    assert isinstance(answers, np.ndarray)
    assert np.array_equal(answers, logits.argmax(1))
    tensor = decide(torch.as_tensor(logits), {"kind": "argmax"})
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.int64
    assert tensor.tolist() == answers.tolist()


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        ({"kind": "argmin"}, "did you mean 'argmax'"),
        ({}, "decision.kind is None"),
        ({"kind": "mapped_maximum", "map": {"a": [0, 5]}}, "class 5 .* 0 to 4"),
        ({"kind": "mapped_maximum", "map": {"a": [-1]}}, "class -1"),
        ({"kind": "mapped_maximum", "map": {"a": [1], "b": [1]}}, "two categories"),
        ({"kind": "mapped_maximum", "map": {"a": [1], "b": []}}, "without a class: b"),
        ({"kind": "mapped_maximum", "map": {}}, "without a class: all"),
    ],
)
def test_wrong_decisions_are_refused(decision, message):
    with pytest.raises(StudyError, match=message):
        decide(np.zeros((1, 5)), decision)


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_a_diverged_network_has_no_answer(convert):
    with pytest.raises(ValueError, match="diverged"):
        decide(convert(np.array([[0.0, np.nan]])), {"kind": "argmax"})


def test_the_imagenet_table_is_the_published_one():
    mapping = imagenet_16_categories()
    indices = [index for part in mapping.values() for index in part]
    assert len(indices) == len(set(indices)) == 208
    assert list(mapping) == sorted(mapping)
    assert {name: len(part) for name, part in mapping.items()} == {
        "airplane": 1,
        "bear": 4,
        "bicycle": 2,
        "bird": 49,
        "boat": 5,
        "bottle": 7,
        "car": 3,
        "cat": 6,
        "chair": 4,
        "clock": 3,
        "dog": 109,
        "elephant": 2,
        "keyboard": 2,
        "knife": 1,
        "oven": 2,
        "truck": 8,
    }
    # Both cranes, bird and machine, share one name and are in no list.
    assert not {134, 517} & set(indices)
    assert mapping["oven"] == [544, 766]
    assert mapping["bear"] == [294, 295, 296, 297]


def test_answers_are_named_by_the_label_or_the_map():
    categories = {"word": ["no", "yes"], "background": ["hum"]}
    task = {"name": "words", "label": "word", "decision": {"kind": "argmax"}}
    assert answer_names(task, categories) == ["no", "yes"]
    assert answer_names({**task, "decision": MAP}, categories) == ["cat", "dog", "car"]
    with pytest.raises(StudyError, match="did you mean 'word'"):
        answer_names({**task, "label": "words"}, categories)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,index\na,1\n", "category and index"),
        ("category,index\na,1.5\n", "line 2"),
        ("category,index\n,1\n", "line 2"),
        ("category,index\na,1\nb,1\n", "two categories"),
    ],
)
def test_wrong_category_maps_are_refused(tmp_path, text, message):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(StudyError, match=message):
        read_category_map(tmp_path / "map.csv")


def test_tables_need_no_torch():
    modules = "agreement decisions panel presentation tables published"
    lines = [f"import metamers.recognition.{name}" for name in modules.split()]
    lines += ["import sys", "assert 'torch' not in sys.modules"]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_outputs_of_a_second_label_are_no_answers():
    logits = np.array([[0.1, 0.3, 0.2, 9.0], [0.5, 0.1, 0.0, -1.0]])
    decision = {"kind": "argmax", "outputs": 3}
    np.testing.assert_array_equal(decide(logits, decision), [1, 0])
    np.testing.assert_array_equal(decide(torch.from_numpy(logits), decision), [1, 0])
    np.testing.assert_array_equal(decide(logits, {"kind": "argmax"}), [3, 0])
