"""CLIP's image encoders: open_clip's features, the study's stages, scaled logits."""

from __future__ import annotations

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from metamers.errors import StudyError
from metamers.networks.clip import ClipResNet50, ClipViTB32
from metamers.networks.network import build_network, load_network
from metamers.networks.stages import activations, describe

ARCHITECTURES = {"resnet": ClipResNet50, "vit": ClipViTB32}
SMALL = {
    "resnet": {"width": 8, "layers": [2, 1, 1, 2]},
    "vit": {"width": 128, "layers": 10},
}
EMBEDDING = 24
BLOCKS = "visual.transformer.resblocks"
STAGES = {
    "resnet": {
        "stem": "visual.avgpool",
        "layer1": "visual.layer1",
        "layer2": "visual.layer2",
        "layer3": "visual.layer3",
        "layer4": "visual.layer4",
        "attnpool": "visual.attnpool",
        "final": "final",
    },
    "vit": {
        "conv1": "visual.conv1",
        "class_embedding_cat": "class_embedding_cat",
        "ln_pre": "visual.ln_pre",
        "block_0": f"{BLOCKS}.0",
        "block_3": f"{BLOCKS}.3",
        "block_6": f"{BLOCKS}.6",
        "block_9": f"{BLOCKS}.9",
        "blocks_end": "visual.transformer",
        "final": "final",
    },
}
SHAPES = {
    "resnet": {
        "stem": (64, 56, 56),
        "layer1": (256, 56, 56),
        "layer2": (512, 28, 28),
        "layer3": (1024, 14, 14),
        "layer4": (2048, 7, 7),
        "attnpool": (1024,),
        "final": (1024,),
    },
    "vit": {
        "conv1": (768, 7, 7),
        **dict.fromkeys(list(STAGES["vit"])[1:-1], (50, 768)),
        "final": (512,),
    },
}
PUBLISHED = {"resnet": "RN50-quickgelu", "vit": "ViT-B-32-quickgelu"}


def entry_of(kind, **arguments):
    return {
        "modality": "vision",
        "architecture": f"metamers.networks.clip:{ARCHITECTURES[kind].__name__}",
        "arguments": arguments,
    }


def small_entry(kind, **arguments):
    sizes = {"classes": 9, "embedding": EMBEDDING, "image_size": 64}
    return entry_of(kind, **sizes, **SMALL[kind], **arguments)


def randomize(module):
    """Give every weight and running statistic a value of its own."""
    generator = torch.Generator().manual_seed(3)
    for key, value in module.state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        if value.ndim > 1:
            value.copy_(noise / value[0].numel() ** 0.5)
        elif key.endswith(("weight", "running_var")):
            value.copy_(1 + 0.2 * noise.abs())
        elif value.is_floating_point():
            value.copy_(0.2 * noise)
    return module.eval().requires_grad_(False)


@pytest.fixture(params=ARCHITECTURES)
def kind(request):
    return request.param


@pytest.fixture
def network(kind):
    return randomize(build_network(small_entry(kind), seed=1))


@pytest.fixture
def images():
    """Return images of 8 x 8 colored squares."""
    generator = torch.Generator().manual_seed(0)
    squares = torch.rand((3, 3, 8, 8), generator=generator)
    return squares.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)


def test_published_size_has_the_stages_of_the_study(kind):
    network = build_network(entry_of(kind), seed=0).eval().requires_grad_(False)
    image = torch.rand((1, 3, 224, 224), generator=torch.Generator().manual_seed(0))
    found = describe(network, STAGES[kind], image)
    assert {stage.name: stage.shape for stage in found} == SHAPES[kind]
    straight_through = [s.name for s in found if s.gradient == "straight_through"]
    # The stem's ReLU lies below its average pooling, so it keeps its true gradient.
    layers = ["layer1", "layer2", "layer3", "layer4"]
    assert straight_through == (layers if kind == "resnet" else [])
    assert network(image).shape == (1, 1000)
    assert {value.dtype for value in network.parameters()} == {torch.float32}


def test_weights_have_the_names_and_shapes_of_open_clips_model(kind):
    with torch.device("meta"):
        theirs = open_clip.CLIP(**open_clip.get_model_config(PUBLISHED[kind]))
        ours = ARCHITECTURES[kind]()
    expected = {
        key: value.shape
        for key, value in theirs.state_dict().items()
        if key.startswith("visual.")
    }
    found = {key: value.shape for key, value in ours.state_dict().items()}
    assert found.pop("head.weight") == (1000, theirs.text_projection.shape[1])
    assert found == expected


def test_feature_is_that_of_open_clips_whole_model(kind, network, images):
    sizes = {"image_size": 64, "patch_size": 32, **SMALL[kind]}
    theirs = open_clip.CLIP(
        EMBEDDING,
        open_clip.CLIPVisionCfg(**sizes),
        open_clip.CLIPTextCfg(vocab_size=10, width=64, heads=1, layers=1),
        quick_gelu=True,
    ).eval()
    theirs.visual.load_state_dict(network.body.visual.state_dict())
    with torch.no_grad():
        expected = theirs.encode_image(images, normalize=True)
        found = activations(network, {"final": "final"}, images)["final"]
    assert torch.equal(found, expected)
    assert (expected[0] - expected[1]).abs().max() > 1e-3


def test_logits_are_a_hundred_cosines(kind, network, images):
    final = activations(network, {"final": "final"}, images)["final"]
    weight = network.body.head.weight
    torch.testing.assert_close(final.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(network(images), 100 * final @ weight.T)
    weight[0] = final[1]
    assert network(images)[1, 0].item() == pytest.approx(100, abs=1e-3)


def test_attention_pool_and_final_are_two_stages(images):
    network = randomize(build_network(small_entry("resnet"), seed=1))
    paths = {name: STAGES["resnet"][name] for name in ("attnpool", "final")}
    found = activations(network, paths, images)
    norms = found["attnpool"].norm(dim=1, keepdim=True)
    assert ((norms - 1).abs() > 0.1).all()
    torch.testing.assert_close(found["final"], found["attnpool"] / norms)


def test_class_embedding_comes_before_positions(images):
    network = randomize(build_network(small_entry("vit"), seed=1))
    visual = network.body.visual
    found = activations(network, STAGES["vit"], images)
    tokens = found["class_embedding_cat"]
    assert torch.equal(tokens[:, 0], visual.class_embedding.expand(3, -1))
    # Patch (1, 0) of the 2 x 2 patches is token 3.
    assert torch.equal(tokens[:, 3], found["conv1"][:, :, 1, 0])
    expected = visual.ln_pre(tokens + visual.positional_embedding)
    assert torch.equal(found["ln_pre"], expected)
    assert torch.equal(found["block_9"], found["blocks_end"])


def test_every_stage_passes_a_gradient_to_the_image(kind, network, images):
    for name, path in STAGES[kind].items():
        x = images.clone().requires_grad_()
        activation = activations(network, {name: path}, x)[name]
        weights = torch.linspace(-1, 1, activation[0].numel())
        loss = (activation.flatten(1) @ weights).sum()
        (gradient,) = torch.autograd.grad(loss, x)
        assert gradient.isfinite().all()
        assert (gradient.abs().amax(dim=(1, 2, 3)) > 1e-6).all(), name


def test_building_and_running_are_deterministic(kind, images):
    first, second = (build_network(small_entry(kind), seed=5).eval() for _ in range(2))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    with torch.no_grad():
        assert torch.equal(first(images), second(images))
        assert torch.equal(first(images), first(images))


def test_images_of_a_batch_do_not_touch_each_other(network, images):
    network = network.double()
    images = images.double()
    together = network(images)
    for image, expected in zip(images, together, strict=True):
        torch.testing.assert_close(network(image[None])[0], expected)


def test_half_precision_weights_are_used_in_float32(kind, network, images, tmp_path):
    path = tmp_path / "weights.safetensors"
    state = {
        key: value.half() if value.is_floating_point() else value
        for key, value in network.body.state_dict().items()
    }
    save_file(state, path)
    loaded = load_network(small_entry(kind), path)
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    for key, value in loaded.body.state_dict().items():
        assert torch.equal(value, state[key].to(value.dtype)), key
    assert loaded(images).dtype == torch.float32


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("resnet", {"image_size": 50}, "image_size is 50.*multiple of 32"),
        ("vit", {"image_size": 0}, "image_size is 0.*multiple of 32"),
        ("resnet", {"width": 7}, "width is 7.*multiple of 2"),
        ("vit", {"width": 96}, "width is 96.*multiple of 64"),
        ("vit", {"layers": 0}, "layers is 0.*at least 1"),
        ("resnet", {"layers": [1, 1, 1]}, "number of blocks.*four layers"),
        ("resnet", {"layers": [1, 1, 1, 0]}, "number of blocks.*four layers"),
    ],
)
def test_impossible_sizes_are_refused(kind, arguments, message):
    with pytest.raises(StudyError, match=message):
        ARCHITECTURES[kind](**arguments)
