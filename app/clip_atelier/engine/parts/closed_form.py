"""Closed-form projection: ridge regression from image to caption embeddings, exactly a LoRA of the projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clip_atelier.engine.parts.arrays import EPSILON, FloatArray, IntArray, unit
from clip_atelier.engine.parts.embedded import Embedded


@dataclass(frozen=True)
class ProjectionUpdate:
    """A low-rank map e <- e + e Q of image embeddings, with Q = left @ right.

    The rows need not be unit vectors: the map is linear, so it commutes with the later normalisation and can be
    merged into the bias-free linear layer that makes the embeddings.

    Attributes:
        left: Shape [d, r].
        right: Shape [r, d]; the step size is already in it.
    """

    left: FloatArray
    right: FloatArray

    def apply(self, images: FloatArray) -> FloatArray:
        """Map embeddings and scale them to length 1.

        Args:
            images: Image embeddings before or after normalisation, shape [N, d].

        Returns:
            Unit embeddings, shape [N, d].
        """
        return unit(images + (images @ self.left) @ self.right)

    def lora_factors(self, weight: FloatArray, rank: int, scaling: float) -> tuple[FloatArray, FloatArray]:
        """Factors of a PEFT LoRA of the projection layer that does the same as `apply`.

        With e = W p, the mapped embedding is (W + Qᵀ W) p, so ΔW = scaling · B A with A = leftᵀ W and
        B = rightᵀ / scaling. A smaller map is filled up with zeros.

        Args:
            weight: Weight W of the layer, shape [d, width].
            rank: The LoRA's r; at least the rank of the map.
            scaling: What PEFT multiplies B A by: lora_alpha / r, or lora_alpha / √r with rsLoRA.

        Returns:
            A of shape [rank, width] and B of shape [d, rank].

        Raises:
            ValueError: If the map has a higher rank than the LoRA.
        """
        own = self.left.shape[1]
        if own > rank:
            raise ValueError(f"a map of rank {own} does not fit a LoRA of rank {rank}")
        a = np.zeros((rank, weight.shape[1]))
        b = np.zeros((weight.shape[0], rank))
        a[:own] = self.left.T @ weight
        b[:, :own] = self.right.T / scaling
        return a, b


class RidgeProjection:
    """Ridge regression with one eigendecomposition for all regularisation strengths."""

    def __init__(self, collection: Embedded, train: IntArray) -> None:
        """Prepare the regression on training drawings that have captions.

        Args:
            collection: The collection.
            train: Positions of the training drawings.
        """
        self._directions: dict[tuple[float, int], tuple[FloatArray, FloatArray, FloatArray]] = {}
        captioned = np.array([i for i in train if collection.captions[i]], dtype=np.int64)
        self._images = collection.images[captioned]
        d = collection.images.shape[1]
        if len(captioned) < 2:
            self._mean = np.zeros(d)
            self._values, self._vectors, self._cross = np.ones(d), np.eye(d), np.zeros((d, d))
            return
        weights = collection.relevance[:, captioned].astype(np.float64)
        targets = unit(weights.T @ collection.texts)
        self._mean = self._images.mean(axis=0)
        centred = self._images - self._mean
        values, self._vectors = np.linalg.eigh(centred.T @ centred)
        self._values = np.maximum(values, 0.0)
        self._cross = self._vectors.T @ (centred.T @ (targets - targets.mean(axis=0)))

    def _direction(self, regularisation: float, rank: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Both factors of the map before its step, and what it adds to the training drawings; once for all steps."""
        known = self._directions.get((regularisation, rank))
        if known is not None:
            return known
        solution = self._vectors @ (self._cross / (self._values + regularisation)[:, None])
        direction = unit(self._mean)
        solution = solution - np.outer(direction, direction @ solution)
        # The right singular vectors as eigenvectors: steadier than LAPACK's divide and conquer, and faster.
        squared, vectors = np.linalg.eigh(solution.T @ solution)
        kept = np.argsort(-squared, kind="stable")[: min(rank, int((squared > EPSILON**2).sum()))]
        right = np.ascontiguousarray(vectors[:, kept].T)
        left = solution @ right.T
        found = left, right, (self._images @ left) @ right
        self._directions[regularisation, rank] = found
        return found

    def fit(self, regularisation: float, step: float, rank: int) -> ProjectionUpdate:
        """Solve for one regularisation, cut to a rank.

        The centring is done by projecting the mean direction m out, Q = (I - m mᵀ) M, which needs no bias.

        Args:
            regularisation: Ridge strength λ in (XᵀX + λI)⁻¹XᵀT.
            step: Root-mean-square length of the update on the training drawings, whose embeddings have length 1.
            rank: Rank that is kept; d or more keeps everything.

        Returns:
            The update.
        """
        left, right, moved = self._direction(regularisation, rank)
        size = float(np.sqrt((moved**2).sum(axis=1).mean())) if len(moved) else 0.0
        return ProjectionUpdate(left, right * (step / max(size, EPSILON)))
