"""The window: a rail with the pages on the left, the open folder and the work in progress above them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QLibraryInfo, QSize, Qt, QTimer, QTranslator
from PySide6.QtGui import (
    QCloseEvent,
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QApplication, QFrame, QScrollArea, QWidget

from clip_atelier.engine.core import LANGUAGES, N_, UserError, _, i18n, paths
from clip_atelier.engine.models import MODEL
from clip_atelier.engine.runs import RUN
from clip_atelier.gui import glossary, theme, window_actions
from clip_atelier.gui.drops import dropped_paths
from clip_atelier.gui.guide import Guide
from clip_atelier.gui.more_menu import MoreMenu
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.parts.collection_folders import taken_as_further
from clip_atelier.gui.parts.drawing_question import what_about
from clip_atelier.gui.parts.status import Status
from clip_atelier.gui.undo import Undo
from clip_atelier.gui.widgets.banners import Banner, Veil
from clip_atelier.gui.widgets.inputs import Options
from clip_atelier.gui.widgets.layout import LOW, Pages, box, column, row
from clip_atelier.gui.widgets.text import Button, ElidedLabel, Label, Picture, retranslate

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

log = logging.getLogger(__name__)

_CLOSE_MS = 4_500
_RAIL = 204
_NARROW_RAIL = 92
_LEAST = (960, 540)  # a screen of 1920×1080 at twice the size; pages that need more scroll
_ENOUGH = (932, 652)  # for every page
_NARROW = 1120  # below this width the rail shows icons only
_GLOSSARY = N_("Glossary")


class Rail(QFrame):
    """The pages, and below them language and theme."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.setProperty("role", "rail")
        self.setFixedWidth(_RAIL)
        self.buttons: dict[str, Button] = {}
        for page in PAGES:
            button = Button(page.title, "rail", page.icon, tip=page.title, checkable=True)
            button.setAutoExclusive(True)
            self.buttons[page.name] = button
        self.languages = Options(LANGUAGES)
        self.themes = Options(
            {"light": N_("Light"), "dark": N_("Dark"), "system": N_("As the system")},
            icons={"light": "sun", "dark": "moon", "system": "monitor"},
        )
        self.glossary = Button(_GLOSSARY, "rail", "type", tip=_GLOSSARY)
        self.more = Button("", "icon", "ellipsis", tip=N_("Help, trash, report a problem"))
        words = row(self.glossary, self.more, gap=0)
        words.setStretch(0, 1)
        for code, name in LANGUAGES.items():  # each in its own language, whatever the window speaks
            self.languages.button(code).say("{name}", name=name)
            self.languages.button(code).tell("{name}", name=name)
        self.languages.set_value(app_model.state.get("language"))
        self.themes.set_value(app_model.state.get("theme"))
        self.name = Label(role="heading")
        self.name.show_literal(paths.APP_NAME)
        self.logo = Picture("app", 26, "accent")
        layout = column(
            row(theme.S, self.logo, self.name, None), theme.L, *self.buttons.values(), None,
            words, self.languages, self.themes, gap=theme.XS,
        )  # fmt: skip
        layout.setContentsMargins(theme.M, theme.L, theme.M, theme.L)
        self.setLayout(layout)

    def set_low(self, on: bool) -> None:
        """Stands closer together on a low screen, so that everything is seen."""
        self.logo.setVisible(not on)
        side, edge = (theme.S, theme.XS) if on else (theme.M, theme.L)
        if (layout := self.layout()) is not None:
            layout.setContentsMargins(side, edge, side, edge)

    def set_narrow(self, on: bool) -> None:
        """Shows icons only, or icons and words."""
        self.setFixedWidth(_NARROW_RAIL if on else _RAIL)
        self.name.setVisible(not on)
        for page in PAGES:
            self.buttons[page.name].say("" if on else page.title)
        self.glossary.say("" if on else _GLOSSARY)


class MainWindow(QWidget):
    """The window itself."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.setWindowTitle(paths.APP_NAME)
        self.setAcceptDrops(True)
        self.setMinimumSize(*_LEAST)
        self._closing = False
        self._narrow = False
        self._translator: QTranslator | None = None
        i18n.set_language(app_model.state.get("language"))
        self._translate_qt()

        self.rail = Rail(app_model)
        self.folder_name = ElidedLabel(role="strong")
        self.folder_path = ElidedLabel(role="caption")
        self.reading = Status(app_model.lanes.reading)
        self.compute = Status(app_model.lanes.compute)
        self.trouble = Banner("alarm", "triangle-alert", "loss")
        self.news = Banner("news", "circle-check", "accent")
        self.pages = Pages(QSize(*_ENOUGH))
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(self.pages)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.pages.currentChanged.connect(lambda _page: area.verticalScrollBar().setValue(0))
        self._made: dict[str, QWidget] = {}
        bar = QFrame()
        bar.setProperty("role", "bar")
        bar.setFixedHeight(56)
        names = row(box(self.folder_name, self.folder_path, gap=0), self.reading, self.compute, gap=theme.XL)
        names.setStretch(0, 1)
        names.setContentsMargins(theme.XL, theme.S, theme.L, theme.S)
        bar.setLayout(names)
        right = column(bar, self.trouble, self.news, area, gap=0)
        right.setStretch(3, 1)
        whole = row(self.rail, right, gap=0)
        whole.setStretch(1, 1)
        self.setLayout(whole)
        self.veil = Veil(self)

        for name, button in self.rail.buttons.items():
            button.clicked.connect(lambda _on, name=name: self.show_page(name))
        self.rail.languages.chosen.connect(self.set_language)
        self.rail.themes.chosen.connect(self.set_theme)
        self.rail.glossary.clicked.connect(self.show_glossary)
        self.more_menu = MoreMenu(app_model, self)
        self.rail.more.clicked.connect(
            lambda: self.more_menu.popup(self.rail.more.mapToGlobal(self.rail.more.rect().topRight()))
        )
        app_model.trouble.connect(self.tell)
        app_model.news.connect(self.news.tell)
        app_model.undoable.connect(self.news.tell)
        self.undo = Undo(app_model, self.news)
        self.guide = Guide(self)
        app_model.page_wanted.connect(self.show_page)
        app_model.state.changed.connect(self._on_state)
        window_actions.bind_all(self)
        self.more_menu.fill()
        self._name_folder()
        self._place()

    # Pages

    def page(self, name: str) -> QWidget:
        """A page's widget, made when it is first wanted."""
        if name not in self._made:
            entry = next((p for p in PAGES if p.name == name), PAGES[0])
            self._made[name] = entry.make(self.app_model)
            self.pages.addWidget(self._made[name])
        return self._made[name]

    def made(self, name: str) -> QWidget | None:
        """A page's widget, if it was made."""
        return self._made.get(name)

    def show_page(self, name: str) -> None:
        """Turns to a page."""
        if name not in self.rail.buttons:
            name = PAGES[0].name
        self.pages.setCurrentWidget(self.page(name))
        self.rail.buttons[name].setChecked(True)
        if name != PAGES[0].name:
            self.app_model.warm_up()
        self.app_model.state.set("page", name)

    def showEvent(self, event: QShowEvent) -> None:
        """The first page is made when the window is already there."""
        super().showEvent(event)
        if not self._made:
            QTimer.singleShot(0, self._first_page)

    def _first_page(self) -> None:
        if not self._made:
            self.show_page(self.app_model.state.get("page"))
            self.pages.setFocus()
            self.guide.again()

    def show_around(self) -> None:
        """Begins the tour, or begins it again."""
        self.guide.begin()

    def do(self, action: str) -> None:
        """Does one of `actions.ACTIONS`; turns to its page first."""
        window_actions.do(self, action)

    def show_setting(self, name: str) -> None:
        """Turns to a setting's field."""
        self.show_page("settings")
        reveal = getattr(self.page("settings"), "reveal", None)
        if reveal is not None:
            reveal(name)

    # Language and theme

    def show_glossary(self) -> None:
        """Says what the words of the program mean."""
        glossary.Glossary(self).show()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        glossary.offer(self, event)

    def set_language(self, code: str) -> None:
        """Shows everything in another language, at once."""
        i18n.set_language(code)
        self.app_model.state.set("language", code)
        self.rail.languages.set_value(code)
        self._translate_qt()
        retranslate(self)
        self._name_folder()

    def set_theme(self, choice: theme.Choice) -> None:
        """Shows everything in another theme, at once."""
        self.app_model.state.set("theme", choice)
        self.rail.themes.set_value(choice)
        self.app_model.theme.choose(choice)

    def _translate_qt(self) -> None:
        app = QApplication.instance()
        if app is None:
            return
        if self._translator is not None:
            app.removeTranslator(self._translator)
            self._translator.deleteLater()  # the window is its parent and would keep each of them
            self._translator = None
        if i18n.language() == "ko":
            translator = QTranslator(self)
            if translator.load("qtbase_ko", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
                app.installTranslator(translator)
                self._translator = translator

    # Trouble

    def tell(self, error: Exception) -> None:
        """Shows what went wrong in plain words; where a setting is at fault, beside it."""
        if isinstance(error, UserError):
            setting = error.setting
            self.trouble.tell(error.message, error.hint)
            if setting:
                show = getattr(self.page("settings"), "show_error", None)
                if show is not None and show(setting, error.message):
                    self.show_page("settings")
            return
        log.error("unexpected", exc_info=error)
        where = paths.shown(self.app_model.home / "log" / "window.log")
        self.trouble.tell(
            _("Something went wrong that should not have: {what}").format(
                what=f"{type(error).__name__}: {error}"
            ),
            _("Your work on disk is untouched. The details are in {path}.").format(path=where),
        )

    # Folder

    def choose_folder(self) -> None:
        """Asks for a folder."""
        self.app_model.ask_for_folder(self)

    def _on_state(self, what: str) -> None:
        if what == "folder":
            self._name_folder()
            self.trouble.hide()
            self.news.hide()

    def _name_folder(self) -> None:
        folder = self.app_model.state.folder
        if folder:
            self.folder_name.show_literal(paths.shown(Path(folder).name or folder))
            self.folder_path.show_literal(paths.shown(folder))
        else:
            self.folder_name.say(N_("No folder open"))
            self.folder_path.say(N_("Drop a folder of drawings anywhere on this window."))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_paths(event):
            event.acceptProposedAction()
            one = dropped_paths(event)[0].is_file() or bool(self.app_model.state.folder)
            self.veil.cover(N_("Let go to choose") if one else N_("Let go to open this folder"))

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.veil.hide()
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        self.veil.hide()
        found = dropped_paths(event)
        if found:
            event.acceptProposedAction()
            if not taken_as_further(self.app_model, found, self):
                self.open_path(found[0])

    def open_path(self, path: Path) -> None:
        """Opens what was dropped or given: a packed model or run is added; a folder, or that of a file, is read."""
        kind = path.suffix.lower() if path.is_file() else ""
        if kind in (MODEL.suffix, ".zip"):
            self.app_model.add_model(path)
            return
        if kind == RUN.suffix:
            self.app_model.add_run(path)
            return
        if path.is_file():
            self._ask_about(path)
            return
        self.app_model.open_folder(path)
        self.show_page("collection")

    def _ask_about(self, drawing: Path) -> None:
        """A single drawing may be meant to be looked for, or for the folder around it."""
        answer = what_about(self, drawing, may_find=bool(self.app_model.state.folder))
        if answer == "find":
            self.show_page("search")
            self.app_model.asked_to_find.emit(str(drawing))
        elif answer == "folder":
            self.app_model.open_folder(drawing.parent)
            self.show_page("collection")

    # Closing

    def _place(self) -> None:
        kept = self.app_model.state.get("geometry")
        if not kept or not self.restoreGeometry(QByteArray.fromBase64(kept.encode())):
            self.resize(1280, 800)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.rail.set_low(self.height() < LOW)
        narrow = self.width() < _NARROW
        if narrow != self._narrow:
            self._narrow = narrow
            self.rail.set_narrow(narrow)

    def leave(self) -> None:
        """Closes the window; asks about what is unsaved, which a signal of the system does not wait for."""
        if self.app_model.may_leave(self):
            self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stops the work at its next boundary first; the window goes when the work has, or after five seconds."""
        state = self.app_model.state
        if event.spontaneous() and not self._closing and not self.app_model.may_leave(self):
            event.ignore()
            return
        if not self._closing:
            state.set("geometry", bytes(self.saveGeometry().toBase64().data()).decode())
            state.save()
        lanes = self.app_model.lanes
        if lanes.busy and not self._closing:
            self._closing = True
            event.ignore()
            self.veil.cover(N_("Finishing… what was done is kept"))
            lanes.leave()
            for lane in lanes.all:
                lane.busy_changed.connect(self._close_when_idle)
            QTimer.singleShot(_CLOSE_MS, self._close_now)
            return
        if self._closing and lanes.busy:
            event.ignore()
            return
        self._closing = True
        event.accept()
        super().closeEvent(event)

    def _close_when_idle(self, _busy: bool) -> None:
        if not self.app_model.lanes.busy:
            QTimer.singleShot(0, self.close)

    def _close_now(self) -> None:
        """Time is up: `app` ends the process with what is on disk."""
        if self.isVisible():
            log.warning("work did not reach a boundary in time; its last checkpoint is kept")
            self.hide()
            QApplication.exit(0)
