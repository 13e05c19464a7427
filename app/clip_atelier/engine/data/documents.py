"""PDF documents: how many pages there are, and one page drawn, within bounds of bytes, pages, pixels and time."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from PIL import Image

from clip_atelier.engine.core import _

if TYPE_CHECKING:
    import pypdfium2

SIGNATURE: Final = b"%PDF-"
MAX_PAGES: Final = 200
"""Pages of one document that are read; a sketchbook has fewer."""
MAX_BYTES: Final = 512 * 1024 * 1024
SIDE: Final = 1600
"""The longer side of a drawn page in pixels: an A4 page at about 137 dots per inch."""
MAX_SECONDS: Final = 20.0
"""How long one page may take to be drawn."""

_DIGESTS: Final = 64
_digests: dict[tuple[int, int, int, int], str] = {}
_digests_lock = threading.Lock()
_one_at_a_time = threading.Lock()
"""PDFium keeps state of its own for the whole process and may be entered by one thread only."""


def _unchanged(file: BinaryIO) -> tuple[int, int, int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def digest(file: io.BufferedReader) -> str:
    """SHA-256 of a document, in hex, found once for all its pages."""
    stamp = _unchanged(file)
    with _digests_lock:
        known = _digests.get(stamp)
    if known is None:
        known = hashlib.file_digest(file, "sha256").hexdigest()
        with _digests_lock:
            while len(_digests) >= _DIGESTS:
                _digests.pop(next(iter(_digests)))
            _digests[stamp] = known
    return known


class NoPage(Exception):  # noqa: N818 - says what is wrong with the document
    """A page cannot be drawn; the text says why, translated."""


def page_count(path: Path) -> int:
    """Pages of a document; 0 where it cannot be opened, which drawing it then explains."""
    try:
        with open(path, "rb") as file, _opened(file) as document:
            return len(document)
    except (NoPage, OSError):
        return 0


def page(file: BinaryIO, number: int, seconds: float = MAX_SECONDS) -> Image.Image:
    """One page on white paper, RGB, its longer side `SIDE` pixels.

    Args:
        file: The document.
        number: Counted from 1.
        seconds: How long drawing may take.

    Raises:
        NoPage: the document is damaged, locked by a password or too large; the page is not there or takes too long.
    """
    with _opened(file) as document:
        if not 1 <= number <= len(document):
            raise NoPage(_("The document has no page {number}.").format(number=number))
        return _drawn(document, number, time.monotonic() + seconds)


@contextlib.contextmanager
def _opened(file: BinaryIO) -> Iterator[pypdfium2.PdfDocument]:
    import pypdfium2

    if file.seek(0, os.SEEK_END) > MAX_BYTES:
        raise NoPage(_("The document is larger than what is read."))
    file.seek(0)
    with _one_at_a_time:
        document = None
        try:
            document = pypdfium2.PdfDocument(file)
            yield document
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise NoPage(_("The document is locked by a password.")) from error
            raise NoPage(_("The document is damaged ({error}).").format(error=error)) from error
        finally:
            if document is not None:
                document.close()


def _drawn(document: pypdfium2.PdfDocument, number: int, until: float) -> Image.Image:
    import pypdfium2
    from pypdfium2 import raw

    with contextlib.closing(document[number - 1]) as sheet:
        width, height = sheet.get_size()
        if not (0 < width < float("inf") and 0 < height < float("inf")):
            raise NoPage(_("The page has no size."))
        scale = SIDE / max(width, height)
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
        with contextlib.closing(pypdfium2.PdfBitmap.new_native(wide, high, raw.FPDFBitmap_BGRx)) as bitmap:
            bitmap.fill_rect((255, 255, 255, 255), 0, 0, wide, high)
            # PDFium asks between a page's objects whether to pause; a page that did not end in time is given up.
            asks = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(raw.IFSDK_PAUSE))(
                lambda _pause: int(time.monotonic() > until)
            )
            pause = raw.IFSDK_PAUSE(version=1, NeedToPauseNow=asks)
            state = raw.FPDF_RenderPageBitmap_Start(
                bitmap, sheet, 0, 0, wide, high, 0, raw.FPDF_ANNOT, ctypes.byref(pause)
            )
            raw.FPDF_RenderPage_Close(sheet)
            if state == raw.FPDF_RENDER_TOBECONTINUED:
                raise NoPage(_("The page takes too long to draw."))
            if state != raw.FPDF_RENDER_DONE:
                raise NoPage(_("The page cannot be drawn."))
            drawn: Image.Image = bitmap.to_pil().convert("RGB")
            return drawn
