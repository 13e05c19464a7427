"""A folder of images embedded by the base and by a run's adapted model; what is known already is read, not computed."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import (
    Control,
    Countdown,
    Notice,
    Phase,
    Progress,
    T,
    UserError,
    Work,
    _,
    mapped,
    shown,
)
from clip_atelier.engine.data import Collection, Fitted, ImageCache, Item, image_gate, scan, scan_cache_file
from clip_atelier.engine.models import STARTER, Adapter, Model, Models, features
from clip_atelier.engine.runs import Runs, open_run
from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.search.results import IndexSummary
from clip_atelier.engine.settings import DataSettings, HardwareSettings
from clip_atelier.engine.storage import BlobCache

Vectors = NDArray[np.float32]

# Images embedded, and stored, at a time: what a crash or a stop can cost at most.
_BATCH: Final = 8 * features.BATCH


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model to look at images with: the base, and a run's update where one is given.

    Attributes:
        adapter: None without a run; its strength is the one looked through.
        data: How images are fitted into the square.
        hardware: Where it computes, and how much it may keep on disk.
        base: Space of the base's embeddings.
        adapted: Space of the adapted image embeddings; equal to `base` where the update changes no image.
    """

    clip: Model
    adapter: Adapter | None
    data: DataSettings
    hardware: HardwareSettings
    base: Space
    adapted: Space

    @property
    def strength(self) -> float:
        """What the update is multiplied by."""
        return self.adapter.adapter_scale if self.adapter else 0.0


def load_model(model_ref: ModelRef, models: Models) -> LoadedModel:
    """Opens a run's model with its update, or a model alone.

    Raises:
        UserError: no such run or model, or the run has no checkpoint.
    """
    if model_ref.run is None:
        hardware = model_ref.hardware or HardwareSettings()
        clip, data = models.open(model_ref.model or STARTER, hardware), DataSettings()
        base = Space(clip.fingerprint, data.image_fit, precision=clip.device.precision)
        return LoadedModel(clip, None, data, hardware, base, base)
    opened = open_run(Runs(models.home).open(model_ref.run), models, model_ref.strength, model_ref.hardware)
    clip, adapter = opened.clip, opened.adapter
    # Only how images are fitted is the run's affair: another folder has its own captions and pairs.
    data = DataSettings(image_fit=opened.run.settings.data.image_fit)
    base = Space(clip.fingerprint, data.image_fit, precision=clip.device.precision)
    changed = adapter.touches("vision") and adapter.adapter_scale != 0
    adapted = replace(base, adapter=opened.content, strength=adapter.adapter_scale) if changed else base
    return LoadedModel(clip, adapter, data, model_ref.hardware or opened.run.settings.hardware, base, adapted)


@dataclass(frozen=True)
class Gallery:
    """The images of a folder that could be embedded.

    Attributes:
        items: [N], ordered by path.
        base: [N, dim] unit rows, by the base model.
        adapted: [N, dim] by the adapted model; the same array as `base` where the update changes no image.
        embedded: Images that were new in at least one of the spaces.
        skipped: Images that could not be read.
    """

    root: Path
    items: tuple[Item, ...]
    base: Vectors
    adapted: Vectors
    embedded: int
    skipped: int
    seconds: float


def index(folder: Path, model_ref: ModelRef, models: Models, control: Control) -> Work[IndexSummary]:
    """Embeds a folder, only what changed.

    Args:
        folder: The images.
        model_ref: With which model.
        models: Owner of loaded models; caches and the index live in its home.
        control: Stop and pause.

    Raises:
        UserError: no such folder, run or model, or no readable image.
        WorkError: the disk is full; what was embedded so far is kept.
    """
    yield Phase(name="load", title=_("Opening the model"))
    opened = load_model(model_ref, models)
    gallery = yield from open_gallery(folder, opened, models.home, control)
    return IndexSummary(
        folder=str(gallery.root),
        images=len(gallery.items),
        embedded=gallery.embedded,
        reused=len(gallery.items) - gallery.embedded,
        skipped=gallery.skipped,
        seconds=gallery.seconds,
        run=model_ref.run,
        strength=opened.strength,
        model=opened.clip.name,
    )


def open_gallery(folder: Path, loaded: LoadedModel, home: Path, control: Control) -> Work[Gallery]:
    """Scans a folder and embeds what the embedding store does not know yet, in every space of the lens."""
    with contextlib.ExitStack() as ending:

        @functools.cache
        def cache() -> BlobCache:
            """Opened for what is new only: a folder that is known already needs no pictures."""
            opened = BlobCache.of_features(home, loaded.hardware.cache_gb)
            ending.callback(opened.close)
            return opened

        return (yield from _gallery(folder, loaded, home, cache, control))


def _gallery(
    folder: Path, loaded: LoadedModel, home: Path, cache: Callable[[], BlobCache], control: Control
) -> Work[Gallery]:
    began = time.monotonic()
    fitted = Fitted(cache, loaded.clip.image_size, loaded.data.image_fit)
    found = yield from scan(folder, loaded.data, control, scan_cache_file(home), fitted)
    fitted.flush()
    yield Phase(name="index", title=_("Embedding the images"))
    digests = [item.digest for item in found.items]
    spaces = list(dict.fromkeys((loaded.base, loaded.adapted)))
    with EmbeddingStore(home / "index" / "index.sqlite") as store:
        if store.replaced:
            yield Notice(
                text=_("The index was damaged and is made anew; the old file is “{path}”.").format(
                    path=shown(store.replaced)
                )
            )
        missing = sorted({i for space in spaces for i in store.missing(space, digests)})
        if missing:
            new_items = [found.items[i] for i in missing]
            yield from _embed(found.root, new_items, loaded, store, cache(), control)
        new = {digests[i] for i in missing}
        if loaded.adapted != loaded.base:
            store.forget_strengths(loaded.adapted)
        # What changed between the scan and now could not be embedded and is left out.
        lost = {digests[i] for space in spaces for i in store.missing(space, digests)}
        items = tuple(item for item in found.items if item.digest not in lost)
        if not items:
            raise UserError(
                _("None of the images in “{folder}” can be read any more.").format(folder=shown(folder)),
                _("Check that the folder is still there."),
                "folder",
            )
        kept = [item.digest for item in items]
        vectors = {space: store.load(space, kept, loaded.clip.dim) for space in spaces}
    return Gallery(
        root=found.root,
        items=items,
        base=vectors[loaded.base],
        adapted=vectors[loaded.adapted],
        embedded=sum(digest in new for digest in kept),
        skipped=_unreadable(found) + len(found.items) - len(items),
        seconds=time.monotonic() - began,
    )


def _unreadable(found: Collection) -> int:
    """Images among the problems; captions and tables have problems too, which do not matter here."""
    read = {item.path for item in found.items}
    paths = {problem.path for problem in found.problems} - read
    return sum(Path(p).suffix.lower() in image_gate.SUFFIXES and (found.root / p).is_file() for p in paths)


def _embed(
    root: Path,
    items: Sequence[Item],
    loaded: LoadedModel,
    store: EmbeddingStore,
    cache: BlobCache,
    control: Control,
) -> Work[None]:
    countdown = Countdown(len(items))
    for start in range(0, len(items), _BATCH):
        control.boundary()
        part = items[start : start + _BATCH]
        # A new object for each batch: a large folder's pictures must not pile up in memory.
        pictures = ImageCache(root, part, loaded.clip.image_size, loaded.data, store=cache)
        bad = set((yield from _quiet(pictures.prepare(range(len(part)), control))))
        good = [i for i in range(len(part)) if i not in bad]
        if good:
            yield from _look(pictures, good, loaded, store, control)
        done = start + len(part)
        yield countdown.at(done, part[-1].path)


def _look(
    pictures: ImageCache,
    indices: Sequence[int],
    loaded: LoadedModel,
    store: EmbeddingStore,
    control: Control,
) -> Work[None]:
    """Embeds images in each embedding space of the model and stores them."""
    digests = [pictures.items[i].digest for i in indices]
    used = loaded.strength
    if loaded.adapter:
        loaded.adapter.set_adapter_scale(0.0)
    try:
        store.add(
            loaded.base,
            digests,
            (yield from _quiet(features.images(loaded.clip, pictures, indices, control, half=True))),
        )
    finally:
        if loaded.adapter:
            loaded.adapter.set_adapter_scale(used)
    if loaded.adapted != loaded.base:
        store.add(
            loaded.adapted,
            digests,
            (yield from _quiet(features.images(loaded.clip, pictures, indices, control, half=True))),
        )


def _quiet(work: Work[T]) -> Work[T]:
    """The work without its progress, which is about a part only."""
    return mapped(work, lambda event: None if isinstance(event, Progress) else event)
