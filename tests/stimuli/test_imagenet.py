"""A tiny ImageNet: four classes of a few images, two categories of them."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from metamers.errors import StudyError
from metamers.stimuli.files import read_split, write_stimuli
from metamers.stimuli.images import square
from metamers.stimuli.prepare import prepare_stimuli

CLASSES = ["n01", "n02", "n03", "n04"]


def write_image(path, number, shape=(40, 36), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(number)
    pixels = generator.integers(0, 256, size=(*shape, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def imagenet(tmp_path):
    root = tmp_path / "imagenet"
    for place, name in enumerate(CLASSES):
        for number in range(5):
            write_image(root / "train" / name / f"{name}_{number}.JPEG", number)
        for number in range(4):
            valid = f"ILSVRC2012_val_{place}{number}.JPEG"
            write_image(root / "val" / name / valid, 10 * place + number)
    (root / "train" / "n01" / "notes.txt").write_text("not an image")
    (root / "train" / "n01" / ".hidden.JPEG").write_text("not an image")
    (tmp_path / "map.csv").write_text("category,index\ntruck,3\nbear,0\nbear,2\n")
    return root


def settings(root, source=None, **changes):
    return {
        "source": {
            "kind": "imagenet",
            "path": str(root),
            "category_map": str(root.parent / "map.csv"),
            "rejected": None,
            **(source or {}),
        },
        "size": 32,
        "channels": 3,
        "training_per_category": None,
        "test_per_category": None,
        "references_per_category": 3,
        **changes,
    }


def names(paths):
    return [path.decode() for path in paths.tolist()]


def test_images_are_listed_with_class_and_category(imagenet):
    stimuli = prepare_stimuli("vision", settings(imagenet), 517)
    assert stimuli.categories == {"class": CLASSES, "category": ["truck", "bear"]}
    training, test = stimuli.listed["training"], stimuli.listed["test"]
    assert names(training.path) == [
        f"train/{name}/{name}_{number}.JPEG" for name in CLASSES for number in range(5)
    ]
    assert training.label["class"].tolist() == np.repeat(range(4), 5).tolist()
    assert training.label["category"].tolist() == np.repeat([1, -1, 1, 0], 5).tolist()
    assert test.label["category"].tolist() == np.repeat([1, -1, 1, 0], 4).tolist()
    assert test.file(4) == imagenet / "val" / "n02" / "ILSVRC2012_val_10.JPEG"
    assert test.settings == {"size": 32, "channels": 3}
    assert list(stimuli.splits) == ["reference"]


def test_references_are_validation_images_in_the_order_of_the_map(imagenet, tmp_path):
    stimuli = prepare_stimuli("vision", settings(imagenet), 517)
    reference = stimuli.splits["reference"]
    assert reference.label["category"].tolist() == [0, 0, 0, 1, 1, 1]
    assert set(reference.label["class"][:3]) == {3}
    assert set(reference.label["class"][3:]) <= {0, 2}
    for place, name in enumerate(reference.id):
        index, category, word, wnid, valid = name.split("_", 4)
        assert int(index) == place
        assert int(category) == reference.label["category"][place]
        assert word == stimuli.categories["category"][int(category)]
        assert wnid == CLASSES[reference.label["class"][place]]
        path = imagenet / "val" / wnid / f"{valid}.JPEG"
        assert reference.details["source"][place] == str(path)
        expected = np.asarray(square(Image.open(path), 32)).transpose(2, 0, 1)
        np.testing.assert_array_equal(reference.stimulus[place], expected)
    write_stimuli(stimuli, tmp_path / "v.h5", tmp_path / "v.csv")
    assert read_split(tmp_path / "v.h5", "reference").id.tolist() == list(reference.id)


def test_the_seed_draws_the_references_and_nothing_else(imagenet):
    first, again, other = (
        prepare_stimuli("vision", settings(imagenet), seed) for seed in (1, 1, 2)
    )
    assert first.table().equals(again.table())
    assert not first.table().equals(other.table())
    assert names(first.listed["test"].path) == names(other.listed["test"].path)


def test_grey_small_and_rejected_images_are_no_references(imagenet, tmp_path):
    folder = imagenet / "val" / "n04"
    write_image(folder / "ILSVRC2012_val_30.JPEG", 1, mode="L")
    write_image(folder / "ILSVRC2012_val_31.JPEG", 2, shape=(31, 50))
    rejected = tmp_path / "rejected.txt"
    rejected.write_text("ILSVRC2012_val_32.JPEG\n\nILSVRC2012_val_99\n")
    source = {"rejected": str(rejected)}
    one = settings(imagenet, source, references_per_category=1)
    found = prepare_stimuli("vision", one, 517).splits["reference"]
    assert found.id[0] == "0_0_truck_n04_ILSVRC2012_val_33"
    two = settings(imagenet, source, references_per_category=2)
    with pytest.raises(StudyError, match="'truck' has 1 validation images") as error:
        prepare_stimuli("vision", two, 517)
    for reason in ("of 4", "1 rejected", "1 not in color", "1 too small"):
        assert reason in str(error.value)


def test_only_headers_are_read_before_the_references_are_chosen(imagenet, monkeypatch):
    def fail(*arguments):
        raise AssertionError("pixels were read")

    monkeypatch.setattr("metamers.stimuli.imagenet.read_image", fail)
    with pytest.raises(StudyError, match="'truck' has 4"):
        prepare_stimuli("vision", settings(imagenet, references_per_category=5), 1)


def test_fewer_images_of_each_class_can_be_listed(imagenet):
    few = settings(
        imagenet,
        training_per_category=2,
        test_per_category=1,
        references_per_category=1,
    )
    stimuli = prepare_stimuli("vision", few, 517)
    training = stimuli.listed["training"]
    assert np.bincount(training.label["class"]).tolist() == [2] * 4
    assert len(set(names(training.path))) == 8
    with pytest.raises(StudyError, match="training_per_category is 6"):
        prepare_stimuli("vision", settings(imagenet, training_per_category=6), 517)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "nowhere"}, "nowhere, which has no folder train"),
        ({"category_map": "nowhere.csv"}, r"no category map nowhere\.csv"),
        ({"rejected": "nowhere.txt"}, r"source\.rejected is nowhere\.txt"),
        ({"map": "category,index\na,0\nb,400\n"}, "'b' has the class 400"),
        ({"map": "category,index\na,0\n"}, "names 1 categories"),
    ],
)
def test_wrong_sources_are_refused(imagenet, tmp_path, change, message):
    if "map" in change:
        (tmp_path / "map.csv").write_text(change.pop("map"))
    with pytest.raises(StudyError, match=message):
        prepare_stimuli("vision", settings(imagenet, change), 517)


def test_folders_of_other_classes_are_refused(imagenet):
    (imagenet / "val" / "n05").mkdir()
    with pytest.raises(StudyError, match="1 are in only one of them: n05"):
        prepare_stimuli("vision", settings(imagenet), 517)
    (imagenet / "train" / "n05").mkdir()
    with pytest.raises(StudyError, match="n05 holds no stimuli"):
        prepare_stimuli("vision", settings(imagenet), 517)


def test_grey_studies_store_grey_references(imagenet):
    stimuli = prepare_stimuli("vision", settings(imagenet, channels=1), 517)
    assert stimuli.splits["reference"].stimulus.shape == (6, 1, 32, 32)
    assert stimuli.listed["test"].settings["channels"] == 1


def test_photographs_of_the_16_categories_fit_the_source(shared, tmp_path):
    photographs = shared / "lab" / "natural16"
    chosen = {
        name: sorted((photographs / name).iterdir())[:3] for name in ("bird", "dog")
    }
    for part in ("train", "val"):
        for name, paths in chosen.items():
            (tmp_path / part / f"n_{name}").mkdir(parents=True)
            for path in paths:
                target = tmp_path / part / f"n_{name}" / f"{path.stem}.JPEG"
                target.write_bytes(path.read_bytes())
    (tmp_path / "map.csv").write_text("category,index\nbird,0\ndog,1\n")
    given = settings(tmp_path, {"category_map": str(tmp_path / "map.csv")}, size=224)
    reference = prepare_stimuli("vision", given, 517).splits["reference"]
    assert reference.stimulus.shape == (6, 3, 224, 224)
    assert (
        dataclasses.asdict(reference)["label"]["category"].tolist() == [0] * 3 + [1] * 3
    )
