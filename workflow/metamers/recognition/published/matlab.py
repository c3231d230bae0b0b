"""Numbers and text from MATLAB 5 files, and nothing else.

The files come from elsewhere. SciPy's reader was found to crash the interpreter on
damaged ones, which no exception handler catches; this reader knows only real numbers
and rows of plain text, checks every length against the bytes that are there, and
unpacks no more than it is told to. The format is that of MathWorks' "MAT-File Format",
level 5.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metamers.errors import StudyError

HEADER_BYTES = 128
BYTE_ORDERS = {b"IM": "<", b"MI": ">"}
LEVEL_5 = 0x0100
MATRIX, COMPRESSED = 14, 15
# Storage type of an element: its NumPy type.
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
CHARACTERS = {1: "u1", 2: "u1", 4: "u2", 16: "u1", 17: "u2", 18: "u4"}
CLASSES = {
    1: "cell",
    2: "structure",
    3: "object",
    4: "text",
    5: "sparse",
    6: "double",
    7: "single",
    8: "int8",
    9: "uint8",
    10: "int16",
    11: "uint16",
    12: "int32",
    13: "uint32",
    14: "int64",
    15: "uint64",
}
COMPLEX = 0x0800


class _FormatError(Exception):
    """What is wrong with a file, without its name."""


@dataclass(frozen=True)
class _Bytes:
    """Some bytes of a file, read as elements in its byte order."""

    content: bytes
    order: str

    def numbers(self, kind: str) -> np.ndarray:
        """Return all bytes as numbers of a NumPy type."""
        if len(self.content) % np.dtype(kind).itemsize:
            raise _FormatError("an element ends in the middle of a number")
        return np.frombuffer(self.content, dtype=self.order + kind)

    def elements(self) -> Iterator[tuple[int, _Bytes]]:
        """Yield the type and the data of each element, one after the other."""
        position = 0
        while position < len(self.content):
            tag = self.content[position : position + 8]
            if len(tag) < 8:
                raise _FormatError("it ends in the middle of a tag")
            first, length = (
                int(word) for word in _Bytes(tag, self.order).numbers("u4")
            )
            if first >> 16:  # a small element: type, length and data in eight bytes
                kind, length, start, step = first & 0xFFFF, first >> 16, 4, 8
                if length > 4:
                    raise _FormatError(f"a small element claims {length} bytes")
            else:
                kind, start = first, 8
                padding = 0 if kind == COMPRESSED else -length % 8
                step = 8 + length + padding
            data = self.content[position + start : position + start + length]
            if len(data) < length:
                raise _FormatError("an element is longer than the file")
            yield kind, _Bytes(data, self.order)
            position += step


def read_variables(
    path: str | Path, wanted: Collection[str], most_bytes: int
) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB 5 file.

    Parameters
    ----------
    path
        The file.
    wanted
        Names of variables; others in the file are not read.
    most_bytes
        Refuse a file, or a variable after unpacking, of more bytes than this.

    Returns
    -------
    dict
        Those of `wanted` that are there: real numbers as float64 of their shape, text
        as (rows,) str with its padding.

    Raises
    ------
    StudyError
        Where the file cannot be read, is damaged or of another format, or a wanted
        variable is neither real floating-point numbers nor plain text.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        if len(content) > most_bytes:
            raise _FormatError(f"it has {len(content)} bytes, more than {most_bytes}")
        return dict(_variables(content, wanted, most_bytes))
    except _FormatError as error:
        raise StudyError(
            f"{path}: not a MATLAB 5 file of numbers and text: {error}; "
            "download it again"
        ) from None


def _variables(
    content: bytes, wanted: Collection[str], most_bytes: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names and values of the wanted variables."""
    order = BYTE_ORDERS.get(content[126:128])
    if order is None:
        raise _FormatError("it has no MATLAB header")
    version = int(_Bytes(content[124:126], order).numbers("u2")[0])
    if version != LEVEL_5:
        raise _FormatError(f"its version is {version:#06x}, not {LEVEL_5:#06x}")
    seen = set()
    for kind, data in _Bytes(content[HEADER_BYTES:], order).elements():
        if kind == COMPRESSED:
            kind, data = _unpacked(data, most_bytes)
        if kind != MATRIX:
            raise _FormatError(f"it has an element of type {kind} between variables")
        parts = data.elements()
        flags = int(_part(parts, {6: "u4"}, 2)[0])
        shape = [int(length) for length in _part(parts, {5: "i4"})]
        characters = _part(parts, {1: "u1"}).tobytes()
        name = characters.decode("ascii", errors="replace")
        if name not in wanted:
            continue
        if name in seen:
            raise _FormatError(f"{name} is there twice")
        seen.add(name)
        yield name, _value(name, flags, shape, parts)


def _unpacked(data: _Bytes, most_bytes: int) -> tuple[int, _Bytes]:
    """Return the one element that a compressed element holds."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(data.content, most_bytes)
    except zlib.error as error:
        raise _FormatError(f"a variable cannot be unpacked ({error})") from None
    if not unpacker.eof:
        raise _FormatError(f"a variable is cut off, or unpacks to over {most_bytes} B")
    elements = list(_Bytes(content, data.order).elements())
    if len(elements) != 1:
        raise _FormatError(f"{len(elements)} variables are packed into one")
    return elements[0]


def _part(
    parts: Iterator[tuple[int, _Bytes]], kinds: dict[int, str], count: int | None = None
) -> np.ndarray:
    """Return the next part of a variable as numbers."""
    kind, data = next(parts, (None, None))
    if kind not in kinds or data is None:
        raise _FormatError("a part of a variable is missing or of an unexpected type")
    numbers = data.numbers(kinds[kind])
    if count is not None and len(numbers) != count:
        raise _FormatError(f"a variable has {len(numbers)} values, not {count}")
    return numbers


def _value(
    name: str, flags: int, shape: list[int], parts: Iterator[tuple[int, _Bytes]]
) -> np.ndarray:
    """Return the values of a variable, from its flags, shape and remaining parts."""
    kind = CLASSES.get(flags & 0xFF, "of an unknown class")
    if kind not in ("text", "double", "single") or flags & COMPLEX:
        kind = "complex" if flags & COMPLEX else kind
        raise _FormatError(f"{name} is {kind}; real numbers and text are read")
    if len(shape) < 2 or min(shape) < 0:
        raise _FormatError(f"{name} has the shape {tuple(shape)}")
    storage = CHARACTERS if kind == "text" else NUMBERS
    values = _part(parts, storage, math.prod(shape)).reshape(shape, order="F")
    if kind != "text":
        return values.astype(np.float64)
    if len(shape) != 2 or (values >= 128).any():
        raise _FormatError(f"{name} is not rows of plain (ASCII) text")
    return np.array(["".join(map(chr, row)) for row in values.tolist()], dtype=str)
