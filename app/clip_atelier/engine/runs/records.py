"""Run folders: record, replay, list, delete. The disk is the only owner of a run's state.

HOME/runs/ID/ holds run.json (what was asked), events.jsonl (what happened, append-only), checkpoints/, adapter/ (plain
PEFT) and evaluation.json (what came out). "Running" is never stored: it is a lock that is held.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from clip_atelier.engine import settings as declared
from clip_atelier.engine.core import (
    DamagedFile,
    Event,
    Finished,
    T,
    UserError,
    Work,
    _,
    cannot_write,
    from_line,
    mapped,
    read_document,
    to_line,
    write_document,
)
from clip_atelier.engine.runs import run_removal
from clip_atelier.engine.runs.package_versions import versions
from clip_atelier.engine.runs.results import (
    SCHEMA,
    DataRecord,
    ModelRecord,
    NumericPath,
    RunRecord,
    RunSummary,
    Status,
    TrainResult,
)
from clip_atelier.engine.runs.run_labels import label_of
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.storage import TrashEntry

_STAMP = "%Y%m%d-%H%M%S"

_TAIL = 16 << 20
"""Bytes of the end of events.jsonl in which half a line is looked for."""
_BEFORE = {"data.repeats": False}  # as versions did it that have no such setting: their runs go on so


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bad_lines = 0
        self._lock = filelock.FileLock(path / ".lock", timeout=0)

    @property
    def id(self) -> str:
        """The run's name in lists and commands."""
        return self.path.name

    @property
    def record(self) -> RunRecord:
        """run.json.

        Raises:
            UserError: missing or unreadable; names the key that is wrong.
        """
        try:
            return read_document(self.path / "run.json", RunRecord)
        except OSError as error:
            raise UserError(
                _("The training “{run}” cannot be read: {reason}").format(run=self.id, reason=error),
                _("Its folder is {path}.").format(path=self.path),
            ) from error

    @property
    def newer(self) -> bool:
        """Whether a newer version of the program made it; then it is read-only."""
        return self.record.schema_version > SCHEMA

    @property
    def settings(self) -> Settings:
        """What the run was asked to do.

        Raises:
            UserError: the settings cannot be understood.
        """
        if self.newer:
            raise UserError(
                _("The training “{run}” was made by a newer version of CLIP Atelier.").format(run=self.id),
                _("It can be looked at, but not changed; use that version."),
            )
        return declared.build(_BEFORE | self.record.settings)

    @property
    def folder(self) -> Path:
        """The collection it was trained on."""
        return Path(self.record.folder)

    @property
    def name(self) -> str:
        """The name the user gave, or the id."""
        return label_of(self.path).name or self.record.name or self.id

    @property
    def result(self) -> TrainResult | None:
        """What came out at the step that the run has reached; None while it was not measured there.

        Raises:
            DamagedFile: evaluation.json cannot be understood; names the key that is wrong.
        """
        try:
            result = read_document(self.path / "evaluation.json", TrainResult)
        except OSError:
            return None
        # A run that went on since is not spoken for by what it was measured at before.
        return result if self._newest_step() <= result.steps else None

    def _newest_step(self) -> int:
        """The step of the newest checkpoint, 0 where there is none; without importing what reads them."""
        try:
            names = os.listdir(self.path / "checkpoints")
        except OSError:
            return 0
        return max((int(name) for name in names if name.isdecimal() and len(name) < 12), default=0)

    @property
    def status(self) -> Status:
        """Derived: a held lock is running; else the last end event; else it was interrupted."""
        if self.locked:
            return "running"
        last = self._last_event()
        if isinstance(last, Finished) and last.status in ("done", "stopped", "failed"):
            return last.status  # type: ignore[return-value]
        return "interrupted"

    @property
    def locked(self) -> bool:
        """Whether some process works on it now."""
        if self._lock.is_locked:
            return True
        lock = filelock.FileLock(self.path / ".lock", timeout=0)
        if not (self.path / ".lock").exists():
            return False
        try:
            with lock:
                return False
        except (filelock.Timeout, OSError):
            return True

    def summary(self) -> RunSummary:
        """One line of the run list; a run that cannot be read is listed as damaged, with the reason."""
        try:
            record, result = self.record, self.result
        except UserError as error:
            told = f"{error.path.name}: {error.reason}" if isinstance(error, DamagedFile) else error.message
            return RunSummary(run=self.id, path=str(self.path), name=self.id, status="damaged", error=told)
        label = label_of(self.path)
        return RunSummary(
            run=self.id,
            path=str(self.path),
            name=label.name or record.name or self.id,
            status=self.status,
            created=record.created,
            folder=record.folder,
            settings=record.settings,
            result=result,
            bases=tuple(one.run for one in record.model.lineage) if record.model else (),
            **{field: getattr(label, field) for field in ("note", "tag", "archived")},
        )

    # Writing

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Holds the run's lock for the block.

        Raises:
            UserError: another process works on it.
        """
        try:
            # A window that asks at this moment whether the run is worked on holds the lock for a blink.
            self._lock.acquire(timeout=0.5, poll_interval=0.02)
        except filelock.Timeout as error:
            raise UserError(
                _("The training “{run}” is being worked on by another process.").format(run=self.id),
                _("Wait until it ends, or stop it there."),
            ) from error
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            yield
        finally:
            self._lock.release()

    def remember(self, data: DataRecord, model: ModelRecord, numeric_path: NumericPath) -> None:
        """Notes in run.json what the run is trained on, and how."""
        found = {"data": data, "model": model, "numeric_path": numeric_path}
        self.write_record(self.record.model_copy(update=found))

    def write_record(self, record: RunRecord) -> None:
        """Writes run.json, and a copy from which `repair` mends it.

        Raises:
            WorkError: it cannot be written.
        """
        write_document(self.path / "run.json", record, copy=True)

    def recording(self, work: Work[T]) -> Work[T]:
        """Hands events on after each is on disk.

        Raises:
            WorkError: the folder was deleted or the disk is full.
        """
        file = self.path / "events.jsonl"
        try:
            self._mend_tail(file)
            with file.open("a", encoding="utf-8") as stream:

                def write(event: Event) -> Event:
                    if not file.exists():
                        raise FileNotFoundError(2, os.strerror(2), str(file))
                    stream.write(to_line(event) + "\n")
                    stream.flush()
                    return event

                return (yield from mapped(work, write))
        except OSError as error:
            raise cannot_write(file, error) from error

    @staticmethod
    def _mend_tail(file: Path) -> None:
        # A killed process can leave half a line: the next event must not be glued to it, and half an event is none.
        if not file.exists():
            return
        with file.open("rb+") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL))
            tail = stream.read().rpartition(b"\n")[2]
            if not tail:
                return
            try:
                from_line(tail.decode())
            except ValueError:
                stream.truncate(size - len(tail))
            else:
                stream.write(b"\n")

    # Reading

    def events(self) -> Iterator[Event]:
        """All recorded events in order; lines that cannot be read are skipped and counted in `bad_lines`."""
        self.bad_lines = 0
        try:
            stream = (self.path / "events.jsonl").open(encoding="utf-8", errors="replace")
        except OSError:
            return
        with stream:
            for line in stream:
                if not line.strip():
                    continue
                try:
                    yield from_line(line)
                except ValueError:
                    self.bad_lines += 1

    def _last_event(self) -> Event | None:
        try:
            with (self.path / "events.jsonl").open("rb") as stream:
                stream.seek(0, os.SEEK_END)
                # An end event carries a whole result; read back until a whole line is found.
                size, take = stream.tell(), 1 << 16
                while True:
                    start = max(0, size - take)
                    stream.seek(start)
                    lines = stream.read(size - start).split(b"\n")
                    whole = [line for line in (lines if start == 0 else lines[1:]) if line.strip()]
                    if whole or start == 0:
                        break
                    take *= 4
        except OSError:
            return None
        for line in reversed(whole):
            try:
                return from_line(line.decode("utf-8", "replace"))
            except ValueError:
                continue
        return None


class Runs:
    """All runs of a home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "runs"

    def list(self) -> list[RunFolder]:
        """Every readable run, oldest first."""
        if not self.folder.is_dir():
            return []
        # What is hidden is half-copied or half-deleted.
        visible = (path for path in self.folder.iterdir() if not path.name.startswith("."))
        found = [RunFolder(path) for path in visible if (path / "run.json").is_file()]
        return sorted(found, key=lambda run: run.id)

    def open(self, run_id: str) -> RunFolder:
        """A run by its id, by its path, or by its name if only one has it; "latest" is the newest.

        Raises:
            UserError: there is no such run.
        """
        runs = self.list()
        if run_id == "latest" and runs:
            return runs[-1]
        path = Path(run_id)
        if (path / "run.json").is_file() and len(path.parts) > 1:
            return RunFolder(path.absolute())
        exact = [run for run in runs if run.id == run_id]
        named = exact or [run for run in runs if run_id and _named(run, run_id)]
        if len(named) == 1:
            return named[0]
        raise UserError(
            _("There is no training “{run}”.").format(run=run_id)
            if not named
            else _("Several trainings are named “{run}”.").format(run=run_id),
            _("“clip-atelier runs” lists them all."),
            "run",
        )

    def create(self, name: str, settings: Settings, folder: Path) -> RunFolder:
        """A new run folder.

        Raises:
            WorkError: the home cannot be written; said before any work is done.
        """
        slug = re.sub(r"[^\w-]+", "-", name.strip(), flags=re.UNICODE).strip("-").lower()[:40]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            stem = self._next_stamp() + (f"-{slug}" if slug else "")
            for attempt in range(1000):
                path = self.folder / (stem if attempt == 0 else f"{stem}-{attempt + 1}")
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    continue
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        record = RunRecord(
            id=path.name,
            name=name,
            created=time.time(),
            folder=str(folder),
            settings=declared.flat(settings),
            versions=versions(),
        )
        run = RunFolder(path)
        run.write_record(record)
        return run

    def _next_stamp(self) -> str:
        """The beginning of a new run's id: the time, or where a clock was set back the second after the newest run's.

        So the ids are in the order in which the runs were made, whatever the clock says.
        """
        now = time.strftime(_STAMP)
        newest = max(
            (name[:15] for name in os.listdir(self.folder) if re.fullmatch(r"\d{8}-\d{6}", name[:15])),
            default="",
        )
        if newest < now:
            return now
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return time.strftime(_STAMP, time.localtime(time.mktime(time.strptime(newest, _STAMP)) + 1))
        return now

    def delete(self, run_id: str) -> TrashEntry:
        """Puts a run into the home's trash; raises as `open` and `run_removal.delete`."""
        return run_removal.delete(self.folder, self.open(run_id))

    def discard(self, run: RunFolder) -> None:
        """Removes a run that holds no work for good; raises as `run_removal.discard`."""
        run_removal.discard(self.folder, run)


def _named(run: RunFolder, name: str) -> bool:
    """Whether a run has this name; a damaged one has none."""
    try:
        return name == (label_of(run.path).name or run.record.name)
    except UserError:
        return False
