"""Null files and what a metamer must exceed."""

import dataclasses

import numpy as np
import pytest

from metamers.errors import StudyError
from metamers.synthesis.measures import MEASURES
from metamers.synthesis.null_files import (
    NullDistribution,
    read_null,
    read_null_provenance,
    threshold,
    write_null,
)


def null_distribution(maximum: float = 0.8, ceiling: bool = False) -> NullDistribution:
    levels = np.array([0.0, 0.5, 0.9, 0.99, 1.0])
    return NullDistribution(
        maximum=maximum,
        ceiling=ceiling,
        pairs=2000,
        units=10,
        quantile_levels=levels,
        quantiles=np.array([-0.5, 0.0, 0.4, 0.6, maximum]),
        histogram_counts=np.array([500, 1500]),
        histogram_edges=np.array([-1.0, 0.0, 1.0]),
    )


def test_a_file_gives_back_what_was_written(tmp_path):
    null = {
        stage: {measure: null_distribution(value) for measure in MEASURES}
        for stage, value in (("relu1", 0.7), ("conv0", 0.9))
    }
    write_null(null, tmp_path / "null.h5", {"seconds": 3})
    read = read_null(tmp_path / "null.h5")
    assert list(read) == ["relu1", "conv0"]  # in the model's order
    assert read_null_provenance(tmp_path / "null.h5") == {"seconds": 3}
    for stage, measures in null.items():
        for measure, distribution in measures.items():
            for field in dataclasses.fields(distribution):
                np.testing.assert_array_equal(
                    getattr(read[stage][measure], field.name),
                    getattr(distribution, field.name),
                )


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "null.h5").write_bytes(b"no")
    with pytest.raises(StudyError, match="run the rule sample_null again"):
        read_null(tmp_path / "null.h5")


def test_the_maximum_is_the_threshold_unless_it_is_the_ceiling():
    rule = {"rule": "maximum", "quantile": None}
    assert threshold(null_distribution(0.8), "spearman", rule) == 0.8
    assert threshold(null_distribution(1.0, ceiling=True), "spearman", rule) is None


def test_a_quantile_may_be_below_a_maximum_at_the_ceiling():
    null = null_distribution(1.0, ceiling=True)
    for level, expected in ((0.9, 0.4), (0.945, 0.5)):
        rule = {"rule": "quantile", "quantile": level}
        assert threshold(null, "spearman", rule) == pytest.approx(expected)
    high = dataclasses.replace(null, quantiles=np.array([0.1, 0.2, 0.3, 1.0, 1.0]))
    rule = {"rule": "quantile", "quantile": 0.99}
    assert threshold(high, "spearman", rule) is None
    assert threshold(high, "db_snr", rule) == 1.0


@pytest.mark.parametrize(
    ("screening", "message"),
    [
        ({"rule": "maxmum", "quantile": None}, "did you mean 'maximum'"),
        (
            {"rule": "quantile", "quantile": None},
            "None is not a number between 0 and 1",
        ),
        ({"rule": "quantile", "quantile": 1.0}, "1.0 is not a number between 0 and 1"),
    ],
)
def test_wrong_rules_are_refused(screening, message):
    with pytest.raises(StudyError, match=message):
        threshold(null_distribution(), "spearman", screening)
