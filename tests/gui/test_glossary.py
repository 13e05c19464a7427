"""What the words mean can be looked up from anywhere in the window, in its language."""

from __future__ import annotations

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import i18n
from clip_atelier.gui.glossary import Glossary, words
from clip_atelier.gui.main_window import MainWindow


def opened(window: MainWindow) -> Glossary:
    (found,) = window.findChildren(Glossary)
    return found


def test_the_rail_opens_it_and_a_word_narrows_it(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.mouseClick(window.rail.glossary, Qt.MouseButton.LeftButton)
    glossary = opened(window)
    assert glossary.isVisible()
    assert len(glossary.shown()) == len(words())
    qtbot.keyClicks(glossary.filter, "lora_alpha")
    assert glossary.shown() == ["lora_alpha"]
    glossary.filter.clear()
    qtbot.keyClicks(glossary.filter, "there is no such word")
    assert glossary.shown() == []


def test_it_speaks_korean_and_finds_both_languages(window: MainWindow, qtbot: QtBot) -> None:
    window.set_language("ko")
    window.show_glossary()
    glossary = opened(window)
    assert i18n.language() == "ko"
    assert "강도 · adapter scale, strength" in glossary.shown()
    glossary.filter.setText("짝")
    assert "짝 · pair" in glossary.shown()


def test_each_word_is_told_in_both_languages() -> None:
    assert len({word.en for word in words()}) == len(words())
    for word in words():
        assert word.meaning_en
        assert any("가" <= letter <= "힣" for letter in word.meaning_ko)
