"""Drawings of a folder that nobody has read yet are embedded as they are read, so that answers need not wait for the last."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import UserError, Work
from clip_atelier.engine.data import ImageCache, ImageFacts, Item
from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space
from clip_atelier.engine.search.loaded_model import LoadedModel
from clip_atelier.engine.storage import BlobCache

_TELL_EVERY: Final = 5.0
"""Seconds between two times that is told what is known so far."""
_AT_ONCE: Final = 1.0
"""Seconds of embedding between two moments at which somebody who asks gets the model."""

Embed = Callable[[ImageCache, Sequence[int], dict[Space, set[str]]], Work[None]]


class Pace:
    """How many drawings are embedded, and stored, at a time while somebody may ask.

    Args:
        least: Where it begins; every size is this, doubled some times, so that all batches of the model are of one size.
        most: What it does not go beyond.
    """

    def __init__(self, least: int, most: int) -> None:
        self._least = min(least, most)
        self._most = most
        self.size = self._least

    def took(self, count: int, seconds: float) -> None:
        """So many drawings took so long."""
        if seconds > _AT_ONCE:
            self.size = max(self.size // 2, self._least)
        elif count >= self.size and 2 * seconds <= _AT_ONCE:
            self.size = min(2 * self.size, self._most)


class Telling:
    """Tells what is known so far, every now and then; that takes a tenth of the time at most.

    Args:
        tell: Tells it. A UserError says that nothing is known yet.
    """

    def __init__(self, tell: Callable[[], object]) -> None:
        self._tell = tell
        self._due = float("-inf")

    def now_and_then(self) -> None:
        """Tells it where it is time."""
        began = time.monotonic()
        if began < self._due:
            return
        with contextlib.suppress(UserError):
            self._tell()
        now = time.monotonic()
        self._due = now + max(_TELL_EVERY, 10 * (now - began))


class WhileReading:
    """Takes drawings as a scan reads them (see `data.scan`), and embeds those that it decoded.

    Args:
        root: The folder.
        loaded: The model.
        spaces: Where the drawings are embedded.
        store: Keeps the embeddings.
        cache: Gives the store of features.
        pace: How many are embedded at a time.
        embed: Embeds some of an image cache's drawings in the spaces that lack them.

    Attributes:
        items: What was read so far. Their captions and pairs are not known before all is read.
        added: Digests that were embedded.
        telling: Tells what is known so far, if anybody wants to know.
    """

    def __init__(
        self,
        root: Path,
        loaded: LoadedModel,
        spaces: Sequence[Space],
        store: EmbeddingStore,
        cache: Callable[[], BlobCache],
        pace: Pace,
        embed: Embed,
    ) -> None:
        self.items: list[Item] = []
        self.added: set[str] = set()
        self.telling: Telling | None = None
        self._root = root
        self._loaded = loaded
        self._cache = cache
        self._pace = pace
        self._embed = embed
        self._known = {space: store.digests(space) for space in spaces}
        self._waiting: dict[str, tuple[Item, NDArray[np.uint8]]] = {}

    def take(self, path: str, facts: ImageFacts, picture: NDArray[np.uint8] | None) -> Work[None]:
        """Takes a drawing that was read; its picture where it was decoded."""
        item = Item(path=path, digest=facts.digest, captions=(Path(path).stem,))
        self.items.append(item)
        if picture is None or all(facts.digest in known for known in self._known.values()):
            return
        self._waiting[facts.digest] = item, picture
        if len(self._waiting) < self._pace.size:
            return
        began, waiting = time.monotonic(), list(self._waiting.values())
        self._waiting.clear()
        pictures = ImageCache(
            self._root,
            [item for item, _picture in waiting],
            self._loaded.model.frame,
            self._loaded.data,
            store=self._cache(),
        )
        for number, (_item, seen) in enumerate(waiting):
            pictures.take(number, seen)
        digests = {item.digest for item, _picture in waiting}
        wanted = {space: digests - known for space, known in self._known.items()}
        yield from self._embed(pictures, range(len(waiting)), wanted)
        for known in self._known.values():
            known |= digests
        self.added |= digests
        self._pace.took(len(waiting), time.monotonic() - began)
        if self.telling is not None:
            self.telling.now_and_then()
