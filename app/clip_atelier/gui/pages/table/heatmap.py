"""The heat map r × lora_alpha, one field per target: what each cell gained, with its number written in it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from clip_atelier.engine.core import _, measured, signed
from clip_atelier.engine.settings import written
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.text import plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Row

_CELL: Final = QSize(112, 52)
_SIDE: Final = 64  # room for the names of the rows
_HEAD: Final = 44  # room for the title and the names of the columns
_GAP: Final = theme.XL
# How much of the full colour a cell may have, by darkness of the theme: the text must be read on all of them.
DEEPEST: Final = {False: 0.6, True: 0.42}


@dataclass(frozen=True)
class Heat:
    """One cell.

    Attributes:
        gain: Mean difference to the base, turned so that more is better.
        shown: The difference as it is written.
        value: Mean of the adapted model.
        sure: Whether every run's 95 % interval excludes zero.
        marked: Whether the best run, or one that cannot be told from it, is in it.
        runs: Ids of its runs.
    """

    gain: float
    shown: str
    value: str
    sure: bool
    marked: bool
    runs: tuple[str, ...]
    tip: str


@dataclass(frozen=True)
class Panel:
    """All cells of one target. Keys of `cells` are (r, lora_alpha)."""

    title: str
    ranks: tuple[int, ...]
    alphas: tuple[float, ...]
    cells: dict[tuple[int, float], Heat]


_VARIED: Final = frozenset(("lora.r", "lora.lora_alpha", "lora.target_modules", "train.seed"))


def comparable(rows: Sequence[Row], like: Row) -> list[Row]:
    """The runs that differ from one in nothing but what the fields show, the seed and the machine: all else is held equal."""

    def held(row: Row) -> tuple[object, ...]:
        equal = {
            name: written(value)
            for name, value in row.settings.items()
            if name not in _VARIED and not name.startswith("hardware.")
        }
        return row.questions, row.model and row.model.fingerprint, tuple(sorted(equal.items()))

    wanted = held(like)
    return [row for row in rows if held(row) == wanted]


def panels(rows: Sequence[Row], key: str, marked: set[str]) -> list[Panel]:
    """The fields for LoRA runs of one collection and model; runs of a cell that differ by seed are averaged."""
    from clip_atelier.engine.evaluation import METRICS

    metric = key.rpartition("/")[2]
    up = metric not in METRICS or METRICS[metric].direction == "up"
    found: dict[str, dict[tuple[int, float], list[Row]]] = {}
    for row in rows:
        r, alpha = row.settings.get("lora.r"), row.settings.get("lora.lora_alpha")
        if not isinstance(r, int) or not isinstance(alpha, int | float):
            continue
        if row.settings.get("train.method") == "lora" and row.value(key) == row.value(key):
            place = (r, float(alpha))
            found.setdefault(row.targets, {}).setdefault(place, []).append(row)
    # The same axes in every field, so that they can be compared at a glance.
    places = {place for cells in found.values() for place in cells}
    ranks = tuple(sorted({r for r, _alpha in places}))
    alphas = tuple(sorted({alpha for _r, alpha in places}))
    return [
        Panel(title, ranks, alphas, {place: _heat(of, key, up, marked) for place, of in cells.items()})
        for title, cells in found.items()
    ]


def _heat(rows: Sequence[Row], key: str, up: bool, marked: set[str]) -> Heat:
    from clip_atelier.engine.evaluation import spoken

    changes = [row.difference(key) for row in rows]
    change = sum(c.value for c in changes) / len(rows)
    value = sum(row.value(key) for row in rows) / len(rows)
    lines = [f"{row.name or row.run}: {spoken(c, key)}" for row, c in zip(rows, changes, strict=True)]
    if len(rows) > 1:
        spread = measured(statistics.stdev(row.value(key) for row in rows), key.rpartition("/")[2])
        told = _("Mean of {count} trainings; their values differ by {spread} (standard deviation)")
        lines.insert(0, told.format(count=len(rows), spread=spread))
    return Heat(
        gain=change if up else -change,
        shown=signed(change, key),
        value=measured(value, key.rpartition("/")[2]),
        sure=all(c.low > 0 or c.high < 0 for c in changes),
        marked=any(row.run in marked for row in rows),
        runs=tuple(row.run for row in rows),
        tip="\n".join(lines),
    )


class HeatMap(QWidget):
    """Paints the fields side by side. Blue helped, orange harmed: told apart with any kind of colour vision.

    What is not sure is pale and in plain type, so that a colour is never more than the interval allows.
    """

    chosen = Signal(object)  # run ids of the cell that was clicked

    def __init__(self) -> None:
        super().__init__()
        self._panels: list[Panel] = []
        self._places: list[tuple[QRectF, Heat]] = []
        self._chosen: set[str] = set()
        self.setMouseTracking(True)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_panels(self, shown: Sequence[Panel]) -> None:
        """Shows other fields."""
        self._panels = list(shown)
        said = [
            f"{panel.title}: r = {r}, lora_alpha = {alpha:g}: {heat.shown}"
            for panel in shown
            for (r, alpha), heat in sorted(panel.cells.items())
        ]
        self.setAccessibleName("\n".join(said))
        self._place()
        self.updateGeometry()
        self.update()

    def show_chosen(self, runs: Sequence[str]) -> None:
        """Frames the cells of chosen runs."""
        self._chosen = set(runs)
        self.update()

    def retranslate(self) -> None:
        """Painted words follow the language."""
        self.update()

    # Where things are

    def _extent(self, panel: Panel) -> QSize:
        return QSize(
            _SIDE + len(panel.alphas) * _CELL.width(), _HEAD + len(panel.ranks) * _CELL.height() + theme.M
        )

    def _walk(self, width: int) -> list[QPointF]:
        """Upper left corners of the fields, in lines that fit the width."""
        x = y = line = 0
        corners = []
        for panel in self._panels:
            size = self._extent(panel)
            if x and x + size.width() > width:
                x, y, line = 0, y + line + theme.S, 0
            corners.append(QPointF(x, y))
            x += size.width() + _GAP
            line = max(line, size.height())
        return corners

    def _place(self) -> None:
        self._places = []
        for panel, corner in zip(self._panels, self._walk(self.width()), strict=True):
            for (r, alpha), heat in panel.cells.items():
                self._places.append((self._rect(panel, corner, r, alpha), heat))

    @staticmethod
    def _rect(panel: Panel, corner: QPointF, r: int, alpha: float) -> QRectF:
        x = corner.x() + _SIDE + panel.alphas.index(alpha) * _CELL.width()
        y = corner.y() + _HEAD + panel.ranks.index(r) * _CELL.height()
        return QRectF(x + 1, y + 1, _CELL.width() - 3, _CELL.height() - 3)

    def heightForWidth(self, width: int) -> int:
        corners = self._walk(width)
        sizes = [self._extent(panel) for panel in self._panels]
        return max((round(c.y()) + s.height() for c, s in zip(corners, sizes, strict=True)), default=0)

    def hasHeightForWidth(self) -> bool:
        return True

    def sizeHint(self) -> QSize:
        return QSize(400, self.heightForWidth(max(self.width(), 400)))

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._place()
        self.setFixedHeight(max(self.heightForWidth(self.width()), 1))

    def heat_at(self, at: QPointF) -> Heat | None:
        """The cell below a point."""
        return next((heat for rect, heat in self._places if rect.contains(at)), None)

    def rect_of(self, run: str) -> QRectF:
        """Where a run's cell is painted; empty if it has none."""
        return next((rect for rect, heat in self._places if run in heat.runs), QRectF())

    # Hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        heat = self.heat_at(event.position())
        if heat is not None and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(list(heat.runs))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self.heat_at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def event(self, event: QEvent) -> bool:
        """A tooltip names the runs of the cell."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            heat = self.heat_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), plain_tooltip(heat.tip) if heat else "", self)
            return True
        return super().event(event)

    # Paint

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        largest = max((abs(heat.gain) for _rect, heat in self._places), default=0.0) or 1.0
        for panel, corner in zip(self._panels, self._walk(self.width()), strict=True):
            self._frame(painter, t, panel, corner)
            for r in panel.ranks:
                for alpha in panel.alphas:
                    rect = self._rect(panel, corner, r, alpha)
                    heat = panel.cells.get((r, alpha))
                    if heat is None:
                        self._empty(painter, t, rect)
                    else:
                        self._cell(painter, t, rect, heat, heat.gain / largest)
        painter.end()

    def _frame(self, painter: QPainter, t: theme.Tokens, panel: Panel, corner: QPointF) -> None:
        width = len(panel.alphas) * _CELL.width()
        painter.setFont(self._font(theme.BODY, strong=True))
        painter.setPen(QColor(t.text))
        title = painter.fontMetrics().elidedText(panel.title, Qt.TextElideMode.ElideRight, width + _SIDE)
        painter.drawText(
            QRectF(corner.x(), corner.y(), width + _SIDE, 20), int(Qt.AlignmentFlag.AlignLeft), title
        )
        painter.setFont(self._font(theme.CAPTION))
        painter.setPen(QColor(t.muted))
        for n, alpha in enumerate(panel.alphas):
            name = f"lora_alpha {alpha:g}" if n == 0 else f"{alpha:g}"
            rect = QRectF(corner.x() + _SIDE + n * _CELL.width(), corner.y() + 22, _CELL.width(), 18)
            painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), name)
        for n, r in enumerate(panel.ranks):
            rect = QRectF(corner.x(), corner.y() + _HEAD + n * _CELL.height(), _SIDE - 10, _CELL.height())
            painter.drawText(
                rect, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), f"r {written(r)}"
            )

    @staticmethod
    def _empty(painter: QPainter, t: theme.Tokens, rect: QRectF) -> None:
        painter.setPen(QPen(QColor(t.line), 1, Qt.PenStyle.DashLine))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(rect, theme.RADIUS_SMALL, theme.RADIUS_SMALL)

    def _cell(self, painter: QPainter, t: theme.Tokens, rect: QRectF, heat: Heat, level: float) -> None:
        full = QColor(t.accent if level >= 0 else t.warning)
        deepest = DEEPEST[t.dark]
        fill = _mixed(QColor(t.surface), full, 0.12 + (deepest - 0.12) * abs(level) if heat.sure else 0.06)
        chosen = bool(self._chosen & set(heat.runs))
        painter.setPen(QPen(QColor(t.text), 2) if chosen else QPen(_mixed(QColor(t.surface), full, 0.5), 1))
        painter.setBrush(fill)
        painter.drawRoundedRect(rect, theme.RADIUS_SMALL, theme.RADIUS_SMALL)
        painter.setPen(QColor(t.text))
        painter.setFont(self._font(theme.SUBTITLE, strong=heat.sure))
        upper = QRectF(rect.x(), rect.y() + 5, rect.width(), 22)
        painter.drawText(upper, int(Qt.AlignmentFlag.AlignCenter), heat.shown)
        painter.setFont(self._font(theme.CAPTION))
        lower = QRectF(rect.x(), rect.y() + 27, rect.width(), 16)
        best = _("best")
        words = f"{heat.value} · {best}" if heat.marked else heat.value
        painter.drawText(lower, int(Qt.AlignmentFlag.AlignCenter), words)

    def _font(self, size: int, *, strong: bool = False) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(size)
        if strong:
            font.setWeight(QFont.Weight.DemiBold)
        return font


def _mixed(low: QColor, high: QColor, share_of_high: float) -> QColor:
    a = min(max(share_of_high, 0.0), 1.0)
    parts = (
        low.redF() + a * (high.redF() - low.redF()),
        low.greenF() + a * (high.greenF() - low.greenF()),
        low.blueF() + a * (high.blueF() - low.blueF()),
    )
    return QColor.fromRgbF(*parts)
