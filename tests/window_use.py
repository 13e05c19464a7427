"""Long use of the real window by script, and what it keeps meanwhile. Used by `gui/test_long_use.py` and `faults/soak.py`."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from PySide6.QtCore import QCoreApplication, QEvent, QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from clip_atelier.engine.core import Check, Event, Phase, Started, Step
from clip_atelier.gui.glossary import Glossary
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.problem import ProblemDialog
from clip_atelier.gui.run_progress import RunRecord
from clip_atelier.gui.trash import TrashDialog

PAGES = ("collection", "settings", "training", "search", "table", "map", "learned", "models")
PATIENCE = 60  # seconds that one thing may take on a busy machine
HEADLINE = "text_to_image/R@1"


@dataclass(frozen=True)
class Kept:
    """What the process holds. `memory` is in kB."""

    memory: int
    threads: int
    handles: int
    objects: int
    widgets: int

    def growth(self, later: Kept) -> dict[str, float]:
        """By what part each has grown."""
        before, after = asdict(self), asdict(later)
        return {name: after[name] / before[name] - 1 for name in before}


def kept() -> Kept:
    """What is held now, after all that is due to go is gone."""
    for _turn in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        gc.collect()
    process = psutil.Process()
    handles = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    tops = QApplication.topLevelWidgets()
    objects = sum(len(top.findChildren(QObject)) for top in tops)
    return Kept(
        process.memory_info().rss >> 10, threading.active_count(), handles, objects, len(QApplication.allWidgets())
    )  # fmt: skip


def wait(ready: Callable[[], bool]) -> None:
    """Lets the window work until something is so."""
    until = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < until, "it never came"
        QTest.qWait(10)


def use(window: MainWindow, folders: list[Path], pages: tuple[str, ...] = PAGES) -> None:
    """Opens each folder and turns to the pages, in both languages and themes; looks at what has dialogs of its own."""
    model = window.app_model
    for folder in folders:
        read = model.readings
        model.open_folder(folder)
        wait(lambda read=read: model.readings > read and not model.lanes.reading.busy)
        for code, theme in (("ko", "dark"), ("en", "light")):
            window.set_language(code)
            window.set_theme(theme)
            for page in pages:
                window.show_page(page)
                QApplication.processEvents()
    for make in (TrashDialog, ProblemDialog):
        dialog: QWidget = make(model, window)
        dialog.show()
        wait(lambda: not model.lanes.files.busy)
        dialog.close()
    window.show_glossary()
    for glossary in window.findChildren(Glossary):
        glossary.close()
    wait(lambda: not model.lanes.busy)


def replay(window: MainWindow, root: Path, steps: int, batch: int = 1000) -> None:
    """A run's events through the live page, in batches as the lane hands them on; 50,000 steps are ten hours."""
    page = window.page("training")
    window.show_page("training")
    page.live = RunRecord()
    page._show(page.live, root)
    started = Started(
        run="r", steps=steps, start_step=0, trainable_parameters=1, device="cpu", precision="fp32",
        primary_metric=HEADLINE, select_by="text_to_image/mAP",
    )  # fmt: skip
    page._on_events([Phase(name="train", title="Training"), started])
    for first in range(1, steps, batch):
        page._on_events([event for step in range(first, first + batch) for event in _events(step, steps)])
        QApplication.processEvents()


def _events(step: int, steps: int) -> list[Event]:
    events: list[Event] = [
        Step(step=step, epoch=step / 100, loss=3.0 / step**0.1, learning_rate=1e-4, images_per_second=100.0)
    ]
    if step % 500 == 0:
        metrics = {HEADLINE: step / steps}
        events.append(Check(step=step, epoch=step / 100, metrics=metrics, loss=2.0, best=True))
    return events
