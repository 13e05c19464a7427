"""Results as contact sheets: pictures with captions and scores on A4 pages, as one PDF or a PNG a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QBuffer, QByteArray, QMarginsF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QGuiApplication,
    QImage,
    QImageWriter,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
)

from clip_atelier.engine.core import Control, UserError, Work, _, paths, replacing
from clip_atelier.engine.data import located
from clip_atelier.gui import theme
from clip_atelier.gui.parts.pictures import read_picture
from clip_atelier.gui.parts.spoken_caption import in_own_language

if TYPE_CHECKING:
    from clip_atelier.gui.pages.search.jobs import Hit
    from clip_atelier.gui.workers import Tools

# All lengths below are in 1/96 inch, of which an A4 page has:
_PAGE: Final = QRectF(0, 0, 794, 1123)
_MARGIN: Final = 40.0
_HEAD: Final = 46.0
_FOOT: Final = 18.0
_ACROSS, _DOWN = 4, 5
_GAP: Final = 12.0
_WORDS: Final = 44.0
"""Height of the words below a picture."""
_DPI: Final = 200
_INK, _QUIET, _LINE = QColor("#1c1a17"), QColor("#6a645b"), QColor("#d8d3c8")


@dataclass(frozen=True)
class Section:
    """One ranking, on pages of its own."""

    title: str
    hits: Sequence[Hit]


@dataclass(frozen=True)
class Sheet:
    """What the pages show: `asked` is the search in one line."""

    asked: str
    root: Path
    sections: Sequence[Section]

    @property
    def pages(self) -> list[tuple[Section, int]]:
        """Every page: whose it is, and the place of its first result, from 0."""
        count = _ACROSS * _DOWN
        return [(one, start) for one in self.sections for start in range(0, len(one.hits), count)]


def write(sheet: Sheet, out: Path, _tools: Tools, control: Control) -> Work[tuple[Path, ...]]:
    """Writes the pages; the files that were written.

    Pictures come page by page, so that no more of them is in memory.

    Raises:
        UserError: a file of a later page is there already.
        WorkError: it cannot be written.
        Stopped: a stop was asked for; of a PDF nothing is written.
    """
    yield from ()
    hint = _("Choose another place for it.")
    if out.suffix.lower() == ".pdf":
        with replacing(out, hint) as partial:
            _pdf(sheet, partial, control)
        return (out,)
    files = files_of(out, len(sheet.pages))
    taken = next((file for file in files[1:] if file.exists()), None)
    if taken is not None:
        raise UserError(_("“{path}” exists already.").format(path=paths.shown(taken)), hint)
    for number, file in enumerate(files):
        control.boundary()
        image = QImage(
            round(_PAGE.width() * _DPI / 96), round(_PAGE.height() * _DPI / 96), QImage.Format.Format_RGB32
        )
        image.setDotsPerMeterX(round(_DPI / 0.0254))
        image.setDotsPerMeterY(round(_DPI / 0.0254))
        image.fill(Qt.GlobalColor.white)
        painter = QPainter(image)
        _paint(painter, sheet, number, image.width() / _PAGE.width(), control)
        painter.end()
        with replacing(file, hint) as partial:
            buffer = QBuffer()
            QImageWriter(buffer, QByteArray(b"png")).write(image)
            partial.write_bytes(bytes(buffer.data().data()))
    return tuple(files)


def files_of(out: Path, pages: int) -> list[Path]:
    """The file of each page: the first as it was named, the others numbered from 2."""
    return [out if n == 1 else out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(1, pages + 1)]


def _pdf(sheet: Sheet, file: Path, control: Control) -> None:
    writer = QPdfWriter(str(file))
    writer.setResolution(_DPI)
    writer.setTitle(sheet.asked)
    whole = QPageLayout(
        QPageSize(QPageSize.PageSizeId.A4), QPageLayout.Orientation.Portrait, QMarginsF(0, 0, 0, 0)
    )
    writer.setPageLayout(whole)
    painter = QPainter(writer)
    try:
        for number in range(len(sheet.pages)):
            control.boundary()
            if number:
                writer.newPage()
            _paint(painter, sheet, number, writer.width() / _PAGE.width(), control)
    finally:
        painter.end()
        del writer  # closes the file


def _paint(painter: QPainter, sheet: Sheet, number: int, scale: float, control: Control) -> None:
    """One page; `scale` is how many of the painter's dots make one of our lengths."""
    section, start = sheet.pages[number]
    painter.save()
    painter.scale(scale, scale)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    inner = _PAGE.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
    head = QRectF(inner.left(), inner.top(), inner.width(), _HEAD)
    _line(painter, head.adjusted(0, 0, 0, -_HEAD / 2), sheet.asked, 15, _INK, bold=True)
    below = f"{section.title}  ·  {paths.shown(sheet.root.name)}"
    _line(painter, head.adjusted(0, 19, 0, 0), below, 10, _QUIET)
    last = len(sheet.pages)
    foot = QRectF(inner.left(), inner.bottom() - _FOOT, inner.width(), _FOOT)
    _line(painter, foot, f"{number + 1} / {last}", 9, _QUIET, Qt.AlignmentFlag.AlignRight)
    width = (inner.width() - _GAP * (_ACROSS - 1)) / _ACROSS
    height = (inner.height() - _HEAD - _FOOT - _GAP * (_DOWN - 1)) / _DOWN
    for n, hit in enumerate(section.hits[start : start + _ACROSS * _DOWN]):
        control.boundary()
        cell = QRectF(
            inner.left() + (n % _ACROSS) * (width + _GAP),
            inner.top() + _HEAD + (n // _ACROSS) * (height + _GAP),
            width,
            height,
        )
        _cell(painter, cell, sheet.root, hit, start + n + 1)
    painter.restore()


def _cell(painter: QPainter, cell: QRectF, root: Path, hit: Hit, place: int) -> None:
    paper = cell.adjusted(0, 0, 0, -_WORDS)
    painter.setPen(_LINE)
    painter.setBrush(QColor(theme.PAPER))
    painter.drawRect(paper)
    room = paper.adjusted(4, 4, -4, -4)
    try:
        image = read_picture(located(root, hit.path), round(max(room.width(), room.height()) * _DPI / 96))
    except (UserError, OSError):
        _line(painter, room, _("cannot be read"), 9, _QUIET, Qt.AlignmentFlag.AlignHCenter)
    else:
        share = min(room.width() / image.width(), room.height() / image.height())
        target = QRectF(0, 0, image.width() * share, image.height() * share)
        target.moveCenter(room.center())
        painter.drawImage(target, image)
    words = in_own_language(hit.captions) or paths.shown(Path(hit.path).stem)
    first = QRectF(cell.left(), paper.bottom() + 3, cell.width(), 13)
    _line(painter, first, f"{place}.  {words}", 9.5, _INK)
    _line(painter, first.translated(0, 13), paths.shown(hit.path), 8, _QUIET)
    score = f"{hit.score:.3f}"
    if hit.base_place is not None and hit.base_place != place:
        up = hit.base_place > place
        score += f"   {'▲' if up else '▼'} {abs(hit.base_place - place):,}"
    _line(painter, first.translated(0, 25), score, 8, _QUIET)


def _line(
    painter: QPainter,
    room: QRectF,
    text: str,
    size: float,
    colour: QColor,
    side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
    *,
    bold: bool = False,
) -> None:
    """One line of words, shortened where there is no room; `size` is its height in our lengths."""
    font = QFont(QGuiApplication.font())
    font.setPixelSize(100)  # measured large, since small sizes in pixels are whole numbers
    font.setBold(bold)
    painter.save()
    painter.setFont(font)
    painter.setPen(colour)
    painter.translate(room.left(), room.top())
    painter.scale(size / 100, size / 100)
    wide = QRectF(0, 0, room.width() * 100 / size, room.height() * 100 / size)
    elided = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideRight, wide.width())
    painter.drawText(wide, int(side | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextSingleLine), elided)
    painter.restore()
