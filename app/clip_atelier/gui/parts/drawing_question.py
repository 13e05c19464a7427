"""The question what is meant by a single drawing that was dropped on the window."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from clip_atelier.engine.core import _, paths

Answer = Literal["find", "folder", ""]


def what_about(parent: QWidget, drawing: Path, *, may_find: bool) -> Answer:
    """Asks whether to look for drawings like it or to open the folder around it; empty for neither.

    Args:
        parent: The window.
        drawing: What was dropped.
        may_find: Whether there is a collection to look in.
    """
    question = QMessageBox(parent)
    question.setTextFormat(Qt.TextFormat.PlainText)
    question.setIcon(QMessageBox.Icon.NoIcon)
    question.setText(_("What is to become of “{name}”?").format(name=paths.shown(drawing.name)))
    question.setInformativeText(
        _("Its folder is “{folder}”. To open that leaves the collection that is open now.").format(
            folder=paths.shown(drawing.parent)
        )
        if may_find
        else _("Its folder is “{folder}”.").format(folder=paths.shown(drawing.parent))
    )
    find = question.addButton(_("Find similar"), QMessageBox.ButtonRole.AcceptRole)
    folder = question.addButton(_("Open the drawing's folder"), QMessageBox.ButtonRole.ActionRole)
    question.addButton(_("Cancel"), QMessageBox.ButtonRole.RejectRole)
    find.setVisible(may_find)
    question.setDefaultButton(find if may_find else folder)
    question.exec()
    if question.clickedButton() is find:
        return "find"
    return "folder" if question.clickedButton() is folder else ""
