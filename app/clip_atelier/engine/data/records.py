"""What a folder of drawings is once it has been read: items, problems, and the collection they make."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from clip_atelier.engine.core import Record, Text
from clip_atelier.engine.data.further_folders import FurtherFolder, located

Role = Literal["", "sketch", "artwork"]
SplitName = Literal["", "train", "validation", "test", "unused"]
Source = Literal["metadata", "sidecar", "embedded", "folder", "filename", "mixed"]


@dataclass(frozen=True)
class Item:
    """One readable image.

    Attributes:
        path: Relative to the collection's folder, with forward slashes; undecodable bytes stay as surrogates. A page of a
            document is named below it: "book.pdf/page 002". A drawing of a further folder begins with that one's name;
            `located` tells where its file is.
        digest: SHA-256 of the file's bytes, in hex; of a page, of the document's digest and the page's number.
        captions: At least one, in the order they were written.
        label: The class it belongs to, "" if none.
        pair: Key shared by the sketches and artworks that belong together, "" if none.
        role: Its part in a pair.
        split: What the collection itself declares, "" if nothing; "unused" keeps it out of every part.
        width: In pixels, upright (EXIF applied).
        height: In pixels, upright.
        look: 64-bit difference hash of the letterboxed drawing; near-duplicates differ in few bits.
        sheet: The photographed or scanned page that it was cut out of, "" if none; see `sheets`.
    """

    path: str
    digest: str
    captions: tuple[str, ...]
    label: str = ""
    pair: str = ""
    role: Role = ""
    split: SplitName = ""
    width: int = 0
    height: int = 0
    look: int = 0
    sheet: str = ""


@dataclass(frozen=True)
class Problem:
    """Something left out or in doubt. `reason` is a translated sentence with the cause and, where there is one, the remedy."""

    path: str
    reason: str


class ScanProblem(Record):
    """One file that was left out."""

    path: Text
    reason: Text


class FolderRead(Record):
    """A further folder of a collection, as it was found.

    Attributes:
        name: What the paths of its drawings begin with.
        folder: Where it is, absolute.
        there: Whether it could be looked into.
        images: Drawings of it that were read.
    """

    name: Text
    folder: Text
    there: bool
    images: int


class ScanSummary(Record):
    """A collection in numbers: what `scan` shows.

    Attributes:
        problems: What was left out, and why.
        duplicates: Groups of paths that show the same drawing.
        notes: What else is worth knowing, in sentences.
        fingerprint: Changes with the images, their words and their pairs.
        folders: Those that belong to the collection and lie elsewhere.
    """

    schema_version: int = Field(default=1, alias="schema")
    folder: Text
    images: int
    captions: int
    labels: int
    pairs: int
    caption_source: str
    problems: tuple[ScanProblem, ...] = ()
    duplicates: tuple[tuple[Text, ...], ...] = ()
    notes: tuple[Text, ...] = ()
    fingerprint: str
    folders: tuple[FolderRead, ...] = ()


@dataclass(frozen=True)
class Collection:
    """A folder as read.

    Attributes:
        items: Ordered by path.
        caption_source: Where the captions came from; "mixed" if from more than one source.
        duplicates: Groups of paths that show (nearly) the same drawing.
        notes: Translated remarks on what is wrong with the whole, e.g. "1 folder could not be read".
        remarks: Translated remarks on how captions were taken where that was not as written.
        further: Folders that belong to it and lie elsewhere, in their order.
        absent: The names of those of them that were not there.
    """

    root: Path
    items: tuple[Item, ...]
    caption_source: Source
    problems: tuple[Problem, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    further: tuple[FurtherFolder, ...] = ()
    absent: tuple[str, ...] = ()

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All class names, sorted."""
        return tuple(sorted({item.label for item in self.items} - {""}))

    @cached_property
    def pairs(self) -> Mapping[str, tuple[int, ...]]:
        """Pair key -> indices of its items."""
        found: dict[str, list[int]] = defaultdict(list)
        for index, item in enumerate(self.items):
            if item.pair:
                found[item.pair].append(index)
        return {key: tuple(indices) for key, indices in found.items()}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that training depends on; file names and order do not matter."""
        lines = sorted(
            json.dumps(
                [item.digest, item.captions, item.label, item.pair, item.role, item.split]
                + ([item.sheet] if item.sheet else [])
            )
            for item in self.items
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def caption_count(self) -> int:
        """Captions of all images together."""
        return sum(len(item.captions) for item in self.items)

    def absolute(self, item: Item) -> Path:
        """Where an item's file is; `original` gives the document that a page is in."""
        return located(self.root, item.path)

    def summary(self) -> ScanSummary:
        """What `scan` shows."""
        return ScanSummary(
            folder=str(self.root),
            images=len(self.items),
            captions=self.caption_count,
            labels=len(self.labels),
            pairs=len(self.pairs),
            caption_source=self.caption_source,
            problems=tuple(ScanProblem(path=p.path, reason=p.reason) for p in self.problems),
            duplicates=self.duplicates,
            notes=self.notes + self.remarks,
            fingerprint=self.fingerprint,
            folders=self.folders_read(),
        )

    def folders_read(self) -> tuple[FolderRead, ...]:
        """Its further folders, and how many drawings each gave."""
        counts = (
            Counter(item.path.partition("/")[0] for item in self.items) if self.further else Counter[str]()
        )
        return tuple(
            FolderRead(
                name=one.name, folder=one.folder, there=one.name not in self.absent, images=counts[one.name]
            )
            for one in self.further
        )
