"""Walks the real window through first run, captions, training, verdict, search, drag out, table and map, and looks at it.

    python tests/tour.py OUT [--scales 1,1.5,2] [--sizes 1280x720,1920x1080,960x540] [--languages en,ko]
                             [--themes light,dark] [--drawings 60] [--windows] [--only 1280x720-en-light,1280x720-ko-dark]

With --only not every size is seen in every language and theme, but these are.
With --windows the dialogs, menus and questions are opened too, each at the first of the sizes.

Every scale has a process of its own. Each step is seen in every size, language and theme: a picture is saved in OUT, and
checked are that no words are cut off, that what stands side by side does not overlap, that nothing hangs out of what holds
it, and that Qt had nothing to complain of. What is found is printed; exits with 1 where anything was. It needs no display.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))

if TYPE_CHECKING:
    from PySide6.QtCore import QMimeData
    from PySide6.QtWidgets import QWidget

    from clip_atelier.gui.main_window import MainWindow

_PATIENCE = 600.0  # seconds, for training on a busy machine
_OF_THE_PLATFORM = (
    "propagateSizeHints",
    "raise()",
    "grabbing the keyboard",
)  # what drawing without a display cannot do, whatever is drawn


def main() -> int:
    """Starts a process for each scale, or walks in this one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--scales", default="1,1.5,2")
    parser.add_argument("--sizes", default="1280x720,1920x1080,960x540", help="of the window, before scaling")
    parser.add_argument("--languages", default="en,ko")
    parser.add_argument("--themes", default="light,dark")
    parser.add_argument("--only", default="", help="sizes, languages and themes together, as 960x540-ko-dark")
    parser.add_argument("--drawings", type=int, default=60, help="how much of the sample is trained on")
    parser.add_argument("--windows", action="store_true", help="opens dialogs, menus and questions too")
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    scales = options.scales.split(",")
    if len(scales) > 1:
        rest = [part for part in sys.argv[1:] if not part.startswith("--scales") and part != options.scales]
        ended = [
            subprocess.run([sys.executable, __file__, *rest, "--scales", one], check=False) for one in scales
        ]
        return max(one.returncode for one in ended)
    os.environ["QT_SCALE_FACTOR"] = scales[0]
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["CLIP_ATELIER_HOME"] = home
        return Tour(Path(home), options, scales[0]).walk()


@dataclass
class Tour:
    """One walk."""

    home: Path
    options: argparse.Namespace
    scale: str
    found: list[str] = field(default_factory=list)
    where: str = "start"

    def walk(self) -> int:
        """All steps; 1 where something was found."""
        from PySide6.QtCore import qInstallMessageHandler
        from PySide6.QtWidgets import QApplication

        from clip_atelier.gui import first_look
        from clip_atelier.gui.app_model import AppModel
        from clip_atelier.gui.main_window import MainWindow
        from clip_atelier.gui.state import WindowState
        from clip_atelier.gui.theme import Theme
        from clip_atelier.gui.workers import Lanes

        def complained(_kind: object, _context: object, words: str) -> None:
            if not any(part in words for part in _OF_THE_PLATFORM):
                self.note(f"Qt: {words}")

        qInstallMessageHandler(complained)
        first_look.DRAWINGS = self.options.drawings
        self.app = QApplication([])
        self.lanes = Lanes(self.home)
        self.model = AppModel(WindowState(self.home, "en"), self.lanes, Theme(self.app, "light"))
        self.model.trouble.connect(lambda error: self.note(f"trouble: {error}"))
        self.window: MainWindow = MainWindow(self.model)
        self.window.resize(1280, 800)
        self.window.show()
        try:
            for name, step in self.steps():
                self.where = name
                step()
                self.see(name)
            if self.options.windows:
                self.see_windows()
        finally:
            self.lanes.close(60)
        print(f"scale {self.scale}: {len(self.found)} found", flush=True)
        return int(bool(self.found))

    def steps(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """What is done, in order; each ends with something to be seen."""
        window, turn = self.window, self.turn
        yield "01-empty", lambda: turn("collection")
        for number, page in enumerate(
            ("settings", "training", "search", "table", "map", "learned", "models")
        ):
            yield f"02-empty-{number}-{page}", lambda page=page: turn(page)
        yield "03-tour-1", window.show_around
        yield "04-tour-2", self.open_sample
        yield "05-captions", self.captions
        yield "06-tour-3-training", self.train
        yield "07-tour-4-verdict", self.verdict
        yield "08-search", self.search
        yield "09-dragged-out", self.drag_out
        yield "10-table", lambda: turn("table")
        yield "11-map", self.draw_map
        yield "12-learned", lambda: turn("learned")
        yield "13-models", lambda: turn("models")

    # What is done

    def turn(self, page: str) -> Any:
        """Goes to a page as a mouse does."""
        self.press(self.window.rail.buttons[page])
        self.settle()
        return self.window.page(page)

    def press(self, button: QWidget) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def until(self, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE
        while not reached():
            self.app.processEvents()
            time.sleep(0.01)
            if time.monotonic() > end:
                raise SystemExit(f"{self.where}: not reached. {self.found[-5:]}")

    def settle(self, most: float = 20.0) -> None:
        """Lets the window work until it has been calm for a while."""
        end, calm = time.monotonic() + most, 0
        while time.monotonic() < end and calm < 6:
            self.app.processEvents()
            time.sleep(0.01)
            busy = self.lanes.pictures.busy or self.lanes.files.busy or self.lanes.reading.busy
            calm = 0 if busy else calm + 1

    def open_sample(self) -> None:
        callout = self.window.guide.callout
        assert callout is not None
        self.press(callout.next)
        self.until(lambda: self.window.guide.step == 1)

    def captions(self) -> None:
        self.turn("collection").tabs.choose("captions")

    def train(self) -> None:
        self.turn("settings")
        self.model.state.set_value("train.steps", 20)
        guide = self.window.guide
        self.until(
            lambda: (
                guide.callout is not None
                and guide.callout.next.isVisible()
                and guide.callout.next.isEnabled()
            )
        )
        assert guide.callout is not None
        self.press(guide.callout.next)
        self.until(lambda: guide.step == 2)

    def verdict(self) -> None:
        self.until(lambda: self.window.guide.step == 3)

    def search(self) -> None:
        callout = self.window.guide.callout
        assert callout is not None
        self.press(callout.next)
        page: Any = self.window.page("search")
        assert self.model.collection is not None
        page.search_for(self.model.collection.items[1].captions[0])
        self.until(lambda: page.found is not None)

    def drag_out(self) -> None:
        from PySide6.QtCore import Qt

        page: Any = self.window.page("search")
        carried: list[QMimeData] = []
        page.base.view.carry = carried.append
        page.base.view.choose(page.base.view.tiles.tile(0))
        page.base.view.startDrag(Qt.DropAction.CopyAction)
        if not carried or not Path(carried[0].urls()[0].toLocalFile()).is_file():
            self.note("nothing was dragged out")

    def draw_map(self) -> None:
        page = self.turn("map")
        page.draw_map()
        self.until(lambda: not self.lanes.compute.busy)

    # What is seen

    def see(self, step: str) -> None:
        """The window as it is now, in every size, language and theme."""
        options = self.options
        every = product(options.sizes.split(","), options.languages.split(","), options.themes.split(","))
        only = [tuple(one.split("-")) for one in options.only.split(",") if one]
        for size, language, choice in only or every:
            width, height = (int(number) for number in size.split("x"))
            self.window.resize(width, height)
            self.window.set_language(language)
            self.window.set_theme(choice)
            self.look(f"{step}-{size}", self.window)

    def see_windows(self) -> None:
        """What opens beside the pages, anew in each language, for its words are chosen when it opens."""
        from tour_windows import Windows

        options, windows = self.options, Windows(self)
        self.where = "windows"
        windows.prepare()
        width, height = (int(number) for number in options.sizes.split(",")[0].split("x"))
        self.window.resize(width, height)
        for language in options.languages.split(","):
            self.window.set_language(language)
            for name, widget in windows.scenes():
                for choice in options.themes.split(","):
                    self.window.set_theme(choice)
                    self.look(name, widget)

    def look(self, name: str, widget: QWidget) -> None:
        """A picture of a window as it is now, and what is wrong with it."""
        self.settle()
        state = self.model.state
        self.where = f"{name}-{state.get('language')}-{state.get('theme')}@{self.scale}"
        widget.grab().save(str(self.options.out / f"{self.where}.png"))
        for fault in faults(widget):
            self.note(fault)

    def note(self, fault: str) -> None:
        """Something that is not as it should be."""
        line = f"{self.where}: {fault}"
        self.found.append(line)
        print(line, flush=True)


def faults(window: QWidget) -> Iterator[str]:
    """What can be seen to be wrong in a window."""
    from PySide6.QtWidgets import QAbstractButton, QLabel, QScrollArea, QWidget

    for widget in window.findChildren(QWidget):
        if not widget.isVisible() or widget.visibleRegion().isEmpty():
            continue
        if isinstance(widget, QLabel):
            yield from _cut_label(widget)
        elif isinstance(widget, QAbstractButton):
            yield from _cut_button(widget)
        elif isinstance(widget, QScrollArea):
            yield from _cut_sheet(widget)
        yield from _overlapping(widget)


def _cut_label(label: Any) -> Iterator[str]:
    words = label.text()
    if not words or not label.pixmap().isNull():
        return
    room = label.contentsRect()
    if "…" in words and hasattr(label, "full_text"):
        if words != label.full_text() and not label.toolTip():
            yield f"shortened without a tooltip: {words!r}"
    elif label.wordWrap():
        needed = label.heightForWidth(label.width())
        if needed > label.height() + 1:
            yield f"cut below ({needed} > {label.height()}): {words[:60]!r}"
    else:
        needed = max(label.fontMetrics().horizontalAdvance(line) for line in words.split("\n"))
        if needed > room.width() + 1:
            yield f"cut at the side ({needed} > {room.width()}): {words[:60]!r}"
        if label.fontMetrics().height() > label.height() + 1:
            yield f"cut below: {words[:60]!r}"


def _cut_button(button: Any) -> Iterator[str]:
    hint, size = button.sizeHint(), button.size()
    if button.text() and (hint.width() > size.width() + 1 or hint.height() > size.height() + 1):
        told = f"{hint.width()}×{hint.height()} > {size.width()}×{size.height()}"
        yield f"a button's words are cut ({told}): {button.text().strip()[:60]!r}"


def _cut_sheet(area: Any) -> Iterator[str]:
    """Whether something is wider than the area it scrolls in: nobody likes to scroll sideways, and some cannot."""
    over = area.widget().width() - area.viewport().width() if area.widget() is not None else 0
    if over > 1:
        yield f"{_name(area.widget())} is wider than what it scrolls in by {over}"


def _overlapping(widget: Any) -> Iterator[str]:
    """Of what a layout places: whether any two lie on each other, or one hangs out."""
    layout = widget.layout()
    if layout is None:
        return
    placed = [child for child in _placed(layout) if child.isVisible() and not child.visibleRegion().isEmpty()]
    for one, other in ((a, b) for n, a in enumerate(placed) for b in placed[n + 1 :]):
        both = one.geometry().intersected(other.geometry())
        if both.width() > 1 and both.height() > 1:
            yield f"{_name(one)} overlaps {_name(other)} by {both.width()}×{both.height()}"
    for child in placed:
        if not widget.rect().adjusted(-1, -1, 1, 1).contains(child.geometry()):
            over = (
                child.geometry().bottom() - widget.rect().bottom(),
                child.geometry().right() - widget.rect().right(),
            )
            yield f"{_name(child)} hangs out of {_name(widget)} by {over[1]}×{over[0]}"


def _placed(layout: Any) -> Iterator[Any]:
    from PySide6.QtWidgets import QStackedLayout

    if isinstance(layout, QStackedLayout):
        return
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if item.widget() is not None:
            yield item.widget()
        elif item.layout() is not None:
            yield from _placed(item.layout())


def _name(widget: Any) -> str:
    words = getattr(widget, "text", lambda: "")()
    return f"{type(widget).__name__} {str(words).strip()[:40]!r}" if words else type(widget).__name__


if __name__ == "__main__":
    sys.exit(main())
