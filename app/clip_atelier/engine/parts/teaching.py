"""Teaching a run words of one's own: a name for some drawings, and how sure it is that it finds others like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from clip_atelier.engine.core import Control, Phase, UserError, Work, _, shown
from clip_atelier.engine.data import ImageCache, Item, image_gate, open_collection
from clip_atelier.engine.models import Models, adapters, features
from clip_atelier.engine.parts.arrays import FloatArray, unit
from clip_atelier.engine.parts.embedded import distinct_captions
from clip_atelier.engine.parts.embedding import embedded_variants, image_embeddings
from clip_atelier.engine.parts.fitted import FittedParts
from clip_atelier.engine.parts.nothing_fits import Threshold
from clip_atelier.engine.parts.picture_head import BASE_PICTURES
from clip_atelier.engine.parts.questions import PICTURE_QUESTIONS, TEXT_TO_IMAGE, WORD_QUESTIONS
from clip_atelier.engine.parts.selection import Setting
from clip_atelier.engine.parts.taught import (
    ENOUGH,
    KeptWord,
    Sure,
    TaughtDrawing,
    TaughtList,
    TaughtWords,
    checked_name,
    shas,
)
from clip_atelier.engine.parts.variants import Variant
from clip_atelier.engine.parts.word_questions import WordModel, WordSetting, same
from clip_atelier.engine.runs import AdaptedModel, RunFolder, Runs, open_run
from clip_atelier.engine.storage import BlobCache

ABOVE: Final = 0.9
"""A drawing counts as found where it stands above this share of the run's other drawings."""
ENOUGH_FOUND: Final = 0.75
"""A word is sure where this share of its drawings is found."""


def teach(
    home: Path, run_id: str, word: str, images: Sequence[Path], models: Models, control: Control
) -> Work[TaughtList]:
    """Gives drawings a word that finds them, and others like them, from now on; adds them to a word that is there.

    Args:
        home: Where runs and caches live.
        run_id: The run that learns the word.
        word: The word or name, in any script; several words are one name.
        images: Files of drawings, at least one; three or more make it sure.
        models: Owner of loaded models.
        control: Stop and pause.

    Returns:
        All words that the run was taught.

    Raises:
        UserError: the word is empty, there is no image, one cannot be read, there is no such run, it has no checkpoint
            yet, or, where it keeps no parts, its collection is gone.
        DamagedFile: what it was taught before cannot be understood.
    """
    name = checked_name(word)
    if not images:
        raise UserError(
            _("There is no drawing to learn “{word}” from.").format(word=name),
            _("Give the files of at least one drawing; from three on it is sure."),
            "images",
        )
    named = {
        drawing.sha256: drawing
        for drawing in (TaughtDrawing(path=str(p), sha256=image_gate.digest_of(p)) for p in images)
    }
    run = Runs(home).open(run_id)
    before = TaughtWords.read(run.path)
    parts = FittedParts.read_untaught(run.path)
    yield Phase(name="load", title=_("Opening the model"))
    opened = open_run(run, models)
    store = BlobCache.of_features(home, run.settings.hardware.cache_gb)
    try:
        ready = yield from _able(run, opened, parts, store, home, control)
        yield Phase(name="encode", title=_("Looking at the drawings"))
        vectors = yield from _embedded(opened, ready, before, tuple(named.values()), store, control)
        variant = _asked_in(ready)
        with opened.adapter.at(variant.strength):
            text = unit(features.texts(opened.clip, [name]))
    finally:
        store.close()
        adapters.detach(opened.clip)
    with run.hold():
        now = TaughtWords.read(run.path)
        old = now.get(name)
        drawings = {drawing.sha256: drawing for drawing in old.drawings} if old else {}
        kept = KeptWord(word=old.word if old else name, drawings=tuple({**drawings, **named}.values()))
        merged = {v: {**now.vectors.get(v, {}), **rows} for v, rows in vectors.items()}
        taught = replace(now, vectors={**now.vectors, **merged}).with_word(kept)
        found = found_again(ready, taught, kept.word, text)
        taught = taught.with_word(kept.model_copy(update={"found": found, "sure": _sure(kept, found)}))
        if ready is not parts:
            ready.save(run.path)
        taught.save(run.path)
    return taught.listed(run.id)


def found_again(parts: FittedParts, taught: TaughtWords, word: str, text: FloatArray) -> int | None:
    """How many of a word's drawings the word finds when it is learned from the others.

    Found is a drawing that stands above nine in ten of the drawings the run learned from, the word's own aside, when the
    word is searched for as the run searches.

    Args:
        parts: The run's parts, without taught words.
        taught: All words.
        word: The one that is asked about.
        text: Its unit embedding, shape [1, d].

    Returns:
        The number; None where there are too few drawings to tell.
    """
    variant = _asked_in(parts)
    model, every = parts.word_models[variant], taught.embeddings(variant)
    mine = every.get(word)
    if mine is None or len(mine) < ENOUGH:
        return None
    others = np.flatnonzero(~same(model.bank_images, mine).any(axis=1))
    if not len(others):
        return None
    roles = [model.bank_roles[i] for i in others] if model.bank_roles is not None else None
    found = 0
    for image in mine:
        without = replace(parts, word_models={variant: model.with_taught(every, image[None])})
        gallery = np.concatenate([image[None], model.bank_images[others]])
        kinds = [model.role_of(image), *roles] if roles is not None else None
        scores = without.word_scores(TEXT_TO_IMAGE, text, [word], gallery, kinds)[0]
        found += bool((scores[0] > scores[1:]).mean() >= ABOVE)
    return found


def _sure(word: KeptWord, found: int | None) -> Sure:
    if found is None:
        return "too few"
    return "yes" if found >= ENOUGH_FOUND * len(word.drawings) else "unsure"


def _asked_in(parts: FittedParts) -> Variant:
    """The embeddings that words find pictures in."""
    return parts.setting(TEXT_TO_IMAGE).variant


def _able(
    run: RunFolder,
    opened: AdaptedModel,
    parts: FittedParts | None,
    store: BlobCache,
    home: Path,
    control: Control,
) -> Work[FittedParts]:
    """Parts that words can be taught to: the run's own, or, where it has none, the least that leave it as it is."""
    if parts is None:
        variant = Variant(round(opened.recommended, 6))
        settings: dict[str, Setting] = {q: WordSetting(variant=variant) for q in WORD_QUESTIONS}
        settings |= {q: replace(BASE_PICTURES, variant=variant) for q in PICTURE_QUESTIONS}
        parts = FittedParts(variant.strength, settings, {}, {}, Threshold(None, 0))
    variant = _asked_in(parts)
    if variant in parts.word_models:
        return parts
    data = run.settings.data
    collection, _split = yield from open_collection(run.folder, data, home, control)
    yield Phase(name="parts", title=_("Looking at the training's own drawings"))
    clip, items = opened.clip, collection.items
    pictures = ImageCache(collection.root, items, clip.frame, data, run.settings.train.seed, store)
    bad = set((yield from pictures.prepare(range(len(items)), control)))
    good = [i for i in range(len(items)) if i not in bad]
    kept = [items[i] for i in good]
    found = yield from embedded_variants(
        clip, pictures, good, distinct_captions(kept), [variant], control, opened.adapter
    )
    model = WordModel.fit(found[variant], np.arange(len(kept), dtype=np.int64))
    learned_from = parts.learned_from | {item.digest for item in kept}
    return replace(parts, word_models={**parts.word_models, variant: model}, learned_from=learned_from)


def _embedded(
    opened: AdaptedModel,
    parts: FittedParts,
    before: TaughtWords,
    drawings: Sequence[TaughtDrawing],
    store: BlobCache,
    control: Control,
) -> Work[Mapping[Variant, Mapping[str, FloatArray]]]:
    """Unit embeddings of drawings, and of those taught before that lack one, in every variant of the word models."""
    new = {drawing.sha256: drawing.path for drawing in drawings}
    files = shas(before.words) | new
    found: dict[Variant, dict[str, FloatArray]] = {}
    for variant in parts.word_models:
        wanted = [sha for sha in files if sha in new or sha not in before.vectors.get(variant, {})]
        there = [sha for sha in wanted if sha in new or _is_still(Path(files[sha]), sha)]
        items = [
            Item(path=str(Path(files[sha]).absolute()), digest=sha, captions=("taught",)) for sha in there
        ]
        settings = opened.run.settings
        pictures = ImageCache(Path(), items, opened.clip.frame, settings.data, settings.train.seed, store)
        for place in (yield from pictures.prepare(range(len(items)), control)):
            image_gate.load(items[place].path)  # raises what is wrong with it
            raise UserError(_("“{path}” cannot be read.").format(path=shown(items[place].path)), "", "images")
        with opened.adapter.at(variant.strength):
            rows = yield from image_embeddings(
                opened.clip, pictures, range(len(items)), variant.views, control
            )
        found[variant] = dict(zip(there, unit(rows), strict=True))
    return found


def _is_still(path: Path, sha: str) -> bool:
    """Whether a file that was taught before is there and unchanged."""
    try:
        return image_gate.digest_of(path) == sha
    except UserError:
        return False
