"""Text for a terminal: display width, wrapping, aligned tables, and nothing that a terminal would obey."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from clip_atelier.engine.core import plain

# Control characters and direction overrides in a file name or caption are shown, never obeyed.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def visible(text: object) -> str:
    """`text` on one line, with control characters and undecodable bytes as visible escapes."""
    return _UNSAFE.sub(lambda match: repr(match[0])[1:-1], str(plain(str(text))))


def width(text: str) -> int:
    """Columns `text` takes on a terminal: Korean and emoji take two, combining marks none."""
    columns = 0
    for character in text:
        if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Cf"):
            continue
        columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return columns


def wrap(text: str, columns: int) -> list[str]:
    """`text` broken between words into lines of at most `columns` columns, longer words whole."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and width(longer) > columns:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line] if line else lines


def shorten(text: str, columns: int) -> str:
    """`text` cut to at most `columns` columns, with an ellipsis where something is missing."""
    if width(text) <= columns:
        return text
    kept = ""
    for character in text:
        if width(kept + character) > columns - 1:
            break
        kept += character
    return kept + "…"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[int] = ()) -> str:
    """An aligned table; the columns numbered in `right` are aligned to the right."""
    lines = [[visible(cell) for cell in row] for row in (header, *rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(header))]
    aligned_right = set(right)

    def cell(column: int, value: str) -> str:
        space = " " * (widths[column] - width(value))
        return space + value if column in aligned_right else value + space

    drawn = ["  ".join(cell(column, value) for column, value in enumerate(line)).rstrip() for line in lines]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([drawn[0], rule, *drawn[1:]])


def duration(seconds: float) -> str:
    """Seconds as 0:05, 12:30 or 1:02:03."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def number(value: float | None, digits: int = 3) -> str:
    """A measured number, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
