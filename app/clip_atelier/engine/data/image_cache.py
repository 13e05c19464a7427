"""A collection's images at the model's resolution: decoded once, kept as uint8, drawn from at every step."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, Countdown, ProblemFound, UserError, Work, _, launch
from clip_atelier.engine.data import frames, image_gate
from clip_atelier.engine.data.frames import Frame
from clip_atelier.engine.data.further_folders import located
from clip_atelier.engine.data.pixels import Fit
from clip_atelier.engine.data.records import Item
from clip_atelier.engine.settings import DataSettings
from clip_atelier.engine.storage import BlobCache

Picture = NDArray[np.uint8]

IN_MEMORY: Final = 1 << 30
"""Bytes of pictures that are kept in memory; what goes beyond is read from the store again."""
SEEN_ONCE: Final = 32 << 20
"""The same where pictures are encoded once and not looked at again."""
_LOOK_AHEAD = 64
_KEPT_AT_ONCE = 128


def _look(digest: str, frame: Frame, how: str) -> str:
    return f"{digest}:{frames.name(frame)}:{how}"


def _name(key: str) -> str:
    """A picture's name in the store."""
    return f"px:{key}"


class _Shelf:
    """Prepared pictures on their way into the store, many at a time.

    Args:
        store: Gives the store, if there is one; asked only when there is something to keep.
    """

    def __init__(self, store: Callable[[], BlobCache | None]) -> None:
        self._store = store
        self._fresh: dict[str, bytes] = {}

    def put(self, name: str, picture: Picture) -> None:
        """Keeps one picture, soon."""
        self._fresh[name] = picture.tobytes()
        if len(self._fresh) >= _KEPT_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Stores what was put here."""
        if self._fresh and (store := self._store()):
            store.put(self._fresh)
        self._fresh.clear()


class Fitted(_Shelf):
    """Puts what a scan decoded where `ImageCache` looks first (see `collection.reading.Fitting`).

    Args:
        store: Gives the store of prepared pictures; asked only when there is something to keep.
        frame: What the model is shown.
        how: How images are fitted into it.
    """

    def __init__(self, store: Callable[[], BlobCache | None], frame: Frame, how: Fit) -> None:
        super().__init__(store)
        self.frame = frame
        self.how = how

    def take(self, digest: str, picture: Picture) -> None:
        """Keeps one picture, soon."""
        self.put(_name(_look(digest, self.frame, self.how)), picture)


class ImageCache:
    """uint8 pictures of items at one size, with `data.views` varied views of each where asked for.

    Args:
        root: The collection's folder.
        items: Its items; indices below are into this sequence.
        frame: What the model is shown: the side of a square in pixels, or patches.
        data: How images are fitted and varied.
        seed: Fixes the varied views.
        store: Where decoded pictures are kept between runs, if anywhere.
        memory: Bytes of pictures that are kept in memory.
    """

    def __init__(
        self,
        root: Path,
        items: Sequence[Item],
        frame: Frame,
        data: DataSettings,
        seed: int = 0,
        store: BlobCache | None = None,
        memory: int = IN_MEMORY,
    ) -> None:
        self.root = root
        self.items = items
        self.frame = frame
        self.shape = frames.shape(frame)
        self.data = data
        self.seed = seed
        self.store = store
        self._most = memory
        self._memory: dict[tuple[int, int], Picture] = {}

    def key(self, index: int, view: int = 0) -> str:
        """Name of a picture's content: the same image, frame and view always have the same name."""
        look = _look(self.items[index].digest, self.frame, self.data.image_fit)
        return look if view == 0 else f"{look}:{view}:{self.data.crop_min}:{self.data.flip}:{self.seed}"

    def _decode(self, index: int, view: int) -> Picture:
        item = self.items[index]
        # Pixels are only ever kept under the digest of their own bytes.
        image = image_gate.load(located(self.root, item.path), self.frame, item.digest)
        how = self.data.image_fit
        if view == 0:
            return image_gate.fit(image, self.frame, how)
        return image_gate.view(image, self.frame, how, view, self.data.crop_min, self.data.flip, self.seed)

    def take(self, index: int, picture: Picture) -> None:
        """Has an item's picture that was prepared elsewhere at hand, as far as memory allows."""
        self._remember(index, 0, picture)

    def _remember(self, index: int, view: int, picture: Picture) -> None:
        if (len(self._memory) + 1) * picture.nbytes <= self._most:
            self._memory[index, view] = picture

    def prepare(self, indices: Sequence[int], control: Control, views: int = 1) -> Work[tuple[int, ...]]:
        """Decodes what is not there yet, with a bounded look-ahead; returns the indices that could not be read.

        Such an image was replaced or removed after the scan; each is named by a `ProblemFound` event.
        """
        wanted = [(i, v) for i in indices for v in range(views) if (i, v) not in self._memory]
        names = {pair: _name(self.key(*pair)) for pair in wanted}
        failed: dict[int, None] = {}
        length = math.prod(self.shape)
        missing = []
        for start in range(0, len(wanted), 256):
            control.boundary()
            part = wanted[start : start + 256]
            stored = self.store.get([names[pair] for pair in part]) if self.store else {}
            for pair in part:
                data = stored.get(names[pair])
                if data is not None and len(data) == length:
                    self._remember(*pair, np.frombuffer(data, np.uint8).reshape(self.shape))
                else:
                    missing.append(pair)
        countdown = Countdown(len(missing))
        shelf = _Shelf(lambda: self.store)
        for done, (pair, result) in enumerate(self._ahead(missing, control), 1):
            if isinstance(result, UserError):
                if pair[0] not in failed:
                    yield ProblemFound(path=self.items[pair[0]].path, reason=result.message)
                failed[pair[0]] = None
            else:
                self._remember(*pair, result)
                shelf.put(names[pair], result)
            if done % 32 == 0 or done == len(missing):
                yield countdown.at(done, self.items[pair[0]].path)
        shelf.flush()
        return tuple(failed)

    def _ahead(
        self, pairs: Sequence[tuple[int, int]], control: Control
    ) -> Iterator[tuple[tuple[int, int], Picture | UserError]]:
        with ThreadPoolExecutor(launch.cores(), thread_name_prefix="decode") as pool:
            waiting: deque[tuple[tuple[int, int], Future[Picture]]] = deque()
            rest = iter(pairs)
            try:
                while True:
                    while len(waiting) < _LOOK_AHEAD and (pair := next(rest, None)) is not None:
                        waiting.append((pair, pool.submit(self._decode, *pair)))
                    if not waiting:
                        return
                    control.boundary()
                    pair, future = waiting.popleft()
                    try:
                        yield pair, future.result()
                    except UserError as error:
                        yield pair, error
                    except OSError as error:
                        yield (
                            pair,
                            UserError(_("cannot be read: {reason}").format(reason=error.strerror or error)),
                        )
            finally:
                for _pair, future in waiting:
                    future.cancel()

    def at_hand(self, indices: Sequence[int], views: Sequence[int]) -> bool:
        """Whether memory holds all of some pictures."""
        return all(pair in self._memory for pair in zip(indices, views, strict=True))

    def batch(self, indices: Sequence[int], view: int | Sequence[int] = 0) -> Picture:
        """Pictures [B, …] of the frame's shape; those that memory could not hold come from the store or the file.

        Raises:
            UserError: an image is no longer readable.
        """
        views = [view] * len(indices) if isinstance(view, int) else list(view)
        found = [self._memory.get(pair) for pair in zip(indices, views, strict=True)]
        pictures = [
            self._fetched(*pair) if picture is None else picture
            for pair, picture in zip(zip(indices, views, strict=True), found, strict=True)
        ]
        # Side by side in one call, which for small pictures takes a third of the time of one after the other.
        whole = np.concatenate(pictures) if pictures else np.empty(0, np.uint8)
        return whole.reshape(len(pictures), *self.shape)

    def _fetched(self, index: int, view: int) -> Picture:
        """A picture that memory does not hold."""
        name = _name(self.key(index, view))
        data = self.store.get([name]).get(name) if self.store else None
        if data is not None and len(data) == math.prod(self.shape):
            return np.frombuffer(data, np.uint8).reshape(self.shape)
        return self._decode(index, view)
