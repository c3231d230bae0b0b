"""Preprocessing, building by seed, and weights with every key accounted for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from metamers.errors import StudyError
from metamers.networks.network import (
    ImagePreprocessing,
    Network,
    SoundPreprocessing,
    build_network,
    load_network,
    save_weights,
)

ENTRY = {
    "modality": "vision",
    "architecture": "metamers:SmallResNet",
    "arguments": {"classes": 10, "channels": 1},
    "preprocessing": {
        "mean": [0.13],
        "std": [0.31],
        "resize": None,
        "channels": None,
        "front_end": None,
    },
}


@pytest.fixture
def images():
    return torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(3))


def test_images_are_clamped_repeated_and_normalized():
    layer = ImagePreprocessing([0.1, 0.2, 0.3], [0.5, 1.0, 2.0], channels=3)
    x = torch.tensor([-1.0, 0.4, 2.0]).view(1, 1, 1, 3)
    expected = torch.tensor(
        [[-0.2, 0.6, 1.8], [-0.2, 0.2, 0.8], [-0.15, 0.05, 0.35]]
    ).view(1, 3, 1, 3)
    torch.testing.assert_close(layer(x), expected)
    assert torch.equal(ImagePreprocessing()(x), x.clamp(0, 1))
    with pytest.raises(StudyError, match="2 channels and the network takes 3"):
        layer(torch.zeros(1, 2, 4, 4))


def test_colors_are_made_grey_as_pictures_are():
    from PIL import Image

    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (5, 7, 3), generator=generator, dtype=torch.uint8)
    grey = Image.fromarray(pixels.numpy()).convert("L")
    layer = ImagePreprocessing(std=[1 / 255], mean=[0.0], channels=1)
    found = layer(pixels.permute(2, 0, 1)[None].float() / 255)
    # The picture's grey values are rounded.
    expected = torch.from_numpy(np.array(grey, dtype=np.float32))[None, None]
    torch.testing.assert_close(found, expected, atol=0.51, rtol=0)
    with pytest.raises(StudyError, match="images of 3 channels be made grey"):
        layer(torch.zeros(1, 2, 4, 4))


@pytest.mark.parametrize("native", [False, True])
def test_metamers_have_the_shape_that_a_native_network_sees(images, native):
    layer = ImagePreprocessing(resize=20, channels=1, std=[2.0], native=native)
    network = Network(layer, nn.Flatten())
    colored = torch.cat([images, 0 * images, images], dim=1)
    optimized = network.as_optimized(colored)
    assert optimized.shape == ((4, 1, 20, 20) if native else colored.shape)
    # The network answers to them as it does to the natural stimuli.
    torch.testing.assert_close(network(optimized), network(colored))


def test_resizing_keeps_flat_images_averages_and_passes_gradients():
    layer = ImagePreprocessing(resize=8)
    flat = torch.full((1, 1, 32, 32), 0.25)
    torch.testing.assert_close(layer(flat), torch.full((1, 1, 8, 8), 0.25))
    # With antialiasing the finest stripes average out; without, they alias.
    stripes = torch.zeros(1, 1, 32, 32)
    stripes[..., ::2] = 1.0
    assert (layer(stripes)[..., 1:-1] - 0.5).abs().max() < 0.02
    x = torch.rand(1, 1, 6, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(ImagePreprocessing(resize=4), (x,))
    x = torch.rand(1, 1, 8, 8)
    assert torch.equal(layer(x), x)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": [0.1, 0.2], "channels": 3}, "mean has 2 values for 3 channels"),
        ({"std": [0.0]}, "std is .0.0.; it must be above 0"),
    ],
)
def test_wrong_preprocessing_is_refused(settings, message):
    with pytest.raises(StudyError, match=message):
        ImagePreprocessing(**settings)


def test_sounds_are_clamped_before_the_front_end():
    x = torch.tensor([[-3.0, 0.5, 1.5]])
    assert SoundPreprocessing(None)(x).tolist() == [[-1.0, 0.5, 1.0]]
    assert SoundPreprocessing(nn.Softplus())(x).equal(
        nn.Softplus()(torch.tensor([[-1.0, 0.5, 1.0]]))
    )


def test_the_front_end_takes_its_settings_from_the_entry():
    front_end = {
        "kind": "cochleagram",
        "low": 50.0,
        "high": 4000.0,
        "filters": 10,
        "sample_factor": 2,
    }
    entry = {
        "modality": "audio",
        "architecture": "torch.nn:Identity",
        "arguments": {},
        "preprocessing": {"front_end": front_end},
        "sample_rate": 8000,
        "duration": 0.6,
    }
    network = build_network(entry, 0)
    assert network(torch.zeros(2, 4800)).shape == (2, 1, 25, 110)
    assert network.state_dict() == {}


def test_a_seed_fixes_the_weights_and_leaves_the_global_stream_alone(images):
    before = torch.random.get_rng_state()
    first, again, other = (build_network(ENTRY, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first.body.conv1.weight, other.body.conv1.weight)
    assert first.eval()(images).equal(again.eval()(images))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arguments": {"clases": 10}}, "clases.*did you mean 'classes'"),
        ({"arguments": {}}, "missing a required argument: 'classes'.*it takes classes"),
        (
            {"architecture": "timm:resnet10t", "arguments": {"clases": 3}},
            "cannot be built with arguments.*clases",
        ),
        (
            {"architecture": "builtins:dict", "arguments": {}},
            "made a dict, not a torch module",
        ),
    ],
)
def test_wrong_arguments_are_refused(changes, message):
    with pytest.raises(StudyError, match=message):
        build_network({**ENTRY, **changes}, 0)


def changed_network():
    network = build_network(ENTRY, 5)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.add_(0.3)
    return network.eval()


def test_saved_weights_come_back_exactly(tmp_path, images):
    network = changed_network()
    path = tmp_path / "weights.safetensors"
    save_weights(network, path, {"provenance": "{}"})
    loaded = load_network(ENTRY, path, "cpu")
    assert loaded(images).equal(network(images))
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"provenance": "{}"}
        assert set(file.keys()) == set(network.state_dict())
        assert all(key.startswith("body.") for key in file.keys())  # noqa: SIM118


@pytest.mark.parametrize("form", ["plain", "nested", "parallel"])
def test_published_state_dicts_are_read(tmp_path, images, form):
    network = changed_network()
    state = network.body.state_dict()
    if form == "parallel":
        state = {f"module.{key}": value for key, value in state.items()}
    content = {"state_dict": state, "epoch": 3} if form == "nested" else state
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    assert load_network(ENTRY, path)(images).equal(network(images))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": nn.Linear(1, 1)}, path)
    with pytest.raises(StudyError, match="not a plain file of weights"):
        load_network(ENTRY, path)


def test_every_key_is_accounted_for(tmp_path):
    state = dict(changed_network().state_dict())
    state["body.extra"] = torch.zeros(1)
    del state["body.conv1.weight"]
    state["body.final.weight"] = torch.zeros(9, 48)
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    with pytest.raises(StudyError) as caught:
        load_network(ENTRY, path)
    text = str(caught.value)
    assert "missing: conv1.weight (1)" in text
    assert "not in the network: extra (1)" in text
    assert "of another shape: final.weight (9, 48) for (10, 48) (1)" in text
    with pytest.raises(StudyError, match="no weights at"):
        load_network(ENTRY, tmp_path / "nothing.safetensors")


def test_counters_of_batch_norm_may_be_missing(tmp_path, images):
    network = changed_network()
    state = {
        key: value
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    assert load_network(ENTRY, path)(images).equal(network(images))
