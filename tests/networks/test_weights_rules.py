"""Files laid out as their publishers do are read by the rules of the registry."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from open_clip.model import CLIP
from safetensors.torch import save_file
from scipy.io import savemat
from torch import nn

from metamers.networks.alexnet_group_norm import AlexNetGN
from metamers.networks.checkpoints import load_checkpoint
from metamers.networks.clip import ClipResNet50, ClipViTB32
from metamers.networks.clip_head import make_zero_shot_head
from metamers.networks.cornet import CORnetS
from metamers.networks.hmax import HMAX
from metamers.networks.weights_registry import public_weights

CLASSES = ["tench", "goldfish", "great white shark"]


def rules(public):
    """Return an entry's rules as its card has them."""
    return public_weights(public).rules.model_dump(exclude_defaults=True)


def without(state, module):
    return {k: v for k, v in state.items() if not k.startswith(f"{module}.")}


def assert_loaded(fresh, state):
    loaded = fresh.state_dict()
    for key, value in state.items():
        assert torch.equal(loaded[key], value), key


def test_cornet_comes_from_a_parallel_module(tmp_path):
    small = {"classes": 3, "width": (2, 2, 4, 4), "scale": 2}
    trained, fresh = CORnetS(**small), CORnetS(**small)
    path = tmp_path / "cornet_s.pth"
    state = nn.DataParallel(trained).state_dict()
    torch.save({"state_dict": state, "epoch": 43, "optimizer": {}}, path)
    load_checkpoint(fresh, path, rules("cornet_s-1d3f7974"))
    assert_loaded(fresh, trained.state_dict())


def test_the_stylized_alexnet_has_parallel_features_only(tmp_path):
    trained = torchvision.models.alexnet(num_classes=2)
    state = dict(trained.state_dict())
    fresh = torchvision.models.alexnet(num_classes=2)
    trained.features = nn.DataParallel(trained.features)
    path = tmp_path / "alexnet.pth"
    torch.save({"arch": "alexnet", "state_dict": trained.state_dict()}, path)
    load_checkpoint(fresh, path, rules("stylized-alexnet-b4aa5238"))
    assert_loaded(fresh, state)


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_self_supervised_backbones_have_no_read_out(tmp_path, prefix):
    trained = torchvision.models.resnet50(num_classes=2)
    backbone = without(trained.state_dict(), "fc")
    path = tmp_path / "simclr.pth"
    state = {f"{prefix}{key}": value for key, value in backbone.items()}
    torch.save({"state_dict": state, "author": "OpenSelfSup"}, path)
    fresh = torchvision.models.resnet50(num_classes=2)
    found = rules("openselfsup-simclr")
    load_checkpoint(fresh, path, found, may_lack=found["lacks"])
    assert_loaded(fresh, backbone)


@pytest.mark.parametrize(
    ("public", "embedding"), [("ipcl-ref01", 5), ("ipcl-ref12", None)]
)
def test_the_group_normalized_alexnets_are_read(tmp_path, public, embedding):
    arguments = {"width": (4,) * 5, "groups": 2, "hidden": 6, "classes": 3}
    trained = AlexNetGN(**arguments, embedding=embedding)
    kept = without(trained.state_dict(), "final")
    path = tmp_path / "ipcl.pth"
    torch.save({"state_dict": {f"module.{k}": v for k, v in kept.items()}}, path)
    fresh, found = AlexNetGN(**arguments, embedding=embedding), rules(public)
    load_checkpoint(fresh, path, found, may_lack=found.get("lacks", ()))
    assert_loaded(fresh, kept)


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_a_clip_model_gives_tower_and_read_out(tmp_path, kind):
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1}
    vision = {"image_size": 32, "width": 64, "patch_size": 32, "layers": 2}
    small = {"image_size": 32, "width": 64, "layers": 2}
    architecture, public = ClipViTB32, "clip-vit-b-32"
    if kind == "resnet":
        vision = {"image_size": 32, "width": 8, "layers": [1, 1, 1, 1]}
        small, architecture, public = vision, ClipResNet50, "clip-resnet50"
    torch.manual_seed(0)
    whole = CLIP(24, vision, {**text, "layers": 1}, quick_gelu=True)
    path, head = tmp_path / f"{public}.safetensors", tmp_path / "head.safetensors"
    save_file(whole.state_dict(), path)
    make_zero_shot_head(path, head, class_names=CLASSES)
    fresh = architecture(classes=len(CLASSES), embedding=24, **small)
    load_checkpoint(fresh, path, rules(public), head=head)
    towers = {k: v for k, v in whole.state_dict().items() if k.startswith("visual.")}
    assert_loaded(fresh, towers)
    torch.testing.assert_close(fresh.head.weight.norm(dim=1), torch.ones(3))


def test_the_patches_of_hmax_are_read_from_their_own_format(tmp_path):
    generator = np.random.default_rng(0)
    cells = np.empty((1, 2), dtype=object)
    for number, size in enumerate((2, 3)):
        cells[0, number] = generator.random((size * size * 4, 5))
    shapes = np.array([[2, 2, 4, 5], [3, 3, 4, 5]]).T.astype(float)
    path = tmp_path / "patches.mat"
    savemat(path, {"patches": cells, "patchSizes": shapes})
    arguments = {"size": 40, "filter_sizes": 4, "patch_sizes": [2, 3], "patches": 5}
    fresh, found = HMAX(classes=3, **arguments), rules("hmax-universal-patches")
    initial = fresh.final.weight.detach().clone()
    load_checkpoint(fresh, path, found, may_lack=found["lacks"])
    assert torch.equal(fresh.final.weight, initial)
    for number, size in enumerate((2, 3)):
        loaded = fresh.state_dict()[f"s2_out_reshape_to_list.patches{number}"]
        columns = cells[0, number].reshape(size, size, 4, 5, order="F")
        expected = columns.transpose(3, 2, 0, 1).astype(np.float32)
        np.testing.assert_array_equal(loaded.numpy(), expected)
