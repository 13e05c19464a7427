"""The words of this program and what they mean, in a window of its own; the same list makes docs/glossary.md."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QLabel, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from clip_atelier.engine.core import N_, Record, _, i18n, paths, read_json
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import column
from clip_atelier.gui.widgets.text import Label, SpokenName


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


class Glossary(QDialog):
    """A list of words that a line of text narrows down."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("Glossary"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(560, 640)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText(_("Find a word"))
        self.filter.setClearButtonEnabled(True)
        SpokenName(self.filter, N_("Find a word"))
        self.filter.textChanged.connect(self._narrow)
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
        korean = i18n.language() == "ko"
        names = (word.ko, word.en) if korean else (word.en, word.ko)
        name = Label(role="strong")
        name.show_literal(" · ".join(dict.fromkeys(names)))
        meaning = Label(role="muted", wrap=True)
        meaning.show_literal(word.meaning_ko if korean else word.meaning_en)
        for label in (name, meaning):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        entry = QWidget()
        entry.setLayout(column(name, meaning, gap=theme.XS))
        return entry

    def _narrow(self, text: str) -> None:
        wanted = text.casefold().strip()
        for word, entry in self.entries:
            entry.setVisible(wanted in " ".join(word.model_dump().values()).casefold())

    def shown(self) -> list[str]:
        """The words that are seen now."""
        return [entry.findChildren(QLabel)[0].text() for _word, entry in self.entries if not entry.isHidden()]
