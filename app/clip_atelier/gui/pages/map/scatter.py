"""A map of thousands of points that stays fluid: arrays only, no object per point, and drawn anew only when it changes.

World coordinates are the map's own, with y up; screen coordinates are device-independent pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEasingCurve, QEvent, QPoint, QPointF, QRectF, QSize, Qt, QVariantAnimation, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from clip_atelier.gui import theme
from clip_atelier.gui.pages.map import scatter_paint
from clip_atelier.gui.widgets.lasso import Lasso, inside

if TYPE_CHECKING:
    from clip_atelier.gui.pages.map.points import Entry, MapData
    from clip_atelier.gui.parts.pictures import PictureStore

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_NEAR = 9.0  # pixels within which the pointer means a point
_FEW = 90  # points in view that are shown as small pictures
_FAINT = 0.14  # opacity of what is not chosen
_MARGIN = 28.0
_WALK_MS = 350
_MOST_WALKING = 20_000  # points; more of them are at their new places at once


class Scatter(QWidget):
    """The map. Drag to move, wheel or + and − to come nearer, 0 to see all; with the lasso, drag to choose."""

    hovered = Signal(object)  # index of a point, or None
    opened = Signal(int)  # double click
    chosen = Signal(object)  # [N] bool, or None for nothing
    menu_wanted = Signal(int, QPoint)  # index, global place

    def __init__(self, store: PictureStore) -> None:
        super().__init__()
        self._store = store
        self._data: MapData | None = None
        self.at = np.zeros((0, 2))  # world, at the current amount
        self._amount = 0.0
        self._which = np.zeros(0, np.int64)
        self._entries: Sequence[Entry] = ()
        self._picked: int | None = None  # the entry that is stressed
        self._selected: Mask | None = None
        self._arrows = False
        self.scale, self._centre = 1.0, np.zeros(2)
        self._fitted = True
        self._layer: QPixmap | None = None
        self._hover: int | None = None
        self._lasso = Lasso()
        self._lassoing = False
        self._pressed: QPointF | None = None
        self._way = (self.at, self.at)  # from where to where the points walk
        self._walk_to = QVariantAnimation(self)
        self._walk_to.setStartValue(0.0)
        self._walk_to.setEndValue(1.0)
        self._walk_to.setDuration(_WALK_MS)
        self._walk_to.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._walk_to.valueChanged.connect(self._on_walk)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 240)
        store.arrived.connect(self._on_arrived)

    # What is shown

    def show_data(self, data: MapData | None) -> None:
        """Shows another map, all of it in view."""
        self._data = data
        self._selected = None
        self._picked = None
        self._hover = None
        self.set_amount(self._amount)
        self.fit()

    def go_to(self, data: MapData) -> None:
        """Walks to another map of the same images; the view, what is chosen and what is stressed stay."""
        self._walk_to.stop()
        start = self.at
        self._data = data
        self.set_amount(self._amount)
        if start.shape != self.at.shape or len(start) > _MOST_WALKING or not self.isVisible():
            return
        self._way = (start, self.at)
        self._walk_to.start()

    def _on_walk(self, done: float) -> None:
        start, end = self._way
        self.at = start + done * (end - start) if done < 1 else end
        self._renew()

    def set_colours(self, which: NDArray[np.int64], entries: Sequence[Entry]) -> None:
        """Colours each point by an entry."""
        self._which, self._entries, self._picked = which, entries, None
        self._renew()

    def set_amount(self, amount: float) -> None:
        """Places the points between the base's map (0) and the adapted one's (1)."""
        self._walk_to.stop()
        self._amount = amount
        data = self._data
        if data is None:
            self.at = np.zeros((0, 2))
        elif data.adapted is None:
            self.at = data.base
        else:
            self.at = data.base + amount * (data.adapted - data.base)
        self._renew()

    def set_arrows(self, on: bool) -> None:
        """Draws the way of the points that really moved."""
        self._arrows = on
        self._renew()

    def set_lasso(self, on: bool) -> None:
        """Has dragging choose points instead of moving the map."""
        self._lassoing = on
        self.setCursor(Qt.CursorShape.CrossCursor if on else Qt.CursorShape.ArrowCursor)

    def pick(self, entry: int | None) -> None:
        """Stresses the points of one colour, or none."""
        self._picked = entry
        self._renew()

    def choose(self, entry: int | None) -> None:
        """Chooses the points of one colour, or none."""
        self.select(None if entry is None else self._which == entry)

    def select(self, mask: Mask | None) -> None:
        """Chooses points."""
        self._selected = mask if mask is not None and mask.any() else None
        self._renew()
        self.chosen.emit(self._selected)

    # Where things are

    def fit(self) -> None:
        """Has all points in view, before and after."""
        self._fitted = True
        data = self._data
        if data is not None and len(data.base):
            both = data.base if data.adapted is None else np.concatenate([data.base, data.adapted])
            low, high = both.min(axis=0), both.max(axis=0)
            room = np.maximum(np.array([self.width(), self.height()]) - 2 * _MARGIN, 20)
            self._centre = (low + high) / 2
            self.scale = float((room / np.maximum(high - low, 1e-9)).min())
        self._renew()

    def zoom(self, factor: float, about: QPointF | None = None) -> None:
        """Comes nearer (above 1) or goes away, about a place of the screen."""
        if self._data is None:
            return
        point = self.rect().center() if about is None else about
        fixed = self.to_world(QPointF(point))
        self._fitted = False
        self.scale = float(np.clip(self.scale * factor, 1e-6, 1e9))
        self._centre = self._centre + fixed - self.to_world(QPointF(point))
        self._renew()

    def to_screen(self, world: Floats) -> Floats:
        """World [N, 2] -> screen [N, 2]."""
        middle = np.array([self.width() / 2, self.height() / 2])
        places: Floats = (world - self._centre) * np.array([self.scale, -self.scale]) + middle
        return places

    def to_world(self, point: QPointF) -> Floats:
        """A place of the screen -> world [2]."""
        away = np.array([point.x() - self.width() / 2, -(point.y() - self.height() / 2)])
        where: Floats = self._centre + away / self.scale
        return where

    def in_view(self) -> NDArray[np.int64]:
        """Indices of the points that can be seen."""
        x, y = self.to_screen(self.at).T
        seen: NDArray[np.int64] = np.flatnonzero(
            (x > -8) & (x < self.width() + 8) & (y > -8) & (y < self.height() + 8)
        )
        return seen

    def nearest(self, point: QPointF) -> int | None:
        """The point that a place of the screen means."""
        if not len(self.at):
            return None
        away = np.hypot(*(self.to_screen(self.at) - (point.x(), point.y())).T)
        closest = int(away.argmin())
        return closest if away[closest] <= _NEAR + (14 if self._pictures_shown() else 0) else None

    def _pictures_shown(self) -> bool:
        return 0 < len(self.in_view()) <= _FEW

    # Drawing

    def _renew(self) -> None:
        self._layer = None
        self.update()

    def _on_arrived(self) -> None:
        if (
            self.isVisible()
            and self._data is not None
            and (self._hover is not None or self._pictures_shown())
        ):
            self._renew()

    def paintEvent(self, _event: QPaintEvent) -> None:
        t = theme.tokens(self.palette())
        painter = QPainter(self)
        if self._layer is None:
            ratio = self.devicePixelRatioF()
            self._layer = QPixmap(QSize(round(self.width() * ratio), round(self.height() * ratio)))
            self._layer.setDevicePixelRatio(ratio)
            self._layer.fill(QColor(t.surface))
            inner = QPainter(self._layer)
            self.draw(inner, t)
            inner.end()
        painter.drawPixmap(0, 0, self._layer)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if self._lasso.drawing:
            painter.setPen(QPen(QColor(t.accent), 1, Qt.PenStyle.DashLine))
            wash = QColor(t.accent)
            wash.setAlphaF(0.1)
            painter.setBrush(wash)
            painter.drawPolygon(self._lasso.line())
        elif self._hover is not None and self._data is not None:
            self._card(painter, t, self._data, self._hover)
        if self.hasFocus():
            painter.setPen(QPen(QColor(t.accent), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(
                QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS_SMALL, theme.RADIUS_SMALL
            )
        painter.end()

    def picture(self, ratio: float = 2.0) -> QImage:
        """The map as it is seen now, for a file: `ratio` times as many pixels, nothing under the pointer."""
        image = QImage(self.size() * ratio, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(ratio)
        t = theme.tokens(self.palette())
        image.fill(QColor(t.surface))
        painter = QPainter(image)
        self.draw(painter, t)
        painter.end()
        return image

    def draw(self, painter: QPainter, t: theme.Tokens) -> None:
        """Draws the map itself on any painter of this widget's size."""
        data = self._data
        if data is None or not len(self.at):
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        seen = self.in_view()
        screen = self.to_screen(self.at)[seen]
        stressed = np.ones(len(seen), np.bool_)
        if self._picked is not None:
            stressed &= self._which[seen] == self._picked
        if self._selected is not None:
            stressed &= self._selected[seen]
        colours = [QColor(entry.resolved(t)) for entry in self._entries] or [QColor(t.accent)]
        which = self._which[seen] if len(self._which) == len(self.at) else np.zeros(len(seen), np.int64)
        if self._arrows and data.adapted is not None:
            # Only the points that moved farther than nearly all of the control's: the others' motion says nothing.
            moved = seen[data.moved[seen]]
            starts, ends = self.to_screen(data.base[moved]), self.to_screen(data.adapted[moved])
            scatter_paint.arrows(painter, t.muted, starts, ends)
        # The stressed ones last, so that nothing hides them.
        order = np.argsort(stressed, kind="stable")
        radius = float(np.clip(125 / np.sqrt(len(self.at)), 1.8, 5.0))
        faded = np.where(stressed, 1.0, _FAINT)
        scatter_paint.dots(painter, screen[order], which[order], faded[order], colours, radius)
        if 0 < len(seen) <= _FEW:
            files = [data.path(int(n)) for n in seen[stressed]]
            edges = [colours[n] for n in which[stressed]]
            scatter_paint.thumbs(painter, self._store, files, screen[stressed], edges)

    def _card(self, painter: QPainter, t: theme.Tokens, data: MapData, index: int) -> None:
        at = QPointF(*self.to_screen(self.at[index : index + 1])[0])
        picture = self._store.get(data.path(index), round(scatter_paint.CARD * self.devicePixelRatioF()))
        scatter_paint.card(painter, t, at, self.size(), picture, [data.title(index), *data.told(index)])

    # Hands

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._fitted:
            self.fit()
        else:
            self._renew()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._renew()

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom(1.0015 ** event.angleDelta().y(), event.position())
        self._point_at(event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            if self._lassoing or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self._lasso.begin(event.position())
                self._hover = None
            else:
                self._pressed = event.position()
        elif event.button() == Qt.MouseButton.RightButton:
            index = self.nearest(event.position())
            if index is not None:
                self.menu_wanted.emit(index, event.globalPosition().toPoint())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._lasso.drawing:
            self._lasso.go(event.position())
            self.update()
        elif self._pressed is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._centre = self._centre + self.to_world(self._pressed) - self.to_world(event.position())
            self._pressed = event.position()
            self._fitted = False
            self._hover = None
            self._renew()
        else:
            self._point_at(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._pressed = None
        if self._lasso.drawing and event.button() == Qt.MouseButton.LeftButton:
            corners = self._lasso.end()
            self.select(inside(self.to_screen(self.at), corners) if len(self.at) else None)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        index = self.nearest(event.position())
        if index is not None and event.button() == Qt.MouseButton.LeftButton:
            self.opened.emit(index)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover_over(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = 40 / self.scale
        keys: dict[int, Callable[[], Any]] = {
            Qt.Key.Key_Plus: lambda: self.zoom(1.25),
            Qt.Key.Key_Equal: lambda: self.zoom(1.25),
            Qt.Key.Key_Minus: lambda: self.zoom(0.8),
            Qt.Key.Key_0: self.fit,
            Qt.Key.Key_Escape: lambda: self.select(None),
            Qt.Key.Key_Left: lambda: self._walk(-step, 0),
            Qt.Key.Key_Right: lambda: self._walk(step, 0),
            Qt.Key.Key_Up: lambda: self._walk(0, step),
            Qt.Key.Key_Down: lambda: self._walk(0, -step),
        }
        act = keys.get(event.key())
        if act is None:
            super().keyPressEvent(event)
        else:
            act()

    def _walk(self, x: float, y: float) -> None:
        self._centre = self._centre + np.array([x, y])
        self._fitted = False
        self._renew()

    def _point_at(self, point: QPointF) -> None:
        self._hover_over(self.nearest(point))

    def _hover_over(self, index: int | None) -> None:
        if index != self._hover:
            self._hover = index
            self.update()
            self.hovered.emit(index)
