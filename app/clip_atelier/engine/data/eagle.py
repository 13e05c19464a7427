"""Libraries of Eagle: `NAME.library/images/ID.info/` holds a drawing, its thumbnail, and metadata.json about it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import _, bounded_json
from clip_atelier.engine.data import caption_tables, image_gate
from clip_atelier.engine.data.further_folders import located
from clip_atelier.engine.data.records import Problem
from clip_atelier.engine.data.text_encoding import UnreadableText, decoded

INFO: Final = ".info"
"""End of the name of the folder that holds one drawing."""
_ABOUT: Final = "metadata.json"
_OF_LIBRARY: Final = frozenset(
    ("metadata.json", "tags.json", "mtime.json", "actions.json", "saved-filters.json")
)


def take(
    root: Path, images: MutableMapping[str, Any], side_files: set[str], problems: list[Problem]
) -> dict[str, list[str]]:
    """What Eagle says of the drawings: the note, else the tags as one caption, else the name that was given in it.

    Its thumbnails, and what lies in its trash, are taken out of `images`; its files out of `side_files`.

    Args:
        root: The collection's folder.
        images: By path, relative to it.
        side_files: All files that may be captions.
        problems: Gets files of Eagle that are not understood.
    """
    told: dict[str, list[str]] = {}
    folders = {
        posixpath.dirname(path)
        for path in side_files
        if posixpath.basename(path) == _ABOUT and posixpath.dirname(path).endswith(INFO)
    }
    if not folders:
        return told
    inside: dict[str, list[str]] = {}
    for path in images:
        if posixpath.dirname(path) in folders:
            inside.setdefault(posixpath.dirname(path), []).append(path)
    for folder in sorted(folders):
        about = _about(root, f"{folder}/{_ABOUT}", problems)
        side_files.discard(f"{folder}/{_ABOUT}")
        for path in inside.get(folder, ()):
            stem = posixpath.splitext(posixpath.basename(path))[0]
            if about.get("isDeleted") is True or stem.endswith("_thumbnail"):
                del images[path]
            elif captions := _captions(about):
                told[path] = captions
    libraries = {posixpath.dirname(posixpath.dirname(folder)) for folder in folders}
    side_files -= {posixpath.join(library, name) for library in libraries for name in _OF_LIBRARY}
    return told


def _about(root: Path, path: str, problems: list[Problem]) -> Mapping[str, Any]:
    try:
        value = bounded_json(
            decoded(caption_tables.content_of(located(root, path), caption_tables.MAX_BYTES))[0]
        )
    except (image_gate.ImageProblem, UnreadableText) as problem:
        problems.append(Problem(path, getattr(problem, "reason", str(problem))))
        return {}
    except ValueError as error:
        problems.append(Problem(path, _("It is not JSON: {reason}").format(reason=error)))
        return {}
    return value if isinstance(value, dict) else {}


def _captions(about: Mapping[str, Any]) -> list[str]:
    note, tags, name = about.get("annotation"), about.get("tags"), about.get("name")
    if isinstance(note, str) and note.strip():
        return [note]
    if isinstance(tags, list) and (words := [tag for tag in tags if isinstance(tag, str) and tag.strip()]):
        return [", ".join(words)]
    return [name] if isinstance(name, str) and name.strip() else []
