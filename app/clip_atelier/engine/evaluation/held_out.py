"""A run opened on a collection, and which of its images may say something about the run.

Images that a run was trained on say nothing about new ones. So of its own collection only the held-out ones count, of
any other all of them; what is the run's own is decided here, for everything that measures a trained run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clip_atelier.engine.core import Control, Notice, Phase, Work, _
from clip_atelier.engine.data import Collection, ImageCache, Split, not_there, open_collection
from clip_atelier.engine.evaluation.embedding import evaluation_set_of
from clip_atelier.engine.evaluation.sets import EvaluationSet
from clip_atelier.engine.models import Adapter, Model, Models, adapters
from clip_atelier.engine.runs import AdaptedModel, RunFolder, Runs, open_run
from clip_atelier.engine.storage import BlobCache


@dataclass(frozen=True)
class HeldOut:
    """A run's model on a collection. `close` gives model and cache back.

    Attributes:
        own: Whether it is the collection that the run was trained on, by its place or by its content.
        changed: Whether it is, but no longer as it was then: some of the images may have been trained on.
    """

    opened: AdaptedModel
    collection: Collection
    parts: Split
    pictures: ImageCache
    store: BlobCache
    own: bool
    changed: bool

    @property
    def run(self) -> RunFolder:
        """The run."""
        return self.opened.run

    @property
    def clip(self) -> Model:
        """Its model."""
        return self.opened.clip

    @property
    def adapter(self) -> Adapter:
        """Its update, at the recommended strength until another is set."""
        return self.opened.adapter

    @property
    def indices(self) -> tuple[int, ...]:
        """The items to measure on."""
        kept_aside = self.own and not self.learned_from_all
        return self.parts.reported if kept_aside else tuple(range(len(self.collection.items)))

    @property
    def learned_from_all(self) -> bool:
        """Whether the run was measured by folds and then learned from every drawing, so that none is kept aside."""
        result = self.run.result
        return self.own and result is not None and result.measured_on == "folds"

    @property
    def measured_on(self) -> str:
        """Which part of the collection that is: "test", "validation", "all", or "learned" where all were learned from."""
        if self.learned_from_all:
            return "learned"
        return "all" if not self.own else "test" if self.parts.test else "validation"

    def evaluation_set(self, control: Control) -> Work[EvaluationSet]:
        """The questions these images allow.

        Raises:
            UserError: fewer than two can be read.
        """
        return evaluation_set_of(self.pictures, self.indices, self.parts.groups, control)

    def close(self) -> None:
        """Takes the update off the model and closes the cache."""
        self.store.close()
        adapters.detach(self.clip)


def open_on(
    home: Path, run_id: str, models: Models, control: Control, folder: Path | None = None
) -> Work[HeldOut]:
    """Reads a collection (the run's own where left out) and opens the run for it.

    Raises:
        UserError: no such run or folder, a further folder of the run's own collection is not there, it cannot be split, or the
            run's model or checkpoint is gone.
    """
    run = Runs(home).open(run_id)
    settings = run.settings
    collection, parts = yield from open_collection(folder or run.folder, settings.data, home, control)
    trained_on = run.record.data.fingerprint if run.record.data else ""
    own = collection.root.resolve() == run.folder.resolve() or trained_on == collection.fingerprint
    changed = own and trained_on not in ("", collection.fingerprint)
    if changed and collection.absent:
        raise not_there(
            collection.absent,
            _(
                "Connect their drives or say where they are now: without them, drawings that were learned from would be asked "
                "for as if they were new."
            ),
        )
    if changed:
        yield Notice(
            text=_("The collection has changed since this training: some images may have been trained on.")
        )
    yield Phase(name="load", title=_("Opening the model"))
    opened = open_run(run, models)
    store = BlobCache.of_features(home, settings.hardware.cache_gb)
    pictures = ImageCache(
        collection.root, collection.items, opened.clip.frame, settings.data, settings.train.seed, store
    )
    return HeldOut(opened, collection, parts, pictures, store, own, changed)
