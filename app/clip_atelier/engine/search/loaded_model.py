"""A model opened to look at images with: as much of it as is needed.

Words are embedded by a `TextTower`, which needs neither transformers nor PEFT, wherever it was compared with the loaded
model and gives the same. The model itself is loaded for images that are not embedded yet, and the first time that a model
or an update is met, when the comparison is made; its outcome is kept in the home's cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.models import (
    STARTER,
    ClosedModel,
    Models,
    TextRecipe,
    TextTower,
    TextUpdate,
    recipe_of,
)
from clip_atelier.engine.parts import FittedParts, Variant, taught
from clip_atelier.engine.runs import Runs, SavedUpdate, saved_update
from clip_atelier.engine.search.embedding_store import Space
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.settings import DataSettings, HardwareSettings
from clip_atelier.engine.storage import BlobCache

if TYPE_CHECKING:
    from clip_atelier.engine.models import Adapter, Features, Model, TextReading

# Raised when the arithmetic of `TextTower` changes: what was compared before is compared again.
_RECIPE: Final = 1


class _Opener:
    """Loads a model with its update when it is asked for, and again after other work took it for something else."""

    def __init__(
        self, models: Models, model: ClosedModel, hardware: HardwareSettings, saved: SavedUpdate | None,
        strength: float,
    ) -> None:  # fmt: skip
        self._models = models
        self._model = model
        self._hardware = hardware
        self._saved = saved
        self._strength = strength
        self._opened: tuple[Model, Adapter | None] | None = None

    @property
    def home(self) -> Path:
        """The home of the models."""
        return self._models.home

    def __call__(self) -> tuple[Model, Adapter | None]:
        if self._opened is None or self._opened[0].adapter is not self._opened[1]:
            self._opened = self._open()
        return self._opened

    def _open(self) -> tuple[Model, Adapter | None]:
        if self._saved is None:
            clip, content = self._models.open(self._model.name, self._hardware), ""
            adapter = None
        else:
            from clip_atelier.engine.runs import open_run

            opened = open_run(self._saved.run, self._models, self._strength, self._hardware)
            clip, adapter, content = opened.clip, opened.adapter, opened.content
        wanted = "" if self._saved is None else self._saved.content
        if (clip.fingerprint, content) != (self._model.fingerprint, wanted):
            raise changed()
        return clip, adapter

    def release(self) -> None:
        """Takes the update off the model, if it was loaded."""
        if self._opened is not None and self._opened[1] is not None:
            from clip_atelier.engine.models import adapters

            adapters.detach(self._opened[0])


@dataclass(frozen=True)
class LoadedModel:
    """A model to look at images with: the base, and a run's update where one is given.

    Attributes:
        model: Which base model.
        data: How images are fitted into the square.
        hardware: Where it computes, and how much it may keep on disk.
        base: Space of the base's embeddings.
        adapted: Space of the adapted image embeddings; equal to `base` where the update changes no image.
        strength: What the update is multiplied by; 0 without one.
        update: Identifies the update's content; "" where it changes no image.
        parts: What the run keeps beside its update, if anything.
        taught: SHA-256 of a drawing's file -> the words that the user taught the run with it.
        dial: How far the parts are turned up: 0 the base, exactly; 1 as they were learned.
        wanted: Position of the strength dial: that of the update, or of the parts of a run that has no update.
        run_folder: Where the run is, if there is one.
        as_of: When something in that folder was written last; words may be taught to a run that is searched with.
    """

    model: ClosedModel
    data: DataSettings
    hardware: HardwareSettings
    base: Space
    adapted: Space
    _opener: _Opener
    _words: TextTower | None = None
    strength: float = 0.0
    update: str = ""
    parts: FittedParts | None = None
    dial: float = 1.0
    wanted: float = 0.0
    run_folder: Path | None = None
    as_of: int = 0
    taught: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """Where what was found out about models is kept."""
        return self._opener.home

    @property
    def clip(self) -> Model:
        """The loaded model, with the run's update attached; loads it."""
        return self._opener()[0]

    @property
    def adapter(self) -> Adapter | None:
        """The update on the loaded model, None without a run; loads both."""
        return self._opener()[1]

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._words.dim if self._words is not None else self.clip.dim

    @property
    def reads_alone(self) -> bool:
        """Whether words are embedded without the loaded model."""
        return self._words is not None

    @property
    def up_to_date(self) -> bool:
        """Whether nothing in its run was rewritten since it was opened."""
        return _written(self.run_folder) == self.as_of

    def texts(self, captions: Sequence[str], strength: float) -> Features:
        """Normalised embeddings [N, dim] of texts, with the update multiplied by `strength`; 0 is the base."""
        if self._words is not None:
            return self._words.embeddings(captions, strength)
        from clip_atelier.engine.models import features

        clip, adapter = self._opener()
        if adapter is None:
            return features.texts(clip, captions)
        with adapter.at(strength):
            return features.texts(clip, captions)

    def readings(self, texts: Sequence[str]) -> list[TextReading]:
        """How much of each text the model reads, and which of its words it does not know."""
        return (self._words or self.clip).readings(texts)

    def release(self) -> None:
        """Leaves the loaded model, if it was loaded, as the base that others find."""
        self._opener.release()

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


def changed() -> UserError:
    """What is said where a model is not the one any more that a folder was opened with."""
    return UserError(
        _("The model or the training has changed since this folder was opened for searching."),
        _("Open the folder again."),
    )


def load_model(model_ref: ModelRef, models: Models) -> LoadedModel:
    """Opens a run's model with its update, or a model alone.

    Raises:
        UserError: no such run or model, or the run has no checkpoint.
    """
    if model_ref.run is None:
        hardware = model_ref.hardware or HardwareSettings()
        model, data = models.closed(model_ref.model or STARTER, hardware), DataSettings()
        opener = _Opener(models, model, hardware, None, 0.0)
        words = _words(opener, models.home, model, hardware, None)
        base = Space(model.fingerprint, data.image_fit, precision=model.device.precision)
        return LoadedModel(model, data, hardware, base, base, opener, words)
    run = Runs(models.home).open(model_ref.run)
    saved = saved_update(run)
    hardware = model_ref.hardware or run.settings.hardware
    model = models.closed(run.settings.model.name, hardware)
    saved.must_fit(model)
    as_of = _written(run.path)
    parts = FittedParts.read(run.path)
    taught_words = _taught(run.path)
    wanted = strength = saved.recommended if model_ref.strength is None else model_ref.strength
    if parts is not None and not parts.strength:
        strength = 0.0  # the run's update did not help and is no part of what it hands over
    # Only how images are fitted is the run's affair: another folder has its own captions and pairs.
    data = DataSettings(image_fit=run.settings.data.image_fit)
    base = Space(model.fingerprint, data.image_fit, precision=model.device.precision)
    opener = _Opener(models, model, hardware, saved, strength)
    words = _words(opener, models.home, model, hardware, saved)
    sees = _changes_images(saved, model, opener)
    update = saved.content if sees else ""
    adapted = replace(base, adapter=update, strength=strength) if update and strength else base
    return LoadedModel(
        model, data, hardware, base, adapted, opener, words, strength,
        update, parts, saved.dial(model_ref.strength), wanted, run.path, as_of, taught_words,
    )  # fmt: skip


def _changes_images(saved: SavedUpdate, model: ClosedModel, opener: _Opener) -> bool:
    if saved.untrained:
        return False
    plain = TextUpdate.of(saved.tensors, saved.run.settings.lora.scaling)
    if plain is not None:
        return plain.touches("vision", model.family)
    adapter = opener()[1]
    return adapter is not None and adapter.touches("vision")


def _words(
    opener: _Opener, home: Path, model: ClosedModel, hardware: HardwareSettings, saved: SavedUpdate | None
) -> TextTower | None:
    """What embeds words without the model; None where that is not known to give the same."""
    update = None
    if saved is not None and not saved.untrained:
        update = TextUpdate.of(saved.tensors, saved.run.settings.lora.scaling)
        if update is None:
            return None
    versions = "/".join(metadata.version(name) for name in ("transformers", "peft", "torch"))
    place = f"{model.device.kind}:{model.device.attention}:{versions}:{_RECIPE}"
    key = f"tt:{model.fingerprint[:32]}:{place}"
    kept_for = f"{key}:{saved.content[:32]}" if saved is not None and update is not None else key
    store = BlobCache.of_texts(home)
    try:
        found = store.get([key, kept_for])
        store.known(list(found))  # marks them as used
        if kept_for not in found or (found[kept_for] and key not in found):
            recipe = _compared(opener, model, update)
            fresh = {kept_for: b"same" if recipe else b""} | ({key: recipe} if recipe else {})
            store.put(fresh)
            found |= fresh
    finally:
        store.close()
    try:
        if not (found[kept_for] and found.get(key)):
            return None
        return TextTower(model, TextRecipe.model_validate_json(found[key]), update)
    except ValidationError:
        return None


def _compared(opener: _Opener, model: ClosedModel, update: TextUpdate | None) -> bytes:
    """The recipe of a text tower that gives what the loaded model gives, as JSON; nothing where there is none."""
    clip, adapter = opener()
    recipe = recipe_of(clip)
    if recipe is None:
        return b""
    try:
        tower = TextTower(model, recipe, update)
        for strength in (0.0, 0.5, 1.0) if adapter is not None else (0.0,):
            with adapter.at(strength) if adapter is not None else nullcontext():
                if not tower.agrees(clip, strength):
                    return b""
    except KeyError:
        return b""
    return recipe.model_dump_json().encode()


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
