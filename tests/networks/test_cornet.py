"""CORnet-S: its size, its weights' names, and what its recurrent blocks compute."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from metamers.networks.cornet import CORnetBlock, CORnetS
from metamers.networks.network import Network, build_network, load_network
from metamers.networks.relu import straight_through_relu
from metamers.networks.stages import StageForward, activations, check_stages, example

STAGES = {"V1": "V1", "V2": "V2", "V4": "V4", "IT": "IT", "final": "decoder"}
SMALL = {
    "modality": "vision",
    "architecture": "metamers.networks.cornet:CORnetS",
    "arguments": {"classes": 7, "width": [4, 6, 8, 10], "scale": 2},
    "preprocessing": {},
}


@pytest.fixture
def small():
    """Return a small network whose batch norm has seen images."""
    network = build_network(SMALL, seed=4)
    with torch.no_grad():
        network.train()(example(SMALL, (3, 64, 64)).repeat(3, 1, 1, 1))
    return network.eval().requires_grad_(False)


def expected_keys():
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys = {"V1.conv1.weight", "V1.conv2.weight"}
    keys |= {"decoder.linear.weight", "decoder.linear.bias"}
    norms = ["V1.norm1", "V1.norm2"]
    for area, times in (("V2", 2), ("V4", 4), ("IT", 2)):
        for convolution in ("conv_input", "skip", "conv1", "conv2", "conv3"):
            keys.add(f"{area}.{convolution}.weight")
        norms.append(f"{area}.norm_skip")
        norms += [f"{area}.norm{k}_{t}" for k in (1, 2, 3) for t in range(times)]
    return keys | {f"{name}.{part}" for name in norms for part in norm}


def test_the_default_is_the_published_network():
    body = CORnetS().eval()
    assert sum(p.numel() for p in body.parameters()) == 53_416_616
    assert set(body.state_dict()) == expected_keys()
    network = Network(torch.nn.Identity(), body)
    with torch.no_grad():
        found = activations(network, STAGES, torch.rand(1, 3, 224, 224))
    assert {name: tuple(value.shape[1:]) for name, value in found.items()} == {
        "V1": (64, 56, 56),
        "V2": (128, 28, 28),
        "V4": (256, 14, 14),
        "IT": (512, 7, 7),
        "final": (1000,),
    }


def test_areas_end_in_a_relu_and_run_once():
    found = check_stages(SMALL, STAGES, (3, 64, 64))
    assert {stage.name: stage.gradient for stage in found} == {
        "V1": "straight_through",
        "V2": "straight_through",
        "V4": "straight_through",
        "IT": "straight_through",
        "final": "plain",
    }
    assert [stage.shape for stage in found] == [
        (4, 16, 16),
        (6, 8, 8),
        (8, 4, 4),
        (10, 2, 2),
        (7,),
    ]


def by_hand(state, x, times, last):
    """Compute a block from its weights; `last` is the ReLU of the last time."""

    def normalized(x, name):
        return functional.batch_norm(
            x,
            *(state[f"{name}.{part}"] for part in ("running_mean", "running_var")),
            *(state[f"{name}.{part}"] for part in ("weight", "bias")),
        )

    x = functional.conv2d(x, state["conv_input.weight"])
    skip = functional.conv2d(x, state["skip.weight"], stride=2)
    skip = normalized(skip, "norm_skip")
    for time in range(times):
        y = normalized(functional.conv2d(x, state["conv1.weight"]), f"norm1_{time}")
        y = torch.where(y > 0, y, 0.0)
        stride = 2 if time == 0 else 1
        y = functional.conv2d(y, state["conv2.weight"], stride=stride, padding=1)
        y = normalized(y, f"norm2_{time}")
        y = functional.conv2d(torch.where(y > 0, y, 0.0), state["conv3.weight"])
        z = normalized(y, f"norm3_{time}") + skip
        x = skip = last(z) if time == times - 1 else torch.where(z > 0, z, 0.0)
    return x


@pytest.mark.parametrize("times", [1, 2, 4])
def test_block_is_recurrent_and_straight_through_at_its_last_time_only(times):
    generator = torch.Generator().manual_seed(2)
    block = CORnetBlock(3, 5, times=times, scale=2).double().eval()
    for buffer in block.buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    for parameter in block.parameters():
        parameter.data.normal_(generator=generator)
    block.requires_grad_(False)
    x = torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    network = Network(torch.nn.Identity(), torch.nn.Sequential(block))
    stage = StageForward(network, "0")
    assert stage.inspect(x).shape == (2, 5, 4, 4)
    assert stage.gradient == "straight_through"
    state = block.state_dict()
    weight = torch.randn(2, 5, 4, 4, generator=generator, dtype=torch.float64)

    def of(function):
        leaf = x.clone().requires_grad_()
        output = function(leaf)
        return output, torch.autograd.grad((output * weight).sum(), leaf)[0]

    expected = of(lambda x: by_hand(state, x, times, straight_through_relu))
    for found, wanted in zip(of(stage), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    plain = of(lambda x: by_hand(state, x, times, lambda z: z.clamp(min=0)))
    torch.testing.assert_close(of(block)[1], plain[1])
    assert not torch.allclose(plain[1], expected[1])


def test_a_seed_gives_one_network_and_another_seed_another():
    first, second, other = (build_network(SMALL, seed).body for seed in (4, 4, 5))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
    assert not torch.equal(first.V1.conv1.weight, other.V1.conv1.weight)


def test_evaluation_is_pure_and_gradients_are_finite(small):
    state = {key: value.clone() for key, value in small.state_dict().items()}
    x = example(SMALL, (3, 64, 64))
    assert torch.equal(small(x), small(x))
    for key, value in small.state_dict().items():
        assert torch.equal(value, state[key])
    for path in STAGES.values():
        leaf = x.clone().requires_grad_()
        StageForward(small, path)(leaf).square().sum().backward()
        assert torch.isfinite(leaf.grad).all()
        assert (leaf.grad.flatten(1).norm(dim=1) > 0).all()


def test_both_precisions_agree_and_second_derivatives_exist(small):
    x = example(SMALL, (3, 64, 64))
    single = small(x)
    leaf = x.double().requires_grad_()
    double = small.double()(leaf)
    torch.testing.assert_close(single, double.float(), rtol=1e-3, atol=1e-3)
    (gradient,) = torch.autograd.grad(double.square().sum(), leaf, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), leaf)
    assert torch.isfinite(second).all()
    assert second.any()


def test_weights_saved_in_parallel_are_loaded(small, tmp_path):
    state = {f"module.{key}": value for key, value in small.body.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "cornet_s.pth")
    loaded = load_network(SMALL, tmp_path / "cornet_s.pth")
    x = example(SMALL, (3, 64, 64))
    assert torch.equal(loaded(x), small(x))
