"""Parts of the Search page: the picture that is asked with, one ranking, and the invitation to begin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QFileDialog, QFrame, QLabel, QMenu, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.engine.data import located
from clip_atelier.gui import theme
from clip_atelier.gui.pages.search.result_view import ResultView
from clip_atelier.gui.parts.beginning import Beginning
from clip_atelier.gui.parts.pictures import Divider, Tile
from clip_atelier.gui.parts.spoken_caption import in_own_language
from clip_atelier.gui.widgets.layout import Flow, clear, column, row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label, Message, SpokenName

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.pages.search.jobs import Hit


class QueryPicture(QFrame):
    """The picture that is searched by."""

    removed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "chip")
        self.paths: tuple[Path, ...] = ()
        self.image: QImage | None = None
        self._picture = QLabel()
        self._picture.setFixedSize(30, 30)
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._name = ElidedLabel()
        self._name.setFixedWidth(120)
        drop = Button("", "icon", "x", tip=N_("Search without this picture"))
        drop.setFixedSize(24, 24)
        drop.clicked.connect(self.clear)
        layout = row(self._picture, self._name, drop, gap=6)
        layout.setContentsMargins(theme.XS, 2, 2, 2)
        self.setLayout(layout)
        self.hide()

    @property
    def path(self) -> Path | None:
        """The first file that is searched by."""
        return self.paths[0] if self.paths else None

    def show_picture(self, image: QImage, name: str, files: Sequence[Path] = ()) -> None:
        """Takes a picture, or several files, as the query; a picture without a file is handed on as pixels."""
        self.paths = tuple(files)
        self.image = None if files else image
        ratio = self.devicePixelRatioF()
        small = QPixmap.fromImage(image).scaled(
            round(30 * ratio), round(30 * ratio), Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )  # fmt: skip
        small.setDevicePixelRatio(ratio)
        self._picture.setPixmap(small)
        self._name.show_literal(name)
        self.show()

    def clear(self) -> None:
        """Searches without it."""
        if self.paths or self.image is not None:
            self.paths, self.image = (), None
            self.hide()
            self.removed.emit()


class Column(QFrame):
    """One ranking."""

    def __init__(self, app_model: AppModel, title: str) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.title = Label(title, "heading")
        self.note = Label(role="caption")
        self.view = ResultView(app_model.store, 108, lines=2)
        SpokenName(self.view, title)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        layout = column(row(self.title, None, self.note), self.view, gap=theme.S)
        layout.setContentsMargins(theme.L, theme.M, theme.S, theme.S)
        self.setLayout(layout)

    def show_hits(self, root: Path, hits: Sequence[Hit]) -> None:
        """Shows a ranking; what does not fit the words stands below the others, each with its place."""
        tiles = [tile_of(root, hit, place) for place, hit in enumerate(hits, 1)]
        fitting = [tile for tile, hit in zip(tiles, hits, strict=True) if hit.fits is not False]
        others = [tile for tile, hit in zip(tiles, hits, strict=True) if hit.fits is False]
        divider = Divider(_("Closest, but probably not it")) if others else None
        self.view.show_tiles(fitting + others, divider, len(fitting))


class GalleryChoice(Button):
    """The folder that is searched: the open collection unless another one was chosen."""

    changed = Signal()

    def __init__(self, app_model: AppModel) -> None:
        self._app_model = app_model
        super().__init__("", "plain", "folder-open", tip=N_("The folder that is searched"))
        menu = QMenu(self)
        menu.aboutToShow.connect(lambda: self._fill(menu))
        self.setMenu(menu)
        app_model.state.changed.connect(self._on_state)

    @property
    def folder(self) -> str:
        """The folder, or an empty text."""
        return str(self._app_model.state.view("search.gallery", "") or self._app_model.state.folder)

    def choose(self, folder: str) -> None:
        """Searches in another folder; empty for the open collection."""
        self._app_model.state.set_view("search.gallery", folder)
        self.retranslate()
        self.changed.emit()

    def retranslate(self) -> None:
        """The folder's name, or that there is none."""
        folder = self.folder
        self._message = (
            Message("{name}", name=paths.shown(Path(folder).name)) if folder else Message(N_("No folder"))
        )
        super().retranslate()

    def _on_state(self, what: str) -> None:
        if what == "folder":
            self.choose("")

    def _fill(self, menu: QMenu) -> None:
        menu.clear()
        if self._app_model.state.folder:
            menu.addAction(_("The open collection"), lambda: self.choose(""))
        menu.addAction(_("Another folder…"), self._ask)

    def _ask(self) -> None:
        start = self.folder or str(Path.home())
        chosen = QFileDialog.getExistingDirectory(self, _("Search in a folder"), start)
        if chosen:
            self.choose(chosen)


class Invitation(QWidget):
    """Nothing searched yet: what can be done here, and a few examples from the collection."""

    example = Signal(str)

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self.examples = Flow()
        holder = QWidget()
        holder.setLayout(self.examples)
        holder.setFixedWidth(520)
        self.beginning = Beginning(
            app_model, "search", 520, title=N_("What are you looking for?"), more=holder
        )
        self.beginning.teach(
            N_(
                "Type words in English or Korean, drop or paste a picture, or draw one. "
                "Words can be added and taken away: horse + stripes, apple - fruit."
            )
        )
        self.setLayout(column(self.beginning))
        app_model.collection_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Offers captions of the open collection as examples."""
        clear(self.examples)
        collection = self._app_model.collection
        if collection is None:
            return
        captions = list(
            dict.fromkeys(in_own_language(item.captions) for item in collection.items if item.captions)
        )
        for caption in captions[3 :: max(1, len(captions) // 6)][:6]:
            button = Button("{caption}", "chip", caption=caption)
            button.clicked.connect(partial(self.example.emit, caption))
            self.examples.addWidget(button)


def tile_of(root: Path, hit: Hit, place: int) -> Tile:
    """A result as a tile: its place, its similarity, and how far it moved from its place in the base's ranking."""
    note, tone = f"{hit.score:.3f}", "muted"
    if hit.base_place is not None:
        change = hit.base_place - place
        if change:
            note += f"   {'▲' if change > 0 else '▼'} {abs(change):,}"
            tone = "gain" if change > 0 else "loss"
        else:
            note += "   ="
    title = in_own_language(hit.captions) or paths.shown(Path(hit.path).stem)
    mark = N_("The training learned from this drawing.") if hit.learned and hit.base_place is not None else ""
    return Tile(located(root, hit.path), title, note, str(place), tone, mark=mark)


def pixels(image: QImage) -> tuple[int, int, bytes]:
    """Width, height and RGBA bytes: what crosses into the engine holds no Qt object."""
    plain = image.convertToFormat(QImage.Format.Format_RGBA8888)
    return plain.width(), plain.height(), bytes(plain.constBits())[: plain.width() * plain.height() * 4]
