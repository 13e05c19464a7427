"""The question before runs are deleted, a model that runs need, a collection, or what is in the trash."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from clip_atelier.engine.core import _


def may_delete(parent: QWidget | None, names: Sequence[str], warning: str = "") -> bool:
    """Asks whether the runs of these names are to be deleted; `warning` says what else that touches."""
    asked = (
        _("Delete the training “{run}”?").format(run=names[0])
        if len(names) == 1
        else _("Delete {count} trainings?").format(count=len(names))
    )
    told = (
        _("Its curves, checkpoints and adapter go to the trash and can be brought back for 30 days.")
        if len(names) == 1
        else _("Their curves, checkpoints and adapters go to the trash and can be brought back for 30 days.")
    )
    return _agreed(parent, asked, f"{warning}\n\n{told}".lstrip(), _("Delete"))


def may_remove(parent: QWidget | None, model: str, warning: str) -> bool:
    """Asks whether a model is to be removed although trainings need it."""
    told = _("It goes to the trash and can be brought back for 30 days.")
    return _agreed(
        parent, _("Remove the model “{model}”?").format(model=model), f"{warning}\n\n{told}", _("Remove")
    )


def may_forget(parent: QWidget | None, collection: str) -> bool:
    """Asks whether a collection is to be deleted of which the program keeps the list."""
    told = _(
        "Only the list of its folders goes; it stays in the trash for 30 days and can be brought back. The folders stay where they "
        "are, with every drawing and caption in them. Trainings stay too."
    )
    return _agreed(
        parent, _("Delete the collection “{collection}”?").format(collection=collection), told, _("Delete")
    )


def may_empty(parent: QWidget | None, count: int) -> bool:
    """Asks whether so many things in the trash are to be deleted for good."""
    asked = _("Delete {count} for good?").format(count=count)
    return _agreed(parent, asked, _("This cannot be undone."), _("Delete"))


def _agreed(parent: QWidget | None, asked: str, told: str, action: str) -> bool:
    question = QMessageBox(parent)
    question.setTextFormat(Qt.TextFormat.PlainText)
    question.setIcon(QMessageBox.Icon.NoIcon)
    question.setText(asked)
    question.setInformativeText(told)
    yes = question.addButton(action, QMessageBox.ButtonRole.DestructiveRole)
    question.addButton(_("Keep"), QMessageBox.ButtonRole.RejectRole)
    question.exec()
    return question.clickedButton() is yes
