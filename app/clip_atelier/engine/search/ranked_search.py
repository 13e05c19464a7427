"""Search in a folder by words and images, with the base and the adapted model side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, Phase, UserError, Work, _
from clip_atelier.engine.data import image_gate, pixels
from clip_atelier.engine.models import Models, adapters, features
from clip_atelier.engine.search.gallery import Gallery, LoadedModel, load_model, open_gallery
from clip_atelier.engine.search.model_ref import ModelRef
from clip_atelier.engine.search.query import Query
from clip_atelier.engine.search.results import SearchHit, SearchResult
from clip_atelier.engine.search.vectors import VectorSearch

Vector = NDArray[np.float32]


@dataclass
class Search:
    """A folder ready to be searched, many times. Lives on the compute lane, as its model does.

    Attributes:
        gallery: The folder's images.
        loaded: The model.
        reopen: Opens the model again after other work took its model for something else.
        base: The gallery as the base sees it.
        adapted: As the adapted model sees it; the same object where the update changes no image.
    """

    gallery: Gallery
    loaded: LoadedModel
    reopen: Callable[[], LoadedModel]
    base: VectorSearch
    adapted: VectorSearch

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
        if self.loaded.clip.adapter is not self.loaded.adapter:
            self._take_back()
        own = {_digest(picture) for picture in query.pictures if isinstance(picture, Path)}
        exclude = (
            np.flatnonzero([item.digest in own for item in self.gallery.items])
            if own
            else np.empty(0, np.int64)
        )
        before, after = self._embed(query)
        ranking = self.base.rank(before, exclude)
        found, scores = ranking.top(top)
        items = self.gallery.items
        base = tuple(
            SearchHit(path=items[i].path, score=score)
            for i, score in zip(found, scores.tolist(), strict=True)
        )
        adapted = None
        if self.loaded.adapter:
            found, scores = self.adapted.rank(after, exclude).top(top)
            ranks = ranking.places(found).tolist()
            adapted = tuple(
                SearchHit(path=items[i].path, score=score, base_rank=rank)
                for i, score, rank in zip(found, scores.tolist(), ranks, strict=True)
            )
        return SearchResult(
            images=len(items) - len(exclude),
            skipped=self.gallery.skipped,
            strength=self.loaded.strength,
            base=base,
            adapted=adapted,
        )

    def _take_back(self) -> None:
        loaded = self.reopen()
        if (loaded.base, loaded.adapted) != (self.loaded.base, self.loaded.adapted):
            raise UserError(
                _("The model or the run has changed since this folder was opened for searching."),
                _("Open the folder again."),
            )
        self.loaded = loaded

    def _embed(self, query: Query) -> tuple[Vector, Vector]:
        """The query as unit vectors of the base and of the adapted model: [dim], [dim]."""
        adapter = self.loaded.adapter
        if adapter is None:
            vector = embed(query, self.loaded)
            return vector, vector
        with adapter.at(0.0):
            base = embed(query, self.loaded)
        return base, embed(query, self.loaded)


def embed(query: Query, loaded: LoadedModel) -> Vector:
    """The query as one unit vector [dim] of the model as it is now: the normalised sum of its weighted terms.

    Raises:
        UserError: an image cannot be read, or the terms cancel each other out.
    """
    words = dict(zip(query.texts, features.texts(loaded.clip, query.texts), strict=True))
    total = np.zeros(loaded.clip.dim, np.float32)
    for term in query.terms:
        if isinstance(term.content, str):
            total += term.weight * words[term.content]
            continue
        size = loaded.clip.image_size
        picture = (
            image_gate.load(term.content, target=size)
            if isinstance(term.content, Path)
            else pixels.to_rgb(term.content)
        )
        total += (
            term.weight
            * features.image_now(loaded.clip, image_gate.fit(picture, size, loaded.data.image_fit))[0]
        )
    length = float(np.linalg.norm(total))
    if length < 1e-4:
        raise UserError(
            _("The parts of this query cancel each other out."),
            _("Take away something else than what was added."),
        )
    unit: Vector = total / np.float32(length)
    return unit


def open_search(folder: Path, model_ref: ModelRef, models: Models, control: Control) -> Work[Search]:
    """Opens a folder for searching; embeds what is new. Arguments as for `gallery.index`.

    Raises:
        UserError: no such folder, run or model, or no readable image.
        WorkError: the disk is full; what was embedded so far is kept.
    """
    yield Phase(name="load", title=_("Opening the model"))
    reopen = partial(load_model, model_ref, models)
    opened = reopen()
    gallery = yield from open_gallery(folder, opened, models.home, control)
    base = VectorSearch(gallery.base)
    adapted = base if gallery.adapted is gallery.base else VectorSearch(gallery.adapted)
    return Search(gallery, opened, reopen, base, adapted)


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
        adapters.detach(opened.loaded.clip)


def _digest(path: Path) -> str:
    with image_gate.open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
