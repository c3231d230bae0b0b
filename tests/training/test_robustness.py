"""Accuracy under attack, against a network whose robustness is known exactly."""

import listed_files
import numpy as np
import pytest
import torch

from metamers.training.data import StimulusRows
from metamers.training.robustness import (
    COLUMNS,
    balanced,
    measure_robustness,
    one_label,
)


class Brightness(torch.nn.Module):
    """Tells bright images (1) from dark ones (0) by their mean, in float64."""

    def forward(self, x):
        """Return logits (n, 2)."""
        score = 100 * (x.double().flatten(1).mean(dim=1) - 0.5)
        return torch.stack([-score, score], dim=1)


@pytest.fixture
def brightness(tmp_path, image_entry):
    """Give images of one level each, at known distances from the boundary."""
    from conftest import write_file

    generator = np.random.default_rng(0)
    level = np.concatenate([generator.integers(60, 120, 20), np.arange(135, 195, 3)])
    images = np.repeat(level, 64).reshape(40, 1, 8, 8).astype(np.uint8)
    labels = {"category": (level > 127).astype(int)}
    path = tmp_path / "vision.h5"
    splits = {"test": (images, labels), "training": (images, labels)}
    write_file(path, "vision", {"category": ["dark", "bright"]}, splits)
    return path, image_entry, level / 255


def test_accuracy_is_the_share_farther_from_the_boundary_than_epsilon(brightness):
    path, entry, level = brightness
    epsilons = [0.0, 0.051, 0.103, 0.207, 0.3]
    for norm, scale in (("linf", 1.0), ("l2", 8.0)):
        # The mean moves by epsilon (linf), or by epsilon / sqrt(64) (l2).
        settings = {
            "norm": norm,
            "epsilons": [scale * epsilon for epsilon in epsilons],
            "steps": 30,
            "stimuli": 40,
        }
        table = measure_robustness(
            Brightness(), entry, settings, path, 0, model="brightness"
        )
        expected = [(np.abs(level - 0.5) > epsilon).mean() for epsilon in epsilons]
        assert table["accuracy"].tolist() == expected
        assert 0 < expected[2] < 1
        assert list(table) == list(COLUMNS)
        assert table["epsilon"].tolist() == settings["epsilons"]
        assert set(table["n"]) == {40}
        assert set(table["norm"]) == {norm}


def test_the_table_does_not_depend_on_the_batch(brightness):
    path, entry, _ = brightness
    settings = {"norm": "l2", "epsilons": [0.0, 0.9], "steps": 3, "stimuli": 30}
    arguments = (Brightness(), entry, settings, path, 0)
    one = measure_robustness(*arguments, model="a", batch_size=7)
    other = measure_robustness(*arguments, model="a", batch_size=30)
    assert one.equals(other)


def test_speech_is_attacked_in_noise_within_its_bounds(sound_file, sound_entry):
    rows = StimulusRows(sound_file, "test_noisy")
    seen = []

    class Recorder(torch.nn.Module):
        """Answers by the first two samples and keeps what it was shown."""

        def forward(self, x):
            """Return logits (n, 3)."""
            seen.append(x.detach().clone())
            return torch.cat([x[:, :2], torch.zeros_like(x[:, :1])], dim=1)

    settings = {"norm": "linf", "epsilons": [0.0, 3.0], "steps": 2, "stimuli": 30}
    measure_robustness(Recorder(), sound_entry, settings, sound_file, 0, model="a")
    np.testing.assert_array_equal(seen[0].numpy(), rows.values(np.arange(30)))
    attacked = torch.cat(seen[1:])
    assert attacked.min() == -1.0
    assert attacked.max() == 1.0


def test_stimuli_are_balanced_over_categories():
    label = np.array([0] * 50 + [1] * 5 + [2] * 20)
    chosen = balanced(label, 12, np.random.default_rng(0))
    assert np.bincount(label[chosen]).tolist() == [4, 4, 4]
    assert np.all(np.diff(chosen) > 0)
    chosen = balanced(label, 13, np.random.default_rng(0))
    assert sorted(np.bincount(label[chosen])) == [4, 4, 5]
    more = balanced(label, 30, np.random.default_rng(0))
    assert np.bincount(label[more])[1] == 5
    assert len(balanced(label, 1000, np.random.default_rng(0))) == 75
    other = balanced(label, 12, np.random.default_rng(1))
    assert not np.array_equal(other, balanced(label, 12, np.random.default_rng(0)))


def test_stimuli_without_a_label_are_not_attacked():
    label = np.array([-1] * 30 + [0] * 4 + [1] * 4)
    chosen = balanced(label, 6, np.random.default_rng(0))
    assert np.bincount(label[chosen]).tolist() == [3, 3]
    assert balanced(label, 100, np.random.default_rng(0)).tolist() == list(
        range(30, 38)
    )


def test_of_several_labels_the_first_is_balanced():
    label = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 1]], dtype=np.uint8)
    assert one_label(label).tolist() == [1, -1, 0]
    assert one_label(np.array([2, -1])).tolist() == [2, -1]


class FirstColumn(torch.nn.Module):
    """Answers by the mean of red, green and blue, and keeps what it was shown."""

    def __init__(self, extra=0):
        super().__init__()
        self.extra, self.seen = extra, []

    def forward(self, x):
        """Return logits (n, 3 + extra)."""
        self.seen.append(x.detach().clone())
        means = 40 * x.flatten(2).mean(dim=2) if x.ndim == 4 else x[:, :3]
        return torch.cat([means, means.new_zeros(len(x), self.extra)], dim=1)


def test_the_classes_that_are_learned_are_attacked(tmp_path):
    path = listed_files.write_image_list(tmp_path)
    entry = {"modality": "vision", "task": listed_files.image_task()}
    settings = {"norm": "l2", "epsilons": [0.0, 6.0], "steps": 10, "stimuli": 9}
    network = FirstColumn()
    table = measure_robustness(network, entry, settings, path, 0, model="a")
    # Each class has its own color, also the one of no category.
    assert table["n"].tolist() == [9, 9]
    assert table["accuracy"].tolist() == [1.0, 0.0]
    shown = network.seen[0]
    assert sorted(shown.flatten(2).mean(dim=2).argmax(dim=1).tolist()) == sorted(
        [0, 1, 2] * 3
    )


def test_a_second_label_is_not_attacked(tmp_path):
    path = listed_files.write_sound_list(tmp_path)
    settings = {"norm": "linf", "epsilons": [0.5], "steps": 2, "stimuli": 4}
    joint = {"modality": "audio", "task": listed_files.sound_task()}
    alone = {"modality": "audio", "task": listed_files.sound_task(second=None)}
    shown = []
    for entry, extra in ((joint, 3), (alone, 0)):
        network = FirstColumn(extra)
        measure_robustness(network, entry, settings, path, 0, model="a")
        shown.append(network.seen[-1])
    assert torch.equal(*shown)
