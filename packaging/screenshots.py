"""Pictures of every page, in both languages and both themes, from a home and a folder.

Run it as: python packaging/screenshots.py OUT --home HOME --folder FOLDER [--scale 2] [--pages collection,settings]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))

if TYPE_CHECKING:
    from clip_atelier.gui.main_window import MainWindow

_PATIENCE = 1800.0  # seconds, for measuring on a busy machine: what is half done is no picture


def main() -> int:
    """Takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--words", default="", help="what the search page looks for")
    parser.add_argument(
        "--picture", type=Path, help="a picture that the search page searches by, in place of words"
    )
    parser.add_argument("--strength", type=float, help="turns the dial; as recommended when left out")
    parser.add_argument("--measure", action="store_true", help="draws the map, measures strengths and words")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--pages", default="")
    parser.add_argument("--languages", default="en,ko")
    parser.add_argument("--themes", default="light,dark")
    args = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["QT_SCALE_FACTOR"] = str(args.scale)
    take(args)
    return 0


def take(args: argparse.Namespace) -> None:
    """Opens the window, walks through it and saves what is seen."""
    from PySide6.QtWidgets import QApplication

    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.main_window import MainWindow
    from clip_atelier.gui.pages import PAGES
    from clip_atelier.gui.state import WindowState
    from clip_atelier.gui.theme import Theme
    from clip_atelier.gui.workers import Lanes

    app = QApplication([])
    state = WindowState(args.home)
    lanes = Lanes(args.home)
    theme = Theme(app, "light")
    app_model = AppModel(state, lanes, theme)
    shell = MainWindow(app_model)
    width, height = (int(n) for n in args.size.split("x"))
    shell.resize(width, height)
    if args.words:
        state.set_view("search.words", args.words)
    shell.show()
    if args.folder:
        app_model.open_folder(args.folder.absolute())
    args.out.mkdir(parents=True, exist_ok=True)
    wanted = args.pages.split(",") if args.pages else [page.name for page in PAGES]

    def settle(most: float = 20.0) -> None:
        """Lets the window work until nothing is going on."""
        until, calm = time.monotonic() + most, 0
        while time.monotonic() < until and calm < 12:
            app.processEvents()
            time.sleep(0.02)
            calm = 0 if lanes.busy or lanes.pictures.busy else calm + 1

    settle(60)
    begin(shell, args, settle)
    for language in args.languages.split(","):
        shell.set_language(language)
        for choice in args.themes.split(","):
            shell.set_theme(choice)
            for name in wanted:
                shell.show_page(name)
                settle()
                tabs = next(iter(getattr(shell.page(name), "views", tuple)()), None)
                for view in tabs.names if tabs is not None else ("",):
                    if tabs is not None:
                        tabs.choose(view)
                    settle()
                    label = "-".join(part for part in (name, view, language, choice) if part)
                    file = args.out / f"{label}.png"
                    shell.grab().save(str(file))
                    print(file)
    lanes.close(60)


def begin(shell: MainWindow, args: argparse.Namespace, settle: Callable[[float], None]) -> None:
    """Does what the pictures show the outcome of."""
    from clip_atelier.gui.pages.search.page import SearchPage

    if args.strength is not None:
        shell.app_model.strength.set(args.strength)
    if args.picture is not None:
        search = shell.page("search")
        assert isinstance(search, SearchPage)
        search.search_by(args.picture.absolute())
        settle(60)
    if args.measure:
        measure(shell, settle)


def measure(shell: MainWindow, settle: Callable[[float], None]) -> None:
    """Draws the map and measures what the page of gains and losses shows."""
    from clip_atelier.gui.pages.learned.page import LearnedPage
    from clip_atelier.gui.pages.map.page import MapPage

    shell.show_page("map")
    settle(20)
    page = shell.page("map")
    assert isinstance(page, MapPage)
    page.draw_map()
    settle(_PATIENCE)
    shell.show_page("learned")
    page = shell.page("learned")
    assert isinstance(page, LearnedPage)
    for name, section in (("strengths", page.strengths), ("words", page.words)):
        page.tabs.choose(name)
        settle(20)
        section.measure()
        settle(_PATIENCE)


if __name__ == "__main__":
    sys.exit(main())
