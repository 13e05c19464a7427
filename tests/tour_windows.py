"""What the tour opens beside the pages: dialogs, menus and questions, each as hands open it, with a training at hand.

`scenes` yields each thing that is to be seen, with its name; whoever looks at it takes the next one, and it is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QItemSelectionModel, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QInputDialog,
    QMenu,
    QMessageBox,
    QScrollArea,
    QWidget,
)

import sketchbook
import tour_folders
from clip_atelier.engine.core import UserError, _

if TYPE_CHECKING:
    from tour import Tour

Seen = Iterator[tuple[str, QWidget]]
LEFT = Qt.MouseButton.LeftButton


class Windows:
    """Opens them one after the other; every scene leaves the window as it was."""

    def __init__(self, tour: Tour) -> None:
        self.tour = tour
        self.window = tour.window
        self.model = tour.model

    def prepare(self) -> None:
        """A second training, so that two can be compared, and photographs of pages."""
        self.window.guide.leave()
        self.model.state.set_value("lora.r", 4)
        before = len(self.model.runs)
        page = self.tour.turn("settings")
        self.tour.until(page.train.isEnabled)
        self.tour.press(page.train)
        self.tour.until(lambda: len(self.model.usable_runs) > before and not self.training)
        for seed, name in ((0, "page-1"), (6, "page-2")):
            sketchbook.page(seed, width=640, drawings=4).picture.save(self.tour.home / f"{name}.png")

    @property
    def training(self) -> bool:
        page: Any = self.window.page("training")
        return bool(page.training)

    def scenes(self) -> Seen:
        """All of them, in the order of the pages."""
        for scene in (
            self.collection, partial(tour_folders.scenes, self), self.captions, self.teaching, self.intake, self.settings, self.training_page, self.search,
            self.table, self.trash, self.learned, self.models, self.everywhere,
        ):  # fmt: skip
            yield from scene()

    # Ways to look

    def opened(self, kind: type[QWidget]) -> Any:
        """The dialog of this kind that is open now."""
        self.tour.until(lambda: any(one.isVisible() for one in self.window.findChildren(kind)))
        return next(one for one in self.window.findChildren(kind) if one.isVisible())

    def dialog(self, name: str) -> Iterator[tuple[str, Any]]:
        """The dialog that is open now, then closed."""
        self.tour.settle()
        found = [one for one in self.window.findChildren(QDialog) if one.isVisible()]
        if not found:
            self.tour.note(f"{name}: no dialog")
            return
        yield name, found[-1]
        found[-1].reject()
        self.tour.settle()

    def menu(self, name: str, menu: QMenu, at: QPoint | None = None) -> Seen:
        """A menu, opened where its button would."""
        menu.popup(at or self.window.mapToGlobal(QPoint(300, 200)))
        yield name, menu
        menu.close()

    def asked(self, name: str, press: Callable[[], object]) -> Seen:
        """A question that waits for its answer: a picture is taken while it does, and it is answered with no."""

        def look() -> None:
            box = QApplication.activeModalWidget()
            if isinstance(box, QMessageBox | QInputDialog):
                self.tour.look(name, box)
                timer.stop()
                box.reject()

        timer = QTimer()
        timer.timeout.connect(look)
        timer.start(200)
        press()
        timer.stop()
        yield from ()

    def idle(self) -> None:
        """Waits until nothing is computed."""
        self.tour.until(lambda: not self.model.lanes.busy)
        self.tour.settle()

    # The pages

    def collection(self) -> Seen:
        page = self.tour.turn("collection")
        for name in page.tabs.names:
            page.tabs.choose(name)
            yield f"collection-{name}", self.window
        page.tabs.choose("pictures")
        page.grid.setCurrentIndex(page.grid.tiles.index(2))
        yield "collection-chosen", self.window
        yield from self.menu("collection-other", page.menu)
        drawing = self.model.collection.absolute(self.model.collection.items[0])  # type: ignore[union-attr]
        yield from self.asked("drawing-dropped", lambda: self.window.open_path(drawing))

    def captions(self) -> Seen:
        page = self.tour.turn("collection")
        page.tabs.choose("captions")
        table = page.captions.table
        table.setCurrentIndex(table.model().index(0, 1))
        yield from self.menu("captions-many", page.captions.bar.menu)
        page.captions.bar.find_and_replace()
        dialog = next(one for one in self.window.findChildren(QDialog) if one.isVisible())
        for field in dialog.findChildren(QWidget):
            if hasattr(field, "setText") and hasattr(field, "returnPressed"):
                QTest.keyClicks(field, "a")
                break
        yield from self.dialog("captions-replace")
        page.captions.bar.fill_by_template()
        yield from self.dialog("captions-template")
        page.captions.suggest([self.model.collection.items[n].path for n in range(6)])  # type: ignore[union-attr]
        self.idle()
        yield from self.dialog("captions-suggest")
        from clip_atelier.gui.pages.collection.suggesting import SuggestCaptions

        page.captions.suggest([self.model.collection.items[n].path for n in range(6)])  # type: ignore[union-attr]
        self.idle()
        first = self.opened(SuggestCaptions)
        first.show_many()
        yield from self.dialog("captions-suggest-table")
        first.reject()
        page.captions.show_earlier()
        yield from self.dialog("captions-earlier")
        changes = page.captions.table.captions
        path = changes.paths[0]
        changes.change({path: changes.told(path)._replace(captions=("a drawing",))}, "typed")
        yield "captions-changed", self.window
        yield from self.asked("captions-leaving", lambda: page.captions.may_leave(self.window))
        changes.steps.undo()
        page.tabs.choose("pictures")

    def teaching(self) -> Seen:
        page = self.tour.turn("collection")
        page.tabs.choose("pictures")
        for row in range(3):
            index = page.grid.tiles.index(row)
            page.grid.selectionModel().select(index, QItemSelectionModel.SelectionFlag.Select)
        self.tour.press(page.teach)
        yield from self.dialog("teach-a-word")
        page.grid.clearSelection()

    def intake(self) -> Seen:
        from clip_atelier.gui.pages.collection.intake import IntakeDialog

        files = [str(file) for file in sorted(self.tour.home.glob("page-*.png"))]
        whole = QFileDialog.getOpenFileNames
        QFileDialog.getOpenFileNames = lambda *_all: (files, "")  # type: ignore[method-assign, assignment]
        self.window.do("collection.pages")
        QFileDialog.getOpenFileNames = whole  # type: ignore[method-assign]
        dialog = self.opened(IntakeDialog)
        yield "intake-reading", dialog
        self.tour.until(lambda: bool(dialog.sheets) and all(s.shown or s.problem for s in dialog.sheets))
        dialog.cuts.setCurrentRow(1)
        yield from self.dialog("intake")

    def settings(self) -> Seen:
        page = self.tour.turn("settings")
        for name in page.tabs.names:
            page.tabs.choose(name)
            yield f"settings-{name}", self.window
        page.tabs.choose("picture")
        towers = page.pictures.towers
        QTest.mouseClick(towers, LEFT, pos=towers.parts()["vision.3"].center().toPoint())
        self.tour.settle()
        page.area.verticalScrollBar().setValue(page.area.verticalScrollBar().maximum() // 3)
        yield "settings-layers-chosen", self.window
        self.model.state.set_value("train.last_layers", 0)
        for setting in ("lora.use_dora", "train.learning_rate"):
            self.window.show_setting(setting)
            page._explain(setting)
            page.tabs.choose("explanation")
            self.tour.settle()
            yield f"settings-{setting}", self.window
        page.area.verticalScrollBar().setValue(0)
        yield from self.asked("settings-save-preset", page.own.save.click)
        page.own.compare.click()
        yield from self.dialog("settings-compare-presets")

    def training_page(self) -> Seen:
        page = self.tour.turn("training")
        for name in page.tabs.names:
            page.tabs.choose(name)
            yield f"training-{name}", self.window
        page.tabs.choose("result")
        yield from self.menu("training-more", page.menu)

    def search(self) -> Seen:
        from clip_atelier.engine.core import Control, drive
        from clip_atelier.gui.pages.search import contact_sheet

        page = self.tour.turn("search")
        words = self.model.collection.items[1].captions[0]  # type: ignore[union-attr]
        self.find(page, lambda: page.search_for(words))
        other = next(run.run for run in self.model.usable_runs if run.run != page.runs.value())
        page.narrowing.against.set_value(other)
        self.find(page, page.narrowing.against.edited.emit)
        yield "search-two-trainings", self.window
        page.narrowing.against.set_value("")
        self.find(page, page.narrowing.against.edited.emit)
        yield from self.menu("search-saved", page.saved.menu())
        yield from self.asked("search-save", page.saved._ask_for_name)
        yield from self.menu("search-export", page.export.menu())
        result = QMenu(page)
        page.actions_of_results.fill(result, page.base.view, page.base.view.tiles.tile(0))
        yield from self.menu("search-result", result)
        sheet = self.tour.options.out / f"contact-sheet-{self.model.state.get('language')}.png"
        if not sheet.exists():
            drive(contact_sheet.write(page._sheet(), sheet, None, Control()))  # type: ignore[arg-type]
        page.base.view.choose(page.base.view.tiles.tile(0))
        QTest.keyClick(page.base.view, Qt.Key.Key_Space)
        self.tour.settle()
        yield "search-large", self.window
        QTest.keyClick(page.actions_of_results._full, Qt.Key.Key_Escape)
        self.find(page, lambda: page.search_by(page.base.view.tiles.tile(0).path))
        yield "search-by-picture", self.window
        page.picture.clear()
        self.find(page, lambda: page.search_for("qwxz vvkjh"))
        yield "search-gibberish", self.window
        page.draw.click()
        canvas = page.canvas
        middle = canvas.rect().center()
        QTest.mousePress(canvas, LEFT, pos=middle - QPoint(60, 40))
        for step in range(12):
            QTest.mouseMove(canvas, middle + QPoint(-60 + 10 * step, -40 + (step % 4) * 20))
        self.find(page, lambda: QTest.mouseRelease(canvas, LEFT, pos=middle + QPoint(50, 20)))
        yield "search-drawn", self.window
        page.draw.click()
        page.search_for("")
        yield "search-nothing-asked", self.window

    def find(self, page: Any, ask: Callable[[], object]) -> None:
        """Asks, and waits for the answer."""
        before = page.found
        ask()
        self.tour.until(lambda: page.found is not before and page.found is not None)
        self.idle()

    def table(self) -> Seen:
        page = self.tour.turn("table")
        self.idle()
        runs = [row.run for row in page.view.table.rows[:2]]
        page.view.choose(runs[:1])
        for name in page.tabs.names:
            page.tabs.choose(name)
            self.tour.settle()
            yield f"table-{name}", self.window
        page.view.choose(runs)
        page.tabs.choose("curves")
        self.idle()
        yield "table-two-curves", self.window
        page.tabs.choose("run")
        menu = QMenu(page)
        page.run.add_actions(menu)
        yield from self.menu("table-run-menu", menu)
        page.labels.compare([row for row in page.stand.rows if row.run in runs])
        self.idle()
        yield from self.dialog("table-differences")
        page.labels.edit(page.stand.rows[0])
        yield from self.dialog("table-label")
        yield from self.menu("table-columns", page.columns.menu())
        yield from self.menu("table-export", page.export.menu())
        yield from self.asked("table-delete", lambda: page._delete(runs))
        self.tour.press(page.fill)
        self.tour.settle()
        yield "table-fill", self.window
        page._close_panel()

    def trash(self) -> Seen:
        page = self.tour.turn("training")
        count = len(self.model.runs)
        page.menu.delete(self.model.runs[0].run)
        self.tour.until(self.window.news.isVisible)
        self.tour.until(lambda: len(self.model.runs) < count)
        yield "trash-undo-offered", self.window
        self.window.do("trash")
        self.idle()
        yield from self.dialog("trash")
        self.tour.press(self.window.news.undo)
        self.tour.until(lambda: len(self.model.runs) == count)
        self.idle()

    def learned(self) -> Seen:
        page = self.tour.turn("learned")
        for name in page.tabs.names:
            page.tabs.choose(name)
            self.idle()
            section = {"strengths": page.strengths, "words": page.words}.get(name)
            if section is not None and section.result is None:
                section.measure()
                self.idle()
            yield f"learned-{name}", self.window
        page.tabs.choose("strengths")

    def models(self) -> Seen:
        page = self.tour.turn("models")
        self.idle()
        if page.result is None:
            page.compare()
            self.idle()
        area = page.findChildren(QScrollArea)[0]
        for name, share in (("top", 0.0), ("bottom", 1.0)):
            area.verticalScrollBar().setValue(round(area.verticalScrollBar().maximum() * share))
            yield f"models-{name}", self.window
        page.suggested.table.selectRow(0)
        yield from self.asked("models-download", page.suggested.ask)
        area.verticalScrollBar().setValue(0)

    def everywhere(self) -> Seen:
        self.tour.turn("collection")
        yield from self.menu("more-menu", self.window.more_menu)
        self.window.do("palette")
        dialog = next(one for one in self.window.findChildren(QDialog) if one.isVisible())
        yield "palette", dialog
        QTest.keyClicks(dialog.line, "sc")
        yield from self.dialog("palette-typed")
        self.window.do("help")
        dialog = next(one for one in self.window.findChildren(QDialog) if one.isVisible())
        for name in dialog.tabs.names:
            dialog.tabs.choose(name)
            self.tour.settle()
            yield f"help-{name}", dialog
        dialog.reject()
        self.window.do("glossary")
        yield from self.dialog("glossary")
        self.window.do("report-problem")
        self.idle()
        yield from self.dialog("report-problem")
        gone = _("There is no “{path}” any more.").format(path="drawings/cat.png")
        self.window.tell(UserError(gone, _("This search was by that picture.")))
        yield "trouble", self.window
        self.window.trouble.hide()
