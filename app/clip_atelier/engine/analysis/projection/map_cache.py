"""Drawn maps, kept in the home's store: t-SNE of the same vectors is not done twice."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.storage import BlobCache

log = logging.getLogger(__name__)

_METHOD = 2  # how maps are drawn; counted up where the same vectors give another map

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ground:
    """A map, and what others are compared with.

    Attributes:
        layout: [N, 2].
        neighbours: [N, k], the nearest in the embedding that it shows.
        again: [N, 2], the control, where it was drawn.
        scores: Of this map.
    """

    layout: Floats
    neighbours: Ints
    again: Floats | None
    scores: dict[str, float]


class MapCache:
    """One map's place in the store, named by everything that decides it.

    Args:
        store: None keeps nothing.
        kind: What kind of map.
        perplexity: As asked for.
        seed: Of the drawing.
        vectors: What is drawn, and on what.
    """

    def __init__(
        self, store: BlobCache | None, kind: str, perplexity: float, seed: int, *vectors: NDArray[np.float32]
    ) -> None:
        self._store = store
        self._key = ""
        if store is not None:
            drawn_by = (
                _METHOD,
                version("openTSNE"),
                version("numpy"),
                perplexity,
                seed,
                [v.shape for v in vectors],
            )
            digest = hashlib.blake2b(repr(drawn_by).encode(), digest_size=24)
            for part in vectors:
                digest.update(np.ascontiguousarray(part).data)
            self._key = f"{kind}:{digest.hexdigest()}"

    def read(self) -> Ground | None:
        """The map, or None where there is none."""
        if self._store is None or self._key not in self._store.known([self._key]):
            return None
        try:
            with np.load(io.BytesIO(self._store.get([self._key])[self._key]), allow_pickle=False) as stored:
                arrays: dict[str, NDArray[Any]] = {name: stored[name] for name in stored.files}
            scores = json.loads(arrays["scores"].tobytes())
            return Ground(arrays["layout"], arrays["neighbours"], arrays.get("again"), scores)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("a kept map cannot be read and is drawn again: %s", error)
            return None

    def write(self, ground: Ground) -> None:
        """Keeps a map.

        Raises:
            WorkError: the disk is full or the store cannot be written.
        """
        if self._store is None:
            return
        arrays: dict[str, NDArray[Any]] = {
            "layout": ground.layout,
            "neighbours": ground.neighbours,
            "scores": np.frombuffer(json.dumps(ground.scores).encode(), np.uint8),
        }
        if ground.again is not None:
            arrays["again"] = ground.again
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]
        self._store.put({self._key: stream.getvalue()})
