"""Rounds of kills, and what must hold after each of them: see `kills` for how a process is killed."""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import caption_drafts, save_captions
from clip_atelier.engine.runs import Runs, checkpoints
from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space
from clip_atelier.engine.upkeep import verify
from clip_atelier.gui.state import WindowState
from kills import BATCH, MOMENTS, Kill, Nursery

ROWS = "".join(f"{n}.png,words of {n}\n" for n in range(300))


@dataclass
class Tally:
    """How many were killed, how many ended before the kill came, and what was found wrong."""

    killed: int = 0
    ended: int = 0
    lost: list[str] = field(default_factory=list)

    def add(self, killed: bool) -> None:
        self.killed += killed
        self.ended += not killed


class Training:
    """A tiny run that is killed, again and again; after each kill a copy of it is taken to its end.

    Args:
        nursery: Where children are killed.
        base: An empty folder to work in.
        folder: The pairs.
        values: The run's settings.
        tally: Where it is counted.
    """

    def __init__(
        self, nursery: Nursery, base: Path, folder: Path, values: dict[str, Any], tally: Tally
    ) -> None:
        self._nursery, self._base, self._folder, self._values = nursery, base, folder, values
        self.home, self.tally = base / "home", tally
        nursery.do(self._kill(base / "warm", warm=True))
        began = time.monotonic()
        straight = nursery.do(self._kill(base / "straight"))
        self.seconds = time.monotonic() - began
        self.straight, self.calls = straight.result, straight.calls
        self.events = len(straight.told)
        assert self.straight is not None

    def _kill(self, home: Path, **when: Any) -> Kill:
        told = {"home": str(home), "folder": str(self._folder), "values": self._values}
        return Kill("train", told, **when)

    def random(self, rounds: int, seed: int) -> None:
        """Kills at random times within those of a straight run, a run that goes on after each kill until it is done."""
        chance = random.Random(seed)
        while self.tally.killed < rounds:
            death = self._nursery.do(self._kill(self.home, after=chance.uniform(0.0, self.seconds)))
            self.tally.add(death.killed)
            if death.killed:
                self.look(f"random kill {self.tally.killed} after {len(death.told)} events")
            else:
                self._anew()

    def aimed(self, rounds: int) -> None:
        """Kills a fresh run at each of `rounds` calls that are spread over all of its calls, in turn before, within, after."""
        for number in range(rounds):
            call = 1 + number * self.calls // rounds
            moment = MOMENTS[number % len(MOMENTS)]
            self._anew()
            death = self._nursery.do(self._kill(self.home, call=call, moment=moment))
            self.tally.add(death.killed)
            self.look(f"kill {moment} call {call} of {self.calls}")

    def look(self, where: str) -> None:
        """What is there is whole, and its copy ends as the straight run did."""
        for run in Runs(self.home).list():
            list(run.events())
            if run.summary().status == "damaged" or run.bad_lines > 1:
                self.tally.lost.append(f"{where}: {run.summary().status}, {run.bad_lines} bad lines")
            _found, problems = checkpoints.newest(run.path / "checkpoints")
            if problems:
                self.tally.lost.append(f"{where}: {problems}")
        if self.home.is_dir() and (wrong := drive(verify(self.home, Control())).findings):
            self.tally.lost.append(f"{where}: {wrong}")
        copy = self._base / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        if self.home.is_dir():
            shutil.copytree(self.home, copy)
        ended = self._nursery.do(self._kill(copy)).result
        if ended != self.straight:
            self.tally.lost.append(f"{where}: {ended} and not {self.straight}")

    def _anew(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)


def aimed_saves(nursery: Nursery, base: Path, rounds: int, tally: Tally) -> None:
    """Kills saves of captions, settings and an index in turn, at calls spread over all of a save's, going on where it was."""
    saves = [Captions(base / "captions"), Settings(base / "settings"), Index(base / "index")]
    calls = [0] * len(saves)
    for kind, save in [
        *enumerate(saves)
    ] * 2:  # the first of all makes folders and tables, so the second is counted
        whole = nursery.do(save.kill())
        calls[kind] = whole.calls
        tally.lost += [f"{save.name}, not killed: {wrong}" for wrong in save.look(whole.told[-1])]
    for number in range(rounds):
        kind = number % len(saves)
        save, turn = saves[kind], number // len(saves)
        call = 1 + turn * calls[kind] * len(saves) // rounds % calls[kind]
        death = nursery.do(save.kill(call=call, moment="torn"))
        tally.add(death.killed)
        tally.lost += [
            f"{save.name}, call {call} of {calls[kind]}: {wrong}" for wrong in save.look([0, *death.told][-1])
        ]


class _Save:
    """Something that is saved again and again, each time as the next number."""

    name = ""

    def __init__(self, base: Path) -> None:
        self.home, self.last = base / "home", 0
        self.home.mkdir(parents=True)

    def kill(self, **when: Any) -> Kill:
        """The child that saves the next few numbers."""
        return Kill(
            self.name, {"home": str(self.home), "first": self.last + 1, "rounds": 2} | self.more(), **when
        )

    def more(self) -> dict[str, Any]:
        """Further arguments."""
        return {}

    def look(self, told: int) -> Iterator[str]:
        """What is wrong with what is there, after the child has told `told` as its last number."""
        told = max(told, self.last)
        now = self.now()
        if now is None:
            yield "not as it was written"
            return
        if not told <= now <= told + 1:
            yield f"{told} was saved and {now} is there"
        self.last = now

    def now(self) -> int | None:
        """The number that is saved; None where it is damaged."""
        raise NotImplementedError


class Captions(_Save):
    """A table of captions, a draft of the next, and the copies of what was overwritten."""

    name = "captions"

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.folder = base / "drawings"
        self.folder.mkdir()
        self._table = self.folder / "metadata.csv"
        self._table.write_text(f"file_name,text\na.png,0\n{ROWS}", encoding="utf-8")

    def more(self) -> dict[str, Any]:
        return {"folder": str(self.folder)}

    def now(self) -> int | None:
        content = self._table.read_text(encoding="utf-8")
        found = re.fullmatch(r"file_name,text\na\.png,(\d+)\n(.*)", content, re.DOTALL)
        if found is None or found[2] != ROWS:
            return None
        number = found[1]
        draft = caption_drafts.read_draft(self.home, self.folder)
        if draft and int(draft["a.png"].captions[0]) not in (int(number), int(number) + 1):
            return None
        if drive(verify(self.home, Control())).findings:
            return None
        save_captions(self.folder, {"a.png": [number]}, self.home)  # nothing of the dead one is in the way
        if [path.name for path in self.folder.iterdir()] != ["metadata.csv"]:
            return None
        return int(number)


class Settings(_Save):
    """The window's settings."""

    name = "settings"

    def now(self) -> int | None:
        if not (self.home / "window.json").exists() and not self.last:
            return 0
        state = WindowState(self.home)
        number = int(state.folder.rpartition("/")[2] or -1)
        return number if state.value("train.epochs") == number % 90 + 1 else None


class Index(_Save):
    """An index of embeddings, each as its number says."""

    name = "index"

    def now(self) -> int | None:
        file = self.home / "index.sqlite"
        space = Space("model", "letterbox")
        with EmbeddingStore(file) as store:
            if store.replaced is not None:
                return None
            number = self.last
            while not store.missing(space, self._digests(number + 1, number + 2)):
                number += 1
            held = self._digests(1, number + 1)
            rows = store.load(space, held, 64) if held else []
        ids = [int(digest, 16) for digest in held]
        if EmbeddingStore.fault_of(file):
            return None
        whole = all(float(row[0]) == float(row[-1]) == one for one, row in zip(ids, rows, strict=True))
        return number if whole else None

    def _digests(self, first: int, behind: int) -> list[str]:
        return [f"{i:064x}" for i in range(first * BATCH, behind * BATCH)]


def told(tallies: dict[str, Tally]) -> str:
    """The figures as one line of JSON."""
    return json.dumps(
        {name: {"killed": t.killed, "ended": t.ended, "lost": t.lost} for name, t in tallies.items()}
    )
