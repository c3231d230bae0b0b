"""What every network of the paper study keeps, at the size of its rehearsal."""

from __future__ import annotations

import pytest
import torch

from metamers.networks.network import build_network
from metamers.networks.registry import ARCHITECTURES
from metamers.networks.stages import activations, describe, example
from metamers.rehearsal import rehearse
from metamers.study.reading import load_study
from metamers.study.slices import input_shape, resolved_entry

# The demo's own networks have their tests beside them.
SMALL = ("SmallAlexNet", "SmallLowpassAlexNet", "SmallResNet")
SMALL += ("SmallCochCNN", "SmallLowpassCochCNN")


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    return load_study(rehearse("paper", tmp_path_factory.mktemp("study"))), load_study(
        "paper"
    )


def kinds() -> list[str]:
    """Return one model of each architecture and way of being built."""
    found: dict[tuple[str, str], str] = {}
    for name, entry in load_study("paper").models.items():
        key = (entry.architecture, str(entry.arguments), str(entry.preprocessing))
        found.setdefault(key, name)
    return list(found.values())


@pytest.fixture(params=kinds(), scope="module")
def network(request, studies):
    small, paper = studies
    entry = resolved_entry(small, request.param)
    built = build_network(entry, seed=3).eval().requires_grad_(False)
    shape = tuple(input_shape(small, entry["modality"]))
    x = example(entry, shape)
    # All stages of the published study, not the few of the rehearsal.
    return built, entry, dict(paper.models[request.param].stages), x


def test_every_architecture_of_the_package_is_in_the_study():
    used = {entry.architecture for entry in load_study("paper").models.values()}
    own = {name.partition(":")[2] for name in used if name.startswith("metamers:")}
    assert own == set(ARCHITECTURES) - set(SMALL)


def test_the_same_seed_gives_the_same_network(network):
    built, entry, _, x = network
    again = build_network(entry, seed=3).eval()
    other = build_network(entry, seed=4).eval()
    for key, value in again.state_dict().items():
        assert torch.equal(value, built.state_dict()[key]), key
    with torch.no_grad():
        # Where the memory lies may change the last digit.
        torch.testing.assert_close(built(x), again(x), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(built(x), other(x), rtol=1e-3, atol=1e-3)


def test_looking_changes_nothing(network):
    built, _, stages, x = network
    before = {key: value.clone() for key, value in built.state_dict().items()}
    with torch.no_grad():
        first = built(x)
        found = activations(built, stages, x)
        assert torch.equal(built(x), first)
    assert list(found) == list(stages)
    for key, value in built.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_no_stimulus_sees_its_neighbour(network):
    built, _, stages, x = network
    with torch.no_grad():
        both = activations(built, stages, x)
        alone = activations(built, stages, x[:1])
    for stage in stages:
        torch.testing.assert_close(
            both[stage][:1],
            alone[stage],
            rtol=1e-4,
            atol=1e-5 * both[stage].abs().max(),
        )


def test_every_stage_passes_a_finite_gradient_to_the_stimulus(network):
    built, _, stages, x = network
    x = x.clone().requires_grad_()
    for stage, activation in activations(built, stages, x).items():
        weights = torch.linspace(0.5, 1.5, activation.numel()).view_as(activation)
        (gradient,) = torch.autograd.grad(
            (activation * weights).sum(), x, retain_graph=True
        )
        assert torch.isfinite(gradient).all(), stage
        assert gradient.abs().max() > 0, stage


def test_stages_named_for_a_straight_through_relu_end_in_one(network):
    built, _, stages, x = network
    for stage in describe(built, stages, x):
        if "fake" in stage.name:
            assert stage.gradient == "straight_through", stage


def test_it_computes_in_double_precision(network):
    built, entry, _, x = network
    double = build_network(entry, seed=3).eval().double()
    with torch.no_grad():
        found, expected = double(x.double()), built(x)
    assert found.dtype == torch.float64
    scale = float(expected.abs().max())
    torch.testing.assert_close(found.float(), expected, rtol=1e-3, atol=1e-3 * scale)
