"""Which classes belong to which category."""

import pytest

from metamers.errors import StudyError
from metamers.stimuli.category_map import read_category_map


def test_the_published_map_has_208_classes_of_16_categories(root):
    mapping = read_category_map(root / "resources" / "imagenet_16_categories.csv")
    assert len(mapping) == 16
    assert next(iter(mapping)) == "airplane"
    assert list(mapping)[-1] == "truck"
    assert sum(map(len, mapping.values())) == 208
    assert mapping["bear"] == [294, 295, 296, 297]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,index\na,1\n", "category and index"),
        ("category,index\na,1.5\n", "line 2"),
        ("category,index\n,1\n", "line 2"),
        ("category,index\na,1\nb,1\n", "two categories, a and b"),
    ],
)
def test_wrong_maps_are_refused(tmp_path, text, message):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(StudyError, match=message):
        read_category_map(tmp_path / "map.csv")


def test_a_missing_map_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"no category map .*none\.csv"):
        read_category_map(tmp_path / "none.csv")
