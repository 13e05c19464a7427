"""Run packs: a finished run, with its adapter, checkpoints and curves, in one checked file for another machine.

The pictures stay where they are: the other machine shows what came out, searches its own folders with the adapter and,
where it has the collection, goes on training.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import UserError, _, cannot_write, copy_of
from clip_atelier.engine.runs.records import RunFolder, Runs
from clip_atelier.engine.storage import Kind, Pack, packs

RUN: Final = Kind(
    "clip-atelier-run-pack", ".cliprun", (".json", ".jsonl", ".safetensors", ".npz", ".md", ".csv"), depth=2
)


def make(run: RunFolder, out: Path) -> Pack:
    """Makes a pack of a run that nobody works on.

    Raises:
        UserError: the run is in work, or `out` exists.
        WorkError: it cannot be written.
    """
    with run.hold():
        files = {
            file.relative_to(run.path).as_posix(): file
            for file in run.path.rglob("*")
            if file.is_file() and file.suffix in RUN.kinds and not file.name.startswith(".")
        }
        return packs.write(RUN, run.id, {}, files, out)


def add(source: Path, home: Path) -> RunFolder:
    """Copies the run of a pack into the home, whole or not at all.

    Raises:
        UserError: it is not a whole run pack, or the run is there already.
        WorkError: the home cannot be written or has no room.
    """
    pack = packs.read(RUN, source)
    if "run.json" not in {entry.name for entry in pack.entries}:
        raise packs.damaged(source, "run.json")
    folder = Runs(home).folder
    target = folder / pack.name
    if target.exists():
        raise UserError(
            _("The training “{run}” is there already.").format(run=pack.name),
            _("Delete it first if the one from the pack is to take its place."),
            "run",
        )
    partial = folder / f".{pack.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        packs.extract(pack, partial)
        RunFolder(partial).settings  # noqa: B018 - raises where it was made by a newer version or cannot be understood
        shutil.copyfile(partial / "run.json", copy_of(partial / "run.json"))
        partial.rename(target)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return RunFolder(target)
