"""Line icons, drawn in the colour they are asked for and crisp at every scale."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from clip_atelier.engine.core import paths


@lru_cache(maxsize=128)
def _source(name: str) -> str:
    return (paths.resources() / "icons" / f"{name}.svg").read_text(encoding="utf-8")


@lru_cache(maxsize=512)
def pixmap(name: str, colour: str, size: int = 18, ratio: float = 1.0) -> QPixmap:
    """The icon `name` of resources/icons in one colour, `size` device-independent pixels wide."""
    picture = QPixmap(round(size * ratio), round(size * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    # A slightly thinner stroke than the set's own sits better beside text at this size.
    drawing = _source(name).replace("currentColor", colour).replace('stroke-width="2"', 'stroke-width="1.75"')
    QSvgRenderer(QByteArray(drawing.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return picture


def icon(name: str, colour: QColor | str, size: int = 18, faint: QColor | str = "") -> QIcon:
    """The icon for buttons and menus, with a fainter drawing for the disabled state if `faint` is given."""
    made = QIcon()
    for ratio in (1.0, 2.0, 3.0):
        made.addPixmap(pixmap(name, QColor(colour).name(), size, ratio))
        if faint:
            made.addPixmap(pixmap(name, QColor(faint).name(), size, ratio), QIcon.Mode.Disabled)
    return made
