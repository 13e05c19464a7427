"""A folder of images embedded by the base and by a run's adapted model; what is known already is read, not computed.

A run that keeps parts may look at drawings in other ways too: at another strength of its update, or in several views.
Each way is a space of its own.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from clip_atelier.engine.models import STARTER, Adapter, Model, Models, adapters, features
from clip_atelier.engine.parts import FittedParts, Variant, taught, with_views
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
        update: Identifies the update's content; "" where it changes no image.
        parts: What the run keeps beside its update, if anything.
        taught: SHA-256 of a drawing's file -> the words that the user taught the run with it.
        dial: How far the parts are turned up: 0 the base, exactly; 1 as they were learned.
        wanted: Position of the strength dial: that of the update, or of the parts of a run that has no update.
        run_folder: Where the run is, if there is one.
        as_of: When something in that folder was written last; words may be taught to a run that is searched with.
    """

    clip: Model
    adapter: Adapter | None
    data: DataSettings
    hardware: HardwareSettings
    base: Space
    adapted: Space
    update: str = ""
    parts: FittedParts | None = None
    dial: float = 1.0
    wanted: float = 0.0
    run_folder: Path | None = None
    as_of: int = 0
    taught: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def up_to_date(self) -> bool:
        """Whether this is still the model as it was opened: its update attached, nothing in its run rewritten."""
        return self.clip.adapter is self.adapter and _written(self.run_folder) == self.as_of

    @property
    def strength(self) -> float:
        """What the update is multiplied by."""
        return self.adapter.adapter_scale if self.adapter else 0.0

    def space(self, variant: Variant) -> Space:
        """Where the image embeddings of a variant are."""
        plain = self.base
        if self.update and variant.strength:
            plain = replace(self.base, adapter=self.update, strength=variant.strength)
        return replace(plain, views=variant.views)

    def spaces(self, parts: bool) -> tuple[Space, ...]:
        """Every space that a folder is looked at in, each once, those of the run's parts only if asked for."""
        found = [self.base, self.adapted]
        if parts and self.parts is not None and self.dial:
            found += [
                self.space(self.parts.setting(q, self.dial).variant) for q in sorted(self.parts.settings)
            ]
        return tuple({space.key: space for space in found}.values())


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
    try:
        as_of = _written(opened.run.path)
        parts = FittedParts.read(opened.run.path)
        words = _taught(opened.run.path)
    except BaseException:
        adapters.detach(clip)
        raise
    wanted = opened.recommended if model_ref.strength is None else model_ref.strength
    if parts is not None and not parts.strength:
        adapter.set_adapter_scale(0.0)  # the run's update did not help and is no part of what it hands over
    # Only how images are fitted is the run's affair: another folder has its own captions and pairs.
    data = DataSettings(image_fit=opened.run.settings.data.image_fit)
    base = Space(clip.fingerprint, data.image_fit, precision=clip.device.precision)
    update = opened.content if adapter.touches("vision") else ""
    changed = update and adapter.adapter_scale != 0
    adapted = replace(base, adapter=update, strength=adapter.adapter_scale) if changed else base
    return LoadedModel(
        clip, adapter, data, model_ref.hardware or opened.run.settings.hardware, base, adapted,
        update, parts, opened.dial(model_ref.strength), wanted, opened.run.path, as_of, words,
    )  # fmt: skip


def _taught(run_folder: Path) -> dict[str, tuple[str, ...]]:
    """SHA-256 of a drawing -> the words that were taught with it."""
    found: dict[str, tuple[str, ...]] = {}
    for word in taught.TaughtWords.read(run_folder).words:
        for drawing in word.drawings:
            found[drawing.sha256] = (*found.get(drawing.sha256, ()), word.word)
    return found


def _written(folder: Path | None) -> int:
    """When a file of the folder was replaced last (files are written whole and moved into place); 0 without a folder."""
    try:
        return folder.stat().st_mtime_ns if folder else 0
    except OSError:
        return -1


@dataclass(frozen=True)
class Gallery:
    """The images of a folder that could be embedded.

    Attributes:
        items: [N], ordered by path.
        base: [N, dim] unit rows, by the base model.
        adapted: [N, dim] by the adapted model; the same array as `base` where the update changes no image.
        seen: Key of a space -> [N, dim] in it, for every space the folder was looked at in.
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
    seen: Mapping[str, Vectors] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...] | None:
        """Role of each image, or None where the folder has no pairs."""
        paired = any(item.pair and item.role for item in self.items)
        return tuple(item.role for item in self.items) if paired else None


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
    gallery = yield from open_gallery(folder, opened, models.home, control, parts=True)
    return IndexSummary(
        folder=str(gallery.root),
        images=len(gallery.items),
        embedded=gallery.embedded,
        reused=len(gallery.items) - gallery.embedded,
        skipped=gallery.skipped,
        seconds=gallery.seconds,
        run=model_ref.run,
        strength=opened.wanted,
        model=opened.clip.name,
    )


def open_gallery(
    folder: Path, loaded: LoadedModel, home: Path, control: Control, parts: bool = False
) -> Work[Gallery]:
    """Scans a folder and embeds what the embedding store does not know yet, in every space of the model.

    Args:
        folder: The images.
        loaded: The model.
        home: Where caches and the index live.
        control: Stop and pause.
        parts: Whether the spaces that the run's parts need are among them.
    """
    with contextlib.ExitStack() as ending:

        @functools.cache
        def cache() -> BlobCache:
            """Opened for what is new only: a folder that is known already needs no pictures."""
            opened = BlobCache.of_features(home, loaded.hardware.cache_gb)
            ending.callback(opened.close)
            return opened

        return (yield from _gallery(folder, loaded, loaded.spaces(parts), home, cache, control))


def _gallery(
    folder: Path,
    loaded: LoadedModel,
    spaces: Sequence[Space],
    home: Path,
    cache: Callable[[], BlobCache],
    control: Control,
) -> Work[Gallery]:
    began = time.monotonic()
    fitted = Fitted(cache, loaded.clip.image_size, loaded.data.image_fit)
    found = yield from scan(folder, loaded.data, control, scan_cache_file(home), fitted)
    fitted.flush()
    yield Phase(name="index", title=_("Embedding the images"))
    digests = [item.digest for item in found.items]
    with EmbeddingStore(home / "index" / "index.sqlite") as store:
        if store.replaced:
            yield Notice(
                text=_("The index was damaged and is made anew; the old file is “{path}”.").format(
                    path=shown(store.replaced)
                )
            )
        missing = {space: store.missing(space, digests) for space in spaces}
        wanted = {space: {digests[i] for i in places} for space, places in missing.items()}
        new = set().union(*wanted.values())
        if new:
            new_items = [found.items[i] for i in sorted(set().union(*missing.values()))]
            yield from _embed(found.root, new_items, loaded, wanted, store, cache(), control)
        for space in spaces:
            if not space.is_base:
                store.forget_strengths(space)
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
        vectors = {space.key: store.load(space, kept, loaded.clip.dim) for space in spaces}
    return Gallery(
        root=found.root,
        items=items,
        base=vectors[loaded.base.key],
        adapted=vectors[loaded.adapted.key],
        embedded=sum(digest in new for digest in kept),
        skipped=_unreadable(found) + len(found.items) - len(items),
        seconds=time.monotonic() - began,
        seen=vectors,
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
    wanted: Mapping[Space, set[str]],
    store: EmbeddingStore,
    cache: BlobCache,
    control: Control,
) -> Work[None]:
    """Embeds images in each space that does not know them; `wanted` says by their digests which."""
    countdown = Countdown(len(items))
    for start in range(0, len(items), _BATCH):
        control.boundary()
        part = items[start : start + _BATCH]
        # A new object for each batch: a large folder's pictures must not pile up in memory.
        pictures = ImageCache(root, part, loaded.clip.image_size, loaded.data, store=cache)
        bad = set((yield from _quiet(pictures.prepare(range(len(part)), control))))
        good = [i for i in range(len(part)) if i not in bad]
        for strength, spaces in _by_strength(wanted).items():
            needed = [i for i in good if any(part[i].digest in wanted[space] for space in spaces)]
            if needed:
                yield from _look(pictures, needed, loaded, strength, spaces, store, control)
        done = start + len(part)
        yield countdown.at(done, part[-1].path)


def _by_strength(spaces: Iterable[Space]) -> dict[float, list[Space]]:
    """Spaces by the strength of the update in them: the plain embeddings are the first of several views."""
    found: dict[float, list[Space]] = {}
    for space in spaces:
        found.setdefault(0.0 if space.is_base else space.strength, []).append(space)
    return found


def _look(
    pictures: ImageCache,
    indices: Sequence[int],
    loaded: LoadedModel,
    strength: float,
    spaces: Sequence[Space],
    store: EmbeddingStore,
    control: Control,
) -> Work[None]:
    """Embeds images in the spaces of one strength of the update and stores them."""
    digests = [pictures.items[i].digest for i in indices]
    clip = loaded.clip
    with loaded.adapter.at(strength) if loaded.adapter else contextlib.nullcontext():
        plain = yield from _quiet(features.images(clip, pictures, indices, control, half=True))
        for space in spaces:
            seen = plain
            if space.views:
                seen = yield from _quiet(with_views(clip, pictures, indices, plain, control, half=True))
            store.add(space, digests, seen)


def _quiet(work: Work[T]) -> Work[T]:
    """The work without its progress, which is about a part only."""
    return mapped(work, lambda event: None if isinstance(event, Progress) else event)
