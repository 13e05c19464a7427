"""Cells of tables that are ticked, or that hold one of several: drawn so that both can be seen in either theme."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from clip_atelier.gui import theme

_ROOM = 24  # pixels for the chevron at the right of a cell
Index = QModelIndex | QPersistentModelIndex


class TickDelegate(QStyledItemDelegate):
    """Draws the ticks of cells. Fusion's own are a shade darker than what they lie on, which a dark theme swallows."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        super().paint(painter, option, index)
        shown = QStyleOptionViewItem(option)
        self.initStyleOption(shown, index)
        if shown.features & QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator:
            where = shown.widget.style().subElementRect(
                QStyle.SubElement.SE_ItemViewItemCheckIndicator, shown, shown.widget
            )  # fmt: skip
            _draw_tick(painter, where, shown, index)


def _draw_tick(painter: QPainter, where: QRect, shown: QStyleOptionViewItem, index: Index) -> None:
    t = theme.tokens(shown.palette)
    on = index.data(Qt.ItemDataRole.CheckStateRole) in (Qt.CheckState.Checked, Qt.CheckState.Checked.value)
    chosen = bool(shown.state & QStyle.StateFlag.State_Selected)
    box = QRectF(where).adjusted(0.5, 0.5, -0.5, -0.5)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillRect(where.adjusted(-1, -1, 1, 1), QColor(t.accent_soft if chosen else t.surface))
    painter.setPen(QPen(QColor(t.accent if on else t.strong_line), 1))
    painter.setBrush(QColor(t.accent if on else t.surface))
    painter.drawRoundedRect(box, 3, 3)
    if on:
        pen = QPen(QColor(t.on_accent), 1.8)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        left, top, side = box.left(), box.top(), box.width()
        painter.drawPolyline(
            QPolygonF(
                [
                    QPointF(left + x * side, top + y * side)
                    for x, y in ((0.24, 0.52), (0.43, 0.71), (0.77, 0.3))
                ]
            )
        )
    painter.restore()


class OneOfDelegate(TickDelegate):
    """Draws a chevron in cells that open a list of what they could hold."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        # The ground of the whole cell first: its words end before the chevron.
        ground = QStyleOptionViewItem(option)
        self.initStyleOption(ground, index)
        ground.text = ""
        widget = ground.widget
        widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, ground, painter, widget)
        words = QStyleOptionViewItem(option)
        words.rect = words.rect.adjusted(0, 0, -_ROOM, 0)
        super().paint(painter, words, index)
        whole: QRect = option.rect
        t = theme.tokens(option.palette)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(t.muted), 1.4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        x, y = whole.right() - _ROOM / 2, whole.center().y() + 0.5
        painter.drawPolyline(
            QPolygonF([QPointF(x - 3.5, y - 2), QPointF(x, y + 1.5), QPointF(x + 3.5, y - 2)])
        )
        painter.restore()
