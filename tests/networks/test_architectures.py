"""What every own architecture owes the study, and what is special about each."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metamers.errors import StudyError
from metamers.networks.hann import HannPool2d
from metamers.networks.network import build_network
from metamers.networks.stages import FRONT_END, StageForward, describe, example

VISION = {"modality": "vision", "preprocessing": {"mean": [0.13], "std": [0.31]}}
AUDIO = {
    "modality": "audio",
    "sample_rate": 8000,
    "duration": 0.6,
    "preprocessing": {
        "front_end": {
            "kind": "cochleagram",
            "low": 50.0,
            "high": 4000.0,
            "filters": 10,
            "sample_factor": 2,
        }
    },
}
ALEXNET = {
    "relu0": (16, 16, 16),
    "relu1": (32, 16, 16),
    "relu2": (48, 8, 8),
    "relu3": (48, 8, 8),
    "relu4": (32, 8, 8),
    "fc0_relu": (128,),
    "fc1_relu": (128,),
    "final": (7,),
}
RESNET = {
    "relu1": (16, 16, 16),
    "layer1": (16, 16, 16),
    "layer2": (24, 8, 8),
    "layer3": (32, 4, 4),
    "layer4": (48, 4, 4),
    "avgpool": (48, 1, 1),
    "final": (7,),
}
COCHCNN = {
    FRONT_END: (1, 25, 110),
    "relu0": (16, 25, 55),
    "relu1": (32, 13, 28),
    "relu2": (48, 7, 14),
    "relufc": (128,),
    "final": (7,),
}
STAGES = {
    "SmallAlexNet": (VISION, ALEXNET),
    "SmallLowpassAlexNet": (VISION, ALEXNET),
    "SmallResNet": (VISION, RESNET),
    "SmallCochCNN": (AUDIO, COCHCNN),
    "SmallLowpassCochCNN": (AUDIO, COCHCNN),
}
PLAIN = {FRONT_END, "avgpool", "final"}


def entry_of(name, **arguments):
    return {
        **STAGES[name][0],
        "architecture": f"metamers:{name}",
        "arguments": {"classes": 7, **arguments},
    }


def stimuli_of(name, count=6):
    entry = entry_of(name)
    shape = (1, 32, 32) if entry["modality"] == "vision" else (4800,)
    return torch.cat([example(entry, shape), example(entry, shape).flip(-1)])[:count]


@pytest.fixture(params=STAGES)
def name(request):
    return request.param


@pytest.fixture
def network(name):
    """Return a network whose batch norm has seen stimuli, in evaluation mode."""
    network = build_network(entry_of(name), seed=4)
    with torch.no_grad():
        network.train()(stimuli_of(name))
    return network.eval().requires_grad_(False)


def test_stages_have_their_shapes_and_gradients(name, network):
    expected = STAGES[name][1]
    found = describe(network, {stage: stage for stage in expected}, stimuli_of(name))
    assert {stage.name: stage.shape for stage in found} == expected
    for stage in found:
        wanted = "plain" if stage.name in PLAIN else "straight_through"
        assert stage.gradient == wanted, stage.name


def test_evaluation_is_pure(name, network):
    x = stimuli_of(name)
    kept = x.clone()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    first = network(x)
    second = network(x)
    assert torch.equal(first, second)
    assert torch.equal(x, kept)
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_stimuli_of_a_batch_do_not_touch_each_other(name, network):
    network = network.double()
    x = stimuli_of(name).double()
    together = network(x)
    for one, expected in zip(x, together, strict=True):
        alone = network(one[None])[0]
        torch.testing.assert_close(alone, expected, rtol=1e-9, atol=1e-9)


def test_the_gradient_reaches_the_stimulus_from_every_stage(name, network):
    for stage in STAGES[name][1]:
        x = stimuli_of(name).requires_grad_()
        (gradient,) = torch.autograd.grad(
            StageForward(network, stage)(x).square().sum(), x
        )
        assert torch.isfinite(gradient).all()
        assert (gradient.flatten(1).norm(dim=1) > 0).all(), stage


def test_a_few_steps_of_training_lower_the_loss(name):
    network = build_network(entry_of(name), seed=4).train()
    x = stimuli_of(name, 4)
    label = torch.arange(len(x))
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the dropout
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        losses = []
        for _ in range(25):
            loss = nn.functional.cross_entropy(network(x), label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert min(losses[-3:]) < 0.5 * losses[0]
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_reduced_aliasing_nets_downsample_only_by_hann_pooling():
    for lowpass, standard in (
        ("SmallLowpassAlexNet", "SmallAlexNet"),
        ("SmallLowpassCochCNN", "SmallCochCNN"),
    ):
        network = build_network(entry_of(lowpass), 1).body
        for module in network.modules():
            assert not isinstance(module, nn.MaxPool2d | nn.AvgPool2d)
            if isinstance(module, nn.Conv2d):
                assert module.stride == (1, 1)
            if isinstance(module, HannPool2d):
                for size, stride in zip(module.size, module.stride, strict=True):
                    assert size == 4 * stride or (stride == 1 and size == 3)
        plain = build_network(entry_of(standard), 1).body
        strides = [m.stride for m in plain.modules() if isinstance(m, nn.Conv2d)]
        assert any(max(stride) > 1 for stride in strides)
        # One seed gives both the same initial weights.
        for key, value in plain.state_dict().items():
            assert torch.equal(value, network.state_dict()[key])


def test_arguments_change_the_size():
    network = build_network(
        entry_of("SmallAlexNet", channels=3, width=[4, 5, 6, 7, 8], hidden=9, size=64),
        0,
    ).eval()
    x = torch.rand(2, 3, 64, 64)
    assert StageForward(network, "relu4")(x).shape == (2, 8, 16, 16)
    assert StageForward(network, "fc1_relu")(x).shape == (2, 9)
    network = build_network(entry_of("SmallResNet", width=[4, 5, 6, 7]), 0).eval()
    assert StageForward(network, "layer4")(x[:, :1]).shape == (2, 7, 8, 8)
    longer = {**entry_of("SmallCochCNN", frames=130), "duration": 0.7}
    assert build_network(longer, 0).eval()(torch.zeros(2, 5600)).shape == (2, 7)


def test_a_cochleagram_of_another_size_says_which_arguments_to_set():
    entry = {**entry_of("SmallCochCNN"), "duration": 0.7}
    network = build_network(entry, 0).eval()
    with pytest.raises(StudyError, match=r"\(25, 110\).*\(25, 130\).*rows and frames"):
        network(torch.zeros(1, 5600))
