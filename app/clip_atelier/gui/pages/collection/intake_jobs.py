"""What the dialog of photographed pages asks of the engine, as work for a lane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PySide6.QtGui import QImage

from clip_atelier.engine.core import Control, Work
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.intake import IntakeSummary, Page, SeenPage
    from clip_atelier.gui.workers import Tools

Make = Callable[["Tools", Control], Work[Any]]


class Shown(NamedTuple):
    """A page with its pictures as the window shows them."""

    seen: SeenPage
    picture: QImage
    flat: QImage


def pages_of(sources: Sequence[Path]) -> Make:
    """The pages of photographs, scans and documents."""

    def find(_tools: Tools, _control: Control) -> Work[list[Path]]:
        from clip_atelier.engine.intake import find_pages

        return at_once(lambda: find_pages(sources))

    return find


def look(path: Path, even: bool) -> Make:
    """Finds a page and its drawings in a picture."""

    def run(_tools: Tools, _control: Control) -> Work[Shown]:
        from clip_atelier.engine.intake import look_at

        return at_once(lambda: _shown(look_at(path, even=even)))

    return run


def look_again(shown: Shown, page: Page, gap: float | None) -> Make:
    """The same picture with other corners, other paper, or its drawings found anew."""

    def run(_tools: Tools, _control: Control) -> Work[Shown]:
        from clip_atelier.engine.intake import look_again as again

        return at_once(lambda: _shown(again(shown.seen, page, gap), shown.picture))

    return run


def take_in(pages: Sequence[Page], into: Path) -> Make:
    """Writes the drawings of the pages."""

    def run(_tools: Tools, control: Control) -> Work[IntakeSummary]:
        from clip_atelier.engine.intake import take_in as take

        return take(pages, into, control, again=True)

    return run


def _shown(seen: SeenPage, picture: QImage | None = None) -> Shown:
    return Shown(seen, _image(seen.picture) if picture is None else picture, _image(seen.flat))


def _image(picture: Any) -> QImage:
    data = picture.convert("RGBA").tobytes()
    size = picture.size
    # copy(): the image must own its bytes, `data` goes when this function ends.
    return QImage(data, size[0], size[1], size[0] * 4, QImage.Format.Format_RGBA8888).copy()
