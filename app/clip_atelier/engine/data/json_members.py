"""The members of a JSON object, each with the place of its value in the text."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\r]*")


def members(text: str, start: int, end: int) -> tuple[list[tuple[str, Any, int, int]], int]:
    """Reads the object that fills `text[start:end]`; a name may stand in it twice.

    Returns:
        name, value, and where the value is written, of each member in order; and where the object ends.

    Raises:
        ValueError, IndexError: it is no object, or more than one value.
        RecursionError: its values lie too deep in each other.
    """
    decoder = json.JSONDecoder(parse_constant=_no_number)
    line = text[start:end]
    at = _skip(line, 0)
    _expect(line, at, "{")
    found = []
    at = _skip(line, at + 1)
    while line[at] != "}":
        _expect(line, at, '"')
        name, at = scanstring(line, at + 1)
        at = _skip(line, at)
        _expect(line, at, ":")
        begin = _skip(line, at + 1)
        value, at = decoder.raw_decode(line, begin)
        found.append((name, value, start + begin, start + at))
        at = _skip(line, at)
        if line[at] == ",":
            at = _skip(line, at + 1)
            _expect(line, at, '"')
        elif line[at] != "}":
            raise ValueError("no JSON object")
    if line[at + 1 :].strip():
        raise ValueError("more than one value")
    return found, start + at + 1


def _skip(line: str, at: int) -> int:
    found = _SPACE.match(line, at)
    assert found is not None
    return found.end()


def _expect(line: str, at: int, letter: str) -> None:
    if line[at] != letter:
        raise ValueError(f"no {letter}")


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
