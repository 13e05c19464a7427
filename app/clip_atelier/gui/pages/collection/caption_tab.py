"""The Captions tab: the table, what is unsaved, and the way back to earlier versions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QMessageBox, QWidget

from clip_atelier.engine.core import N_, UserError, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection import jobs
from clip_atelier.gui.pages.collection.caption_bar import CaptionBar, CaptionSide
from clip_atelier.gui.pages.collection.caption_table import CaptionTable
from clip_atelier.gui.pages.collection.earlier import EarlierCaptions
from clip_atelier.gui.pages.collection.fault_strip import FaultStrip
from clip_atelier.gui.pages.collection.remedies import changes_of, found_faults, language_named
from clip_atelier.gui.pages.collection.suggesting import SuggestCaptions
from clip_atelier.gui.widgets.layout import card, column, row
from clip_atelier.gui.widgets.text import Button, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.data import CaptionFault, Collection, DraftEdit, SavedCaptions
    from clip_atelier.gui.app_model import AppModel


_LARGE = 500
"""Edits from which on a draft takes long enough to write that it waits for a pause in typing."""
_PAUSE_MS = 700


class CaptionTab(QWidget):
    """All of it. What is typed is kept as a draft at once, and saved into the folder only when asked for."""

    rows_wanted = Signal(object)  # paths of drawings to show; none for all

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.table = CaptionTable(app_model.store)
        SpokenName(self.table, N_("Captions"))
        self.save = Button(N_("Save captions"), "primary", "save")
        self.discard = Button(N_("Discard changes"), "quiet")
        self.unsaved = Label(role="muted", wrap=True)
        self.remarks = Label(role="caption", wrap=True)
        self.save.clicked.connect(self.start_saving)
        self.discard.clicked.connect(self.discard_changes)
        self.table.captions.edited.connect(self._on_edited)
        self.save_row = QWidget()
        words = column(self.unsaved, self.remarks, gap=0)
        line = row(words, self.discard, self.save)
        line.setStretch(0, 1)
        self.save_row.setLayout(line)
        self.bar = CaptionBar(self.table)
        self.earlier = self.bar.earlier
        self.earlier.clicked.connect(self.show_earlier)
        self.bar.all_wanted.connect(lambda: self.show_only(()))
        self.bar.suggestions_wanted.connect(self._on_suggestions)
        self.faults = FaultStrip(language_named)
        self.faults.wanted.connect(self._on_remedy)
        self.side = CaptionSide(app_model.store)
        self.table.current.connect(lambda _path: self._show_current())
        both = row(card(self.table, margin=1), self.side, gap=theme.M)
        both.setStretch(0, 1)
        layout = column(self.bar, self.faults, both, self.save_row, gap=theme.S)
        layout.setStretch(2, 1)
        self.setLayout(layout)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._on_pause)
        app_model.asked_to_train.connect(self._on_training)
        app_model.restored.connect(self._on_restored)
        app_model.state.changed.connect(self._on_state)
        app_model.asked_before_leaving.append(self.may_leave)

    @property
    def count(self) -> int:
        """How many drawings have unsaved captions."""
        return len(self.table.captions.draft)

    def show_collection(self, collection: Collection) -> None:
        """Shows a collection with what is unsaved of it; the draft of another one stays on disk."""
        captions = self.table.captions
        if captions.root == collection.root:
            self.table.show_collection(collection, self.app_model.part_of)
            self._show_current()
            return
        self._keep_draft()
        if captions.root is not None and captions.draft:
            self.app_model.news.emit(
                _("Unsaved captions of “{folder}” are kept: {count}.").format(
                    folder=paths.shown(captions.root.name), count=self.count
                ),
                _("They are offered again when you open that folder."),
            )
        self._show_anew(collection)

    def _show_anew(self, collection: Collection) -> None:
        from clip_atelier.engine.data import caption_drafts

        draft = {}
        try:
            draft = caption_drafts.read_draft(self.app_model.home, collection.root)
        except UserError as error:
            self.app_model.report(error)
        self.table.show_collection(collection, self.app_model.part_of, draft)
        if draft:
            self.remarks.show_literal(" ".join([_("They are from last time."), self.remarks.text()]).strip())
            self.remarks.show()

    def retranslate(self) -> None:
        """What was put together from several messages."""
        self._tell()

    def _on_edited(self, count: int) -> None:
        if count < _LARGE:
            self._keep_draft()
        self._pause.start()
        self._tell()

    def _on_pause(self) -> None:
        self._keep_draft()
        model = str(self.app_model.state.values().get("model.name") or "")
        self.faults.show_faults(found_faults(self.table.captions, model))

    def _show_current(self) -> None:
        path, captions = self.table.current_path, self.table.captions
        self.side.show_drawing(captions.file(path) if path else None, path)

    # What is wrong with the captions

    def _on_state(self, what: str) -> None:
        if what in ("draft", "preset"):
            self._pause.start()  # another model may know other languages

    def _on_remedy(self, remedy: str, fault: CaptionFault) -> None:
        self.table.commit()
        if remedy == "show":
            self.show_only(fault.paths)
            self.table.setFocus()
            return
        if remedy == "suggest":
            self.suggest(fault.paths)
            return
        values, words = changes_of(remedy, fault, self.table.captions)
        if self.table.captions.change(values, words):
            self._on_pause()

    def _on_suggestions(self) -> None:
        """For the chosen drawings; where only one is, for all that lack a caption of their own, else for that one."""
        chosen = self.table.chosen
        faulty = [path for fault in self.faults.faults for path in fault.paths]
        self.suggest(chosen if len(chosen) > 1 or not faulty else ())

    def suggest(self, wanted: Sequence[str]) -> None:
        """Opens the dialog with captions for some drawings; for all that lack one where none is named."""
        self.table.commit()
        if self.table.captions.root is not None:
            SuggestCaptions(self.app_model, self.table.captions, wanted, self).open()

    def show_only(self, paths_shown: Sequence[str]) -> None:
        """Shows only some drawings; none for all of them."""
        self.rows_wanted.emit(paths_shown)
        self.bar.tell_chosen(len(paths_shown))

    def all_shown(self) -> None:
        """The page's own filter took the place of a choice."""
        self.bar.tell_chosen(0)

    def _keep_draft(self) -> None:
        captions = self.table.captions
        if captions.root is None:
            return
        try:
            captions.keep(self.app_model.home)
        except UserError as error:
            self.app_model.report(error)

    def _tell(self) -> None:
        captions = self.table.captions
        self.save_row.setVisible(self.count > 0)
        self.save.setEnabled(bool(captions.edits))
        self.unsaved.say(
            N_(
                "Changed, not yet saved: {count}. A draft is kept. Saving writes {file}; as it is now, it stays under “Earlier "
                "versions”."
            ),
            count=self.count,
            file=self._tables(),
        )
        remarks = []
        if captions.overtaken:
            remarks.append(
                _("Changed in the folder as well since then: {count}. Saving takes yours.").format(
                    count=captions.overtaken
                )
            )
        if captions.elsewhere:
            remarks.append(
                _("About images that are not in the folder now: {count}. They stay in the draft.").format(
                    count=captions.elsewhere
                )
            )
        self.remarks.show_literal(" ".join(remarks))
        self.remarks.setVisible(bool(remarks))

    def _tables(self) -> str:
        """The tables that saving writes: that of the folder, and those of further folders with edits."""
        from clip_atelier.engine.data import places_of, table_of

        root = self.table.captions.root
        if root is None:
            return ""
        places = places_of(root)
        names = sorted({places.name_of(path) for path in self.table.captions.edits}) or [""]
        folders = [(name or root.name, places.further[name].path if name else root) for name in names]
        return ", ".join(paths.shown(f"{name}/{table_of(folder).name}") for name, folder in folders)

    # Saving

    def start_saving(self) -> None:
        """Writes the captions into the folder."""
        captions = self.table.captions
        self.table.commit()
        if captions.root is None or not captions.edits:
            return
        edits = captions.edits
        job = Job("save", partial(jobs.save_captions, captions.root, *captions.to_save()))
        job.done.connect(partial(self._on_saved, edits))
        job.failed.connect(self.app_model.report)
        self.app_model.lanes.reading.submit(job)

    def _on_saved(self, edits: dict[str, DraftEdit], saved: SavedCaptions) -> None:
        self.table.captions.forget(edits)
        recoded = next((one for one in (saved, *saved.others) if one.recoded), None)
        if recoded is not None:
            self.app_model.news.emit(
                _("“{file}” is in UTF-8 now.").format(file=paths.shown(recoded.file.name)),
                _(
                    "Its own encoding lacks a letter of your captions. As it was, it is under “Earlier versions”."
                ),
            )
        else:
            own = self.table.captions.root
            written = [paths.shown(file.name if file.parent == own else file) for file in saved.files]
            self.app_model.news.emit(
                _("Saved in {file}: {count}").format(file=", ".join(written), count=len(edits)),
                _("As it was before, it is kept under “Earlier versions” ({date}).").format(
                    date=saved.backup.date
                ),
            )
        self.app_model.rescan()

    def discard_changes(self) -> None:
        """Puts the draft into the trash, from which it can be taken back."""
        from clip_atelier.engine.data import caption_drafts

        captions = self.table.captions
        if captions.root is None or not captions.draft:
            return
        self.table.commit()
        self._keep_draft()
        try:
            entry = caption_drafts.discard_draft(self.app_model.home, captions.root)
        except UserError as error:
            self.app_model.report(error)
            return
        captions.discard()
        self.app_model.deleted.emit([entry])

    def _on_restored(self, kinds: set[str]) -> None:
        collection, captions = self.app_model.collection, self.table.captions
        if "captions" in kinds and collection is not None and not captions.draft:
            self._show_anew(collection)

    def show_earlier(self) -> None:
        """Opens the dialog with the tables as they were."""
        if self.app_model.collection is not None:
            EarlierCaptions(self.app_model, self.app_model.collection, self).open()

    # Leaving

    def _on_training(self) -> None:
        if self.count:
            self.app_model.news.emit(
                _("Training goes by the captions that are saved."),
                _("Changed and not saved: {count}. They are kept as a draft.").format(count=self.count),
            )

    def may_leave(self, parent: QWidget) -> bool:
        """Asks what is to become of unsaved captions before the window closes; whether it may."""
        captions = self.table.captions
        self.table.commit()
        self._keep_draft()
        if captions.root is None or not captions.edits:
            return True
        question = QMessageBox(parent)
        question.setTextFormat(Qt.TextFormat.PlainText)
        question.setIcon(QMessageBox.Icon.NoIcon)
        question.setText(_("Captions that are not saved: {count}").format(count=len(captions.edits)))
        question.setInformativeText(
            _("They can be saved into the folder now, or kept as a draft for next time.")
        )
        save = question.addButton(_("Save"), QMessageBox.ButtonRole.AcceptRole)
        keep = question.addButton(_("Keep the draft"), QMessageBox.ButtonRole.DestructiveRole)
        question.addButton(_("Cancel"), QMessageBox.ButtonRole.RejectRole)
        question.setDefaultButton(save)
        question.exec()
        if question.clickedButton() is keep:
            return True
        return question.clickedButton() is save and self._save_now()

    def _save_now(self) -> bool:
        """Saves here and now, since the lanes end with the window."""
        from clip_atelier.engine.data import save_captions

        captions = self.table.captions
        assert captions.root is not None
        edits = captions.edits
        told, columns = captions.to_save()
        try:
            save_captions(captions.root, told, self.app_model.home, columns)
        except UserError as error:
            self.app_model.report(error)
            return False
        captions.forget(edits)
        return True
