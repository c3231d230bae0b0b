"""The reference of the study file stays true to the code."""

from metamers.study.definition import Study
from metamers.study.documentation import _sections, reference
from metamers.study.reading import ROOT


def test_reference_is_the_generated_one():
    assert (ROOT / "config/README.md").read_text() == reference(), (
        "run `make documentation`"
    )


def test_every_field_is_described():
    waiting, seen = [Study], set()
    while waiting:
        section = waiting.pop()
        seen.add(section)
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name} has no description"
            waiting += [s for s in _sections(field.annotation) if s not in seen]
    assert len(seen) > 20
