"""The common style and how figures are saved."""

import hashlib

import matplotlib as mpl
import pandas as pd
import pytest
from PIL import Image

from metamers.figures import style


def simple(value=1.0):
    @style.styled
    def draw():
        figure = style.new_figure(style.TWO_COLUMNS, 40)
        axes = style.axes_at(figure, 15, 5, 60, 25)
        axes.plot([0, 1], [0, value], label="$a_b$ <&>")
        axes.legend()
        return figure

    return draw(), pd.DataFrame({"x": [0, 1], "y": [0, value]})


def digests(paths):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_a_saved_figure_is_the_same_bytes_each_time_and_none_when_it_differs(tmp_path):
    first = style.save_figure(*simple(), tmp_path / "a.b")
    assert [path.name for path in first] == ["a.b.svg", "a.b.pdf", "a.b.png", "a.b.csv"]
    again = style.save_figure(*simple(), tmp_path / "second")
    assert digests(first) == digests(again)
    other = style.save_figure(*simple(2.0), tmp_path / "third")
    assert not set(digests(first)) & set(digests(other))


def test_png_is_at_most_1600_pixels_wide_and_fills_a_print_column(tmp_path):
    paths = style.save_figure(*simple(), tmp_path / "figure")
    width, height = Image.open(paths[2]).size
    assert 1500 < width <= 1600
    assert height / width == pytest.approx(40 / 183, rel=0.01)


def test_the_csv_holds_the_table(tmp_path):
    figure, table = simple(0.25)
    path = style.save_figure(figure, table, tmp_path / "figure")[3]
    pd.testing.assert_frame_equal(pd.read_csv(path), table, check_dtype=False)


def test_the_users_settings_neither_change_a_figure_nor_are_changed(tmp_path):
    expected = digests(style.save_figure(*simple(), tmp_path / "a"))
    with mpl.rc_context({"font.size": 30.0, "lines.linewidth": 9.0}):
        found = digests(style.save_figure(*simple(), tmp_path / "b"))
        assert mpl.rcParams["font.size"] == 30.0
    assert found == expected


def test_axes_stand_where_they_are_put_in_millimeters():
    figure = style.new_figure(100, 50)
    axes = style.axes_at(figure, 20, 10, 40, 30)
    assert axes.get_position().bounds == pytest.approx((0.2, 0.2, 0.4, 0.6))


@pytest.mark.parametrize(
    ("name", "longest", "expected"),
    [
        ("alexnet_standard", None, "alexnet standard"),
        ("relu0", 5, "relu0"),
        ("abcdefghij", 5, "ab…ij"),
        ("<b>", None, "<b>"),
    ],
)
def test_readable_names(name, longest, expected):
    assert style.readable(name, longest) == expected


def test_groups_keep_their_colors_and_free_ones_get_others():
    known = style.colors(["standard", "untrained"])
    more = style.colors(["standard", "zebra", "untrained", "own"])
    assert {name: more[name] for name in known} == known
    assert len(set(more.values())) == 4


def test_models_of_one_group_look_different():
    models = {
        name: {"modality": "vision", "group": "standard", "trained": True}
        for name in "abcd"
    }
    looks = style.model_looks(models)
    assert len({tuple(look.values()) for look in looks.values()}) == 4
    assert len({look["color"] for look in looks.values()}) == 1


def test_letters_go_on_after_z():
    figure = style.new_figure(50, 50)
    style.letter(figure, 0, 0, 1)
    style.letter(figure, 0, 0, 27)
    assert [text.get_text() for text in figure.texts] == ["b", "ab"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("winter", "winter"),
        (3, "3"),
        (3.0, "3"),
        (float("nan"), "none"),
        (None, "none"),
    ],
)
def test_answers_are_named_also_when_read_as_numbers(value, expected):
    assert style.answer_name(value) == expected
