"""What optimiser steps see: the towers' inputs, with what is frozen computed once.

What lies before the first adapted stage of a tower is frozen, so its values come from the store: with only
`visual_projection` adapted a step costs microseconds instead of a second, and a tower without adapters costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import torch
from torch import Tensor, nn

from clip_atelier.engine.core import Control, Work
from clip_atelier.engine.data import ImageCache, Item, frames
from clip_atelier.engine.models import Features, Model, Tower, attached, features
from clip_atelier.engine.training.batches import Batch
from clip_atelier.engine.training.losses import Relations
from clip_atelier.engine.training.relations import CollectionRelations

_SHARE_OF_MEMORY: Final = 0.25
"""Of a graphics card's free memory that prepared pictures may take."""


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
        self._image_rows: dict[tuple[int, int], int] = {}
        self._images = torch.zeros(0)
        self._pixels: Tensor | None = None
        self._fetched: dict[Batch, Future[Tensor]] = {}
        self._fetching = ThreadPoolExecutor(1, thread_name_prefix="fetch")
        self._text_rows: dict[str, int] = {}
        self._texts = torch.zeros(0)
        self._tokens = features.Tokens(clip, ())
        self._relations: CollectionRelations | None = None
        self._base_rows: dict[int, int] = {}
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
        pairs = [(i, v) for v in range(views) for i in indices]
        self._image_rows = {pair: row for row, pair in enumerate(pairs)}
        if self.image_cut:
            values = yield from features.image_prefix(
                self.clip, self.pictures, indices, self.image_cut, control, range(views), half=True
            )
            self._images = torch.from_numpy(values).to(device)
        elif self._fits_on_device(len(pairs)):
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
            for start in range(0, len(captions), 256):
                control.boundary()
                with torch.inference_mode():
                    parts.append(
                        self.clip.text(self.clip.tokens(captions[start : start + 256]), self.text_cut)
                    )
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
            return self._images[self._rows([(index, 0) for index in indices])].cpu().numpy()
        adapter = attached(self.clip)
        assert adapter is not None
        with adapter.at(0.0):
            return (
                yield from features.image_prefix(self.clip, self.pictures, indices, cut, control, half=True)
            )

    def _rows(self, pairs: Sequence[tuple[int, int]]) -> Tensor:
        rows = self._image_rows
        return torch.tensor([rows[pair] for pair in pairs]).to(self.clip.device.place, non_blocking=True)

    def fetch_ahead(self, batch: Batch) -> None:
        """Begins to bring a batch's pictures together while the step before it is computed.

        Nothing is done where pictures are kept on the device or not computed from. Of earlier batches only the last one
        asked for stays, so two batches are held at most.
        """
        if self.image_cut or self._pixels is not None or batch in self._fetched:
            return
        kept = list(self._fetched.items())[-1:]
        self._fetched = dict(kept) | {batch: self._fetching.submit(self._fetch, batch)}

    def _fetch(self, batch: Batch) -> Tensor:
        """The pictures [B, ...] of a batch; in pinned memory for a graphics card, which then copies while it computes."""
        pixels = torch.from_numpy(self.pictures.batch(batch.indices, batch.views))
        return pixels.pin_memory() if self.clip.device.kind == "cuda" else pixels

    def images(self, batch: Batch, rows: slice) -> Tensor:
        """Embeddings [B, dim] of part of a batch, with gradients where the tower is adapted."""
        indices, views = batch.indices[rows], batch.views[rows]
        if self.image_cut:
            x = self._images.index_select(0, self._rows(list(zip(indices, views, strict=True))))
        elif self._pixels is not None:
            chosen = self._rows(list(zip(indices, views, strict=True)))
            x = self.clip.pixels(self._pixels.index_select(0, chosen))
        elif (fetched := self._fetched.get(batch)) is not None:
            x = self.clip.pixels(fetched.result()[rows])
        else:
            x = self.clip.pixels(torch.from_numpy(self.pictures.batch(indices, views)))
        return self.clip.image(x, self.image_cut)

    def texts(self, captions: Sequence[str]) -> Tensor:
        """Embeddings [M, dim] of distinct captions, with gradients where the tower is adapted."""
        chosen = [self._text_rows[caption] for caption in captions]
        if not self.text_cut:
            return self.clip.text(self._tokens.batch(chosen))
        rows = torch.tensor(chosen).to(self.clip.device.place, non_blocking=True)
        x = self._texts.index_select(0, rows)
        return x if self.text_cut == self.clip.last_cut("text") else self.clip.text_from(x, self.text_cut)

    def relations(self, batch: Batch) -> tuple[list[str], Relations]:
        """Distinct captions of a batch, and who belongs to whom."""
        if self._relations is None:
            self._relations = CollectionRelations(self.items, self.groups)
        found = self._relations.of(batch.indices, batch.captions)
        place = self.clip.device.place
        belongs, sketches, artworks, same = (
            torch.from_numpy(part).to(place, non_blocking=True)
            for part in (found.image_text, found.sketches, found.artworks, found.sketch_artwork)
        )
        alike = self._alike(batch, found.captions, belongs.float())
        return found.captions, Relations(belongs, sketches, artworks, same, *alike)

    def _alike(
        self, batch: Batch, captions: Sequence[str], belongs: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """How alike captions and images of a batch are to each other's own ones, by the untouched model."""
        if not self._base_rows or any(index not in self._base_rows for index in batch.indices):
            return None, None
        place = belongs.device
        image_rows = torch.tensor([self._base_rows[index] for index in batch.indices])
        text_rows = torch.tensor([self._text_rows[caption] for caption in captions])
        images = self._base_images.index_select(0, image_rows.to(place, non_blocking=True))
        texts = self._base_texts.index_select(0, text_rows.to(place, non_blocking=True))
        own = belongs.sum(dim=1, keepdim=True).clamp(min=1)
        back = belongs.sum(dim=0)[:, None].clamp(min=1)
        return belongs @ (texts @ texts.T) / own, belongs.T @ (images @ images.T) / back

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
        self._base_rows = {index: row for row, index in enumerate(indices)}
