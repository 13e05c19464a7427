"""CSV and JSON lines as written: every cell with its place in the text, so that one can be changed and all else stays.

Reading is strict where leniency would swallow rows: what cannot be told apart is named by its line and left out whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from clip_atelier.engine.core import N_
from clip_atelier.engine.data.json_members import members

SEPARATORS: Final = (",", ";", "\t")
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_PICTURE: Final = re.compile(
    r"\.(png|jpe?g|webp|gif|bmp|tiff?|avif|hei[cf]|svgz?|psd|ora|kra)[\"']?\s*$", re.IGNORECASE
)

UNCLOSED: Final = N_(
    "Lines with a quote that is never closed, or with text after a closed one: {lines}. They are not read."
)
TOO_LONG: Final = N_("Lines with more cells than the header: {lines}. Put text with commas in quotes.")
NO_JSON: Final = N_("Lines that are not JSON objects: {lines}.")
TWICE: Final = N_("Lines that say one thing twice: {lines}. They are not read.")


@dataclass(frozen=True)
class Cell:
    """A value and where it is written: `text[start:end]`, quotes and all."""

    value: Any
    start: int
    end: int
    quoted: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a table, or several where a cell in quotes goes over more.

    Attributes:
        line: The first line's number, from 1.
        cells: Column name as written -> its cells in order; more than one where the table has a column twice.
        end: Where the row ends in the text, before the line's end.
    """

    line: int
    cells: dict[str, list[Cell]]
    end: int


@dataclass
class Edit:
    """`text[start:end]` becomes `written`."""

    start: int
    end: int
    written: str


class Table(Protocol):
    """What both kinds of tables can do."""

    text: str
    names: list[str]
    rows: list[Row]
    faults: dict[str, list[int]]

    def changed(self, row: Row, cells: Sequence[Cell], column: str, captions: Sequence[str]) -> list[Edit]:
        """The edits that put captions into the first of these cells of a row and empty the others.

        Where there are none, the row gets a cell in `column`, which a CSV has to have.
        """

    def appended(self, row: Row, values: Mapping[str, Sequence[str]]) -> list[Edit]:
        """The edits that give a row cells in columns that it has none in; a CSV has to have the columns."""

    def added(self, rows: Sequence[dict[str, Any]]) -> list[Edit]:
        """The edits that put new rows at the end; a value is a text or captions."""


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text after edits that do not overlap."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += [text[at : edit.start], edit.written]
        at = edit.end
    return "".join([*parts, text[at:]])


def listed(numbers: Sequence[int]) -> str:
    """The first few; a file of another kind would fill the screen with line numbers."""
    return ", ".join(map(str, numbers[:5])) + (" …" if len(numbers) > 5 else "")


def caption_cell(captions: Sequence[str]) -> str:
    """Captions in one cell of a CSV: the one as it is, several as a JSON list."""
    if len(captions) == 1 and not captions[0].startswith("["):
        return captions[0]
    return json.dumps(list(captions), ensure_ascii=False) if captions else ""


@dataclass
class CsvTable:
    """A CSV of any usual separator.

    Attributes:
        names: The header's cells as written.
        faults: What is wrong, as a message with `{lines}` -> the lines; the rows on them are left out.
        caption_columns: Which columns, in lower case, hold captions; where it is the last, it may have bare separators.
    """

    text: str
    caption_columns: frozenset[str]
    separator: str = ""
    line_end: str = "\r\n"
    names: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    faults: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        start = self._start = self._preamble()
        end = _LINE_END.search(self.text, start)
        first = self.text[start : end.start() if end else len(self.text)]
        if not self.separator:
            # Spreadsheets in some languages separate by semicolon or tab.
            self.separator = max(SEPARATORS, key=re.sub(r'"[^"]*"', "", first).count)
        if end:
            self.line_end = end[0]
        separator = re.escape(self.separator)
        space = "" if self.separator == " " else " *"
        self._cell = re.compile(
            rf'(?:({space}"((?:[^"]|"")*+)"{space})|([^{separator}\r\n]*+))({separator}|\r\n|\n|\r|\Z)'
        )
        self._read(start)

    def _preamble(self) -> int:
        """Where the header begins: after empty lines, and after Excel's own “sep=;”, which names the separator."""
        found = re.match(r'(?:"?sep=(?P<by>[,;\t|])"?[\r\n]|[ \t]*[\r\n])*+', self.text, re.IGNORECASE)
        assert found is not None
        self.separator = found["by"] or ""
        return found.end()

    def _read(self, at: int) -> None:
        line = 1 + len(_LINE_END.findall(self.text, 0, at))
        lone = "\r" in self.text.replace("\r\n", "")
        text = self.text
        while at < len(text):
            cells, end, after = self._record(at)
            broken = cells is None or (self.names and self._swallows(cells))
            if broken:
                self._fault(UNCLOSED, line)
                found = _LINE_END.search(text, at)
                end, after = (found.start(), found.end()) if found else (len(text), len(text))
            elif not self.names:
                self.names = [str(cell.value) for cell in cells or ()]
            elif cells and (len(cells) > 1 or str(cells[0].value).strip()):
                self._keep(line, cells, end)
            line += len(_LINE_END.findall(text, at, after)) if lone else text.count("\n", at, after)
            at = after

    def _record(self, at: int) -> tuple[list[Cell] | None, int, int]:
        """The cells of the record that begins at a place, its end, and where the next begins; None if it is broken."""
        cells = []
        while True:
            found = self._cell.match(self.text, at)
            if found is None:
                return None, at, at
            whole, inner, bare, ending = found.groups()
            if whole is not None:
                start, end = found.span(1)
                cells.append(Cell(inner.replace('""', '"').replace("\0", ""), start, end, True))
            else:
                if bare.lstrip(" ").startswith('"'):
                    return None, at, at
                start, end = found.span(3)
                cells.append(Cell(bare.replace("\0", ""), start, end))
            at = found.end()
            if ending != self.separator:
                return cells, end, at

    def _swallows(self, cells: Sequence[Cell] | None) -> bool:
        """Whether a cell in quotes holds lines that look like rows of their own: a quote was forgotten above them."""
        return any(
            cell.quoted
            and ("\n" in cell.value or "\r" in cell.value)
            and any(
                _PICTURE.search(part)
                for inner in _LINE_END.split(cell.value)[1:]
                if self.separator in inner
                for part in inner.split(self.separator)
            )
            for cell in cells or ()
        )

    def _keep(self, line: int, cells: list[Cell], end: int) -> None:
        if len(cells) > len(self.names):
            if self.names[-1].strip().lower() not in self.caption_columns:
                if any(cell.value.strip() for cell in cells[len(self.names) :]):
                    self._fault(TOO_LONG, line)
                    return
                del cells[len(self.names) :]  # separators that some spreadsheets put at the end
            else:
                # A caption with commas, written without quotes.
                last = cells[len(self.names) - 1 :]
                joined = self.separator.join(str(cell.value) for cell in last)
                cells[len(self.names) - 1 :] = [Cell(joined, last[0].start, last[-1].end)]
        by_name: dict[str, list[Cell]] = {}
        for name, cell in zip(self.names, cells, strict=False):
            by_name.setdefault(name, []).append(cell)
        self.rows.append(Row(line, by_name, end))

    def _fault(self, reason: str, line: int) -> None:
        self.faults.setdefault(reason, []).append(line)

    # Writing

    def _written(self, value: str, quoted: bool) -> str:
        if (
            not quoted
            and not re.search(rf'["\r\n{re.escape(self.separator)}]', value)
            and value == value.strip(" ")
        ):
            return value
        return '"' + value.replace('"', '""') + '"'

    def _is_quoted(self, column: str) -> bool:
        cells = [cell for row in self.rows[:1000] for cell in row.cells.get(column, ()) if cell.value]
        return bool(cells) and sum(cell.quoted for cell in cells) * 2 > len(cells)

    def changed(self, row: Row, cells: Sequence[Cell], column: str, captions: Sequence[str]) -> list[Edit]:
        """See `Table`."""
        if not cells:
            return self.appended(row, {column: captions})
        edits = []
        for number, cell in enumerate(cells):
            told = "" if number else caption_cell(captions)
            quoted = cell.quoted if cell.value or cell.quoted else self._is_quoted(column)
            edits.append(Edit(cell.start, cell.end, self._written(told, quoted)))
        return edits

    def appended(self, row: Row, values: Mapping[str, Sequence[str]]) -> list[Edit]:
        """See `Table`."""
        have = sum(map(len, row.cells.values()))
        places = {self.names.index(column): column for column in values}
        last = max(places, default=-1)
        told = [
            self._written(caption_cell(values[places[n]]), self._is_quoted(places[n])) if n in places else ""
            for n in range(have, last + 1)
        ]
        return [Edit(row.end, row.end, "".join(self.separator + cell for cell in told))] if told else []

    def with_column(self, column: str) -> CsvTable:
        """This table with one more column at the end, empty in every row."""
        quoted = bool(self.text) and self.text.lstrip("\ufeff").startswith('"')
        end = _LINE_END.search(self.text, self._start)
        at = end.start() if end else len(self.text)
        edits = [Edit(at, at, (self.separator if self.names else "") + self._written(column, quoted))]
        for row in self.rows:
            missing = len(self.names) - sum(map(len, row.cells.values()))
            edits.append(Edit(row.end, row.end, self.separator * (missing + 1)))
        return CsvTable(apply(self.text, edits), self.caption_columns, line_end=self.line_end)

    def added(self, rows: Sequence[dict[str, Any]]) -> list[Edit]:
        """See `Table`."""
        lines = []
        for values in rows:
            cells, done = [], set()
            for name in self.names:
                value = "" if name in done else values.get(name, "")
                done.add(name)
                told = value if isinstance(value, str) else caption_cell(value)
                cells.append(self._written(told, self._is_quoted(name)))
            lines.append(self.separator.join(cells))
        return _at_the_end(self.text, lines, self.line_end)


@dataclass
class JsonLines:
    """One JSON object a line."""

    text: str
    names: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    faults: dict[str, list[int]] = field(default_factory=dict)
    line_end: str = "\n"

    def __post_init__(self) -> None:
        names: dict[str, None] = {}
        at = 0
        for number, line in enumerate(self.text.split("\n"), start=1):
            if number == 1 and line.endswith("\r"):
                self.line_end = "\r\n"
            if line.strip():
                try:
                    found, end = members(self.text, at, at + len(line))
                    cells: dict[str, list[Cell]] = {}
                    for name, value, start, stop in found:
                        cells.setdefault(name, []).append(Cell(value, start, stop))
                    self.rows.append(Row(number, cells, end))
                    names.update(dict.fromkeys(cells))
                except (ValueError, RecursionError, IndexError):
                    self.faults.setdefault(NO_JSON, []).append(number)
            at += len(line) + 1
        self.names = list(names)
        self._ascii = self.text.isascii() and "\\u" in self.text

    def _json(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=self._ascii)

    def changed(self, row: Row, cells: Sequence[Cell], column: str, captions: Sequence[str]) -> list[Edit]:
        """See `Table`."""
        if not cells:
            return self.appended(row, {column: captions})
        edits = []
        for number, cell in enumerate(cells):
            told = [] if number else list(captions)
            value = told if isinstance(cell.value, list) else _told(told)
            edits.append(Edit(cell.start, cell.end, self._json(value)))
        return edits

    def appended(self, row: Row, values: Mapping[str, Sequence[str]]) -> list[Edit]:
        """See `Table`."""
        told = [f"{self._json(column)}: {self._json(_told(value))}" for column, value in values.items()]
        comma = ", " if row.cells and told else ""
        return [Edit(row.end - 1, row.end - 1, comma + ", ".join(told))] if told else []

    def added(self, rows: Sequence[dict[str, Any]]) -> list[Edit]:
        """See `Table`."""
        told = ({k: v if isinstance(v, str) else _told(v) for k, v in row.items()} for row in rows)
        return _at_the_end(self.text, [self._json(row) for row in told], self.line_end)


def _told(captions: Sequence[str]) -> Any:
    if len(captions) == 1 and not captions[0].startswith("["):
        return captions[0]
    return list(captions) if captions else ""


def _at_the_end(text: str, lines: Sequence[str], line_end: str) -> list[Edit]:
    """New lines at the end of a text, which ends afterwards as it did before."""
    if not lines:
        return []
    whole = line_end.join(lines)
    if not text or text.endswith(("\n", "\r")):
        return [Edit(len(text), len(text), whole + line_end)]
    return [Edit(len(text), len(text), line_end + whole)]


def pairs(row: Row) -> Iterator[tuple[str, list[Cell]]]:
    """The columns of a row, by their names in lower case and without spaces."""
    for name, cells in row.cells.items():
        yield name.strip().lower(), cells
