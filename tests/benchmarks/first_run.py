"""How long the tour takes a new user, from the opened window to a comparison that is seen.

    python tests/benchmarks/first_run.py [--home FOLDER] [--limit 60]

The real window, drawn off screen, on an empty home. The tour's own buttons are pressed by the mouse, each a second
after it can be; what waits is the program. Prints when each step was reached, the processor time, and what the
comparison says; exits with 1 where the comparison came later than the limit or there was none. Under another load than
its own the seconds say nothing; the processor seconds do.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BEGAN = time.perf_counter()
_THINKS_S = 1.0  # before each press


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, help="an empty folder; a temporary one if not given")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if options.home is not None:
        return measure(options.home, options.limit)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        return measure(Path(home), options.limit)


def measure(home: Path, limit: float) -> int:
    """Drives the tour and prints what was measured."""
    os.environ["CLIP_ATELIER_HOME"] = str(home)
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication

    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.main_window import MainWindow
    from clip_atelier.gui.pages.training.page import TrainingPage
    from clip_atelier.gui.state import WindowState
    from clip_atelier.gui.theme import Theme
    from clip_atelier.gui.widgets.text import Button
    from clip_atelier.gui.workers import Lanes

    app = QApplication([])
    lanes = Lanes(home, ahead=True)
    app_model = AppModel(WindowState(home, "en"), lanes, Theme(app, "light"))
    troubles: list[Exception] = []
    app_model.trouble.connect(troubles.append)
    window = MainWindow(app_model)
    window.resize(1280, 800)
    window.show()
    app.processEvents()
    say("window")
    guide = window.guide

    def until(what: str, reached: Callable[[], bool]) -> None:
        while not reached():
            app.processEvents()
            time.sleep(0.01)
            if troubles or time.perf_counter() - BEGAN > 20 * limit:
                raise SystemExit(f"{what}: not reached. {troubles}")
        say(what)

    def press(button: Button) -> None:
        QTest.qWait(round(_THINKS_S * 1000))
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def note(step: int) -> bool:
        """Whether the tour has come to a step and its button can be pressed."""
        callout = guide.callout
        return guide.step == step and callout is not None and callout.next.isEnabled()

    collection = window.page("collection")
    press(collection.welcome.around)  # type: ignore[attr-defined]
    until("1 of 4: open", lambda: note(0))
    assert guide.callout is not None
    press(guide.callout.next)
    until("2 of 4: train", lambda: note(1))
    press(guide.callout.next)
    until("3 of 4: watch", lambda: guide.step == 2)
    until("4 of 4: the comparison", lambda: guide.step == 3)
    took = time.perf_counter() - BEGAN
    page = window.page("training")
    assert isinstance(page, TrainingPage)
    print(page.result.verdict.text(), page.result.facts.text())
    compared = page.compared and page.result.questions.isVisible()
    guide.leave()
    lanes.close(60)
    used = [sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"processor seconds: {used[0]:.1f} of the window, {used[1]:.1f} of the training's process")
    return int(not compared or took > limit)


def say(what: str) -> None:
    """One line: when something was reached."""
    print(f"{time.perf_counter() - BEGAN:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
