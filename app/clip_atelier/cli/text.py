"""Text for a terminal: display width, wrapping, aligned tables, and nothing that a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from clip_atelier.engine.core import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

# Control characters and direction overrides in a file name or caption are shown, never obeyed.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def visible(text: object) -> str:
    """`text` on one line, with control characters and undecodable bytes as visible escapes."""
    return _UNSAFE.sub(lambda match: repr(match[0])[1:-1], str(plain(str(text))))


def width(text: str) -> int:
    """Columns `text` takes on a terminal: Korean and emoji take two, combining marks none."""
    from rich.cells import cell_len

    return cell_len(text)


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
    from rich.cells import set_cell_size

    return set_cell_size(text, columns - 1).rstrip() + "…"


def bar(done: int, total: int, columns: int) -> str:
    """A bar of `columns` columns, filled as far as the work is done."""
    from rich.progress_bar import ProgressBar

    return _drawn(ProgressBar(total=total, completed=min(done, total), width=columns), columns)


def table(header: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[int] = ()) -> str:
    """An aligned table; the columns numbered in `right` are aligned to the right."""
    from rich.box import Box
    from rich.table import Table
    from rich.text import Text

    rule = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
    drawn = Table(box=rule, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    aligned_right = set(right)
    for column, title in enumerate(header):
        justify: Literal["left", "right"] = "right" if column in aligned_right else "left"
        drawn.add_column(Text(visible(title)), justify=justify, no_wrap=True)
    for row in rows:
        drawn.add_row(*(Text(visible(cell)) for cell in row))
    return _drawn(drawn, 100_000)


def _drawn(what: RenderableType, columns: int) -> str:
    """What rich draws, as plain text without colours."""
    import io

    from rich.console import Console

    page = Console(
        file=io.StringIO(), width=columns, color_system=None, highlight=False, emoji=False, markup=False
    )
    with page.capture() as captured:
        page.print(what)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
