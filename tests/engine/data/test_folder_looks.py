"""A folder that is looked at again and again: what changed is seen, and what did not costs little."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clip_atelier.engine.core import Control
from clip_atelier.engine.data import Collection, FolderLooks, image_gate, walk

Draw = Callable[..., Path]
Scan = Callable[..., Collection]
OLD = time.time() - 3600


@pytest.fixture
def looks(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> FolderLooks:
    """A folder of old drawings that was looked through an hour after the last change."""
    draw("a.png")
    draw("sub/b.png")
    made = FolderLooks(tmp_path)
    now = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: now)
    made.whole(Control())
    return made


def test_an_unchanged_folder_is_quiet_and_its_state_the_same(looks: FolderLooks) -> None:
    assert looks.quiet()
    state = looks.state
    assert looks.whole(Control()) is state


@pytest.mark.parametrize("change", ["new", "gone", "renamed", "moved", "folder", "no folder"])
def test_names_that_change_are_seen_without_looking_at_files(
    looks: FolderLooks, tmp_path: Path, draw: Draw, change: str
) -> None:
    if change == "new":
        draw("sub/c.png")
    elif change == "gone":
        (tmp_path / "sub" / "b.png").unlink()
    elif change == "renamed":
        (tmp_path / "sub").rename(tmp_path / "other")
    elif change == "moved":
        shutil.move(tmp_path / "a.png", tmp_path / "sub" / "a.png")
    elif change == "folder":
        (tmp_path / "sub" / "below").mkdir()
    else:
        shutil.rmtree(tmp_path / "sub")
    assert not looks.quiet()
    state = looks.state
    assert (looks.whole(Control()) == state) == (change == "folder")


def test_a_file_that_was_just_written_is_watched_itself(
    looks: FolderLooks, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    file = draw("late.png")
    looks.whole(Control())
    os.utime(file, (now - 30, now - 30))
    looks.whole(Control())
    assert looks.quiet()
    with file.open("ab") as stream:
        stream.write(b"more")
    assert not looks.quiet()
    # Within a moment of a change another one may bear the same time.
    os.utime(file, (now, now))
    looks.whole(Control())
    assert not looks.quiet()


def test_a_document_is_opened_once_for_all_looks(
    tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(draw("a.png"), tmp_path / "without suffix")
    opened = []
    sniff = image_gate.sniff
    monkeypatch.setattr(image_gate, "sniff", lambda path: opened.append(path) or sniff(path))
    looks = FolderLooks(tmp_path)
    for _time in range(3):
        assert "without suffix" in looks.whole(Control()).images
    assert len(opened) == 1


def test_a_moved_folder_is_not_read_again(
    tmp_path: Path, home: Path, draw: Draw, scanned: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = home / "scan.sqlite"
    for n in range(4):
        draw(f"sub/{n}.png")
    digests = {item.path: item.digest for item in scanned(cache=cache).items}
    (tmp_path / "sub").rename(tmp_path / "other")
    (tmp_path / "other" / "3.png").rename(tmp_path / "other" / "three.png")
    read, decoded = [], []
    digest_in, decode = image_gate.digest_in, image_gate.decode
    monkeypatch.setattr(
        image_gate, "digest_in", lambda path, file: read.append(path.name) or digest_in(path, file)
    )
    monkeypatch.setattr(image_gate, "decode", lambda path, *a: decoded.append(path.name) or decode(path, *a))
    found = {item.path: item.digest for item in scanned(cache=cache).items}
    moved = {path.replace("sub", "other"): digest for path, digest in digests.items()}
    moved["other/three.png"] = moved.pop("other/3.png")
    assert found == moved
    assert read == ["three.png"], "a new name is compared by its content, a moved folder by its files' stamps"
    assert decoded == []
    read.clear()
    # Another drawing in the place of one that is gone is no moved one.
    (tmp_path / "other" / "0.png").unlink()
    draw("new/0.png", "something else")
    scanned(cache=cache)
    assert decoded == ["0.png"]
    assert walk.walk(tmp_path, Control()).folders.keys() == {"", "other", "new"}


def test_what_is_moved_is_at_rest_and_what_is_being_written_is_not(
    looks: FolderLooks, tmp_path: Path, draw: Draw
) -> None:
    former = looks.state
    (tmp_path / "sub").rename(tmp_path / "other")
    (tmp_path / "a.png").unlink()
    looks.whole(Control())
    assert looks.at_rest(former)
    new = draw("new.png")
    looks.whole(Control())
    assert looks.at_rest(former), "an hour ago, for the clock of this test"
    os.utime(new, (time.time() - 1, time.time() - 1))
    looks.whole(Control())
    assert not looks.at_rest(former)
    assert not looks.at_rest(None)
    new.unlink()
    (tmp_path / "words.csv").write_text("a half")
    looks.whole(Control())
    assert not looks.at_rest(former), "of a table nothing is known but its name"
