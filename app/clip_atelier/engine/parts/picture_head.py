"""Picture head: sketches find artworks by embeddings whitened within pairs; the words' space is not touched."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from clip_atelier.engine.parts.arrays import EPSILON, FloatArray, IntArray, spread, top_mean, unit
from clip_atelier.engine.parts.embedded import Embedded
from clip_atelier.engine.parts.questions import ARTWORK_TO_SKETCH, SKETCH_TO_ARTWORK
from clip_atelier.engine.parts.variants import PLAIN, Variant
from clip_atelier.engine.parts.word_questions import NEIGHBOURS

CROSS_RIDGE = 1.0


@dataclass(frozen=True)
class PictureSetting:
    """What is applied to one picture question; a weight of 0 is the base.

    Attributes:
        weight: Share of the head's score in the blend with the plain cosine.
        shrink: Shrinkage of the within-pair covariance towards a multiple of the identity.
        cross: Weight of the regression from one side to the other.
        hub: Weight of the hub correction in the gallery.
        variant: Which embeddings are compared.
    """

    weight: float = 0.0
    shrink: float = 3.0
    cross: float = 0.0
    hub: float = 0.0
    variant: Variant = PLAIN

    def scaled(self, strength: float) -> PictureSetting:
        """Scales every part by the strength dial (0 to 1.5; 0 is the base, exactly)."""
        return replace(self, weight=self.weight * strength, variant=self.variant.scaled(strength))


BASE_PICTURES = PictureSetting()


@dataclass(frozen=True)
class _Side:
    """Drawings of one side: plain, whitened and predicted from the other side, each [n, d]."""

    plain: FloatArray
    whitened: FloatArray
    predicted: FloatArray


class PictureHead:
    """Learned from the training pairs of a collection."""

    def __init__(self, sketches: FloatArray, artworks: FloatArray) -> None:
        """Learn from pairs; with fewer than three the head stays off.

        Args:
            sketches: Unit embeddings of P sketches, shape [P, d].
            artworks: Unit embeddings of their artworks, in the same order.
        """
        self.sketches, self.artworks = sketches, artworks
        self.ready = len(sketches) >= 3
        if not self.ready:
            return
        self.sketch_mean, self.artwork_mean = self.sketches.mean(axis=0), self.artworks.mean(axis=0)
        left, right = self.sketches - self.sketch_mean, self.artworks - self.artwork_mean
        difference = left - right
        covariance = difference.T @ difference / len(sketches)
        values, self._vectors = np.linalg.eigh(covariance)
        self._values = np.maximum(values, 0.0)
        self._solve_left, self._solve_right = _operator(left), _operator(right)
        self._states: dict[float, tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]] = {}
        self._banks: dict[float, tuple[_Side, _Side]] = {}
        self._scales: dict[tuple[float, float], float] = {}

    @classmethod
    def fit(cls, collection: Embedded, train: IntArray) -> PictureHead:
        """Learn from the complete pairs among the training drawings of a collection."""
        pairs = collection.pairs or ()
        artworks = {pairs[i]: i for i in collection.role_indices(train, "artwork")}
        sketches = {pairs[i]: i for i in collection.role_indices(train, "sketch")}
        names = [name for name in sketches if name in artworks]
        left = np.array([sketches[n] for n in names], dtype=np.int64)
        right = np.array([artworks[n] for n in names], dtype=np.int64)
        return cls(collection.images[left], collection.images[right])

    def _state(self, shrink: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Whitening matrix, the two regressions and the two means of the whitened sides."""
        if shrink not in self._states:
            level = shrink * max(float(self._values.mean()), EPSILON)
            whitener = (self._vectors / np.sqrt(self._values + level)) @ self._vectors.T
            left = unit((self.sketches - self.sketch_mean) @ whitener)
            right = unit((self.artworks - self.artwork_mean) @ whitener)
            mean_left, mean_right = left.mean(axis=0), right.mean(axis=0)
            to_right = self._solve_left @ (right - mean_right)
            to_left = self._solve_right @ (left - mean_left)
            self._states[shrink] = (whitener, to_right, to_left, mean_left, mean_right)
        return self._states[shrink]

    def _side(self, images: FloatArray, shrink: float, sketch: bool) -> _Side:
        """Prepare unit embeddings [n, d] of one side."""
        whitener, to_right, to_left, _, _ = self._state(shrink)
        centred = images - (self.sketch_mean if sketch else self.artwork_mean)
        predicted = unit(centred @ (to_right if sketch else to_left))
        return _Side(images, unit(centred @ whitener), predicted)

    def _head(self, sketches: _Side, artworks: _Side, shrink: float, cross: float) -> FloatArray:
        """The head's similarity before hub correction, shape [sketches, artworks]."""
        scores = sketches.whitened @ artworks.whitened.T
        if cross:
            _, _, _, mean_left, mean_right = self._state(shrink)
            forward = sketches.predicted @ (artworks.whitened - mean_right).T
            backward = (sketches.whitened - mean_left) @ artworks.predicted.T
            scores = scores + 0.5 * cross * (forward + backward)
        return np.asarray(scores)

    def _bank(self, shrink: float) -> tuple[_Side, _Side]:
        """Both sides of the training pairs, prepared."""
        if shrink not in self._banks:
            self._banks[shrink] = (
                self._side(self.sketches, shrink, sketch=True),
                self._side(self.artworks, shrink, sketch=False),
            )
        return self._banks[shrink]

    def _scale(self, shrink: float, cross: float) -> float:
        """Brings the head's score to the spread of the cosine on the training pairs."""
        if (shrink, cross) not in self._scales:
            left, right = self._bank(shrink)
            goal = spread(left.plain @ right.plain.T)
            self._scales[shrink, cross] = goal / spread(self._head(left, right, shrink, cross))
        return self._scales[shrink, cross]

    def scores(
        self, question: str, setting: PictureSetting, sketches: FloatArray, artworks: FloatArray
    ) -> FloatArray:
        """Scores of one picture question.

        Args:
            question: `sketch_to_artwork` or `artwork_to_sketch`.
            setting: What is applied.
            sketches: Unit embeddings, shape [S, d].
            artworks: Unit embeddings, shape [A, d].

        Returns:
            Query by gallery: [S, A] or [A, S].
        """
        base = sketches @ artworks.T
        if question not in (SKETCH_TO_ARTWORK, ARTWORK_TO_SKETCH):
            raise ValueError(f"not a picture question: {question}")
        forward = question == SKETCH_TO_ARTWORK
        if not setting.weight or not self.ready:
            return base if forward else np.ascontiguousarray(base.T)
        shrink, cross = setting.shrink, setting.cross
        left, right = self._side(sketches, shrink, sketch=True), self._side(artworks, shrink, sketch=False)
        scores = self._head(left, right, shrink, cross)
        scores, base = (scores, base) if forward else (scores.T, base.T)
        if setting.hub:
            bank_left, bank_right = self._bank(shrink)
            near = (
                self._head(bank_left, right, shrink, cross).T
                if forward
                else self._head(left, bank_right, shrink, cross)
            )
            scores = scores - setting.hub * top_mean(near, NEIGHBOURS)[None]
        blended = (1 - setting.weight) * base + setting.weight * self._scale(shrink, cross) * scores
        return np.ascontiguousarray(blended)


def _operator(centred: FloatArray) -> FloatArray:
    """(XᵀX + λI)⁻¹Xᵀ of centred embeddings [n, d], shape [d, n]."""
    gram = centred @ centred.T + CROSS_RIDGE * np.eye(len(centred))
    return np.asarray(np.linalg.solve(gram, centred).T)
