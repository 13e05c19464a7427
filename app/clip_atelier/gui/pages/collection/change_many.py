"""The dialogs that change the captions of many drawings: what they would do is seen before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QDialog, QWidget

from clip_atelier.engine.core import N_, UserError, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection.caption_model import CaptionModel, Told
from clip_atelier.gui.parts.plain_table import fill_table, plain_table
from clip_atelier.gui.widgets.layout import card, column, row
from clip_atelier.gui.widgets.text import Button, Field, Label, SpokenName, finish_composing

_SHOWN = 100  # changes that the preview lists
_WAIT_MS = 120


class _ChangeMany(QDialog):
    """What is changed, in which drawings, and a preview."""

    def __init__(self, captions: CaptionModel, chosen: Sequence[str], title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.captions = captions
        self._chosen = list(chosen) if len(chosen) > 1 else captions.shown
        self.name = _(title)
        self.setWindowTitle(self.name)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(760, 520)
        self.scope = Label(
            N_("In the {count} chosen drawings.")
            if len(chosen) > 1
            else N_("In all {count} drawings shown."),
            "muted",
            count=f"{len(self._chosen):,}",
        )
        self.told = Label(wrap=True)
        self.preview = plain_table((N_("File"), N_("Now"), N_("Afterwards")))
        self.preview.setColumnWidth(0, 170)
        self.preview.setColumnWidth(1, 240)
        SpokenName(self.preview, N_("What would change"))
        self.do = Button(N_("Change"), "primary")
        self.shut = Button(N_("Close"), "plain")
        self.shut.setAutoDefault(False)
        self.do.setDefault(True)
        self.do.clicked.connect(self.change)
        self.shut.clicked.connect(self.reject)
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(_WAIT_MS)
        self._wait.timeout.connect(self.look)
        self._changes: dict[str, Told] = {}

    def lay_out(self, *inputs: QWidget) -> None:
        """Places the inputs above the preview."""
        below = row(self.told, self.shut, self.do)
        below.setStretch(0, 1)
        layout = column(*inputs, self.scope, card(self.preview, margin=1), below, gap=theme.S)
        layout.setStretch(len(inputs) + 1, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self.look()

    def later(self) -> None:
        """Looks again once typing pauses. Who does not wait for that can press Enter: `change` looks first.

        An input method hands over the last syllable when Enter or the button is pressed, which is too late to enable it.
        """
        self.do.setEnabled(True)
        self._wait.start()

    def values(self, chosen: Sequence[str]) -> Mapping[str, Told]:
        """What the drawings would say.

        Raises:
            UserError: the input cannot be understood.
        """
        raise NotImplementedError

    def look(self) -> None:
        """Shows what would change."""
        self._wait.stop()
        try:
            found = self.values(self._chosen)
        except UserError as error:
            self._changes = {}
            self.told.show_literal(str(error))
            self.told.set_role("warning")
        else:
            self._changes = {path: told for path, told in found.items() if told != self.captions.told(path)}
            self.told.set_role("muted")
            self.told.say(N_("Drawings that change: {count}"), count=f"{len(self._changes):,}")
        lines = [
            (paths.shown(path), " · ".join(self.captions.told(path).captions), " · ".join(told.captions))
            for path, told in list(self._changes.items())[:_SHOWN]
        ]
        fill_table(self.preview, lines)
        self.do.setEnabled(bool(self._changes))

    def change(self) -> None:
        """Makes the changes, in one step that can be taken back."""
        finish_composing()
        if self._wait.isActive():
            self.look()
        if self._changes:
            self.captions.change(self._changes, self.name)
            self.accept()


class FindAndReplace(_ChangeMany):
    """Plain text or a regular expression, and what takes its place."""

    def __init__(self, captions: CaptionModel, chosen: Sequence[str], parent: QWidget) -> None:
        super().__init__(captions, chosen, N_("Find and replace"), parent)
        self.what = Field(N_("Find"))
        self.by = Field(N_("Replace with"))
        self.expression = Button(N_("Regular expression"), "chip", checkable=True)
        self.case = Button(N_("Capital letters matter"), "chip", checkable=True)
        for field in (self.what, self.by):
            field.textChanged.connect(self.later)
            field.composed.connect(self.later)
        for switch in (self.expression, self.case):
            switch.setAutoDefault(False)
            switch.toggled.connect(self.later)
        options = QWidget()
        options.setLayout(row(self.expression, self.case, None, gap=theme.L))
        self.lay_out(self.what, self.by, options)
        self.what.setFocus()

    def values(self, chosen: Sequence[str]) -> Mapping[str, Told]:
        """The captions with the words replaced."""
        from clip_atelier.engine.data import Replacement

        what = Replacement(self.what.seen, self.by.seen, self.expression.isChecked(), self.case.isChecked())
        told = {path: self.captions.told(path) for path in chosen}
        return {path: now._replace(captions=what.of(now.captions)) for path, now in told.items()}


class FillByTemplate(_ChangeMany):
    """A sentence with the file's and folder's names, the label and a number."""

    def __init__(
        self, captions: CaptionModel, chosen: Sequence[str], parent: QWidget, template: str = ""
    ) -> None:
        super().__init__(captions, chosen, N_("Fill by template"), parent)
        self.template = Field(N_("Template, such as: a drawing of {label}"))
        self.template.setText(template)
        self.add = Button(N_("Keep the captions that are there and add this one"), "chip", checkable=True)
        self.template.textChanged.connect(self.later)
        self.template.composed.connect(self.later)
        self.add.setAutoDefault(False)
        self.add.toggled.connect(self.later)
        about = Label(
            N_(
                "{{file}} and {{folder}} are the names as words, {{label}} the label, {{number}} counts from 1."
            ),
            "muted",
            wrap=True,
            known="",
        )
        options = QWidget()
        options.setLayout(row(self.add, None))
        self.lay_out(self.template, about, options)
        self.template.setFocus()

    def values(self, chosen: Sequence[str]) -> Mapping[str, Told]:
        """The captions that the template gives."""
        from clip_atelier.engine.data import fill_template

        found = {}
        for number, path in enumerate(chosen, 1):
            now = self.captions.told(path)
            filled = fill_template(self.template.seen, path, now.label, number)
            if filled:
                kept = now.captions if self.add.isChecked() else ()
                found[path] = now._replace(captions=tuple(dict.fromkeys((*kept, filled))))
        return found
