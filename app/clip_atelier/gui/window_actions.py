"""What the whole window can be told to do: each action that belongs to no page is bound here."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from clip_atelier.engine.core import LANGUAGES, _, i18n
from clip_atelier.gui.actions import ACTIONS, Bound, bound, of_page
from clip_atelier.gui.pages import PAGES

if TYPE_CHECKING:
    from clip_atelier.gui.main_window import MainWindow


def bind_all(window: MainWindow) -> None:
    """Gives the window its keys, and the menus and the palette what they do."""
    app_model = window.app_model
    for page in PAGES:
        Bound(
            of_page(page.name), window, partial(window.show_page, page.name), button=window.rail.buttons[page.name]
        )  # fmt: skip
    Bound("palette", window, partial(show_palette, window))
    Bound("help", window, partial(show_help, window))
    Bound("glossary", window, window.show_glossary)
    Bound("guide", window, window.show_around)
    Bound("about", window, partial(show_help, window, "about"))
    Bound("open-folder", window, window.choose_folder)
    Bound("open-sample", window, partial(_open_sample, window))
    Bound("read-again", window, app_model.rescan, usable=lambda: bool(app_model.state.folder))
    Bound("light", window, partial(window.set_theme, "light"))
    Bound("dark", window, partial(window.set_theme, "dark"))
    Bound("as-system", window, partial(window.set_theme, "system"))
    Bound("language", window, partial(_other_language, window))
    Bound("trash", window, window.more_menu.show_trash)
    Bound("report-problem", window, window.more_menu.show_problem)
    Bound("leave", window, window.leave)


def do(window: MainWindow, name: str) -> None:
    """Does what an action is called for; turns to its page first."""
    action = ACTIONS[name]
    if action.page:
        window.show_page(action.page)
    found = bound(window, name)
    if found is not None and found.usable:
        found.trigger()
    else:
        window.news.tell(_("“{action}” cannot be done right now.").format(action=_(action.title)))


def show_palette(window: MainWindow) -> None:
    """Opens the line that finds anything."""
    from clip_atelier.gui.palette import Palette

    if not window.findChildren(Palette):
        Palette(window).open()


def show_help(window: MainWindow, view: str = "keys") -> None:
    """Opens the help at one of its views."""
    from clip_atelier.gui.help import Help

    Help(window, view).show()


def _open_sample(window: MainWindow) -> None:
    window.app_model.open_sample()
    window.show_page("collection")


def _other_language(window: MainWindow) -> None:
    window.set_language(next(code for code in LANGUAGES if code != i18n.language()))
