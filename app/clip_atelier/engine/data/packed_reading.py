"""Drawings in WebDataset shards, read where they are: nothing is unpacked."""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, launch, nothing_at
from clip_atelier.engine.data import frames, image_facts, image_gate, webdataset
from clip_atelier.engine.data.frames import Frame
from clip_atelier.engine.data.pixels import Fit
from clip_atelier.engine.data.records import Problem
from clip_atelier.engine.data.samples import Sample
from clip_atelier.engine.data.walk import walk

_SUFFIXES: Final = (".tar", ".tgz", ".tar.gz")
_AHEAD: Final = 32


@dataclass(frozen=True)
class PackedDrawing:
    """One drawing of a shard.

    Attributes:
        name: As the shard calls it, without a suffix.
        digest: SHA-256 of the picture's bytes, in hex.
        captions: In the order of the shard; those inside the picture where it has none.
        picture: Fitted into what the model is shown.
    """

    name: str
    digest: str
    captions: tuple[str, ...]
    picture: NDArray[np.uint8]


@dataclass(frozen=True)
class _Model:
    frame: Frame
    how: Fit

    def take(self, digest: str, picture: NDArray[np.uint8]) -> None:
        """See `Fitting`; pictures are handed on at once."""


def packed_files(source: Path, control: Control) -> list[Path]:
    """The WebDataset shards that a path leads to: itself, or all below a folder that holds no drawings beside them.

    Raises:
        UserError: there is nothing there.
    """
    if not source.exists():
        raise nothing_at(source)
    if source.is_file():
        return [source] if source.name.lower().endswith(_SUFFIXES) else []
    found = sorted(
        file
        for file in source.rglob("*.t*")
        if file.name.lower().endswith(_SUFFIXES) and not file.name.startswith(".") and file.is_file()
    )
    return found if found and not walk(source, control).images else []


def packed_drawings(
    file: Path, frame: Frame, how: Fit, problems: list[Problem], control: Control
) -> Iterator[PackedDrawing]:
    """The drawings of a shard, in its order.

    Args:
        file: The shard.
        frame: What the model is shown.
        how: How pictures are fitted into it.
        problems: Gets what cannot be read.
        control: Stop and pause.
    """
    model = _Model(frame, how)
    waiting: deque[tuple[str, Future[PackedDrawing]]] = deque()
    coming = webdataset.samples(file, problems, control)
    with ThreadPoolExecutor(launch.cores(), thread_name_prefix="decode") as pool:
        try:
            while True:
                while len(waiting) < _AHEAD and (sample := next(coming, None)) is not None:
                    waiting.append((sample.name, pool.submit(_read, file, sample, model)))
                if not waiting:
                    return
                name, future = waiting.popleft()
                try:
                    yield future.result()
                except image_gate.ImageProblem as problem:
                    problems.append(Problem(f"{file.name}/{name}", problem.reason))
        finally:
            for _name, future in waiting:
                future.cancel()


def _read(file: Path, sample: Sample, model: _Model) -> PackedDrawing:
    path, digest = file / sample.name, hashlib.sha256(sample.image).hexdigest()
    facts, picture = image_facts.read_open(path, io.BytesIO(sample.image), digest, model)
    if picture is None:
        image = image_gate.decode(path, io.BytesIO(sample.image), frames.square(model.frame))[0]
        picture = image_gate.fit(image, model.frame, model.how)
    return PackedDrawing(sample.name, facts.digest, sample.captions or facts.told, picture)
