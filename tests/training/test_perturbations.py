"""Perturbations of stimuli against what they must be by geometry."""

import pytest
import torch

from metamers.errors import StudyError
from metamers.training.perturbations import (
    perturb,
    project,
    random_offset,
    random_start_offset,
)

WIDE = (-1e6, 1e6)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def norms(x):
    return x.flatten(1).norm(dim=1)


def linear(weight):
    """Give a loss whose gradient is `weight` everywhere."""
    return lambda x: (x * weight).flatten(1).sum(dim=1)


def attack(loss_of, x, **changes):
    settings = {
        "kind": "adversarial",
        "norm": "l2",
        "epsilon": 0.5,
        "steps": 5,
        "step_size": None,
        "random_start": True,
        "bounds": WIDE,
        "generator": generator(),
    }
    return perturb(loss_of, x, **{**settings, **changes})


@pytest.mark.parametrize("shape", [(7, 1, 8, 8), (7, 400), (7, 3)])
@pytest.mark.parametrize("epsilon", [1e-3, 1.5])
def test_a_random_perturbation_lies_on_the_shell_before_the_clamp(shape, epsilon):
    x = torch.zeros(shape)
    offset = random_offset(x, "l2", epsilon, generator())
    torch.testing.assert_close(
        norms(offset), torch.full((7,), epsilon), rtol=1e-6, atol=0
    )
    perturbed = attack(None, x, kind="random", epsilon=epsilon)
    torch.testing.assert_close(perturbed, offset, rtol=0, atol=0)


def test_a_random_perturbation_is_a_centered_uniform_vector_before_it_is_scaled():
    x = torch.zeros(1, 1000)
    drawn = torch.rand(1, 1000, generator=generator()) - 0.5
    expected = 2.0 * drawn / drawn.norm()
    torch.testing.assert_close(random_offset(x, "l2", 2.0, generator()), expected)


def test_a_random_linf_perturbation_is_at_corners():
    x = torch.full((4, 1000), 0.5)
    perturbed = attack(None, x, kind="random", norm="linf", epsilon=0.25)
    offset = perturbed - x
    assert set(offset.unique().tolist()) == {-0.25, 0.25}
    assert 0.4 < (offset > 0).float().mean() < 0.6


def test_perturbed_stimuli_are_clamped_to_the_bounds():
    x = torch.rand(5, 20, generator=generator(1))
    weight = torch.randn(5, 20, generator=generator(2))
    for kind in ("adversarial", "random"):
        for norm in ("l2", "linf"):
            perturbed = attack(
                linear(weight), x, kind=kind, norm=norm, epsilon=2.0, bounds=(0.0, 1.0)
            )
            assert perturbed.min() == 0.0
            assert perturbed.max() == 1.0


def test_an_l2_attack_on_a_linear_loss_finds_the_farthest_point():
    weight = torch.randn(6, 30, generator=generator(3))
    x = torch.randn(6, 30, generator=generator(4))
    found = attack(linear(weight), x, steps=200, step_size=0.05)
    farthest = x + 0.5 * weight / weight.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found, farthest, atol=2e-3, rtol=0)


def test_an_linf_attack_on_a_linear_loss_finds_the_corner():
    weight = torch.randn(6, 30, generator=generator(3))
    x = torch.randn(6, 30, generator=generator(4))
    found = attack(linear(weight), x, norm="linf", steps=9)
    torch.testing.assert_close(found, x + 0.5 * weight.sign())


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_step_has_the_length_asked_for(norm):
    weight = torch.randn(3, 50, generator=generator(5))
    x = torch.zeros(3, 50)
    given = {"steps": 1, "random_start": False, "norm": norm}
    order = 2 if norm == "l2" else float("inf")
    for step_size, length in ((0.125, 0.125), (None, 0.25), (7.0, 0.5)):
        found = attack(linear(weight), x, step_size=step_size, **given)
        lengths = torch.linalg.vector_norm(found, order, dim=1)
        torch.testing.assert_close(lengths, torch.full((3,), length))


def test_each_stimulus_has_its_own_norm_whatever_its_neighbors():
    weight = torch.randn(4, 30, generator=generator(6), dtype=torch.float64)
    weight[1] *= 1e6
    weight[2] *= 1e-6
    x = torch.randn(4, 30, generator=generator(7), dtype=torch.float64)
    together = attack(
        lambda y: ((y - x) ** 2 @ torch.ones(30, dtype=y.dtype)) + (y * weight).sum(1),
        x,
        generator=[generator(seed) for seed in range(4)],
    )
    for row in range(4):
        one, of = x[row : row + 1], weight[row : row + 1]
        alone = attack(
            lambda y, one=one, of=of: ((y - one) ** 2).sum(1) + (y * of).sum(1),
            one,
            generator=[generator(row)],
        )
        torch.testing.assert_close(together[row : row + 1], alone)


def test_gradients_too_small_to_square_still_give_a_direction():
    weight = 1e-30 * torch.randn(2, 30, generator=generator(8))
    x = torch.zeros(2, 30)
    found = attack(linear(weight), x, steps=1, random_start=False)
    expected = 0.25 * torch.nn.functional.normalize(weight * 1e30, dim=1)
    torch.testing.assert_close(found, expected)


def test_a_flat_loss_moves_nothing():
    x = torch.rand(2, 30, generator=generator(9))
    found = attack(linear(torch.zeros(2, 30)), x, random_start=False)
    torch.testing.assert_close(found, x, rtol=0, atol=0)


def test_projection_moves_only_what_is_outside():
    inside, outside = torch.full((1, 4), 0.1), torch.full((1, 4), 3.0)
    offset = torch.cat([inside, outside])
    expected = torch.cat([inside, torch.full((1, 4), 0.5)])
    torch.testing.assert_close(project(offset, "l2", 1.0), expected)
    torch.testing.assert_close(project(offset, "linf", 0.5), expected)


def test_linf_attacks_start_uniformly_in_the_ball():
    start = random_start_offset(torch.zeros(1, 10000), "linf", 0.3, generator())
    assert start.abs().max() <= 0.3
    assert abs(float(start.std()) - 0.3 / 3**0.5) < 0.005


def test_no_gradient_reaches_weights_or_the_stimuli():
    layer = torch.nn.Linear(10, 1)
    x = torch.rand(3, 10, requires_grad=True)
    found = attack(lambda y: layer(y)[:, 0], x)
    assert layer.weight.grad is None
    assert not found.requires_grad
    assert x.grad is None


def test_the_perturbation_follows_the_generator():
    x = torch.rand(3, 10)
    draw = {"kind": "random", "epsilon": 1.0}
    first = attack(None, x, generator=generator(1), **draw)
    again = attack(None, x, generator=generator(1), **draw)
    other = attack(None, x, generator=generator(2), **draw)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)


def test_epsilon_zero_is_no_perturbation():
    x = torch.rand(3, 10)
    assert torch.equal(attack(linear(torch.ones(3, 10)), x, epsilon=0.0), x)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "adverserial"}, "did you mean 'adversarial'"),
        ({"norm": "l1"}, "l2, linf"),
        ({"epsilon": -1.0}, "epsilon is -1.0"),
        ({"steps": -1}, "steps is -1"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(StudyError, match=message):
        attack(linear(torch.ones(1, 4)), torch.zeros(1, 4), **changes)


def test_a_wrong_number_of_generators_is_refused():
    with pytest.raises(ValueError, match="2 generators for 3 stimuli"):
        attack(None, torch.zeros(3, 4), kind="random", generator=[generator()] * 2)
