"""AlexNetGN: its size, its weights' names, and its two heads."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from metamers.networks.alexnet_group_norm import AlexNetGN
from metamers.networks.network import Network, build_network, load_network
from metamers.networks.stages import StageForward, activations, check_stages, example

SHAPES = {
    "conv_block_1": (96, 55, 55),
    "conv_block_2": (256, 27, 27),
    "conv_block_3": (384, 13, 13),
    "conv_block_4": (384, 13, 13),
    "conv_block_5": (256, 13, 13),
    "avgpool": (256, 6, 6),
    "fc6": (4096,),
    "fc7": (4096,),
    "final": (1000,),
}
STAGES = {name: name for name in SHAPES}
SMALL = {
    "modality": "vision",
    "architecture": "metamers.networks.alexnet_group_norm:AlexNetGN",
    "arguments": {"classes": 7, "width": [8] * 5, "groups": 2, "hidden": 16},
    "preprocessing": {},
}
SMALL_IPCL = {**SMALL, "arguments": {**SMALL["arguments"], "embedding": 5}}


@pytest.fixture(params=[SMALL, SMALL_IPCL], ids=["supervised", "self-supervised"])
def entry(request):
    return request.param


@pytest.fixture
def small(entry):
    """Return a small network whose batch norm has seen images."""
    network = build_network(entry, seed=4)
    with torch.no_grad():
        network.train()(torch.cat([example(entry, (3, 64, 64))] * 2).cumsum(0) / 4)
    return network.eval().requires_grad_(False)


def convolution(inputs, outputs, kernel):
    return inputs * outputs * kernel**2 + 2 * outputs  # no bias, but a norm's two


def linear(inputs, outputs):
    return (inputs + 1) * outputs


SHARED = (
    convolution(3, 96, 11)
    + convolution(96, 256, 5)
    + convolution(256, 384, 3)
    + convolution(384, 384, 3)
    + convolution(384, 256, 3)
    + linear(256 * 36, 4096)
    + linear(4096, 4096)
    + 4 * 4096
)


@pytest.mark.parametrize(
    ("embedding", "heads"),
    [(None, linear(4096, 1000)), (128, linear(4096, 128) + linear(4096, 1000))],
)
def test_the_published_networks(embedding, heads):
    body = AlexNetGN(embedding=embedding).eval()
    assert sum(p.numel() for p in body.parameters()) == SHARED + heads
    keys = {f"conv_block_{k}.{part}" for k in range(1, 6) for part in ("0.weight",)}
    keys |= {f"conv_block_{k}.1.{p}" for k in range(1, 6) for p in ("weight", "bias")}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    for block in ("fc6", "fc7"):
        keys |= {f"{block}.{k}.{p}" for k in (0, 1) for p in ("weight", "bias")}
        keys |= {f"{block}.1.{part}" for part in statistics}
    keys |= {"fc8.0.weight", "fc8.0.bias"}
    if embedding:
        keys |= {"final.weight", "final.bias"}
    assert set(body.state_dict()) == keys
    network = Network(torch.nn.Identity(), body)
    with torch.no_grad():
        x = torch.rand(1, 3, 224, 224)
        found = activations(network, STAGES, x)
        assert body.embed(x).shape == (1, embedding or 1000)
    assert {name: tuple(value.shape[1:]) for name, value in found.items()} == SHAPES


def test_blocks_end_in_a_relu(entry):
    found = check_stages(entry, STAGES, (3, 64, 64))
    for stage in found:
        plain = stage.name in ("avgpool", "final")
        assert stage.gradient == ("plain" if plain else "straight_through"), stage.name
    assert found[0].shape == (8, 15, 15)
    assert found[-1].shape == (7,)


def test_forward_is_that_of_its_weights():
    network = build_network(SMALL, seed=4).eval().requires_grad_(False).double()
    state = network.body.state_dict()
    x = y = example(SMALL, (3, 70, 70)).double()
    for block, stride, padding, pool in (
        (1, 4, 2, True),
        (2, 1, 2, True),
        (3, 1, 1, False),
        (4, 1, 1, False),
        (5, 1, 1, True),
    ):
        name = f"conv_block_{block}"
        y = functional.conv2d(
            y, state[f"{name}.0.weight"], stride=stride, padding=padding
        )
        # Group norm: mean 0 and variance 1 over the channels and pixels of a group.
        groups = y.unflatten(1, (2, 4))
        mean = groups.mean((2, 3, 4), keepdim=True)
        variance = groups.var((2, 3, 4), keepdim=True, correction=0)
        y = ((groups - mean) / (variance + 1e-5).sqrt()).flatten(1, 2).clamp(min=0)
        y = functional.max_pool2d(y, 3, 2) if pool else y
    y = functional.adaptive_avg_pool2d(y, 6).flatten(1)
    for block in ("fc6", "fc7"):
        y = y @ state[f"{block}.0.weight"].T + state[f"{block}.0.bias"]
        y = (y / (1 + 1e-5) ** 0.5).clamp(min=0)
    expected = y @ state["fc8.0.weight"].T + state["fc8.0.bias"]
    torch.testing.assert_close(network(x), expected)


def test_the_read_out_does_not_pass_through_the_embedding():
    network = build_network(SMALL_IPCL, seed=4).eval().requires_grad_(False)
    x = example(SMALL_IPCL, (3, 64, 64))
    logits = network(x)
    embedded = network.body.embed(x)
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(2))
    hidden = StageForward(network, "fc7").inspect(x)
    torch.testing.assert_close(network.body.final(hidden), logits, rtol=0, atol=0)
    raw = network.body.fc8(hidden)
    cosine = functional.cosine_similarity(embedded, raw)
    torch.testing.assert_close(cosine, torch.ones(2))
    network.body.fc8[0].weight.add_(1.0)
    assert torch.equal(network(x), logits)
    assert not torch.allclose(network.body.embed(x), embedded)


def test_a_seed_gives_one_network_and_another_seed_another(entry):
    first, second, other = (build_network(entry, seed).body for seed in (4, 4, 5))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
    assert not torch.equal(first.fc6[0].weight, other.fc6[0].weight)


def test_evaluation_is_pure_and_gradients_are_finite(entry, small):
    state = {key: value.clone() for key, value in small.state_dict().items()}
    x = example(entry, (3, 64, 64))
    assert torch.equal(small(x), small(x))
    for key, value in small.state_dict().items():
        assert torch.equal(value, state[key])
    for path in STAGES.values():
        leaf = x.clone().requires_grad_()
        StageForward(small, path)(leaf).square().sum().backward()
        assert torch.isfinite(leaf.grad).all()
        assert (leaf.grad.flatten(1).norm(dim=1) > 0).all()


def test_both_precisions_agree_and_second_derivatives_exist(entry, small):
    x = example(entry, (3, 64, 64))
    single = small(x)
    leaf = x.double().requires_grad_()
    double = small.double()(leaf)
    torch.testing.assert_close(single, double.float(), rtol=1e-3, atol=1e-4)
    (gradient,) = torch.autograd.grad(double.square().sum(), leaf, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), leaf)
    assert torch.isfinite(second).all()
    assert second.any()


def test_weights_saved_in_parallel_are_loaded(entry, small, tmp_path):
    state = {f"module.{key}": value for key, value in small.body.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "ipcl.pth.tar")
    loaded = load_network(entry, tmp_path / "ipcl.pth.tar")
    x = example(entry, (3, 64, 64))
    assert torch.equal(loaded(x), small(x))
