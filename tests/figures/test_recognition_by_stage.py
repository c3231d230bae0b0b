"""Recognition by stage: what is plotted is what is in the table."""

import numpy as np
import pandas as pd
import pytest

from metamers.figures.recognition_by_stage import (
    RELATIONS,
    plot_recognition_by_stage,
    pool_experiments,
)


def plotted_line(axes, relation):
    """Find the line of a relation by its color."""
    color = RELATIONS[relation]["color"]
    return next(line for line in axes.lines if line.get_color() == color)


def test_lines_are_the_numbers_of_the_table(recognition, published, models):
    figure, table = plot_recognition_by_stage(
        recognition, published, models, modality="vision", chance=0.1
    )
    names = [n for n, model in models.items() if model["modality"] == "vision"]
    assert len(figure.axes) == 2 * len(names)
    for place, name in enumerate(names):
        for relation in ("own", "panel"):
            rows = table[
                (table["generator"] == name)
                & (table["relation"] == relation)
                & (table["observers"] == "networks")
            ]
            line = plotted_line(figure.axes[2 * place], relation)
            np.testing.assert_array_equal(line.get_xdata(), rows["stage_index"])
            np.testing.assert_allclose(line.get_ydata(), rows["value"])
            source = recognition[
                (recognition["generator"] == name)
                & (recognition["relation"] == relation)
                & recognition["screened"]
            ]
            np.testing.assert_allclose(rows["value"], source["recognition"])


def test_screened_and_unscreened_differ_in_n(recognition, published, models):
    counts = {}
    for screened in (True, False):
        _, table = plot_recognition_by_stage(
            recognition,
            published,
            models,
            modality="audio",
            chance=None,
            screened=screened,
        )
        counts[screened] = table["n_stimuli"].dropna().min()
    assert counts[False] == 40 > counts[True]


def test_people_stand_apart_with_their_own_chance(recognition, published, models):
    figure, table = plot_recognition_by_stage(
        recognition, published, models, modality="vision", chance=0.1
    )
    networks, people = figure.axes[:2]
    assert networks.lines[-1].get_ydata() == [0.1, 0.1]
    assert people.lines[-1].get_ydata() == [1 / 16, 1 / 16]
    apart = table[table["observers"] == "people, published model"]
    assert set(apart["chance"]) == {1 / 16}
    legends = [legend.get_title().get_text() for legend in figure.legends]
    assert "right: people, published models (not these networks)" in legends


def test_other_tasks_are_drawn_as_agreement(recognition, published, models):
    _, table = plot_recognition_by_stage(
        recognition, published, models, modality="audio", chance=1 / 12
    )
    apart = table[table["relation"] == "other_task"]
    assert set(apart["quantity"]) == {"agreement"}
    assert set(table.loc[table["relation"] == "panel", "quantity"]) == {"recognition"}


def test_gaps_are_labeled(recognition, published, models):
    without = recognition[recognition["generator"] != "alexnet_random"]
    figure, table = plot_recognition_by_stage(
        without, published.iloc[:0], models, modality="vision", chance=0.1
    )
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "no recognition\nof this model yet" in words
    assert "no published counterpart" in words
    assert any(word.startswith("no published data of") for word in words)
    assert "alexnet_random" not in set(table["generator"])


def test_empty_tables_do_not_fail(recognition, published, models):
    _, table = plot_recognition_by_stage(
        recognition.iloc[:0], published.iloc[:0], models, modality="audio", chance=None
    )
    assert table.empty


def test_pooling_equals_the_mean_and_sem_of_all_participants():
    generator = np.random.default_rng(0)
    groups = [generator.random(n) for n in (5, 12)]
    rows = [
        {
            "observer_kind": "human",
            "stage": "relu0",
            "stage_index": 1,
            "n": len(group),
            "mean": group.mean(),
            "sem": group.std(ddof=0) / np.sqrt(len(group)),
            "repo_experiment": experiment,
        }
        for experiment, group in enumerate(groups)
    ]
    pooled = pool_experiments(pd.DataFrame(rows)).iloc[0]
    everyone = np.concatenate(groups)
    assert pooled["n"] == 17
    assert pooled["mean"] == pytest.approx(everyone.mean())
    assert pooled["sem"] == pytest.approx(everyone.std(ddof=0) / np.sqrt(17))
    assert pooled["experiments"] == "0 1"
