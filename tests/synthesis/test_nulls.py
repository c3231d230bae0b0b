"""Null distributions: their pairs, their memory, and their place in the whole."""

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from metamers.errors import StudyError
from metamers.networks.network import Network
from metamers.synthesis import nulls
from metamers.synthesis.distances import distances
from metamers.synthesis.measures import MEASURES
from metamers.synthesis.nulls import NullAccumulator, pair_batches, sample_null

LEVELS = nulls.QUANTILE_LEVELS


def accumulated(measure: str, values: np.ndarray, batch: int) -> NullAccumulator:
    accumulator = NullAccumulator(measure, len(values), units=64)
    for start in range(0, len(values), batch):
        accumulator.add(values[start : start + batch])
    return accumulator


@pytest.mark.parametrize("measure", MEASURES)
def test_streaming_equals_all_at_once(measure):
    values = np.random.default_rng(0).uniform(-0.5, 0.9, size=5000)
    null = accumulated(measure, values, batch=77).distribution()
    assert null.maximum == values.max()
    assert null.pairs == 5000
    np.testing.assert_allclose(null.quantiles, np.quantile(values, LEVELS), rtol=1e-12)
    np.testing.assert_array_equal(
        null.histogram_counts, np.histogram(values, null.histogram_edges)[0]
    )


@pytest.mark.parametrize(
    ("measure", "bin_width"), [("spearman", 5e-4), ("db_snr", 0.025)]
)
def test_bounded_memory_costs_no_more_than_a_bin(monkeypatch, measure, bin_width):
    monkeypatch.setattr(nulls, "EXACT_PAIRS", 10)
    values = np.random.default_rng(1).normal(0.1, 0.2, size=200_000).clip(-1, 0.99)
    accumulator = accumulated(measure, values, batch=9999)
    assert accumulator._values is None
    null = accumulator.distribution()
    exact = np.quantile(values, LEVELS)
    # In the tails values are further apart than bins; there the ranks must agree.
    inner = (LEVELS > 0.001) & (LEVELS < 0.999)
    np.testing.assert_allclose(null.quantiles[inner], exact[inner], atol=bin_width)
    rank = np.searchsorted(np.sort(values), null.quantiles) / len(values)
    np.testing.assert_allclose(rank, LEVELS, atol=5e-3)
    assert null.quantiles[0] == values.min()
    assert null.quantiles[-1] == null.maximum == values.max()


def test_identical_activations_make_an_infinite_level():
    values = np.array([1.0, np.inf, 3.0, np.inf])
    null = accumulated("db_snr", values, batch=2).distribution()
    assert null.maximum == np.inf
    assert not null.ceiling
    assert null.histogram_counts.sum() == 4
    assert null.quantiles[0] == 1.0
    assert null.quantiles[-1] == np.inf


@pytest.mark.parametrize(
    ("measure", "maximum", "ceiling"),
    [
        ("spearman", 1.0, True),
        ("pearson", 1 - 1e-7, True),
        ("pearson", 1 - 1e-5, False),
        ("spearman", 0.9879, False),
        ("db_snr", 1.0, False),
    ],
)
def test_ceiling(measure, maximum, ceiling):
    null = accumulated(measure, np.array([0.1, maximum]), batch=2).distribution()
    assert null.ceiling is ceiling


def test_pairs_are_of_different_stimuli_and_do_not_depend_on_the_batch():
    def pairs(batch_size: int) -> list[tuple[int, int, int]]:
        return [
            (int(first), int(second), repeat)
            for firsts, seconds, repeat in pair_batches(11, 23, batch_size, seed=5)
            for first, second in zip(firsts, seconds, strict=True)
        ]

    small, large = pairs(2), pairs(100)
    assert small == large
    assert len(small) == 23
    assert all(first != second for first, second, _ in small)
    for repeat in range(5):
        members = [
            i for first, second, r in small if r == repeat for i in (first, second)
        ]
        assert len(set(members)) == len(members)
    assert max(repeat for _, _, repeat in small) == 4  # 5 pairs a pass
    assert small[:5] != [(f, s, 0) for f, s, _ in small[5:10]]


def test_one_stimulus_makes_no_pair():
    with pytest.raises(StudyError, match="at least 2 training stimuli; there are 1"):
        next(pair_batches(1, 10, 5, seed=0))


STAGES = {"first": "0", "second": "2"}


@pytest.fixture
def stimuli_path(tmp_path):
    path = tmp_path / "vision.h5"
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["format_version"] = 1
        group = file.create_group("training")
        group["stimulus"] = generator.integers(0, 256, (12, 1, 6, 6)).astype(np.uint8)
        names = [f"image_{i}" for i in range(12)]
        group.create_dataset("id", data=names, dtype=h5py.string_dtype())
        group["label/category"] = (np.arange(12) % 3).astype(np.int16)
    return path


@pytest.fixture
def network():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    return Network(nn.Identity(), body).eval().requires_grad_(False)


ENTRY = {"modality": "vision", "task": {"label": "category"}, "training": None}


def settings(pairs: int, batch_size: int, **others: object) -> dict[str, object]:
    sampling = {"pairs": pairs, "batch_size": batch_size}
    return {"stages": STAGES, "null_distribution": sampling, **others}


def test_the_null_is_that_of_the_pairs(network, stimuli_path):
    null = sample_null(network, ENTRY, stimuli_path, settings(15, 4), seed=3)
    assert list(null) == list(STAGES)
    with h5py.File(stimuli_path) as file:
        x = torch.from_numpy(file["training/stimulus"][:].astype(np.float32) / 255)
    measured = {stage: [] for stage in STAGES}
    for first, second, _ in pair_batches(12, 15, 100, seed=3):
        for stage, until in (("first", 1), ("second", 3)):
            activation = network.body[:until](x)
            measured[stage].append(distances(activation[first], activation[second]))
    for stage, units in (("first", 64), ("second", 64)):
        values = torch.cat(measured[stage]).numpy()
        for column, measure in enumerate(MEASURES):
            found = null[stage][measure]
            assert found.units == units
            assert found.pairs == 15
            np.testing.assert_allclose(
                found.maximum, values[:, column].max(), rtol=1e-5
            )
            expected = np.quantile(values[:, column], LEVELS)
            np.testing.assert_allclose(found.quantiles, expected, rtol=1e-4, atol=1e-5)


def test_stimuli_are_augmented_anew_in_each_pass(network, stimuli_path):
    seen = []

    def augment(indices, repeat):
        seen.append((len(indices), repeat))
        return torch.rand(len(indices), 1, 6, 6, generator=generator)

    generator = torch.Generator().manual_seed(1)
    sample_null(network, ENTRY, stimuli_path, settings(15, 4), seed=3, augment=augment)
    assert seen == [(8, 0), (4, 0), (8, 1), (4, 1), (6, 2)]
    plain = sample_null(network, ENTRY, stimuli_path, settings(6, 6), seed=3)
    augmentation = {"shift": 2, "rotation": 30.0, "scale": 0.2}
    changed = sample_null(
        network, ENTRY, stimuli_path, settings(6, 6, augmentation=augmentation), seed=3
    )
    before, after = (n["first"]["pearson"].maximum for n in (plain, changed))
    assert before != after


def test_a_network_that_gives_no_numbers_is_refused(network, stimuli_path):
    network.body[0].weight.fill_(torch.nan)
    with pytest.raises(StudyError, match=r"stage 'first': .* not finite"):
        sample_null(network, ENTRY, stimuli_path, settings(4, 4), seed=3)


def test_a_killed_null_goes_on_and_ends_the_same(network, stimuli_path, tmp_path):
    whole = sample_null(network, ENTRY, stimuli_path, settings(15, 4), seed=3)
    place = {"state_path": tmp_path / "state", "fingerprint": "f", "save_seconds": 1e-9}
    with h5py.File(stimuli_path) as file:
        x = torch.from_numpy(file["training/stimulus"][:].astype(np.float32) / 255)
    seen = []

    def augment(indices, repeat):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(repeat)
        return x[indices]

    with pytest.raises(KeyboardInterrupt):
        sample_null(
            network, ENTRY, stimuli_path, settings(15, 4), 3, augment=augment, **place
        )
    seen.clear()
    seen.append("third batch first")
    with pytest.raises(KeyboardInterrupt):
        sample_null(
            network, ENTRY, stimuli_path, settings(15, 4), 3, augment=augment, **place
        )
    assert seen[1:] == [1], "the two batches of the first pass were made again"
    resumed = sample_null(
        network, ENTRY, stimuli_path, settings(15, 4), seed=3, **place
    )
    assert (tmp_path / "state").is_file()
    for stage, measures in whole.items():
        for measure, null in measures.items():
            again = resumed[stage][measure]
            np.testing.assert_array_equal(again.quantiles, null.quantiles)
            np.testing.assert_array_equal(again.histogram_counts, null.histogram_counts)
            assert (again.pairs, again.maximum) == (15, null.maximum)
