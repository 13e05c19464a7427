"""The meaning of a map's colours; clicking one stresses its points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from clip_atelier.gui import theme

if TYPE_CHECKING:
    from clip_atelier.gui.pages.map.points import Entry

_ROW = 24


class Legend(QWidget):
    """A dot, a name and a number for each colour."""

    picked = Signal(object)  # an entry's number, or None

    def __init__(self) -> None:
        super().__init__()
        self._entries: Sequence[Entry] = ()
        self._counts: Sequence[int] = ()
        self._picked: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_entries(self, entries: Sequence[Entry], counts: Sequence[int]) -> None:
        """Shows other colours, none of them stressed."""
        self._entries, self._counts, self._picked = entries, counts, None
        self.setAccessibleName(
            ", ".join(f"{entry.text} {count:,}" for entry, count in zip(entries, counts, strict=True))
        )
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, _ROW * max(1, len(self._entries)))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def pick(self, number: int | None) -> None:
        """Stresses one colour, or none if it is stressed already."""
        self._picked = None if number == self._picked else number
        self.update()
        self.picked.emit(self._picked)

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = painter.fontMetrics()
        for number, (entry, count) in enumerate(zip(self._entries, self._counts, strict=True)):
            line = QRectF(0, number * _ROW, self.width(), _ROW)
            if number == self._picked:
                painter.setPen(QPen(QColor(t.accent), 1) if self.hasFocus() else Qt.PenStyle.NoPen)
                painter.setBrush(QColor(t.accent_soft))
                painter.drawRoundedRect(
                    line.adjusted(0.5, 1, -0.5, -1), theme.RADIUS_SMALL, theme.RADIUS_SMALL
                )
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(entry.resolved(t)))
            painter.drawEllipse(QPointF(11, line.center().y()), 5, 5)
            told = f"{count:,}"
            width = metrics.horizontalAdvance(told)
            painter.setPen(QColor(t.muted))
            painter.drawText(
                line.adjusted(0, 0, -6, 0), Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, told
            )
            painter.setPen(QColor(t.text if self._picked in (None, number) else t.muted))
            room = line.adjusted(24, 0, -width - 14, 0)
            name = metrics.elidedText(entry.text, Qt.TextElideMode.ElideRight, round(room.width()))
            painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        number = int(event.position().y() // _ROW)
        self.pick(number if 0 <= number < len(self._entries) else self._picked)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down) and self._entries:
            step = 1 if event.key() == Qt.Key.Key_Down else -1
            now = self._picked if self._picked is not None else -1 if step > 0 else len(self._entries)
            self.pick(max(0, min(len(self._entries) - 1, now + step)))
        elif event.key() == Qt.Key.Key_Escape and self._picked is not None:
            self.pick(self._picked)
        else:
            super().keyPressEvent(event)
