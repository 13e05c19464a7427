"""The captions workbench by keyboard: steps back and forth, changes of many, faults put right, files that change meanwhile."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPlainTextEdit
from pytestqt.qtbot import QtBot
from test_captions import cell, opened, saved

from clip_atelier.engine.data import Collection, Item, caption_drafts
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.collection.caption_model import LABEL, PART, CaptionModel
from clip_atelier.gui.pages.collection.change_many import FillByTemplate, FindAndReplace
from tiny import draw

LONG = 30_000
NAMES = ("IMG_1000.png", "IMG_1001.png", "sub/a.png", "sub/b.png", "x.png", "y.png", "z.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mixed"
    (made / "sub").mkdir(parents=True)
    shapes = ("circle", "square", "triangle", "cross", "ring", "line", "circle")
    for number, (name, shape) in enumerate(zip(NAMES, shapes, strict=True)):
        draw(shape, "#33d", shift=number).convert("RGB").save(made / name)
    (made / "metadata.csv").write_text(
        "file_name,text,artist\nsub/a.png,scan,me\nsub/b.png,scan,me\nx.png,a red fox,me\ny.png,a red owl,you\n"
    )
    return made


@pytest.fixture
def tab(window: MainWindow, folder: Path, qtbot: QtBot) -> Iterator[Any]:
    found = opened(window, folder, qtbot)
    found.table.setFocus()
    return found


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8-sig", newline="") as stream:
        return {row["file_name"]: row for row in csv.DictReader(stream)}


def test_typing_enter_and_tab_go_through_the_drawings_and_every_step_is_undone(
    tab: Any, folder: Path, qtbot: QtBot
) -> None:
    table, captions = tab.table, tab.table.captions
    table.setCurrentIndex(captions.index_of("x.png", 0))
    qtbot.keyClicks(table, "f")  # typing opens the box
    box = table.findChild(QPlainTextEdit)
    qtbot.keyClicks(box, "ox")
    qtbot.keyClick(box, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(box, "red")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert captions.told("x.png").captions == ("fox", "red")
    assert table.current_path == "y.png"
    assert tab.side.name.full_text() == "y.png"
    qtbot.keyClicks(table._editor.box, "owl")
    qtbot.keyClick(table._editor.box, Qt.Key.Key_Tab)
    assert table.currentIndex().column() == LABEL
    qtbot.keyClicks(QApplication.focusWidget(), "birds")
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    assert captions.told("y.png")[:2] == (("owl",), "birds")
    table.closePersistentEditor(table.currentIndex())
    assert caption_drafts.read_draft(tab.app_model.home, folder)["y.png"].label == "birds"
    for _n in range(3):
        tab.bar.undo.click()
    assert captions.draft == {}
    assert not tab.bar.undo.isEnabled()
    for _n in range(3):
        tab.bar.redo.click()
    assert captions.told("y.png")[:2] == (("owl",), "birds")


def test_label_pair_and_part_are_saved_and_undone_after_saving(tab: Any, folder: Path, qtbot: QtBot) -> None:
    captions = tab.table.captions
    captions.setData(captions.index_of("x.png", LABEL), "animals")
    captions.setData(captions.index_of("y.png", PART), "test")
    captions.setData(captions.index_of("z.png", LABEL), "signs")
    saved(tab, qtbot)
    told = rows(folder)
    assert told["x.png"] | {"split": ""} == {
        "file_name": "x.png", "text": "a red fox", "artist": "me", "label": "animals", "split": ""
    }  # fmt: skip
    assert (told["y.png"]["split"], told["y.png"]["label"]) == ("test", "")
    # Beside its new label the caption that was shown is written: the label alone would have become it.
    assert (told["z.png"]["text"], told["z.png"]["label"]) == ("z", "signs")
    assert captions.draft == {}
    assert captions.told("x.png").label == "animals"
    tab.bar.undo.click()
    assert captions.told("z.png").label == ""
    assert captions.draft["z.png"].label == ""
    saved(tab, qtbot)
    assert rows(folder)["z.png"]["label"] == ""


def test_find_and_replace_shows_what_it_would_change_and_names_bad_expressions(
    tab: Any, qtbot: QtBot
) -> None:
    captions = tab.table.captions
    dialog = FindAndReplace(captions, [], tab)
    dialog.what.setText("RED")
    dialog.by.setText("blue")
    dialog.look()
    assert dialog.told.text() == "Drawings that change: 2"
    dialog.expression.click()
    dialog.what.setText("(red")
    dialog.look()
    assert "cannot be understood" in dialog.told.text()
    assert not dialog.do.isEnabled()
    dialog.what.setText(r"a (\w+) (fox|owl)")
    dialog.by.setText(r"\2, \3")
    dialog.look()
    assert "new text" in dialog.told.text()
    dialog.by.setText(r"\2, \1")
    dialog.look()
    dialog.change()
    assert captions.told("y.png").captions == ("owl, red",)
    tab.bar.undo.click()
    assert captions.told("x.png").captions == ("a red fox",)


def test_in_a_wide_window_names_are_whole_and_what_was_drawn_by_hand_stays(tab: Any) -> None:
    table = tab.table
    table.resize(700, 400)
    table.setColumnWidth(0, 222)
    table.resize(720, 400)
    assert table.columnWidth(0) == 222
    table.resize(1200, 400)
    assert table.columnWidth(0) >= 280


def test_a_template_fills_the_chosen_drawings(tab: Any) -> None:
    captions = tab.table.captions
    dialog = FillByTemplate(captions, ["sub/a.png", "sub/b.png"], tab)
    dialog.template.setText("{folder} {number}, {name}")
    dialog.look()
    assert "{name}" in dialog.told.text()
    dialog.template.setText("{folder} {number}, {file}")
    dialog.look()
    dialog.change()
    assert captions.told("sub/b.png").captions == ("sub 2, b",)


def test_faults_are_told_and_put_right_by_one_click(tab: Any, folder: Path, qtbot: QtBot) -> None:
    captions = tab.table.captions
    qtbot.waitUntil(lambda: len(tab.faults.faults) == 2, timeout=5000)
    nameless, same = tab.faults.faults
    assert (nameless.kind, nameless.paths) == ("nameless", ("IMG_1000.png", "IMG_1001.png"))
    assert (same.kind, same.caption, same.paths) == ("same", "scan", ("sub/a.png", "sub/b.png"))
    tab.faults.wanted.emit("show", same)
    assert captions.shown == ["sub/a.png", "sub/b.png"]
    tab.bar.all.click()
    assert len(captions.shown) == len(NAMES)
    tab.faults.wanted.emit("folder", same)
    assert captions.told("sub/a.png").captions == ("sub",)
    tab.bar.undo.click()
    assert captions.told("sub/a.png").captions == ("scan",)
    tab.faults.wanted.emit("leave out", nameless)
    qtbot.waitUntil(lambda: [f.kind for f in tab.faults.faults] == ["same"], timeout=5000)
    saved(tab, qtbot)
    assert rows(folder)["IMG_1000.png"]["split"] == "unused"
    split, items = tab.app_model.split, tab.app_model.collection.items
    used = {items[i].path for i in (*split.train, *split.validation, *split.test)}
    assert used == set(NAMES) - {"IMG_1000.png", "IMG_1001.png"}


def test_files_that_change_meanwhile_are_seen_and_what_is_typed_stays(
    tab: Any, folder: Path, qtbot: QtBot
) -> None:
    table, captions = tab.table, tab.table.captions
    table.setCurrentIndex(captions.index_of("x.png"))
    table.edit(table.currentIndex())
    qtbot.keyClicks(table._editor.box, "half a sen")
    Image.open(folder / "x.png").rotate(90).save(folder / "new.png")
    qtbot.waitUntil(lambda: "new.png" in captions.paths, timeout=LONG)
    assert table._editor.box.toPlainText() == "half a sen"
    qtbot.keyClicks(table._editor.box, "tence")
    table.commit()
    assert captions.told("x.png").captions == ("half a sentence",)
    with (folder / "metadata.csv").open("a") as table_file:
        table_file.write("z.png,a zebra,me\n")
    qtbot.waitUntil(lambda: captions.told("z.png").captions == ("a zebra",), timeout=LONG)
    assert captions.told("x.png").captions == ("half a sentence",)
    assert cell(tab, "x.png").data() == "half a sentence"


def test_what_is_typed_follows_a_renamed_file_and_waits_for_a_removed_one(
    tab: Any, folder: Path, home: Path, qtbot: QtBot
) -> None:
    captions = tab.table.captions
    for name in ("x.png", "y.png", "z.png"):
        captions.type_in(captions.index_of(name), f"typed for {name}", 0)
    (folder / "x.png").rename(folder / "renamed.png")
    kept = (folder / "y.png").read_bytes()
    (folder / "y.png").unlink()
    draw("cross", "#d33").convert("RGB").save(folder / "added.png")
    qtbot.waitUntil(
        lambda: {"renamed.png", "added.png"} <= set(captions.paths) and "y.png" not in captions.paths,
        timeout=LONG,
    )
    assert captions.told("renamed.png").captions == ("typed for x.png",)
    assert captions.told("z.png").captions == ("typed for z.png",)
    assert captions.told("added.png") == captions.saved("added.png")
    assert (set(captions.draft), captions.elsewhere) == ({"renamed.png", "y.png", "z.png"}, 1)
    # Steps made before know the file under its new name; one that is gone is passed over.
    for _step in range(3):
        captions.steps.undo()
    assert set(captions.draft) == {"y.png", "renamed.png"}
    assert captions.told("renamed.png").captions == ("a red fox",), "the table knows the old name only"
    for _step in range(3):
        captions.steps.redo()
    (folder / "y.png").write_bytes(kept)
    qtbot.waitUntil(lambda: "y.png" in captions.paths, timeout=LONG)
    assert captions.told("y.png").captions == ("typed for y.png",)
    tab._keep_draft()
    assert set(caption_drafts.read_draft(home, folder)) == {"renamed.png", "y.png", "z.png"}
    saved(tab, qtbot)
    assert rows(folder)["renamed.png"]["text"] == "typed for x.png"


def test_a_draft_goes_to_no_other_file_where_there_is_any_doubt() -> None:
    def edit(path: str, digest: str) -> caption_drafts.DraftEdit:
        return caption_drafts.DraftEdit(path=path, captions=("a",), before=(), digest=digest)

    here = [Item("new.png", "1", ("b",)), Item("p.png", "2", ("b",)), Item("q.png", "2", ("b",))]
    draft = {"old.png": edit("old.png", "1")}
    assert caption_drafts.moved(draft, here) == {"old.png": "new.png"}
    assert caption_drafts.moved(draft | {"new.png": edit("new.png", "1")}, here) == {}
    assert caption_drafts.moved(draft | {"older.png": edit("older.png", "1")}, here) == {}
    assert caption_drafts.moved({"old.png": edit("old.png", "2")}, here) == {}
    assert caption_drafts.moved({"old.png": edit("old.png", "")}, here) == {}


def test_ten_thousand_drawings_are_painted_and_typed_into_for_the_work_of_a_few(
    tab: Any, folder: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = tuple(Item(f"{n:05}.png", f"{n:064x}", (f"drawing {n}",)) for n in range(10_000))
    table, captions = tab.table, tab.table.captions
    asked = []
    plain = CaptionModel._text

    def counted(self: CaptionModel, path: str, item: int, column: int) -> str:
        asked.append(path)
        return plain(self, path, item, column)

    monkeypatch.setattr(CaptionModel, "_text", counted)
    table.show_collection(Collection(folder, items, "metadata"), {}, {})
    table.grab()
    assert 0 < len(asked) < 3000  # of 50,000 cells
    table.edit(captions.index(7, 1))
    table.grab()
    asked.clear()
    qtbot.keyClicks(table._editor.box, "a")
    table.grab()
    assert len(asked) < 1500
    table.commit()
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert captions.shown[0] == "09999.png"
