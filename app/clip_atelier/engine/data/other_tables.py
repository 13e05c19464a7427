"""Caption files of other programs: open_clip's CSV, COCO captions, kohya's meta JSON and tables of any name.

What has captions in a form that is known here is read; every other file that may hold captions is a problem with its name,
so that nobody trains on file names unaware. `metadata.csv` and `metadata.jsonl` come before all of these.
"""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import WorkError, _, bounded_json, shown
from clip_atelier.engine.data import caption_tables, image_gate, parquet_tables
from clip_atelier.engine.data.caption_tables import CaptionRow
from clip_atelier.engine.data.caption_text import CaptionReader
from clip_atelier.engine.data.further_folders import located
from clip_atelier.engine.data.names import Lookup, grouped, stem
from clip_atelier.engine.data.parquet_tables import NoCaptions
from clip_atelier.engine.data.records import Problem
from clip_atelier.engine.data.text_encoding import UnreadableText, decoded

UNREAD: Final = frozenset((".parquet", ".arrow", ".tar"))
"""Kinds of files that other programs keep captions in and that are not read here."""
_TABLES: Final = (".csv", ".tsv", ".jsonl")
_NAME: Final = ("filepath", "file_name", "filename", "file", "image", "image_path", "path", "img", "url")
_TEXT: Final = ("text", "caption", "captions", "prompt", "title")
_LISTED: Final = 3
"""How many files of one kind are named one by one; the last of them counts the others."""

Told = tuple[str, object]  # a file's name and its captions as written


class NotUnderstood(Exception):  # noqa: N818 - not a failure: the file is another program's
    """A file that is not understood; says why."""


def read(
    root: Path,
    side_files: Iterable[str],
    paths: Iterable[str],
    problems: list[Problem],
    reader: CaptionReader,
) -> dict[str, CaptionRow]:
    """What files of other programs say about the images.

    Args:
        root: The collection's folder.
        side_files: All files that may be captions, relative to it.
        paths: The images.
        problems: Gets every file that is not understood, and names of drawings that are not there.
        reader: Takes captions out of cells.
    """
    entries: dict[str, CaptionRow] = {}
    names = DrawingNames(paths)
    unread: dict[str, list[Problem]] = defaultdict(list)
    for path in sorted(side_files, key=lambda path: (path.count("/"), path)):
        suffix = posixpath.splitext(path)[1].lower()
        known = suffix in (*_TABLES, ".json") or suffix in UNREAD
        if not known or posixpath.basename(path) in caption_tables.NAMES:
            continue
        try:
            found = read_file(located(root, path), path, names, problems, reader)
        except NotUnderstood as reason:
            unread[suffix].append(Problem(path, str(reason)))
            continue
        for image, entry in found.items():
            entries[image] = caption_tables.merged(entries[image], entry) if image in entries else entry
    for some in unread.values():
        problems += _shortened(some)
    return entries


def read_file(
    file: Path, path: str, names: DrawingNames, problems: list[Problem], reader: CaptionReader
) -> dict[str, CaptionRow]:
    """What one file says about the images.

    Args:
        file: Where it is.
        path: What it is called, and where the names in it begin: below the collection's folder.
        names: Finds the images.
        problems: Gets lines that cannot be read, and names of drawings that are not there.
        reader: Takes captions out of cells.

    Raises:
        NotUnderstood: it is not understood, or names none of the images.
    """
    if path.lower().endswith(".parquet"):
        return _of_parquet(file, path, names, problems, reader)
    found = _taken(path, list(_told(file, path, problems)), names, problems)
    return {
        image: CaptionRow(list(dict.fromkeys(one for cell in cells for one in reader.captions(cell))))
        for image, cells in found.items()
    }


def _of_parquet(
    file: Path, path: str, names: DrawingNames, problems: list[Problem], reader: CaptionReader
) -> dict[str, CaptionRow]:
    missing: list[Problem] = []
    try:
        find = partial(names.find, posixpath.dirname(path))
        found = parquet_tables.read_table(file, find, reader, missing)
    except NoCaptions as reason:
        raise _to_be_imported(path) from reason
    except WorkError as error:
        raise NotUnderstood(f"{error.message} {error.hint}") from error
    if not found:
        raise _names_none()
    if missing:
        problems.append(_not_here(path, [one.path for one in missing]))
    return found


def _to_be_imported(path: str) -> NotUnderstood:
    return NotUnderstood(
        _(
            "It may hold drawings and captions. To make a folder of them: clip-atelier import “{name}” --out FOLDER"
        ).format(name=posixpath.basename(path))
    )


def _shortened(some: list[Problem]) -> list[Problem]:
    more = len(some) - _LISTED
    if more <= 0:
        return some
    last = some[_LISTED - 1]
    also = _("{count} more files like this are not used either.").format(count=more)
    return [*some[: _LISTED - 1], Problem(last.path, f"{last.reason} {also}")]


def _told(file: Path, path: str, problems: list[Problem]) -> Iterator[Told]:
    """What a file says: names of drawings with captions.

    Raises:
        NotUnderstood: it is not understood.
    """
    suffix = posixpath.splitext(path)[1].lower()
    if suffix in UNREAD:
        raise _to_be_imported(path)
    try:
        text, _encoding = decoded(caption_tables.content_of(file, caption_tables.MAX_BYTES))
    except (image_gate.ImageProblem, UnreadableText) as problem:
        raise NotUnderstood(getattr(problem, "reason", str(problem))) from problem
    if suffix == ".json":
        yield from _of_json(text)
        return
    table = caption_tables.parsed_text(text, path)
    written = {name.strip().lower(): name for name in table.names}
    name, caption = (next((written[n] for n in kinds if n in written), None) for kinds in (_NAME, _TEXT))
    if name is None or caption is None:
        raise _not_understood()
    problems.extend(Problem(path, reason) for reason in caption_tables.told_faults(table.faults))
    for row in table.rows:
        for cell, words in zip(row.cells.get(name, ()), row.cells.get(caption, ()), strict=False):
            yield str(cell.value or ""), words.value


def _of_json(text: str) -> Iterator[Told]:
    try:
        value = bounded_json(text)
    except ValueError as error:
        raise NotUnderstood(_("It is not JSON: {reason}").format(reason=error)) from error
    if isinstance(value, dict) and isinstance(value.get("annotations"), list):
        yield from _of_coco(value)
        return
    if isinstance(value, list):
        rows = [row for row in value if isinstance(row, dict)]
    elif isinstance(value, dict):  # kohya's: a name without its suffix, or a path -> what is said of it
        rows = [{"file_name": name} | row for name, row in value.items() if isinstance(row, dict)]
    else:
        rows = []
    found = [(_first(row, _NAME), _first(row, (*_TEXT, "tags"))) for row in rows]
    told = [(name, words) for name, words in found if isinstance(name, str) and words]
    if not told:
        raise _not_understood()
    yield from told


def _of_coco(value: Mapping[str, Any]) -> Iterator[Told]:
    images = value.get("images")
    names = {
        image.get("id"): image.get("file_name")
        for image in (images if isinstance(images, list) else ())
        if isinstance(image, dict) and isinstance(image.get("id"), int | str)
    }
    told = [
        (names[note["image_id"]], note["caption"])
        for note in value["annotations"]
        if isinstance(note, dict) and isinstance(note.get("image_id"), int | str) and note["image_id"] in names
        and isinstance(note.get("caption"), str)
    ]  # fmt: skip
    if not told:
        raise _not_understood()
    yield from ((name, words) for name, words in told if isinstance(name, str))


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name)), None)


def _not_understood() -> NotUnderstood:
    return NotUnderstood(
        _(
            "If this holds captions, they are not understood and not used. Save them as metadata.csv with the columns "
            "file_name and text."
        )
    )


def _taken(
    path: str, told: list[Told], names: DrawingNames, problems: list[Problem]
) -> dict[str, list[object]]:
    """The captions by drawing.

    Raises:
        NotUnderstood: it names none of the drawings.
    """
    found: dict[str, list[object]] = defaultdict(list)
    missing: Counter[str] = Counter()
    for name, words in told:
        image = names.find(posixpath.dirname(path), name)
        if image:
            found[image].append(words)
        else:
            missing[name] += 1
    if not found:
        raise _names_none()
    if missing:
        problems.append(_not_here(path, list(missing)))
    return found


def _names_none() -> NotUnderstood:
    return NotUnderstood(_("It names none of the drawings in this folder, so its captions are not used."))


def _not_here(path: str, names: list[str]) -> Problem:
    reason = _("{count} drawings that it names are not here, such as “{name}”.")
    return Problem(path, reason.format(count=len(names), name=shown(names[0])))


class DrawingNames:
    """Finds the drawing that another program means: by its path from the table or the folder, at last by its name alone.

    Other programs write where a file was on their machine, and kohya leaves the suffix out.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._all = list(paths)
        self._paths = Lookup(self._all)

    # Made when a table names a drawing, as in `Lookup`.
    @cached_property
    def _stems(self) -> dict[str, str]:
        return _alone((stem(path), path) for path in self._all)

    @cached_property
    def _bare(self) -> dict[str, str]:
        return _alone((posixpath.basename(path), path) for path in self._all)

    @cached_property
    def _bare_stems(self) -> dict[str, str]:
        return _alone((stem(posixpath.basename(path)), path) for path in self._all)

    def find(self, folder: str, name: str) -> str:
        """The drawing's path, "" if there is none or no telling which."""
        name = name.strip().replace("\\", "/")
        if not name:
            return ""
        for wanted in (posixpath.normpath(posixpath.join(folder, name)), posixpath.normpath(name)):
            if matches := self._paths.find(wanted):
                return matches[0]
            if wanted in self._stems:
                return self._stems[wanted]
        bare = posixpath.basename(name)
        return self._bare.get(bare) or self._bare_stems.get(bare, "")


def _alone(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of each key the path, where there is but one."""
    return {key: paths[0] for key, paths in grouped(pairs).items() if len(paths) == 1}
