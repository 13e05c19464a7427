"""A packed model or run that is dropped on the window is at hand; a damaged one is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hands import drop
from pytestqt.qtbot import QtBot

from clip_atelier.engine.models import Models, model_packs
from clip_atelier.gui.main_window import MainWindow


def test_a_dropped_pack_is_added_and_chosen(
    open_window: Callable[..., MainWindow], tiny_clip: Path, home: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    pack = tmp_path / "작은 모델.clipmodel"
    model_packs.make(tiny_clip, pack)
    window = open_window(language="en", page="collection")
    assert drop(window, pack)
    qtbot.waitUntil(lambda: window.app_model.state.get("page") == "settings", timeout=30_000)
    assert window.app_model.state.value("model.name") == tiny_clip.name
    assert tiny_clip.name in [info.name for info in Models(home).list()]
    assert window.trouble.isHidden()
    assert window.app_model.state.folder == ""


@pytest.mark.parametrize("name", ["broken.clipmodel", "broken.zip", "broken.cliprun"])
def test_a_damaged_pack_is_named_and_changes_nothing(
    open_window: Callable[..., MainWindow], tmp_path: Path, qtbot: QtBot, name: str
) -> None:
    pack = tmp_path / name
    pack.write_bytes(b"PK\x03\x04 and then nothing")
    window = open_window(language="en", page="collection")
    before = window.app_model.state.value("model.name")
    assert drop(window, pack)
    qtbot.waitUntil(lambda: not window.trouble.isHidden(), timeout=30_000)
    assert name in window.trouble.message.text()
    assert window.app_model.state.value("model.name") == before
