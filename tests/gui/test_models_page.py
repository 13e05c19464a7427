"""The Models page: what is at hand, adding and removing, and which model suits the open drawings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import LONG
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QMessageBox, QTableWidget
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive, write_document
from clip_atelier.engine.models import STARTER, Models, lineage_of, shelf
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.training import Plan, train
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.models.page import ModelsPage
from clip_atelier.gui.pages.settings.model_choice import ModelChoice
from local_hub import NAME, serving

LEFT = Qt.MouseButton.LeftButton


def shown(window: MainWindow, qtbot: QtBot) -> ModelsPage:
    window.show_page("models")
    page = window.page("models")
    assert isinstance(page, ModelsPage)
    qtbot.waitUntil(lambda: bool(page.infos), timeout=30_000)
    return page


def column(table: QTableWidget, x: int) -> list[str]:
    return [table.item(y, x).text() for y in range(table.rowCount())]


def test_models_are_listed_with_their_facts_and_nothing_is_fetched(
    open_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    from clip_atelier.cli.offline_proof import no_network

    with no_network() as attempts:
        page = shown(open_window(language="en"), qtbot)
        assert column(page.at_hand, 0) == [STARTER]
        assert column(page.at_hand, 1) == ["English, Korean"]
        assert column(page.at_hand, 2) == ["96 px"]
        assert column(page.at_hand, 4) == ["Apache-2.0"]
        assert column(page.suggested.table, 0) == [model.name for model in shelf.suggested()]
        assert "1.5 GB" in column(page.suggested.table, 3)
    assert not attempts
    assert not page.measurement.start.isEnabled()
    assert not page.remove.isEnabled()


def test_a_model_is_added_used_removed_and_brought_back(
    open_window: Callable[..., MainWindow], tiny_clip: Path, home: Path, qtbot: QtBot
) -> None:
    window = open_window(language="en")
    window.show_page("settings")
    (choice,) = window.page("settings").findChildren(ModelChoice)
    page = shown(window, qtbot)
    page.add(tiny_clip)
    qtbot.waitUntil(lambda: len(page.infos) == 2, timeout=30_000)
    window.show_page("settings")
    assert choice._choice.findData(tiny_clip.name) >= 0
    assert choice.value() == STARTER
    window.show_page("models")
    page.at_hand.selectRow(1)
    assert page.remove.isEnabled()
    qtbot.mouseClick(page.use, LEFT)
    assert window.app_model.state.value("model.name") == tiny_clip.name
    assert not page.use.isEnabled()
    assert page.note.full_text() == f"In use: {tiny_clip.name}"
    qtbot.mouseClick(page.remove, LEFT)
    qtbot.waitUntil(lambda: len(page.infos) == 1, timeout=30_000)
    assert window.app_model.state.value("model.name") == STARTER
    assert not (home / "models" / tiny_clip.name).exists()
    assert not window.news.isHidden()
    qtbot.mouseClick(window.news.undo, LEFT)
    qtbot.waitUntil(lambda: len(page.infos) == 2, timeout=30_000)
    assert (home / "models" / tiny_clip.name).is_dir()


def test_which_model_for_my_drawings(
    open_window: Callable[..., MainWindow], tiny_clip: Path, tiny_pairs: Path, qtbot: QtBot
) -> None:
    window = open_window(language="en")
    window.app_model.open_folder(tiny_pairs)
    page = shown(window, qtbot)
    page.add(tiny_clip)
    qtbot.waitUntil(lambda: len(page.infos) == 2, timeout=30_000)
    qtbot.waitUntil(page.measurement.start.isEnabled, timeout=30_000)
    assert page.asked.isHidden()
    qtbot.mouseClick(page.measurement.start, LEFT)
    qtbot.waitUntil(lambda: page.result is not None, timeout=LONG)
    assert page.result.recommended == STARTER
    assert page.reason.text() == page.result.reason
    assert set(column(page.asked, 0)) == {STARTER, tiny_clip.name}
    assert page.asked.rowCount() == 8
    assert page.selected is not None
    assert page.selected.name == STARTER
    window.set_language("ko")
    assert column(page.asked, 1)[0] not in ("Words → image", "Sketch → artwork")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_is_the_same_in_both_languages(
    open_window: Callable[..., MainWindow], qtbot: QtBot, language: str
) -> None:
    page = shown(open_window(language=language), qtbot)
    heads = [page.at_hand.horizontalHeaderItem(x).text() for x in range(page.at_hand.columnCount())]
    assert (heads[0] == "Model") == (language == "en")
    uses = {model.good_at[language] for model in shelf.suggested()}
    assert set(column(page.suggested.table, 5)) == uses


def test_a_suggested_model_is_fetched_only_after_a_yes(
    open_window: Callable[..., MainWindow], tiny_clip: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False, True]
    told: list[str] = []

    def answer(box: QMessageBox) -> int:
        told.append(box.informativeText())
        wanted = QMessageBox.ButtonRole.AcceptRole if answers.pop(0) else QMessageBox.ButtonRole.RejectRole
        next(b for b in box.buttons() if box.buttonRole(b) == wanted).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    with serving(tiny_clip) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setattr(shelf, "suggested", lambda: (shelf.shelf()[1].model_copy(update={"name": NAME}),))
        page = shown(open_window(language="en"), qtbot)
        assert not page.suggested.measurement.start.isEnabled()
        page.suggested.table.selectRow(0)
        qtbot.mouseClick(page.suggested.measurement.start, LEFT)
        assert not hub.asked
        qtbot.mouseClick(page.suggested.measurement.start, LEFT)
        qtbot.waitUntil(lambda: len(page.infos) == 2, timeout=60_000)
    assert "605.0 MB, licence MIT, image size 224 px. Languages: English." in told[0]
    assert [info.name for info in page.infos] == [STARTER, "tiny-clip"]
    assert not any(page.app_model.home.glob("downloads/*"))


def test_a_run_is_trained_on_from_and_what_stands_on_a_model_is_asked_about(
    window: MainWindow, qtbot: QtBot, home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from clip_atelier.gui.pages.training.run_menu import RunMenu

    chosen = settings.build(quick(train__choose_strength=False, train__learning_rate=1e-2))
    result = drive(train(Plan(tiny_pairs, chosen, home, "Inks"), Models(home), Control()))
    folder = Runs(home).open(result.run)
    assert folder.result is not None
    helped = folder.result.model_copy(update={"strength": 1.0})  # of a tiny model's few steps nothing is kept
    write_document(folder.path / "evaluation.json", helped)
    page, app_model = shown(window, qtbot), window.app_model
    menu = RunMenu(app_model, lambda: None, QImage, window)
    menu.train_on_from(result.run)
    qtbot.waitUntil(lambda: app_model.state.value("model.name") == "Inks", timeout=20000)
    assert lineage_of(home / "models" / "Inks")[-1].run == result.run

    # A run that learns on top of it needs it; before it is removed, the question names that run.
    chosen = settings.build(quick(model__name="Inks"))
    drive(train(Plan(tiny_pairs, chosen, home, "On top"), Models(home), Control()))
    app_model.read_runs()
    qtbot.waitUntil(lambda: any(run.bases == (result.run,) for run in app_model.runs), timeout=5000)
    page.read()
    qtbot.waitUntil(lambda: "Inks" in column(page.at_hand, 0), timeout=5000)
    page.at_hand.selectRow(column(page.at_hand, 0).index("Inks"))
    asked: list[str] = []

    def answer(box: QMessageBox) -> int:
        asked.append(f"{box.text()} {box.informativeText()}")
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    qtbot.mouseClick(page.remove, LEFT)
    assert "“On top”" in asked[0]
    assert (home / "models" / "Inks").is_dir(), "kept, as nothing was agreed to"
    menu._ask_to_delete(next(run for run in app_model.runs if run.run == result.run))
    assert "“On top”" in asked[1]
