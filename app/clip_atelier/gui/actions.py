"""Everything the window can be told to do, in one list: keys, menus, the palette and the page of shortcuts come from it.

An `Action` says how something is called and which keys it has. Whoever can do it makes a `Bound` from its name: a `QAction`
that has the words in the current language and the keys, and is found again by its name below the window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence

from clip_atelier.engine.core import N_, _
from clip_atelier.gui.pages import PAGES

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from clip_atelier.gui.widgets.text import Button

Keys = str | QKeySequence.StandardKey
_Standard = QKeySequence.StandardKey


@dataclass(frozen=True)
class Action:
    """One thing that can be done.

    Attributes:
        name: What it is called in the code.
        title: What it is called in the window.
        keys: Its keys, as text or as what the system has for it; none where it is reached otherwise.
        page: The page it belongs to; empty where it can be done everywhere.
        focused: Whether its keys work only while the list it belongs to has the focus.
        of_list: Whether a list or a picture answers its keys by itself, and nobody binds it.
    """

    name: str
    title: str
    keys: tuple[Keys, ...] = ()
    page: str = ""
    focused: bool = False
    of_list: bool = False

    @property
    def sequences(self) -> list[QKeySequence]:
        """Its keys on this system."""
        found: list[QKeySequence] = []
        for keys in self.keys:
            found += [QKeySequence(keys)] if isinstance(keys, str) else QKeySequence.keyBindings(keys)
        return found

    @property
    def keys_shown(self) -> str:
        """Its first keys, as this system writes them."""
        found = self.sequences
        return found[0].toString(QKeySequence.SequenceFormat.NativeText) if found else ""


def of_page(page: str) -> str:
    """The name of the action that turns to a page."""
    return f"page.{page}"


_ALL = (
    Action("palette", N_("Find anything…"), ("Ctrl+K",)),
    Action("help", N_("Help and keyboard shortcuts"), (_Standard.HelpContents,)),
    Action("glossary", N_("Glossary"), ("Shift+F1",)),
    Action("guide", N_("Show me around")),
    Action("about", N_("About CLIP Atelier")),
    *(Action(of_page(page.name), page.title, (f"Ctrl+{number}",)) for number, page in enumerate(PAGES, 1)),
    Action("open-folder", N_("Open a folder…"), (_Standard.Open,)),
    Action("open-sample", N_("Open the sample collection")),
    Action("read-again", N_("Read the folder again"), (_Standard.Refresh,)),
    Action("light", N_("Light theme")),
    Action("dark", N_("Dark theme")),
    Action("as-system", N_("Theme as the system has it")),
    Action("language", N_("The window in the other language (한국어)")),
    Action("trash", N_("Trash…"), ("Ctrl+Shift+T",)),
    Action("report-problem", N_("Report a problem…")),
    Action("leave", N_("Close the program"), ("Ctrl+Q",)),
    Action("collection.pages", N_("Photographed pages…"), ("Ctrl+Shift+O",), "collection"),
    Action("collection.new", N_("New collection of several folders…"), (), "collection"),
    Action("collection.add-folder", N_("Add a folder to this collection…"), (), "collection"),
    Action("collection.folders", N_("Folders of this collection…"), (), "collection"),
    Action("collection.delete", N_("Delete this collection…"), (), "collection"),
    Action("captions.undo", N_("Undo"), (_Standard.Undo,), "collection", focused=True),
    Action("captions.redo", N_("Redo"), (_Standard.Redo,), "collection", focused=True),
    Action("captions.suggest", N_("Suggestions by the model…"), ("Ctrl+G",), "collection", focused=True),
    Action("captions.replace", N_("Find and replace…"), ("Ctrl+H",), "collection", focused=True),
    Action("captions.template", N_("Fill by template…"), ("Ctrl+T",), "collection", focused=True),
    Action(
        "captions.same", N_("Use the caption of the current drawing for all chosen"), ("Ctrl+D",), "collection",
        focused=True,
    ),
    Action(
        "captions.clear", N_("Clear the captions of the chosen drawings"), ("Ctrl+Backspace",), "collection", focused=True
    ),
    Action("captions.next", N_("Next drawing"), ("Return",), "collection", of_list=True),
    Action("captions.field", N_("Next field"), ("Tab",), "collection", of_list=True),
    Action("captions.another", N_("Another caption for the same drawing"), ("Shift+Return",), "collection", of_list=True),
    Action("suggestions.take", N_("Take the first suggestion, or another by its number"), ("1", "2", "3", "4", "5"), "collection", of_list=True),
    Action("suggestions.back", N_("Back to the suggestion before"), ("Left",), "collection", of_list=True),
    Action("suggestions.skip", N_("Skip a suggestion"), ("Right",), "collection", of_list=True),
    Action("settings.train", N_("Train with these settings"), ("Ctrl+Return",), "settings"),
    Action("training.start", N_("Start training"), (), "training"),
    Action("training.pause", N_("Pause the training, or go on"), ("Ctrl+Shift+P",), "training"),
    Action("training.evaluate", N_("Evaluate now"), ("Ctrl+E",), "training"),
    Action("training.stop", N_("Stop the training"), (), "training"),
    Action("training.resume", N_("Resume this training"), (), "training"),
    Action("search.words", N_("Type words to search for"), (_Standard.Find,), "search"),
    Action("search.paste", N_("Search with the copied picture"), ("Ctrl+Shift+V",), "search"),
    Action("search.draw", N_("Draw what to search for"), ("Ctrl+Shift+D",), "search"),
    Action("results.full", N_("Show a result large"), ("Space",), "search", of_list=True),
    Action("results.copy", N_("Copy a result"), (_Standard.Copy,), "search", of_list=True),
    Action("table.delete", N_("Delete the chosen trainings"), (_Standard.Delete,), "table", of_list=True),
    Action("map.closer", N_("Closer"), ("+",), "map", of_list=True),
    Action("map.further", N_("Further away"), ("-",), "map", of_list=True),
    Action("map.whole", N_("The whole map"), ("0",), "map", of_list=True),
    Action("map.walk", N_("Walk over the map"), ("Right",), "map", of_list=True),
)  # fmt: skip
ACTIONS: dict[str, Action] = {action.name: action for action in _ALL}


class Bound(QAction):
    """An action with what it does.

    Args:
        name: Of the action.
        owner: The window, page or list it belongs to; its keys work while that is seen.
        do: What it does.
        usable: Whether it can be done now; always, if not given.
        button: A button that has the keys, and shows them in its tooltip, in place of this.
    """

    def __init__(
        self,
        name: str,
        owner: QWidget,
        do: Callable[[], object],
        *,
        usable: Callable[[], bool] | None = None,
        button: Button | None = None,
    ) -> None:
        super().__init__(owner)
        self.action = ACTIONS[name]
        self._do = do
        self._usable = usable
        if button is None:
            self.setShortcuts(self.action.sequences)
        else:
            button.setShortcut(self.action.sequences[0])
            button.retranslate()
        context = Qt.ShortcutContext
        self.setShortcutContext(
            context.WidgetWithChildrenShortcut if self.action.focused else context.WindowShortcut
        )
        self.triggered.connect(self._on_triggered)
        owner.addAction(self)
        self.retranslate()

    @property
    def usable(self) -> bool:
        """Whether it can be done now."""
        return self.isEnabled() and (self._usable is None or self._usable())

    def retranslate(self) -> None:
        """Its words in the current language."""
        self.setText(_(self.action.title))

    def _on_triggered(self, _checked: bool = False) -> None:
        if self.usable:
            self._do()


def pressed(button: Button) -> Callable[[], bool]:
    """Whether a button could be pressed, were its page on top."""
    return lambda: button.isEnabled() and not button.isHidden()


def bound(root: QObject, name: str) -> Bound | None:
    """The action of this name below `root`; None while the page it belongs to is not made."""
    return next((one for one in root.findChildren(Bound) if one.action.name == name), None)
