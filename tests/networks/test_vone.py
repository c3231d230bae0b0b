"""The V1 block and VOneAlexNet: their filters, their noise, and their size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional

from metamers.errors import StudyError
from metamers.networks import vone
from metamers.networks.network import (
    Network,
    build_network,
    load_network,
    save_weights,
)
from metamers.networks.stages import StageForward, activations, check_stages, example
from metamers.networks.vone import Gabors, VOneBlock, gabor_kernels, sample_gabors
from metamers.networks.vone_alexnet import VOneAlexNet
from metamers.randomness import numpy_generator

SHAPES = {
    "v1_output": (512, 56, 56),
    "relu1": (192, 28, 28),
    "relu2": (384, 14, 14),
    "relu3": (256, 14, 14),
    "relu4": (256, 14, 14),
    "fc0_relu": (4096,),
    "fc1_relu": (4096,),
    "final": (1000,),
}
STAGES = {name: name for name in SHAPES}
SMALL = {
    "modality": "vision",
    "architecture": "metamers.networks.vone_alexnet:VOneAlexNet",
    "arguments": {
        "classes": 7,
        "size": 64,
        "degrees": 64 / 28,
        "simple_channels": 6,
        "complex_channels": 5,
        "bottleneck": 4,
        "width": [5, 6, 5, 4],
        "hidden": 16,
    },
    "preprocessing": {},
}
COUNT = 40_000


@pytest.fixture
def small():
    return build_network(SMALL, seed=4).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def gabors():
    return sample_gabors(COUNT, seed=3)


def assert_counts(values, edges, counts):
    """Compare a sample with a histogram, within five standard deviations."""
    found, _ = np.histogram(values, edges)
    assert found.sum() == len(values)
    expected = np.asarray(counts) / np.sum(counts)
    error = np.sqrt(expected * (1 - expected) / len(values))
    assert (abs(found / len(values) - expected) <= 5 * error + 1e-12).all()


# ------------------------------------------------------------------ the neurons


def test_parameters_follow_the_recorded_neurons(gabors):
    orientation = np.rad2deg(gabors.orientation)
    assert orientation.min() >= 0
    assert orientation.max() < 180
    shifted = np.where(orientation >= 157.5, orientation - 180, orientation)
    assert_counts(shifted, vone.ORIENTATION_EDGES, [66, 49, 77, 54])
    # The bin from 5.6 to 8 cycles a degree passes the maximum of 6.
    frequencies = [0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6]
    assert_counts(gabors.frequency, frequencies, [4, 4, 8, 25, 32, 26, 28])
    assert_counts(gabors.phase, np.linspace(0, 2 * np.pi, 9), [1] * 8)
    joint, _, _ = np.histogram2d(
        gabors.across, gabors.along, [vone.SIZE_EDGES, vone.SIZE_EDGES]
    )
    expected = vone.SIZE_COUNTS / vone.SIZE_COUNTS.sum()
    error = np.sqrt(expected * (1 - expected) / COUNT)
    assert (abs(joint / COUNT - expected) <= 5 * error + 1e-12).all()
    assert vone.SIZE_COUNTS.sum(1).tolist() == [3, 22, 42, 12, 0]
    assert vone.SIZE_COUNTS.sum(0).tolist() == [11, 11, 25, 25, 7]
    assert vone.SIZE_EDGES[[0, -1]] == pytest.approx([0.1, 10**0.2])


@pytest.mark.parametrize("correlation", [0.0, 0.75])
def test_frequency_and_width_are_correlated_as_asked(correlation):
    gabors = sample_gabors(COUNT, 1, correlation)
    found = spearmanr(gabors.frequency, gabors.across).statistic
    # Spearman's correlation of two normal variables.
    expected = 6 / math.pi * math.asin(correlation / 2)
    assert found == pytest.approx(expected, abs=5 / math.sqrt(COUNT))


def test_a_seed_means_the_same_neurons_as_in_vonenet():
    found = sample_gabors(5, seed=0)
    # The first numbers of MT19937 with seed 0 are the phases, the next orientations.
    phase = [0.5488135, 0.71518937, 0.60276338, 0.54488318, 0.4236548]
    assert found.phase / (2 * math.pi) == pytest.approx(phase, abs=1e-8)
    uniform = np.array([0.64589411, 0.43758721, 0.891773, 0.96366276, 0.38344152])
    cumulative = np.array([0, 66, 115, 192, 246]) / 246
    degrees = np.interp(uniform, cumulative, vone.ORIENTATION_EDGES) % 180
    assert np.rad2deg(found.orientation) == pytest.approx(degrees, abs=1e-5)


def test_drawing_leaves_the_global_generators_alone():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    VOneBlock(size=32, simple_channels=2, complex_channels=2)
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_bounds_of_frequency():
    gabors = sample_gabors(500, 0, frequencies=(1.0, 3.0))
    assert gabors.frequency.min() >= 1.0
    assert gabors.frequency.max() <= 2.8
    with pytest.raises(StudyError, match=r"no bin .* \[6.0, 7.0\] cycles a degree"):
        sample_gabors(5, 0, frequencies=(6.0, 7.0))


# ------------------------------------------------------------------ the filters


def one_gabor(**changes):
    values = {
        "frequency": 4.0,
        "orientation": 0.3,
        "phase": 0.0,
        "across": 0.7,
        "along": 0.9,
    }
    return Gabors(**{k: np.array([changes.get(k, v)]) for k, v in values.items()})


def test_kernel_at_its_center_and_its_symmetries():
    kernel = gabor_kernels(one_gabor(), 41, pixels_per_degree=28)[0]
    period = 28 / 4.0
    peak = 1 / (2 * math.pi * 0.7 * period * 0.9 * period)
    assert kernel[20, 20] == pytest.approx(peak)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1])
    odd = gabor_kernels(one_gabor(), 41, 28, shift=math.pi / 2)[0]
    np.testing.assert_allclose(odd, -odd[::-1, ::-1], atol=1e-15)
    shifted = gabor_kernels(one_gabor(phase=math.pi / 2), 41, 28)[0]
    np.testing.assert_allclose(odd, shifted)


@pytest.mark.parametrize("degrees", [0, 30, 90, 150])
def test_kernel_is_tuned_to_its_frequency_and_orientation(degrees):
    angle = math.radians(degrees)
    gabor = one_gabor(orientation=angle, across=1.5, along=1.5)
    kernel = gabor_kernels(gabor, 101, pixels_per_degree=28)[0]
    spectrum = abs(np.fft.fft2(kernel, (560, 560)))
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    # Horizontal stripes vary along rows.
    found = np.fft.fftfreq(560)[[row, column]]
    expected = 4 / 28 * np.array([math.cos(angle), math.sin(angle)])
    assert min(abs(found - expected).max(), abs(found + expected).max()) < 2 / 560
    along_envelope = np.abs(gabor_kernels(one_gabor(frequency=1e-9), 9, 28)[0])
    assert along_envelope.std() / along_envelope.mean() < 1e-6


def full_filters(block, channels, degrees, seed=0):
    """Write out every filter on all colors, in the order of the cells."""
    simple, complex_ = block.cells
    gabors = sample_gabors(simple + complex_, seed)
    shape = block.filters.shape[-1], block.size / degrees
    first = gabor_kernels(gabors, *shape)
    second = gabor_kernels(gabors, *shape, shift=math.pi / 2)[simple:]
    kernels = np.concatenate([first, second])
    colors = numpy_generator(seed, "V1 colors").integers(channels, size=len(kernels))
    filters = np.zeros((len(kernels), channels, *kernels.shape[1:]))
    for filter_, kernel, color in zip(filters, kernels, colors, strict=True):
        filter_[color] = kernel
    return torch.from_numpy(filters).split([simple, complex_, complex_])


@pytest.mark.parametrize("cells", [(6, 5), (1, 1), (0, 3), (3, 0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_responses_of_simple_and_complex_cells(cells, channels):
    block = VOneBlock(channels, 40, *cells, degrees=40 / 28).double()
    x = torch.rand(2, channels, 40, 40, dtype=torch.float64)
    patches = functional.unfold(x, 25, padding=12, stride=4).unflatten(2, (10, 10))
    q0, first, second = (
        torch.einsum("fp,nprc->nfrc", filters.flatten(1), patches)
        for filters in full_filters(block, channels, 40 / 28)
    )
    expected = 25 * torch.cat(
        [q0.clamp(min=0), (1e-5 + first**2 + second**2).sqrt() / math.sqrt(2)], dim=1
    )
    found = block.responses(x)
    assert found.shape == (2, sum(cells), 10, 10)
    # The filters are kept in single precision.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_gradient_is_finite_where_all_filters_are_silent():
    block = VOneBlock(size=32, simple_channels=4, complex_channels=4, degrees=1.0)
    x = torch.zeros(1, 3, 32, 32, requires_grad=True)
    block.responses(x).sum().backward()
    assert torch.isfinite(x.grad).all()


# ------------------------------------------------------------------ the noise


def test_noise_in_evaluation_is_one_tensor_for_all_stimuli():
    x = torch.rand(3, 3, 64, 64)
    blocks = [
        VOneBlock(
            size=64, simple_channels=6, complex_channels=5, noise_seed=seed
        ).eval()
        for seed in (0, 0, 1)
    ]
    noise = blocks[0].noise
    assert noise.shape == (1, 11, 16, 16)
    assert torch.equal(noise, blocks[1].noise)
    assert not torch.equal(noise, blocks[2].noise)
    assert torch.equal(blocks[0].filters, blocks[2].filters)
    added = blocks[0](x) - blocks[0].responses(x)
    torch.testing.assert_close(
        added, 4 * noise.expand(3, -1, -1, -1), atol=1e-5, rtol=0
    )


def test_noise_in_training_is_new_for_every_stimulus():
    block = VOneBlock(size=64, simple_channels=20, complex_channels=20).train()
    x = torch.rand(2, 3, 64, 64)
    fixed = block.noise.clone()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        added = torch.cat([block(x) - block.responses(x) for _ in range(2)])
    count = added[0].numel()
    for first in range(4):
        assert added[first].std().item() == pytest.approx(4, abs=20 / math.sqrt(count))
        assert abs(added[first].mean().item()) < 20 / math.sqrt(count)
        for second in range(first):
            pair = torch.stack([added[first].flatten(), added[second].flatten()])
            assert abs(torch.corrcoef(pair)[0, 1]) < 5 / math.sqrt(count)
    assert torch.equal(block.noise, fixed)


def test_what_does_not_fit_is_refused():
    with pytest.raises(StudyError, match="kernel of V1 filters is 24; it must be odd"):
        VOneBlock(kernel=24, simple_channels=1, complex_channels=1)
    block = VOneBlock(size=32, simple_channels=1, complex_channels=1)
    with pytest.raises(StudyError, match="32 x 32 pixels and gets 40 x 32; set the"):
        block(torch.rand(1, 3, 40, 32))


# ------------------------------------------------------------------ the network


def test_the_default_is_the_published_network():
    body = VOneAlexNet().eval()
    parameters = (
        512 * 64
        + (64 * 25 + 1) * 192
        + (192 * 9 + 1) * 384
        + (384 * 9 + 1) * 256
        + (256 * 9 + 1) * 256
        + (12544 + 1) * 4096
        + (4096 + 1) * 4096
        + (4096 + 1) * 1000
    )
    assert sum(p.numel() for p in body.parameters()) == parameters == 74_741_800
    assert body.v1.filters.shape == (768, 1, 25, 25)
    assert not body.v1.filters.requires_grad
    assert body.v1.noise.shape == (1, 512, 56, 56)
    # Each color gets its third, within five standard deviations.
    assert np.array(body.v1.per_color) == pytest.approx(256, abs=5 * 13.1)
    filters = body.v1.filters.index_select(0, body.v1.order)[:, 0]
    expected = torch.cat(full_filters(body.v1, 3, degrees=8)).sum(1).float()
    torch.testing.assert_close(filters, expected, rtol=1e-6, atol=1e-8)
    assert torch.equal(VOneBlock().filters, body.v1.filters)
    with torch.no_grad():
        network = Network(nn.Identity(), body)
        found = activations(network, STAGES, torch.rand(1, 3, 224, 224))
    assert {name: tuple(value.shape[1:]) for name, value in found.items()} == SHAPES
    # Some cells are silenced by the noise and most are not.
    assert 0.2 < (found["v1_output"] == 0).float().mean() < 0.6


def test_v1_output_may_keep_its_own_gradient():
    allowed = check_stages(SMALL, STAGES, (3, 64, 64))
    wanted = check_stages(SMALL, STAGES, (3, 64, 64), {"v1_output": False})
    for found, first in ((allowed, "straight_through"), (wanted, "plain")):
        gradients = {stage.name: stage.gradient for stage in found}
        assert gradients.pop("v1_output") == first
        assert gradients.pop("final") == "plain"
        assert set(gradients.values()) == {"straight_through"}
    assert wanted[0].shape == (11, 16, 16)


def test_forward_is_that_of_its_weights(small):
    body = small.double().body
    x = example(SMALL, (3, 64, 64)).double()

    def convolved(x, name, **options):
        layer = body.get_submodule(name)
        return functional.conv2d(x, layer.weight, layer.bias, **options)

    y = (body.v1.responses(x) + 4 * body.v1.noise).clamp(min=0)
    y = convolved(y, "bottleneck")
    y = convolved(y, "conv1", stride=2, padding=2).clamp(min=0)
    y = functional.max_pool2d(y, 3, 2, padding=1)
    for name in ("conv2", "conv3", "conv4"):
        y = convolved(y, name, padding=1).clamp(min=0)
    y = functional.max_pool2d(y, 3, 2, padding=1)
    y = functional.adaptive_avg_pool2d(y, 7).flatten(1)
    for name in ("fc0", "fc1"):
        layer = body.get_submodule(name)
        y = (y @ layer.weight.T + layer.bias).clamp(min=0)
    torch.testing.assert_close(small(x), y @ body.final.weight.T + body.final.bias)


def test_builds_with_one_seed_agree():
    first, second, other = (build_network(SMALL, seed).body for seed in (4, 4, 5))
    for one, two in (
        (first.named_parameters(), second.named_parameters()),
        (first.named_buffers(), second.named_buffers()),
    ):
        two = dict(two)
        for name, tensor in one:
            assert torch.equal(tensor, two[name])
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
    # The seed of the weights is not that of the neurons.
    assert torch.equal(first.v1.filters, other.v1.filters)
    assert torch.equal(first.v1.noise, other.v1.noise)


def test_evaluation_is_pure_and_gradients_are_finite(small):
    buffers = {name: value.clone() for name, value in small.named_buffers()}
    x = example(SMALL, (3, 64, 64))
    assert torch.equal(small(x), small(x))
    for path in STAGES.values():
        leaf = x.clone().requires_grad_()
        StageForward(small, path)(leaf).square().sum().backward()
        assert torch.isfinite(leaf.grad).all()
        assert (leaf.grad.flatten(1).norm(dim=1) > 0).all()
    for name, value in small.named_buffers():
        assert torch.equal(value, buffers[name])


def test_training_draws_noise_and_returns_to_the_fixed_one(small):
    x = example(SMALL, (3, 64, 64))
    before = small(x)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small.train()
        first, second = (StageForward(small, "relu1")(x) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(small.eval()(x), before)


def test_both_precisions_agree_and_second_derivatives_exist(small):
    x = example(SMALL, (3, 64, 64))
    single = small(x)
    leaf = x.double().requires_grad_()
    double = small.double()(leaf)
    torch.testing.assert_close(single, double.float(), rtol=1e-3, atol=1e-4)
    (gradient,) = torch.autograd.grad(double.square().sum(), leaf, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), leaf)
    assert torch.isfinite(second).all()
    assert second.any()


def test_weights_hold_the_filters_and_not_the_noise(small, tmp_path):
    assert "v1.filters" in small.body.state_dict()
    assert "v1.noise" not in small.body.state_dict()
    save_weights(small, tmp_path / "weights.safetensors")
    loaded = load_network(SMALL, tmp_path / "weights.safetensors")
    x = example(SMALL, (3, 64, 64))
    assert torch.equal(loaded(x), small(x))
