"""Faults 18 to 23: odd files, names, links and permissions in a collection."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import stat
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from PIL import Image

from clip_atelier.engine.core import Control, Event, drive, to_json
from clip_atelier.engine.data import Collection, image_gate, scan
from clip_atelier.engine.settings import DataSettings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def scanned(folder: Path) -> Collection:
    return drive(scan(folder, DataSettings(), Control()))


def drawing(path: str | os.PathLike[str], mark: int = 0) -> None:
    image = Image.new("L", (32, 32), 255)
    image.paste(0, (mark % 20, mark // 20, mark % 20 + 9, mark // 20 + 7))
    with open(path, "wb") as file:
        image.save(file, "PNG")


def reasons(collection: Collection) -> dict[str, str]:
    return {problem.path: problem.reason for problem in collection.problems}


@pytest.mark.fault(19)
def test_pipes_sockets_and_devices_do_not_block(tmp_path: Path) -> None:
    drawing(tmp_path / "a.png")
    for name in ("pipe.png", "a.txt", "metadata.csv"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "linked.png").symlink_to("pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        home = os.getcwd()
        os.chdir(tmp_path)  # the path of a socket is limited to about 100 bytes
        try:
            server.bind("socket.png")
        finally:
            os.chdir(home)
        collection = scanned(tmp_path)
    assert [item.path for item in collection.items] == ["a.png"]
    found = reasons(collection)
    assert sorted(found) == ["a.txt", "metadata.csv", "pipe.png", "socket.png", "zero.png"]
    assert found["pipe.png"] == "This is a pipe, not a file."
    assert found["zero.png"] == "This is a device, not a file."


@pytest.mark.fault(19)
def test_a_file_that_becomes_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(image_gate.ImageProblem, match="not a regular file"):
        image_gate.load(tmp_path / "a.png")


@pytest.mark.fault(20)
def test_link_loops_show_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    drawing(tmp_path / "a.png", 1)
    drawing(tmp_path / "sub" / "b.png", 2)
    (tmp_path / "sub" / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to("sub")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "0-link.png").symlink_to("a.png")
    (tmp_path / "nowhere.png").symlink_to("gone.png")
    collection = scanned(tmp_path)
    assert [item.path for item in collection.items] == ["a.png", "sub/b.png"]
    assert reasons(collection) == {
        "nowhere.png": "The link leads nowhere.",
        "self": "The link leads nowhere.",
    }


def test_links_out_of_the_folder_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "set").mkdir()
    drawing(tmp_path / "other" / "a.png")
    (tmp_path / "set" / "one").symlink_to(tmp_path / "other")
    (tmp_path / "set" / "two").symlink_to(tmp_path / "other")
    assert [item.path for item in scanned(tmp_path / "set").items] == ["one/a.png"]


def test_a_link_to_what_holds_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "set" / "sub").mkdir(parents=True)
    drawing(tmp_path / "set" / "a.png", 1)
    drawing(tmp_path / "beside.png", 25)
    (tmp_path / "set" / "up").symlink_to(tmp_path)
    (tmp_path / "set" / "everything").symlink_to("/")
    assert [item.path for item in scanned(tmp_path / "set").items] == ["a.png"]


def test_a_disk_that_fails_while_reading_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing(tmp_path / "a.png", 1)
    drawing(tmp_path / "b.png", 25)
    turns = iter([False, True])
    real = hashlib.file_digest

    def failing(file: BinaryIO, name: str) -> object:
        if next(turns):
            raise OSError(5, "Input/output error")
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", failing)
    collection = scanned(tmp_path)
    assert [problem.reason for problem in collection.problems] == [
        "The file cannot be read (Input/output error)."
    ]
    assert len(collection.items) == 1


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of an ordinary user, and the rights of one: root may read everything."""
    folder = Path(tempfile.mkdtemp())
    drawing(folder / "a.png")
    scanned(folder)  # whatever is imported late, while it still may be
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for path in folder.iterdir():
            path.chmod(0o700)
        shutil.rmtree(folder)


def drop_rights() -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)


@pytest.mark.fault(21)
def test_unreadable_folders_are_noted(ordinary_user: Path) -> None:
    (ordinary_user / "shut").mkdir(mode=0o000)
    drop_rights()
    assert scanned(ordinary_user).notes == ("1 folder could not be read: shut",)


@pytest.mark.fault(21)
def test_several_unreadable_folders_and_a_file(ordinary_user: Path) -> None:
    for name in ("one", "two"):
        (ordinary_user / name).mkdir(mode=0o000)
    drawing(ordinary_user / "b.png")
    (ordinary_user / "b.png").chmod(0)
    drop_rights()
    collection = scanned(ordinary_user)
    assert collection.notes == ("2 folders could not be read: one, two",)
    assert reasons(collection) == {"b.png": "The file may not be read. Change its permissions."}


@pytest.mark.fault(23)
@pytest.mark.parametrize("name", [
    b"\xff.png", b"a" * 251 + b".png", "🦊🎨.png".encode(), b"-rf.png", b" .png", b"a\nb.png", b"%s{label}.png", b"a\\b.png",
    b"<img src=x>.png", "\u202egnp.png".encode(), b"\xed\xa0\x80.png",
])  # fmt: skip
def test_odd_names(tmp_path: Path, name: bytes) -> None:
    drawing(os.path.join(os.fsencode(tmp_path), name))
    cache = tmp_path.with_name("scan.sqlite")
    found: list[Event] = []
    for _time in range(2):  # read, and out of the cache
        (item,) = drive(scan(tmp_path, DataSettings(), Control(), cache), found.append).items
        assert os.fsencode(item.path) == name
        assert image_gate.load(tmp_path / item.path).size == (32, 32)
        assert item.captions
        assert all(caption.encode() for caption in item.captions)
    assert all(to_json(event) for event in found)


def test_odd_names_in_problems_can_be_shown(tmp_path: Path) -> None:
    drawing(tmp_path / "a.png")
    with open(os.path.join(os.fsencode(tmp_path), b"\xff.png"), "wb"):
        pass
    document = scanned(tmp_path).summary().as_json()
    assert document["problems"] == [{"path": "\\xff.png", "reason": "The file is empty."}]
    with pytest.raises(image_gate.ImageProblem) as caught:
        image_gate.load(tmp_path / os.fsdecode(b"\xff.png"))
    assert str(caught.value).encode()


@pytest.mark.fault(23)
def test_a_path_that_is_too_long_is_noted(tmp_path: Path) -> None:
    drawing(tmp_path / "a.png")
    folder = os.open(tmp_path, os.O_RDONLY)
    for _level in range(20):
        os.mkdir("d" * 250, dir_fd=folder)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.close(folder)
    collection = scanned(tmp_path)
    assert len(collection.items) == 1
    assert collection.notes[0].startswith("1 folder could not be read")
    assert len(collection.notes[0]) < 200


@pytest.mark.fault(22)
def test_nfc_and_nfd_side_by_side_are_reported(tmp_path: Path) -> None:
    composed, pieces = (unicodedata.normalize(form, "나무") for form in ("NFC", "NFD"))
    drawing(tmp_path / f"{composed}.png", 1)
    drawing(tmp_path / f"{pieces}.png", 25)
    (tmp_path / f"{pieces}.txt").write_text("a tree")
    collection = scanned(tmp_path)
    assert [item.captions for item in collection.items] == [("a tree",), ("a tree",)]
    assert any("looks the same" in problem.reason for problem in collection.problems)


@pytest.mark.fault(22)
@pytest.mark.parametrize(("image", "caption"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_nfc_image_with_nfd_caption(tmp_path: Path, image: str, caption: str) -> None:
    drawing(tmp_path / unicodedata.normalize(image, "나무.png"), 1)
    drawing(tmp_path / unicodedata.normalize(image, "고양이.png"), 25)
    (tmp_path / unicodedata.normalize(caption, "나무.txt")).write_text("a tree")
    table = unicodedata.normalize(caption, "file_name,text\n고양이.png,a cat\n")
    (tmp_path / "metadata.csv").write_text(table, encoding="utf-8")
    collection = scanned(tmp_path)
    assert {item.captions for item in collection.items} == {("a tree",), ("a cat",)}
    assert collection.problems == ()


def test_two_captions_that_are_spelled_alike_are_reported(tmp_path: Path) -> None:
    composed, pieces = (unicodedata.normalize(form, "나무") for form in ("NFC", "NFD"))
    drawing(tmp_path / f"{composed}.png")
    (tmp_path / f"{composed}.txt").write_text("exact")
    (tmp_path / f"{pieces}.txt").write_text("other")
    collection = scanned(tmp_path)
    assert collection.items[0].captions == ("exact",)
    assert "spelled like this" in collection.problems[0].reason


def test_a_file_gone_between_listing_and_reading_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing(tmp_path / "a.png", 1)
    drawing(tmp_path / "b.png", 25)
    module = sys.modules["clip_atelier.engine.data.scanning"]
    real = module.walk

    def walk_then_lose(root: Path, control: Control) -> object:
        found = real(root, control)
        (root / "b.png").unlink()
        return found

    monkeypatch.setattr(module, "walk", walk_then_lose)
    assert reasons(scanned(tmp_path)) == {"b.png": "The file is not there."}


def test_scanning_writes_nothing_into_the_collection(tmp_path: Path) -> None:
    drawing(tmp_path / "a.png")
    before = [
        (path, path.stat().st_mtime_ns, stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.rglob("*")
    ]
    scanned(tmp_path)
    assert [(p, p.stat().st_mtime_ns, stat.S_IMODE(p.stat().st_mode)) for p in tmp_path.rglob("*")] == before
