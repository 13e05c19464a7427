"""Kills real processes while they save, at a chosen call to the file system or after a chosen time, and says what they told.

`Nursery` imports what is heavy once and forks a child for each kill; where there is no fork, each kill has a process of
its own. A child does one of `TASKS` and is killed by SIGKILL (on Windows by TerminateProcess): by itself just before,
within or just after its Nth call to the file system, or from outside after some time. Used by `faults/test_kills.py` and,
in full, by `faults/soak.py`.
"""

from __future__ import annotations

import builtins
import hashlib
import io
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows any of them is TerminateProcess
NEVER = 1 << 60
MOMENTS = ("before", "torn", "after")
"""When the Nth call kills: "torn" leaves half of what was written, as a kill within a long write does."""


@dataclass(frozen=True)
class Kill:
    """What a child does, and when it dies.

    Attributes:
        task: One of `TASKS`.
        arguments: Its keyword arguments, as JSON.
        call: It kills itself at this call to the file system.
        moment: One of `MOMENTS`.
        after: Seconds after which it is killed from outside; None lets it live.
        warm: The nursery itself does it, so that its children need not import what it needed: nine tenths of their time.
    """

    task: str
    arguments: dict[str, Any]
    call: int = NEVER
    moment: str = "before"
    after: float | None = None
    warm: bool = False


@dataclass(frozen=True)
class Death:
    """How it went.

    Attributes:
        killed: Whether it was killed before its end.
        told: What the task told on its way.
        calls: Calls to the file system; 0 where it was killed.
        result: What the task gave; None where it was killed.
    """

    killed: bool
    told: list[Any]
    calls: int = 0
    result: Any = None


# In the child


class _Counted:
    """Counts calls to the file system and dies at one of them."""

    def __init__(self, stack: ExitStack, call: int, moment: str) -> None:
        self.count, self._call, self._moment = 0, call, moment
        for module, name in (
            (os, "fsync"), (os, "replace"), (os, "rename"), (os, "mkdir"), (os, "unlink"), (os, "remove"), (os, "rmdir"),
            (io, "open"), (builtins, "open"), (sqlite3, "connect"),
        ):  # fmt: skip
            real = getattr(module, name)
            setattr(module, name, self._around(real, name))
            stack.callback(setattr, module, name, real)

    def _around(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if name == "open" and not _writes(*arguments, **named):
                return real(*arguments, **named)
            if name == "connect":
                database = real(*arguments, **named)
                # SQLite does its own writing: each of its statements counts.
                database.set_trace_callback(lambda _statement: self._turn(self._moment, first=True))
                return database
            self._turn("before", first=True)
            if name == "fsync":
                self._turn("torn", arguments[0])
            try:
                return real(*arguments, **named)
            finally:  # also where there was nothing to do: a folder that is there, a file that is gone
                self._turn("after")

        return call

    def _turn(self, moment: str, handle: int | None = None, *, first: bool = False) -> None:
        if first:
            self.count += 1
        due = self.count == self._call and (
            moment == self._moment or (self._moment == "torn" and moment == "after")
        )
        if due:
            if handle is not None:
                _halve(handle)
            os.kill(os.getpid(), KILL)


def _writes(_file: object, mode: str = "r", *_rest: Any, **_named: Any) -> bool:
    return any(letter in mode for letter in "wax+")


def _halve(handle: int) -> None:
    try:
        size = os.fstat(handle).st_size
        os.ftruncate(handle, size // 2)
    except OSError:  # a folder, or opened for reading: it has no half
        return


def _do(kill: Kill, tell: Callable[[str, Any], None]) -> None:
    tell("ready", None)
    with ExitStack() as stack:
        counted = _Counted(stack, kill.call, kill.moment)
        result = TASKS[kill.task](lambda value: tell("told", value), **kill.arguments)
    tell("done", {"calls": counted.count, "result": result})


def _child(kill: Kill, stream: io.RawIOBase | io.BytesIO) -> None:
    """Does it; each thing told is one line, written at once, so that none is lost with the process."""
    _do(kill, lambda what, value: stream.write(json.dumps([what, value]).encode() + b"\n"))


# What is done


def train(tell: Callable[[Any], None], home: str, folder: str, values: dict[str, Any]) -> dict[str, Any]:
    """Trains a run to its end, or goes on with the one that is there; tells each event's kind."""
    from clip_atelier.engine import settings
    from clip_atelier.engine.core import Control, drive
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.runs import Runs
    from clip_atelier.engine.training import Plan, resume
    from clip_atelier.engine.training import train as begin

    models, runs = Models(Path(home)), Runs(Path(home)).list()
    if any(run.status == "done" and run.result for run in runs):
        return outcome(Path(home))
    if begun := [run for run in runs if _can_resume(run.path)]:
        work = resume(Path(home), begun[-1].id, models, Control())
    else:
        work = begin(Plan(Path(folder), settings.build(values), Path(home)), models, Control())
    drive(work, lambda event: tell(event.kind))
    return outcome(Path(home))


def _can_resume(run: Path) -> bool:
    from clip_atelier.engine.runs import checkpoints

    return checkpoints.newest(run / "checkpoints")[0] is not None


def outcome(home: Path) -> dict[str, Any]:
    """What a finished run came to, to the bit: its figures, and the digests of its update and of its last checkpoint.

    The last checkpoint holds the update after the last step, the optimizer's moments and the random states.
    """
    from clip_atelier.engine.runs import Runs

    run = next(run for run in reversed(Runs(home).list()) if run.status == "done")
    assert run.result is not None
    result = run.result.as_json()
    last = max((run.path / "checkpoints").glob("0*"))
    files = (run.path / "adapter" / "adapter_model.safetensors", *sorted(last.glob("*.safetensors")))
    figures = {name: result[name] for name in ("base", "adapted", "best_step", "strength", "steps")}
    return figures | {f"{file.parent.name}/{file.name}": _digest(file) for file in files}


def _digest(file: Path) -> str:
    """Of the tensors: what else the head of the file tells has no order of its own."""
    import safetensors.torch
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(safetensors.torch.load_file(file).items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def captions(tell: Callable[[Any], None], home: str, folder: str, first: int, rounds: int) -> None:
    """Writes a draft and saves captions again and again; tells each number that is saved."""
    from clip_atelier.engine.data import DraftEdit, caption_drafts, save_captions

    for number in range(first, first + rounds):
        caption_drafts.write_draft(
            Path(home),
            Path(folder),
            {"a.png": DraftEdit(path="a.png", captions=(str(number),), before=("",))},
        )
        save_captions(Path(folder), {"a.png": [str(number)]}, Path(home))
        tell(number)


def settings_(tell: Callable[[Any], None], home: str, first: int, rounds: int) -> None:
    """Saves the window's settings again and again; tells each number that is saved."""
    from PySide6.QtCore import QCoreApplication

    from clip_atelier.gui.state import WindowState

    application = QCoreApplication.instance() or QCoreApplication([])
    state = WindowState(Path(home))
    for number in range(first, first + rounds):
        state.set("folder", f"/drawings/{number}")
        state.set_value("train.epochs", number % 90 + 1)
        state.save()
        tell(number)
    del application


def index(tell: Callable[[Any], None], home: str, first: int, rounds: int) -> None:
    """Adds batches of embeddings to an index; tells how many are in it."""
    import numpy as np

    from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space

    with EmbeddingStore(Path(home) / "index.sqlite") as store:
        for number in range(first, first + rounds):
            ids = range(number * BATCH, (number + 1) * BATCH)
            rows = np.stack([np.full(64, i, np.float32) for i in ids])
            store.add(Space("model", "letterbox"), [f"{i:064x}" for i in ids], rows)
            tell(number)


BATCH = 16
TASKS: dict[str, Callable[..., Any]] = {
    "train": train, "captions": captions, "settings": settings_, "index": index,
}  # fmt: skip


# Outside of it


class Nursery:
    """Where children are started and killed. A context manager."""

    def __enter__(self) -> Nursery:
        self._server = self._start("serve") if hasattr(os, "fork") else None
        return self

    def __exit__(self, *_error: object) -> None:
        if self._server is not None:
            assert self._server.stdin is not None
            assert self._server.stdout is not None
            self._server.stdin.close()
            self._server.wait(60)
            self._server.stdout.close()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        return subprocess.Popen(
            [sys.executable, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )  # fmt: skip

    def do(self, kill: Kill) -> Death:
        """Has a child do it, and kills it when its time has come."""
        if self._server is not None:
            assert self._server.stdin is not None
            assert self._server.stdout is not None
            self._server.stdin.write(json.dumps(asdict(kill)).encode() + b"\n")
            self._server.stdin.flush()
            return Death(**json.loads(self._server.stdout.readline()))
        return _watched(kill, self._start("one", json.dumps(asdict(kill))))


def _watched(kill: Kill, child: subprocess.Popen[bytes]) -> Death:
    """Reads what a child of its own process tells, until it is gone."""
    assert child.stdout is not None
    text = child.stdout.readline()
    if kill.after is not None:
        timer = threading.Timer(kill.after, child.kill)
        timer.daemon = True
        timer.start()
    text += child.communicate()[0]
    return _death(kill, text, child.returncode)


def _death(kill: Kill, text: bytes, code: int) -> Death:
    whole = [json.loads(line) for line in text.split(b"\n") if line.endswith(b"]")]
    told = [value for what, value in whole if what == "told"]
    ended = next((value for what, value in whole if what == "done"), None)
    if ended is None and code in (0, 1):
        raise RuntimeError(f"the child of {kill} failed by itself")
    return Death(ended is None, told, **(ended or {}))


def _serve() -> None:
    """Forks a child for each line that comes."""
    import torch  # noqa: F401 - so that no child needs to
    import tqdm
    from PySide6.QtCore import QCoreApplication  # noqa: F401

    from clip_atelier.engine.data import save_captions  # noqa: F401
    from clip_atelier.engine.models import Models  # noqa: F401
    from clip_atelier.engine.search import EmbeddingStore  # noqa: F401
    from clip_atelier.engine.training import resume  # noqa: F401
    from clip_atelier.gui.state import WindowState  # noqa: F401

    tqdm.tqdm.monitor_interval = 0  # its thread would be forked with the rest
    for line in sys.stdin.buffer:
        kill = Kill(**json.loads(line))
        if kill.warm:
            stream = io.BytesIO()
            _child(kill, stream)
            _answer(_death(kill, stream.getvalue(), 0))
            continue
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            code = 1
            try:
                with open(writing, "wb", buffering=0) as stream:
                    _child(kill, stream)
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        _answer(_forked(kill, child, reading))


def _answer(death: Death) -> None:
    sys.stdout.buffer.write(json.dumps(asdict(death)).encode() + b"\n")
    sys.stdout.buffer.flush()


def _forked(kill: Kill, child: int, reading: int) -> Death:
    """As `_watched`, without a thread: the next child is forked from this process."""
    with open(reading, "rb", buffering=0) as stream:
        text = stream.readline()
        if kill.after is not None:
            select.select([], [], [], kill.after)
            os.kill(child, KILL)
        text += stream.readall()
    _pid, status = os.waitpid(child, 0)
    return _death(kill, text, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve()
    else:
        with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as out:
            _child(Kill(**json.loads(sys.argv[2])), out)
