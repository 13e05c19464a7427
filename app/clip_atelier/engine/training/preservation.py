"""Preservation: the model is held to what it said before of drawings and words that are not the learner's.

Some drawings and captions of the control set that comes with the program are embedded at every step, and how far their
embeddings went from the untouched model's is added to the loss.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clip_atelier.engine.core import Control, Work, paths
from clip_atelier.engine.data import ImageCache, scan
from clip_atelier.engine.models import Adapter, Model, Tower, features
from clip_atelier.engine.settings import DataSettings
from clip_atelier.engine.storage import BlobCache

PER_STEP: Final = 16
"""Drawings, and as many captions, that a step looks at."""
MOST: Final = 256
"""Drawings that are looked at in turn."""


class Preservation:
    """The control set, prepared for one update.

    Args:
        clip: The model.
        adapter: Its update; a tower that it does not touch cannot drift and is left out.
        image_cut: Where the stored part of the vision tower ends, 0 where nothing is stored.
        seed: With the step, decides which drawings are looked at.
        store: Where pictures and frozen values are kept, so that they are computed once for all folds and runs.
    """

    def __init__(
        self, clip: Model, adapter: Adapter, image_cut: int, seed: int, store: BlobCache | None
    ) -> None:
        self.clip = clip
        self.adapter = adapter
        both: tuple[Tower, ...] = ("vision", "text")
        self._towers = {tower for tower in both if adapter.touches(tower)}
        self.image_cut = image_cut
        self.seed = seed
        self.store = store
        self._inputs: Tensor = torch.zeros(0)
        self._tokens = features.Tokens(clip, ())
        self._images: Tensor = torch.zeros(0)
        self._texts: Tensor = torch.zeros(0)

    def prepare(self, control: Control) -> Work[None]:
        """Reads the control set and embeds it by the untouched model."""
        clip, device = self.clip, self.clip.device.place
        collection = yield from scan(paths.control_collection(), DataSettings(), control)
        items = collection.items[:MOST]
        pictures = ImageCache(collection.root, collection.items, clip.frame, DataSettings(), store=self.store)
        bad = set((yield from pictures.prepare(range(len(items)), control)))
        indices = [i for i in range(len(items)) if i not in bad]
        captions = [items[i].captions[0] for i in indices]
        with self.adapter.at(0.0):
            images = yield from features.images(clip, pictures, indices, control)
            texts = features.texts(clip, captions)
            if self.image_cut:
                stored = yield from features.image_prefix(
                    clip, pictures, indices, self.image_cut, control, half=True
                )
                self._inputs = torch.from_numpy(stored).to(device)
            else:
                self._inputs = torch.from_numpy(pictures.batch(indices)).to(device)
            self._images, self._texts = (
                torch.from_numpy(images).to(device),
                torch.from_numpy(texts).to(device),
            )
        self._tokens = features.Tokens(clip, captions)

    def looked_at(self, step: int) -> list[Tensor]:
        """What a step looks at of the control set: for each adapted tower its inputs and the untouched model's answers."""
        chosen = np.random.default_rng([self.seed, step, PER_STEP]).integers(len(self._images), size=PER_STEP)
        rows = torch.from_numpy(chosen).to(self.clip.device.place, non_blocking=True)
        found = []
        if "vision" in self._towers:
            x = self._inputs.index_select(0, rows)
            found += [x if self.image_cut else self.clip.pixels(x), self._images.index_select(0, rows)]
        if "text" in self._towers:
            found += [self._tokens.batch(chosen.tolist()), self._texts.index_select(0, rows)]
        return found

    def drift(self, *looked_at: Tensor) -> Tensor:
        """How far that went from where it was: 1 - cosine, of drawings and captions together."""
        given = iter(looked_at)
        total = torch.zeros((), device=self.clip.device.place)
        if "vision" in self._towers:
            total = total + self._gone(self.clip.image(next(given), self.image_cut), next(given))
        if "text" in self._towers:
            total = total + self._gone(self.clip.text(next(given)), next(given))
        return total

    @staticmethod
    def _gone(now: Tensor, before: Tensor) -> Tensor:
        """Mean of 1 - cosine between embeddings [N, dim] and unit vectors [N, dim]."""
        return (1 - (F.normalize(now.float(), dim=1) * before).sum(dim=1)).mean()
