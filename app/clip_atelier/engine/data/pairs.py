"""Which sketches and artworks belong together."""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, Literal

from clip_atelier.engine.core import UserError, _, shown
from clip_atelier.engine.data.caption_tables import CaptionRow
from clip_atelier.engine.data.names import folded, stem
from clip_atelier.engine.data.records import Role
from clip_atelier.engine.settings import DataSettings

SKETCH_FOLDERS: Final = frozenset(
    ("sketch", "sketches", "line", "lines", "lineart", "line art", "line drawing", "line drawings", "drawing", "drawings",
     "ink", "inks", "pencil", "rough", "roughs", "draft", "drafts", "outline", "outlines",
     "스케치", "선화", "라인", "라인아트", "밑그림", "드로잉", "러프", "초안")
)  # fmt: skip
ARTWORK_FOLDERS: Final = frozenset(
    ("artwork", "artworks", "art", "arts", "color", "colors", "colour", "colours", "colored", "coloured", "photo", "photos",
     "photograph", "photographs", "painting", "paintings", "picture", "pictures", "finished", "final", "finals", "render",
     "renders", "image", "images", "그림", "채색", "완성", "완성작", "작품", "사진", "컬러", "회화")
)  # fmt: skip
"""Folder names that tell the role of what is in them; compared without case, with _ and - as spaces."""


@dataclass(frozen=True)
class PairSide:
    """An image's part in a pair, and the key that its partners share."""

    pair: str
    role: Role


@dataclass(frozen=True)
class OwnFolder:
    """The folder that a collection was opened with, where it has further ones: it is one of several then, with a name of its own.

    Attributes:
        name: As its parent folder has it.
        further: Names of the further folders.
    """

    name: str = ""
    further: Set[str] = frozenset()

    def holds(self, path: str) -> bool:
        """Whether a drawing lies in it, and not in a further folder."""
        return bool(self.further) and path.partition("/")[0] not in self.further


ALONE: Final = OwnFolder()
"""A collection of one folder."""
_MOST_ALIKE: Final = 0.5
"""Share of the smaller folder's drawings from which on equal names are no accident."""
_FEWEST_ALIKE: Final = 3


def find_pairs(
    paths: Sequence[str],
    entries: Mapping[str, CaptionRow],
    data: DataSettings,
    notes: list[str],
    own: OwnFolder = ALONE,
) -> dict[str, PairSide]:
    """Pairs by the `pair` column where there is one, else by equal names in two folders.

    Args:
        paths: All images, relative, sorted.
        entries: What the tables say.
        data: The user's choice of folders.
        notes: Gets remarks on images without a partner.
        own: The folder that the collection was opened with, where it has further ones.

    Returns:
        path -> place, for images that have a partner only.

    Raises:
        UserError: a chosen folder holds no images.
    """
    own = _chosen_by_name(own, paths, data)
    roles = {path: _role(path, data, own) for path in paths}
    for name in ("sketches", "artworks"):
        chosen = str(getattr(data, name))
        if chosen and not any(_is_below(path, chosen, own) for path in paths):
            raise UserError(
                _("There are no images in a sub-folder “{folder}”.").format(folder=chosen),
                _("Choose a sub-folder of the collection, or leave the setting empty."),
                f"data.{name}",
            )
    declared = [path for path in paths if path in entries and entries[path].pair]
    members: dict[str, list[tuple[str, Role]]] = defaultdict(list)
    if declared:
        for path in declared:
            members[entries[path].pair].append((path, _named(entries[path].role) or roles[path][0]))
        places = {key: _with_roles(group) for key, group in members.items()}
    else:
        places = _by_folder(roles)
    complete = {key: group for key, group in places.items() if len({role for _path, role in group}) == 2}
    alone = sum(len(group) for key, group in places.items() if key not in complete)
    if alone and (complete or declared):
        notes.append(_("Images without a partner to make a pair: {count}.").format(count=alone))
    return {path: PairSide(key, role) for key, group in complete.items() for path, role in group}


def _with_roles(group: list[tuple[str, Role]]) -> list[tuple[str, Role]]:
    """Fills in unknown roles: against a known one the other, else the first is the sketch."""
    known = {role for _path, role in group if role}
    if known == {"sketch"}:
        return [(path, role or "artwork") for path, role in group]
    if known:
        return [(path, role or "sketch") for path, role in group]
    return [(path, "artwork" if position else "sketch") for position, (path, _role) in enumerate(group)]


def _by_folder(roles: Mapping[str, tuple[Role, str]]) -> dict[str, list[tuple[str, Role]]]:
    members: dict[str, list[tuple[str, Role]]] = defaultdict(list)
    artworks = {key for role, key in roles.values() if role == "artwork"}
    for path, (role, key) in roles.items():
        if role == "sketch" and key not in artworks:
            # Several sketches of one artwork: cat-1 and cat-2 belong to cat.
            shorter = re.sub(r"[ _-]+\(?\d+\)?$|\s*\(\d+\)$", "", key)
            key = shorter if shorter in artworks else key
        if role:
            members[key].append((path, role))
    return members


def _chosen_by_name(own: OwnFolder, paths: Sequence[str], data: DataSettings) -> OwnFolder:
    """The own folder without its name where a chosen sub-folder of it is called the same: that one is meant then."""
    chosen = {_folder(str(name)) for name in (data.sketches, data.artworks) if name}
    begin = folded(own.name) + "/"
    if own.further and begin in chosen and any(folded(path).startswith(begin) for path in paths):
        return OwnFolder("", own.further)
    return own


def _role(path: str, data: DataSettings, own: OwnFolder = ALONE) -> tuple[Role, str]:
    """The role that the image's folder gives, and the key that its partner in the other folder has as well."""
    choices: tuple[tuple[Literal["sketch", "artwork"], str], ...] = (
        ("sketch", data.sketches),
        ("artwork", data.artworks),
    )
    for role, chosen in choices:
        if chosen and _is_own(chosen, own) and own.holds(path):
            return role, folded(stem(path))
        if chosen and _is_below(path, chosen):
            rest = folded(path)[len(_folder(chosen)) :]
            parent = posixpath.dirname(_folder(chosen).rstrip("/"))
            # Two chosen folders may lie anywhere; one chosen folder finds its partner beside it.
            beside = parent and not (data.sketches and data.artworks)
            return role, folded(stem(f"{parent}/{rest}" if beside else rest))
    parts = path.split("/")
    for position in range(len(parts) - 2, -1, -1):
        named = _named(parts[position])
        if (named == "sketch" and not data.sketches) or (named == "artwork" and not data.artworks):
            return named, folded(stem("/".join(parts[:position] + parts[position + 1 :])))
    if own.holds(path):
        named = _named(own.name)
        if (named == "sketch" and not data.sketches) or (named == "artwork" and not data.artworks):
            return named, folded(stem(path))
    return "", ""


def like_named(paths: Sequence[str], own: OwnFolder) -> str:
    """A remark where two folders of a collection hold drawings of the same names, as sketches and their artworks do; else ""."""
    names: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        first, _slash, rest = path.partition("/")
        folder = "" if own.holds(path) else first
        names[folder].add(folded(stem(rest if folder else path)))
    alike = Counter(
        {(one, other): len(names[one] & names[other]) for one in names for other in names if one < other}
    )
    for (one, other), count in alike.most_common(1):
        if count >= max(_FEWEST_ALIKE, _MOST_ALIKE * min(len(names[one]), len(names[other]))):
            return _(
                "“{one}” and “{other}” have {count} drawings of the same names. If they are sketches and their artworks, write these "
                "two names into the settings “Folder of sketches” and “Folder of artworks”: they become pairs then."
            ).format(one=shown(one or own.name), other=shown(other), count=f"{count:,}")
    return ""


def is_role_folder(folder: str, data: DataSettings) -> bool:
    """Whether a folder's own name, or the user's choice, makes it one of sketches or of artworks."""
    if any(chosen and folded(folder) + "/" == _folder(chosen) for chosen in (data.sketches, data.artworks)):
        return True
    return bool(_named(posixpath.basename(folder)))


def _named(name: str) -> Role:
    """The role that a folder's name, or a word in the `role` column, stands for."""
    spaced = re.sub(r"[_-]+", " ", folded(name)).strip()
    return "sketch" if spaced in SKETCH_FOLDERS else "artwork" if spaced in ARTWORK_FOLDERS else ""


def _folder(chosen: str) -> str:
    return folded(chosen.replace("\\", "/").strip("/").removeprefix("./")) + "/"


def _is_below(path: str, chosen: str, own: OwnFolder = ALONE) -> bool:
    return folded(path).startswith(_folder(chosen)) or (_is_own(chosen, own) and own.holds(path))


def _is_own(chosen: str, own: OwnFolder) -> bool:
    return bool(own.further and own.name) and _folder(chosen) == folded(own.name) + "/"
