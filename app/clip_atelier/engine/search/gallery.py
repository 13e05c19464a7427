"""A folder of images embedded by the base and by a run's adapted model; what is known already is read, not computed.

A run that keeps parts may look at drawings in other ways too: at another strength of its update, or in several views.
Each way is a space of its own.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import (
    Control,
    Countdown,
    Notice,
    NotWritten,
    Phase,
    Progress,
    T,
    UserError,
    Work,
    _,
    drive,
    mapped,
    original,
    shown,
)
from clip_atelier.engine.data import (
    Collection,
    Fitted,
    ImageCache,
    Item,
    check_folder,
    image_gate,
    located,
    scan,
    scan_cache_file,
)
from clip_atelier.engine.models import Models, weights
from clip_atelier.engine.search import large_gallery
from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space
from clip_atelier.engine.search.large_gallery import LargeVectors
from clip_atelier.engine.search.loaded_model import LoadedModel, load_model
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.search.results import IndexSummary
from clip_atelier.engine.search.while_reading import Pace, Telling, WhileReading
from clip_atelier.engine.storage import BlobCache

Vectors = NDArray[np.float32]

# Images embedded, and stored, at a time: what a crash or a stop can cost at most. Fewer while somebody may ask, see `Pace`.
BATCH: Final = 256


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
        large: Key of a space -> its mapped files, where the vectors lie in such.
    """

    root: Path
    items: tuple[Item, ...]
    base: Vectors
    adapted: Vectors
    embedded: int
    skipped: int
    seconds: float
    seen: Mapping[str, Vectors] = field(default_factory=dict)
    large: Mapping[str, LargeVectors] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...] | None:
        """Role of each image, or None where the folder has no pairs."""
        paired = any(item.pair and item.role for item in self.items)
        return tuple(item.role for item in self.items) if paired else None


class Keeper(Protocol):
    """Keeps embeddings; `EmbeddingStore` is one."""

    def add(self, space: Space, digests: Sequence[str], vectors: Vectors) -> None:
        """Keeps the vectors [n, dim] of the contents [n] in a space."""


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
    check_folder(folder)
    yield Phase(name="load", title=_("Opening the model"))
    opened = load_model(model_ref, models)
    gallery = yield from open_gallery(folder, opened, models.home, control, parts=True)
    return summary(gallery, opened, model_ref)


def summary(gallery: Gallery, opened: LoadedModel, model_ref: ModelRef, added: int = 0) -> IndexSummary:
    """What is told of an index; `added` images were new to it and embedded elsewhere."""
    embedded = gallery.embedded + added
    return IndexSummary(
        folder=str(gallery.root),
        images=len(gallery.items),
        embedded=embedded,
        reused=len(gallery.items) - embedded,
        skipped=gallery.skipped,
        seconds=gallery.seconds,
        run=model_ref.run,
        strength=opened.wanted,
        model=opened.model.name,
    )


def open_gallery(
    folder: Path,
    loaded: LoadedModel,
    home: Path,
    control: Control,
    parts: bool = False,
    soon: Callable[[Gallery], object] | None = None,
    early: bool = False,
) -> Work[Gallery]:
    """Scans a folder and embeds what the embedding store does not know yet, in every space of the model.

    Args:
        folder: The images.
        loaded: The model.
        home: Where caches and the index live.
        control: Stop and pause.
        parts: Whether the spaces that the run's parts need are among them.
        soon: Takes what is known so far while many images are being embedded, every now and then.
        early: Whether it takes that while the folder is read already, before captions and pairs are known.
    """
    with contextlib.ExitStack() as ending:

        @functools.cache
        def cache() -> BlobCache:
            """Opened for what is new only: a folder that is known already needs no pictures."""
            opened = BlobCache.of_features(home, loaded.hardware.cache_gb)
            ending.callback(opened.close)
            return opened

        return (yield from _gallery(folder, loaded, loaded.spaces(parts), home, cache, control, soon, early))


def _gallery(
    folder: Path,
    loaded: LoadedModel,
    spaces: Sequence[Space],
    home: Path,
    cache: Callable[[], BlobCache],
    control: Control,
    soon: Callable[[Gallery], object] | None,
    early: bool,
) -> Work[Gallery]:
    began = time.monotonic()
    fitted = Fitted(cache, loaded.model.frame, loaded.data.image_fit)
    with EmbeddingStore(home / "index" / "index.sqlite") as store:
        if store.replaced:
            yield Notice(
                text=_("The index was damaged and is made anew; the old file is “{path}”.").format(
                    path=shown(store.replaced)
                )
            )
        model = loaded.model
        if store.knows_only_others(model.fingerprint):
            store.adopt(weights.former_fingerprint(model.folder), model.fingerprint)
        pace = Pace(model.device.batch if soon is not None else BATCH, BATCH)
        known = functools.partial(_of_known, loaded, spaces, store, began, home, control)
        reading = None
        if soon is not None and early:
            look_at = functools.partial(_look_at, loaded, store, control)
            reading = WhileReading(folder, loaded, spaces, store, cache, pace, look_at)
            reading.telling = Telling(functools.partial(_tell_early, folder, reading, known, soon))
        found = yield from scan(
            folder,
            loaded.data,
            control,
            scan_cache_file(home),
            fitted,
            duplicates=False,
            taking=reading.take if reading is not None else None,
        )
        fitted.flush()
        yield Phase(name="index", title=_("Embedding the images"))
        digests = [item.digest for item in found.items]
        missing = {space: store.missing(space, digests) for space in spaces}
        wanted = {space: {digests[i] for i in places} for space, places in missing.items()}
        new = set().union(*wanted.values())
        if reading is not None:
            new |= reading.added
        if any(missing.values()):
            new_items = [found.items[i] for i in sorted(set().union(*missing.values()))]
            work = _embed(found.root, new_items, loaded, wanted, store, cache(), control, pace)
            if soon is not None and len(new_items) > pace.size and len(found.items) < large_gallery.LARGE:
                work = _telling(work, Telling(lambda: soon(drive(known(found, new)))))
            yield from work
        for space in spaces:
            if not space.is_base:
                store.forget_strengths(space)
        return (yield from known(found, new))


def _tell_early(
    root: Path,
    reading: WhileReading,
    known: Callable[[Collection, Set[str]], Work[Gallery]],
    soon: Callable[[Gallery], object],
) -> None:
    """Tells what is known of a folder that is still being read."""
    if len(reading.items) < large_gallery.LARGE:
        items = tuple(sorted(reading.items, key=lambda item: item.path))
        soon(drive(known(Collection(root=root, items=items, caption_source="filename"), reading.added)))


def _of_known(
    loaded: LoadedModel,
    spaces: Sequence[Space],
    store: EmbeddingStore,
    began: float,
    home: Path,
    control: Control,
    found: Collection,
    new: Set[str],
) -> Work[Gallery]:
    """The images whose embeddings are there; what changed between the scan and now could not be embedded and is left out.

    Raises:
        UserError: there are none.
    """
    digests = [item.digest for item in found.items]
    lost = {digests[i] for space in spaces for i in store.missing(space, digests)}
    items = tuple(item for item in found.items if item.digest not in lost)
    if not items:
        raise UserError(
            _("None of the images in “{folder}” can be read any more.").format(folder=shown(found.root)),
            _("Check that the folder is still there."),
            "folder",
        )
    kept = [item.digest for item in items]
    vectors, large = yield from _loaded(store, spaces, kept, loaded.dim, home, control)
    return Gallery(
        root=found.root,
        items=items,
        base=vectors[loaded.base.key],
        adapted=vectors[loaded.adapted.key],
        embedded=sum(digest in new for digest in kept),
        skipped=_unreadable(found) + len(found.items) - len(items),
        seconds=time.monotonic() - began,
        seen=vectors,
        large=large,
    )


def _loaded(
    store: EmbeddingStore,
    spaces: Sequence[Space],
    digests: Sequence[str],
    dim: int,
    home: Path,
    control: Control,
) -> Work[tuple[dict[str, Vectors], dict[str, LargeVectors]]]:
    """The vectors in every space, by its key, and the mapped files of a large gallery."""
    if len(digests) >= large_gallery.LARGE:
        try:
            found = {}
            for space in spaces:
                found[space.key] = yield from large_gallery.opened(store, space, digests, dim, home, control)
        except NotWritten as error:
            yield Notice(text=_("{error} The search goes on in memory.").format(error=error.message))
        else:
            large_gallery.forget_old(home, [one.folder for one in found.values()])
            return {key: one.rows for key, one in found.items()}, found
    return {space.key: store.load(space, digests, dim) for space in spaces}, {}


def _telling(work: Work[None], telling: Telling) -> Work[None]:
    """The work, told of at its events."""
    while True:
        telling.now_and_then()
        try:
            event = next(work)
        except StopIteration:
            return
        yield event


def _unreadable(found: Collection) -> int:
    """Images among the problems; captions and tables have problems too, which do not matter here."""
    read = {item.path for item in found.items}
    paths = {problem.path for problem in found.problems} - read
    return sum(
        original(Path(p)).suffix.lower() in image_gate.SUFFIXES and original(located(found.root, p)).is_file()
        for p in paths
    )


def _embed(
    root: Path,
    items: Sequence[Item],
    loaded: LoadedModel,
    wanted: Mapping[Space, set[str]],
    store: EmbeddingStore,
    cache: BlobCache,
    control: Control,
    pace: Pace,
) -> Work[None]:
    """Embeds images in each space that does not know them; `wanted` says by their digests which."""
    countdown, done = Countdown(len(items)), 0
    while done < len(items):
        control.boundary()
        began, part = time.monotonic(), items[done : done + pace.size]
        # A new object for each batch: a large folder's pictures must not pile up in memory.
        pictures = ImageCache(root, part, loaded.model.frame, loaded.data, store=cache)
        bad = set((yield from quiet(pictures.prepare(range(len(part)), control))))
        good = [i for i in range(len(part)) if i not in bad]
        yield from _look_at(loaded, store, control, pictures, good, wanted)
        pace.took(len(part), time.monotonic() - began)
        done += len(part)
        yield countdown.at(done, part[-1].path)


def _look_at(
    loaded: LoadedModel,
    store: EmbeddingStore,
    control: Control,
    pictures: ImageCache,
    indices: Sequence[int],
    wanted: Mapping[Space, set[str]],
) -> Work[None]:
    """Embeds prepared pictures in each space that does not know them."""
    for strength, spaces in by_strength(wanted).items():
        needed = [i for i in indices if any(pictures.items[i].digest in wanted[space] for space in spaces)]
        if needed:
            yield from look(pictures, needed, loaded, strength, spaces, store, control)


def by_strength(spaces: Iterable[Space]) -> dict[float, list[Space]]:
    """Spaces by the strength of the update in them: the plain embeddings are the first of several views."""
    found: dict[float, list[Space]] = {}
    for space in spaces:
        found.setdefault(0.0 if space.is_base else space.strength, []).append(space)
    return found


def look(
    pictures: ImageCache,
    indices: Sequence[int],
    loaded: LoadedModel,
    strength: float,
    spaces: Sequence[Space],
    store: Keeper,
    control: Control,
) -> Work[None]:
    """Embeds images in the spaces of one strength of the update and keeps them."""
    from clip_atelier.engine.models import features
    from clip_atelier.engine.parts import with_views

    digests = [pictures.items[i].digest for i in indices]
    clip, adapter = loaded.clip, loaded.adapter
    with adapter.at(strength) if adapter else contextlib.nullcontext():
        plain = yield from quiet(features.images(clip, pictures, indices, control, half=True))
        for space in spaces:
            seen = plain
            if space.views:
                seen = yield from quiet(with_views(clip, pictures, indices, plain, control, half=True))
            store.add(space, digests, seen)


def quiet(work: Work[T]) -> Work[T]:
    """The work without its progress, which is about a part only."""
    return mapped(work, lambda event: None if isinstance(event, Progress) else event)
