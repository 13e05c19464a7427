"""Checkpoints: immutable, verified, never pickled.

`checkpoints/STEP/` holds adapter.safetensors, optimizer.safetensors (moments and random states), state.json, and
manifest.json with the SHA-256 of the others. The manifest is written last and the folder then renamed into place, so
that a torn checkpoint is never offered.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from clip_atelier.engine.core import UserError, WorkError, _, bounded_json, cannot_write

_FILES = ("adapter.safetensors", "optimizer.safetensors", "state.json")


@dataclass(frozen=True)
class State:
    """Where training stood.

    Attributes:
        step: Steps taken.
        best_step: Step of the best check so far; 0 is the base.
        best_score: Its score.
        checks_without_gain: Checks since.
        checked: Step of the last check.
        seconds: Training time so far.
        extra: Plain values of the precision's loss scaling.
    """

    step: int
    best_step: int = 0
    best_score: float = float("-inf")
    checks_without_gain: int = 0
    checked: int = 0
    seconds: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and whose hashes fit. `content` is the SHA-256 of the update's file."""

    path: Path
    state: State
    adapter: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    content: str


def _fsync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write(path: Path, data: bytes) -> str:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return hashlib.sha256(data).hexdigest()


def save(folder: Path, state: State, adapter: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> Path:
    """Writes a checkpoint below `folder` and removes those no longer needed (all but the newest two and the best).

    Raises:
        WorkError: the disk is full, the folder is gone, or a value is not finite; earlier checkpoints are untouched.
    """
    if not _finite(adapter) or not _finite(optimizer):
        raise WorkError(
            _("The update is no longer made of numbers at step {step}.").format(step=state.step),
            _(
                "Lower the learning rate (train.learning_rate) or lora.lora_alpha. The last good checkpoint is kept."
            ),
            "train.learning_rate",
        )
    target = folder / f"{state.step:08d}"
    partial = folder / f".{target.name}.partial"
    values = asdict(state) | {"best_score": state.best_score if math.isfinite(state.best_score) else None}
    try:
        if not folder.parent.is_dir():
            raise FileNotFoundError(2, os.strerror(2), str(folder.parent))
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        manifest = {
            _FILES[0]: _write(partial / _FILES[0], safetensors.torch.save(_contiguous(adapter))),
            _FILES[1]: _write(partial / _FILES[1], safetensors.torch.save(_contiguous(optimizer))),
            _FILES[2]: _write(partial / _FILES[2], json.dumps(values).encode()),
        }
        _write(partial / "manifest.json", json.dumps(manifest, indent=1).encode())
        _fsync_folder(partial)
        if target.exists():
            _remove(target)
        os.rename(partial, target)
        _fsync_folder(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise cannot_write(target, error) from error
    _prune(folder, keep_best=state.best_step)
    return target


def _finite(tensors: Mapping[str, Tensor]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors.values() if tensor.is_floating_point())


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def steps(folder: Path) -> list[int]:
    """Steps of all complete checkpoints, oldest first; those without a manifest are not offered."""
    if not folder.is_dir():
        return []
    return sorted(
        int(p.name) for p in folder.iterdir() if p.name.isdigit() and (p / "manifest.json").is_file()
    )


def _prune(folder: Path, keep_best: int) -> None:
    keep = {*steps(folder)[-2:], keep_best}
    for step in steps(folder):
        if step not in keep:
            with contextlib.suppress(OSError):
                _remove(folder / f"{step:08d}")
    for left in folder.glob(".*.partial"):
        shutil.rmtree(left, ignore_errors=True)


def _remove(path: Path) -> None:
    """Takes a checkpoint away by one rename first: a kill meanwhile leaves nothing that looks like one."""
    gone = path.with_name(f".{path.name}.gone.partial")
    shutil.rmtree(gone, ignore_errors=True)
    os.rename(path, gone)
    shutil.rmtree(gone, ignore_errors=True)


def read(folder: Path, step: int) -> Checkpoint:
    """A checkpoint after checking every hash.

    Raises:
        UserError: a file is missing, cut short, altered, or holds what is no number; names it.
    """
    path = folder / f"{step:08d}"
    try:
        manifest = bounded_json((path / "manifest.json").read_bytes())
        data = {name: (path / name).read_bytes() for name in _FILES}
        for name, content in data.items():
            if manifest[name] != hashlib.sha256(content).hexdigest():
                raise ValueError(name)
        values = bounded_json(data["state.json"])
        if values["best_score"] is None:
            values["best_score"] = float("-inf")
        found = Checkpoint(
            path,
            State(**values),
            safetensors.torch.load(data["adapter.safetensors"]),
            safetensors.torch.load(data["optimizer.safetensors"]),
            manifest[_FILES[0]],
        )
        if not _finite(found.adapter) or not _finite(found.optimizer):
            raise ValueError(_("it holds what is no number."))
        return found
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(
            _("The checkpoint “{path}” is damaged: {reason}").format(path=path, reason=error),
            _("An earlier one is used where there is one."),
        ) from error


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and what was wrong with newer ones."""
    problems: list[str] = []
    for step in reversed(steps(folder)):
        try:
            return read(folder, step), problems
        except UserError as error:
            problems.append(error.message)
    return None, problems
