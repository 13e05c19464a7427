"""What can be done with results: a menu, copies, the full view, and searching on from them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QRectF, Signal
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QMenu, QWidget

from clip_atelier.engine.core import _, original, paths
from clip_atelier.gui.jobs import at_once
from clip_atelier.gui.pages.search.result_view import ResultView
from clip_atelier.gui.parts import leaving
from clip_atelier.gui.parts.full_view import FullView
from clip_atelier.gui.parts.pictures import TILE, Tile, read_picture
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

_COPIED = 4096  # longer side of a copied picture in pixels, at most
_PART = (
    448  # longer side that a marked part has at least, where the drawing has it: twice what most models see
)


class ResultActions(QObject):
    """One for a page with several rankings."""

    alike_wanted = Signal(object)  # a list of files: more like these
    part_wanted = Signal(object, str)  # a picture of a marked part, and its name

    def __init__(self, app_model: AppModel, page: QWidget, views: Sequence[ResultView]) -> None:
        super().__init__(page)
        self._app_model = app_model
        self._page = page
        self._full: FullView | None = None
        self._from: ResultView | None = None
        for view in views:
            view.opened.connect(lambda tile: self.alike_wanted.emit([tile.path]))
            view.copy_wanted.connect(partial(self._copy_files, view))
            view.large_wanted.connect(partial(self.look, view))
            view.customContextMenuRequested.connect(partial(self._menu, view))

    def look(self, view: ResultView, place: int) -> None:
        """Shows a ranking one by one, as large as the window."""
        over = self._page.window()
        if self._full is None or self._full.parentWidget() is not over:
            self._full = FullView(self._app_model.store, over)
            self._full.part_wanted.connect(self._on_part)
            self._full.alike_wanted.connect(lambda tile: self.alike_wanted.emit([tile.path]))
            self._full.closed.connect(lambda tile: self._from.choose(tile) if self._from else None)
        self._from = view
        self._full.open_at(view.tiles.all, place)

    def _on_part(self, path: Path, part: QRectF) -> None:
        """Reads the part of the drawing itself, not of what the screen showed."""
        job = Job("look", lambda _tools, _control: at_once(lambda: part_of(path, part)))
        job.done.connect(
            lambda image: self.part_wanted.emit(
                image, _("part of {name}").format(name=paths.shown(path.name))
            )
        )
        job.failed.connect(self._app_model.report)
        self._app_model.lanes.files.replace(job)

    def _menu(self, view: ResultView, at: QPoint) -> None:
        index = view.indexAt(at)
        tile = index.data(TILE)
        if not tile:
            return
        menu = QMenu(self._page)
        self.fill(menu, view, tile)
        menu.popup(view.viewport().mapToGlobal(at))

    def fill(self, menu: QMenu, view: ResultView, tile: Tile) -> None:
        """What can be done with the chosen results; a click beside the choice is about the result clicked."""
        chosen = view.chosen()
        if tile not in chosen:
            chosen = [tile]
        files = [one.path for one in chosen]
        many = len(chosen) > 1
        words = _("More like these {count}").format(count=len(chosen)) if many else _("More like this")
        menu.addAction(words, lambda: self.alike_wanted.emit(files))
        place = next(n for n, one in enumerate(view.tiles.all) if one is tile)
        menu.addAction(_("Show large (Space)"), lambda: self.look(view, place))
        menu.addSeparator()
        menu.addAction(_("Copy as a picture"), lambda: self._copy_picture(tile.path))
        menu.addAction(_("Copy the files") if many else _("Copy the file"), lambda: _copy(files))
        menu.addAction(_("Copy the paths") if many else _("Copy the path"), lambda: _copy_paths(files))
        menu.addSeparator()
        menu.addAction(_("Open in the file manager"), lambda: self._app_model.reveal(tile.path))

    def _copy_files(self, view: ResultView) -> None:
        _copy([tile.path for tile in view.chosen()])

    def _copy_picture(self, path: Path) -> None:
        job = Job("look", lambda _tools, _control: at_once(lambda: read_picture(path, _COPIED)))
        job.done.connect(lambda image: QGuiApplication.clipboard().setMimeData(leaving.as_picture(image)))
        job.failed.connect(self._app_model.report)
        self._app_model.lanes.files.submit(job)


def part_of(path: Path, part: QRectF) -> QImage:
    """A part of a drawing, read as finely as a model can use it; called on a lane's thread."""
    share = max(part.width(), part.height())
    image = read_picture(path, min(_COPIED, round(_PART / share)))
    left, top = round(part.left() * image.width()), round(part.top() * image.height())
    width, height = round(part.width() * image.width()), round(part.height() * image.height())
    return image.copy(left, top, max(width, 1), max(height, 1))


def _copy(files: Sequence[Path]) -> None:
    QGuiApplication.clipboard().setMimeData(leaving.as_files(files))


def _copy_paths(files: Sequence[Path]) -> None:
    QGuiApplication.clipboard().setText(
        "\n".join(paths.shown(file) for file in dict.fromkeys(original(file) for file in files))
    )
