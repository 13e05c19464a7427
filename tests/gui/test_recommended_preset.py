"""Which preset fits the open folder, and why, is said on the presets themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from clip_atelier.engine.settings import PRESETS, recommended
from clip_atelier.gui.main_window import MainWindow


@pytest.mark.parametrize(
    ("drawings", "pairs", "by_hand"),
    [
        (24, 0, "careful"),
        (99, 10, "careful"),
        (100, 0, "attention"),
        (5000, 400, "attention"),
        (48, 24, "projection"),
    ],
)
def test_by_hand_it_follows_what_the_folder_holds(drawings: int, pairs: int, by_hand: str) -> None:
    found = recommended(drawings, pairs)
    assert (found.preset, found.by_hand) == ("auto", by_hand)
    assert found.by_hand in PRESETS


def test_the_reason_stands_where_the_preset_is_chosen(
    open_window: Callable[..., MainWindow], tiny_collection: Path, tiny_pairs: Path, qtbot: QtBot
) -> None:
    window = open_window(language="en", page="settings")
    page: Any = window.page("settings")
    assert all(not card.reason.isVisible() for card in page.presets.values())
    for folder, by_hand, because in (
        (tiny_collection, "careful", "fewer than 100 drawings (24)"),
        (tiny_pairs, "projection", "in pairs (24)"),
    ):
        window.app_model.open_folder(folder)
        qtbot.waitUntil(lambda: window.app_model.split is not None, timeout=30_000)
        qtbot.waitUntil(lambda name=by_hand: page.presets[name].reason.isVisible(), timeout=5000)
        shown = [name for name, card in page.presets.items() if card.reason.isVisible()]
        assert shown == ["auto", by_hand]
        assert because in page.presets["auto"].reason.text()
        assert because in page.presets[by_hand].reason.text()
    qtbot.mouseClick(window.rail.languages.button("ko"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "쌍" in page.presets["auto"].reason.text(), timeout=5000)
