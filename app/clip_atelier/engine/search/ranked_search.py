"""Search in a folder by words and images, with the base and the adapted model side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, Countdown, Phase, UserError, Work, _
from clip_atelier.engine.data import check_folder, image_gate, pixels
from clip_atelier.engine.models import Models
from clip_atelier.engine.parts import AskedDrawings, FittedParts, fitting, questions
from clip_atelier.engine.search import graphs, nearest_graph, strange_words, wording
from clip_atelier.engine.search.gallery import Gallery, open_gallery
from clip_atelier.engine.search.loaded_model import LoadedModel, changed, load_model
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.search.query import Query, parse_query
from clip_atelier.engine.search.results import BatchAnswer, BatchResult, SearchHit, SearchResult
from clip_atelier.engine.search.vectors import Ranking, VectorSearch

if TYPE_CHECKING:
    from PIL import Image

Vector = NDArray[np.float32]
Found = tuple[NDArray[np.int64], NDArray[np.float64]]

_SIDES: Final = {
    "sketch": (questions.SKETCH_TO_ARTWORK, "artwork"),
    "artwork": (questions.ARTWORK_TO_SKETCH, "sketch"),
}


@dataclass
class Search:
    """A folder ready to be searched, many times. Lives on the compute lane, as its model does.

    Attributes:
        gallery: The folder's images.
        loaded: The model.
        reopen: Opens the model again after its run was written to.
        base: The gallery as the base sees it.
        adapted: As the adapted model sees it; the same object where the update changes no image.

    A run's parts rank what is asked with words alone, and a sketch's artworks or an artwork's sketches. All else is ranked
    by the adapted model's cosine.
    """

    gallery: Gallery
    loaded: LoadedModel
    reopen: Callable[[], LoadedModel]
    base: VectorSearch
    adapted: VectorSearch
    _drawings: AskedDrawings | None = None
    _spaces: dict[str, VectorSearch] = field(default_factory=dict)

    def find(self, query: Query, top: int = 10) -> SearchResult:
        """The best images for a query.

        The query's own images are no results: every image of the folder with the same content is left out.

        Args:
            query: Words and images.
            top: How many results per model.

        Returns:
            Both rankings; `adapted` only where there is an update.

        Raises:
            UserError: a query image cannot be read, the query's parts cancel each other out, or the run was changed.
        """
        if not self.loaded.up_to_date:
            self._take_back()
        taught = (word for words in self.loaded.taught.values() for word in words)
        strange = strange_words.remarks(query, self.loaded)
        query, remarks = wording.readable(query, self.loaded, taught)
        own = {image_gate.digest_of(picture) for picture in query.pictures if isinstance(picture, Path)}
        exclude = (
            np.flatnonzero([item.digest in own for item in self.gallery.items])
            if own
            else np.empty(0, np.int64)
        )
        before, after = self._embed(query)
        ranking = self.base.rank(before, exclude)
        found, scores = ranking.top(top)
        base = self._hits(found, scores)
        adapted = None
        if self.loaded.run_folder is not None:
            found, scores = self._adapted(query, after, exclude, top)
            ranks = ranking.places(found).tolist()
            fits = self._fits(query, before, found)
            adapted = tuple(
                hit.model_copy(update={"base_rank": rank, "fits": fit})
                for hit, rank, fit in zip(self._hits(found, scores), ranks, fits, strict=True)
            )
        recall, told = graphs.told(top + len(exclude), self.base, self.adapted)
        return SearchResult(
            images=len(self.gallery.items) - len(exclude),
            skipped=self.gallery.skipped,
            strength=self.loaded.wanted,
            base=base,
            adapted=adapted,
            remarks=(*strange, *remarks, *told),
            strange_words=bool(strange),
            recall=recall,
        )

    def needs_model(self, query: Query) -> bool:
        """Whether an answer takes the loaded model, which one thread at a time may use; without it `find` may run beside that."""
        return (
            bool(query.pictures)
            or not (self.loaded.up_to_date and self.loaded.reads_alone)
            or strange_words.measures(query, self.loaded)
        )

    def _hits(self, found: NDArray[np.int64], scores: NDArray[np.float64]) -> tuple[SearchHit, ...]:
        parts = self.loaded.parts
        items = [self.gallery.items[i] for i in found]
        return tuple(
            SearchHit(
                path=item.path,
                score=score,
                learned=None if parts is None else item.digest in parts.learned_from,
            )
            for item, score in zip(items, scores.tolist(), strict=True)
        )

    @property
    def _parts(self) -> FittedParts | None:
        """The run's parts, where the dial lets them take part."""
        return self.loaded.parts if self.loaded.dial else None

    def _adapted(self, query: Query, after: Vector, exclude: NDArray[np.int64], top: int) -> Found:
        """The k best images of the adapted model and their scores: [k], [k]."""
        alone = query.alone
        if self._parts is not None and isinstance(alone, str):
            return self._by_words(self._parts, alone, top)
        ranking = self.adapted.rank(after, exclude)
        if self._parts is not None and isinstance(alone, Path) and len(exclude):
            first = self.gallery.items[exclude[0]]
            if self.gallery.roles is not None and first.role in _SIDES:
                return self._by_picture(self._parts, int(exclude[0]), ranking, top)
        return ranking.top(top)

    def _by_words(self, parts: FittedParts, words: str, top: int) -> Found:
        variant = parts.setting(questions.TEXT_TO_IMAGE, self.loaded.dial).variant
        text = embed(Query.of(words), self.loaded, variant.strength)
        scores = self._asked(parts).scores(text, words)
        if scores is None:
            return self._seen(questions.TEXT_TO_IMAGE).rank(text).top(top)
        order = np.argsort(-scores, kind="stable")[:top]
        return order, scores[order]

    def _by_picture(self, parts: FittedParts, own: int, ranking: Ranking, top: int) -> Found:
        """The other side in the order of the picture head, on the places that it has in the adapted model's ranking.

        So the query's own side stays where it is, and the scores stay cosines of one scale.
        """
        roles = self.gallery.roles or ()
        question, other = _SIDES[roles[own]]
        places, cosines = ranking.top(len(self.gallery.items))
        moved = np.flatnonzero([roles[i] == other for i in places])
        side = np.sort(places[moved])
        vectors = self._seen(question).vectors
        asked, answers = vectors[[own]].astype(np.float64), vectors[side].astype(np.float64)
        pair = (asked, answers) if other == "artwork" else (answers, asked)
        scores = parts.picture_scores(question, *pair, self.loaded.dial)[0]
        places[moved] = side[np.argsort(-np.round(scores, 5), kind="stable")]
        return places[:top], cosines[:top]

    def _fits(self, query: Query, before: Vector, found: NDArray[np.int64]) -> list[bool | None]:
        """Whether each found image fits the words that are asked, as the untouched model and the parts tell."""
        words = query.alone
        if self._parts is None or not isinstance(words, str) or not len(found):
            return [None] * len(found)
        roles = self.gallery.roles
        items = [self.gallery.items[i] for i in found]
        told = fitting(
            self._parts,
            before,
            words,
            self.base.vectors[found],
            [(*item.captions, *self.loaded.taught.get(item.digest, ())) for item in items],
            None if roles is None else [roles[i] for i in found],
        )
        return [None] * len(found) if told is None else told.tolist()

    def _asked(self, parts: FittedParts) -> AskedDrawings:
        """The folder as words ask for it, prepared once."""
        if self._drawings is None:
            vectors = self._seen(questions.TEXT_TO_IMAGE).vectors
            self._drawings = AskedDrawings(parts, vectors, self.gallery.roles, self.loaded.dial)
        return self._drawings

    def _seen(self, question: str) -> VectorSearch:
        """The folder in the embeddings that a question stands on."""
        assert self.loaded.parts is not None
        space = self.loaded.space(self.loaded.parts.setting(question, self.loaded.dial).variant)
        if space.key not in self._spaces:
            self._spaces[space.key] = _exactly(self.gallery, space.key)
        return self._spaces[space.key]

    def _take_back(self) -> None:
        loaded = self.reopen()
        if loaded.spaces(parts=True) != self.loaded.spaces(parts=True):
            raise changed()
        self.loaded = loaded
        self._drawings = None

    def _embed(self, query: Query) -> tuple[Vector, Vector]:
        """The query as unit vectors of the base and of the adapted model: [dim], [dim]."""
        base = embed(query, self.loaded, 0.0)
        strength = self.loaded.strength
        return base, embed(query, self.loaded, strength) if strength else base


def _exactly(gallery: Gallery, key: str) -> VectorSearch:
    """A folder in one space, by its key."""
    large = gallery.large.get(key)
    return VectorSearch(gallery.seen[key], None if large is None else large.codes)


def embed(query: Query, loaded: LoadedModel, strength: float) -> Vector:
    """The query as one unit vector [dim] of the model at a strength of its update: the sum of its weighted terms.

    Raises:
        UserError: an image cannot be read, or the terms cancel each other out.
    """
    words = dict(zip(query.texts, loaded.texts(query.texts, strength), strict=True))
    total = np.zeros(loaded.dim, np.float32)
    for term in query.terms:
        if isinstance(term.content, str):
            total += term.weight * words[term.content]
            continue
        total += term.weight * _picture(term.content, loaded, strength)
    length = float(np.linalg.norm(total))
    if length < 1e-4:
        raise UserError(
            _("The parts of this query cancel each other out."),
            _("Take away something else than what was added."),
        )
    unit: Vector = total / np.float32(length)
    return unit


def _picture(content: Path | Image.Image, loaded: LoadedModel, strength: float) -> Vector:
    """A picture as one unit vector [dim]."""
    from clip_atelier.engine.models import features

    frame = loaded.model.frame
    picture = image_gate.load(content, target=frame) if isinstance(content, Path) else pixels.to_rgb(content)
    fitted = image_gate.fit(picture, frame, loaded.data.image_fit)
    adapter = loaded.adapter
    with adapter.at(strength) if adapter is not None else nullcontext():
        found: Vector = features.image_now(loaded.clip, fitted)[0]
    return found


def open_search(
    folder: Path,
    model_ref: ModelRef,
    models: Models,
    control: Control,
    opened: LoadedModel | None = None,
    soon: Callable[[Search], object] | None = None,
    early: bool = False,
) -> Work[Search]:
    """Opens a folder for searching; embeds what is new.

    Args:
        folder: The images.
        model_ref: With which model.
        models: Owner of loaded models; caches and the index live in its home.
        control: Stop and pause.
        opened: The model, where it is opened already.
        soon: Takes a search in what is known so far while many images are being embedded, every now and then.
        early: Whether it takes that while the folder is read already, before captions and pairs are known.

    Raises:
        UserError: no such folder, run or model, or no readable image.
        WorkError: the disk is full; what was embedded so far is kept.
    """
    check_folder(folder)  # before the model is opened, which takes long
    yield Phase(name="load", title=_("Opening the model"))
    reopen = partial(load_model, model_ref, models)
    loaded = opened if opened is not None else reopen()
    tell = None if soon is None else lambda known: soon(_search_in(known, loaded, reopen))
    gallery = yield from open_gallery(
        folder, loaded, models.home, control, parts=True, soon=tell, early=early
    )
    found = _search_in(gallery, loaded, reopen)
    if len(gallery.items) > nearest_graph.BEYOND and gallery.large:
        yield from graphs.prepare(found.base, gallery, loaded, loaded.base.key, 0.0, control)
        if found.adapted is not found.base:
            key, strength = loaded.adapted.key, loaded.strength
            yield from graphs.prepare(found.adapted, gallery, loaded, key, strength, control)
    return found


def _search_in(gallery: Gallery, loaded: LoadedModel, reopen: Callable[[], LoadedModel]) -> Search:
    base = _exactly(gallery, loaded.base.key)
    adapted = base if gallery.adapted is gallery.base else _exactly(gallery, loaded.adapted.key)
    return Search(gallery, loaded, reopen, base, adapted)


def search(
    folder: Path,
    query: Query,
    model_ref: ModelRef,
    models: Models,
    control: Control,
    top: int = 10,
) -> Work[SearchResult]:
    """One search in a folder, from nothing. Arguments as for `open_search`."""
    opened = yield from open_search(folder, model_ref, models, control)
    try:
        return opened.find(query, top)
    finally:
        opened.loaded.release()


def search_batch(
    folder: Path,
    lines: Sequence[str],
    model_ref: ModelRef,
    models: Models,
    control: Control,
    top: int = 10,
) -> Work[BatchResult]:
    """Many searches in a folder that is opened once. Arguments as for `open_search`; `parse_query` reads each line.

    A line that cannot be answered does not end it.
    """
    opened = yield from open_search(folder, model_ref, models, control)
    answers = []
    try:
        yield Phase(name="search", title=_("Searching"))
        countdown = Countdown(len(lines))
        for number, line in enumerate(lines, 1):
            control.boundary()
            try:
                answers.append(BatchAnswer(text=line, found=opened.find(parse_query(line), top)))
            except UserError as error:
                answers.append(BatchAnswer(text=line, error=error.message))
            yield countdown.at(number, line)
    finally:
        opened.loaded.release()
    return BatchResult(answers=tuple(answers))
