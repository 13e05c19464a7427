"""Reading a part of a folder's drawings, where several processes or machines share the work of reading all."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, Record, Text, document_of_page
from clip_atelier.engine.data import eagle, image_gate, trainers
from clip_atelier.engine.data.frames import Frame
from clip_atelier.engine.data.image_facts import ImageFacts
from clip_atelier.engine.data.names import nfc
from clip_atelier.engine.data.pixels import Fit
from clip_atelier.engine.data.records import Problem
from clip_atelier.engine.data.scan_cache import ScanCache, Stamp
from clip_atelier.engine.data.scanning import check_folder, decoded
from clip_atelier.engine.data.walk import walk


class KnownDrawing(Record):
    """What was found out about a drawing by whoever read it, for those who did not.

    Attributes:
        path: Relative to the folder.
        size: Of the file, in bytes; `mtime_ns` when it was changed last.
        sight: In hexadecimal; see `ImageFacts`, as for the rest.
    """

    path: Text
    size: int
    mtime_ns: int
    digest: Text
    width: int
    height: int
    look: int
    sight: Text
    told: tuple[Text, ...] = ()

    @classmethod
    def of(cls, path: str, stamp: Stamp, facts: ImageFacts) -> KnownDrawing:
        """The facts about the file that had this stamp."""
        return cls(
            path=path, size=stamp.size, mtime_ns=stamp.mtime_ns, digest=facts.digest, width=facts.width,
            height=facts.height, look=facts.look, sight=facts.sight.hex(), told=facts.told,
        )  # fmt: skip

    @property
    def facts(self) -> ImageFacts:
        """As the reader of the file had them."""
        sight = bytes.fromhex(self.sight)
        return ImageFacts(self.digest, self.width, self.height, self.look, sight, self.told)

    def is_of(self, stamp: Stamp) -> bool:
        """Whether a file with this stamp is the one that was read.

        The time of the last change of its status is not asked for: two machines, or a copy with its times, differ in it.
        """
        return (self.size, self.mtime_ns) == (stamp.size, stamp.mtime_ns)


@dataclass(frozen=True)
class Part:
    """One of `count` equal parts of a folder's drawings, counted from 1.

    The parts are told by the drawings' names alone, so that new drawings move no others, and all machines agree. Pages of
    one document stay together.
    """

    number: int
    count: int

    def holds(self, path: str) -> bool:
        """Whether a drawing is of this part."""
        return number_of(path, self.count) == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def number_of(path: str, count: int) -> int:
    """Which of `count` parts a drawing is of, from 1."""
    name = nfc(document_of_page(path) or path).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % count + 1


def drawings_of(folder: Path, part: Part, control: Control) -> dict[str, Stamp]:
    """The drawings of a part: path -> stamp, ordered by path. No file is opened but those that tell what is a drawing.

    Raises:
        UserError: there is no such folder.
        Stopped: a stop was asked for.
    """
    check_folder(folder)
    found = walk(folder, control)
    trainers.without_masks(found.images)
    own = {path: stamp for path, stamp in found.images.items() if part.holds(path)}
    # Only what lies beside a drawing of this part tells of it.
    folders = {posixpath.dirname(path) for path in own}
    beside = {path for path in found.side_files if posixpath.dirname(path) in folders}
    unasked: list[Problem] = []
    eagle.take(folder, own, beside, unasked)
    return dict(sorted(own.items()))


def drawings_fingerprint(drawings: Mapping[str, Stamp]) -> str:
    """Changes when a drawing comes, goes or changes (SHA-256, hex)."""
    lines = (f"{path}\0{stamp.size}\0{stamp.mtime_ns}\n" for path, stamp in sorted(drawings.items()))
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


class PartReader:
    """Reads drawings some at a time, and keeps the pictures that were decoded for it until the next ones.

    Args:
        folder: The collection.
        cache: What a home remembers of unchanged images; nothing that is not asked for is forgotten.
        frame: What the model is shown.
        how: How images are fitted into it.
    """

    def __init__(self, folder: Path, cache: Path, frame: Frame, how: Fit) -> None:
        self.folder = folder
        self.frame = frame
        self.how = how
        self._cache = ScanCache(cache, folder)
        self.pictures: dict[str, NDArray[np.uint8]] = {}

    def take(self, digest: str, picture: NDArray[np.uint8]) -> None:
        """Keeps a picture; see `Fitting`."""
        self.pictures[digest] = picture

    def read(
        self, drawings: Mapping[str, Stamp], control: Control
    ) -> tuple[dict[str, ImageFacts], list[Problem]]:
        """The facts about drawings by their paths, and the drawings that cannot be read.

        Raises:
            Stopped: a stop was asked for.
        """
        self.pictures.clear()
        facts: dict[str, ImageFacts] = {}
        problems: list[Problem] = []
        for path, stamp in drawings.items():
            known = self._cache.get(path, stamp)
            if known is not None:
                facts[path] = known
        fresh = [path for path in drawings if path not in facts]
        for path, future in decoded(self.folder, fresh, control, self):
            try:
                facts[path], picture = future.result()
            except image_gate.ImageProblem as problem:
                problems.append(Problem(path, problem.reason))
                continue
            self._cache.put(path, drawings[path], facts[path])
            if picture is not None:
                self.take(facts[path].digest, picture)
        return {path: facts[path] for path in drawings if path in facts}, problems

    def close(self) -> None:
        """Saves what was read."""
        self._cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def remembering(
    cache: Path, folder: Path, drawings: Mapping[str, Stamp]
) -> Iterator[Callable[[Iterable[KnownDrawing]], None]]:
    """Spares a home the reading of drawings that others have read: what is called in the block takes them.

    Args:
        cache: What the home remembers of unchanged images.
        folder: The collection.
        drawings: As they are here; of others, and of those that are not as they were read, nothing is kept.
    """
    scanned = ScanCache(cache, folder)

    def take(known: Iterable[KnownDrawing]) -> None:
        for one in known:
            stamp = drawings.get(one.path)
            if stamp is not None and one.is_of(stamp) and scanned.get(one.path, stamp) is None:
                scanned.put(one.path, stamp, one.facts)

    try:
        yield take
    finally:
        scanned.close()
