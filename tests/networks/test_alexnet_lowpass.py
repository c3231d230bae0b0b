"""LowpassAlexNet: its size, and that nothing aliases where it downsamples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from metamers.networks.alexnet_lowpass import LowpassAlexNet
from metamers.networks.hann import HannPool2d
from metamers.networks.network import Network, build_network
from metamers.networks.stages import StageForward, activations, check_stages, example

SHAPES = {
    "relu0": (64, 55, 55),
    "relu1": (192, 27, 27),
    "relu2": (384, 13, 13),
    "relu3": (256, 13, 13),
    "relu4": (256, 13, 13),
    "fc0_relu": (4096,),
    "fc1_relu": (4096,),
    "final": (1000,),
}
STAGES = {name: name for name in SHAPES}
SMALL = {
    "modality": "vision",
    "architecture": "metamers.networks.alexnet_lowpass:LowpassAlexNet",
    "arguments": {"classes": 7, "width": [4, 5, 6, 5, 4], "hidden": 16},
    "preprocessing": {},
}


@pytest.fixture
def small():
    return build_network(SMALL, seed=4).eval().requires_grad_(False)


def test_the_default_is_the_published_network():
    body = LowpassAlexNet().eval()
    with torch.device("meta"):
        standard = torchvision.models.alexnet()
    assert [p.shape for p in body.parameters()] == [
        p.shape for p in standard.parameters()
    ]
    assert sum(p.numel() for p in body.parameters()) == 61_100_840
    shapes = {**STAGES, "pool0": "pool0", "pool1": "pool1", "pool4": "pool4"}
    with torch.no_grad():
        network = Network(nn.Identity(), body)
        found = activations(network, shapes, torch.rand(1, 3, 224, 224))
    assert {name: tuple(value.shape[1:]) for name, value in found.items()} == {
        **SHAPES,
        "pool0": (64, 27, 27),
        "pool1": (192, 13, 13),
        "pool4": (256, 6, 6),
    }


def test_only_hann_poolings_downsample(small):
    pools = []
    for module in small.modules():
        assert not isinstance(module, nn.MaxPool2d | nn.AvgPool2d)
        if isinstance(module, nn.Conv2d):
            assert module.stride == (1, 1)
        if isinstance(module, HannPool2d):
            pools.append((module.size[0], module.stride[0], module.padding[0]))
    assert pools == [(17, 4, 5), (9, 2, 2), (9, 2, 2), (9, 2, 2)]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["conv0_pool", "pool0", "pool1", "pool4"])
def test_stripes_above_the_new_nyquist_lose_24_db(small, name, axis):
    pool = small.body.get_submodule(name)
    stride, size = pool.stride[0], 240

    def left(frequency):
        phase = 2 * math.pi * frequency * torch.arange(size, dtype=torch.float64)
        power = 0.0
        for wave in (phase.cos(), phase.sin()):
            x = wave[:, None] if axis == 0 else wave[None, :]
            pooled = pool(x.expand(1, 1, size, size))[0, 0, 5:-5, 5:-5]
            power = power + pooled**2
        return 10 * math.log10(float(power.max()) + 1e-20)

    for frequency in np.linspace(0.5 / stride, 0.5, 15):
        assert left(float(frequency)) < -24.0
    assert left(0.05 / stride) > -1.0


def test_forward_is_that_of_its_weights(small):
    state = small.double().body.state_dict()
    x = y = example(SMALL, (3, 64, 64)).double()

    def convolved(x, name, padding):
        x = functional.conv2d(
            x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding
        )
        return x.clamp(min=0)

    def pooled(x, size, stride, padding):
        taps = torch.from_numpy(np.hanning(size)[1:-1])
        kernel = torch.outer(taps, taps) / taps.sum() ** 2
        kernel = kernel.expand(x.shape[1], 1, -1, -1)
        return functional.conv2d(
            x, kernel, stride=stride, padding=padding, groups=x.shape[1]
        )

    y = pooled(convolved(y, "conv0", 5), 17, 4, 5)
    y = convolved(pooled(y, 9, 2, 2), "conv1", 2)
    y = convolved(pooled(y, 9, 2, 2), "conv2", 1)
    y = convolved(convolved(y, "conv3", 1), "conv4", 1)
    y = functional.adaptive_avg_pool2d(pooled(y, 9, 2, 2), 6).flatten(1)
    for name in ("fc0", "fc1"):
        y = (y @ state[f"{name}.weight"].T + state[f"{name}.bias"]).clamp(min=0)
    expected = y @ state["final.weight"].T + state["final.bias"]
    torch.testing.assert_close(small(x), expected)


def test_stages_end_in_a_relu():
    found = check_stages(SMALL, STAGES, (3, 64, 64))
    for stage in found:
        plain = stage.name == "final"
        assert stage.gradient == ("plain" if plain else "straight_through"), stage.name
    assert found[0].shape == (4, 15, 15)


def test_straight_through_changes_nothing_at_relu0(small):
    x = example(SMALL, (3, 64, 64))
    gradients = []
    for straight_through in (True, False):
        leaf = x.clone().requires_grad_()
        output = StageForward(small, "relu0", straight_through)(leaf)
        assert (output > 0).all()
        output.square().sum().backward()
        gradients.append(leaf.grad)
    assert gradients[0].any()
    torch.testing.assert_close(*gradients)


def test_dropout_acts_in_training_only(small):
    x = example(SMALL, (3, 64, 64))
    assert torch.equal(small(x), small(x))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small.train()
        assert not torch.equal(small(x), small(x))
        build = build_network({**SMALL, "arguments": {"dropout": 0.0}}, 1).train()
        assert torch.equal(build(x), build(x))


def test_a_seed_gives_one_network_and_another_seed_another():
    first, second, other = (build_network(SMALL, seed).body for seed in (4, 4, 5))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
    assert not torch.equal(first.conv0.weight, other.conv0.weight)


def test_evaluation_is_pure_and_gradients_are_finite(small):
    state = {key: value.clone() for key, value in small.state_dict().items()}
    x = example(SMALL, (3, 64, 64))
    for path in STAGES.values():
        leaf = x.clone().requires_grad_()
        StageForward(small, path)(leaf).square().sum().backward()
        assert torch.isfinite(leaf.grad).all()
        assert (leaf.grad.flatten(1).norm(dim=1) > 0).all()
    for key, value in small.state_dict().items():
        assert torch.equal(value, state[key])


def test_both_precisions_agree_and_second_derivatives_exist(small):
    x = example(SMALL, (3, 64, 64))
    single = small(x)
    leaf = x.double().requires_grad_()
    double = small.double()(leaf)
    torch.testing.assert_close(single, double.float(), rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(double.square().sum(), leaf, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), leaf)
    assert torch.isfinite(second).all()
    assert second.any()
