"""A collection as the parts see it: embeddings of its drawings and captions, and what belongs together."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike

from clip_atelier.engine.data import Item
from clip_atelier.engine.evaluation import caption_key
from clip_atelier.engine.parts.arrays import BoolArray, FloatArray, IntArray, unit


@dataclass(frozen=True)
class Embedded:
    """Unit embeddings of N drawings and M distinct captions, with what the collection knows of them.

    Attributes:
        images: Unit image embeddings [N, d].
        texts: Unit caption embeddings [M, d].
        strings: The M distinct captions.
        captions: For each drawing the positions of its captions in `strings`.
        pairs: A pair name for each drawing ("" for none), or None where the collection has no pairs.
        roles: "sketch", "artwork" or "" for each drawing, or None.
    """

    images: FloatArray
    texts: FloatArray
    strings: tuple[str, ...]
    captions: tuple[tuple[int, ...], ...]
    pairs: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls, items: Sequence[Item], strings: Sequence[str], images: ArrayLike, texts: ArrayLike
    ) -> Embedded:
        """Of items with embeddings of any length.

        Args:
            items: N items.
            strings: Their distinct captions, as `distinct_captions` gives them.
            images: [N, d].
            texts: [M, d].
        """
        place = {caption_key(caption): n for n, caption in enumerate(strings)}
        captions = tuple(
            tuple(dict.fromkeys(place[caption_key(caption)] for caption in item.captions)) for item in items
        )
        paired = any(item.pair and item.role for item in items)
        return cls(
            unit(images),
            unit(texts),
            tuple(strings),
            captions,
            tuple(item.pair for item in items) if paired else None,
            tuple(item.role for item in items) if paired else None,
        )

    def __len__(self) -> int:
        """Number of drawings."""
        return len(self.images)

    @cached_property
    def relevance(self) -> BoolArray:
        """Which caption belongs to which drawing, [M, N]."""
        table = np.zeros((len(self.strings), len(self)), dtype=np.bool_)
        for drawing, positions in enumerate(self.captions):
            table[list(positions), drawing] = True
        return table

    def embedded_as(self, images: ArrayLike, texts: ArrayLike) -> Embedded:
        """The same collection in other embeddings, of any length."""
        return replace(self, images=unit(images), texts=unit(texts))

    def role_indices(self, subset: IntArray, role: str) -> IntArray:
        """Members of `subset` that have a role and a pair, in order."""
        if self.roles is None or self.pairs is None:
            return np.zeros(0, dtype=np.int64)
        return np.array([i for i in subset if self.roles[i] == role and self.pairs[i]], dtype=np.int64)

    def captions_of(self, subset: IntArray) -> IntArray:
        """Positions of the captions that the drawings of `subset` have, in order."""
        if not self.strings or not len(subset):
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(self.relevance[:, subset].any(axis=1)).astype(np.int64)


def distinct_captions(items: Sequence[Item]) -> tuple[str, ...]:
    """The captions of items, each once however it is spelled, as it was written last."""
    return tuple({caption_key(caption): caption for item in items for caption in item.captions}.values())


@lru_cache(maxsize=65536)
def tokenize(text: str) -> tuple[str, ...]:
    """Distinct words of a caption: normalised, case-folded, in order of appearance, any script."""
    folded = unicodedata.normalize("NFC", text).casefold()
    cleaned = "".join(ch if ch.isalnum() else " " for ch in folded)
    return tuple(dict.fromkeys(cleaned.split()))


def assign_folds(items: Sequence[Item], groups: Sequence[int], count: int = 5, seed: int = 0) -> IntArray:
    """Deals drawings to folds: groups stay whole, classes (or captions that many share) are spread evenly.

    Args:
        items: N items.
        groups: One id per item; those of one group are never in different folds, as in a split.
        count: Number of folds.
        seed: Seed of the shuffling.

    Returns:
        Fold of each drawing [N], every fold within a drawing or a group of the others.
    """
    rng = np.random.default_rng(seed)
    first: dict[int, int] = {}
    for index, group in enumerate(groups):
        first.setdefault(group, index)
    sets = [tuple(sorted(map(caption_key, item.captions))) for item in items]
    times = Counter(sets)
    strata: dict[str, list[int]] = {}
    for group, index in first.items():
        label = items[index].label or ("/".join(sets[index]) if times[sets[index]] >= 3 else "")
        strata.setdefault(label, []).append(group)
    fold: dict[int, int] = {}
    start = 0
    for label in sorted(strata):
        for place, chosen in enumerate(rng.permutation(len(strata[label]))):
            fold[strata[label][int(chosen)]] = (place + start) % count
        # The next class goes on where this one ended, so that small classes do not all begin in the first fold.
        start = (start + len(strata[label])) % count
    return np.array([fold[group] for group in groups], dtype=np.int64)
