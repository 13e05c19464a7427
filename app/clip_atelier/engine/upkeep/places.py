"""What lies where in a home, how each is checked, and what becomes of it where it is damaged.

A new kind of file is one `Place` more.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors

from clip_atelier.engine import settings
from clip_atelier.engine.analysis import measured
from clip_atelier.engine.core import (
    N_,
    DamagedFile,
    Record,
    UserError,
    _,
    bounded_json,
    from_line,
    read_document,
    read_json,
    seal_fault,
)
from clip_atelier.engine.data import CaptionDraft, FurtherFolders, backup_fault, scan_cache_fault
from clip_atelier.engine.experiments import StoredGrid, TrainingQueue
from clip_atelier.engine.models import MODEL, weights
from clip_atelier.engine.parts import FittedParts, taught
from clip_atelier.engine.runs import RUN, SCHEMA, RunLabel, RunRecord, TrainResult, checkpoints
from clip_atelier.engine.search import EmbeddingStore, KeptSearches
from clip_atelier.engine.storage import BlobCache, DeletedThing, folder_faults, packs, tensors_fault


@dataclass(frozen=True)
class Place:
    """A kind of file, or of folder that is one thing.

    Attributes:
        pattern: Where it lies below the home.
        kind: As findings name it.
        check: Raises a `UserError` or an `OSError` where it is damaged.
        remedy: What `repair` does (marked with `N_`).
    """

    pattern: str
    kind: str
    check: Callable[[Path], None]
    remedy: str


def reason_of(error: UserError | OSError) -> str:
    """What is wrong, without the file's name where that is told beside it."""
    if isinstance(error, DamagedFile):
        return error.reason
    return error.message if isinstance(error, UserError) else str(error.strerror or error)


def _must(path: Path, fault: str) -> None:
    if fault:
        raise DamagedFile(path, fault)


def _document(kind: type[Record]) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        read_document(path, kind)
        _must(path, seal_fault(path))

    return check


def _folders(path: Path) -> None:
    """Without its seal: people may mend it in a text editor."""
    read_document(path, FurtherFolders)


def _run(path: Path) -> None:
    record = read_document(path, RunRecord)
    if record.schema_version <= SCHEMA:  # what a newer version made is looked at only
        settings.build(record.settings)
    _must(path, seal_fault(path))


def _events(path: Path) -> None:
    """A last line without an end is what a killed process leaves, and no damage."""
    bad = sum(1 for line in whole_lines(path) if line.strip() and not _is_event(line))
    _must(path, _("{count} lines are not as they were written.").format(count=bad) if bad else "")


def whole_lines(path: Path) -> list[str]:
    """The lines of events that came to their end."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return lines[:-1]


def _is_event(line: str) -> bool:
    try:
        from_line(line)
    except ValueError:
        return False
    return True


def good_lines(path: Path) -> list[str]:
    """The lines of events that are as they were written."""
    return [line for line in whole_lines(path) if line.strip() and _is_event(line)]


def _checkpoint(path: Path) -> None:
    if not (path / "manifest.json").is_file():
        raise DamagedFile(path, _("“{name}” is missing.").format(name="manifest.json"))
    checkpoints.read(path.parent, int(path.name))


def _sealed_folder(path: Path) -> None:
    faults = folder_faults(path)
    _must(path, ", ".join(f"{name}: {_(_FAULTS[fault])}" for name, fault in faults.items()))


_FAULTS = {"missing": N_("missing"), "changed": N_("not as it was written")}


def _adapter(path: Path) -> None:
    _sealed_folder(path)
    for file in path.glob("*.safetensors"):
        weights.check_whole(file)
    for file in path.glob("*.json"):
        read_json(file)


def _model(path: Path) -> None:
    _sealed_folder(path)
    weights.weight_files(path)
    for file in path.glob("*.json"):
        weights.read_json(file)


def _parts(path: Path) -> None:
    _must(path, seal_fault(path))
    try:
        FittedParts.read_untaught(path.parent)
    except (KeyError, ValueError, safetensors.SafetensorError) as error:
        raise DamagedFile(path, str(error)) from error


def _taught(path: Path) -> None:
    _must(path, seal_fault(path))
    taught.TaughtWords.read(path.parent)


def _tensors(path: Path) -> None:
    _must(path, tensors_fault(path))


def _arrays(path: Path) -> None:
    """A zip of numpy arrays carries a checksum of each."""
    try:
        with zipfile.ZipFile(path) as archive:
            _must(path, archive.testzip() or "")
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DamagedFile(path, str(error)) from error


def _kept_result(path: Path) -> None:
    measured.check_kept(path)
    _must(path, seal_fault(path))


def _backup(path: Path) -> None:
    if not path.name.startswith("folder."):
        _must(path, backup_fault(path))


def _window(path: Path) -> None:
    value = _bounded(path)
    _must(path, seal_fault(path) if isinstance(value, dict) else _("it is no JSON object."))


def _bounded(path: Path) -> object:
    try:
        return bounded_json(path.read_bytes())
    except ValueError as error:
        raise DamagedFile(path, str(error)) from error


def pack(path: Path) -> None:
    """Every file of a pack against its hash.

    Raises:
        UserError: it is damaged, or no pack; names the part.
        OSError: it cannot be read.
    """
    packs.check(packs.read(MODEL if path.suffix.lower() == MODEL.suffix else RUN, path))


def _database(fault_of: Callable[[Path], str]) -> Callable[[Path], None]:
    return lambda path: _must(path, fault_of(path))


_FROM_COPY = N_("fixed from its copy where that is whole, else set aside")
_ANEW = N_("set aside; it is made anew when it is next needed")
_AGAIN = N_("set aside; measure again where you need it")
_COPY_AGAIN = N_("set aside; copy it again from where it came from")

PLACES = (
    Place("window.json", "settings", _window, _FROM_COPY),
    Place("searches.json", "searches", _document(KeptSearches), _FROM_COPY),
    Place("queue.json", "queue", _document(TrainingQueue), _FROM_COPY),
    Place("grids/*.json", "grid", _document(StoredGrid), _FROM_COPY),
    Place("runs/*/run.json", "run", _run, _FROM_COPY),
    Place(
        "runs/*/evaluation.json",
        "run",
        _document(TrainResult),
        N_("fixed from the training's events where they tell it, else set aside"),
    ),
    Place(
        "runs/*/label.json",
        "run",
        _document(RunLabel),
        N_("set aside; name, note and colour are given again"),
    ),
    Place("runs/*/events.jsonl", "run", _events, N_("the lines that are whole are kept")),
    Place("runs/*/checkpoints/[0-9]*", "run", _checkpoint, N_("set aside; an earlier checkpoint is used")),
    Place(
        "runs/*/adapter",
        "run",
        _adapter,
        N_("written again from the checkpoint where model and checkpoint are there, else set aside"),
    ),
    Place("runs/*/values.npz", "run", _arrays, _AGAIN),
    Place("runs/*/parts.json", "run", _parts, N_("set aside; the training goes on without its parts")),
    Place(
        "runs/*/parts.safetensors", "run", _tensors, N_("set aside; the training goes on without its parts")
    ),
    Place("runs/*/taught.json", "run", _taught, N_("set aside; teach the words again")),
    Place("runs/*/taught.safetensors", "run", _tensors, N_("set aside; teach the words again")),
    Place("runs/*/folds/*/*.npz", "run", _arrays, N_("set aside; the fold is trained again on resuming")),
    Place("models/*", "model", _model, N_("set aside; add the model again from where it came from")),
    Place(
        "collections/*/collection-folders.json",
        "collection",
        _folders,
        N_("set aside; add the folders to the collection again, under their names"),
    ),
    Place("drafts/captions/*.json", "captions", _document(CaptionDraft), _FROM_COPY),
    Place("backups/captions/*/*", "captions", _backup, N_("set aside; the other dates stay")),
    Place(
        "trash/*/about.json",
        "trash",
        _document(DeletedThing),
        N_("set aside; what was deleted stays beside it"),
    ),
    Place("cache/features.sqlite", "cache", _database(BlobCache.fault_of), _ANEW),
    Place("cache/texts.sqlite", "cache", _database(BlobCache.fault_of), _ANEW),
    Place("cache/scan.sqlite", "cache", _database(scan_cache_fault), _ANEW),
    Place("cache/measured/*.json", "measurement", _kept_result, _AGAIN),
    Place("index/index.sqlite", "index", _database(EmbeddingStore.fault_of), _ANEW),
    Place(
        "index/shards/*/*/part-*.safetensors",
        "index",
        _tensors,
        N_("set aside; run the shard again before it is joined"),
    ),
    Place("index/large/*", "index", _sealed_folder, _ANEW),
    Place("**/*.cliprun", "pack", pack, _COPY_AGAIN),
    Place("**/*.clipmodel", "pack", pack, _COPY_AGAIN),
)
