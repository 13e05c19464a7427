"""What the words mean can be looked up from anywhere in the window, in its language."""

from __future__ import annotations

import re
from typing import Any

import pytest
from babel.messages.pofile import read_po
from PySide6.QtCore import Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import i18n, paths
from clip_atelier.gui.glossary import Glossary, told_in, words
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.widgets.text import Label


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
    glossary.filter.setText("쌍")
    assert "쌍 · pair" in glossary.shown()


def test_each_word_is_told_in_both_languages() -> None:
    assert len({word.en for word in words()}) == len(words())
    for word in words():
        assert word.meaning_en
        assert any("가" <= letter <= "힣" for letter in word.meaning_ko)


def test_one_korean_word_means_a_pair() -> None:
    """The window said 쌍 and the glossary 짝, so nobody could look up what the window says."""
    texts = [word.meaning_ko + word.ko for word in words()]
    catalogue = paths.resources() / "translations" / "ko" / "LC_MESSAGES" / "clip_atelier.po"
    guide = paths.resources().parent / "docs" / "guide" / "ko.md"
    texts += [catalogue.read_text(encoding="utf-8"), guide.read_text(encoding="utf-8")]
    assert [word.ko for word in words() if word.en == "pair"] == ["쌍"]
    assert not any("짝" in text for text in texts)


@pytest.mark.parametrize(
    "english", ["caption", "label", "pair", "split", "interval", "chance", "embedding", "checkpoint"]
)
def test_the_window_uses_the_korean_words_of_the_glossary(english: str) -> None:
    """What is read in the window must be found in the glossary, by the same word."""
    korean = next(word.ko for word in words() if word.en == english)
    catalogue = paths.resources() / "translations" / "ko" / "LC_MESSAGES" / "clip_atelier.po"
    with catalogue.open("rb") as stream:
        said = [
            str(message.string)
            for message in read_po(stream)
            if message.id and re.search(rf"\b{english}s?\b", str(message.id), re.IGNORECASE)
        ]
    assert len(said) >= 6
    assert sum(korean in text for text in said) > 0.6 * len(said)


def test_words_are_found_in_texts_of_both_languages(window: MainWindow) -> None:
    assert [word.en for word in told_in("Labels and captions, twice a caption. Captioning is not one.")] == [
        "label",
        "caption",
    ]
    assert told_in("nothing of it") == []
    window.set_language("ko")
    assert [word.en for word in told_in("캡션과 라벨이 쌍으로 있습니다. 기본캡션")] == [
        "caption",
        "label",
        "pair",
    ]


def test_terms_lead_to_the_glossary_from_where_they_are_read(window: MainWindow, qtbot: QtBot) -> None:
    window.show_page("settings")
    explanation: Any = window.page("settings").explanation  # type: ignore[attr-defined]
    explanation.show_setting("data.captions")
    qtbot.mouseClick(explanation.words, Qt.MouseButton.LeftButton)
    glossary = opened(window)
    assert "caption · 캡션" in glossary.shown()
    assert len(glossary.shown()) < len(words())
    glossary.filter.setText("chance")
    assert "chance · 우연" in glossary.shown()
    glossary.close()
    explanation.show_setting("model.name")
    assert explanation.trust.isVisibleTo(explanation)

    # Anywhere else a click with the right button on the words is enough.
    window.show_page("collection")
    label = Label("Nothing but a checkpoint")
    label.setParent(window)
    label.resize(200, 30)
    label.show()
    label.raise_()
    at = label.mapTo(window, label.rect().center())
    event = QContextMenuEvent(
        QContextMenuEvent.Reason.Mouse, label.rect().center(), label.mapToGlobal(label.rect().center())
    )
    under = window.childAt(at)
    assert under is label
    QApplication.sendEvent(under, event)
    (menu,) = [m for m in window.findChildren(QMenu) if m.isVisible()]
    assert [action.text() for action in menu.actions()] == ["What does “checkpoint” mean?"]
    menu.actions()[0].trigger()
    qtbot.waitUntil(lambda: any(g.isVisible() and g.shown() for g in window.findChildren(Glossary)))
