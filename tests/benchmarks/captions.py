"""How soon a table of 10,000 drawings is seen, and how late it answers a key, undo and redo.

    python tests/benchmarks/captions.py [--drawings 10000] [--keys 40]

The real window at 1280 x 800, drawn off screen, with a collection of that many drawings (their files are not there, so
no thumbnails are made meanwhile). Each figure is wall time until the change is painted: the first painting of the
table (reading the folder imported what it needs), a key typed into an open box, undo and redo of a step that changed one drawing, and of one that changed all of
them. Exits with 1 where the first painting takes over 100 ms, the 95th percentile of keys over 16 ms or that of undo
and redo of one drawing over 50 ms. Under another load than its own the figures say nothing.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LIMITS = {"first painting": 100.0, "key": 16.0, "undo": 50.0, "redo": 50.0}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--drawings", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=40)
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(Path(scratch), options.drawings, options.keys)
    late = 0
    for name, times in found.items():
        ordered = sorted(times)
        p95 = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
        limit = LIMITS.get(name)
        over = limit is not None and p95 > limit
        late += over
        print(
            f"{name:16} median {ordered[len(ordered) // 2]:7.1f} ms, p95 {p95:7.1f} ms, worst {ordered[-1]:7.1f} ms"
            + (f", limit {limit:.0f} ms{': TOO LATE' if over else ''}" if limit else "")
        )
    return 1 if late else 0


def measure(scratch: Path, drawings: int, keys: int) -> dict[str, list[float]]:
    """Milliseconds by what was done."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication

    # What reading a folder has imported by the time that there is a collection to show.
    from clip_atelier.engine.data import Collection, Item, caption_drafts, scan  # noqa: F401
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.main_window import MainWindow
    from clip_atelier.gui.state import WindowState
    from clip_atelier.gui.theme import Theme
    from clip_atelier.gui.workers import Lanes

    app = QApplication([])
    home, folder = scratch / "home", scratch / "drawings"
    home.mkdir()
    folder.mkdir()
    lanes = Lanes(home)
    window = MainWindow(AppModel(WindowState(home), lanes, Theme(app, "light")))
    window.resize(1280, 800)
    window.show()
    window.show_page("collection")
    app.processEvents()
    page = window.page("collection")
    page.tabs.choose("captions")
    tab = page.captions
    app.processEvents()
    items = tuple(Item(f"{n:05}.png", f"{n:064x}", (f"drawing {n}",)) for n in range(drawings))
    collection = Collection(folder, items, "metadata")

    def timed(do: Callable[[], object]) -> float:
        began = time.perf_counter()
        do()
        tab.grab()  # paints at once what is to be seen
        app.processEvents()
        return 1000 * (time.perf_counter() - began)

    found: dict[str, list[float]] = {"first painting": [timed(lambda: tab.show_collection(collection))]}
    table, steps = tab.table, tab.table.captions.steps
    table.edit(table.captions.index(7, 1))
    app.processEvents()
    box = table._editor.box
    found["key"] = [timed(lambda: QTest.keyClick(box, Qt.Key.Key_A)) for _key in range(keys)]
    table.commit()
    found["undo"], found["redo"] = [], []
    for _time in range(20):
        found["undo"].append(timed(steps.undo))
        found["redo"].append(timed(steps.redo))
    told = {path: table.captions.told(path)._replace(label="all") for path in table.captions.paths}
    found["change of all"] = [timed(lambda: table.captions.change(told, "all"))]
    found["undo of all"] = [timed(steps.undo)]
    found["redo of all"] = [timed(steps.redo)]
    lanes.leave()
    return found


if __name__ == "__main__":
    sys.exit(main())
