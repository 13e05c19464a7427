"""Drawings are written beside a document that tells their page; nothing is overwritten, a stop loses nothing, all of it goes back."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from clip_atelier.engine.core import Control, Event, Progress, Stopped, UserError, WorkError, drive
from clip_atelier.engine.data import Collection, SheetRecord, scan, split
from clip_atelier.engine.intake import IntakeSummary, Page, find_pages, look_at, put_back, take_in, take_pages
from clip_atelier.engine.settings import DataSettings
from clip_atelier.engine.storage import Trash
from tiny import draw

BOXES = ((0.1, 0.1, 0.4, 0.4), (0.6, 0.1, 0.9, 0.4), (0.1, 0.6, 0.4, 0.9))


def scanned(file: Path, number: int = 0) -> Path:
    """A page with three drawings at `BOXES`, on paper of its own tone."""
    page = Image.new("RGB", (300, 300), (240, 232 - number, 215))
    pen = ImageDraw.Draw(page)
    chance = random.Random(number)
    for left, top, right, bottom in BOXES:
        middle = [(chance.uniform(left, right), chance.uniform(top, bottom)) for _point in range(8)]
        points = [(left, top), *middle, (right, bottom), *middle[::2], (left, bottom), (right, top)]
        pen.line([(299 * x, 299 * y) for x, y in points], (20, 20, 30), 3)
    file.parent.mkdir(parents=True, exist_ok=True)
    page.save(file)
    return file


def taken(into: Path, *pages: Page, again: bool = False) -> IntakeSummary:
    return drive(take_in(pages, into, Control(), again=again))


def read(folder: Path) -> Collection:
    return drive(scan(folder, DataSettings(), Control()))


def test_a_folder_of_pages_becomes_drawings_on_white(tmp_path: Path) -> None:
    for number, name in enumerate(("쪽 1.png", "b.jpg")):
        scanned(tmp_path / "pages" / name, 9 * number)
    (tmp_path / "pages" / "torn.png").write_bytes(b"\x89PNG torn")
    Image.new("RGB", (90, 90), "white").save(tmp_path / "pages" / "empty.png")
    events: list[Event] = []
    found = drive(take_pages([tmp_path / "pages"], tmp_path / "art" / "intake", Control()), events.append)
    assert (found.pages, found.drawings, len(found.files)) == (2, 6, 8)
    assert sorted(Path(one.path).name for one in found.problems) == ["empty.png", "torn.png"]
    assert any(isinstance(event, Progress) and event.total == 6 and event.done == 6 for event in events)
    with Image.open(tmp_path / "art" / "intake" / "쪽 1-02.png") as cut:
        assert cut.size == pytest.approx((98, 98), abs=8)
        assert cut.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    sheet = SheetRecord(**json.loads((tmp_path / "art" / "intake" / "b.page.json").read_text()))
    assert (sheet.page, sheet.whole, sheet.evened) == ("b.jpg", True, True)
    for drawing, box in zip(sheet.drawings, BOXES, strict=True):
        assert drawing.box == pytest.approx(box, abs=0.02)
    again = drive(take_pages([tmp_path / "pages"], tmp_path / "art" / "intake", Control()))
    assert (again.drawings, len(again.already)) == (0, 2)


def test_pages_of_one_document_are_pages(tmp_path: Path) -> None:
    pages = [Image.open(scanned(tmp_path / f"{n}.png", 5 * n)) for n in (1, 2)]
    pages[0].save(tmp_path / "book.pdf", save_all=True, append_images=pages[1:])
    found = find_pages([tmp_path / "book.pdf", tmp_path / "book.pdf"])
    assert [path.name for path in found] == ["page 001", "page 002"]
    assert taken(tmp_path / "out", Page(found[1], boxes=BOXES, even=False)).drawings == 3
    assert (tmp_path / "out" / "book-p002-03.png").is_file()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    page = look_at(scanned(tmp_path / "a.png")).page
    other = look_at(scanned(tmp_path / "elsewhere" / "a.png", 30)).page
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a-01.png").write_bytes(b"mine")
    taken(tmp_path / "out", page)
    taken(tmp_path / "out", other)
    taken(tmp_path / "out", page, again=True)
    assert (tmp_path / "out" / "a-01.png").read_bytes() == b"mine"
    names = {file.name for file in (tmp_path / "out").glob("*.json")}
    assert names == {"a-2.page.json", "a-3.page.json", "a-4.page.json"}
    assert len(list((tmp_path / "out").glob("*.png"))) == 10
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        taken(tmp_path / "file", page)


def test_a_stop_in_the_middle_goes_on(tmp_path: Path) -> None:
    page = look_at(scanned(tmp_path / "a.png")).page
    control = Control()

    def stop_after_one(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 1:
            control.stop()

    with pytest.raises(Stopped):
        drive(take_in([page], tmp_path / "out", control), stop_after_one)
    assert len(list((tmp_path / "out").glob("*.png"))) == 1
    first = (tmp_path / "out" / "a-01.png").read_bytes()
    found = drive(
        take_pages([tmp_path / "a.png"], tmp_path / "out", Control(), gap=0.5)
    )  # as it was decided then
    assert (found.drawings, len(found.files)) == (2, 4)
    assert (tmp_path / "out" / "a-01.png").read_bytes() == first
    assert not list((tmp_path / "out").glob("a-2*"))


def test_a_document_by_somebody_else_leads_nowhere(tmp_path: Path) -> None:
    page = look_at(scanned(tmp_path / "a.png")).page
    taken(tmp_path / "out", page)
    document = tmp_path / "out" / "a.page.json"
    told = json.loads(document.read_text())
    told["whole"] = False
    told["drawings"][0]["file"] = "../outside.png"
    del told["sha256"]
    document.write_text(json.dumps(told))
    assert taken(tmp_path / "out", page).drawings == 3
    assert not (tmp_path / "outside.png").exists()


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = look_at(scanned(tmp_path / "a.png")).page

    def full(*_all: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WorkError, match="No space"):
        taken(tmp_path / "out", page)
    monkeypatch.undo()
    assert taken(tmp_path / "out", page).drawings == 3


def test_taking_back_and_putting_back(tmp_path: Path, home: Path) -> None:
    out = tmp_path / "art" / "intake"
    found = taken(out, look_at(scanned(tmp_path / "a.png")).page)
    (out / "mine.png").write_bytes(b"mine")
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    (out / "a-02.png").unlink()  # thrown away meanwhile
    entry = put_back(home, found)
    assert (entry.kind, entry.name) == ("drawings", "intake")
    assert [file.name for file in out.iterdir()] == ["mine.png"]
    (out / "a-01.png").write_bytes(b"new")
    trash = Trash(home)
    with pytest.raises(UserError, match="again"):
        trash.restore(trash.entries()[0])
    assert len(list(out.iterdir())) == 2, "all of them or none"
    (out / "a-01.png").unlink()
    assert trash.restore(trash.entries()[0]) == out
    del before["a-02.png"]
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert trash.entries() == []
    put_back(home, found)
    with pytest.raises(UserError, match="any more"):
        put_back(home, found)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Single drawings in two folders that are classes, and the drawings of six pages."""
    root = tmp_path_factory.mktemp("art")
    for number in range(8):
        folder = root / ("cats", "owls")[number % 2]
        folder.mkdir(exist_ok=True)
        draw(("circle", "square", "ring", "cross")[number % 4], f"#{number}39").convert("RGB").save(
            folder / f"{number}.png"
        )
    pages = [
        Page(scanned(root.parent / f"{root.name}-pages" / f"p{n}.png", 20 * n), boxes=BOXES) for n in range(6)
    ]
    taken(root / "intake", *pages)
    return root


def test_drawings_of_one_page_stay_on_one_side(collection: Path) -> None:
    (collection / "intake" / "p0-01.png").rename(collection / "renamed.png")
    found = read(collection)
    assert not found.problems
    of_page = {item.path: item.sheet for item in found.items if item.sheet}
    assert len(of_page) == 18
    assert of_page["renamed.png"] == of_page["intake/p0-02.png"], "known by its content"
    assert len(set(of_page.values())) == 6
    assert set(found.labels) == {"cats", "owls"}, "where drawings were cut out is no class"
    for seed in range(5):
        parts = split(found, DataSettings(validation=0.3), seed)
        for name in set(of_page.values()):
            own = {i for i, item in enumerate(found.items) if item.sheet == name}
            touched = [part for part in (parts.train, parts.validation, parts.test) if own & set(part)]
            assert len(touched) == 1


def test_a_damaged_document_is_a_problem_with_its_name(collection: Path) -> None:
    (collection / "intake" / "broken.page.json").write_text('{"page": 3}')
    found = read(collection)
    assert [problem.path for problem in found.problems] == ["intake/broken.page.json"]
