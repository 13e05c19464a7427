"""Who belongs to whom in a batch: captions to images, sketches to artworks.

What does not change from step to step is worked out once for the whole collection; a batch then needs a few comparisons
of numbers.
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
        self._captions = len(self._numbers)
        self._pairs = np.unique(
            np.array(owners, np.int64) * self._captions + np.array(carried, np.int64)
        )  # sorted
        self._groups = np.asarray(groups, np.int64)
        roles = {"sketch": _SKETCH, "artwork": _ARTWORK}
        self._roles = np.array([roles.get(item.role, 0) if item.pair else 0 for item in items], np.int8)

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
        columns = np.fromiter(distinct, np.int64, len(distinct))
        rows = np.asarray(indices, np.int64)
        asked = rows[:, None] * self._captions + columns  # [N, M]
        places = np.minimum(self._pairs.searchsorted(asked), len(self._pairs) - 1)
        own = self._pairs[places] == asked
        group = self._groups[rows]
        if len(np.unique(group)) < len(group):
            own = (group[:, None] == group) @ own
        roles = self._roles[rows]
        sketches, artworks = (roles == _SKETCH).nonzero()[0], (roles == _ARTWORK).nonzero()[0]
        return BatchRelations(
            list(distinct.values()),
            own,
            sketches,
            artworks,
            group[sketches][:, None] == group[artworks],
        )
