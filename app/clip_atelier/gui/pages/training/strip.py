"""The living strip: pinned queries whose first results change as the model learns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from clip_atelier.engine.core import Ranking, _, page_number
from clip_atelier.engine.data import located
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.text import plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.gui.parts.pictures import PictureStore

_SIDE = 58
_GAP = theme.S


class Strip(QWidget):
    """One query and its first results; those that are right have a green edge."""

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self._store = store
        self._root = Path()
        self._now: Ranking | None = None
        self._first: Ranking | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        store.arrived.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(6 * (_SIDE + _GAP) + 30, _SIDE + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(4 * (_SIDE + _GAP), _SIDE + 2)

    def show_ranking(self, root: Path, history: list[Ranking]) -> None:
        """Shows the latest ranking of a query's history."""
        self._root = root
        self._now = history[-1] if history else None
        self._first = history[0] if history else None
        self.setAccessibleName(self._now.query if self._now else "")
        self.update()

    def _places(self) -> list[tuple[QRectF, str, str]]:
        """Where each picture or text is drawn: rectangle, path or text, and its tooltip."""
        now = self._now
        if now is None:
            return []
        places = [(QRectF(1, 1, _SIDE, _SIDE), now.query_path, now.query)]
        x = _SIDE + 34.0
        room = self.width() - x
        count = max(1, len(now.paths))
        most = _SIDE if now.query_path or _is_file(now.paths) else 150
        width = min(float(most), (room - _GAP * count) / count)
        for path in now.paths:
            places.append((QRectF(x, 1, width, _SIDE), path, path))
            x += width + _GAP
        return places

    def paintEvent(self, _event: QPaintEvent) -> None:
        now = self._now
        if now is None:
            return
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for number, (place, path, words) in enumerate(self._places()):
            right = number > 0 and number - 1 < len(now.relevant) and now.relevant[number - 1]
            outline = QPainterPath()
            outline.addRoundedRect(place, theme.RADIUS_SMALL, theme.RADIUS_SMALL)
            if path and _is_file((path,)):
                painter.fillPath(outline, QColor(theme.PAPER))
                self._picture(painter, outline, place, path)
            else:
                painter.fillPath(outline, QColor(t.raised))
                painter.setPen(QColor(t.text))
                room = place.adjusted(4, 2, -4, -2)
                painter.drawText(room, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, words)
            painter.setPen(QPen(QColor(t.gain if right else t.line), 2 if right else 1))
            painter.drawPath(outline)
        painter.setPen(QColor(t.muted))
        painter.drawText(QRectF(_SIDE + 4, 0, 28, _SIDE), Qt.AlignmentFlag.AlignCenter, "→")
        painter.end()

    def _picture(self, painter: QPainter, outline: QPainterPath, place: QRectF, path: str) -> None:
        pixmap = self._store.get(located(self._root, path), round(_SIDE * self.devicePixelRatioF()))
        if pixmap is None:
            return
        painter.save()
        painter.setClipPath(outline)
        fit = QSize(pixmap.size()).scaled(
            place.size().toSize() - QSize(4, 4), Qt.AspectRatioMode.KeepAspectRatio
        )
        target = QRectF(0, 0, fit.width(), fit.height())
        target.moveCenter(place.center())
        painter.drawPixmap(target, pixmap, QRectF(pixmap.rect()))
        painter.restore()

    def event(self, event: object) -> bool:
        """Tells what a picture is, and where it stood before training."""
        if isinstance(event, QHelpEvent) and self._now is not None:
            for number, (place, path, words) in enumerate(self._places()):
                if place.contains(event.pos()):
                    text = words
                    if number and self._first is not None and self._first is not self._now:
                        before = self._first.paths.index(path) + 1 if path in self._first.paths else 0
                        text += "\n" + (
                            _("place {now}, before training {before}").format(now=number, before=before)
                            if before
                            else _("place {now}, before training further down").format(now=number)
                        )
                    QToolTip.showText(event.globalPos(), plain_tooltip(text), self)
                    return True
        return super().event(event)  # type: ignore[arg-type]


def _is_file(names: tuple[str, ...]) -> bool:
    return all("." in name[-6:] or page_number(name) for name in names)
