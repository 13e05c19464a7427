"""Captions that are changed and not yet saved: kept beside the home's other files from the first edit on.

HOME/drafts/captions/KEY.json holds them, KEY stands for the folder. They are offered again when the folder is opened.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import Field

from clip_atelier.engine.core import (
    Record,
    Text,
    copy_of,
    read_kept,
    remove_kept,
    write_document,
)
from clip_atelier.engine.data.caption_backups import folder_key
from clip_atelier.engine.data.records import Item, SplitName
from clip_atelier.engine.storage import Trash, TrashEntry

COLUMNS: Final = ("label", "pair", "split")
"""What of a drawing can be edited beside its captions, each a column of the table."""


class DraftEdit(Record):
    """One drawing's captions.

    Attributes:
        path: The drawing, relative to the folder.
        captions: As edited.
        before: What they were when the edit began; another window or program may have changed them since.
        label: The class as edited, None where it is as in the folder.
        pair: The pair's key as edited, None where it is as in the folder.
        split: The part as edited, "" for one that the program chooses, None where it is as in the folder.
        digest: Of the file's bytes, so that it is known under another name; "" where other files are the same.
    """

    path: Text
    captions: tuple[Text, ...]
    before: tuple[Text, ...]
    label: Text | None = None
    pair: Text | None = None
    split: SplitName | None = None
    digest: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Which columns beside the captions are edited."""
        return tuple(name for name in COLUMNS if getattr(self, name) is not None)


class CaptionDraft(Record):
    """Everything unsaved of one folder."""

    schema_version: int = Field(default=1, alias="schema")
    folder: Text
    changed: float = 0.0
    edits: tuple[DraftEdit, ...] = ()


def draft_file(home: Path, root: Path) -> Path:
    """Where a folder's draft lies."""
    return home / "drafts" / "captions" / f"{folder_key(root)}.json"


def read_draft(home: Path, root: Path) -> dict[str, DraftEdit]:
    """The unsaved edits of a folder by path; none if there are none.

    Raises:
        DamagedFile: see `read_kept`.
    """
    draft = read_kept(draft_file(home, root), CaptionDraft)
    return {edit.path: edit for edit in draft.edits} if draft else {}


def write_draft(home: Path, root: Path, edits: Mapping[str, DraftEdit]) -> None:
    """Keeps a folder's unsaved edits, whole or not at all; none removes the draft.

    Raises:
        WorkError: the home cannot be written.
    """
    file = draft_file(home, root)
    if edits:
        draft = CaptionDraft(folder=str(root), changed=time.time(), edits=tuple(edits.values()))
        write_document(file, draft, copy=True)
        return
    remove_kept(file)


def moved(draft: Mapping[str, DraftEdit], items: Sequence[Item]) -> dict[str, str]:
    """Edits whose file is gone and lies under another name now: old path -> new path.

    Only where there is no doubt: one file alone has these bytes, and nothing was typed for it under its new name.
    """
    there = {item.path for item in items}
    lost: dict[str, list[str]] = {}
    for path, edit in draft.items():
        if path not in there and edit.digest:
            lost.setdefault(edit.digest, []).append(path)
    found: dict[str, list[str]] = {}
    for item in items if lost else ():
        if item.digest in lost:
            found.setdefault(item.digest, []).append(item.path)
    return {
        lost[digest][0]: new[0]
        for digest, new in found.items()
        if len(new) == len(lost[digest]) == 1 and new[0] not in draft
    }


def discard_draft(home: Path, root: Path) -> TrashEntry:
    """Puts a folder's draft into the home's trash.

    Raises:
        WorkError: it cannot be moved.
    """
    file = draft_file(home, root)
    entry = Trash(home).put("captions", root.name, file)
    with contextlib.suppress(OSError):
        copy_of(file).unlink(missing_ok=True)
    return entry
