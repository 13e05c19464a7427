"""The dialog that makes drawings of photographed or scanned pages: what was found is looked at, and mended, before it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QFileDialog, QListWidget, QListWidgetItem, QSlider, QWidget

from clip_atelier.engine.core import N_, UserError, _, paths
from clip_atelier.gui import theme
from clip_atelier.gui.pages.collection import intake_jobs
from clip_atelier.gui.pages.collection.intake_jobs import Shown
from clip_atelier.gui.pages.collection.intake_parts import THUMB, LookedAt, icon_of
from clip_atelier.gui.parts.collection_folders import place_for_new
from clip_atelier.gui.parts.measurement import Measurement
from clip_atelier.gui.widgets.layout import box, column, row
from clip_atelier.gui.widgets.page_sheet import PageSheet
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.intake import IntakeSummary, Page
    from clip_atelier.gui.app_model import AppModel

FOLDER: Final = "intake"
"""Below the collection, or beside the pages where none is open."""
_KINDS: Final = "*.png *.jpg *.jpeg *.webp *.tif *.tiff *.avif *.bmp *.heic *.heif *.hif *.pdf"
_CLOSE, _FAR = 5, 150  # of the slider, in thousandths of the page's shorter side
_USUAL: Final = 50


class IntakeDialog(QDialog):
    """Page by page: the photograph at the left, the drawings as they will be at the right."""

    def __init__(self, app_model: AppModel, sources: Sequence[Path], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.app_model = app_model
        self.sheets: list[LookedAt] = []
        self.number = 0
        self._jobs: list[Job] = []
        root = place_for_new(app_model)
        self.into = (root or (sources[0] if sources[0].is_dir() else sources[0].parent)) / FOLDER
        self.setWindowTitle(_("Photographed pages"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(1060, 700)
        self._build()
        self._show()
        self._do(Job("intake", intake_jobs.pages_of(sources)), self._on_pages)

    def _build(self) -> None:
        self.name = ElidedLabel(role="strong")
        self.back = Button(N_("Previous page"), "plain")
        self.next = Button(N_("Next page"), "plain")
        self.use = Button(N_("Use this page"), "chip", checkable=True)
        head = row(self.name, self.use, self.back, self.next)
        head.setStretch(0, 1)
        self.sheet = PageSheet()
        self.told = Label(role="muted", wrap=True)
        self.told.setMinimumWidth(400)
        self.told.setFixedHeight(
            2 * self.told.fontMetrics().lineSpacing() + theme.XS
        )  # nothing below it jumps
        self.add = Button("", "icon", "plus", tip=N_("Add a drawing"))
        self.remove = Button("", "icon", "x", tip=N_("Remove the chosen drawing"))
        self.undo = Button("", "icon", "undo-2", tip=N_("Undo"))
        self.redo = Button("", "icon", "redo-2", tip=N_("Redo"))
        self.again = Button(
            N_("Find again"),
            "plain",
            "refresh-cw",
            tip=N_("Looks for the drawings anew between these corners"),
        )
        self.even = Button(N_("Even white paper"), "chip", checkable=True)
        self.even.setChecked(True)
        self.gap = QSlider(Qt.Orientation.Horizontal)
        self.gap.setRange(_CLOSE, _FAR)
        self.gap.setValue(_USUAL)
        self.gap.setFixedWidth(120)
        SpokenName(self.gap, N_("How far apart the parts of one drawing may lie"))
        tools = row(self.add, self.remove, self.undo, self.redo, self.again, None, self.even, gap=theme.XS)
        apart = row(Label(N_("How far apart the parts of one drawing may lie"), "caption"), self.gap)
        apart.setStretch(0, 1)
        self.cuts = QListWidget()
        self.cuts.setViewMode(QListWidget.ViewMode.IconMode)
        self.cuts.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.cuts.setMovement(QListWidget.Movement.Static)
        self.cuts.setIconSize(QSize(THUMB, THUMB))
        self.cuts.setSpacing(theme.S)
        self.cuts.setUniformItemSizes(True)
        SpokenName(self.cuts, N_("Drawings of this page"))
        left = box(self.sheet, self.told, tools, apart, gap=theme.S)
        right = box(Label(N_("So they will be saved"), "caption"), self.cuts, gap=theme.S)
        right.setFixedWidth(330)
        both = row(left, right, gap=theme.L)
        both.setStretch(0, 1)
        self.place = ElidedLabel(role="caption")
        self.other = Button(N_("Other folder…"), "quiet", "folder-open")
        self.other.setAutoDefault(False)
        self.saving = Measurement(N_("Save the drawings"), "save")
        self.shut = Button(N_("Close"), "plain")
        foot = row(self.place, self.other, self.saving, self.shut)
        foot.setStretch(0, 1)
        layout = column(head, both, foot, gap=theme.M)
        layout.setStretch(1, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        for button in (self.back, self.next, self.use, self.again, self.even, self.shut):
            button.setAutoDefault(False)
        self._connect()

    def _connect(self) -> None:
        self.back.clicked.connect(lambda: self.turn(-1))
        self.next.clicked.connect(lambda: self.turn(1))
        self.use.toggled.connect(self._on_used)
        self.add.clicked.connect(self.sheet.add_box)
        self.remove.clicked.connect(self.sheet.remove_box)
        self.undo.clicked.connect(self.sheet.undo)
        self.redo.clicked.connect(self.sheet.redo)
        self.again.clicked.connect(self.find_again)
        self.gap.sliderReleased.connect(self.find_again)
        self.gap.valueChanged.connect(lambda _value: None if self.gap.isSliderDown() else self.find_again())
        self.even.toggled.connect(self._on_even)
        self.sheet.corners_moved.connect(self._on_corners)
        self.sheet.boxes_moved.connect(self._on_boxes)
        self.sheet.chosen_changed.connect(self._on_chosen)
        self.cuts.currentRowChanged.connect(self.sheet.choose_box)
        self.other.clicked.connect(self.ask_for_folder)
        self.saving.wanted.connect(self.save)
        self.saving.stop.setAutoDefault(False)
        self.shut.clicked.connect(self.reject)
        delete = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.cuts)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(self.sheet.remove_box)

    # Work beside the window

    def _do(self, job: Job, done: object, replace: bool = False) -> None:
        self._jobs.append(job)
        job.done.connect(done)
        job.failed.connect(self._on_failed)
        if replace:
            self.app_model.lanes.files.replace(job)
        else:
            self.app_model.lanes.files.submit(job)

    def _on_failed(self, error: Exception) -> None:
        if isinstance(error, UserError):
            self._tell(str(error), "warning")
        else:
            self.app_model.report(error)

    def _tell(self, text: str, role: str = "muted") -> None:
        self.told.show_literal(text)
        self.told.set_role(role)

    def _on_pages(self, found: list[Path]) -> None:
        self.sheets = [LookedAt(path) for path in found]
        for sheet in self.sheets:
            job = Job("intake", intake_jobs.look(sheet.path, True))
            self._jobs.append(job)
            job.done.connect(partial(self._on_looked, sheet))
            job.failed.connect(partial(self._on_unread, sheet))
            self.app_model.lanes.files.submit(job)
        self._show()

    def _on_looked(self, sheet: LookedAt, shown: Shown) -> None:
        sheet.shown = shown
        if sheet is self._sheet:
            self._show()
        self._count()

    def _on_unread(self, sheet: LookedAt, error: Exception) -> None:
        sheet.problem = str(error)
        sheet.used = False
        if not isinstance(error, UserError):
            self.app_model.report(error)
        if sheet is self._sheet:
            self._show()
        self._count()

    # One page

    @property
    def _sheet(self) -> LookedAt | None:
        return self.sheets[self.number] if self.sheets else None

    def turn(self, by: int) -> None:
        """Turns to another page."""
        self.number = min(max(self.number + by, 0), max(len(self.sheets) - 1, 0))
        self._show()

    def _show(self) -> None:
        sheet = self._sheet
        if sheet is None:
            self.name.say(N_("Reading…"))
        else:
            self.name.say(
                N_("Page {number} of {count}: {name}"),
                number=self.number + 1,
                count=len(self.sheets),
                name=sheet.path.name,
            )
        self.back.setEnabled(self.number > 0)
        self.next.setEnabled(self.number + 1 < len(self.sheets))
        shown = sheet.shown if sheet is not None else None
        for widget in (self.use, self.add, self.again, self.even, self.gap):
            widget.setEnabled(shown is not None)
        if sheet is None or shown is None:
            self.sheet.clear()
            self.cuts.clear()
            problem = sheet.problem if sheet is not None else ""
            self._tell(
                problem or _("Looking for the page and its drawings…"), "warning" if problem else "muted"
            )
        else:
            page = shown.seen.page
            self.sheet.show_page(shown.picture, page.corners, page.boxes)
            for switch, on in ((self.use, sheet.used), (self.even, page.even)):
                switch.blockSignals(True)
                switch.setChecked(on)
                switch.blockSignals(False)
            self._fill()
            self._say_what_to_do(page)
        self._enable()
        self._count()

    def _say_what_to_do(self, page: Page) -> None:
        if page.boxes:
            self._tell(
                _(
                    "Drag the corners onto those of the page. Drag a drawing to move it, its edge to resize it, or draw a new one."
                )
            )
        else:
            self._tell(
                _(
                    "No drawing was found here. Drag the corners onto those of the page, or draw a frame around each drawing."
                ),
                "warning",
            )

    def _enable(self) -> None:
        self.remove.setEnabled(self.sheet.chosen >= 0)
        self.undo.setEnabled(self.sheet.can_undo)
        self.redo.setEnabled(self.sheet.can_redo)

    def _fill(self) -> None:
        """Shows each drawing as it will be cut out."""
        sheet = self._sheet
        if sheet is None or sheet.shown is None:
            return
        from clip_atelier.engine.intake import margin_of

        flat = sheet.shown.flat
        self.cuts.blockSignals(True)
        self.cuts.clear()
        for number, one in enumerate(self.sheet.boxes, start=1):
            left, top, right, bottom = margin_of((flat.width(), flat.height()), one)
            item = QListWidgetItem(icon_of(flat.copy(left, top, right - left, bottom - top)), str(number))
            item.setData(Qt.ItemDataRole.AccessibleTextRole, _("Drawing {number}").format(number=number))
            self.cuts.addItem(item)
        self.cuts.setCurrentRow(self.sheet.chosen)
        self.cuts.blockSignals(False)

    def _keep(self, changed: bool) -> None:
        """Takes over what the sheet says."""
        sheet = self._sheet
        if sheet is not None and sheet.shown is not None:
            seen = sheet.shown.seen
            page = dataclasses.replace(seen.page, corners=self.sheet.corners, boxes=self.sheet.boxes)
            sheet.shown = sheet.shown._replace(seen=dataclasses.replace(seen, page=page))
            sheet.changed = sheet.changed or changed

    def _on_boxes(self) -> None:
        self._keep(True)
        self._fill()
        self._enable()
        self._count()

    def _on_chosen(self, number: int) -> None:
        self.cuts.blockSignals(True)
        self.cuts.setCurrentRow(number)
        self.cuts.blockSignals(False)
        self._enable()

    def _on_corners(self) -> None:
        """Other corners: the page is straightened anew, and drawings that nobody touched are found anew."""
        self._keep(False)
        sheet = self._sheet
        self._look_again(find=sheet is not None and not sheet.changed)

    def _on_even(self, _on: bool) -> None:
        self._look_again(find=False)

    def find_again(self) -> None:
        """Looks for the drawings anew; what was marked by hand can be brought back by Undo."""
        self._look_again(find=True)

    def _look_again(self, *, find: bool) -> None:
        sheet = self._sheet
        if sheet is None or sheet.shown is None:
            return
        page = dataclasses.replace(sheet.shown.seen.page, even=self.even.isChecked())
        gap = self.gap.value() / 1000 if find else None
        job = Job("intake-again", intake_jobs.look_again(sheet.shown, page, gap))
        self._do(job, partial(self._on_seen_again, sheet, find), replace=True)

    def _on_seen_again(self, sheet: LookedAt, found: bool, shown: Shown) -> None:
        if sheet is not self._sheet:
            sheet.shown = shown
            return
        if found:
            self.sheet.replace_boxes(shown.seen.page.boxes)
            sheet.changed = False
        sheet.shown = shown
        self._keep(False)
        self._fill()
        self._say_what_to_do(sheet.shown.seen.page)
        self._enable()
        self._count()

    def _on_used(self, on: bool) -> None:
        if self._sheet is not None:
            self._sheet.used = on
            self._count()

    # Writing

    @property
    def pages(self) -> list[Page]:
        """What will be written."""
        seen = [sheet.shown.seen.page for sheet in self.sheets if sheet.used and sheet.shown is not None]
        return [page for page in seen if page.boxes]

    def _count(self) -> None:
        pages = self.pages
        drawings = sum(len(page.boxes) for page in pages)
        waiting = any(sheet.shown is None and not sheet.problem for sheet in self.sheets)
        self.saving.start.setEnabled(bool(drawings) and not waiting)
        if drawings:
            self.saving.start.say(N_("Save drawings: {count}"), count=drawings)
        else:
            self.saving.start.say(N_("Save the drawings"))
        self.place.say(N_("Into {folder}"), folder=paths.shown(self.into))

    def ask_for_folder(self) -> None:
        """Lets the user choose where the drawings go."""
        start = next((str(one) for one in (self.into, *self.into.parents) if one.is_dir()), "")
        chosen = QFileDialog.getExistingDirectory(self, _("Folder for the drawings"), start)
        if chosen:
            self.into = Path(chosen)
            self._count()

    def save(self) -> None:
        """Writes the drawings of all pages that are used; the dialog closes when they are there."""
        pages = self.pages
        if pages and not self.saving.busy:
            job = Job("intake", intake_jobs.take_in(pages, self.into))
            self.saving.follow(job)
            self._do(job, self._on_saved)

    def _on_saved(self, summary: IntakeSummary) -> None:
        self.app_model.taken_in.emit(summary)
        if summary.problems:
            self._tell(
                "\n".join(f"{paths.shown(Path(one.path).name)}: {one.reason}" for one in summary.problems),
                "warning",
            )
        else:
            self.accept()

    def done(self, result: int) -> None:
        """Closing stops what is going on; what was written stays."""
        for job in self._jobs:
            if not job.over:
                job.done.disconnect()
                job.failed.disconnect()
                job.stop()
        super().done(result)


def ask_for_pages(app_model: AppModel, parent: QWidget) -> None:
    """Lets the user choose photographs or scans, and opens the dialog for them."""
    start = app_model.state.folder or str(Path.home())
    chosen, _kind = QFileDialog.getOpenFileNames(
        parent,
        _("Photographs or scans of pages"),
        start,
        f"{_('Pictures and PDF')} ({_KINDS} {_KINDS.upper()})",
    )
    if chosen:
        IntakeDialog(app_model, [Path(one) for one in chosen], parent).open()
