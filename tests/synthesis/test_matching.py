"""Which units are matched at which step, and what that does to a synthesis."""

import numpy as np
import pytest
import torch
from torch import nn

from metamers.errors import StudyError
from metamers.networks.hmax import HMAX
from metamers.networks.network import ImagePreprocessing, Network
from metamers.networks.spectemp import SPECTRAL_RATES, TEMPORAL_RATES, SpecTemp
from metamers.networks.stages import FRONT_END, StageForward
from metamers.randomness import torch_generator
from metamers.stimuli.files import Split
from metamers.synthesis.loss import (
    PartialTarget,
    loss_and_activation_gradient,
    matching_loss,
    target_scale,
)
from metamers.synthesis.matching import (
    Channels,
    GrowingFilters,
    Parts,
    RandomUnit,
    choose_matching,
)
from metamers.synthesis.optimization import synthesize
from metamers.synthesis.shard_job import synthesize_shard

SETTINGS = {
    "rounds": 3,
    "steps_per_round": 8,
    "first_step": 1.0,
    "initial_mean": 0.5,
    "initial_deviation": 0.05,
    "shard_size": 4,
    "log_every": 1,
    "threads": 1,
    "dtype": "float64",
}
UNIT = {"kind": "random_unit", "first_steps": 5, "redraw_every": 2, "grow_every": 1}
IDS = ("a", "b", "c", "d")


def random_unit(**changes) -> RandomUnit:
    values = {
        "group_sizes": None,
        "stimulus_ids": IDS,
        "seed": 517,
        "model": "hmax",
        "stage": "c2_out",
        "rounds": 3,
        "steps_per_round": 8,
        "first_steps": 5,
        "redraw_every": 2,
    }
    return RandomUnit(**{**values, **changes})


def published_filters() -> GrowingFilters:
    down = [(t, s) for t in TEMPORAL_RATES for s in SPECTRAL_RATES]
    up = [(-t, s) for t, s in down if t and s]
    return GrowingFilters((*down, *up), rounds=8, steps_per_round=3000, grow_every=400)


def toy_network(seed: int = 0) -> Network:
    generator = torch_generator(seed, "toy network")
    body = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 4))
    for parameter in body.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return Network(nn.Identity(), body).double().eval().requires_grad_(False)


def images(count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch_generator(1, "images")
    shape = (count, 1, 8, 8)
    reference = torch.rand(shape, generator=generator, dtype=torch.float64)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    return reference, (0.5 + 0.05 * noise).clamp(0, 1)


def test_the_steps_of_a_random_unit():
    matching = random_unit()
    one_round = [0, 0, 1, 1, 2, None, None, None]
    first = [None if draw is None else (0, draw) for draw in one_round]
    second = [None if draw is None else (1, draw) for draw in one_round]
    phases = [matching.phase(step) for step in range(24)]
    assert phases == [*first, *second, *[None] * 8]


def test_the_published_steps_of_a_random_unit():
    matching = random_unit(
        rounds=8, steps_per_round=3000, first_steps=400, redraw_every=50
    )
    assert matching.phase(0) == matching.phase(49) == (0, 0)
    assert matching.phase(50) == (0, 1)
    assert matching.phase(399) == (0, 7)
    assert matching.phase(400) is matching.phase(2999) is None
    assert matching.phase(3000) == (1, 0)
    assert matching.phase(6 * 3000 + 399) == (6, 7)
    assert not any(matching.phase(step) for step in range(7 * 3000, 24000, 10))
    assert {matching.phase(step) for step in range(24000)} == {
        *((number, draw) for number in range(7) for draw in range(8)),
        None,
    }


def test_the_published_steps_of_growing_filters():
    matching = published_filters()
    for step, expected in ((0, 0), (399, 0), (400, 1), (1999, 4), (2000, 5)):
        assert matching.phase(step) == (0, expected)
        assert matching.phase(3000 * 6 + step) == (6, expected)
        assert matching.phase(3000 * 7 + step) is None
    # At the last row of the table all filters are in.
    assert matching.phase(2400) is matching.phase(2999) is None
    assert all(matching.included(6))


def test_which_filters_are_in():
    matching = published_filters()
    first_row = {
        (0.0, 2.0): 0,
        (64.0, 0.0): 0,
        (0.5, 2.0): 1,
        (-64.0, 0.0625): 1,
        (1.0, 1.0): 2,
        (4.0, 2.0): 4,
        (-4.0, 0.5): 4,
        (-16.0, 1.0): 5,
        (16.0, 2.0): 6,
        (-64.0, 2.0): 6,
    }
    for rates, row in first_row.items():
        number = matching.filter_rates.index(rates)
        included = [matching.included(level)[number] for level in range(7)]
        assert included == [level >= row for level in range(7)]
    # Out are, in two directions, those of which both rates are above the row's.
    left_out = [111 - sum(matching.included(level)) for level in range(7)]
    assert left_out == [2 * (8 - k) * (6 - k) for k in range(7)]


def test_growth_in_short_rounds_follows_its_field():
    matching = GrowingFilters(((0.0, 0.0), (4.0, 1.0)), 2, 8, grow_every=1)
    phases = [matching.phase(step) for step in range(16)]
    assert phases == [*((0, level) for level in range(4)), *[None] * 12]


def test_a_part_is_drawn_by_stimulus_seed_model_stage_round_and_draw():
    target = torch.zeros(4, 1000)
    drawn = random_unit().subset((0, 0), target).runs
    assert all(stop == start + 1 for start, stop in drawn)
    assert len(set(drawn)) == 4
    others = [
        random_unit(seed=1).subset((0, 0), target),
        random_unit(model="other").subset((0, 0), target),
        random_unit(stage="final").subset((0, 0), target),
        random_unit().subset((1, 0), target),
        random_unit().subset((0, 1), target),
    ]
    assert len({drawn, *(other.runs for other in others)}) == 6
    part = random_unit(stimulus_ids=("c", "a")).subset((0, 0), target[:2])
    assert part.runs == (drawn[2], drawn[0])


def test_all_parts_are_drawn_alike():
    sizes, target = (1, 4, 2, 3), torch.zeros(4, 10)
    matching = random_unit(group_sizes=sizes)
    runs = [
        run for draw in range(250) for run in matching.subset((0, draw), target).runs
    ]
    parts, counts = np.unique(runs, axis=0, return_counts=True)
    assert parts.tolist() == [[0, 1], [1, 5], [5, 7], [7, 10]]
    assert counts.min() > 200


def test_without_groups_a_part_is_a_channel():
    runs = random_unit().subset((0, 0), torch.zeros(4, 50, 3, 2)).runs
    assert all(stop - start == 6 and start % 6 == 0 for start, stop in runs)
    with pytest.raises(ValueError, match="sum to 9, and it has 10 units"):
        random_unit(group_sizes=(4, 5)).subset((0, 0), torch.zeros(4, 10))


def test_only_the_subset_is_left():
    x = torch.rand(2, 3, 2, 2, generator=torch_generator(0, "subset"))
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.clone(memory_format=layout)
        left = Parts(((4, 8), (0, 3))).restrict(given).flatten(1)
        expected = torch.zeros(2, 12)
        expected[0, 4:8] = x.flatten(1)[0, 4:8]
        expected[1, :3] = x.flatten(1)[1, :3]
        assert torch.equal(left, expected)
        mask = torch.tensor([True, False, True]).view(3, 1, 1)
        left = Channels(mask).restrict(x.clone(memory_format=layout))
        assert torch.equal(left[:, 1], x[:, 1])
        assert not left[:, [0, 2]].any()


@pytest.mark.parametrize("kind", ["parts", "channels"])
def test_the_gradient_is_that_of_the_loss_over_the_subset(kind):
    generator = torch_generator(3, "partial")
    target = torch.rand(2, 3, 2, 2, generator=generator, dtype=torch.float64)
    activation = torch.rand(2, 3, 2, 2, generator=generator, dtype=torch.float64)
    activation.requires_grad_()
    if kind == "parts":
        subset = Parts(((4, 8), (0, 4)))
        chosen = [(0, slice(1, 2)), (1, slice(0, 1))]
    else:
        subset = Channels(torch.tensor([True, False, False]).view(3, 1, 1))
        chosen = [(0, slice(1, 3)), (1, slice(1, 3))]
    own = [
        matching_loss(activation[row : row + 1, part], target[row : row + 1, part])
        for row, part in chosen
    ]
    (expected,) = torch.autograd.grad(torch.cat(own).sum(), activation)
    partial = PartialTarget.of(subset, target)
    scale = target_scale(target)
    loss, gradient = loss_and_activation_gradient(activation, target, scale, partial)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)
    # What is logged stays the loss over the whole stage.
    torch.testing.assert_close(loss, matching_loss(activation, target).detach())


def choose(network, path="1", ids=IDS, **settings):
    settings = {**SETTINGS, **settings}
    return choose_matching(settings, network, path, ids, 517, "toy", path)


def test_the_whole_stage_is_the_default():
    network = toy_network()
    assert choose(network) is None
    assert choose(network, matching=None) is None
    assert choose(network, matching={**UNIT, "kind": "whole"}) is None


def test_settings_that_mean_nothing_are_refused():
    network = toy_network()
    with pytest.raises(StudyError, match=r"'random' is not one of.*random_unit"):
        choose(network, matching={"kind": "random"})
    for name in ("first_steps", "redraw_every", "grow_every"):
        with pytest.raises(StudyError, match=f"matching.{name} is 0; .* at least 1"):
            choose(network, matching={"kind": "random_unit", name: 0})
    with pytest.raises(StudyError, match=r"needs a network whose filters .*'whole'"):
        choose(network, matching={"kind": "growing_filters"})


def test_the_parts_of_hmax():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = HMAX(5, size=40, filter_sizes=4, patch_sizes=[2, 3], patches=6)
    network = Network(ImagePreprocessing(std=[1 / 255]), body).eval()
    x = images()[0].float().repeat(1, 1, 5, 5)
    allowed = {
        FRONT_END: {1600},
        "s1_out": {1600},
        "c1_out_no_reshape": {121, 81},
        "s2_out_reshape_to_list": {6 * 144, 6 * 100, 6 * 121, 6 * 81},
        "c2_out": {1},
        "final": {1},
    }
    for path, sizes in allowed.items():
        matching = choose(network, path, matching={"kind": "random_unit"})
        assert (matching.first_steps, matching.redraw_every) == (400, 50)
        with torch.no_grad():
            target = StageForward(network, path)(x)
        runs = matching.subset((0, 0), target).runs
        assert {stop - start for start, stop in runs} <= sizes
        assert all(0 <= start < stop <= target[0].numel() for start, stop in runs)


def test_the_filters_of_spectemp():
    body = SpecTemp(
        5, rows=12, frames=30, temporal_rates=[0, 4, 8], spectral_rates=[0, 1]
    )
    network = Network(nn.Identity(), body).eval()
    growing = {"kind": "growing_filters", "grow_every": 3}
    for path in ("filtered_signal", "spectempfilter_power"):
        matching = choose(network, path, matching=growing)
        rates = [(0, 0), (0, 1), (4, 0), (4, 1), (8, 0), (8, 1), (-4, 1), (-8, 1)]
        assert matching.filter_rates == tuple(rates)
        assert matching.grow_every == 3
        subset = matching.subset((0, 0), torch.zeros(1, 8, 12, 30))
        expected = [False, False, False, True, False, True, True, True]
        assert subset.left_out.flatten().tolist() == expected
    for path in ("avgpool", "final", FRONT_END):
        assert choose(network, path, matching=growing) is None


def test_a_step_follows_the_loss_of_the_filters_that_are_in():
    body = SpecTemp(
        5, rows=12, frames=30, temporal_rates=[0, 4, 8], spectral_rates=[0, 1]
    )
    network = Network(nn.Identity(), body.double()).eval().requires_grad_(False)
    generator = torch_generator(4, "cochleagram")
    shape = (2, 1, 12, 30)
    reference = torch.rand(shape, generator=generator, dtype=torch.float64)
    initial = torch.rand(shape, generator=generator, dtype=torch.float64)
    forward = StageForward(network, "filtered_signal")
    growing = {"kind": "growing_filters", "grow_every": 1}
    settings = {**SETTINGS, "rounds": 2, "steps_per_round": 1, "first_step": 1e-3}
    matching = choose(network, "filtered_signal", IDS[:2], matching=growing, **settings)
    settings["rounds"] = 1  # of two, so that the first alone is taken here
    made = synthesize(forward, reference, initial, settings, matching=matching)
    included = [0, 1, 2, 4]
    x = initial.clone().requires_grad_()
    loss = matching_loss(forward(x)[:, included], forward(reference)[:, included])
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    norm = gradient.flatten(1).norm(dim=1).view(2, 1, 1, 1)
    expected = (initial - 1e-3 * gradient / norm).clamp(0, 1)
    np.testing.assert_allclose(made.metamer, expected, atol=1e-9)


def test_the_last_round_is_whole():
    network, (reference, initial) = toy_network(), images()
    forward = StageForward(network, "1")
    one = {**SETTINGS, "rounds": 1}
    matching = choose(network, matching=UNIT, rounds=1)
    assert matching is not None
    plain = synthesize(forward, reference, initial, one)
    made = synthesize(forward, reference, initial, one, matching=matching)
    np.testing.assert_array_equal(made.metamer, plain.metamer)
    np.testing.assert_array_equal(made.loss, plain.loss)
    matching = choose(network, matching=UNIT)
    made = synthesize(forward, reference, initial, SETTINGS, matching=matching)
    plain = synthesize(forward, reference, initial, SETTINGS)
    assert not np.array_equal(made.metamer, plain.metamer)
    np.testing.assert_array_equal(made.loss[:, 0], plain.loss[:, 0])
    assert (made.loss[:, -1] < 0.5 * made.loss[:, 0]).all()


def test_no_metamer_depends_on_its_shard_or_neighbors():
    stimuli = np.random.default_rng(0).integers(0, 256, (4, 1, 8, 8)).astype(np.uint8)
    reference = Split(stimuli, np.array(IDS), {"category": np.arange(4)})
    entry = {
        "modality": "vision",
        "task": {"label": "category", "decision": {"kind": "argmax"}},
    }

    def shard(rows, **changes):
        settings = {**SETTINGS, "matching": UNIT}
        arguments = {"model": "toy", **changes}
        part = reference.subset(np.array(rows))
        return synthesize_shard(
            toy_network(), entry, "relu", "1", True, part, settings, 517, **arguments
        )

    together = shard([0, 1, 2, 3])
    for rows in ([2], [3, 1]):
        alone = shard(rows)
        np.testing.assert_allclose(together.loss[rows], alone.loss, atol=1e-12)
        np.testing.assert_allclose(together.metamer[rows], alone.metamer, atol=1e-7)
    other = shard([0, 1, 2, 3], model="other")
    assert np.abs(other.metamer - together.metamer).max() > 1e-3


class Stop(Exception):
    """Ends a synthesis in the middle."""


# One call is for the target: these are stopped in the middle of a draw and of a round's
# whole part.
@pytest.mark.parametrize("calls", [4, 8, 13])
def test_a_resumed_synthesis_goes_on_to_the_same_bits(tmp_path, calls):
    network, (reference, initial) = toy_network(), images()
    forward = StageForward(network, "1")
    settings = {**SETTINGS, "smoothness": 0.1}
    matching = choose(network, matching=UNIT)
    left = [calls]

    def stopping(x):
        left[0] -= 1
        if left[0] < 0:
            raise Stop
        return forward(x)

    def run(stage_forward, **arguments):
        return synthesize(
            stage_forward, reference, initial, settings, matching=matching, **arguments
        )

    state = tmp_path / "state"
    with pytest.raises(Stop):
        run(stopping, state_path=state, interval_seconds=0)
    assert state.exists()
    taken = []
    resumed = run(lambda x: taken.append(x) or forward(x), state_path=state)
    assert len(taken) == 2 + 24 - (calls - 1)
    uninterrupted = run(forward)
    np.testing.assert_array_equal(resumed.metamer, uninterrupted.metamer)
    np.testing.assert_array_equal(resumed.loss, uninterrupted.loss)


def test_a_state_of_another_matching_is_not_taken_up(tmp_path):
    network, (reference, initial) = toy_network(), images()
    forward = StageForward(network, "1")
    left = [6]

    def stopping(x):
        left[0] -= 1
        if left[0] < 0:
            raise Stop
        return forward(x)

    state = tmp_path / "state"
    with pytest.raises(Stop):
        synthesize(
            stopping, reference, initial, SETTINGS, state_path=state, interval_seconds=0
        )
    matching = choose(network, matching=UNIT)
    made = synthesize(
        forward, reference, initial, SETTINGS, matching=matching, state_path=state
    )
    fresh = synthesize(forward, reference, initial, SETTINGS, matching=matching)
    np.testing.assert_array_equal(made.metamer, fresh.metamer)
