"""A watched folder is searched as it is now, files that are half written wait, and a stop ends it in a moment."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clip_atelier.cli.main import main
from clip_atelier.engine.core import Control, Notice, UserError, WorkError, drive
from clip_atelier.engine.data import image_gate
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import (
    EmbeddingStore,
    ModelRef,
    Question,
    Watched,
    answering,
    ask,
    gallery,
    watch,
    watching,
    while_reading,
)
from tiny import draw

if not hasattr(socket, "AF_UNIX"):
    pytest.skip("this system has no such sockets", allow_module_level=True)


class Watcher:
    """A watcher in a thread; what it tells is waited for."""

    def __init__(self, folder: Path, home: Path, model: Path, wait: bool = True) -> None:
        self.control, self.told, self.done = Control(), threading.Condition(), None
        self.notices: list[str] = []
        self.work = watch(folder, ModelRef(model=str(model)), Models(home), self.control, every=0.02)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        if wait:
            self.wait_for("are new")

    def _run(self) -> None:
        self.done = drive(self.work, self._on_event)

    def _on_event(self, event: object) -> None:
        if isinstance(event, Notice):
            with self.told:
                self.notices.append(event.text)
                self.told.notify_all()

    def wait_for(self, part: str) -> None:
        with self.told:
            assert self.told.wait_for(lambda: any(part in text for text in self.notices), 60), self.notices

    def stop(self) -> Watched:
        self.control.stop()
        self.thread.join(5)
        assert not self.thread.is_alive(), "it ends within five seconds"
        assert self.done is not None
        return self.done


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a question waits for what is new, as it does where that takes a moment."""
    for room in (answering, watching):
        monkeypatch.setattr(room, "SOON", 60)
    monkeypatch.setattr(watching, "_QUICK", 60)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose path is short enough for a socket."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="cw") as name:
        yield Path(name)


@pytest.fixture
def watched(tiny_collection: Path, short: Path, tiny_clip: Path) -> Iterator[Callable[..., Watcher]]:
    made: list[Watcher] = []

    def begin() -> Watcher:
        made.append(Watcher(tiny_collection, short, tiny_clip))
        return made[-1]

    yield begin
    for one in made:
        one.control.stop()
        one.thread.join(10)


def asked(home: Path, folder: Path, model: Path, text: str = "red", **more: Any) -> list[str] | None:
    found = ask(home, folder, Question(**{"text": text, "top": 100, "model": str(model)} | more))
    return None if found is None else [hit.path for hit in found.base]


def test_what_comes_goes_and_moves_is_found_as_it_is_now(
    watched: Callable[..., Watcher], tiny_collection: Path, short: Path, tiny_clip: Path
) -> None:
    folder = tiny_collection
    assert asked(short, folder, tiny_clip) is None, "nobody watches yet"
    watcher = watched()
    before = asked(short, folder, tiny_clip)
    assert before is not None
    draw("cross", "#0a0", shift=3).convert("RGB").save(folder / "new.png")
    (folder / before[0]).unlink()
    shutil.move(folder / before[1], folder / "moved.png")
    now = asked(short, folder, tiny_clip)
    assert now is not None
    assert set(now) == (set(before) - set(before[:2])) | {"new.png", "moved.png"}

    # Half a file is left out, and found once it is whole.
    whole = (folder / "new.png").read_bytes()
    (folder / "late.png").write_bytes(whole[: len(whole) // 2])
    assert "late.png" not in (asked(short, folder, tiny_clip) or ["late.png"])
    (folder / "late.png").write_bytes(whole)
    assert "late.png" in (asked(short, folder, tiny_clip) or [])
    done = watcher.stop()
    assert (done.images, done.answered) == (len(now) + 1, 4)
    assert asked(short, folder, tiny_clip) is None
    assert not list((short / "watch").iterdir())


def test_another_model_and_nonsense_are_not_answered_for(
    watched: Callable[..., Watcher], tiny_collection: Path, short: Path, tiny_clip: Path
) -> None:
    watcher = watched()
    assert ask(short, tiny_collection, Question(text="red", model="starter")) is None
    with pytest.raises(UserError, match="already"):
        drive(watch(tiny_collection, ModelRef(), Models(short), Control()))
    with pytest.raises(UserError):
        ask(short, tiny_collection, Question(model=str(tiny_clip)))
    place = answering.place_of(short, tiny_collection)
    assert place is not None
    assert place.stat().st_mode & 0o077 == 0
    for nonsense in (b"[1]\n", b"\xff\n", b"{}" * 9, b""):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(str(place))
            line.sendall(nonsense)
            line.shutdown(socket.SHUT_WR)
            with line.makefile("rb") as stream:
                assert b"path" not in stream.readline()
    assert asked(short, tiny_collection, tiny_clip)
    watcher.stop()


def test_search_on_the_command_line_asks_the_watcher_and_says_the_same(
    watched: Callable[..., Watcher],
    tiny_collection: Path,
    short: Path,
    tiny_clip: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [
        "search",
        str(tiny_collection),
        "--text",
        "red",
        "--model",
        str(tiny_clip),
        "--home",
        str(short),
        "--json",
    ]
    assert main(words) == 0
    alone = json.loads(capsys.readouterr().out)
    watcher = watched()
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == alone
    assert watcher.stop().answered == 1


def test_one_that_was_killed_is_in_nobodys_way(tiny_collection: Path, short: Path, tiny_clip: Path) -> None:
    place = answering.place_of(short, tiny_collection)
    assert place is not None
    place.parent.mkdir()
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(place))
    left.close()
    assert ask(short, tiny_collection, Question(text="red")) is None
    watcher = Watcher(tiny_collection, short, tiny_clip)
    assert asked(short, tiny_collection, tiny_clip)
    watcher.stop()
    assert answering.place_of(short / ("long" * 40), tiny_collection) is None


def test_a_full_disk_leaves_what_was_known_and_is_told(
    watched: Callable[..., Watcher],
    tiny_collection: Path,
    short: Path,
    tiny_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watcher = watched()
    before = asked(short, tiny_collection, tiny_clip)
    full = EmbeddingStore.add

    def fails(*_arguments: object, **_more: object) -> None:
        raise WorkError("the disk is full")

    monkeypatch.setattr(EmbeddingStore, "add", fails)
    draw("cross", "#0a0", shift=3).convert("RGB").save(tiny_collection / "new.png")
    assert asked(short, tiny_collection, tiny_clip) == before
    watcher.wait_for("the disk is full")
    monkeypatch.setattr(EmbeddingStore, "add", full)
    assert "new.png" in (asked(short, tiny_collection, tiny_clip) or [])
    watcher.stop()


def test_words_are_answered_while_new_drawings_are_embedded(
    watched: Callable[..., Watcher],
    tiny_collection: Path,
    short: Path,
    tiny_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for room in (answering, watching):
        monkeypatch.setattr(room, "SOON", 0.05)
    monkeypatch.setattr(answering, "_FIRST", 0.2)
    watcher = watched()
    before = asked(short, tiny_collection, tiny_clip)
    begun, go, add = threading.Event(), threading.Event(), EmbeddingStore.add

    def waits(*arguments: Any) -> None:
        begun.set()
        assert go.wait(60)
        add(*arguments)

    monkeypatch.setattr(EmbeddingStore, "add", waits)
    try:
        draw("cross", "#0a0", shift=3).convert("RGB").save(tiny_collection / "new.png")
        assert begun.wait(60)
        assert asked(short, tiny_collection, tiny_clip) == before
        picture = str(next(tiny_collection.glob("*.png")))
        with pytest.raises(
            UserError, match="at work"
        ):  # the model is another thread's until the batch is done
            asked(short, tiny_collection, tiny_clip, "", images=(picture,))
    finally:
        go.set()
    watcher.wait_for("25 drawings")
    monkeypatch.setattr(answering, "_FIRST", 60)
    assert "new.png" in (asked(short, tiny_collection, tiny_clip) or [])  # it was told of after it was known
    assert asked(short, tiny_collection, tiny_clip, "", images=(picture,))
    watcher.stop()


def test_a_question_during_the_first_look_is_told_so_and_then_answered_from_what_is_ready(
    tiny_collection: Path, short: Path, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (answering, watching):
        monkeypatch.setattr(room, "SOON", 0.05)
    monkeypatch.setattr(answering, "_FIRST", 0.05)
    monkeypatch.setattr(gallery, "BATCH", 8)
    monkeypatch.setattr(while_reading, "_TELL_EVERY", 0)
    begun, go, rounds, add = (
        threading.Event(),
        threading.Semaphore(0),
        threading.Semaphore(0),
        EmbeddingStore.add,
    )

    def waits(*arguments: Any) -> None:
        begun.set()
        rounds.release()
        assert go.acquire(timeout=60)
        add(*arguments)

    monkeypatch.setattr(EmbeddingStore, "add", waits)
    watcher = Watcher(tiny_collection, short, tiny_clip, wait=False)
    try:
        assert begun.wait(60)
        assert rounds.acquire(timeout=60)
        with pytest.raises(UserError, match="first time"):
            asked(short, tiny_collection, tiny_clip)
        go.release()
        assert rounds.acquire(timeout=60)  # the second batch begins: the first one is known
        monkeypatch.setattr(answering, "_FIRST", 60)
        assert len(asked(short, tiny_collection, tiny_clip) or []) == 8
    finally:
        go.release(9)
    watcher.wait_for("24 drawings")
    assert len(asked(short, tiny_collection, tiny_clip) or []) == 24
    watcher.stop()


def test_answers_need_not_wait_until_the_whole_folder_is_read(
    tiny_collection: Path, short: Path, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a folder that is met for the first time, the first few drawings are found while later ones are not even read."""
    monkeypatch.setattr(gallery, "BATCH", 4)
    monkeypatch.setattr(while_reading, "_TELL_EVERY", 0)
    for room in (answering, watching):
        monkeypatch.setattr(room, "SOON", 0.05)
    monkeypatch.setattr(answering, "_FIRST", 60)
    files = sorted(path.relative_to(tiny_collection).as_posix() for path in tiny_collection.rglob("*.png"))
    last, begun, go, decode = files[-1], threading.Event(), threading.Event(), image_gate.decode

    def waits(path: Path, *arguments: Any) -> Any:
        if path == tiny_collection / last:
            begun.set()
            assert go.wait(60)
        return decode(path, *arguments)

    monkeypatch.setattr(image_gate, "decode", waits)
    watcher = Watcher(tiny_collection, short, tiny_clip, wait=False)
    try:
        assert begun.wait(60)
        found = asked(short, tiny_collection, tiny_clip)
    finally:
        go.set()
    assert found
    assert last not in found
    assert len(found) % 4 == 0
    watcher.wait_for(f"{len(files)} drawings are ready to be searched; {len(files)} are new")
    assert len(asked(short, tiny_collection, tiny_clip) or []) == len(files)
    watcher.stop()


def test_a_question_that_waits_for_the_model_holds_no_other_one_up(
    watched: Callable[..., Watcher],
    tiny_collection: Path,
    short: Path,
    tiny_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for room in (answering, watching):
        monkeypatch.setattr(room, "SOON", 0.05)
    monkeypatch.setattr(answering, "_FIRST", 60)
    watcher = watched()
    before = asked(short, tiny_collection, tiny_clip)
    begun, go, waiting, add = threading.Event(), threading.Event(), threading.Event(), EmbeddingStore.add
    ask_for = watching.Errands.ask

    def waits(*arguments: Any) -> None:
        begun.set()
        assert go.wait(60)
        add(*arguments)

    def noted(errands: Any, work: Any, *, between: bool = False) -> Any:
        found = ask_for(errands, work, between=between)
        if between:
            waiting.set()
        return found

    monkeypatch.setattr(EmbeddingStore, "add", waits)
    monkeypatch.setattr(watching.Errands, "ask", noted)
    picture = str(next(tiny_collection.glob("*.png")))
    found: list[list[str] | None] = []
    by_picture = threading.Thread(
        target=lambda: found.append(asked(short, tiny_collection, tiny_clip, "", images=(picture,)))
    )
    try:
        draw("cross", "#0a0", shift=3).convert("RGB").save(tiny_collection / "new.png")
        assert begun.wait(60)
        by_picture.start()
        assert waiting.wait(60)
        assert asked(short, tiny_collection, tiny_clip) == before
        assert not found, "the model is at work"
    finally:
        go.set()
    by_picture.join(60)
    assert found[0]
    watcher.stop()


def test_batches_are_short_while_somebody_may_ask_and_whole_batches_of_the_model() -> None:
    """Who asks by a picture waits for one batch of drawings: about a second, however slow the model."""
    pace, sizes = while_reading.Pace(32, 256), []
    for each in (0.001, 0.001, 0.001, 0.001, 0.01, 0.01, 0.05, 0.05, 0.05, 0.05, 0.05, 0.001):
        sizes.append(pace.size)
        pace.took(pace.size, pace.size * each)
    assert sizes == [32, 64, 128, 256, 256, 128, 64, 32, 32, 32, 32, 32]
    assert pace.size == 64
    pace.took(5, 0.001)
    assert pace.size == 64, "a rest says nothing"
    assert while_reading.Pace(256, 256).size == 256, "a graphics card is kept busy"
    assert while_reading.Pace(32, 8).size == 8


def test_of_some_hundred_files_only_what_is_new_is_decoded_and_embedded(
    tmp_path: Path, short: Path, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "many"
    for n in range(300):
        place = folder / f"{n // 50}"
        place.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (16, 16), "white")
        image.putpixel((n % 16, n // 16 % 16), (n % 250, 0, n // 250))
        image.save(place / f"{n:03}.png")
    decoded, embedded, decode, add = [], [], image_gate.decode, EmbeddingStore.add

    def noted(path: Path, *arguments: Any) -> Any:
        decoded.append(path.relative_to(folder).as_posix())
        return decode(path, *arguments)

    def added(store: EmbeddingStore, space: Any, digests: list[str], vectors: Any) -> None:
        embedded.extend(digests)
        add(store, space, digests, vectors)

    watcher = Watcher(folder, short, tiny_clip)
    monkeypatch.setattr(image_gate, "decode", noted)
    monkeypatch.setattr(EmbeddingStore, "add", added)
    (folder / "0").rename(folder / "zero")  # a folder
    shutil.move(folder / "1" / "050.png", folder / "fifty.png")  # one file
    shutil.copy2(folder / "2" / "100.png", folder / "100 copy.png")
    whole = (folder / "3" / "150.png").read_bytes()
    (folder / "3" / "half.png").write_bytes(whole[: len(whole) // 2])
    shutil.rmtree(folder / "5")
    now = asked(short, folder, tiny_clip, top=999)
    assert now is not None
    assert {"zero/000.png", "fifty.png", "100 copy.png"} < set(now)
    assert len(now) == 300 - 50 + 1
    assert not {path for path in now if path.startswith(("0/", "5/")) or path == "3/half.png"}
    assert set(decoded) == {"100 copy.png", "3/half.png"}, "what is only elsewhere is not decoded"
    assert embedded == [], "nor is anything embedded that shows what is known"
    (folder / "3" / "half.png").write_bytes(whole + b"\0")
    assert "3/half.png" in (asked(short, folder, tiny_clip, top=999) or [])
    assert len(embedded) == 1
    watcher.stop()
