"""The one-page report as PDF: the engine's page, laid out by Qt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QMarginsF, QRectF, QSizeF, QUrl
from PySide6.QtGui import (
    QFont,
    QGuiApplication,
    QImage,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QTextDocument,
)
from PySide6.QtSvg import QSvgRenderer

from clip_atelier.engine.core import Control, Work, _, replacing

if TYPE_CHECKING:
    from clip_atelier.engine.reports import WrittenReport
    from clip_atelier.gui.workers import Tools

_SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
_FINENESS = 3  # pixels of a figure for each of its units
_DPI = 96
_LEAST_PERCENT = 70  # of the usual size: below that nobody reads it
_WIDTH = 330  # of a figure on the page, two of them side by side
# The page places its figures by a style that Qt does not know; it has only these elements of their kind.
_IN_QT = {
    "<div class='figures'>": "<table><tr>",
    "</div>": "</tr></table>",
    "<figure>": "<td class='long'>",
    "</figure>": "</td>",
    "<figcaption>": "<p class='muted long'>",
    "</figcaption>": "</p>",
}


def write(runs: Sequence[str], out: Path, tools: Tools, _control: Control) -> Work[WrittenReport]:
    """Writes the report of some runs as a PDF: one A4 page as long as that can be read, else several.

    Raises:
        UserError: a run cannot be read.
        WorkError: the file cannot be written.
    """
    from clip_atelier.engine.reports import WrittenReport
    from clip_atelier.engine.reports import document as page_of
    from clip_atelier.engine.runs import Runs

    yield from ()
    home = Runs(tools.home)
    page, measure = page_of([home.open(run) for run in runs])
    document = laid_out(page)
    with replacing(out, _("Choose another place for it.")) as partial:
        _write(document, partial)
    return WrittenReport(path=str(out), runs=tuple(runs), measure=measure)


def _write(document: QTextDocument, file: Path) -> None:
    writer = QPdfWriter(str(file))
    writer.setResolution(_DPI)
    writer.setTitle(document.metaInformation(QTextDocument.MetaInformation.DocumentTitle))
    writer.setPageLayout(
        QPageLayout(
            QPageSize(QPageSize.PageSizeId.A4),
            QPageLayout.Orientation.Portrait,
            QMarginsF(10, 10, 10, 10),
            QPageLayout.Unit.Millimeter,
        )
    )
    paint(document, writer)
    del writer  # closes the file


def paint(document: QTextDocument, writer: QPdfWriter) -> None:
    """Puts the document on one page, made as much smaller as it takes; on several where that could not be read."""
    for share in range(100, _LEAST_PERCENT - 1, -2):
        document.setTextWidth(writer.width() * 100 / share)
        if document.size().height() * share <= writer.height() * 100:
            painter = QPainter(writer)
            painter.scale(share / 100, share / 100)
            document.drawContents(painter)
            painter.end()
            return
    document.setPageSize(QSizeF(writer.width(), writer.height()))
    document.print_(writer)


def laid_out(page: str) -> QTextDocument:
    """The page as a Qt document; its figures, which Qt's rich text does not know, become pictures."""
    document = QTextDocument()
    font = QFont(QGuiApplication.font())
    font.setPixelSize(9)
    document.setDefaultFont(font)
    document.setDocumentMargin(0)
    figures: list[str] = []

    def picture(found: re.Match[str]) -> str:
        drawn = _drawn(found.group(0))
        name = f"figure:{len(figures)}"
        figures.append(name)
        document.addResource(int(QTextDocument.ResourceType.ImageResource), QUrl(name), drawn)
        return f"<img src='{name}' width='{_WIDTH}'>"

    text = _SVG.sub(picture, page)
    for ours, qts in _IN_QT.items():
        text = text.replace(ours, qts)
    # Qt takes sizes from its own style sheet, and knows neither media rules nor columns.
    text = re.sub(r"<style>.*?</style>", f"<style>{_STYLE}</style>", text, flags=re.DOTALL)
    document.setHtml(text)
    return document


_STYLE = """
h1 { font-size: 15px; margin: 0 0 2px 0; } h2 { font-size: 11px; margin: 7px 0 3px 0; } p { margin: 0 0 3px 0; }
.muted { color: #6a645b; } .gain, .mark { color: #0b5fa5; } .loss { color: #b45309; }
.strong { font-weight: 600; } td, th { padding: 1px 5px 1px 0; font-size: 8px; white-space: nowrap; text-align: left; }
.long { white-space: normal; } .close td, .close th { font-size: 6.5px; padding: 1px 3px 1px 0; } code { font-size: 7px; }
td span { font-size: 8px; } .close td span { font-size: 6.5px; }
"""


def _drawn(svg: str) -> QImage:
    renderer = QSvgRenderer(QByteArray(svg.encode()))
    size = renderer.defaultSize() * _FINENESS
    image = QImage(size, QImage.Format.Format_ARGB32)
    image.fill(0xFFFFFFFF)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, QRectF(0, 0, size.width(), size.height()))
    painter.end()
    return image
