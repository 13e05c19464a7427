"""A folder looked at again and again at little cost: the whole of it only where something may have changed.

Looking at every file of a hundred thousand takes a second of a processor. Names that come, go or change show in their
folder's own time, so folders are asked first, and of the files only those that were written to a short while ago.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import Control, document_of_page
from clip_atelier.engine.data.further_folders import places_of
from clip_atelier.engine.data.scan_cache import Stamp
from clip_atelier.engine.data.walk import FolderState, walk

_FRESH: Final = 60.0
"""Seconds for which a file that was written to may be written to once more."""
_TICK: Final = 2.0
"""Seconds within which two changes may bear the same time, on the coarsest file systems."""
_MOST_FRESH: Final = 2000


class FolderLooks:
    """Looks at one folder.

    Args:
        root: The folder.

    Attributes:
        state: As of the last whole look; None before the first.
        took: Seconds that it took.
        at: When it ended, on the monotonic clock.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state: FolderState | None = None
        self.took = 0.0
        self.at = float("-inf")
        self._folders: dict[str, int] = {}
        self._fresh: dict[str, Stamp] = {}
        self._absent: tuple[str, ...] = ()
        self._settled = False
        self._when = float("-inf")

    def whole(self, control: Control) -> FolderState:
        """Looks at every file. What changes a file in its place, long after it was written, is seen by this alone.

        Raises:
            Stopped: a stop was asked for.
        """
        began, now = time.monotonic(), time.time()
        found = walk(self.root, control)
        state = FolderState(found.images, frozenset(found.side_files))
        if state != self.state:
            self.state = state
        newest = max(found.folders.values(), default=0) / 1e9
        fresh = {path: stamp for path, stamp in found.images.items() if _age(stamp, now) < _FRESH}
        self._settled = (
            newest < now - _TICK
            and len(fresh) <= _MOST_FRESH
            and all(_age(stamp, now) > _TICK for stamp in fresh.values())
        )
        self._when = now
        self._folders = found.folders
        self._absent = found.absent
        self._fresh = fresh if self._settled else {}
        self.at = time.monotonic()
        self.took = self.at - began
        assert self.state is not None
        return self.state

    def at_rest(self, former: FolderState | None) -> bool:
        """Whether what came or changed since a former look is not being written to any more, as its times tell.

        What is renamed or moved keeps the time at which it was written last. Other files than images are known by their
        names alone, so nothing is told of a new one.
        """
        state = self.state
        if state is None or former is None or not state.side_files <= former.side_files:
            return False
        return all(
            stamp.mtime_ns / 1e9 < self._when - _TICK
            for path, stamp in state.images.items()
            if former.images.get(path) != stamp
        )

    def quiet(self) -> bool:
        """Whether nothing seems to have changed since the last whole look; it may have, where that cannot be told."""
        places = places_of(self.root)
        if not self._settled or any(places.further[n].there for n in self._absent if n in places.further):
            return False
        try:
            return all(
                os.stat(places.file(path)).st_mtime_ns == changed for path, changed in self._folders.items()
            ) and all(
                Stamp.of(os.stat(places.file(document_of_page(path) or path))) == stamp
                for path, stamp in self._fresh.items()
            )
        except OSError:
            return False


def _age(stamp: Stamp, now: float) -> float:
    """Seconds since a file was written to or moved."""
    return now - max(stamp.mtime_ns, stamp.ctime_ns) / 1e9
