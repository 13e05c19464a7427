"""The vectors of a large gallery in files that are mapped: opened at once, read where they are needed, shared by processes.

One folder for each space of a gallery, named by what it holds, so that one that fits is always right and nothing of it is
ever changed: `rows.npy` (the unit vectors), `codes.npy`, `sides.npy` and `centre.npy` (see `codes.Codes`). All of it comes
from the embedding store and may be deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, Countdown, Phase, Work, _, cannot_write
from clip_atelier.engine.search.codes import Codes, code
from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space
from clip_atelier.engine.storage import seal_folder

LARGE: Final = 200_000
"""Images from which on a gallery's vectors lie in mapped files: below, memory holds them and one pass over them is quick."""

PLACE: Final = "index/large"
_RECIPE: Final = 1
_KEPT: Final = (
    6  # folders: those of two galleries, as base and adapted model see them and as a run's parts do
)
_ZEROS: Final = bytes(1 << 24)


@dataclass(frozen=True)
class LargeVectors:
    """One space of a large gallery.

    Attributes:
        rows: [N, dim] unit rows, mapped.
        codes: The same in bytes, mapped.
        folder: Where they are.
    """

    rows: NDArray[np.float32]
    codes: Codes
    folder: Path


def opened(
    store: EmbeddingStore, space: Space, digests: Sequence[str], dim: int, home: Path, control: Control
) -> Work[LargeVectors]:
    """The vectors of those contents, in mapped files that are made where they are missing.

    Args:
        store: Where the vectors are.
        space: What they depend on.
        digests: [N] of the files' bytes, in hexadecimal.
        dim: Length of a vector.
        home: The files lie below it.
        control: Stop and pause.

    Raises:
        NotWritten: there is no room for them, or they cannot be mapped.
        KeyError: the store does not know one.
    """
    folder = home / PLACE / _name(space, digests, dim)
    found = _existing(folder, len(digests), dim)
    if found is None:
        yield Phase(name="index", title=_("Preparing the search in many images"))
        try:
            yield from _make(folder, store, space, digests, dim, control)
            found = _existing(folder, len(digests), dim)
        except OSError as error:
            raise cannot_write(folder, error) from error
        if found is None:
            raise cannot_write(folder, OSError("mmap"))
    with contextlib.suppress(OSError):
        os.utime(folder)
    return found


def forget_old(home: Path, used: Sequence[Path]) -> None:
    """Removes all but the latest folders and those in use; what another process has open stays there on Windows."""
    kept = {folder.name for folder in used}
    with contextlib.suppress(OSError):
        others = [folder for folder in (home / PLACE).iterdir() if folder.name not in kept]
        others.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in others[max(0, _KEPT - len(kept)) :]:
            shutil.rmtree(folder, ignore_errors=True)


def _name(space: Space, digests: Sequence[str], dim: int) -> str:
    told = hashlib.sha256(f"{_RECIPE}|{space.key}|{dim}".encode())
    for digest in digests:
        told.update(bytes.fromhex(digest))
    return told.hexdigest()[:32]


def _existing(folder: Path, count: int, dim: int) -> LargeVectors | None:
    try:
        rows, codes, sides = (
            # Copy on write: torch takes no array that cannot be written to, and nothing writes to it.
            np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            for name in ("rows", "codes", "sides")
        )
        centre = np.load(folder / "centre.npy", allow_pickle=False)
    except (OSError, EOFError, ValueError):
        return None
    wanted = (
        (rows, (count, dim), "f4"),
        (codes, (count, dim), "i1"),
        (sides, (3, count), "f4"),
        (centre, (dim,), "f4"),
    )
    if any(array.shape != shape or array.dtype.str[1:] != kind for array, shape, kind in wanted):
        return None
    return LargeVectors(np.asarray(rows), Codes(np.asarray(codes), np.asarray(sides), centre), folder)


def _make(
    folder: Path, store: EmbeddingStore, space: Space, digests: Sequence[str], dim: int, control: Control
) -> Work[None]:
    """Writes the folder, whole or not at all."""
    count = len(digests)
    shutil.rmtree(folder, ignore_errors=True)
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        rows = _reserved(partial / "rows.npy", (count, dim), np.float32)
        codes = _reserved(partial / "codes.npy", (count, dim), np.int8)
        sides = _reserved(partial / "sides.npy", (3, count), np.float32)
        store.load(space, digests, dim, into=rows)
        countdown = Countdown(count)
        centre = np.zeros(dim, np.float32)
        for done, mean in _filled(rows, codes, sides):
            control.boundary()
            centre = mean
            yield countdown.at(done)
        np.save(partial / "centre.npy", centre, allow_pickle=False)
        for array in (rows, codes, sides):
            array.flush()
        del rows, codes, sides  # Windows renames no folder with files that are mapped
        seal_folder(partial)
        with contextlib.suppress(FileExistsError):
            os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _filled(rows: Any, codes: Any, sides: Any) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Makes the rows unit rows and fills the other two from them."""
    for start in range(0, len(rows), 65_536):
        part = rows[start : start + 65_536]
        lengths = np.sqrt(np.einsum("nd,nd->n", part, part))
        if not np.isfinite(lengths).all():
            raise ValueError("vectors must be finite")
        if np.any(np.abs(lengths - 1) > 1e-6):
            lengths[lengths == 0] = 1
            part /= lengths[:, None]
    yield from code(rows, codes, sides)


def _reserved(path: Path, shape: tuple[int, ...], kind: type[np.generic]) -> Any:
    """A mapped array whose room on the disk is taken: a full disk is an error here, and kills whoever writes to a map."""
    array = np.lib.format.open_memmap(path, "w+", dtype=np.dtype(kind), shape=shape)
    start, size = array.offset, array.nbytes
    del array
    with path.open("r+b") as stream:
        stream.seek(start)
        for done in range(0, size, len(_ZEROS)):
            stream.write(_ZEROS[: min(len(_ZEROS), size - done)])
        stream.flush()
        os.fsync(stream.fileno())
    return np.lib.format.open_memmap(path, "r+")
