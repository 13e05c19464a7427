"""What optimiser steps see: the towers' inputs, with what is frozen computed once.

What lies before the first adapted stage of a tower is frozen, so its values come from the store: with only
`visual_projection` adapted a step costs microseconds instead of a second, and a tower without adapters costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clip_atelier.engine.core import Control, Work
from clip_atelier.engine.data import ImageCache, Item, frames
from clip_atelier.engine.models import Features, Model, Tower, attached, features
from clip_atelier.engine.training.batches import Batch
from clip_atelier.engine.training.losses import Relations
from clip_atelier.engine.training.relations import CollectionRelations
from clip_atelier.engine.training.targets import Likeness, Targets

_SHARE_OF_MEMORY: Final = 0.25
"""Of a graphics card's free memory that prepared pictures may take."""
_WORTH_A_THREAD: Final = 1 << 20
"""Bytes of a batch's pictures, below which they are copied in the time that a thread takes to begin."""
_CAPTIONS_AT_ONCE: Final = 64
"""More are hardly faster, and their hidden states are what a short training needs the most memory for."""
_NOWHERE: Final = np.iinfo(np.int64).min // 2
"""The row of an item that is not trained on: refused wherever it is asked for."""


class TrainingInputs:
    """Turns a batch into the towers' inputs, frozen parts computed once.

    Args:
        clip: The model with its adapter attached.
        items: The collection's items.
        groups: One group id per item.
        pictures: Prepared pictures of the training items.
    """

    def __init__(
        self, clip: Model, items: Sequence[Item], groups: Sequence[int], pictures: ImageCache
    ) -> None:
        self.clip = clip
        self.items = items
        self.groups = groups
        self.pictures = pictures
        adapter = attached(clip)
        assert adapter is not None
        pooled = clip.last_cut("vision") - 2
        first = adapter.first_stage("vision")
        # Hidden states of a middle layer are larger than the pictures: only pooled values and embeddings are stored.
        self.image_cut = clip.last_cut("vision") if first is None else first if first > pooled else 0
        pooled = clip.last_cut("text") - 2
        first = adapter.first_stage("text")
        self.text_cut = clip.last_cut("text") if first is None else first if first > pooled else 0
        # Of each item the row of its first view; those of a further view lie `_prepared` rows behind.
        self._first_rows = _places((), items)
        self._prepared = 0
        self._images = torch.zeros(0)
        self._pixels: Tensor | None = None
        self._fetched: dict[Batch, Future[Tensor]] = {}
        self._fetching = ThreadPoolExecutor(1, thread_name_prefix="fetch")
        self._text_rows: dict[str, int] = {}
        self._texts = torch.zeros(0)
        self._tokens = features.Tokens(clip, ())
        self._relations: CollectionRelations | None = None
        self._none = torch.zeros(0, dtype=torch.long, device=clip.device.place)
        self._base_rows = self._first_rows
        self._base_images = torch.zeros(0)
        self._base_texts = torch.zeros(0)

    @property
    def stored(self) -> bool:
        """Whether nothing but the ends of the towers is computed at each step."""
        return self.image_cut > 0 and self.text_cut > 0

    @property
    def trained_towers(self) -> list[nn.Module]:
        """The towers whose layers are computed at each step."""
        cuts: tuple[tuple[int, Tower], ...] = ((self.image_cut, "vision"), (self.text_cut, "text"))
        return [self.clip.tower(tower) for cut, tower in cuts if not cut]

    def prepare(self, indices: Sequence[int], views: int, control: Control) -> Work[None]:
        """Computes the frozen parts of the training items and their captions."""
        device = self.clip.device.place
        self._first_rows, self._prepared = _places(indices, self.items), len(indices)
        if self.image_cut:
            values = yield from features.image_prefix(
                self.clip, self.pictures, indices, self.image_cut, control, range(views), half=True
            )
            self._images = torch.from_numpy(values).to(device)
        elif self._fits_on_device(views * len(indices)):
            self._pixels = torch.cat(
                [
                    torch.from_numpy(self.pictures.batch(indices[start : start + 256], view)).to(device)
                    for view in range(views)
                    for start in range(0, len(indices), 256)
                ]
            )
        captions = list(dict.fromkeys(c for i in indices for c in self.items[i].captions))
        self._text_rows = {caption: row for row, caption in enumerate(captions)}
        if self.text_cut:
            parts = []
            for start in range(0, len(captions), _CAPTIONS_AT_ONCE):
                control.boundary()
                part = self.clip.tokens(captions[start : start + _CAPTIONS_AT_ONCE])
                with torch.inference_mode():
                    parts.append(self.clip.text(part, self.text_cut))
            # A clone: inference tensors cannot take part in training.
            self._texts = torch.cat(parts).float().clone()
        else:
            self.tokenise(captions)

    def tokenise(self, captions: Sequence[str]) -> None:
        """Keeps the token ids of all captions, for steps that compute the text tower's layers."""
        self._tokens = features.Tokens(self.clip, captions)

    def _fits_on_device(self, count: int) -> bool:
        """Whether prepared pictures are kept on a graphics card, as uint8: where they take a small part of its memory."""
        size = count * math.prod(frames.shape(self.clip.frame))
        return size <= _SHARE_OF_MEMORY * self.clip.device.free_memory()

    def pooled(self, indices: Sequence[int], control: Control) -> Work[Features]:
        """What the base hands to the image projection: [N, width] of training items, their first view."""
        cut = self.clip.last_cut("vision") - 1
        if self.image_cut == cut:
            return self._images.index_select(0, self._rows(indices, 0)).cpu().numpy()
        adapter = attached(self.clip)
        assert adapter is not None
        with adapter.at(0.0):
            return (
                yield from features.image_prefix(self.clip, self.pictures, indices, cut, control, half=True)
            )

    def _rows(self, indices: Sequence[int], views: Sequence[int] | int) -> Tensor:
        return self._on_device(
            self._first_rows[np.array(indices)] + np.multiply(views, self._prepared, dtype=np.int64)
        )

    def _on_device(self, values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(values).to(self.clip.device.place, non_blocking=True)

    def fetch_ahead(self, batch: Batch) -> None:
        """Begins to bring a batch's pictures together while the step before it is computed.

        Nothing is done where pictures are kept on the device or not computed from, and where so few bytes are at hand that
        another thread would cost more than it saves. Of earlier batches only the last one
        asked for stays, so two batches are held at most.
        """
        if self.image_cut or self._pixels is not None or batch in self._fetched:
            return
        size = len(batch.indices) * math.prod(self.pictures.shape)
        small = size < _WORTH_A_THREAD and self.clip.device.kind == "cpu"
        if small and self.pictures.at_hand(batch.indices, batch.views):
            return
        kept = list(self._fetched.items())[-1:]
        self._fetched = dict(kept) | {batch: self._fetching.submit(self._fetch, batch)}

    def _fetch(self, batch: Batch) -> Tensor:
        """The pictures [B, ...] of a batch; in pinned memory for a graphics card, which then copies while it computes."""
        pixels = torch.from_numpy(self.pictures.batch(batch.indices, batch.views))
        return pixels.pin_memory() if self.clip.device.kind == "cuda" else pixels

    def images(self, batch: Batch, rows: slice) -> Tensor:
        """Embeddings [B, dim] of part of a batch, with gradients where the tower is adapted."""
        return self.images_from(self.image_inputs(batch, rows))

    def image_inputs(self, batch: Batch, rows: slice) -> Tensor:
        """What the images of part of a batch are computed from at each step [B, …], on the device."""
        indices, views = batch.indices[rows], batch.views[rows]
        if self.image_cut:
            return self._images.index_select(0, self._rows(indices, views))
        if self._pixels is not None:
            return self.clip.pixels(self._pixels.index_select(0, self._rows(indices, views)))
        if (fetched := self._fetched.get(batch)) is not None:
            return self.clip.pixels(fetched.result()[rows])
        return self.clip.pixels(torch.from_numpy(self.pictures.batch(indices, views)))

    def images_from(self, x: Tensor) -> Tensor:
        """Embeddings [B, dim] from `image_inputs`; depends on nothing else that changes from step to step."""
        return self.clip.image(x, self.image_cut)

    def texts(self, captions: Sequence[str]) -> Tensor:
        """Embeddings [M, dim] of distinct captions, with gradients where the tower is adapted."""
        return self.texts_from(self.text_inputs(captions))

    def text_inputs(self, captions: Sequence[str]) -> Tensor:
        """What distinct captions are computed from at each step: token ids [M, T], or frozen values [M, …]."""
        chosen = [self._text_rows[caption] for caption in captions]
        if not self.text_cut:
            return self._tokens.batch(chosen)
        return self._texts.index_select(0, self._on_device(np.array(chosen)))

    def texts_from(self, x: Tensor) -> Tensor:
        """Embeddings [M, dim] from `text_inputs`, as `images_from`."""
        if not self.text_cut:
            return self.clip.text(x)
        return x if self.text_cut == self.clip.last_cut("text") else self.clip.text_from(x, self.text_cut)

    def learns(self, tower: Tower) -> bool:
        """Whether embeddings of a tower depend on what is trained."""
        return (self.image_cut if tower == "vision" else self.text_cut) < self.clip.last_cut(tower)

    def relations(self, batch: Batch) -> tuple[list[str], Relations]:
        """Distinct captions of a batch, and who belongs to whom."""
        return self.relations_of([batch], 0.0)[0]

    def relations_of(self, batches: Sequence[Batch], smoothing: float) -> list[tuple[list[str], Relations]]:
        """Distinct captions of each of some batches, and who belongs to whom.

        Args:
            batches: The batches.
            smoothing: Share of the captions' targets that follows what is alike; 0 where the base is not remembered.
        """
        if self._relations is None:
            self._relations = CollectionRelations(self.items, self.groups)
        known, place = self._relations, self.clip.device.place
        found = [known.of(batch.indices, batch.captions) for batch in batches]
        captions: dict[int, Targets] = {}
        for part in _alike([one.image_text.shape for one in found]):
            right = np.stack([found[n].image_text for n in part])
            likeness = None
            if smoothing:
                likeness = self._likeness(
                    [batches[n].indices for n in part], [found[n].captions for n in part]
                )
            captions |= dict(zip(part, Targets.of(right, place, likeness, smoothing).apart(), strict=True))
        pairs: dict[int, Targets] = {}
        for part in _alike([one.sketch_artwork.shape for one in found]):
            if (same := np.stack([found[n].sketch_artwork for n in part])).size:
                pairs |= dict(zip(part, Targets.of(same, place).apart(), strict=True))
        return [
            (
                one.captions,
                Relations(captions[n], self._some(one.sketches), self._some(one.artworks), pairs.get(n)),
            )
            for n, one in enumerate(found)
        ]

    def _some(self, rows: NDArray[np.int64]) -> Tensor:
        return self._on_device(rows) if rows.size else self._none

    def _likeness(self, items: Sequence[Sequence[int]], captions: Sequence[Sequence[str]]) -> Likeness | None:
        """How alike images and captions of batches of one size are to each other, by the untouched model."""
        rows = self._base_rows[np.array(items)]
        if rows.min() < 0:
            return None
        texts = np.array([[self._text_rows[caption] for caption in batch] for batch in captions])
        sides = (
            base.index_select(0, self._on_device(chosen.ravel())).view(*chosen.shape, -1)
            for base, chosen in ((self._base_images, rows), (self._base_texts, texts))
        )
        return Likeness(*(side @ side.mT for side in sides))

    def remember_base(self, indices: Sequence[int], control: Control) -> Work[None]:
        """Keeps the untouched model's embeddings of training items and their captions, for smoothed targets."""
        adapter = attached(self.clip)
        assert adapter is not None
        device = self.clip.device.place
        with adapter.at(0.0):
            images = yield from features.images(self.clip, self.pictures, indices, control, half=True)
            texts = features.texts(self.clip, list(self._text_rows))
        self._base_images, self._base_texts = (
            torch.from_numpy(images).to(device),
            torch.from_numpy(texts).to(device),
        )
        self._base_rows = _places(indices, self.items)


def _places(indices: Sequence[int], items: Sequence[Item]) -> NDArray[np.int64]:
    """Of each item its place among some of them."""
    places = np.full(len(items), _NOWHERE)
    places[np.array(indices, np.int64)] = np.arange(len(indices))
    return places


def _alike(shapes: Sequence[tuple[int, ...]]) -> Iterable[list[int]]:
    """Which of some matrices are of the same shape."""
    found: dict[tuple[int, ...], list[int]] = {}
    for number, shape in enumerate(shapes):
        found.setdefault(shape, []).append(number)
    return found.values()
