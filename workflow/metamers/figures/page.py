"""Self-contained web pages: escaped text, pictures and sounds inside the file."""

from __future__ import annotations

import base64
import html
import io
import math
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metamers.figures.style import own_style
from metamers.recognition.presentation import write_png, write_wav

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CSS = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "DejaVu Sans", Arial, sans-serif; color: #1a1a1a;
  max-width: 75rem; margin: 2rem auto; padding: 0 1.2rem; background: #fff; }
h1 { font-size: 1.6rem; margin-bottom: 0.2rem; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 0.8rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.7rem 0.2rem 0;
  border-bottom: 1px solid #eee; }
th { font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
.claims td:first-child { min-width: 22rem; }
.claims td:last-child { min-width: 16rem; }
.note, figcaption { color: #555; font-size: 0.9rem; max-width: 55rem; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; }
img.pixels { image-rendering: pixelated; display: block; background: #eee; }
.passed, .supported { color: #00694f; font-weight: 600; }
.failed, .contradicted { color: #b23c00; font-weight: 600; }
.inconclusive, .not-testable { color: #5a5a5a; font-weight: 600; }
ul.links { columns: 2; }
audio { width: 9rem; height: 2rem; }
"""


class Markup(str):
    """Text that is HTML already; any other text is escaped when a page is built."""


def text(value: Any) -> Markup:
    """Escape a value for HTML, attribute values included; `Markup` stays as it is."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(str(value), quote=True))


def tag(name: str, *content: Any, **attributes: Any) -> Markup:
    """Make an element; text and attribute values are escaped.

    Parameters
    ----------
    name
        Name of the element.
    *content
        What is in it.
    **attributes
        Attributes; a trailing underscore is dropped (``class_``), None leaves one out,
        True writes it without a value.
    """
    written = ""
    for key, value in attributes.items():
        if value is None:
            continue
        key = key.rstrip("_")
        written += f" {key}" if value is True else f' {key}="{text(value)}"'
    if name in ("img", "br", "meta"):
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(content)}</{name}>")


def join(parts: Iterable[Any]) -> Markup:
    """Put pieces beside each other, escaping what is not HTML."""
    return Markup("".join(text(part) for part in parts))


def page(title: str, body: Iterable[Any], *, contained: bool = True) -> str:
    """Make a whole page.

    Parameters
    ----------
    title
        Title of the window.
    body
        What stands in it.
    contained
        Whether the page holds all that it shows: browsers are then told to load
        nothing else.
    """
    policy = (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    )
    head = [
        tag("meta", charset="utf-8"),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", title),
        Markup(f"<style>{CSS}</style>"),
    ]
    if contained:
        head.insert(
            1,
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        )
    document = tag("html", tag("head", *head), tag("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{document}\n"


def table(
    columns: Sequence[Any], rows: Iterable[Sequence[Any]], numbers: Iterable[int] = ()
) -> Markup:
    """Make a table.

    Parameters
    ----------
    columns
        Headings.
    rows
        Cells, as many as headings; numbers are formatted by `number`.
    numbers
        Places of the columns that are set flush right.
    """
    right = set(numbers)
    kinds = ["number" if place in right else None for place in range(len(columns))]

    def line(name: str, cells: Sequence[Any]) -> Markup:
        return tag(
            "tr",
            *(
                tag(name, cell if isinstance(cell, str) else number(cell), class_=kind)
                for cell, kind in zip(cells, kinds, strict=True)
            ),
        )

    body = [line("td", row) for row in rows]
    whole = tag("table", tag("thead", line("th", columns)), tag("tbody", *body))
    return tag("div", whole, class_="wide")


def facts(pairs: Iterable[tuple[str, Any]]) -> Markup:
    """Make a table of names and values."""
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", number(value)))
        for name, value in pairs
    ]
    return tag("table", tag("tbody", *rows))


def number(value: Any) -> Markup:
    """Write a number with four digits, a dash where it is missing."""
    if isinstance(value, str):
        return text(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Markup("–")
    if isinstance(value, float | np.floating):
        return text(f"{value:.4g}".replace("-", "\N{MINUS SIGN}"))
    return text(value)


def drawn(figure: Figure, description: str, caption: str = "") -> Markup:
    """Embed a figure as SVG, with a description for those who cannot see it."""
    stream = io.BytesIO()
    with own_style():
        figure.savefig(stream, format="svg", metadata={"Date": None})
    source = data_uri(stream.getvalue(), "image/svg+xml")
    parts = [tag("img", src=source, alt=description)]
    if caption:
        parts.append(tag("figcaption", caption))
    return tag("figure", *parts)


def data_uri(content: bytes, kind: str) -> str:
    """Return content as a data URI of a media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def picture(image: np.ndarray, description: str, width: int) -> Markup:
    """Embed an image (as `write_png` takes it), `width` pixels wide on the page."""
    content = _written(lambda path: write_png(image, path), "picture.png")
    return tag(
        "img",
        src=data_uri(content, "image/png"),
        alt=description,
        width=width,
        class_="pixels",
    )


def sound(samples: np.ndarray, sample_rate: int) -> Markup:
    """Embed a sound (as `write_wav` takes it) with a player."""
    content = _written(lambda path: write_wav(samples, path, sample_rate), "sound.wav")
    source = data_uri(content, "audio/wav")
    return tag("audio", controls=True, preload="none", src=source)


def _written(write: Callable[[Path], None], name: str) -> bytes:
    """Return what a function writes to a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()
