"""The question before runs are deleted."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from clip_atelier.engine.core import _


def may_delete(parent: QWidget | None, names: Sequence[str]) -> bool:
    """Asks whether the runs of these names are to be deleted."""
    question = QMessageBox(parent)
    question.setTextFormat(Qt.TextFormat.PlainText)
    question.setIcon(QMessageBox.Icon.NoIcon)
    question.setText(
        _("Delete the run “{run}”?").format(run=names[0])
        if len(names) == 1
        else _("Delete {count} runs?").format(count=len(names))
    )
    question.setInformativeText(_("Its curves, checkpoints and adapter are removed from disk for good."))
    yes = question.addButton(_("Delete"), QMessageBox.ButtonRole.DestructiveRole)
    question.addButton(_("Keep"), QMessageBox.ButtonRole.RejectRole)
    question.exec()
    return question.clickedButton() is yes
