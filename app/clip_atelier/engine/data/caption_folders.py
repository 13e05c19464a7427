"""Captions in a folder of their own: `captions/001.txt` for `images/001.png`, as NVIDIA's TAO and others have them."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Final

from clip_atelier.engine.core import _, shown
from clip_atelier.engine.data.names import folded, stem
from clip_atelier.engine.data.records import Problem

_FEWEST: Final = 2
"""Text files among no pictures: a single one is a note or a licence, and so are those that lie at the top."""


def matched(
    paths: Iterable[str], texts: Iterable[str], holding: Set[str], problems: list[Problem]
) -> dict[str, str]:
    """Which text file is about which image, where the two lie in folders beside each other.

    Their paths are the same but for one folder's name, which one of them may lack. What fits several images is of none.

    Args:
        paths: All images.
        texts: All caption files.
        holding: Folders that hold images: what lies in them captions nothing elsewhere.
        problems: Gets folders of text files that belong to no image.

    Returns:
        The text file of each image that has one.
    """
    apart = sorted(text for text in texts if posixpath.dirname(text) not in holding)
    if len(apart) < _FEWEST:
        return {}
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path in paths:
        for key in _keys(path):
            places[key].append(path)
    found: dict[str, str] = {}
    left: dict[str, list[str]] = defaultdict(list)
    for text in apart:
        images = {path for key in _keys(text) for path in places.get(key, ())}
        if len(images) == 1:
            found.setdefault(images.pop(), text)
        else:
            left[posixpath.dirname(text)].append(text)
    problems += (_unused(folder, names) for folder, names in left.items() if folder and len(names) >= _FEWEST)
    return found


def _keys(path: str) -> Iterator[tuple[str, ...]]:
    """A path without its suffix, with each folder in it left open in turn."""
    *folders, name = folded(stem(path)).split("/")
    for place in range(len(folders)):
        yield (*folders[:place], *folders[place + 1 :], name)
    yield (*folders, name)


def _unused(folder: str, names: Sequence[str]) -> Problem:
    reason = _(
        "{count} text files in this folder are captions of no picture, such as “{name}”. Give each the name of its picture, and put "
        "the folder beside the pictures' folder."
    )
    return Problem(folder, reason.format(count=len(names), name=shown(posixpath.basename(names[0]))))
