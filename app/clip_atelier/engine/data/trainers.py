"""What programs that train image generators lay into a folder of drawings: masks, and how often a folder is repeated."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any, Final

from clip_atelier.engine.core import _, shown
from clip_atelier.engine.data.names import stem
from clip_atelier.engine.settings import DataSettings

_MASKS: Final = ("-masklabel", "-condlabel")
"""OneTrainer: which part of NAME.jpg counts is painted in NAME-masklabel.png, what guides it in NAME-condlabel.png."""
_REPEATED: Final = re.compile(r"^(\d+)_(?=\S)")
"""kohya's sd-scripts: a folder "10_red cat" is gone through ten times in an epoch; the rest of its name is the caption."""


def without_masks(images: MutableMapping[str, Any]) -> list[str]:
    """Takes masks that lie beside their drawing out of `images`; returns what to tell of it."""
    stems = {stem(path) for path in images}
    masks = [
        path
        for path in images
        for end in _MASKS
        if stem(path).lower().endswith(end) and stem(path)[: -len(end)] in stems
    ]
    for path in masks:
        del images[path]
    if not masks:
        return []
    text = _("Masks of OneTrainer, which are no drawings and are left out: {count}.")
    return [text.format(count=len(masks))]


def without_repeats(folder: str) -> str:
    """A folder's name without kohya's number of repeats."""
    return _REPEATED.sub("", folder)


def _repeated(paths: Iterable[str]) -> dict[str, int]:
    """Folders with kohya's number of repeats, by their own names; none where the numbers only put folders in an order."""
    found = {}
    for path in paths:
        for part in posixpath.dirname(path).split("/"):
            if match := _REPEATED.match(part):
                found[part] = int(match[1])
    numbers = sorted(found.values())
    in_order = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return {} if in_order or numbers == [1] * len(numbers) else found


def repeats(paths: Iterable[str]) -> list[str]:
    """What to tell of folders that kohya goes through several times."""
    found = _repeated(paths)
    if not found:
        return []
    text = _(
        "Folder names begin with kohya's repeats ({names}): training sees their drawings that often in proportion, unless “Repeats of "
        "folders” is off."
    )
    return [text.format(names=", ".join(shown(name) for name in sorted(found)[:5]))]


def times(paths: Sequence[str], data: DataSettings) -> list[int]:
    """How often each drawing is gone through beside the others, as kohya's numbers say, in the smallest whole numbers: [N].

    A drawing in a folder without a number counts once, and so does each where `data.repeats` is off.
    """
    found = _repeated(paths) if data.repeats else {}
    if not found:
        return [1] * len(paths)
    told = [
        max(
            1,
            next((found[part] for part in reversed(posixpath.dirname(path).split("/")) if part in found), 1),
        )
        for path in paths
    ]
    common = math.gcd(*told)
    return [one // common for one in told]
