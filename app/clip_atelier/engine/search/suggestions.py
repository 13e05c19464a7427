"""Captions that the model suggests for drawings that lack one, and how far they can be trusted in this very folder.

There are two ways: words that fit what is drawn, and how the most similar drawings are called. Which of them is used, and
when a suggestion counts as sure, is tried on the drawings of the folder that have captions, each as if it had none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from clip_atelier.engine.core import Control, Phase, Record, Text, UserError, Work, _
from clip_atelier.engine.data import Captioned, find_caption_faults
from clip_atelier.engine.models import Models, languages, shelf
from clip_atelier.engine.parts import top_mean
from clip_atelier.engine.search.gallery import Gallery, open_gallery
from clip_atelier.engine.search.loaded_model import LoadedModel, load_model
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.search.word_list import LANGUAGES, drawing_words

SCHEMA = 1
NEAREST: Final = 5
"""Captioned drawings that are asked how they are called."""
HUB: Final = 10
"""Drawings over which a word's nearness to everything is averaged, for the hub correction."""
SURE: Final = 0.8
"""Share of first suggestions that were right, from which on the like of them count as sure."""
FEWEST: Final = 10
"""Captioned drawings below which nothing was tried."""
ALIKE: Final = 20
"""Tried drawings that stood out about as clearly, by which it is told how often such a suggestion was right."""
POSSIBLE: Final = 1 / 3
"""Share of those that were right, from which on a suggestion is more than a guess."""

Scores = NDArray[np.float64]


class Suggestion(Record):
    """The captions suggested for one drawing, the best first.

    Attributes:
        path: Below the folder.
        captions: None of them is among the drawing's own.
        sure: Whether at least four of five first suggestions that stood out as clearly were right, in this folder.
        grade: "possible" where at least a third of those that stood out about as clearly were right.
        alike: Drawings with captions whose first suggestion stood out about as clearly; 0 where too few were tried.
        right: Of those, how many first suggestions were right.
    """

    path: Text
    captions: tuple[Text, ...]
    sure: bool = False
    grade: Literal["sure", "possible", "guess"] = "guess"
    alike: int = 0
    right: int = 0


class Suggestions(Record):
    """Captions suggested for the drawings of a folder.

    Attributes:
        way: Whether words were compared with what is drawn, or similar drawings asked.
        words: How many captions and words were to choose from.
        tried: Drawings with captions on which it was tried as if they had none.
        first: How many of those had a caption of their own suggested first.
        among: And how many anywhere among `count` suggestions.
        count: Suggestions for each drawing.
        drawings: In the order of their paths.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    model: str = ""
    run: str | None = None
    way: Literal["words", "similar"] = "words"
    words: int
    tried: int
    first: int
    among: int
    count: int
    drawings: tuple[Suggestion, ...] = ()


@dataclass(frozen=True)
class _Tried:
    """How a way did on drawings whose captions are known.

    Attributes:
        first: Whether the first suggestion was right, of each drawing.
        among: Whether any suggestion was.
        leads: How far the first stood out from the second.
    """

    first: NDArray[np.bool_]
    among: NDArray[np.bool_]
    leads: Scores

    def surest(self) -> float:
        """The smallest lead from which on enough first suggestions were right; infinite where there is none."""
        order = np.argsort(-self.leads, kind="stable")
        right = np.cumsum(self.first[order]) / np.arange(1, len(order) + 1)
        good = np.flatnonzero((right >= SURE) & (np.arange(1, len(order) + 1) >= FEWEST))
        return float(self.leads[order[good[-1]]]) if len(good) else np.inf

    def alike(self, lead: float) -> tuple[int, int]:
        """Of those that stood out about as clearly: how many, and how many of them were right."""
        if len(self.leads) < FEWEST:
            return 0, 0
        nearest = np.argsort(np.abs(self.leads - lead), kind="stable")[:ALIKE]
        return len(nearest), int(self.first[nearest].sum())


def suggest(
    folder: Path,
    model_ref: ModelRef,
    models: Models,
    control: Control,
    *,
    told: Mapping[str, Captioned] | None = None,
    wanted: Sequence[str] = (),
    count: int = 5,
) -> Work[Suggestions]:
    """Suggests captions for drawings of a folder.

    Args:
        folder: The drawings.
        model_ref: With which model, or which run's.
        models: Owner of loaded models; caches and the index live in its home.
        control: Stop and pause.
        told: path -> what a drawing is called now, where that is not what the folder says.
        wanted: Paths of the drawings to be named; where none is given, those that have no caption of their own: none at
            all, a camera's or scanner's name, or one that many share.
        count: Suggestions for each.

    Raises:
        UserError: no such folder, run or model, or nothing lacks a caption.
    """
    yield Phase(name="load", title=_("Opening the model"))
    loaded = load_model(model_ref, models)
    gallery = yield from open_gallery(folder, loaded, models.home, control)
    now = [(told or {}).get(i.path) or Captioned(i.path, i.captions, i.label) for i in gallery.items]
    nameless = {path for fault in find_caption_faults(now) for path in fault.paths}
    asked = [n for n, one in enumerate(now) if one.path in set(wanted or nameless)]
    if not asked:
        raise UserError(
            _("Every drawing has a caption of its own."),
            _("Choose the drawings that suggestions are wanted for."),
        )
    yield Phase(name="suggest", title=_("Looking for words that fit"))
    captioned = [n for n, one in enumerate(now) if one.captions and one.path not in nameless]
    own = [tuple(dict.fromkeys(one.captions)) for one in now]
    words = _candidates([own[n] for n in captioned], loaded.model.name)
    place = {word: n for n, word in enumerate(words)}
    truth = {n: [place[caption] for caption in own[n]] for n in captioned}
    by_words = _word_scores(loaded, gallery, words)
    control.boundary()
    ways: dict[Literal["words", "similar"], Scores] = {"words": by_words}
    if len(captioned) > NEAREST:
        ways["similar"] = _similar_scores(gallery.adapted, truth, by_words)
    alone = _said_once(truth, words)
    tried = {way: _tried(scores, truth, alone, count) for way, scores in ways.items()}
    # Words, unless similar drawings are right more often by more than a drawing or two.
    best: Literal["words", "similar"] = "words"
    if len(captioned) >= FEWEST and "similar" in ways:
        best = max(tried, key=lambda way: (tried[way].among.sum() + tried[way].first.sum(), way == "words"))
    found, surest = tried[best], tried[best].surest()
    drawings = []
    for n in sorted(asked, key=lambda n: now[n].path):
        scores = ways[best][n].copy()
        if n not in truth or now[n].path in set(wanted):
            scores[[place[caption] for caption in own[n] if caption in place]] = -np.inf
        order = np.argsort(-scores, kind="stable")[:count]
        lead = float(scores[order[0]] - scores[order[1]]) if len(order) > 1 else 0.0
        chosen = tuple(words[m] for m in order if np.isfinite(scores[m]))
        sure = bool(chosen) and lead >= surest
        alike, right = tried[best].alike(lead)
        grade: Literal["sure", "possible", "guess"] = "sure" if sure else "guess"
        if not sure and right and right >= POSSIBLE * alike:
            grade = "possible"
        drawings.append(
            Suggestion(path=now[n].path, captions=chosen, sure=sure, grade=grade, alike=alike, right=right)
        )
    return Suggestions(
        folder=str(gallery.root), model=loaded.model.name, run=model_ref.run, way=best, words=len(words),
        tried=len(captioned), first=int(found.first.sum()), among=int(found.among.sum()), count=count,
        drawings=tuple(drawings),
    )  # fmt: skip


def _candidates(captions: Sequence[Sequence[str]], model: str) -> list[str]:
    """The folder's own captions and the bundled words, each once, in the languages that the folder is written in."""
    own = list(dict.fromkeys(caption for some in captions for caption in some))
    spoken = Counter(languages.language_of(caption) for caption in own)
    known = languages.told(model) or ()
    usual = [code for code, times in spoken.most_common() if code and times >= 0.1 * len(own)] or ["en"]
    usable = [code for code in usual if not known or code in known or shelf.EVERY in known] or usual
    listed = [word for code in usable for word in drawing_words(code)]
    return list(dict.fromkeys([*own, *listed]))


def _word_scores(loaded: LoadedModel, gallery: Gallery, words: Sequence[str]) -> Scores:
    """How well each word fits each drawing, [N, M], less how near the word is to drawings of any kind."""
    texts = loaded.texts(list(words), loaded.strength)
    scores = np.asarray(gallery.adapted @ texts.T, np.float64)
    corrected: Scores = 2 * scores - top_mean(np.ascontiguousarray(scores.T), HUB)[None]
    return corrected


def _similar_scores(
    images: NDArray[np.float32], truth: Mapping[int, Sequence[int]], by_words: Scores
) -> Scores:
    """How much the nearest captioned drawings speak for each caption, [N, M]; no drawing speaks for itself."""
    captioned = np.array(sorted(truth))
    near = np.asarray(images @ images[captioned].T, np.float64)
    near[captioned, np.arange(len(captioned))] = -np.inf
    nearest = np.argsort(-near, axis=1, kind="stable")[:, :NEAREST]
    # Where nobody speaks for a caption, the words decide, far below.
    spread = float(np.ptp(by_words)) or 1.0
    found: Scores = (by_words - by_words.max()) / spread - 1.0
    for n, those in enumerate(nearest):
        votes: dict[int, float] = {}
        for other in those:
            for caption in truth[int(captioned[other])]:
                votes[caption] = votes.get(caption, 0.0) + max(near[n, other], 0.0)
        for caption, vote in votes.items():
            found[n, caption] = vote
    return found


def _said_once(truth: Mapping[int, Sequence[int]], words: Sequence[str]) -> set[int]:
    """Captions that one drawing alone has and no list: had it no caption, nobody would know of them."""
    times = Counter(caption for captions in truth.values() for caption in captions)
    listed = {word for code in LANGUAGES for word in drawing_words(code)}
    return {caption for caption, count in times.items() if count == 1 and words[caption] not in listed}


def _tried(scores: Scores, truth: Mapping[int, Sequence[int]], alone: set[int], count: int) -> _Tried:
    first, among, leads = [], [], []
    for n, own in truth.items():
        right = set(own) - alone
        there = scores[n].copy()
        there[[caption for caption in own if caption in alone]] = -np.inf
        order = np.argsort(-there, kind="stable")[: max(count, 2)].tolist()
        first.append(order[0] in right)
        among.append(bool(set(order[:count]) & right))
        leads.append(there[order[0]] - there[order[1]] if len(order) > 1 else 0.0)
    return _Tried(np.array(first, bool), np.array(among, bool), np.array(leads, np.float64))
