"""Captions and queries in a language that the chosen model does not know are warned of where they are seen."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.gui.main_window import MainWindow

ENGLISH = "CLIP-ViT-B-32-laion2B-s34B-b79K"  # the shelf knows that it reads English alone
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def korean(tiny_collection: Path, tiny_clip: Path, home: Path, window: MainWindow, qtbot: QtBot) -> Any:
    """Drawings with Korean captions, and a model that reads English alone, chosen."""
    shutil.copytree(tiny_clip, home / "models" / ENGLISH)
    table = tiny_collection / "metadata.csv"
    table.write_text(table.read_text("utf-8").replace("a ", "동그라미 "), encoding="utf-8")
    window.app_model.state.set_value("model.name", ENGLISH)
    window.app_model.open_folder(tiny_collection)
    qtbot.waitUntil(lambda: window.app_model.collection is not None, timeout=30_000)
    return window


def test_captions_that_a_model_cannot_read_are_seen_on_the_collection_page(
    korean: Any, qtbot: QtBot, tiny_clip: Path
) -> None:
    korean.show_page("collection")
    page, state = korean.page("collection"), korean.app_model.state
    warning = page.language
    qtbot.waitUntil(warning.isVisible, timeout=5000)
    assert "24 of 24 captions are in Korean" in warning.words.text()
    assert "These do: “starter”" in warning.words.text()
    korean.set_language("ko")
    assert "한국어" in warning.words.text()
    korean.set_language("en")
    state.set_value("model.name", "starter")
    assert not warning.isVisible()
    # One that the shelf says nothing about is measured; this one knows neither language, so that nothing is said.
    state.set_value("model.name", str(tiny_clip))
    qtbot.waitUntil(lambda: str(tiny_clip) in warning._measured, timeout=30_000)
    assert not warning.isVisible()
    state.set_value("model.name", ENGLISH)
    assert warning.isVisible()
    qtbot.mouseClick(warning.other, LEFT)
    qtbot.waitUntil(korean.page("models").isVisible, timeout=5000)


def test_words_that_a_model_cannot_read_are_warned_of_while_searching(korean: Any, qtbot: QtBot) -> None:
    korean.show_page("search")
    page = korean.page("search")
    page.words.setText("빨간 동그라미")
    page.search()
    qtbot.waitUntil(lambda: page.found is not None, timeout=30_000)
    assert page.message.isVisible()
    assert page.message.property("role") == "warning"
    assert "does not know Korean" in page.message.text()
    assert "“starter”" in page.message.text()
    assert page.other.isVisible()
    before = page.found
    page.words.setText("red circle")
    page.search()
    qtbot.waitUntil(lambda: page.found is not before, timeout=30_000)
    assert not page.message.isVisible()
    assert not page.other.isVisible()
    assert page.message.property("role") == "muted"
