"""Drawings that were cut out of one photographed or scanned page: a small document beside them says so.

`NAME.page.json` lies beside `NAME-01.png`, `NAME-02.png` …; see the room `intake`, which writes both. Drawings of one page
share its paper, light and theme, so they stay on one side of the split.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from clip_atelier.engine.core import DamagedFile, Record, Text, read_document
from clip_atelier.engine.data.further_folders import located
from clip_atelier.engine.data.records import Problem

SHEET_SUFFIX: Final = ".page.json"
MOST: Final = 1000
"""Drawings of one page that are read."""

Part = Annotated[float, Field(ge=0.0, le=1.0)]


class CutDrawing(Record):
    """One drawing of a page.

    Attributes:
        file: Its name, beside the document.
        box: Where it is on the straightened page: left, top, right, bottom, in parts of its width and height.
        digest: SHA-256 of the file as it was written, in hex; it is known by it after it is renamed.
    """

    file: Text
    box: tuple[Part, Part, Part, Part]
    digest: Text = ""


class SheetRecord(Record):
    """What is known of a page that was taken in.

    Attributes:
        page: The name of the photograph or scan.
        page_digest: SHA-256 of its bytes, in hex.
        corners: Of the page in the picture, from the upper left one clockwise, in parts of its width and height.
        evened: Whether the paper was made even white.
        drawings: In the order in which they are read.
        whole: Whether all of them are written; false while they are being written.
    """

    schema_version: int = Field(default=1, alias="schema")
    page: Text
    page_digest: Text
    corners: tuple[tuple[Part, Part], tuple[Part, Part], tuple[Part, Part], tuple[Part, Part]]
    evened: bool = True
    drawings: Annotated[tuple[CutDrawing, ...], Field(max_length=MOST)] = ()
    whole: bool = False


class Sheets:
    """Which drawings of a collection come from one page."""

    def __init__(self) -> None:
        self.folders: set[str] = set()
        self._by_path: dict[str, str] = {}
        self._by_digest: dict[str, str] = {}

    def of(self, path: str, digest: str) -> str:
        """The page that a drawing was cut out of, "" for none."""
        return self._by_path.get(path) or self._by_digest.get(digest, "")

    def add(self, folder: str, record: SheetRecord) -> None:
        """Takes up what a document in a folder says."""
        self.folders.add(folder)
        for drawing in record.drawings:
            self._by_path[posixpath.join(folder, drawing.file)] = record.page_digest
            if drawing.digest:
                self._by_digest[drawing.digest] = record.page_digest


def take(root: Path, side_files: set[str], problems: list[Problem]) -> Sheets:
    """Reads the documents of pages, and takes them out of `side_files`: they hold no captions."""
    found = Sheets()
    for path in sorted(_documents(side_files)):
        side_files.discard(path)
        try:
            found.add(posixpath.dirname(path), read_document(located(root, path), SheetRecord))
        except DamagedFile as error:
            problems.append(Problem(path, error.reason))
        except OSError as error:
            problems.append(Problem(path, str(error.strerror or error)))
    return found


def _documents(side_files: Iterable[str]) -> Iterable[str]:
    return [path for path in side_files if path.lower().endswith(SHEET_SUFFIX)]
