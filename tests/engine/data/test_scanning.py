from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from clip_atelier.engine.core import (
    Control,
    Event,
    Phase,
    ProblemFound,
    Progress,
    Scanned,
    Stopped,
    UserError,
    drive,
    to_json,
)
from clip_atelier.engine.data import Collection, scan
from clip_atelier.engine.settings import DataSettings

Scan = Callable[..., Collection]
Draw = Callable[..., Path]


def test_items_are_ordered_by_path_and_complete(scanned: Scan, draw: Draw) -> None:
    for name in ("b.png", "sub/c.jpg", "a.webp"):
        draw(name, size=(60, 40))
    collection = scanned()
    assert [item.path for item in collection.items] == ["a.webp", "b.png", "sub/c.jpg"]
    assert {(item.width, item.height) for item in collection.items} == {(60, 40)}
    assert all(len(item.digest) == 64 and item.captions for item in collection.items)
    assert all(collection.absolute(item).is_file() for item in collection.items)


def test_summary_is_the_contracts_document(scanned: Scan, draw: Draw) -> None:
    draw("a.png", text="a cat\na kitten")
    draw("b.png", "other", text="a dog")
    (Path(draw("c.png")).parent / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    document = json.loads(json.dumps(scanned().summary().as_json()))
    assert (document["images"], document["captions"], document["labels"], document["pairs"]) == (3, 4, 0, 0)
    assert document["caption_source"] == "mixed"
    assert [problem["path"] for problem in document["problems"]] == ["broken.png"]
    assert document["duplicates"] == []


def test_events_tell_phase_problems_and_the_end(
    scanned: Scan, draw: Draw, events: list[Event], tmp_path: Path
) -> None:
    draw("a.png")
    (tmp_path / "empty.png").touch()
    collection = scanned()
    assert isinstance(events[0], Phase)
    assert events[0].name == "scan"
    assert [(e.path, e.reason) for e in events if isinstance(e, ProblemFound)] == [
        ("empty.png", "The file is empty.")
    ]
    assert isinstance(events[-1], Scanned)
    assert (events[-1].images, events[-1].problems) == (1, 1)
    progress = [e for e in events if isinstance(e, Progress)]
    assert (progress[-1].done, progress[-1].total) == (2, 2)
    assert json.dumps([to_json(e) for e in events])
    assert collection.problems[0].path == "empty.png"


def test_progress_is_at_most_ten_a_second(scanned: Scan, draw: Draw, events: list[Event]) -> None:
    for number in range(200):
        draw(f"{number}.png")
    before = time.monotonic()
    scanned()
    assert sum(isinstance(e, Progress) for e in events) <= 10 * (time.monotonic() - before) + 2


def test_what_cannot_be_scanned_is_named_with_the_remedy(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder .*missing"):
        scanned(tmp_path / "missing")
    with pytest.raises(UserError, match="is a file, not a folder"):
        scanned(draw("file.png"))


def test_a_folder_without_images_names_the_first_three_problems(scanned: Scan, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.png").touch()
    with pytest.raises(UserError) as caught:
        scanned()
    message = str(caught.value)
    assert all(f"{number}.png" in message for number in range(3))
    assert "3.png" not in message
    assert "PNG" in caught.value.hint


def test_hidden_files_and_leftovers_are_ignored_in_silence(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("a.png")
    for name in (".hidden.png", ".git/x.png", "__MACOSX/a.png", "@eaDir/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "README", "notes.md", "painting.kra~"):
        (tmp_path / name).write_bytes(b"x")
    collection = scanned()
    assert [item.path for item in collection.items] == ["a.png"]
    assert collection.problems == ()


def test_the_content_decides_not_the_suffix(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("jpeg.jpg").rename(tmp_path / "wrong.png")
    draw("plain.png").rename(tmp_path / "plain")
    collection = scanned()
    assert [item.path for item in collection.items] == ["plain", "wrong.png"]


@pytest.mark.parametrize("suffix", [".eps", ".xcf", ".jxl", ".ai"])
def test_kinds_that_are_not_read_are_named(scanned: Scan, draw: Draw, tmp_path: Path, suffix: str) -> None:
    draw("a.png")
    (tmp_path / f"b{suffix}").write_bytes(b"x")
    (problem,) = scanned().problems
    assert problem.path == f"b{suffix}"
    assert "Export the drawing as PNG" in problem.reason


def test_blank_images_are_problems(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("a.png")
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (20, 20), "beige").save(tmp_path / "flat.jpg")
    Image.new("L", (20, 20), 255).save(tmp_path / "white.png")
    collection = scanned()
    assert [problem.path for problem in collection.problems] == ["clear.png", "flat.jpg", "white.png"]
    assert all("Nothing is drawn" in problem.reason for problem in collection.problems)


def test_one_dot_is_a_drawing(scanned: Scan, tmp_path: Path) -> None:
    image = Image.new("L", (300, 300), 255)
    image.putpixel((7, 7), 0)
    image.save(tmp_path / "dot.png")
    assert len(scanned().items) == 1


def test_a_second_scan_takes_unchanged_images_from_the_cache(
    scanned: Scan, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        draw(f"set/{number}.png")
    cache = tmp_path / "cache" / "scan.sqlite"
    first = scanned(tmp_path / "set", cache)
    draw("set/3.png", "changed")
    (tmp_path / "set" / "4.png").unlink()
    draw("set/new.png")
    read: list[str] = []
    real = scan_module().read
    monkeypatch.setattr(
        scan_module(), "read", lambda path, *more: (read.append(path.name), real(path, *more))[1]
    )
    second = scanned(tmp_path / "set", cache)
    assert sorted(read) == ["3.png", "new.png"]
    same = {item.path: item for item in first.items}
    assert all(item == same[item.path] for item in second.items if item.path not in ("3.png", "new.png"))
    assert next(item.digest for item in second.items if item.path == "3.png") != same["3.png"].digest
    assert "4.png" not in [item.path for item in second.items]


def scan_module() -> object:
    return sys.modules["clip_atelier.engine.data.scanning"]


def test_a_cache_speaks_only_for_its_own_folder(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("one/a.png", 1)
    draw("one-more/a.png", 2)
    cache = tmp_path / "scan.sqlite"
    before = scanned(tmp_path / "one", cache).items[0].digest
    other = scanned(tmp_path / "one-more", cache).items[0].digest
    assert before != other
    assert scanned(tmp_path / "one", cache).items[0].digest == before


@pytest.mark.fault(38)
def test_stop_ends_the_scan_and_keeps_what_was_read(draw: Draw, tmp_path: Path) -> None:
    for number in range(300):
        draw(f"set/{number}.png")
    control = Control()
    cache = tmp_path / "scan.sqlite"

    def stop(event: Event) -> None:
        if isinstance(event, Progress):
            control.stop()

    with pytest.raises(Stopped):
        drive(scan(tmp_path / "set", DataSettings(), control, cache), stop)
    assert cache.stat().st_size > 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scan")]


def test_fingerprint_depends_on_content_and_words_not_on_names(
    scanned: Scan, draw: Draw, tmp_path: Path
) -> None:
    draw("one/a.png", 1, text="a cat")
    draw("one/b.png", 2, text="a dog")
    draw("two/z.png", 1, text="a cat")
    draw("two/y.png", 2, text="a dog")
    one, two = scanned(tmp_path / "one"), scanned(tmp_path / "two")
    assert one.fingerprint == two.fingerprint
    (tmp_path / "two" / "y.txt").write_text("a wolf")
    assert scanned(tmp_path / "two").fingerprint != one.fingerprint


def test_scanning_never_imports_torch() -> None:
    code = "import sys, clip_atelier.engine.data.scanning; print({'torch', 'transformers', 'peft'} & set(sys.modules))"
    app = Path(__file__).parents[3] / "app"
    done = subprocess.run([sys.executable, "-c", code], cwd=app, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
