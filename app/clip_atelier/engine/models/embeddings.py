"""Embeddings as arrays: what every model makes and every comparison reads. Needs numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]


def normalised(features: Features) -> Features:
    """Rows of length 1 [N, dim]; similarity is then a matrix product."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    result: Features = features / np.maximum(lengths, 1e-12)
    return result
