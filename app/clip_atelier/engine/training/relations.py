"""Who belongs to whom in a batch: captions to images, sketches to artworks.

What does not change from step to step is worked out once for the whole collection; a batch then takes a few look-ups in
tables, in time that grows with its images and not with their square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.data import Item
from clip_atelier.engine.evaluation import caption_key

_SKETCH: Final = 1
_ARTWORK: Final = 2
_NOWHERE: Final = -1
_NONE: Final = np.zeros(0, np.int64)
_NO_PAIRS: Final = np.zeros((0, 0), np.bool_)


@dataclass(frozen=True)
class BatchRelations:
    """Relations of a batch of N images and M distinct captions.

    Attributes:
        captions: The distinct captions.
        image_text: bool [N, M], which captions are right for which image.
        sketches: Rows of the images that are sketches of a pair, [S].
        artworks: Rows that are artworks of a pair, [A].
        sketch_artwork: bool [S, A], which belong together.
    """

    captions: list[str]
    image_text: NDArray[np.bool_]
    sketches: NDArray[np.int64]
    artworks: NDArray[np.int64]
    sketch_artwork: NDArray[np.bool_]


class CollectionRelations:
    """What each item of a collection carries and belongs to, as numbers.

    Args:
        items: The collection's items.
        groups: One group id per item.
    """

    def __init__(self, items: Sequence[Item], groups: Sequence[int]) -> None:
        self._numbers: dict[str, int] = {}  # by what makes two captions the same
        self._of_text: dict[str, int] = {}
        owners, carried = [], []
        for index, item in enumerate(items):
            for caption in item.captions:
                owners.append(index)
                carried.append(self._number(caption))
        self._carried = np.array(carried, np.int64)
        counts = np.bincount(np.array(owners, np.int64), minlength=len(items))
        self._counts, self._starts = counts, np.cumsum(counts) - counts
        # Groups by numbers from 0, as places in a table.
        known, self._groups = np.unique(np.asarray(groups, np.int64), return_inverse=True)
        roles = {"sketch": _SKETCH, "artwork": _ARTWORK}
        self._roles = np.array([roles.get(item.role, 0) if item.pair else 0 for item in items], np.int8)
        self._paired = bool(self._roles.any())
        # Where in a batch a caption or group is found; written and read within one call.
        self._column = np.full(len(self._numbers), _NOWHERE)
        self._row = np.zeros(len(known), np.int64)

    def _number(self, caption: str) -> int:
        number = self._of_text.get(caption)
        if number is None:
            number = self._numbers.setdefault(caption_key(caption), len(self._numbers))
            self._of_text[caption] = number
        return number

    def of(self, indices: Sequence[int], captions: Sequence[str]) -> BatchRelations:
        """Relations of some items and of captions of theirs.

        A caption is right for every image that carries it, and for every image of the batch in the same group (the other
        half of a pair, a near-duplicate): those are never each other's wrong answers.
        """
        distinct = {self._of_text[caption]: caption for caption in captions}
        rows, columns = np.array(indices), np.array(list(distinct))
        count = len(rows)
        each, group = np.arange(count), self._groups[rows]
        self._row[group] = each
        alike = self._row[group]  # one image of the batch for each group, the same for all of the group
        # What each image carries, side by side, and whose it is.
        lengths = self._counts[rows]
        ends = lengths.cumsum()
        owners = alike.repeat(lengths)
        places = np.arange(ends[-1]) + (self._starts[rows] - ends + lengths).repeat(lengths)
        self._column[columns] = np.arange(len(columns))
        at = self._column[self._carried[places]]
        self._column[columns] = _NOWHERE
        here = at != _NOWHERE
        own = np.zeros((count, len(columns)), np.bool_)
        own[owners[here], at[here]] = True
        if (alike != each).any():
            own = own[alike]
        if not self._paired:
            return BatchRelations(list(distinct.values()), own, _NONE, _NONE, _NO_PAIRS)
        roles = self._roles[rows]
        sketches, artworks = (roles == _SKETCH).nonzero()[0], (roles == _ARTWORK).nonzero()[0]
        return BatchRelations(
            list(distinct.values()), own, sketches, artworks, group[sketches][:, None] == group[artworks]
        )
