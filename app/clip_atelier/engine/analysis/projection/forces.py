"""The forces of t-SNE between all points of a large map, on a grid: what a step of openTSNE takes most time for.

All points repel each other by 1 / (1 + d²)², which is the slope of 1 / (1 + d²). So one convolution of the points with
1 / (1 + d²) is enough: cubic splines spread each point over 4 x 4 nodes, a fast Fourier transform convolves, and the
values and slopes of the same splines at the points are the normalisation and the force (particle-mesh Ewald, Essmann et
al. 1995). openTSNE's own interpolation (FIt-SNE, Linderman et al. 2019) convolves four fields with parabolas in double
precision; this takes an eighth of its time on a wide map, and is off by 0.4 % of the force where that is by 2 %.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from openTSNE import _tsne

Floats = NDArray[np.float64]
Reals = NDArray[np.floating[Any]]

_CELL: Final = 1 / 3  # width of a cell, in units of the map; the forces' own scale is 1
_FINEST: Final = 0.02
_FEWEST: Final = 100  # cells across a map that is still small
_STEP: Final = 32  # sizes differ by so many cells, so that the kernel is seldom transformed anew
_SINGLE: Final = 512  # nodes of a side from which single precision is exact enough


class GridForces:
    """openTSNE's `negative_gradient_method` for large maps in two dimensions."""

    def __init__(self) -> None:
        self._grid: tuple[int, float] = (0, 0.0)
        self._kernel: Reals = np.zeros(0)

    def __call__(
        self,
        embedding: Floats,
        P: Any,  # noqa: N803 - openTSNE's name
        dof: float,
        n_jobs: int = 1,
        **_: Any,
    ) -> tuple[float, Floats]:
        """The divergence (not evaluated: 0) and its gradient [N, 2], as openTSNE asks for them."""
        forces, total = self.repulsion(np.asarray(embedding))
        gradient: Floats = forces / -total
        _tsne.estimate_positive_gradient_nn(
            P.indices, P.indptr, P.data, embedding, embedding, gradient, dof, num_threads=n_jobs
        )
        return 0.0, gradient

    def repulsion(self, places: Floats) -> tuple[Floats, float]:
        """Σⱼ (yᵢ - yⱼ) / (1 + d²)² of each point [N, 2], and Σᵢⱼ 1 / (1 + d²) over all pairs."""
        low = places.min(axis=0)
        extent = float((places.max(axis=0) - low).max())
        cell = float(np.clip(extent / _FEWEST, _FINEST, _CELL))
        side = -(-(int(extent / cell) + 5) // _STEP) * _STEP
        nodes = scipy.fft.next_fast_len(2 * side, real=True)  # twice: no point may act from the other side
        kind = np.float32 if nodes > _SINGLE else np.float64
        kernel = self._transformed(nodes, cell, kind)
        scaled = (places - low) / cell + 1
        first = scaled.astype(np.int32)
        within = (scaled - first).astype(kind).T  # [2, N]
        corner = (first[:, 0] - 1) * side + first[:, 1] - 1
        (x, y), (x_slope, y_slope) = _splines(within), _slopes(within)  # [4, N] each
        at = corner + (np.arange(4)[:, None, None] * side + np.arange(4)[:, None])  # [4, 4, N]
        density = np.bincount(at.ravel(), (x[:, None] * y).ravel(), minlength=side * side)
        field = self._convolved(density.reshape(side, side).astype(kind), kernel, nodes).ravel()[at]
        across = np.einsum("xyn,yn->xn", field, y)
        total = float(np.einsum("xn,xn->", x, across, dtype=np.float64)) - len(places)
        forces = np.empty(places.shape)
        forces[:, 0] = (x_slope * across).sum(axis=0)
        forces[:, 1] = (x * np.einsum("xyn,yn->xn", field, y_slope)).sum(axis=0)
        forces *= -0.5 / cell
        return forces, total

    def _transformed(self, nodes: int, cell: float, kind: type[np.floating[Any]]) -> Reals:
        """The kernel's transform, divided by the splines' own."""
        if self._grid != (nodes, cell):
            away = np.minimum(np.arange(nodes), nodes - np.arange(nodes)) * cell
            values = (1 / (1 + away[:, None] ** 2 + away**2)).astype(kind)
            spline = ((2 + np.cos(2 * np.pi * np.arange(nodes) / nodes)) / 3).astype(kind) ** -2
            transform = scipy.fft.rfft2(values).real
            self._kernel = transform * spline[:, None] * spline[: transform.shape[1]]
            self._grid = (nodes, cell)
        return self._kernel

    def _convolved(self, density: Reals, kernel: Reals, nodes: int) -> Reals:
        side = len(density)
        # The half of the rows that is empty, or not asked for, is left out.
        rows = scipy.fft.rfft(density, nodes, axis=1)
        whole = scipy.fft.fft(rows, nodes, axis=0, overwrite_x=True)
        whole *= kernel
        rows = scipy.fft.ifft(whole, axis=0, overwrite_x=True)[:side]
        field: Reals = scipy.fft.irfft(rows, nodes, axis=1)[:, :side]
        return field


def _splines(t: Reals) -> tuple[Reals, Reals]:
    """Cubic B-spline weights [4, N] of the four nodes around each place, across and down; t [2, N] within its cell."""
    first, last = (1 - t) ** 3, t**3
    second = 3 * last - 6 * t**2 + 4
    found = np.stack([first, second, 6 - first - second - last, last], axis=1) / 6
    return found[0], found[1]


def _slopes(t: Reals) -> tuple[Reals, Reals]:
    """The derivatives of `_splines`."""
    found = np.stack([-((1 - t) ** 2), (3 * t - 4) * t, (2 - 3 * t) * t + 1, t**2], axis=1) / 2
    return found[0], found[1]
