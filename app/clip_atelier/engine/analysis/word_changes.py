"""Words learned and lost: which words find their images better or worse after the adaptation.

A word's place is where the first right image stands in its ranking (1 is best); how far it moved is measured in
octaves, log2(place before / place after), because going from 8 to 4 matters as much as from 2 to 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, Phase, Progress, Whole, Work, _
from clip_atelier.engine.data import Item
from clip_atelier.engine.evaluation import (
    EvaluationSet,
    HeldOut,
    WordChange,
    WordChanges,
    Wording,
    bootstrap,
    caption_key,
    difference_of,
    metrics,
    open_on,
)
from clip_atelier.engine.models import Features, Model, Models, features
from clip_atelier.engine.parts import FittedParts, Variant, image_embeddings, questions

TEMPLATES: Final = (
    "{}", "a drawing of {}", "a sketch of {}", "a painting of {}", "a photo of {}", "an icon of {}", "{} 그림",
)  # fmt: skip
_MOST_WORDED: Final = (
    500  # captions that the templates are tried on: seven templates times thousands would take hours
)
_SMALL_WORDS: Final = frozenset("a an the of with and or in on at to for by from is are".split())
_WORD: Final = re.compile(r"[^\W\d_](?:[^\W\d_]|['’-](?=[^\W\d_]))*")


@dataclass(frozen=True)
class Vocabulary:
    """What is asked for.

    Attributes:
        words: As shown; captions first, then single words that several captions share.
        queries: What the model is asked with, one per word.
        right: bool [V, N], which images are right.
    """

    words: tuple[str, ...]
    queries: tuple[str, ...]
    right: NDArray[np.bool_]


def words(
    home: Path,
    run_id: str,
    models: Models,
    control: Control,
    folder: Path | None = None,
    templates: Sequence[str] = TEMPLATES,
    strength: float | None = None,
) -> Work[WordChanges]:
    """The vocabulary of a collection ranked by how far its retrieval moved, and how much the wording matters.

    Args:
        home: Where runs and caches live.
        run_id: The run.
        models: Owner of loaded models.
        control: Stop and pause.
        folder: Another collection than the run's own. Of the run's own only held-out images are used.
        templates: Sentences a caption is put into; {} stands for it.
        strength: Strength of the update; where left out the recommended one, or 1 where that is 0 and nothing would
            move.

    Raises:
        UserError: no such run or collection, or too few images can be read.
    """
    held = yield from open_on(home, run_id, models, control, folder)
    try:
        recommended = held.opened.recommended
        used = strength if strength is not None else recommended or 1.0
        yield Phase(name="encode", title=_("Preparing the images"))
        evaluation_set = yield from held.evaluation_set(control)
        bare = _bare(evaluation_set, held.collection.items, held.run.settings.data.template)
        asked = vocabulary(evaluation_set, bare)
        tried = np.linspace(0, len(bare) - 1, min(len(bare), _MOST_WORDED)).round().astype(int)
        worded = [[t.replace("{}", bare[n]) for n in tried] for t in templates]
        yield Phase(name="evaluate", title=_("Asking for every word"))
        whole = Whole(2 * (len(evaluation_set.indices) + len(asked.queries) + sum(map(len, worded))))
        found: list[tuple[NDArray[np.float64], list[float]]] = []
        parts = FittedParts.read(held.run.path)
        for strength in (0.0, used):
            asking = Asking(held, evaluation_set.indices, parts if strength else None, strength)
            yield from whole.part(asking.prepare(control), len(evaluation_set.indices))
            scores = yield from whole.part(asking.scores(asked.queries, control), len(asked.queries))
            places = _places(scores, asked.right)
            firsts = []
            for sentences in worded:
                scores = yield from whole.part(asking.scores(sentences, control), len(sentences))
                firsts.append(float(np.mean(_places(scores, evaluation_set.image_text.T[tried]) == 1)))
            found.append((places, firsts))
    finally:
        held.close()
    (before, base), (after, adapted) = found
    moved = np.log2(before / after)
    average = bootstrap.paired_bootstrap(np.zeros_like(moved), moved)
    return WordChanges(
        run=held.run.id,
        folder=str(held.collection.root),
        images=len(evaluation_set.indices),
        strength=used,
        best=round(recommended, 6),
        measured_on=held.measured_on,
        words=tuple(
            WordChange(
                word=asked.words[n],
                images=int(asked.right[n].sum()),
                before=int(before[n]),
                after=int(after[n]),
                moved=float(moved[n]),
            )
            for n in np.argsort(-moved, kind="stable")
        ),
        average=difference_of(average),
        templates=tuple(
            Wording(template=template, base=b, adapted=a)
            for template, b, a in zip(templates, base, adapted, strict=True)
        ),
        templates_tried_on=len(tried),
    )


def vocabulary(evaluation_set: EvaluationSet, bare: Sequence[str]) -> Vocabulary:
    """Every caption of an evaluation set, and the single words that at least two of its captions share.

    A word is left out where it is a caption itself, where it says nothing ("of"), and where it is right for more than
    half of the images: whatever is shown first would be right.
    """
    spoken = [{w.casefold() for w in _WORD.findall(caption)} for caption in bare]
    counts = Counter(word for of_caption in spoken for word in of_caption)
    whole = {caption_key(caption) for caption in bare}
    words, queries = list(bare), list(evaluation_set.captions)
    right = [evaluation_set.image_text.T]
    for word in sorted(w for w, n in counts.items() if n > 1 and w not in _SMALL_WORDS and w not in whole):
        told = np.array([word in of_caption for of_caption in spoken])
        of_word: NDArray[np.bool_] = evaluation_set.image_text @ told
        if of_word.mean() <= 0.5:
            words.append(word)
            queries.append(word)
            right.append(of_word[None])
    return Vocabulary(tuple(words), tuple(queries), np.concatenate(right))


def _bare(evaluation_set: EvaluationSet, items: Sequence[Item], template: str) -> list[str]:
    """The captions without the sentence that a class folder's name was put into."""
    labels = {items[i].label for i in evaluation_set.indices} - {""}
    name_of = {caption_key(template.replace("{label}", label)): label for label in labels}
    return [name_of.get(caption_key(caption), caption) for caption in evaluation_set.captions]


class Asking:
    """Drawings that are asked for in words, as a run answers at a strength.

    Args:
        held: The run on its collection.
        indices: N drawings.
        parts: What the run keeps beside its update, if anything.
        strength: Position of the strength dial.
    """

    def __init__(
        self, held: HeldOut, indices: Sequence[int], parts: FittedParts | None, strength: float
    ) -> None:
        self._held = held
        self._indices = indices
        self._parts = parts
        self._dial = held.opened.dial(strength)
        self._variant = (
            parts.setting(questions.TEXT_TO_IMAGE, self._dial).variant if parts else Variant(strength, False)
        )
        self._images: Features = np.zeros((0, 0), np.float32)

    def prepare(self, control: Control) -> Work[None]:
        """Embeds the drawings, [N, dim]; the update stays at the strength that the captions need too."""
        held = self._held
        held.adapter.set_adapter_scale(self._variant.strength)
        self._images = yield from image_embeddings(
            held.clip, held.pictures, self._indices, self._variant.views, control
        )

    def scores(self, sentences: Sequence[str], control: Control) -> Work[NDArray[np.floating]]:
        """Scores [M, N] of sentences."""
        texts = yield from _texts(self._held.clip, sentences, control)
        if self._parts is None:
            return texts @ self._images.T
        items = [self._held.collection.items[i] for i in self._indices]
        roles = [item.role for item in items] if any(item.pair and item.role for item in items) else None
        images = np.asarray(self._images, np.float64)
        return self._parts.word_scores(
            questions.TEXT_TO_IMAGE, np.asarray(texts, np.float64), sentences, images, roles, self._dial
        )


def _texts(clip: Model, sentences: Sequence[str], control: Control) -> Work[Features]:
    parts = []
    for start in range(0, len(sentences), features.TEXT_BATCH):
        control.boundary()
        parts.append(features.texts(clip, sentences[start : start + features.TEXT_BATCH]))
        yield Progress(done=min(start + features.TEXT_BATCH, len(sentences)), total=len(sentences))
    return np.concatenate(parts)


def _places(scores: NDArray[np.floating], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Place of each text's first right image [V], from scores [V, N]."""
    return metrics.per_query(scores, right, names=("median_rank",))["median_rank"]
