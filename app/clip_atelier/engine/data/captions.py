"""Where each image's words come from, and how edited words are saved."""

from __future__ import annotations

import csv
import io
import json
import os
import posixpath
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import N_, UserError, WorkError, _, shown
from clip_atelier.engine.data import caption_tables, image_gate
from clip_atelier.engine.data.caption_tables import CaptionRow
from clip_atelier.engine.data.names import Lookup, nfc, stem, words
from clip_atelier.engine.data.pairs import PairSide, is_role_folder
from clip_atelier.engine.data.records import Problem, Source
from clip_atelier.engine.settings import DataSettings

SIDECAR_SUFFIXES: Final = (".txt", ".caption")
MAX_SIDECAR_BYTES: Final = 1024 * 1024
_ORDER: Final[tuple[Source, ...]] = ("metadata", "sidecar", "folder", "filename")


@dataclass(frozen=True)
class Words:
    """The captions and label of one image, and where the captions came from."""

    captions: tuple[str, ...]
    label: str
    source: Source


def find_words(
    root: Path,
    paths: Sequence[str],
    side_files: set[str],
    entries: Mapping[str, CaptionRow],
    places: Mapping[str, PairSide],
    data: DataSettings,
    problems: list[Problem],
) -> dict[str, Words]:
    """The words of every image: from the chosen source, else from the sources after it, at last from the file's name.

    Args:
        root: The collection's folder.
        paths: All images, relative, sorted.
        side_files: Files that may be captions, relative.
        entries: What the tables say.
        places: The pairs; partners share what a table or a text file says about one of them.
        data: Which source is chosen, and the template for class folders.
        problems: Gets caption files that cannot be read.

    Raises:
        UserError: the chosen source is not present.
    """
    found: dict[Source, dict[str, tuple[str, ...]]] = {
        "metadata": _from_tables(entries, data),
        "sidecar": _from_sidecars(root, paths, side_files, problems),
        "folder": {},
        "filename": {},
    }
    order = _ORDER if data.captions == "auto" else _ORDER[_ORDER.index(data.captions) :]
    own: dict[str, tuple[Source, tuple[str, ...]]] = {}
    for path in paths:
        for source in order[:2]:
            if source in ("metadata", "sidecar") and path in found[source]:
                own.setdefault(path, (source, found[source][path]))
    _share_in_pairs(own, places)
    classes = class_folders(paths, data if places else None)
    found["folder"] = {path: (_sentence(data, label),) for path, label in classes.items()}
    found["filename"] = {path: (words(path),) for path in paths if path not in own}
    chosen = data.captions
    if chosen in ("metadata", "sidecar", "folder") and not found[chosen]:
        raise UserError(
            _(_ABSENT[chosen]).format(folder=shown(root)),
            _("Choose another source of captions, or “automatic”."),
            "data.captions",
        )
    for path in paths:
        if path not in own:
            source = next(s for s in order if s in ("folder", "filename") and path in found[s])
            own[path] = source, found[source][path]
    tally = Counter(source for source, _captions in own.values())
    by_class = tally["folder"] * 2 >= len(paths)
    result = {}
    for path in paths:
        source, captions = own[path]
        label = entries[path].label if path in entries else ""
        if not label and (source == "folder" or by_class):
            label = classes.get(path, "")
        result[path] = Words(captions, label, source)
    return result


_ABSENT: Final[Mapping[str, str]] = {
    "metadata": N_("“{folder}” has no metadata.csv or metadata.jsonl with captions."),
    "sidecar": N_("“{folder}” has no text files beside its images."),
    "folder": N_("“{folder}” has no two sub-folders with images that could be classes."),
}


def overall(found: Mapping[str, Words]) -> Source:
    """The one source of all captions, or "mixed"."""
    sources = {word.source for word in found.values()}
    return sources.pop() if len(sources) == 1 else "mixed"


def _sentence(data: DataSettings, label: str) -> str:
    return caption_tables.clean(data.template.format(label=label))


def _from_tables(entries: Mapping[str, CaptionRow], data: DataSettings) -> dict[str, tuple[str, ...]]:
    found = {}
    for path, entry in entries.items():
        captions = tuple(entry.captions) or ((_sentence(data, entry.label),) if entry.label else ())
        if captions:
            found[path] = captions
    return found


def _from_sidecars(
    root: Path, paths: Sequence[str], side_files: set[str], problems: list[Problem]
) -> dict[str, tuple[str, ...]]:
    texts = [path for path in side_files if path.lower().endswith(SIDECAR_SUFFIXES)]
    found: dict[str, tuple[str, ...]] = {}
    if not texts:
        return found
    lookup = Lookup(texts)
    read: dict[str, tuple[str, ...]] = {}
    for path in paths:
        for suffix in SIDECAR_SUFFIXES:
            matches = lookup.find(stem(path) + suffix)
            if not matches:
                continue
            if len(matches) > 1:
                reason = _(
                    "More than one caption file is spelled like this; “{name}” is used. Rename the others."
                )
                problems.append(Problem(path, reason.format(name=shown(matches[0]))))
            if matches[0] not in read:
                read[matches[0]] = _sidecar(root, matches[0], problems)
            if read[matches[0]]:
                found[path] = read[matches[0]]
                break
    return found


def _sidecar(root: Path, path: str, problems: list[Problem]) -> tuple[str, ...]:
    try:
        content = caption_tables.content_of(root / path, MAX_SIDECAR_BYTES)
    except image_gate.ImageProblem as problem:
        problems.append(Problem(path, problem.reason))
        return ()
    text = caption_tables.decoded(content)
    if "\0" in text:
        problems.append(
            Problem(path, _("This is not a text file, so it gives no caption. Save it as plain text."))
        )
        return ()
    return tuple(caption_tables.captions_of(text))


def _share_in_pairs(own: dict[str, tuple[Source, tuple[str, ...]]], places: Mapping[str, PairSide]) -> None:
    members: dict[str, list[str]] = defaultdict(list)
    for path, place in places.items():
        members[place.pair].append(path)
    for group in members.values():
        told = next((own[path] for path in group if path in own), None)
        if told is not None:
            for path in group:
                own.setdefault(path, told)


def class_folders(paths: Sequence[str], paired: DataSettings | None = None) -> dict[str, str]:
    """The class of each image, where images lie in at least two sub-folders; the folder's name in words is the class.

    Folders named train, validation or test are parts of a split and no classes; the folders of sketches and artworks of
    a `paired` collection are none either.
    """
    found = {}
    for path in paths:
        folder = posixpath.dirname(path)
        parent = posixpath.basename(folder)
        if paired is not None and is_role_folder(folder, paired):
            continue
        if parent and not caption_tables.split_name(parent):
            found[path] = caption_tables.clean(nfc(parent).replace("_", " ")) or parent
    return found if len(set(found.values())) >= 2 else {}


def save(root: Path, edits: Mapping[str, Sequence[str]]) -> Path:
    """Writes edited captions to metadata.csv in the collection's folder, all at once or not at all.

    Other rows and columns stay as they are; a metadata.jsonl in the same folder is carried over.

    Args:
        root: The collection's folder.
        edits: path (relative) -> its captions; an empty list removes them.

    Returns:
        The file written.

    Raises:
        WorkError: the file cannot be read or written; the old one is kept.
    """
    target = root / caption_tables.NAMES[0]
    source = (
        target
        if target.exists() or not (root / caption_tables.NAMES[1]).exists()
        else root / caption_tables.NAMES[1]
    )
    problems: list[Problem] = []
    kept = (
        [row for _line, row in caption_tables.rows(source, problems, source.name)] if source.exists() else []
    )
    if problems:
        raise WorkError(
            _("“{file}” cannot be changed: {reason}").format(file=shown(source), reason=problems[0].reason),
            _("Mend or remove it first; nothing was changed."),
        )
    content = _table(kept, {nfc(path): list(captions) for path, captions in edits.items()}, edits)
    try:
        _replace(target.resolve(), content)
    except OSError as error:
        raise WorkError(
            _("“{file}” cannot be written ({error}).").format(
                file=shown(target), error=error.strerror or error
            ),
            _("Free some space or change the folder's permissions; nothing was changed."),
        ) from error
    return target


def _table(kept: list[dict[str, Any]], edits: dict[str, list[str]], spelled: Mapping[str, object]) -> str:
    header: dict[str, None] = {}
    for row in kept:
        header.update(dict.fromkeys(row))
    names = caption_tables.columns(header)
    file_name, text = names.get("file_name", "file_name"), names.get("text", "text")
    header = {**({} if file_name in header else {file_name: None}), **header, text: None}
    left = dict(edits)
    for row in kept:
        name = nfc(str(row.get(file_name) or "").strip().replace("\\", "/").removeprefix("./"))
        if name in edits:
            # Several rows of one image: the first takes the captions, the others keep their further columns.
            row[text] = _cell(left.pop(name, []))
    kept += [{file_name: path, text: _cell(left[nfc(path)])} for path in spelled if nfc(path) in left]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(header), restval="")
    writer.writeheader()
    writer.writerows({key: _plain(value) for key, value in row.items()} for row in kept)
    return out.getvalue()


def _cell(captions: Sequence[str]) -> str:
    cleaned = [caption for caption in map(caption_tables.clean, captions) if caption]
    if len(cleaned) == 1 and not cleaned[0].startswith("["):
        return cleaned[0]
    return json.dumps(cleaned, ensure_ascii=False) if cleaned else ""


def _plain(value: object) -> object:
    return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)


def _replace(target: Path, content: str) -> None:
    handle, name = tempfile.mkstemp(prefix=".metadata-", suffix=".tmp", dir=target.parent)
    try:
        # With the mark, spreadsheet programs read Korean as UTF-8; other readers skip it.
        with os.fdopen(handle, "w", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, target.stat().st_mode & 0o777 if target.exists() else 0o644)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
