"""Both towers of a model, layer by layer; a click says which of them learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from clip_atelier.engine.core import N_, _
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.text import plain_tooltip

TOWERS: Final = ("vision", "text")
_NAMES: Final = {"vision": N_("Images"), "text": N_("Texts")}
_STACK: Final = 144.0
"""Pixels that the layers of a tower take at most."""
_GAP: Final = 3.0
_TALLEST: Final = 15.0


@dataclass(frozen=True)
class Towers:
    """What is drawn: of each tower its number of layers, those that learn (from 0), and whether its end does."""

    layers: Mapping[str, int] = field(default_factory=dict)
    adapted: Mapping[str, frozenset[int]] = field(default_factory=dict)
    ends: Mapping[str, bool] = field(default_factory=dict)

    def learns(self, tower: str) -> bool:
        """Whether anything of a tower learns."""
        return bool(self.adapted.get(tower)) or self.ends.get(tower, False)


class TowerPicture(QWidget):
    """The layers that learn are in the accent's colour; what enters stands below, what comes out above.

    A click on a layer has it and all behind it learn, in each tower; on the first one, all layers. With Ctrl a click adds
    this one layer or takes it away, in each tower. A click on a tower's name has only that one learn, and both again.
    Keys: up and down for fewer and more layers, left and right for a tower.
    """

    last_layers = Signal(int)  # how many, from the end; 0 for all
    single_layers = Signal(object)  # frozenset of their numbers, from 0; never empty
    towers = Signal(str)  # "both", "vision" or "text"
    end = Signal(str)  # the tower whose end was clicked

    def __init__(self) -> None:
        super().__init__()
        self.shown = Towers()
        self._under = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed))
        self.setMinimumWidth(200)

    def sizeHint(self) -> QSize:
        most = max(self.shown.layers.values(), default=0)
        stack = min(_STACK, most * _TALLEST)
        return QSize(290, round(stack + 2 * QFontMetricsF(self.font()).height() + 34))

    def show_towers(self, shown: Towers) -> None:
        """Draws these towers."""
        self.shown = shown
        self.updateGeometry()
        self.retranslate()
        self.update()

    def retranslate(self) -> None:
        """The picture in words, for screen readers, in the current language."""
        said = [
            _("{tower}: {count} of {all} layers learn").format(
                tower=_(_NAMES[tower]), count=len(self.shown.adapted.get(tower, ())), all=layers
            )
            for tower, layers in self.shown.layers.items()
        ]
        self.setAccessibleName("; ".join(said))
        self.setAccessibleDescription(
            _("Up and down: fewer or more layers. Left and right: only one side. Home: all.")
        )

    # Where things are

    def parts(self) -> dict[str, QRectF]:
        """Places of what can be clicked: "vision", "vision.end", "vision.0" for its first layer, and so on."""
        line = QFontMetricsF(self.font()).height()
        found = {}
        wide = (self.width() - 3 * theme.M) / 2
        for column, tower in enumerate(TOWERS):
            left = theme.M + column * (wide + theme.M)
            found[tower] = QRectF(left, 0, wide, line + 8)
            top = line + 14
            found[f"{tower}.end"] = QRectF(left + wide * 0.25, top, wide * 0.5, 12)
            count = self.shown.layers.get(tower, 0)
            if not count:
                continue
            step = min(_TALLEST, _STACK / count)
            for number in range(count):
                below = top + 16 + step * (count - 1 - number)
                found[f"{tower}.{number}"] = QRectF(left, below, wide, max(2.0, step - min(_GAP, step / 3)))
        return found

    def _at(self, point: QPointF) -> str:
        return next((name for name, place in self.parts().items() if place.contains(point)), "")

    # Painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for name, place in self.parts().items():
            tower, _dot, part = name.partition(".")
            if not part:
                on = self.shown.learns(tower)
                self._name(painter, place, tower, t.accent if on else t.muted, under=name == self._under)
                continue
            on = (
                self.shown.ends.get(tower, False)
                if part == "end"
                else int(part) in self.shown.adapted.get(tower, ())
            )
            painter.setPen(QPen(QColor(t.accent_hover if name == self._under else t.strong_line), 1))
            painter.setBrush(QColor(t.accent if on else t.faint))
            round_ = min(3.0, place.height() / 3)
            painter.drawRoundedRect(place, round_, round_)
        self._foot(painter, t)
        if self.hasFocus():
            painter.setPen(QPen(QColor(t.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), theme.RADIUS, theme.RADIUS)
        painter.end()

    def _name(self, painter: QPainter, place: QRectF, tower: str, colour: str, *, under: bool) -> None:
        font = self.font()
        font.setBold(True)
        font.setUnderline(under)
        painter.setFont(font)
        painter.setPen(QColor(colour))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, _(_NAMES[tower]))
        painter.setFont(self.font())

    def _foot(self, painter: QPainter, t: theme.Tokens) -> None:
        """How many of the layers of each tower learn."""
        line = QFontMetricsF(self.font()).height()
        wide = (self.width() - 3 * theme.M) / 2
        painter.setPen(QColor(t.muted))
        for column, tower in enumerate(TOWERS):
            text = _("{count} of {all}").format(
                count=len(self.shown.adapted.get(tower, ())), all=self.shown.layers.get(tower, 0)
            )
            left = theme.M + column * (wide + theme.M)
            painter.drawText(
                QRectF(left, self.height() - line - 2, wide, line), Qt.AlignmentFlag.AlignCenter, text
            )

    # Choosing

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        under = self._at(event.position())
        if under != self._under:
            self._under = under
            self.setCursor(Qt.CursorShape.PointingHandCursor if under else Qt.CursorShape.ArrowCursor)
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._under = ""
        self.update()
        super().leaveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            alone = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            self.choose(self._at(event.position()), alone=alone)

    def choose(self, name: str, *, alone: bool = False) -> None:
        """Does what a click on a part does, with Ctrl (`alone`) for a layer by itself; see `parts`."""
        tower, _dot, part = name.partition(".")
        if not tower:
            return
        if not part:
            only = self.shown.learns(tower) and not self.shown.learns(_other(tower))
            self.towers.emit("both" if only else tower)
        elif part == "end":
            self.end.emit(tower)
        else:
            if not self.shown.learns(tower):
                self.towers.emit("both")
            number = int(part)
            if alone:
                now = frozenset().union(*self.shown.adapted.values())
                self.single_layers.emit((now ^ {number}) or frozenset({number}))
                return
            self.last_layers.emit(self.shown.layers[tower] - number if number else 0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        longest = max(self.shown.layers.values(), default=0)
        now = max((len(found) for found in self.shown.adapted.values()), default=0)
        key = event.key()
        if key == Qt.Key.Key_Up and longest:
            self.last_layers.emit(max(1, now - 1))
        elif key == Qt.Key.Key_Down and longest:
            self.last_layers.emit(now + 1 if now + 1 < longest else 0)
        elif key == Qt.Key.Key_Home:
            self.last_layers.emit(0)
            self.towers.emit("both")
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.choose(TOWERS[key == Qt.Key.Key_Right])
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            name = self._at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), plain_tooltip(self.told(name)), self)
            return True
        return super().event(event)

    def told(self, name: str) -> str:
        """What a click on a part does, in words; "" for none."""
        tower, _dot, part = name.partition(".")
        if not tower:
            return ""
        if not part:
            return _("Only this side learns, or both again")
        if part == "end":
            return _("The last matrix of this side, into the shared space: learns or not")
        return _("Layer {number}: it and those behind it learn; with Ctrl, it alone learns or not").format(
            number=int(part)
        )


def _other(tower: str) -> str:
    return TOWERS[tower == TOWERS[0]]
