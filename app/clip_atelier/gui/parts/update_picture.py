"""W + (α/r) · B·A, drawn with the real shapes of a matrix and the rank that is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from clip_atelier.engine.core import _
from clip_atelier.gui import theme

_LONGEST: Final = 82.0
"""Pixels of the longer side of W at the usual size of letters."""
_THINNEST: Final = 3.0
_GAP: Final = 7.0


@dataclass(frozen=True)
class Update:
    """What is drawn.

    Attributes:
        outputs: Rows of W.
        inputs: Its columns.
        r: The rank.
        alpha: lora_alpha.
        rank_stabilised: Whether the scale is α/√r.
        lengths: Whether each row's length is learned too (DoRA).
    """

    outputs: int
    inputs: int
    r: int
    alpha: float
    rank_stabilised: bool = False
    lengths: bool = False

    @property
    def scale(self) -> float:
        """The factor before B·A."""
        return self.alpha / (self.r**0.5 if self.rank_stabilised else self.r)

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return self.r * (self.outputs + self.inputs) + (self.outputs if self.lengths else 0)

    @property
    def too_wide(self) -> bool:
        """Whether the rank is more than the matrix can use."""
        return self.r > min(self.outputs, self.inputs)


class UpdatePicture(QWidget):
    """The frozen matrix in grey, what is learned in the accent's colour, all sides in proportion."""

    def __init__(self) -> None:
        super().__init__()
        self.update_shown: Update | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setSizePolicy(policy)
        self.setMinimumWidth(240)

    def sizeHint(self) -> QSize:
        line = QFontMetricsF(self.font()).height()
        return QSize(290, round(_LONGEST + 3 * line + 4 * _GAP))

    def show_update(self, update: Update | None) -> None:
        """Draws a matrix and its update, or nothing where there is none."""
        if update != self.update_shown:
            self.update_shown = update
            self.retranslate()
            self.update()

    def retranslate(self) -> None:
        """The picture in words, for screen readers, in the current language."""
        one = self.update_shown
        self.setAccessibleName(
            ""
            if one is None
            else _(
                "A frozen matrix W of {outputs} × {inputs} numbers, plus {scale} times the product of B ({outputs} × {r}) and A "
                "({r} × {inputs}), which are learned: {parameters} numbers."
            ).format(
                outputs=one.outputs, inputs=one.inputs, r=one.r, scale=f"{one.scale:.3g}",
                parameters=f"{one.parameters:,}",
            )
        )  # fmt: skip

    def paintEvent(self, _event: QPaintEvent) -> None:
        one = self.update_shown
        if one is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _Drawing(painter, self, one).draw()
        painter.end()


class _Drawing:
    """One painting of an update, left to right."""

    def __init__(self, painter: QPainter, widget: QWidget, one: Update) -> None:
        self.painter, self.one = painter, one
        self.colours = theme.tokens(widget.palette())
        self.metrics = QFontMetricsF(widget.font())
        self.small = widget.font()
        self.small.setPixelSize(theme.CAPTION - 1)
        self.small_metrics = QFontMetricsF(self.small)
        self.font = widget.font()
        scale = one.alpha / 1.0
        over = f"{scale:g}/√{one.r}" if one.rank_stabilised else f"{scale:g}/{one.r}"
        self.factor = f"({over})"
        unit = _LONGEST / max(one.outputs, one.inputs)
        # Beside the matrices stand the signs between them; a narrow widget has smaller matrices.
        signs = sum(self.metrics.horizontalAdvance(text) for text in ("+", self.factor, "·")) + 8 * _GAP
        room = widget.width() - signs - (18 if one.lengths else 0)
        wide = 2 * one.inputs * unit + max(_THINNEST, one.r * unit)
        self.unit = unit * min(1.0, max(0.2, room / max(wide, 1.0)))
        self.middle = _GAP + _LONGEST / 2
        self.x = max(0.0, (room - (wide * self.unit / unit)) / 2)

    def draw(self) -> None:
        one, t = self.one, self.colours
        learned = t.warning if one.too_wide else t.accent
        self._box("W", one.outputs, one.inputs, t.faint, t.strong_line)
        self._sign("+")
        self._sign(self.factor)
        self._box("B", one.outputs, one.r, learned, learned)
        self._sign("·")
        self._box("A", one.r, one.inputs, learned, learned)
        if one.lengths:
            self._box("m", one.outputs, 1, t.gain, t.gain)
        self._result(learned)

    def _box(self, name: str, rows: int, columns: int, fill: str, edge: str) -> None:
        high, wide = max(_THINNEST, rows * self.unit), max(_THINNEST, columns * self.unit)
        place = QRectF(self.x, self.middle - high / 2, wide, high)
        self.painter.setPen(QPen(QColor(edge), 1))
        self.painter.setBrush(QColor(fill))
        self.painter.drawRect(place)
        line = self.small_metrics.height()
        below = self.middle + _LONGEST / 2 + _GAP
        self.painter.setFont(self.small)
        for number, text in enumerate((name, f"{rows} × {columns}")):
            self.painter.setPen(QColor(self.colours.text if number == 0 else self.colours.muted))
            advance = self.small_metrics.horizontalAdvance(text)
            # B and A may be thinner than their names: the second is one line lower there.
            lower = line * (number + (1 if name in "Bm" and number else 0))
            centre = place.center().x()
            self.painter.drawText(
                QRectF(centre - advance / 2 - 1, below + lower, advance + 2, line),
                Qt.AlignmentFlag.AlignCenter,
                text,
            )
        self.painter.setFont(self.font)
        self.x = place.right() + _GAP

    def _sign(self, text: str) -> None:
        advance = self.metrics.horizontalAdvance(text)
        self.painter.setPen(QColor(self.colours.text))
        self.painter.drawText(
            QRectF(self.x, self.middle - self.metrics.height() / 2, advance + 1, self.metrics.height()),
            Qt.AlignmentFlag.AlignCenter,
            text,
        )
        self.x += advance + _GAP

    def _result(self, learned: str) -> None:
        """How much is learned of how much, as a bar along the bottom."""
        one = self.one
        line = self.small_metrics.height()
        top = self.middle + _LONGEST / 2 + 2 * _GAP + 3 * line - 2
        width = self.painter.device().width() - 2.0
        share = min(1.0, one.parameters / (one.outputs * one.inputs))
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(QColor(self.colours.faint))
        self.painter.drawRoundedRect(QRectF(0, top, width, 4), 2, 2)
        self.painter.setBrush(QColor(learned))
        self.painter.drawRoundedRect(QRectF(0, top, max(4.0, width * share), 4), 2, 2)
