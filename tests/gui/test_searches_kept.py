"""Searches to come back to, results of one folder or label, two trainings side by side, contact sheets."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import LONG
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMenu
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import KeptSearch, KeptSearches, read_searches, searches_file
from clip_atelier.engine.training import Plan, train
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.search import contact_sheet
from clip_atelier.gui.pages.search.contact_sheet import Section, Sheet
from clip_atelier.gui.pages.search.jobs import Hit

Quick = Callable[..., dict[str, object]]


def actions(menu: QMenu) -> dict[str, Any]:
    return {action.text(): action for action in menu.actions() if not action.isSeparator()}


def entries(page: Any, name: str) -> dict[str, Any]:
    page.saved.fill(page.saved.menu())
    return actions(actions(page.saved.menu())[name].menu())


def named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(QInputDialog, "getText", lambda *_args, **_named: (name, True))


def ask(page: Any, words: str, qtbot: QtBot) -> None:
    before = page.found
    page.words.setText(words)
    qtbot.keyClick(page.words, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.found is not before and page.found is not None, timeout=LONG)


@pytest.fixture
def page(open_window: Callable[..., MainWindow], quick: Quick, tiny_collection: Path, qtbot: QtBot) -> Any:
    half = tiny_collection / "ink" / "old"
    half.mkdir(parents=True)
    for file in sorted(tiny_collection.glob("red-*")):
        shutil.move(file, half / file.name)
    rows = (tiny_collection / "metadata.csv").read_text(encoding="utf-8").split()[1:]
    names = [line.split(",")[0] for line in rows if "," in line]
    lines = [
        f"{'ink/old/' if name.startswith('red-') else ''}{name},{Path(name).stem.replace('-', ' ')},"
        f"{Path(name).stem.split('-')[1]}"
        for name in names
    ]
    (tiny_collection / "metadata.csv").write_text("\n".join(["file_name,text,label", *lines]) + "\n")
    window = open_window(
        language="en", theme="light", draft=quick(), folder=str(tiny_collection), page="search"
    )
    return window.page("search")


def test_a_search_is_saved_chosen_renamed_deleted_and_the_latest_are_kept(
    page: Any, home: Path, tiny_collection: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.saved.fill(page.saved.menu())
    assert not actions(page.saved.menu())["Save this search…"].isEnabled()
    page.without.setText("cross")
    ask(page, "red ring", qtbot)
    named(monkeypatch, "rings & co")
    page.saved.fill(page.saved.menu())
    actions(page.saved.menu())["Save this search…"].trigger()
    drawing = sorted(tiny_collection.rglob("*.png"))[0]
    page.without.clear()
    page.search_by(drawing)
    qtbot.waitUntil(lambda: len(page.saved.kept.history) == 2, timeout=LONG)
    page.saved.fill(page.saved.menu())
    before = page.found
    actions(page.saved.menu())["rings && co"].trigger()
    qtbot.waitUntil(lambda: page.found is not before, timeout=LONG)
    assert (page.words.text(), page.without.text(), page.picture.paths) == ("red ring", "cross", ())

    # The history: each once, the latest first, a picture too.
    assert [one.words for one in read_searches(home).history] == ["red ring", ""]
    before = page.found
    entries(page, "Latest searches")[drawing.name].trigger()
    qtbot.waitUntil(lambda: page.found is not before, timeout=LONG)
    assert page.picture.paths == (drawing,)
    assert page.words.text() == ""
    drawing.unlink()
    entries(page, "Latest searches")[drawing.name].trigger()
    assert drawing.name in page.window().trouble.message.text()

    named(monkeypatch, "rings")
    entries(page, "Rename")["rings && co"].trigger()
    assert [one.name for one in read_searches(home).saved] == ["rings"]
    entries(page, "Delete")["rings"].trigger()
    entries(page, "Latest searches")["Clear the list"].trigger()
    assert read_searches(home) == KeptSearches()
    assert searches_file(home).exists()


def test_what_is_typed_on_is_one_search_and_fifty_are_kept() -> None:
    kept = KeptSearches()
    for words in ("r", "red", "red ring", "blue", "red ring"):
        kept = kept.remembering(KeptSearch(words=words))
    assert [one.words for one in kept.history] == ["red ring", "blue"]
    for n in range(60):
        kept = kept.remembering(KeptSearch(words=f"{n} things"))
    assert len(kept.history) == 50
    assert kept.history[0].words == "59 things"


def test_results_of_one_folder_one_label_and_a_time(page: Any, qtbot: QtBot) -> None:
    ask(page, "ring", qtbot)
    everything = len(page.found.base)
    assert page.narrowing.folder.isVisible()
    folders = [page.narrowing.folder.itemData(n) for n in range(page.narrowing.folder.count())]
    assert folders == ["", "ink", "ink/old"]
    before = page.found
    page.narrowing.folder.setCurrentIndex(1)
    page.narrowing.folder.activated.emit(1)
    qtbot.waitUntil(lambda: page.found is not before, timeout=LONG)
    inside = [hit.path for hit in page.found.base]
    assert 0 < len(inside) < everything
    assert all(path.startswith("ink/") for path in inside)
    assert page.found.gallery == len(inside)
    labels = [page.narrowing.label.itemData(n) for n in range(page.narrowing.label.count())]
    assert "ring" in labels
    page.narrowing.label.setCurrentIndex(labels.index("ring"))
    before = page.found
    page.narrowing.label.activated.emit(labels.index("ring"))
    qtbot.waitUntil(lambda: page.found is not before, timeout=LONG)
    assert [hit.path for hit in page.found.base] == ["ink/old/red-ring.png"]
    # What was changed long ago is left out by its date.
    days = page.narrowing.days
    assert days.isVisible()
    for choice, place in ((page.narrowing.label, 0), (page.narrowing.folder, 0), (days, days.findData("7"))):
        if place:
            old = page.found.root / "ink" / "old" / "red-ring.png"
            os.utime(old, (1_500_000_000, 1_500_000_000))
        before = page.found
        choice.setCurrentIndex(place)
        choice.activated.emit(place)
        qtbot.waitUntil(lambda before=before: page.found is not before, timeout=LONG)  # type: ignore[misc]
    assert len(page.found.base) == everything - 1
    assert "ink/old/red-ring.png" not in {hit.path for hit in page.found.base}
    # Another gallery has other folders: nothing stays chosen.
    page.gallery.choose(str(page.found.root / "ink"))
    assert page.narrowing.folder.value() == ""
    assert days.value() == ""
    assert days.isHidden()


def test_two_trainings_side_by_side(
    open_window: Callable[..., MainWindow], quick: Quick, home: Path, tiny_collection: Path, qtbot: QtBot
) -> None:
    models = Models(home)
    runs = []
    for name, rate in (("first", 1e-3), ("second", 3e-2)):
        values = quick(train__epochs=2, train__learning_rate=rate, train__choose_strength=False)
        runs.append(
            drive(train(Plan(tiny_collection, settings.build(values), home, name), models, Control())).run
        )
    window = open_window(
        language="en", theme="light", draft=quick(), folder=str(tiny_collection), page="search", run=runs[0]
    )
    page: Any = window.page("search")
    qtbot.waitUntil(lambda: page.runs.value() == runs[0], timeout=LONG)
    ask(page, "red ring", qtbot)
    assert page.base.title.text() == "Untouched base"
    alone = page.found
    against = page.narrowing.against
    assert against.isVisible()
    assert [against.itemData(n) for n in range(against.count())] == ["", runs[1]]
    against.setCurrentIndex(1)
    against.activated.emit(1)
    qtbot.waitUntil(lambda: page.found is not alone, timeout=LONG)
    both = page.found
    assert page.base.title.text().startswith("second")
    assert page.adapted.title.text() == page._run_name(runs[0])
    assert [hit.path for hit in both.adapted] == [hit.path for hit in alone.adapted]
    places = {hit.path: place for place, hit in enumerate(both.base, 1)}
    assert [hit.base_place for hit in both.adapted] == [places[hit.path] for hit in both.adapted]
    # What stands left is what the other training finds by itself.
    page.runs.set_value(runs[1])
    page.runs.edited.emit()
    qtbot.waitUntil(lambda: page.found is not both, timeout=LONG)
    assert [(h.path, h.score) for h in page.found.adapted] == [(h.path, h.score) for h in both.base]


def test_contact_sheets(
    page: Any, tmp_path: Path, tiny_collection: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(page, "red ring", qtbot)
    for kind in ("PDF", "PNG"):
        out = tmp_path / f"sheet.{kind.lower()}"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_a, out=out, **_n: (str(out), ""))
        page.export.fill(page.export.menu())
        actions(page.export.menu())[f"Contact sheet as {kind}…"].trigger()
        qtbot.waitUntil(out.exists, timeout=LONG)
    qtbot.waitUntil(lambda: not page.app_model.lanes.files.busy, timeout=LONG)
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == (1654, 2340)
        assert {image.convert("RGB").getpixel((5, 5))} == {(255, 255, 255)}
        assert len(image.convert("RGB").resize((200, 280)).getcolors(1 << 16) or ()) > 20


def test_pages_are_numbered_and_none_is_written_over(
    tmp_path: Path, tiny_collection: Path, qapp: Any
) -> None:
    files = sorted(tiny_collection.glob("*.png"))
    hits = [Hit(files[n % len(files)].name, 0.5 - n / 100, ("빨간 고리",), n + 2) for n in range(45)]
    hits.append(Hit("gone.png", 0.01))
    sheet = Sheet(
        "red ring", tiny_collection, [Section("Untouched base", hits[:20]), Section("Adapted", hits)]
    )
    out = tmp_path / "s.png"
    assert [n for _section, n in sheet.pages] == [0, 0, 20, 40]
    written = drive(contact_sheet.write(sheet, out, None, Control()))  # type: ignore[arg-type]
    assert [file.name for file in written] == ["s.png", "s-2.png", "s-3.png", "s-4.png"]
    first, second = QImage(str(written[1])), QImage(str(written[2]))
    assert first != second
    with pytest.raises(Exception, match=r"s-2\.png"):
        drive(contact_sheet.write(sheet, out, None, Control()))  # type: ignore[arg-type]


def test_a_kept_search_by_a_page_of_a_document_asks_again(page: Any, tmp_path: Path, qtbot: QtBot) -> None:
    sheets = [Image.new("RGB", (80, 60), colour) for colour in ("red", "blue")]
    sheets[0].save(tmp_path / "b.pdf", "PDF", save_all=True, append_images=sheets[1:])
    page.search_again(KeptSearch(words="", without="", pictures=(str(tmp_path / "b.pdf" / "page 002"),)))
    qtbot.waitUntil(lambda: page.found is not None, timeout=LONG)
    assert len(page.found.base) == page.found.gallery == 24
