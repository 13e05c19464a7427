"""Which images and captions a step sees: a pure function of the seed and the step, so that resuming needs no state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.data import Item, trainers
from clip_atelier.engine.settings import Settings, TrainSettings

_REMEMBERED: Final = 16


@dataclass(frozen=True)
class Batch:
    """One step's material.

    Attributes:
        indices: Items.
        views: The view of each item.
        captions: One caption of each item (its text, not yet made distinct).
    """

    indices: tuple[int, ...]
    views: tuple[int, ...]
    captions: tuple[str, ...]


class Batches:
    """The batches of all epochs.

    What must be seen together, the sketches and artworks of a pair, is one unit and never torn apart; a batch holds
    about `batch_size` images. Units are spread evenly, so that no batch of an epoch is a lonely remainder.

    Args:
        items: The collection's items.
        indices: The training items.
        groups: One group id per item of the collection.
        batch_size: Images per batch.
        views: Varied views per image.
        seed: Fixes order, views and captions.
        times: How often each item of the collection is seen in an epoch; once where it is left out. A unit counts as its most
            frequent item.
    """

    def __init__(
        self,
        items: Sequence[Item],
        indices: Sequence[int],
        groups: Sequence[int],
        batch_size: int,
        views: int,
        seed: int,
        times: Sequence[int] = (),
    ) -> None:
        self.items = items
        self.views = views
        self.seed = seed
        units: dict[object, list[int]] = {}
        for index in indices:
            # Only pairs are one unit; near-duplicates in one batch would teach nothing together.
            key: object = ("pair", groups[index]) if items[index].pair else index
            units.setdefault(key, []).append(index)
        self.units = [
            unit for unit in units.values() for _ in range(max(times[i] for i in unit) if times else 1)
        ]
        self._order: tuple[int, list[NDArray[np.int64]]] | None = None
        self._drawn: dict[int, Batch] = {}
        seen = sum(len(unit) for unit in self.units)
        self.per_epoch = min(max(1, round(seen / batch_size)), max(1, len(self.units) // 2))

    @classmethod
    def of(
        cls, items: Sequence[Item], indices: Sequence[int], groups: Sequence[int], settings: Settings
    ) -> Batches:
        """The batches of a run with these settings."""
        train = settings.train
        times = trainers.times([item.path for item in items], settings.data)
        return cls(items, indices, groups, train.batch_size, settings.data.views, train.seed, times)

    def total(self, train: TrainSettings) -> int:
        """How many steps a training takes: a fixed number, or as many as the epochs come to."""
        return train.steps or self.per_epoch * train.epochs

    def at(self, step: int) -> Batch:
        """The batch of a step, counted from 0; those asked for last are remembered, as they are asked for some steps ahead."""
        found = self._drawn.get(step)
        if found is None:
            if len(self._drawn) >= _REMEMBERED:
                self._drawn.pop(next(iter(self._drawn)))
            found = self._drawn[step] = self._draw(step)
        return found

    def _draw(self, step: int) -> Batch:
        epoch, position = divmod(step, self.per_epoch)
        mine = self._epoch(epoch)[position]
        indices = tuple(index for unit in mine.tolist() for index in self.units[unit])
        said = [self.items[i].captions for i in indices]
        counts = [len(one) for one in said]
        # Where there is nothing to choose, nothing is drawn either, and no generator made.
        if self.views == 1 and max(counts) == 1:
            return Batch(indices, (0,) * len(indices), tuple([one[0] for one in said]))
        draw = np.random.default_rng([self.seed, epoch, position])
        # One call draws what a call for each image would: nothing for those with one caption.
        chosen = draw.integers(counts, size=len(counts)).tolist()
        captions = tuple([one[number] for one, number in zip(said, chosen, strict=True)])
        return Batch(indices, tuple(draw.integers(self.views, size=len(indices)).tolist()), captions)

    def _epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """The units of each batch of an epoch; the last one asked for is remembered."""
        if self._order is None or self._order[0] != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.units))
            self._order = epoch, np.array_split(order, self.per_epoch)
        return self._order[1]
