"""Proposed stages of known networks."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from metamers.networks.network import Network, build_network
from metamers.networks.stages import describe, propose

RELUS = ["features.1", "features.4", "features.7", "features.9", "features.11"]
KNOWN = {
    "torchvision:alexnet": [*RELUS, "classifier.2", "classifier.5", "classifier.6"],
    "torchvision:resnet18": [
        "relu",
        "layer1",
        "layer2",
        "layer3",
        "layer4",
        "avgpool",
        "fc",
    ],
    "timm:resnet18": [
        "act1",
        "layer1",
        "layer2",
        "layer3",
        "layer4",
        "global_pool",
        "fc",
    ],
}


def proposed(architecture, size=64, **arguments):
    entry = {
        "modality": "vision",
        "architecture": architecture,
        "arguments": arguments,
        "preprocessing": {},
    }
    network = build_network(entry, 0).eval().requires_grad_(False)
    x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    return network, x, propose(network, x)


@pytest.mark.parametrize("architecture", KNOWN)
def test_known_networks(architecture):
    _, _, stages = proposed(architecture, 128)
    assert list(stages.values()) == KNOWN[architecture]


@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        ("torchvision:vgg11", 48),
        ("torchvision:squeezenet1_1", 64),
        ("torchvision:mobilenet_v3_small", 64),
        ("torchvision:googlenet", 64),
        ("timm:vit_tiny_patch16_224", 224),
        ("timm:efficientnet_lite0", 64),
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_proposals_can_be_used_as_they_are(architecture, size):
    network, x, stages = proposed(architecture, size)
    assert 6 <= len(stages) <= 10
    assert list(stages)[-1] == "final"
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in stages)
    assert len({name.lower() for name in stages}) == len(stages)
    found = describe(network, stages, x)
    torch.testing.assert_close(network(x).numel() // 2, found[-1].units)
    # In the order of the forward pass: none is inside or before an earlier one.
    order = []
    for path in stages.values():
        module = network.body.get_submodule(path)
        module.register_forward_hook(lambda m, i, o, p=path: order.append(p))
    network(x)
    assert order == list(stages.values())


def test_vgg_has_its_relus_thinned_evenly():
    _, _, stages = proposed("torchvision:vgg11", 48)
    paths = list(stages.values())
    assert paths[0] == "features.1"
    assert paths[-3:] == ["classifier.1", "classifier.4", "classifier.6"]
    assert len(paths) == 10


def test_a_vision_transformer_is_opened_to_its_blocks():
    network, x, stages = proposed("timm:vit_tiny_patch16_224", 224)
    assert next(iter(stages.values())) == "patch_embed"
    assert "blocks.11" in stages.values()
    assert stages["final"] == "head"
    assert {stage.gradient for stage in describe(network, stages, x)} == {"plain"}


def test_the_front_end_comes_first():
    front_end = {"kind": "cochleagram", "high": 4000.0, "filters": 10}
    entry = {
        "modality": "audio",
        "architecture": "metamers:SmallCochCNN",
        "arguments": {"classes": 3},
        "preprocessing": {"front_end": {**front_end, "sample_factor": 2}},
        "sample_rate": 8000,
        "duration": 0.6,
    }
    network = build_network(entry, 0).eval()
    stages = propose(network, 0.1 * torch.randn(2, 4800))
    assert list(stages) == ["front_end", "relu0", "relu1", "relu2", "relufc", "final"]


def test_functional_endings_and_awkward_names():
    class Awkward(nn.Module):
        def __init__(self):
            super().__init__()
            self.Stem = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU())
            self.stem = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU())
            self.unused = nn.ReLU()
            self.relu = nn.ReLU()
            self.linear = nn.Linear(3 * 12 * 12, 5)

        def forward(self, x):
            x = self.relu(self.relu(self.stem(self.Stem(x))))
            return functional.log_softmax(self.linear(x.flatten(1)), dim=1)

    network = Network(nn.Identity(), Awkward()).eval()
    stages = propose(network, torch.rand(2, 1, 16, 16))
    assert list(stages.values()) == ["Stem.1", "stem.1", "linear"]
    assert len({name.lower() for name in stages}) == 3
