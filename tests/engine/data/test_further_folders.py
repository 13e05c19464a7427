"""Several folders in one collection: drawings that lie elsewhere are read, split and captioned like those of a sub-folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clip_atelier.engine.core import Control, UserError, WorkError
from clip_atelier.engine.data import (
    CaptionBackups,
    Collection,
    ColumnEdit,
    FolderLooks,
    add_folder,
    backups_of,
    caption_drafts,
    caption_saving,
    export_captions,
    further_folders_of,
    locate_folder,
    located,
    remove_folder,
    save_captions,
    saved_with,
    scan_cache_file,
    split,
)
from clip_atelier.engine.data.further_folders import FILE
from clip_atelier.engine.settings import DataSettings

Scan = Callable[..., Collection]
Draw = Callable[..., Path]


@pytest.fixture
def book(draw: Draw, tmp_path: Path) -> Path:
    """The collection's own folder, with three drawings; "scans" beside it has two, one of the same name."""
    for name in "abc":
        draw(f"book/{name}.png", text=f"page {name}")
    draw("scans/a.png", "another")
    draw("scans/sub/d.png")
    return tmp_path / "book"


@pytest.fixture
def both(book: Path, tmp_path: Path) -> Path:
    """The collection with both."""
    add_folder(book, tmp_path / "scans")
    return book


def paths_of(collection: Collection) -> list[str]:
    return [item.path for item in collection.items]


def captions_of(collection: Collection) -> dict[str, tuple[str, ...]]:
    return {item.path: item.captions for item in collection.items}


def test_drawings_of_both_are_read_and_their_files_are_found(
    both: Path, scanned: Scan, tmp_path: Path
) -> None:
    found = scanned(both)
    assert paths_of(found) == ["a.png", "b.png", "c.png", "scans/a.png", "scans/sub/d.png"]
    files = [found.absolute(item) for item in found.items]
    assert files[0] == both / "a.png"
    assert files[3] == tmp_path / "scans" / "a.png"
    assert all(file.is_file() for file in files)
    assert found.items[0].digest != found.items[3].digest, "drawings of one name are not mixed up"
    told = found.summary().folders
    assert [(one.name, one.there, one.images) for one in told] == [("scans", True, 2)]
    assert not found.problems


def test_nothing_but_one_document_is_written(both: Path, tmp_path: Path, scanned: Scan) -> None:
    scanned(both)
    assert sorted(f.name for f in both.iterdir()) == sorted(
        [*(f"{n}.{kind}" for n in "abc" for kind in ("png", "txt")), FILE]
    )
    assert sorted(f.name for f in (tmp_path / "scans").rglob("*.*")) == ["a.png", "d.png"]


def test_copies_in_two_folders_are_duplicates_on_one_side_of_the_split(
    both: Path, draw: Draw, scanned: Scan, tmp_path: Path
) -> None:
    for n in range(12):
        draw(f"book/n{n}.png", n)
        draw(f"scans/m{n}.png", 100 + n)
    for n in range(12):
        shutil.copy(both / f"n{n}.png", tmp_path / "scans" / f"copy {n}.png")
    found = scanned(both)
    pairs = {frozenset((f"n{n}.png", f"scans/copy {n}.png")) for n in range(12)}
    assert pairs <= {frozenset(group) for group in found.duplicates}
    made = split(found, DataSettings(validation=0.3, test=0.3), 0)
    part_of = {
        found.items[i].path: part for part in ("train", "validation", "test") for i in getattr(made, part)
    }
    assert all(part_of[f"n{n}.png"] == part_of[f"scans/copy {n}.png"] for n in range(12))


def test_captions_are_saved_beside_the_drawings_they_are_of(
    both: Path, home: Path, scanned: Scan, tmp_path: Path
) -> None:
    edits = {"b.png": ["mine"], "scans/a.png": ["theirs"], "scans/sub/d.png": ["deep", "down"]}
    columns = {"scans/a.png": ColumnEdit({"label": "L"}, ["theirs"])}
    saved = save_captions(both, edits, home, columns)
    assert set(saved.files) == {both / "metadata.csv", tmp_path / "scans" / "metadata.csv"}
    told = (tmp_path / "scans" / "metadata.csv").read_text("utf-8-sig")
    assert "sub/d.png" in told
    assert "scans/" not in told
    now = scanned(both)
    assert captions_of(now) == {
        "a.png": ("page a",), "b.png": ("mine",), "c.png": ("page c",),
        "scans/a.png": ("theirs",), "scans/sub/d.png": ("deep", "down"),
    }  # fmt: skip
    assert now.items[3].label == "L"
    alone = scanned(tmp_path / "scans")
    assert captions_of(alone) == {"a.png": ("theirs",), "sub/d.png": ("deep", "down")}


def test_one_save_in_two_folders_is_taken_back_as_one(
    both: Path, home: Path, scanned: Scan, tmp_path: Path
) -> None:
    save_captions(both, {"a.png": ["first"], "scans/a.png": ["first there"]}, home)
    save_captions(both, {"a.png": ["second"], "scans/a.png": ["second there"]}, home)
    kept = backups_of(home, both)
    newest = [one for one in kept if one.number == 2]
    assert {one.folder for one in newest} == {both, tmp_path / "scans"}
    assert set(saved_with(newest[0], newest)) == set(newest)
    then = CaptionBackups(home, both).captions(
        next(one for one in newest if one.folder != both), scanned(both)
    )
    assert then == {"scans/a.png": ("first there",)}
    for one in newest:
        CaptionBackups(home, one.folder).restore(one)
    back = captions_of(scanned(both))
    assert (back["a.png"], back["scans/a.png"]) == (("first",), ("first there",))


def test_the_command_takes_back_a_whole_save(
    both: Path, home: Path, scanned: Scan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from clip_atelier.cli.main import main

    save_captions(both, {"a.png": ["mine"], "scans/a.png": ["theirs"]}, home)
    assert main(["captions", "backups", str(both), "--home", str(home), "--json"]) == 0
    assert {one["folder"] for one in json.loads(capsys.readouterr().out)} == {
        str(both),
        str(tmp_path / "scans"),
    }
    assert main(["captions", "restore", str(both), "--home", str(home), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert set(files) == {str(both / "metadata.csv"), str(tmp_path / "scans" / "metadata.csv")}
    assert captions_of(scanned(both))["scans/a.png"] == ("a",)
    assert captions_of(scanned(both))["a.png"] == ("page a",)


def test_where_one_table_cannot_be_written_neither_is(
    both: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_captions(both, {"a.png": ["kept"]}, home)
    before = (both / "metadata.csv").read_bytes()
    real = caption_saving.write_table

    def full(target: Path, content: bytes) -> None:
        if target.parent.name == "scans":
            raise WorkError("no room")
        real(target, content)

    monkeypatch.setattr(caption_saving, "write_table", full)
    with pytest.raises(WorkError, match="no room"):
        save_captions(both, {"a.png": ["lost?"], "scans/a.png": ["lost?"]}, home)
    assert (both / "metadata.csv").read_bytes() == before
    assert not (tmp_path / "scans" / "metadata.csv").exists()


def test_a_table_that_cannot_be_understood_in_one_folder_keeps_all_as_they_are(
    both: Path, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "scans" / "metadata.csv").write_text("who,what\na,b\n", encoding="utf-8")
    with pytest.raises(WorkError, match="file_name"):
        save_captions(both, {"a.png": ["x"], "scans/a.png": ["y"]}, home)
    assert not (both / "metadata.csv").exists()


@pytest.mark.fault(61)
def test_a_further_folder_that_is_gone_is_named_and_nothing_of_it_is_lost(
    both: Path, home: Path, scanned: Scan, tmp_path: Path
) -> None:
    save_captions(both, {"scans/a.png": ["there"]}, home)
    cache = scan_cache_file(home)
    whole = scanned(both, cache)
    item = next(item for item in whole.items if item.path == "scans/a.png")
    edit = caption_drafts.DraftEdit(
        path=item.path, captions=("typed",), before=item.captions, digest=item.digest
    )
    caption_drafts.write_draft(home, both, {item.path: edit})
    (tmp_path / "scans").rename(tmp_path / "unplugged")

    left = scanned(both, cache)
    assert paths_of(left) == ["a.png", "b.png", "c.png"]
    assert left.absent == ("scans",)
    assert [(p.path, str(tmp_path / "scans") in p.reason) for p in left.problems] == [("scans", True)]
    with pytest.raises(WorkError, match="is not there"):
        save_captions(both, {"a.png": ["x"], "scans/a.png": ["y"]}, home)
    assert not (tmp_path / "scans").exists(), "it must not be made where a drive will be again"
    assert not (both / "metadata.csv").exists()
    with pytest.raises(WorkError):
        CaptionBackups(home, tmp_path / "scans").restore(backups_of(home, both)[0])
    assert not (tmp_path / "scans").exists()

    # Renamed on disk: told once, everything is as before, captions and draft as well.
    locate_folder(both, "scans", tmp_path / "unplugged")
    back = scanned(both, cache)
    assert back.items == whole.items
    assert back.absolute(back.items[3]) == tmp_path / "unplugged" / "a.png"
    assert caption_drafts.read_draft(home, both) == {item.path: edit}


def test_what_a_scan_knew_of_a_folder_that_is_gone_is_not_forgotten(
    both: Path, home: Path, scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_atelier.engine.data import scanning

    cache = scan_cache_file(home)
    scanned(both, cache)
    (tmp_path / "scans").rename(tmp_path / "away")
    scanned(both, cache)
    (tmp_path / "away").rename(tmp_path / "scans")
    decoded: list[str] = []
    monkeypatch.setattr(scanning, "read", lambda path, *_rest: decoded.append(str(path)))
    assert len(scanned(both, cache).items) == 5
    assert decoded == []


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("book", "own folder already"),
        ("book/inner", "own folder already"),
        (".", "lies in"),
        ("scans", "already, as “scans”"),
        ("scans/sub", "already, as “scans”"),
        ("link", "already, as “scans”"),
        ("nowhere", "no folder"),
        ("book/a.png", "no folder"),
    ],
)
def test_folders_that_would_be_read_twice_are_refused_with_the_reason(
    both: Path, tmp_path: Path, other: str, reason: str
) -> None:
    (both / "inner").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "scans", target_is_directory=True)
    before = (both / FILE).read_bytes()
    with pytest.raises(UserError, match=reason) as error:
        add_folder(both, tmp_path / other)
    assert error.value.hint
    assert (both / FILE).read_bytes() == before


def test_a_folder_around_a_further_one_is_refused(book: Path, tmp_path: Path) -> None:
    add_folder(book, tmp_path / "scans" / "sub")
    with pytest.raises(UserError, match="holds “sub”"):
        add_folder(book, tmp_path / "scans")


def test_names_are_unique_and_plain(both: Path, tmp_path: Path, draw: Draw) -> None:
    draw("elsewhere/Scans/x.png")
    draw("elsewhere/a.png/x.png")
    assert add_folder(both, tmp_path / "elsewhere" / "Scans").name == "Scans 2"
    for name in ("scans", "SCANS", "a.png", "b/c", "..", ".x", " x", "x\ny"):
        with pytest.raises(UserError):
            add_folder(both, tmp_path / "elsewhere" / "a.png", name)
    assert add_folder(both, tmp_path / "elsewhere" / "a.png").name == "a.png 2"
    assert [one.name for one in further_folders_of(both)] == ["scans", "Scans 2", "a.png 2"]


def test_taken_out_and_added_again_it_is_as_before(both: Path, scanned: Scan, tmp_path: Path) -> None:
    before = scanned(both)
    former = remove_folder(both, "scans")
    assert paths_of(scanned(both)) == ["a.png", "b.png", "c.png"]
    assert (tmp_path / "scans" / "sub" / "d.png").is_file()
    add_folder(both, former.path, former.name)
    assert scanned(both).items == before.items
    with pytest.raises(UserError, match="no further folder “nothing”"):
        remove_folder(both, "nothing")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"schema": 2, "folders": []}',
        '{"schema": 1, "folders": [{"name": "../x", "folder": "/"}]}',
        '{"schema": 1, "folders": [{"name": "x", "folder": "/a"}, {"name": "X", "folder": "/b"}]}',
    ],
)
def test_a_list_that_cannot_be_understood_is_named_and_never_overwritten(
    both: Path, scanned: Scan, tmp_path: Path, content: str
) -> None:
    (both / FILE).write_text(content, encoding="utf-8")
    found = scanned(both)
    assert paths_of(found) == ["a.png", "b.png", "c.png"]
    assert [problem.path for problem in found.problems] == [FILE]
    with pytest.raises(UserError):
        add_folder(both, tmp_path / "scans")
    assert (both / FILE).read_text("utf-8") == content


def test_a_path_of_another_system_is_not_looked_for_where_the_program_runs(
    both: Path, scanned: Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders = [{"name": "scans", "folder": "scans"}]
    (both / FILE).write_text(json.dumps({"schema": 1, "folders": folders}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert scanned(both).absent == ("scans",)


def test_a_folder_of_the_same_name_that_comes_later_hides_nothing(
    both: Path, scanned: Scan, draw: Draw, tmp_path: Path
) -> None:
    draw("book/SCANS/a.png", "yet another")
    found = scanned(both)
    assert paths_of(found) == ["a.png", "b.png", "c.png", "scans/a.png", "scans/sub/d.png"]
    assert [problem.path for problem in found.problems] == ["SCANS"]
    assert located(both, "scans/a.png") == tmp_path / "scans" / "a.png"


def test_a_folder_is_read_as_it_would_be_by_itself(
    book: Path, draw: Draw, scanned: Scan, tmp_path: Path
) -> None:
    for name in ("val", "old scans"):
        for kind in ("cats", "dogs"):
            draw(f"{name}/{kind}/{name} {kind}.png")
        draw(f"{name}/grey bird.png", name)
        draw(f"{name}/test/red fox.png", f"{name} fox")
        add_folder(book, tmp_path / name)
    read = {item.path: item for item in scanned(book).items}
    # Its own name is no class and no part of a split; the folders in it are.
    assert read["old scans/grey bird.png"].captions == ("grey bird",)
    assert read["old scans/grey bird.png"].label == ""
    assert read["old scans/cats/old scans cats.png"].label == "cats"
    assert {read[path].split for path in read if path.endswith("fox.png")} == {"test"}
    assert {read[path].split for path in read if not path.endswith("fox.png")} == {""}


def test_links_into_a_further_folder_and_its_own_list_are_no_second_drawings(
    both: Path, scanned: Scan, draw: Draw, tmp_path: Path
) -> None:
    draw("third/e.png")
    (both / "link").symlink_to(tmp_path / "scans", target_is_directory=True)
    add_folder(tmp_path / "scans", tmp_path / "third")  # a collection by itself as well
    found = scanned(both)
    assert paths_of(found) == ["a.png", "b.png", "c.png", "scans/a.png", "scans/sub/d.png"]
    assert not found.problems


def test_tables_speak_of_their_own_folder_alone(both: Path, scanned: Scan, tmp_path: Path) -> None:
    (tmp_path / "scans" / "metadata.csv").write_text(
        "file_name,text\n../b.png,not mine\na.png,beside it\n", encoding="utf-8"
    )
    (both / "metadata.csv").write_text(
        "file_name,text\nscans/a.png,from afar\nscans/sub/d.png,nobody else says\n", encoding="utf-8"
    )
    told = captions_of(scanned(both))
    assert told["b.png"] == ("page b",)
    assert told["scans/a.png"] == ("beside it",)
    assert told["scans/sub/d.png"] == ("nobody else says",)


def test_a_watcher_sees_changes_and_that_a_drive_came_back(
    both: Path, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    looks = FolderLooks(both)
    now = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: now)
    assert len(looks.whole(Control()).images) == 5
    assert looks.quiet()
    draw("scans/new.png")
    assert not looks.quiet()
    (tmp_path / "scans").rename(tmp_path / "away")
    assert len(looks.whole(Control()).images) == 3
    assert looks.quiet()
    (tmp_path / "away").rename(tmp_path / "scans")
    assert not looks.quiet()
    assert len(looks.whole(Control()).images) == 6


def test_other_programs_get_whole_paths(both: Path, scanned: Scan, tmp_path: Path) -> None:
    found = scanned(both)
    export_captions(found, "coco", tmp_path / "out.json")
    names = [one["file_name"] for one in json.loads((tmp_path / "out.json").read_text("utf-8"))["images"]]
    assert names[2:4] == ["c.png", str(tmp_path / "scans" / "a.png")]
    export_captions(found, "imagefolder", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert rows[3]["file_name"] == "scans/a.png"
