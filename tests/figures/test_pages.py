"""The web pages: escaped, complete, and without anything from outside."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from metamers.figures import page
from metamers.figures.gallery import file_name, write_gallery
from metamers.figures.model_page import count_reasons, model_page
from metamers.figures.overview import overview
from metamers.stimuli.files import Split, StimulusSet, write_stimuli

HOSTILE = "<script>alert('x')</script>\"&amp; onload=\"'"
VOID = {"img", "br", "meta"}


class Reader(HTMLParser):
    """Collect tags, attributes and text, and check that elements close."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(document):
    reader = Reader()
    reader.feed(document)
    assert reader.open == []
    assert "script" not in reader.tags
    assert not [pair for pair in reader.attributes if pair[1].startswith("on")]
    return reader


def assert_contained(reader):
    """Check that nothing is loaded from elsewhere."""
    for _, name, value in reader.attributes:
        if name == "src":
            assert value.startswith("data:")
    assert "link" not in reader.tags
    assert "default-src 'none'" in str(reader.attributes)


@pytest.fixture(scope="session")
def card():
    return {
        "model": "alexnet_standard",
        "origin": "trained",
        "entry": {
            "architecture": "metamers:SmallAlexNet",
            "arguments": {"classes": 10, "note": HOSTILE},
            "seed": 1,
            "training": {
                "epochs": 12,
                "perturbation": {"kind": "adversarial", "norm": "l2", "epsilon": 1.5},
            },
        },
        "parameters": 123456,
        "stages": [
            {
                "name": "relu0",
                "path": "relu0",
                "gradient": "straight_through",
                "shape": [32, 16, 16],
                "units": 8192,
            }
        ],
        "test_split": "test",
        "test_stimuli": 1000,
        "test_accuracy": 0.9712,
        "robust_accuracy": {
            "norm": "l2",
            "steps": 10,
            "stimuli": 200,
            "accuracy": {"0": 0.97, "1.5": 0.6, "3": None},
        },
        "provenance": {"settings_hash": "abc", "versions": {"torch": "2"}},
    }


@pytest.fixture(scope="session")
def training():
    return pd.DataFrame(
        {
            "epoch": range(1, 13),
            "training_loss": np.linspace(2, 0.1, 12),
            "training_accuracy": np.linspace(0.2, 0.99, 12),
            "test_loss": np.linspace(2, 0.2, 12),
            "test_accuracy": np.linspace(0.2, 0.97, 12),
        }
    )


def make_page(models, model, request, **changes):
    get = request.getfixturevalue
    values = {
        "study": "demo",
        "card": get("card"),
        "training": get("training"),
        "losses": get("losses").query("model == @model"),
        "nulls": get("null_table"),
        "screening": get("screening").query("model == @model"),
        "recognition": get("recognition"),
        "published": get("published"),
        "examples": [get("vision_examples")],
        "chance": 0.1,
    }
    return model_page(model, models, **(values | changes))


def test_text_is_escaped_once():
    assert page.text("<b>&") == "&lt;b&gt;&amp;"
    assert page.tag("p", page.tag("b", "<"), title='"') == (
        '<p title="&quot;"><b>&lt;</b></p>'
    )


def test_a_models_page_has_all_its_parts(models, request):
    reader = read(make_page(models, "alexnet_standard", request))
    assert_contained(reader)
    text = " ".join(reader.text)
    for expected in (
        "SmallAlexNet",
        "123,456",
        "0.9712",
        "ε 1.5: 0.60",
        "straight-through",
        "response differs from the natural one:",
        "2000 pairs, 10 units",
    ):
        assert expected in text
    # training, recognition, nulls, convergence; the reference and eight metamers
    assert reader.tags.count("img") == 4 + 9


def test_hostile_names_are_text(models, request):
    name = HOSTILE
    odd = {name: models["alexnet_standard"] | {"group": HOSTILE, "task": HOSTILE}}
    screening = request.getfixturevalue("screening").query(
        "model == 'alexnet_standard'"
    )
    screening = screening.assign(
        model=name, response=HOSTILE, reason=HOSTILE, passed=False, rule=HOSTILE
    )
    example = request.getfixturevalue("vision_examples")
    metamers = {
        (name, stage): value
        for (owner, stage), value in example.metamers.items()
        if owner == "alexnet_standard"
    }
    changed = {**vars(example), "metamers": metamers, "label": HOSTILE}
    reader = read(
        make_page(
            odd,
            name,
            request,
            screening=screening,
            study=HOSTILE,
            examples=[type(example)(**changed)],
        )
    )
    assert_contained(reader)
    assert HOSTILE in reader.text


def test_a_page_without_results_has_labeled_gaps(models, request):
    nothing = pd.DataFrame()
    get = request.getfixturevalue
    document = make_page(
        models,
        "alexnet_untrained",
        request,
        card={},
        training=nothing,
        losses=nothing,
        nulls=nothing,
        screening=nothing,
        recognition=get("recognition").iloc[:0],
        published=get("published").iloc[:0],
        examples=[],
    )
    text = " ".join(read(document).text)
    assert "There are no metamers of this model yet." in text


def test_sounds_can_be_heard_and_are_said_to_be_synthetic(
    models, request, audio_examples
):
    document = make_page(
        models, "cochcnn_words", request, examples=[audio_examples], synthetic=True
    )
    reader = read(document)
    assert_contained(reader)
    assert reader.tags.count("audio") == 7
    assert "synthetic speech (eSpeak NG)" in " ".join(reader.text)


def test_reasons_are_counted_without_their_numbers():
    reasons = pd.Series(
        [
            "",
            None,
            "response differs from the natural one; spearman 0.31 <= null 0.42",
            "spearman 0.2 <= null 0.42",
        ]
    )
    assert count_reasons(reasons) == {
        "spearman is not above its null": 2,
        "response differs from the natural one": 1,
    }


def make_overview(models, claims, scores, **changes):
    convergence = pd.DataFrame(
        {
            "model": list(models),
            "stage": "final",
            "n": 40,
            "own_match": 0.975,
            "survivors": 30,
            "median_loss": 1e-3,
        }
    )
    values = {
        "study": "demo",
        "description": "Small networks",
        "claims": claims,
        "scores": scores,
        "convergence": convergence,
        "figures": ["figures/claims_audio", "figures/recognition_by_stage_vision_2"],
        "pages": {name: f"pages/{name}.html" for name in models},
        "tables": ["statistics/claims.csv"],
        "pictures": {"figures/claims_audio": b"png"},
        "gallery": "gallery/index.html",
        "synthetic": True,
    }
    return overview(models=models, **(values | changes))


def test_the_front_page_has_claims_scores_and_links(models, claims, scores):
    reader = read(make_overview(models, claims, scores))
    text = " ".join(reader.text)
    assert "Of 10 claims: 6 supported, 1 contradicted, 2 inconclusive, 1 not" in text
    assert "180 (75.0%)" in text
    links = {value for tag, name, value in reader.attributes if name == "href"}
    assert "pages/alexnet_standard.html" in links
    assert "figures/claims_audio.pdf" in links
    assert "Effects, intervals and verdicts of all claims (audio)" in text
    assert "by people (published models) (vision 2)" in text
    assert "gallery/index.html" in links
    assert reader.tags.count("img") == 1
    area = scores.set_index("model").loc["alexnet_random", "network_area"]
    assert f"{area:.2f} [" in text


def test_the_front_page_escapes_and_lives_without_results(models, claims, scores):
    odd = claims.assign(statement=HOSTILE, reason=HOSTILE, verdict=HOSTILE)
    reader = read(make_overview(models, odd, scores, description=HOSTILE))
    assert HOSTILE in reader.text
    empty = pd.DataFrame()
    reader = read(
        make_overview(
            models,
            claims.iloc[:0],
            scores.iloc[:0],
            convergence=empty,
            figures=[],
            pages={},
        )
    )
    assert "No claims were tested." in reader.text


@pytest.fixture
def gallery_inputs(tmp_path):
    """Write stimuli, metamers and a screening of two tiny models."""
    import h5py
    import soundfile  # noqa: F401  what the sounds are written with

    generator = np.random.default_rng(0)
    images = Split(
        stimulus=generator.integers(0, 256, (2, 1, 4, 4), dtype=np.uint8),
        id=np.array(["a/../b", "c"]),
        label={"category": np.array([0, 1])},
    )
    sounds = Split(
        stimulus=generator.integers(-9, 9, (1, 80), dtype=np.int16),
        id=np.array(["s"]),
        label={"word": np.array([0])},
    )
    categories = {"category": ["<b>", "two"]}
    paths = {}
    for modality, split, names, rate in (
        ("vision", images, categories, None),
        ("audio", sounds, {"word": ["winter"]}, 8000),
    ):
        paths[modality] = tmp_path / f"{modality}.h5"
        write_stimuli(
            StimulusSet(
                modality, {"reference": split}, names, rate, modality == "audio"
            ),
            paths[modality],
            tmp_path / f"{modality}.csv",
        )
    metamers, screening = {}, {}
    for name, split in (("net", images), ("ear", sounds)):
        metamers[name] = tmp_path / f"{name}_metamers.h5"
        values = split.values()
        with h5py.File(metamers[name], "w") as file:
            group = file.create_group("relu0")
            group["metamer"] = values
            group.create_dataset(
                "stimulus_id", data=split.id.astype(object), dtype=h5py.string_dtype()
            )
        screening[name] = tmp_path / f"{name}_screening.csv"
        pd.DataFrame(
            {
                "model": name,
                "stage": "relu0",
                "stimulus_id": split.id,
                "response": HOSTILE,
                "passed": [True, False][: len(split)],
            }
        ).to_csv(screening[name], index=False)
    models = {
        "net": {"modality": "vision", "label": "category", "stages": ["relu0", "no"]},
        "ear": {"modality": "audio", "label": "word", "stages": ["relu0"]},
        "absent": {"modality": "vision", "label": "category", "stages": ["relu0"]},
    }
    return models, paths, metamers, screening


def test_the_gallery_holds_every_stimulus_bit_for_bit(gallery_inputs, tmp_path):
    import soundfile
    from PIL import Image

    models, paths, metamers, screening = gallery_inputs
    folder = tmp_path / "gallery"
    table = write_gallery(folder, models, paths, metamers, screening, study="demo")
    assert len(table) == 2 + 2 + 1 + 1
    assert set(table["file"]) == {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix in (".png", ".wav")
    }
    by_place = table.set_index(["model", "stimulus_id"])["file"]
    natural = np.asarray(Image.open(folder / by_place["", "c"]))
    metamer = np.asarray(Image.open(folder / by_place["net", "c"]))
    np.testing.assert_array_equal(natural, metamer)
    samples, rate = soundfile.read(folder / by_place["ear", "s"], dtype="int16")
    original, _ = soundfile.read(folder / by_place["", "s"], dtype="int16")
    assert rate == 8000
    np.testing.assert_array_equal(samples, original)


def test_the_gallerys_page_shows_its_files_and_nothing_else(gallery_inputs, tmp_path):
    models, paths, metamers, screening = gallery_inputs
    folder = tmp_path / "gallery"
    write_gallery(folder, models, paths, metamers, screening, study=HOSTILE)
    reader = read((folder / "index.html").read_text(encoding="utf-8"))
    from urllib.parse import unquote

    sources = {unquote(v) for _, name, v in reader.attributes if name == "src"}
    assert all((folder / source).is_file() for source in sources)
    assert len(sources) == 6
    text = " ".join(reader.text)
    assert "synthetic speech (eSpeak NG)" in text
    assert f"{HOSTILE} ✓" in text
    assert f"{HOSTILE} ✗" in text


def test_fewer_references_can_be_asked_for(gallery_inputs, tmp_path):
    models, paths, metamers, screening = gallery_inputs
    table = write_gallery(
        tmp_path / "g", models, paths, metamers, screening, study="demo", references=1
    )
    assert sorted(table["stimulus_id"].unique()) == ["a/../b", "s"]


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("item_003", "item_003"),
        ("a/../b", "a%2F..%2Fb"),
        ("..", "%2E."),
        ("é:?", "%C3%A9%3A%3F"),
    ],
)
def test_file_names_are_safe_and_differ(identifier, expected):
    assert file_name(identifier) == expected
