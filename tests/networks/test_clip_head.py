"""The zero-shot read-out: its algebra, open_clip's own as the oracle, its file."""

from __future__ import annotations

import json
import math

import open_clip
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from metamers.errors import StudyError
from metamers.networks.clip import ClipViTB32
from metamers.networks.clip_head import (
    embed_class_names,
    make_zero_shot_head,
    read_head,
    write_head,
    zero_shot_head,
)

NAMES = ["tench", "crane bird", "hen", "Bernese Mountain Dog", "ice cream"]
TEMPLATES = open_clip.OPENAI_IMAGENET_TEMPLATES[:7]


@pytest.fixture(scope="module")
def model():
    """Return a small CLIP model with the whole vocabulary."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(2)
        made = open_clip.CLIP(
            24,
            open_clip.CLIPVisionCfg(
                layers=1, width=64, head_width=64, patch_size=32, image_size=32
            ),
            open_clip.CLIPTextCfg(width=128, heads=2, layers=3),
            quick_gelu=True,
        )
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def weights(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "open_clip_model.safetensors"
    save_file(model.state_dict(), path)
    return path


def test_head_of_a_known_case():
    # Two classes of two sentences in the plane: the mean of unit vectors, normalised.
    embeddings = torch.tensor([[[3.0, 0.0], [0.0, 5.0]], [[0.0, -2.0], [0.0, -7.0]]])
    half = math.sqrt(0.5)
    expected = torch.tensor([[half, half], [0.0, -1.0]])
    torch.testing.assert_close(zero_shot_head(embeddings), expected)


def test_head_does_not_depend_on_the_length_of_embeddings():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn((6, 5, 8), generator=generator)
    lengths = 0.1 + 10 * torch.rand((6, 5, 1), generator=generator)
    head = zero_shot_head(embeddings)
    torch.testing.assert_close(head.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(zero_shot_head(embeddings * lengths), head)
    # The mean is of unit vectors, so long embeddings weigh no more than short ones.
    plain = torch.nn.functional.normalize((embeddings * lengths).mean(dim=1), dim=-1)
    assert (plain - head).abs().max() > 0.1


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_embeddings_without_a_direction_are_refused(value):
    embeddings = torch.ones((2, 3, 4))
    embeddings[1, 2] = value
    with pytest.raises(StudyError, match="zero or not finite"):
        zero_shot_head(embeddings)


def test_head_is_that_of_open_clip(model, weights):
    expected = open_clip.build_zero_shot_classifier(
        model, open_clip.get_tokenizer("RN50-quickgelu"), NAMES, TEMPLATES
    ).T
    batches = list(embed_class_names(weights, NAMES, TEMPLATES, classes_per_batch=2))
    assert [batch.shape for batch in batches] == [(2, 7, 24), (2, 7, 24), (1, 7, 24)]
    head = torch.cat([zero_shot_head(batch) for batch in batches])
    torch.testing.assert_close(head, expected, atol=1e-6, rtol=0)
    assert (expected[0] - expected[1]).abs().max() > 1e-3


def test_batches_and_a_longer_neighbor_do_not_matter(weights):
    alone = torch.cat(list(embed_class_names(weights, NAMES[:1], TEMPLATES)))
    together = torch.cat(list(embed_class_names(weights, NAMES, TEMPLATES)))
    torch.testing.assert_close(alone[0], together[0], atol=1e-6, rtol=1e-5)


def test_class_names_and_sentences_are_imagenets(weights):
    batch = next(embed_class_names(weights, classes_per_batch=1))
    assert batch.shape == (1, 80, 24)
    assert len(open_clip.IMAGENET_CLASSNAMES) == 1000


def test_head_file_fits_the_network(weights, tmp_path):
    path = tmp_path / "head.safetensors"
    make_zero_shot_head(
        weights,
        path,
        "cpu",
        {"provenance": "{}"},
        class_names=NAMES,
        templates=TEMPLATES,
    )
    expected = torch.cat(
        [zero_shot_head(b) for b in embed_class_names(weights, NAMES, TEMPLATES)]
    )
    assert torch.equal(read_head(path), expected)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    source = json.loads(metadata["zero_shot"])
    assert metadata["provenance"] == "{}"
    assert (source["classes"], source["templates"]) == (5, 7)
    assert len(source["weights_sha256"]) == 64
    network = ClipViTB32(classes=5, embedding=24, image_size=32, width=64, layers=1)
    state = network.state_dict() | {"head.weight": read_head(path)}
    network.load_state_dict(state)
    assert torch.equal(network.head.weight, expected)


def test_head_is_written_in_float32_and_repeats_to_the_byte(tmp_path):
    head = torch.randn((4, 3), generator=torch.Generator().manual_seed(1)).double()
    for name in ("one", "two"):
        write_head(head.T.contiguous().T, tmp_path / f"{name}.safetensors", {"a": "b"})
    one, two = (tmp_path / f"{name}.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert torch.equal(read_head(one), head.float())


def test_files_that_do_not_fit_are_refused(model, weights, tmp_path):
    image_only = tmp_path / "image.safetensors"
    save_file(model.visual.state_dict(prefix="visual."), image_only)
    with pytest.raises(StudyError, match=r"no text tower.*whole model"):
        next(embed_class_names(image_only, NAMES, TEMPLATES))
    pickled = tmp_path / "model.pt"
    torch.save(model.state_dict(), pickled)
    with pytest.raises(StudyError, match="not a safetensors file"):
        next(embed_class_names(pickled, NAMES, TEMPLATES))
    with pytest.raises(StudyError, match="no file"):
        next(embed_class_names(tmp_path / "absent.safetensors", NAMES, TEMPLATES))
    broken = tmp_path / "broken.safetensors"
    state = dict(model.state_dict())
    del state["ln_final.bias"]
    save_file(state, broken)
    with pytest.raises(StudyError, match=r"do not fit.*ln_final\.bias"):
        next(embed_class_names(broken, NAMES, TEMPLATES))
    with pytest.raises(StudyError, match=r"a read-out is one tensor head\.weight"):
        read_head(weights)


def test_a_sentence_longer_than_the_tower_reads_is_refused(model, tmp_path):
    state = dict(model.state_dict())
    state["positional_embedding"] = state["positional_embedding"][:6].clone()
    path = tmp_path / "short.safetensors"
    save_file(state, path)
    with pytest.raises(StudyError, match="tokens and the text tower reads 6"):
        next(embed_class_names(path, NAMES, TEMPLATES))
