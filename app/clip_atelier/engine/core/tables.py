"""Tables as CSV, Markdown and LaTeX, safe to open whatever their cells hold."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core.errors import UserError
from clip_atelier.engine.core.files import write_whole
from clip_atelier.engine.core.i18n import _

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")
_LATEX: Final = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip

SUFFIXES: Final = (".csv", ".md", ".tex")


def csv_cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: text starting with = + - @ or a tab gets an apostrophe."""
    text = "" if value is None else str(value)
    if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def csv_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Comma-separated values (RFC 4180), safe to open in a spreadsheet."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerows([csv_cell(cell) for cell in row] for row in (header, *rows))
    return buffer.getvalue()


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; bars and line ends inside cells are escaped, and HTML is not HTML."""

    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(_markdown_cell(cell) for cell in cells) + " |"

    return "\n".join([line(header), "|" + " --- |" * len(header), *(line(row) for row in rows)]) + "\n"


def _markdown_cell(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return re.sub(r"([\\|<>*`\[\]])", r"\\\1", text)


def latex_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A LaTeX tabular (booktabs), the first column to the left, the others to the right."""

    def line(cells: Sequence[Any]) -> str:
        return " & ".join(_latex_cell(cell) for cell in cells) + r" \\"

    columns = "l" + "r" * (len(header) - 1)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            line(header),
            r"\midrule",
            *(line(row) for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _latex_cell(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return "".join(_LATEX.get(character, character) for character in text)


def write(out: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Writes a table in the format that `out`'s suffix names.

    Raises:
        UserError: the suffix is none of .csv, .md, .tex.
        WorkError: it cannot be written.
    """
    check_name(out)
    form = {".csv": csv_table, ".md": markdown_table, ".tex": latex_table}[out.suffix.lower()]
    # Spreadsheets take a CSV file for UTF-8 only with a byte order mark.
    encoding = "utf-8-sig" if out.suffix.lower() == ".csv" else "utf-8"
    content = form(header, rows).encode(encoding, "backslashreplace")
    write_whole(out, content, _("Free some space, or choose another place."))


def check_name(out: Path) -> None:
    """Refuses a table file whose suffix names no format, before any work is done for it.

    Raises:
        UserError: the suffix is none of .csv, .md, .tex.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(
            _("“{path}” does not say which table format is wanted.").format(path=out),
            _("End its name in one of: {suffixes}.").format(suffixes=", ".join(SUFFIXES)),
        )
