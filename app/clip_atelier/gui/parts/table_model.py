"""The rows of the table and how each cell reads, as a Qt model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from clip_atelier.engine.core import N_, _, duration, measured, paths, signed
from clip_atelier.engine.settings import DECLARED, written
from clip_atelier.gui.parts.run_choice import STATUS
from clip_atelier.gui.widgets.text import plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Mark, Row

Index = QModelIndex | QPersistentModelIndex
Tone = Literal["text", "muted", "gain", "loss"]

# Always among the columns: the default grid is about these.
_ALWAYS: Final = ("lora.r", "lora.lora_alpha", "lora.target_modules")
VERDICTS: Final[Mapping[str, str]] = {
    "gain": N_("helped"),
    "loss": N_("made it worse"),
    "no measurable difference": N_("no difference found"),
}
MARKS: Final[Mapping[str, str]] = {"best": N_("best"), "as good": N_("as good")}


@dataclass(frozen=True)
class Column:
    """One column. `kind` says what its cells are: text, number, setting, metric or verdict."""

    name: str
    title: str  # already in the user's language
    kind: Literal["run", "text", "number", "setting", "metric", "verdict"]
    tip: str = ""
    wanted: bool = False  # shown at first because of what the rows hold

    @property
    def right(self) -> bool:
        """Whether its cells stand to the right."""
        return self.kind == "number"


@dataclass(frozen=True)
class Cell:
    """What one cell shows: a line, a smaller line below it, and a mark; `tag` is a colour at its left edge."""

    first: str
    second: str = ""
    tone: Tone = "muted"  # of the second line
    mark: str = ""
    tip: str = ""
    tag: str = ""


class RunTable(QAbstractTableModel):
    """Every run, one row each. Sorting puts what was not measured last, whichever way."""

    CELL: Final = int(Qt.ItemDataRole.UserRole) + 1
    COLUMN: Final = int(Qt.ItemDataRole.UserRole) + 2

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[Row] = []
        self.columns: list[Column] = []
        self.task = ""
        self._marks: Mapping[str, Mapping[str, Mark]] = {}
        self._sorted: tuple[str, Qt.SortOrder] = ("created", Qt.SortOrder.DescendingOrder)

    # Filling

    def show_rows(self, rows: Sequence[Row], columns: Sequence[Column], task: str) -> None:
        """Shows other rows or columns; the order stays as it was asked for."""
        self.beginResetModel()
        self.rows = list(rows)
        self.columns = list(columns)
        self.task = task
        self._order()
        self.endResetModel()

    def show_marks(self, marks: Mapping[str, Mapping[str, Mark]]) -> None:
        """Shows which runs may be called the best: metric -> run -> mark."""
        self._marks = marks
        if self.rows and self.columns:
            last = self.index(len(self.rows) - 1, len(self.columns) - 1)
            self.dataChanged.emit(self.index(0, 0), last)

    def mark(self, row: Row, key: str) -> str:
        """A run's mark by a metric."""
        return self._marks.get(key, {}).get(row.run, "")

    def place_of(self, run: str) -> int:
        """A run's place in the table, or -1."""
        return next((n for n, row in enumerate(self.rows) if row.run == run), -1)

    # Qt's model

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        if orientation != Qt.Orientation.Horizontal or section >= len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(column.tip)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = 0) -> Any:
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], self.columns[index.column()]
        if role == self.COLUMN:
            return column
        if role not in (
            self.CELL,
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.ToolTipRole,
            Qt.ItemDataRole.AccessibleTextRole,
        ):
            return None
        cell = self.cell(row, column)
        if role == self.CELL:
            return cell
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(cell.tip)
        return " ".join(part for part in (cell.first, cell.second, cell.mark) if part)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts by a column; -1 by the time of the runs, the newest first."""
        known = 0 <= column < len(self.columns)
        self._sorted = (
            (self.columns[column].name, order) if known else ("created", Qt.SortOrder.DescendingOrder)
        )
        self.beginResetModel()
        self._order()
        self.endResetModel()

    @property
    def sorted_by(self) -> tuple[str, Qt.SortOrder]:
        """The column's name, or "created", and the direction."""
        return self._sorted

    def sort_by(self, name: str, order: Qt.SortOrder) -> None:
        """Remembers an order for the rows to come."""
        self._sorted = (name, order)

    def _order(self) -> None:
        name, order = self._sorted
        column = next((c for c in self.columns if c.name == name), None)
        self.rows.sort(key=lambda row: -row.created)
        if column is None:
            return
        keyed = [(_sort_key(row, column, self.task), row) for row in self.rows]
        known = [pair for pair in keyed if pair[0] is not None]
        missing = [row for key, row in keyed if key is None]
        known.sort(key=lambda pair: pair[0], reverse=order == Qt.SortOrder.DescendingOrder)
        self.rows = [row for _key, row in known] + missing

    # Cells

    def cell(self, row: Row, column: Column) -> Cell:
        """What one cell shows."""
        if column.kind == "metric":
            return self._metric(row, column.name)
        if column.kind == "verdict":
            return _verdict(row, f"{self.task}/R@1")
        if column.kind == "setting":
            return Cell(written(row.settings.get(column.name)) or "–")
        lines = (*_TEXTS[column.name](row), "")
        if column.name == "run":
            return Cell(lines[0], lines[1], tip=row.label.note, tag=row.label.tag)
        return Cell(lines[0], lines[1])

    def _metric(self, row: Row, key: str) -> Cell:
        from clip_atelier.engine.evaluation import spoken

        metric = key.rpartition("/")[2]
        base, after, change = row.value(key, "base"), row.value(key), row.difference(key)
        if after != after:  # NaN: not measured
            return Cell("–")
        verdict = row.verdict(key)
        tone: Tone = "gain" if verdict == "gain" else "loss" if verdict == "loss" else "muted"
        mark = self.mark(row, key)
        tip = _("{base} before, {after} after; difference {value}, 95 % interval {low} to {high}").format(
            base=measured(base, metric), after=measured(after, metric), value=signed(change.value, key),
            low=signed(change.low, key), high=signed(change.high, key),
        )  # fmt: skip
        first = f"{measured(base, metric)} → {measured(after, metric)}"
        return Cell(first, spoken(change, key), tone, _(MARKS[mark]) if mark else "", tip)


def run_title(row: Row) -> str:
    """A run's name, or when it began."""
    return row.name or began(row)


def told_apart(rows: Sequence[Row]) -> list[str]:
    """The runs' titles; those of one name also say when they began, and where even that is the same, their id."""
    titles = [run_title(row) for row in rows]
    for more in (began, lambda row: row.run):
        same = {title for title in titles if titles.count(title) > 1}
        titles = [
            f"{row.name or row.run} · {more(row)}" if title in same else title
            for title, row in zip(titles, rows, strict=True)
        ]
    return titles


def began(row: Row) -> str:
    """When a run began."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created)) if row.created else row.run


def _run(row: Row) -> tuple[str, str]:
    status = _(STATUS.get(row.status, "")) or row.status
    when = began(row) if row.name else ""
    return run_title(row), " · ".join(part for part in (when, status) if part)


def _trainable(row: Row) -> tuple[str]:
    return (f"{row.result.trainable_parameters:,}" if row.measured else "–",)


def _seconds(row: Row) -> tuple[str]:
    return (duration(row.result.seconds) if row.measured else "–",)


def _step(row: Row) -> tuple[str]:
    result = row.result
    return (f"{result.best_step:,} / {result.total_steps:,}" if row.measured else "–",)


def _strength(row: Row) -> tuple[str]:
    return (f"{row.result.strength:g}" if row.measured else "–",)


def _verdict(row: Row, key: str) -> Cell:
    word = row.verdict(key)
    if not word:
        return Cell("–")
    tone: Tone = "gain" if word == "gain" else "loss" if word == "loss" else "text"
    return Cell(_(VERDICTS[word]), tone=tone, tip=row.result.verdict_text)


_TEXTS: dict[str, Callable[[Row], tuple[str, ...]]] = {
    "run": _run,
    "status": lambda row: (_(STATUS.get(row.status, "")) or row.status,),
    "created": lambda row: (began(row),),
    "folder": lambda row: (paths.shown(Path(row.folder).name),),
    "model": lambda row: (paths.shown(Path(str(row.settings.get("model.name", ""))).name),),
    "trainable": _trainable,
    "seconds": _seconds,
    "best step": _step,
    "strength": _strength,
}


def _sort_key(row: Row, column: Column, task: str) -> Any:
    """What a row is sorted by; None goes last."""
    result = row.result
    if column.kind == "metric":
        value = row.value(column.name)
        return value if value == value else None
    if column.kind == "verdict":
        # From what helped most surely to what harmed most surely.
        change = row.difference(f"{task}/R@1")
        word = row.verdict(f"{task}/R@1")
        return (("loss", "no measurable difference", "gain").index(word), change.value) if word else None
    if column.kind == "setting":
        chosen = row.settings.get(column.name)
        return chosen if chosen is None or isinstance(chosen, int | float) else written(chosen)
    numbers = {
        "trainable": "trainable_parameters",
        "seconds": "seconds",
        "best step": "best_step",
        "strength": "strength",
    }
    if column.name in numbers:
        return getattr(result, numbers[column.name]) if row.measured else None
    if column.name == "created":
        return row.created
    first = _TEXTS[column.name](row)[0] if column.name in _TEXTS else ""
    return first.casefold()


def all_columns(rows: Sequence[Row], task: str) -> list[Column]:
    """Every column that says something about these rows, in order."""
    from clip_atelier.engine.evaluation import METRICS, comparison

    varied = comparison.varied(rows)
    # A run's name says its model and its folder has a column of its own.
    names = [name for name in DECLARED if name in _ALWAYS or (name in varied and name != "model.name")]
    found = [Column("run", _("Trainings"), "run")]
    found += [
        Column("status", _("State"), "text"),
        Column("created", _("Began"), "text"),
        Column("folder", _("Collection"), "text", wanted=len({row.folder for row in rows}) > 1),
        Column("model", _("Model"), "text"),
    ]
    for name in names:
        declared = DECLARED[name]
        # PEFT's own names are what people look for; the others are better known by their titles.
        title = name.rpartition(".")[2] if name.startswith("lora.") else _(declared.title)
        found.append(Column(name, title, "setting", _(declared.summary)))
    for key in comparison.keys(rows):
        if key.rpartition("/")[0] == task:
            metric = METRICS.get(key.rpartition("/")[2])
            title = (
                key.rpartition("/")[2] if metric is None or metric.name != "median_rank" else _(metric.title)
            )
            tip = f"{_(metric.title)}\n{_(metric.explanation)}" if metric else ""
            found.append(Column(key, title, "metric", tip))
    found.append(Column("verdict", _("Verdict"), "verdict", _("What the 95 % interval of R@1 allows to say")))
    found += [
        Column("trainable", _("Parameters"), "number", _("How many numbers were trained")),
        Column("seconds", _("Time"), "number"),
        Column("best step", _("Best step"), "number"),
        Column("strength", _("Strength"), "number", _("Strength of the update, chosen after training")),
    ]
    return found


def shown_at_first(column: Column) -> bool:
    """Whether a column is shown before the user chose any."""
    if column.kind == "metric":
        return column.name.rpartition("/")[2] in ("R@1", "mAP")
    return column.wanted or column.name in ("run", *_ALWAYS, "trainable", "seconds", "verdict")
