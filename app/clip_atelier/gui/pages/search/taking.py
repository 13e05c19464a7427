"""The ways in which a picture comes to the Search page: dropped, pasted, chosen from a file."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QWidget

from clip_atelier.engine.core import N_, _
from clip_atelier.gui.drops import dropped_paths


class TakesPictures(QWidget):
    """A page that searches by them."""

    def __init__(self) -> None:
        super().__init__()
        self.setAcceptDrops(True)

    @abstractmethod
    def search_by(self, *files: Path, words: str = "") -> None:
        """Searches by a picture file; by several for what they have in common. Words go with it."""

    @abstractmethod
    def take_picture(self, image: QImage, name: str, files: Sequence[Path] = (), words: str = "") -> None:
        """Searches by a picture, of files or without one; `words` go with it."""

    @abstractmethod
    def tell(self, text: str) -> None:
        """Says something above the results."""

    def paste_picture(self) -> None:
        """Searches by what is on the clipboard: a picture, or a picture's file."""
        data = QGuiApplication.clipboard().mimeData()
        files = (
            [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()] if data.hasUrls() else []
        )
        if files:
            self.search_by(files[0])
        elif data.hasImage():
            self.take_picture(QGuiApplication.clipboard().image(), _("pasted picture"))
        else:
            self.tell(N_("There is no picture on the clipboard."))

    def ask_for_picture(self, start: str) -> None:
        """Lets the user choose a file; `start` is the folder that is shown first."""
        name, _kind = QFileDialog.getOpenFileName(self, _("Search by a picture"), start)
        if name:
            self.search_by(Path(name))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        files = dropped_paths(event)
        if (files and files[0].is_file()) or (not files and event.mimeData().hasImage()):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dropEvent(self, event: QDropEvent) -> None:
        files = dropped_paths(event)
        if files:
            event.acceptProposedAction()
            self.search_by(files[0])
            return
        with contextlib.suppress(TypeError):
            image = QImage(event.mimeData().imageData())
            event.acceptProposedAction()
            self.take_picture(image, _("dropped picture"))
