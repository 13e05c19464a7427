"""The trash and the report of a problem in the window: seen, reached by keys, and what they do is done on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QMessageBox
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import i18n
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.storage import Trash
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.problem import ProblemDialog
from clip_atelier.gui.trash import TrashDialog

LONG = 30_000


def opened(window: MainWindow, kind: type[QDialog]) -> QDialog:
    return next(dialog for dialog in window.findChildren(kind) if dialog.isVisible())


@pytest.fixture
def deleted(home: Path) -> list[str]:
    """Two runs in the trash, in the order of the list."""
    ids = [Runs(home).create(name, Settings(), home).id for name in ("first", "second")]
    for one in ids:
        Runs(home).delete(one)
    return ids[::-1]


@pytest.fixture
def trash(window: MainWindow, deleted: list[str], qtbot: QtBot) -> TrashDialog:
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.keyClick(
        window, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    dialog = opened(window, TrashDialog)
    assert isinstance(dialog, TrashDialog)
    qtbot.waitUntil(lambda: dialog.table.rowCount() == len(deleted), timeout=LONG)
    return dialog


@pytest.mark.fault(42)
def test_what_is_in_the_trash_is_listed_and_put_back(
    trash: TrashDialog, deleted: list[str], home: Path, window: MainWindow, qtbot: QtBot
) -> None:
    shown = [trash.table.item(line, 0).text() for line in range(2)]
    assert shown == deleted
    day = trash.entries[0].until - trash.entries[0].thing.deleted
    assert day == 30 * 86_400
    assert trash.table.item(0, 4).text() > trash.table.item(0, 3).text()
    assert trash.table.item(0, 1).text() == "Training"
    trash.choose(1)
    trash.back.click()
    qtbot.waitUntil(lambda: trash.table.rowCount() == 1, timeout=LONG)
    assert [run.id for run in Runs(home).list()] == [deleted[1]]
    qtbot.waitUntil(lambda: [run.run for run in window.app_model.runs] == [deleted[1]], timeout=LONG)


@pytest.mark.parametrize("agreed", [False, True])
def test_emptying_asks_and_spares_what_is_not_chosen(
    trash: TrashDialog, deleted: list[str], home: Path, qtbot: QtBot, agreed: bool
) -> None:
    def answer() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        assert "cannot be undone" in box.informativeText()
        box.buttons()[0 if box.buttonRole(box.buttons()[0]) is (
            QMessageBox.ButtonRole.DestructiveRole if agreed else QMessageBox.ButtonRole.RejectRole
        ) else 1].click()  # fmt: skip

    trash.choose(0)
    assert trash.empty.text().strip() == "Delete for good"
    QTimer.singleShot(0, answer)
    trash.empty.click()
    left = deleted[1:] if agreed else deleted
    qtbot.waitUntil(lambda: trash.table.rowCount() == len(left), timeout=LONG)
    assert [entry.name for entry in Trash(home).entries()] == left
    trash.table.clearSelection()
    assert trash.empty.text().strip() == "Empty the trash"


def test_what_cannot_go_back_is_told_and_stays(
    trash: TrashDialog, deleted: list[str], home: Path, window: MainWindow, qtbot: QtBot
) -> None:
    (home / "runs" / deleted[0]).mkdir(parents=True)
    trash.choose(0)
    trash.back.click()
    qtbot.waitUntil(lambda: "Delete or rename the other first" in trash.about.text(), timeout=LONG)
    assert [entry.name for entry in Trash(home).entries()] == deleted


def test_both_are_reached_from_the_rail_in_both_languages(window: MainWindow, qtbot: QtBot) -> None:
    for code, words in (("en", ["Trash…", "Report a problem…"]), ("ko", ["휴지통…", "문제 보고…"])):
        window.set_language(code)
        window.rail.more.click()
        assert [action.text() for action in window.more_menu.actions()][-2:] == words
        window.more_menu.close()
    assert window.rail.more.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert i18n.language() == "ko"


def test_the_report_is_read_and_then_saved_as_it_is_seen(
    window: MainWindow, home: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    (home / "log").mkdir(exist_ok=True)
    secret = tmp_path / "secret drawings" / "a.png"
    (home / "log" / "window.log").write_text(f"12:00 ERROR no picture for “{secret}”\n")
    window.more_menu.show_problem()
    dialog = opened(window, ProblemDialog)
    assert isinstance(dialog, ProblemDialog)
    assert not dialog.save.isEnabled()
    qtbot.waitUntil(dialog.save.isEnabled, timeout=LONG)
    text = dialog.text.toPlainText()
    assert "no picture for" in text
    assert "secret" not in text
    dialog.text.setPlainText(text.replace("(please write it here)", "It was slow. 느렸습니다."))
    out = tmp_path / "report.txt"
    dialog.save_to(out)
    qtbot.waitUntil(window.news.isVisible, timeout=LONG)
    assert out.read_text("utf-8") == text.replace("(please write it here)", "It was slow. 느렸습니다.")
