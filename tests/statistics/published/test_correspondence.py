"""People beside networks, Brain-Scores and cortex, on small made-up data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metamers.recognition.tables import RECOGNITION_COLUMNS
from metamers.statistics.published import correlations, cortex
from metamers.statistics.published.correspondence import correspondence
from metamers.statistics.published.groups import group_curves
from metamers.statistics.published.recognition import (
    drop_offs,
    network_means,
    pooled_people,
    recognition_by_model,
)

STAGES = ("input_after_preproc", "relu0", "final")


def people_table(values, model="a", experiment=1):
    rows = [
        {
            "modality": "audio",
            "experiment": f"published_{experiment}",
            "participant": f"p{person}",
            "observer": "human",
            "observer_kind": "human",
            "generator": model,
            "stage": ("natural", *STAGES)[index],
            "stage_index": index,
            "n": pd.NA,
            "proportion_correct": value,
        }
        for person, line in enumerate(values)
        for index, value in enumerate(line)
    ]
    return pd.DataFrame(rows)[list(RECOGNITION_COLUMNS)]


def transfer_table(values):
    """Make {(generator, evaluator): (value at each stage)} a table."""
    rows = [
        ("audio", generator, evaluator, stage, index, 10, value, 0.1)
        for (generator, evaluator), line in values.items()
        for index, (stage, value) in enumerate(zip(STAGES, line, strict=True))
    ]
    names = ["modality", "generator", "evaluator", "stage", "stage_index", "n"]
    return pd.DataFrame(rows, columns=[*names, "proportion_correct", "sem"])


TRANSFER = transfer_table(
    {
        ("a", "a"): (1.0, 1.0, 1.0),
        ("a", "b"): (0.9, 0.8, 0.2),
        ("a", "c"): (0.8, 0.6, 0.0),
        ("b", "a"): (0.7, 0.5, 0.3),
        ("b", "b"): (1.0, 1.0, 0.9),
        ("b", "c"): (0.5, 0.3, 0.1),
    }
)
MODEL_STAGES = pd.DataFrame(
    [
        {"modality": "audio", "model": model, "stage_index": index, "stage": stage}
        for model in ("a", "b")
        for index, stage in enumerate(STAGES)
    ]
)


def test_participants_of_all_experiments_are_pooled():
    first = people_table([[1.0, 0.8, 0.6, 0.0], [0.8, 0.8, 0.4, 0.2]])
    second = people_table([[0.6, 0.2, 0.2, 0.2]], experiment=2)
    pooled = pooled_people(pd.concat([first, second])).set_index("stage")
    assert pooled.loc["natural", "people"] == pytest.approx(0.8)
    assert pooled.loc["natural", "n_participants"] == 3
    spread = np.std([0.6, 0.4, 0.2]) / np.sqrt(3)
    assert pooled.loc["relu0", "people_sem"] == pytest.approx(spread)


def test_other_networks_leave_the_generator_out():
    means = network_means(TRANSFER).set_index(["model", "stage"])
    row = means.loc[("a", "final")]
    assert row["other_networks"] == pytest.approx(0.1)
    assert row["all_networks"] == pytest.approx(0.4)
    assert row["own_network"] == 1.0
    assert row["n_networks"] == 2
    assert row["other_networks_sem"] == pytest.approx(0.1 / np.sqrt(2))


def test_people_and_networks_are_joined_by_the_name_of_the_stage():
    people = people_table([[0.9, 0.8, 0.6, 0.1]])
    table = recognition_by_model(people, TRANSFER, MODEL_STAGES)
    assert table["stage"].tolist()[:4] == ["natural", *STAGES]
    first = table[table["model"] == "a"].set_index("stage")
    assert np.isnan(first.loc["natural", "other_networks"])
    assert first.loc["relu0", "relative_depth"] == pytest.approx(2 / 3)
    assert table[table["model"] == "b"]["people"].isna().all()


def test_drop_off_is_the_first_stage_at_half():
    people = people_table([[0.8, 0.8, 0.5, 0.1]])
    table = recognition_by_model(people, TRANSFER, MODEL_STAGES)
    found = drop_offs(table).set_index(["model", "observers"])
    assert found.loc[("a", "people"), "drop_off_stage"] == "final"
    assert found.loc[("a", "people"), "first"] == "natural"
    networks = found.loc[("a", "other_networks")]
    assert networks["drop_off_stage"] == "final"
    # From .85 the line crosses .425 between relu0 (.7) and final (.1).
    depth = (1 + (0.7 - 0.425) / 0.6) / 2
    assert networks["drop_off_depth"] == pytest.approx(depth)


def test_group_curves_leave_out_a_network_s_own_metamers():
    curve = group_curves(TRANSFER, {"both": ("a", "b")})
    final = curve.set_index("stage").loc["final"]
    # a answers to b, b to a, c to both.
    values = [0.3, 0.2, (0.0 + 0.1) / 2]
    assert final["mean"] == pytest.approx(np.mean(values))
    assert final["sem"] == pytest.approx(np.std(values) / np.sqrt(2))


def test_coefficients_are_those_of_scipy_and_corrected_for_tests():
    generator = np.random.default_rng(0)
    one, two = generator.standard_normal((2, 20))
    rows = correlations.correlation_rows("s", "f", "q", one, two, tests=4)
    found = {row["statistic"]: row["value"] for row in rows}
    assert found["R2"] == pytest.approx(np.corrcoef(one, two)[0, 1] ** 2)
    assert found["p_rho_bonferroni4"] == min(1.0, 4 * found["p_rho_raw"])
    depth = np.arange(20.0)
    rows = correlations.correlation_rows("s", "f", "q", depth, -depth, depth=depth)
    found = {row["statistic"]: row["value"] for row in rows}
    assert found["rho_depth_only"] == pytest.approx(1.0)
    assert np.isnan(found["rho_given_depth"]), "depth explains everything"


def test_split_ties_bracket_what_ties_give():
    people = np.arange(6.0)
    networks = np.array([0.1, 0.3, 0.2, 0.2, 0.2, 0.5])
    ranges = correlations.tie_ranges(people, networks, np.random.default_rng(0))
    low, high = ranges["tau"]
    assert low < high
    assert ranges["rho"][0] < ranges["rho"][1]
    constant = correlations.tie_ranges(people, people, np.random.default_rng(0))
    assert constant["tau"][0] == constant["tau"][1] == pytest.approx(1.0)


def test_halves_of_equal_people_agree_and_of_random_ones_do_not():
    curve = np.array([0.9, 0.8, 0.5, 0.1])
    same = people_table(np.tile(curve, (8, 1)))
    table = correlations.split_half_reliability(same, 50, np.random.default_rng(0))
    assert table["value"].to_numpy() == pytest.approx(1.0)
    assert set(table["n"]) == {3}, "natural stimuli are left out"
    noise = np.random.default_rng(1).uniform(size=(8, 4))
    table = correlations.split_half_reliability(
        people_table(noise), 200, np.random.default_rng(0)
    )
    value = table.set_index("statistic")["value"]["pearson_split_half"].iloc[0]
    assert value < 0.9


def test_drawn_swaps_are_those_of_numpy_s_shuffle():
    """The study shuffles each pair in turn; ours reads the same stream of bits."""
    differences = np.array([0.3, -0.1, 0.2, 0.4, 0.05, 0.1, -0.2, 0.25])
    state = np.random.RandomState(0)
    ours = cortex._drawn_p(differences, state)
    np.random.seed(0)
    larger = 0
    for _ in range(cortex.DRAWS):
        pairs = np.stack([differences, np.zeros(8)], axis=1)
        for pair in pairs:
            np.random.shuffle(pair)
        larger += (pairs[:, 0] - pairs[:, 1]).mean() > differences.mean()
    assert ours == larger / cortex.DRAWS
    assert state.randint(2**31) == np.random.randint(2**31), "the streams go on alike"


def test_fifty_comparisons_in_the_order_of_the_notebook():
    listed = cortex.comparisons()
    assert len(listed) == len(set(listed)) == 50
    assert listed[0] == ("cochresnet50", "spectemp_filters", "all_aud_voxels")
    assert listed[6][0] == "cochresnet50", "standard over robust, in all voxels"
    assert listed[-1] == ("kell2018_l2_p5_robust_cochleagram", "kell2018", "speech")


def test_a_participant_is_scored_at_the_stage_best_for_the_others():
    values = np.array([[0.1, 0.9, 0.2], [0.5, 0.2, 0.6]])  # stages x participants
    rows = [
        ("m", ("early", "late")[stage], stage, "pitch", person, values[stage, person])
        for stage in range(2)
        for person in range(3)
    ]
    names = ["model", "stage", "stage_index", "roi", "participant", "median_r2"]
    table = pd.DataFrame(rows, columns=names)
    scores, stages = cortex.held_out_scores(table, "m", "pitch")
    assert stages == ["early", "late", "early"]
    assert scores.tolist() == [0.1, 0.2, 0.2]


def test_missing_parts_give_empty_tables_and_no_crash(root):
    resources = root / "resources" / "published"
    tables = correspondence(
        people_table([[0.9, 0.8, 0.6, 0.1]] * 4),
        TRANSFER.iloc[:0],
        pd.DataFrame(columns=["model", "stage", "roi", "participant", "median_r2"]),
        [],
        pd.read_csv(resources / "fmri_stage_summary.csv"),
        MODEL_STAGES,
        pd.read_csv(resources / "plot_models.csv"),
        seed=1,
        halves=10,
    )
    assert tables["brain_scores"].empty
    assert tables["ties"].empty
    assert tables["voxels"].empty
    sources = set(tables["correlations"]["source"])
    assert "2022 fMRIPredictionPlotsAndStatistics" in sources
