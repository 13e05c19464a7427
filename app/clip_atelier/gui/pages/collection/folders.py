"""The further folders of a collection: a line that names them, warnings of those that are not there, and the list of all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QFrame, QScrollArea, QWidget

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.actions import ACTIONS
from clip_atelier.gui.parts import collection_folders
from clip_atelier.gui.widgets.layout import box, clear, column, row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label, Picture, SpokenName

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection, FolderRead
    from clip_atelier.gui.app_model import AppModel

_NAMED = 6
MOST_MISSING = 3
"""Folders that are not there, of which each is told by itself."""


class FolderLine(QWidget):
    """Nothing where a collection has no further folders."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self._shown: tuple[FolderRead, ...] = ()
        self._own = 0
        self.names = ElidedLabel(role="muted")
        self.all = Button(N_("Folders…"), "quiet", "folder")
        self.all.clicked.connect(self.show_all)
        self.warnings = column(gap=theme.XS)
        self.first = QWidget()
        first = row(self.names, self.all, gap=theme.S)
        first.setStretch(0, 1)
        self.first.setLayout(first)
        self.setLayout(column(self.first, self.warnings, gap=theme.XS))
        self.hide()

    def show_collection(self, collection: Collection) -> None:
        """Shows the folders of a collection; the same ones keep their buttons, so that the focus stays."""
        now = collection.folders_read()
        own = len(collection.items) - sum(one.images for one in now)
        if (now, own) != (self._shown, self._own):
            self._shown, self._own = now, own
            self._fill()

    def retranslate(self) -> None:
        """The sentences with names in them."""
        self._fill()

    def _fill(self) -> None:
        there = [one for one in self._shown if one.there]
        named = " · ".join(f"{paths.shown(one.name)} ({one.images:,})" for one in there[:_NAMED])
        more = " …" if len(there) > _NAMED else ""
        words = (
            N_("With drawings of further folders: {names}")
            if self._own
            else N_("Drawings of several folders: {names}")
        )
        self.names.say(words, names=named + more)
        self.first.setVisible(bool(there))
        clear(self.warnings)
        for one in [one for one in self._shown if not one.there][:MOST_MISSING]:
            self.warnings.addWidget(Missing(self._app_model, one.name, one.folder))
        self.setVisible(bool(self._shown))

    def show_all(self) -> None:
        """Opens the list of all folders."""
        Folders(self._app_model, self.window()).open()


class Missing(QWidget):
    """One folder that is not there, and what puts it right."""

    def __init__(self, app_model: AppModel, name: str, folder: str) -> None:
        super().__init__()
        words = Label(
            N_("“{name}” is not there: {folder}. Its captions are kept."),
            "warning",
            wrap=True,
            name=paths.shown(name),
            folder=paths.shown(folder),
        )
        self.where = Button(N_("Say where it is…"), "plain")
        self.out = Button(N_("Take out"), "quiet")
        self.where.clicked.connect(lambda: collection_folders.ask_where(app_model, name, self.window()))
        self.out.clicked.connect(partial(collection_folders.take_out, app_model, name))
        layout = row(Picture("triangle-alert", 16, "warning"), words, self.where, self.out, gap=theme.S)
        layout.setStretch(1, 1)
        self.setLayout(layout)


class DeleteButton(Button):
    """Deletes the open collection. Seen only where the program keeps its list; it waits until nothing is computed."""

    deleted = Signal()

    def __init__(self, app_model: AppModel) -> None:
        super().__init__(ACTIONS["collection.delete"].title, "quiet", "eraser")
        self._app_model = app_model
        self.setAutoDefault(False)
        self.clicked.connect(self._ask)
        app_model.lanes.compute.busy_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Follows what is open and what is computed."""
        kept, can_be = (
            collection_folders.kept_root(self._app_model),
            collection_folders.may_be_deleted(self._app_model),
        )
        if kept is None or self.parent() is not None:  # shown before it is placed it would be a window
            self.setHidden(kept is None)
        self.setEnabled(can_be)
        self.tell(
            N_("Its folders and drawings stay as they are")
            if can_be
            else N_("This can be done once nothing is learned or computed any more")
        )

    def _ask(self) -> None:
        if collection_folders.ask_to_delete(self._app_model, self.window()):
            self.deleted.emit()


class Folders(QDialog):
    """The folders of the open collection; one can be added, and all but the first one taken out."""

    def __init__(self, app_model: AppModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._app_model = app_model
        self.setWindowTitle(_("Folders of this collection"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(640, 380)
        about = Label(
            N_(
                "Drawings of all these folders are learned and searched together. The folders stay where they are, and captions "
                "are saved beside the drawings they are of."
            ),
            "muted",
            wrap=True,
        )
        self.lines = column(gap=theme.S)
        inner = box(self.lines, None)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidget(inner)
        SpokenName(self.area, N_("Folders of this collection"))
        self.add = Button(N_("Add a folder…"), "primary", "plus")
        self.shut = Button(N_("Close"), "plain")
        self.add.clicked.connect(lambda: collection_folders.ask_for_folder(app_model, self))
        self.shut.clicked.connect(self.reject)
        self.delete = DeleteButton(app_model)
        self.delete.deleted.connect(self.accept)
        layout = column(about, self.area, row(self.delete, None, self.shut, self.add), gap=theme.M)
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        app_model.collection_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shows the folders as they are now; what was shown stays while they are read."""
        collection = self._app_model.collection
        if collection is None:
            return
        clear(self.lines)
        folders = collection.folders_read()
        own = len(collection.items) - sum(one.images for one in folders)
        if own or not folders:  # one that the program keeps a list for has no drawings of its own
            self.lines.addWidget(self._line(collection.root.name, str(collection.root), own, there=True))
        for one in folders:
            self.lines.addWidget(self._line(one.name, one.folder, one.images, there=one.there, further=True))

    def _line(self, name: str, folder: str, images: int, *, there: bool, further: bool = False) -> QWidget:
        line = QWidget()
        title, place = ElidedLabel(role="strong"), ElidedLabel(role="caption")
        title.show_literal(paths.shown(name))
        place.show_literal(paths.shown(folder))
        count = Label(role="caption" if there else "warning")
        if there:
            count.say(N_("{count} drawings"), count=f"{images:,}")
        else:
            count.say(N_("not there"))
        icon = Picture("folder" if there else "triangle-alert", 18, "muted" if there else "warning")
        parts: list[QWidget] = [icon, box(title, place, gap=0), count]
        if further:
            where = Button(N_("Moved…"), "quiet", tip=N_("Say where this folder is now"))
            out = Button(N_("Take out"), "quiet", tip=N_("Nothing in the folder is changed"))
            where.clicked.connect(lambda: collection_folders.ask_where(self._app_model, name, self))
            out.clicked.connect(partial(collection_folders.take_out, self._app_model, name))
            where.setAccessibleName(f"{_('Moved…')} {paths.shown(name)}")
            out.setAccessibleName(f"{_('Take out')} {paths.shown(name)}")
            parts += [where, out]
        layout = row(*parts, gap=theme.M)
        layout.setStretch(1, 1)
        line.setLayout(layout)
        return line
