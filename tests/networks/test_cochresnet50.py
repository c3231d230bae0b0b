"""CochResNet50: torchvision's ResNet50 but for its input and its number of logits."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from metamers.networks.cochresnet50 import CochResNet50
from metamers.networks.network import (
    Network,
    SoundPreprocessing,
    build_network,
    load_network,
    save_weights,
)
from metamers.networks.stages import (
    FRONT_END,
    StageForward,
    activations,
    describe,
    example,
)

# Feather et al. 2023: channels, rows and frames.
SHAPES = {
    FRONT_END: (1, 211, 390),
    "relu": (64, 106, 195),
    "maxpool": (64, 53, 98),
    "layer1": (256, 53, 98),
    "layer2": (512, 27, 49),
    "layer3": (1024, 14, 25),
    "layer4": (2048, 7, 13),
    "avgpool": (2048, 1, 1),
    "fc": (794,),
}
STAGES = [name for name in SHAPES if name != "maxpool"]
STRAIGHT_THROUGH = ["relu", "layer1", "layer2", "layer3", "layer4"]
FRONT_END_2023 = {
    "kind": "cochleagram",
    "low": 50.0,
    "high": 10000.0,
    "filters": 50,
    "sample_factor": 4,
}
NARROW = {"classes": 7, "width_per_group": 4}
SMALL = {
    "modality": "audio",
    "sample_rate": 8000,
    "duration": 0.6,
    "architecture": "metamers.networks.cochresnet50:CochResNet50",
    "arguments": NARROW,
    "preprocessing": {
        "front_end": {
            **FRONT_END_2023,
            "high": 4000.0,
            "filters": 10,
            "sample_factor": 2,
        }
    },
}


@pytest.fixture
def sounds():
    return example(SMALL, (4800,))


@pytest.fixture
def network(sounds):
    """Return a small network whose batch norm has seen sounds, in evaluation mode."""
    network = build_network(SMALL, seed=4)
    with torch.no_grad():
        network.train()(sounds)
    return network.eval().requires_grad_(False)


def without_memory(**arguments):
    """Return a network of which only the shapes exist."""
    with torch.device("meta"):
        body = CochResNet50(**arguments).eval()
    return Network(SoundPreprocessing(None), body)


def test_stages_have_their_shapes():
    cochleagram = torch.empty(2, 1, 211, 390, device="meta")
    found = activations(without_memory(), {name: name for name in SHAPES}, cochleagram)
    assert {name: tuple(x.shape[1:]) for name, x in found.items()} == SHAPES


def bottlenecks():
    """Return the parameters of the four layers: convolutions and their batch norms."""
    count, inputs = 0, 64
    for blocks, inner in ((3, 64), (4, 128), (6, 256), (3, 512)):
        outputs = 4 * inner
        count += inputs * outputs + 2 * outputs  # the shortcut of the first block
        for _ in range(blocks):
            count += inputs * inner + 9 * inner**2 + inner * outputs
            count += 2 * (inner + inner + outputs)
            inputs = outputs
    return count


def test_number_of_parameters():
    for classes in (794, 794 + 517):
        body = without_memory(classes=classes).body
        found = sum(parameter.numel() for parameter in body.parameters())
        assert found == 49 * 64 + 2 * 64 + bottlenecks() + 2049 * classes


def test_convolutions_have_no_bias():
    convolutions = [
        m for m in CochResNet50(**NARROW).modules() if isinstance(m, nn.Conv2d)
    ]
    assert len(convolutions) == 1 + 3 * 16 + 4
    assert all(convolution.bias is None for convolution in convolutions)


def test_is_torchvisions_network_on_a_grey_image():
    colors = resnet50(num_classes=7, width_per_group=4).eval()
    grey = CochResNet50(**NARROW).eval()
    state = colors.state_dict()
    assert list(grey.state_dict()) == list(state)
    state["conv1.weight"] = state["conv1.weight"].sum(1, keepdim=True)
    grey.load_state_dict(state)
    x = torch.rand(2, 1, 25, 110, generator=torch.Generator().manual_seed(0))
    expected = colors(x.expand(-1, 3, -1, -1))
    torch.testing.assert_close(grey(x), expected, rtol=1e-4, atol=1e-5)


def test_initial_weights_of_the_first_convolution_are_torchvisions():
    weight = build_network(SMALL, seed=0).body.conv1.weight.detach()
    # Kaiming's normal distribution by the outputs: 64 channels of 7 x 7.
    assert weight.std() == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.05)
    assert weight.mean().abs() < 0.002


def test_weights_are_read_back(network, sounds, tmp_path):
    save_weights(network, tmp_path / "weights.safetensors")
    loaded = load_network(SMALL, tmp_path / "weights.safetensors")
    assert torch.equal(loaded(sounds), network(sounds))


def test_stages_that_end_in_a_relu_have_the_straight_through_gradient(network, sounds):
    found = describe(network, {name: name for name in STAGES}, sounds)
    straight_through = [s.name for s in found if s.gradient == "straight_through"]
    assert straight_through == STRAIGHT_THROUGH


def test_initial_weights_follow_from_the_seed(sounds):
    first, again, other = (
        build_network(SMALL, seed).eval()(sounds) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_evaluation_is_pure(network, sounds):
    kept = sounds.clone()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    assert torch.equal(network(sounds), network(sounds))
    assert torch.equal(sounds, kept)
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_sounds_of_a_batch_do_not_touch_each_other(network, sounds):
    network, sounds = network.double(), sounds.double()
    for one, expected in zip(sounds, network(sounds), strict=True):
        torch.testing.assert_close(network(one[None])[0], expected)


def test_the_gradient_reaches_the_sound_from_every_stage(network, sounds):
    for stage in STAGES:
        x = sounds.clone().requires_grad_()
        output = StageForward(network, stage)(x)
        (gradient,) = torch.autograd.grad(output.square().sum(), x)
        assert torch.isfinite(gradient).all()
        assert (gradient.norm(dim=1) > 0).all(), stage


def test_the_gradient_is_finite_at_silence_through_the_published_front_end():
    entry = {
        **SMALL,
        "sample_rate": 20000,
        "duration": 2.0,
        "preprocessing": {"front_end": FRONT_END_2023},
    }
    network = build_network(entry, seed=4).eval().requires_grad_(False)
    noise = 1e-7 * example(entry, (40000,))[:1] / 0.1  # the initial noise of a metamer
    for x in (torch.zeros(1, 40000), noise):
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(network(x).square().sum(), x)
        assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
