"""The words of this program and what they mean, in a window of its own; the same list makes docs/glossary.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QDialog, QLabel, QMenu, QScrollArea, QVBoxLayout, QWidget

from clip_atelier.engine.core import N_, Record, _, i18n, paths, read_json
from clip_atelier.gui import theme
from clip_atelier.gui.matching import finder
from clip_atelier.gui.widgets.layout import column
from clip_atelier.gui.widgets.text import Button, Field, Label


class Word(Record):
    """One entry, in both languages."""

    en: str
    ko: str
    meaning_en: str
    meaning_ko: str


@cache
def words() -> tuple[Word, ...]:
    """All entries, in the order of the English words."""
    return tuple(Word.model_validate(one) for one in read_json(paths.resources() / "glossary.json"))


def names(word: Word) -> tuple[str, str]:
    """What it is called in the language of the window, and in the other one."""
    return (word.ko, word.en) if i18n.language() == "ko" else (word.en, word.ko)


def told_in(text: str) -> list[Word]:
    """The words of the glossary that stand in a text in the language of the window, in their order there."""
    found = {word.en: place for word in words() if (place := _place(names(word)[0], text)) is not None}
    return sorted((word for word in words() if word.en in found), key=lambda word: found[word.en])


def _place(name: str, text: str) -> int | None:
    """Where any of the forms of a name stands first. Korean endings hang on a word, English ones are a plural's."""
    places = [
        hit.start()
        for form in re.split(r"[,(]", name)
        if (plain := form.strip(" )"))
        and (hit := re.search(rf"(?<![\w가-힣]){re.escape(plain)}" + _end(plain), text, re.IGNORECASE))
    ]
    return min(places, default=None)


def _end(form: str) -> str:
    return "" if re.search("[가-힣]$", form) else r"(?:e?s)?(?![\w-])"


def show_word(parent: QWidget, word: str) -> None:
    """Opens the glossary at a word, given in English."""
    glossary = Glossary(parent)
    glossary.filter.setText(word)
    glossary.show()


class WordsButton(Button):
    """Opens the glossary with the words of a text; whole, where none of its words stand there."""

    def __init__(self) -> None:
        super().__init__(N_("What these words mean"), "quiet", "type")
        self.text_told = ""
        self.clicked.connect(self._open)

    def _open(self) -> None:
        glossary = Glossary(self.window())
        glossary.show_only(told_in(self.text_told))
        glossary.show()


def offer(window: QWidget, event: QContextMenuEvent) -> None:
    """Offers to explain the words under the pointer. Whatever has a menu of its own has answered before the window."""
    under = window.childAt(event.pos())
    text = under.text() if isinstance(under, QLabel) else ""
    found = told_in(text)
    if not found:
        return
    menu = QMenu(window)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    for word in found:
        told = _("What does “{word}” mean?").format(word=names(word)[0])
        menu.addAction(told.replace("&", "&&"), partial(show_word, window, word.en))
    menu.popup(event.globalPos())
    event.accept()


class Glossary(QDialog):
    """A list of words that a line of text narrows down."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("Glossary"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(560, 640)
        self.filter = Field(N_("Find a word"))
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(lambda _text: self._narrow())
        self.filter.composed.connect(self._narrow)
        self.entries: list[tuple[Word, QWidget]] = []
        inside = QVBoxLayout()
        inside.setSpacing(theme.L)
        for word in words():
            entry = self._entry(word)
            self.entries.append((word, entry))
            inside.addWidget(entry)
        inside.addStretch(1)
        holder = QWidget()
        holder.setLayout(inside)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(holder)
        layout = column(self.filter, area, gap=theme.M)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)

    def _entry(self, word: Word) -> QWidget:
        name = Label(role="strong")
        name.show_literal(" · ".join(dict.fromkeys(names(word))))
        meaning = Label(role="muted", wrap=True)
        meaning.show_literal(word.meaning_ko if i18n.language() == "ko" else word.meaning_en)
        for label in (name, meaning):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        entry = QWidget()
        entry.setLayout(column(name, meaning, gap=theme.XS))
        return entry

    def _narrow(self) -> None:
        stands_in = finder(self.filter.seen.strip(), unfinished=self.filter.at_end)
        for word, entry in self.entries:
            entry.setVisible(stands_in(" ".join(word.model_dump().values())))

    def show_only(self, wanted: Sequence[Word]) -> None:
        """Shows some words until others are looked for; all where there are none."""
        for word, entry in self.entries:
            entry.setVisible(not wanted or word in wanted)

    def shown(self) -> list[str]:
        """The words that are seen now."""
        return [entry.findChildren(QLabel)[0].text() for _word, entry in self.entries if not entry.isHidden()]
