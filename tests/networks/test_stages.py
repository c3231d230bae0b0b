"""Stages against hand-written forward passes: activations, and above all gradients."""

from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from metamers.errors import StudyError
from metamers.networks.network import Network, build_network
from metamers.networks.stages import (
    FRONT_END,
    StageForward,
    activations,
    check_stages,
    describe,
)


class Rectify(torch.autograd.Function):
    """An independent straight-through ReLU for the hand-written networks."""

    @staticmethod
    def forward(ctx, z):
        return torch.where(z > 0, z, torch.zeros_like(z))

    @staticmethod
    def backward(ctx, gradient):
        return gradient


straight = Rectify.apply


class Calls(nn.Module):
    """Two convolutions whose last ReLU is called in one of many ways."""

    def __init__(self, rectify):
        super().__init__()
        self.block = Block(rectify)
        self.after = nn.Linear(4 * 6 * 6, 3)

    def forward(self, x):
        return self.after(self.block(x).flatten(1))


class Block(nn.Module):
    def __init__(self, rectify):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.rectify = rectify

    def forward(self, x):
        x = self.relu(self.first(x))
        return self.rectify(self, self.second(x))


def overwrite(function):
    """Call an in-place function for its effect and return what it wrote on."""

    def rectify(block, z):
        function(z)
        return z

    return rectify


TERMINAL = {
    "reused module": lambda block, z: block.relu(z),
    "functional.relu": lambda block, z: functional.relu(z),
    "functional.relu in place": lambda block, z: functional.relu(z, inplace=True),
    "functional.relu in place by position": lambda block, z: functional.relu(z, True),
    "functional.relu, result unused": overwrite(
        lambda z: functional.relu(z, inplace=True)
    ),
    "torch.relu": lambda block, z: torch.relu(z),
    "torch.relu_": lambda block, z: torch.relu_(z),
    "Tensor.relu": lambda block, z: z.relu(),
    "Tensor.relu_": lambda block, z: z.relu_(),
    "Tensor.relu_, result unused": overwrite(lambda z: z.relu_()),
    "clamp_min": lambda block, z: z.clamp_min(0),
    "clamp_min_": lambda block, z: z.clamp_min_(0.0),
    "clamp": lambda block, z: torch.clamp(z, min=0),
    "clamp by position": lambda block, z: z.clamp(0),
    "clip": lambda block, z: z.clip(min=0),
    "threshold": lambda block, z: functional.threshold(z, 0.0, 0.0),
    "then flatten": lambda block, z: functional.relu(z).flatten(1),
    "then dropout": lambda block, z: functional.dropout(
        functional.relu(z), 0.5, training=False
    ),
    "then identity": lambda block, z: nn.Identity()(functional.relu(z)),
}
NOT_TERMINAL = {
    "no ReLU": lambda block, z: z,
    "then a scale": lambda block, z: 2 * functional.relu(z),
    "then added to": lambda block, z: functional.relu(z).clone().add_(1.0),
    "then a transpose": lambda block, z: functional.relu(z).transpose(2, 3),
    "then a pool": lambda block, z: functional.max_pool2d(
        functional.relu(z), 3, 1, padding=1
    ),
    "ReLU6": lambda block, z: functional.relu6(10 * z),
    "leaky": lambda block, z: functional.leaky_relu(z),
    "clamp on both sides": lambda block, z: torch.clamp(10 * z, 0, 1),
    "clamp elsewhere": lambda block, z: z.clamp_min(0.1),
    "ReLU of another tensor": lambda block, z: (functional.relu(z - 1), z)[1],
}


@pytest.fixture
def images():
    return torch.rand(3, 2, 6, 6, generator=torch.Generator().manual_seed(7))


def network_of(body, seed=0):
    torch.manual_seed(seed)
    return Network(nn.Identity(), body).eval().requires_grad_(False)


def gradient_of(function, x, weight):
    x = x.clone().requires_grad_()
    output = function(x)
    (gradient,) = torch.autograd.grad((output * weight.view_as(output)).sum(), x)
    return output.detach(), gradient


def assert_same(stage, by_hand, x, *, tolerance=1e-5):
    """Compare a stage with a function: activation, and gradient of a random readout."""
    shape = by_hand(x).shape
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    output, gradient = gradient_of(stage, x, weight)
    expected_output, expected = gradient_of(by_hand, x, weight)
    torch.testing.assert_close(output, expected_output.view_as(output))
    assert expected.abs().max() > 0
    error = (gradient - expected).norm() / expected.norm()
    assert error < tolerance


@pytest.fixture(autouse=True)
def repeatable():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("rectify", TERMINAL.values(), ids=TERMINAL)
def test_terminal_relu_passes_gradients_straight_through(rectify, images):
    network = network_of(Calls(rectify))
    block = network.body.block
    if block.relu.inplace:
        block.relu.inplace = False  # as build_network does

    def by_hand(x):
        return straight(block.second(torch.relu(block.first(x))))

    stage = StageForward(network, "block")
    assert_same(stage, by_hand, images)
    assert stage.gradient == "straight_through"
    # The gradient differs from the network's own, so the comparison can fail.
    plain = StageForward(network, "block", straight_through=False)
    weight = torch.ones_like(by_hand(images))
    ours = gradient_of(stage, images, weight)[1]
    assert not torch.allclose(ours, gradient_of(plain, images, weight)[1])


@pytest.mark.parametrize("rectify", NOT_TERMINAL.values(), ids=NOT_TERMINAL)
def test_other_ends_keep_the_gradient_of_the_network(rectify, images):
    network = network_of(Calls(rectify))
    block = network.body.block
    block.relu.inplace = False

    def by_hand(x):
        return rectify(block, block.second(torch.relu(block.first(x))))

    stage = StageForward(network, "block")
    assert_same(stage, by_hand, images)
    assert stage.gradient == "plain"


def test_straight_through_false_keeps_the_gradient_of_the_network(images):
    network = network_of(Calls(TERMINAL["torch.relu"]))
    block = network.body.block
    block.relu.inplace = False
    stage = StageForward(network, "block", straight_through=False)
    assert_same(stage, block, images)
    assert stage.gradient == "plain"


def test_module_relu_called_in_place_is_caught_without_build_network(images):
    network = network_of(Calls(TERMINAL["reused module"]))
    block = network.body.block
    assert block.relu.inplace
    own = copy.deepcopy(block)
    own.relu.inplace = False

    def by_hand(x):
        return straight(own.second(torch.relu(own.first(x))))

    assert_same(StageForward(network, "block"), by_hand, images)


def test_silent_stage_is_terminal_only_where_it_is_the_relu_itself(images):
    def silent(block, z):
        return functional.relu(z.abs().neg())

    def silent_then_pooled(block, z):
        return functional.max_pool2d(silent(block, z), 3, 1, padding=1)

    for rectify, expected in (
        (silent, "straight_through"),
        (silent_then_pooled, "plain"),
    ):
        stage = StageForward(network_of(Calls(rectify)), "block")
        assert not stage.inspect(images).any()
        assert stage.gradient == expected


def test_straight_through_gradient_is_one_at_silent_units():
    body = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU())
    network = network_of(body)
    body[1].bias.fill_(-100.0)
    x = torch.rand(2, 1, 2, 2).requires_grad_()
    output = StageForward(network, "2")
    output.gradient = "straight_through"
    (gradient,) = torch.autograd.grad(output(x).sum(), x)
    expected = body[1].weight.sum(0).expand(2, -1).reshape(2, 1, 2, 2)
    torch.testing.assert_close(gradient, expected)


ENTRY = {"modality": "vision", "arguments": {}, "preprocessing": {}}


def torchvision_network(name):
    entry = {**ENTRY, "architecture": f"torchvision:{name}"}
    network = build_network(entry, seed=3).eval().requires_grad_(False).double()
    torch.manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def test_torchvision_resnet18_block_that_reuses_its_relu():
    body = torchvision.models.resnet18
    network = torchvision_network("resnet18")
    assert type(network.body) is type(body())
    net = network.body
    x = torch.rand(2, 3, 40, 40, dtype=torch.float64)

    def block(layer, y, last):
        out = layer.bn1(layer.conv1(y))
        out = layer.bn2(layer.conv2(torch.where(out > 0, out, 0.0)))
        return last(out + y)

    def by_hand(x):
        y = net.bn1(net.conv1(x.clamp(0, 1))).clamp(min=0)
        y = block(net.layer1[0], net.maxpool(y), lambda z: torch.where(z > 0, z, 0.0))
        return block(net.layer1[1], y, straight)

    stage = StageForward(network, "layer1")
    assert_same(stage, by_hand, x, tolerance=1e-10)
    assert stage.gradient == "straight_through"
    assert_same(StageForward(network, "layer1.1"), by_hand, x, tolerance=1e-10)


def test_torchvision_alexnet_in_place_relu():
    network = torchvision_network("alexnet")
    features = network.body.features
    x = torch.rand(2, 3, 67, 67, dtype=torch.float64)

    def first(x):
        return straight(features[0](x.clamp(0, 1)))

    def second(x):
        y = features[0](x.clamp(0, 1))
        y = torch.where(y > 0, y, 0.0)
        return straight(features[3](features[2](y)))

    assert_same(StageForward(network, "features.1"), first, x, tolerance=1e-10)
    assert_same(StageForward(network, "features.4"), second, x, tolerance=1e-10)
    # The dropout after a hidden layer hands its ReLU on unchanged.
    assert StageForward(network, "classifier.3").inspect(x).shape == (2, 4096)
    stage = StageForward(network, "classifier.6")
    stage.inspect(x)
    assert stage.gradient == "plain"


def test_build_network_leaves_nothing_in_place():
    for name in ("alexnet", "resnet18", "mobilenet_v2"):
        network = build_network({**ENTRY, "architecture": f"torchvision:{name}"}, 0)
        assert not [m for m in network.modules() if getattr(m, "inplace", False)]


def test_forward_stops_at_the_stage(images):
    class Never(nn.Module):
        def forward(self, x):
            raise AssertionError("ran beyond the stage")

    body = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), Never())
    network = network_of(body)
    assert StageForward(network, "1")(images).shape == (3, 4, 4, 4)
    both = activations(network, {"relu": "1", "conv": "0"}, images)
    assert list(both) == ["relu", "conv"]


def test_hooks_live_only_during_a_call(images):
    network = network_of(Calls(TERMINAL["torch.relu"]))
    StageForward(network, "block")(images)
    activations(network, {"a": "block", "b": "after"}, images)
    assert not any(m._forward_hooks for m in network.modules())
    assert network(images).shape == (3, 3)
    with pytest.raises(RuntimeError):
        StageForward(network, "after")(images[:, :1])
    assert not any(m._forward_hooks for m in network.modules())


def test_front_end_is_the_output_of_the_preprocessing(images):
    class Halve(nn.Module):
        def forward(self, x):
            return x / 2

    network = Network(Halve(), nn.Conv2d(2, 4, 3)).requires_grad_(False)
    torch.testing.assert_close(StageForward(network, FRONT_END)(images), images / 2)
    assert_same(StageForward(network, FRONT_END), lambda x: x / 2, images)


def test_activations_are_those_of_the_single_stages():
    network = torchvision_network("resnet18")
    x = torch.rand(2, 3, 40, 40, dtype=torch.float64)
    # bn2's output is overwritten by `out += identity` right after the module ends.
    stages = {"final": "fc", "bn": "layer1.0.bn2", "front": FRONT_END, "relu": "relu"}
    together = activations(network, stages, x)
    assert list(together) == list(stages)
    for name, path in stages.items():
        alone = StageForward(network, path, straight_through=False)(x)
        torch.testing.assert_close(together[name], alone, rtol=0, atol=0)
    torch.testing.assert_close(together["final"], network(x), rtol=0, atol=0)


def test_describe_says_gradient_shape_and_units():
    network = torchvision_network("alexnet")
    x = torch.rand(2, 3, 67, 67, dtype=torch.float64)
    stages = {"relu0": "features.1", "pool": "features.2", "final": "classifier.6"}
    found = describe(network, stages, x, {"relu0": False})
    assert [(d.name, d.path, d.gradient, d.shape, d.units) for d in found] == [
        ("relu0", "features.1", "plain", (64, 16, 16), 16384),
        ("pool", "features.2", "plain", (64, 7, 7), 3136),
        ("final", "classifier.6", "plain", (1000,), 1000),
    ]
    assert describe(network, stages, x)[0].gradient == "straight_through"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("layer5", "did you mean 'layer"),
        ("layer1.2", "did you mean 'layer1"),
        ("conv_1", "did you mean 'conv1'"),
        ("layer1.0.relu", "2 times in one forward pass.*'layer1.0'"),
        ("", "no module ''"),
    ],
)
def test_unknown_stages_name_the_nearest(path, message):
    entry = {**ENTRY, "architecture": "torchvision:resnet18"}
    with pytest.raises(StudyError, match=message):
        check_stages(entry, {"ok": "layer1", "wrong": path}, (3, 40, 40))


def test_module_without_a_forward_pass_is_refused(images):
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([nn.Conv2d(2, 2, 1)])

        def forward(self, x):
            return self.blocks[0](x)

    network = network_of(Listed())
    for run in (
        lambda: StageForward(network, "blocks")(images),
        lambda: activations(network, {"a": "blocks"}, images),
        lambda: describe(network, {"a": "blocks"}, images),
    ):
        with pytest.raises(StudyError, match="takes no part in the forward pass"):
            run()


def test_stage_of_several_tensors_is_refused(images):
    class Two(nn.Module):
        def forward(self, x):
            return x, x + 1

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.two = Two()

        def forward(self, x):
            return self.two(x)[0]

    with pytest.raises(StudyError, match="returns a tuple, not one tensor"):
        StageForward(network_of(Wrapped()), "two")(images)


def test_wrong_stimuli_are_refused_with_what_to_do():
    entry = {**ENTRY, "architecture": "torchvision:alexnet"}
    with pytest.raises(StudyError, match="does not take stimuli of shape"):
        check_stages(entry, {"final": "classifier.6"}, (3, 16, 16))
