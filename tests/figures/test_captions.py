"""The captions of the report: valid templates and valid text."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import docutils.core
import jinja2
import pytest

from metamers.figures.published.catalogue import FIGURES

FOLDER = Path(__file__).resolve().parents[2] / "workflow" / "report"
CAPTIONS = sorted(path.stem for path in FOLDER.glob("*.rst"))


@pytest.mark.parametrize("name", CAPTIONS)
@pytest.mark.parametrize("modality", ["vision", "audio"])
def test_captions_render(name, modality):
    text = (FOLDER / f"{name}.rst").read_text(encoding="utf-8")
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    snakemake = SimpleNamespace(
        wildcards={"modality": modality, "model": "alexnet_standard"},
        config={"study": "demo"},
        params=SimpleNamespace(settings=asdict(FIGURES["figure_7d"])),
    )
    rendered = template.render(snakemake=snakemake)
    settings = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    page = docutils.core.publish_string(
        rendered, writer="html5", settings_overrides=settings
    ).decode()
    assert "{{" not in page
    assert len(rendered.split()) > 20


def test_every_figure_has_a_caption():
    from metamers.outputs import MODALITY_FIGURES, STUDY_FIGURES

    assert {"workflow", *MODALITY_FIGURES, *STUDY_FIGURES} <= set(CAPTIONS)
