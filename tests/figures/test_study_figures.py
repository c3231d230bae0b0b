"""The other figures: plotted numbers equal the table, gaps are labeled."""

import numpy as np
import pandas as pd
import pytest

from metamers.figures.claims import plot_claims
from metamers.figures.collapse import plot_collapse
from metamers.figures.controls import plot_controls
from metamers.figures.convergence import plot_convergence, power_of_ten
from metamers.figures.robustness import plot_robustness
from metamers.figures.scores import plot_scores
from metamers.figures.style import save_figure
from metamers.figures.transfer_matrix import align_stages, plot_transfer_matrix


def words(figure):
    """Collect all text of a figure."""
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
    return found


def test_stages_are_aligned_by_relative_depth():
    deep, flat = list("abcde"), list("xyz")
    aligned = align_stages({"deep": deep, "flat": flat})
    assert [at["deep"] for at in aligned] == [("natural", 0)] + [
        (name, index) for index, name in enumerate(deep, 1)
    ]
    names = [at["flat"][0] for at in aligned]
    assert names == ["natural", "x", "y", "y", "z", "z"]


def test_transfer_matrices_show_the_table(transfer, models):
    figure, table = plot_transfer_matrix(transfer, models, modality="vision")
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 9
    for panel, image in enumerate(images):
        values = table.loc[table["panel"] == panel, "value"].to_numpy()
        np.testing.assert_allclose(image.get_array().ravel(), values)
    row = table[
        (table["generator"] == "alexnet_random")
        & (table["evaluator"] == "resnet_standard")
        & (table["stage"] == "relu2")
    ].iloc[0]
    source = transfer[
        (transfer["generator"] == "alexnet_random")
        & (transfer["evaluator"] == "resnet_standard")
        & (transfer["stage"] == "relu2")
        & transfer["screened"]
    ].iloc[0]
    assert row["value"] == source["recognition"]


def test_transfer_to_another_task_is_agreement_and_missing_cells_are_dashes(
    transfer, models
):
    lacking = transfer[transfer["evaluator"] != "cochcnn_adversarial"]
    figure, table = plot_transfer_matrix(lacking, models, modality="audio")
    kinds = table.groupby("evaluator")["quantity"].unique()
    assert list(kinds["cochcnn_backgrounds"]) == ["agreement"]
    assert list(kinds["cochcnn_words"]) == ["recognition"]
    assert list(kinds["cochcnn_adversarial"]) == ["missing"]
    assert words(figure).count("–") == (table["quantity"] == "missing").sum()


def test_claims_are_drawn_at_their_effects(claims):
    figure, table = plot_claims(claims)
    pd.testing.assert_series_equal(table["effect"], claims["effect"])
    axes = figure.axes[0]
    limit = axes.get_xlim()[1]
    marks = [
        line.get_xdata()[0] for line in axes.lines if line.get_marker() not in ("None",)
    ]
    expected = claims["effect"].dropna().clip(-limit, limit)
    np.testing.assert_allclose(sorted(marks), sorted(expected))
    assert any("not testable\nthere is one" in word for word in words(figure))
    assert any("contradicted" in word for word in words(figure))


def test_collapse_is_the_mean_over_stimuli(collapse, models):
    figure, table = plot_collapse(collapse, models)
    part = collapse[
        (collapse["model"] == "cochcnn_words") & (collapse["stage"] == "relu1")
    ]
    row = table[(table["model"] == "cochcnn_words") & (table["stage"] == "relu1")]
    ratio = part["ratio"].to_numpy()
    half = 1.959964 * ratio.std(ddof=1) / np.sqrt(ratio.size)
    assert row["mean"].item() == pytest.approx(ratio.mean())
    assert row["upper"].item() - row["mean"].item() == pytest.approx(half)
    assert row["n"].item() == 24
    drawn = {
        tuple(np.round(np.asarray(line.get_ydata(), dtype=float), 9))
        for line in figure.axes[0].lines
        if len(line.get_ydata()) == 6
    }
    for _, part in table.groupby("model"):
        assert tuple(np.round(part["mean"], 9)) in drawn


def test_several_noises_of_a_stimulus_are_one_observation(models):
    rows = pd.DataFrame(
        {
            "model": "cochcnn_words",
            "stage": "relu0",
            "stage_index": 2,
            "stimulus_id": ["a", "a", "a", "b"],
            "ratio": [1.0, 1.0, 1.0, 0.0],
        }
    )
    _, table = plot_collapse(rows, models)
    assert table["mean"].item() == 0.5
    assert table["n"].item() == 2


def test_controls_draw_each_row(controls):
    figure, table = plot_controls(controls, chance={"vision": 0.1, "audio": None})
    assert len(table) == 2 * 3 * 2
    assert table["screened"].all()
    points = [
        float(line.get_ydata()[0])
        for axes in figure.axes
        for line in axes.lines
        if len(line.get_ydata()) == 1
    ]
    np.testing.assert_allclose(sorted(points), sorted(table["recognition"]))


def test_robustness_draws_curves_and_late_recognition(robustness, recognition, models):
    _, table = plot_robustness(robustness, recognition, models)
    accuracy = table[table["kind"] == "accuracy"]
    assert len(accuracy) == len(robustness)
    np.testing.assert_allclose(
        accuracy.set_index("model").loc["alexnet_random", "y"],
        robustness.set_index("model").loc["alexnet_random", "accuracy"],
    )
    inside = accuracy.query("lower <= y <= upper and lower >= 0 and upper <= 1")
    assert len(inside) == len(accuracy)
    point = table[
        (table["kind"] == "recognition") & (table["model"] == "alexnet_standard")
    ].iloc[0]
    late = recognition.query(
        "generator == 'alexnet_standard' and relation == 'panel' and screened "
        "and stage_index > 16 / 3"
    )
    assert point["y"] == pytest.approx(late["recognition"].mean())
    assert point["x"] == pytest.approx(np.exp(-0.8 * 1.5))


def test_scores_show_what_there_is(scores, models):
    figure, table = plot_scores(scores, models)
    assert set(table["score"]) == {
        "accuracy",
        "robustness",
        "network_area",
        "people_area",
        "error_consistency",
        "own_match",
    }
    known = scores.set_index("model")
    for row in table.to_dict("records"):
        expected = known.loc[row["model"], row["score"]]
        np.testing.assert_equal(row["value"], expected)
    assert words(figure).count("–") == scores["people_area"].isna().sum()


def test_convergence_draws_the_medians(losses, models):
    figure, table = plot_convergence(losses, models, modality="audio")
    assert set(table["model"]) == {n for n in models if n.startswith("cochcnn")}
    line = figure.axes[0].lines[0]
    part = table.query("model == 'cochcnn_words' and stage == 'cochleagram'")
    np.testing.assert_allclose(line.get_ydata(), part["median"])


@pytest.mark.parametrize(("value", "expected"), [(1e-3, "10⁻³"), (1.0, "10⁰")])
def test_powers_of_ten(value, expected):
    assert power_of_ten(value) == expected


@pytest.mark.parametrize(
    ("draw", "reason"),
    [
        (lambda m, e: plot_claims(e["claims"]), "no claims were tested"),
        (lambda m, e: plot_collapse(e["collapse"], m), "no model's collapse"),
        (lambda m, e: plot_controls(e["controls"], chance={}), "no controls of vision"),
        (lambda m, e: plot_scores(e["scores"], m), "no scores"),
        (
            lambda m, e: plot_convergence(e["losses"], m, modality="vision"),
            "no metamers of this model",
        ),
        (
            lambda m, e: plot_robustness(e["robustness"], e["recognition"], m),
            "robustness was not measured",
        ),
        (
            lambda m, e: plot_transfer_matrix(e["transfer"], m, modality="vision"),
            "no trials at this stage",
        ),
    ],
)
def test_empty_tables_leave_labeled_gaps(draw, reason, models, request, tmp_path):
    names = ("claims", "collapse", "controls", "scores", "losses", "robustness")
    names += ("recognition", "transfer")
    empty = {name: request.getfixturevalue(name).iloc[:0] for name in names}
    figure, table = draw(models, empty)
    assert any(reason in word for word in words(figure))
    for path in save_figure(figure, table, tmp_path / "figure"):
        assert path.is_file()


def test_odd_names_are_drawn_as_they_are(losses, tmp_path):
    name = "a$x_{1}$ <b> \\frac"
    models = {
        name: {"modality": "vision", "group": "$g$", "stages": ["$s^2$"], "task": "t"}
    }
    rows = losses.iloc[:5].assign(model=name, stage="$s^2$")
    figure, table = plot_convergence(rows, models, modality="vision")
    save_figure(figure, table, tmp_path / "figure")
    assert len(table) == 5
