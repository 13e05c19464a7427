"""t-SNE before and after an adaptation, with a control that shows how much of the motion is noise.

The map after starts from the map before, so that a point's motion means something. But t-SNE never stands still: the
control goes through the very same steps as the map after, with the *base* embeddings and another seed. What moves there
moves although nothing was learned.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from openTSNE import TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN
from openTSNE.nearest_neighbors import PrecomputedNeighbors

from clip_atelier.engine.analysis.projection import quality
from clip_atelier.engine.analysis.projection.map_cache import Ground, MapCache
from clip_atelier.engine.analysis.projection.neighbours import nearest
from clip_atelier.engine.core import Control, Phase, Progress, UserError, Work, _
from clip_atelier.engine.storage import BlobCache

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST: Final = 5
"""Fewest images that make a map."""
NEIGHBOURS: Final = 15
"""Neighbours that the scores look at, where there are enough images."""

_SLICE_SECONDS: Final = 2.0  # about how long the iterations between two boundaries may take
_SLICE: Final = (4, 25)  # fewest and most of them; each slice costs one more evaluation
_FRESH: Final = ((250, 12.0), (500, 1.0))  # (iterations, exaggeration): openTSNE's defaults
_GO_ON: Final = ((250, 1.0),)
_JITTER: Final = 0.01  # of the map's radius: what the seed changes when a map starts from another


@dataclass(frozen=True)
class MapResult:
    """Two maps of the same N images.

    Attributes:
        base: [N, 2].
        adapted: [N, 2], aligned with `base`; None without an adaptation, as the next three.
        control: [N, 2], the base's embeddings again, by the steps that led to `adapted`; aligned with `base`.
        motion: [N], how far each point moved from `base` to `adapted`, in radii of the base map.
        control_motion: [N], the same for the control.
        scores: What the pictures are worth; see `tsne`.
    """

    base: Floats
    adapted: Floats | None
    control: Floats | None
    motion: Floats | None
    control_motion: Floats | None
    scores: Mapping[str, float]


def tsne(
    base: Vectors,
    adapted: Vectors | None,
    control: Control,
    perplexity: float = 30.0,
    seed: int = 0,
    store: BlobCache | None = None,
) -> Work[MapResult]:
    """Draws the map before, and after if there is one, and measures both.

    The map before and the control depend on the base alone. With a store they are drawn once, and every run and every
    strength of its update is placed on them.

    Args:
        base: [N, D] unit rows, by the base model.
        adapted: [N, D] unit rows of the same images, by the adapted model; None for one map only. Where they equal the
            base's, the map after is the map before.
        control: Stop and pause.
        perplexity: About how many neighbours a point attends to; lowered where there are few images.
        seed: Fixes the result on one machine.
        store: Where maps are kept, if anywhere.

    Returns:
        The maps. Scores, each between 0 and 1 but for the first three:
        points, perplexity (as used), neighbours (k of the scores);
        base/trustworthiness, base/overlap: of the map with its embedding, neighbours kept included;
        and with an adaptation adapted/trustworthiness, adapted/overlap;
        neighbours_kept: share of the k nearest neighbours that base and adapted *embedding* have in common;
        motion, control_motion: median over the points;
        motion_in_control: share of the motion that the control shows too, at most 1;
        moved: share of points that moved farther than 95 % of them did in the control.

    Raises:
        UserError: fewer than `FEWEST` images.
        Stopped: a stop was asked for.
    """
    if len(base) < FEWEST:
        raise UserError(
            _("A map needs at least {count} images.").format(count=FEWEST),
            _("Choose a folder with more images."),
            "folder",
        )
    kept = MapCache(store, "map", perplexity, seed, base)
    ground = kept.read()
    if ground is None or (adapted is not None and ground.again is None):
        ground = yield from _ground(base, ground, adapted is not None, control, perplexity, seed)
        kept.write(ground)
    if adapted is None:
        return MapResult(ground.layout, None, None, None, None, ground.scores)
    assert ground.again is not None
    if np.array_equal(base, adapted):
        after = ground.layout
        scores = {name.replace("base/", "adapted/"): value for name, value in ground.scores.items()}
        scores["neighbours_kept"] = 1.0
    else:
        after, scores = yield from _placed(base, adapted, ground, control, perplexity, seed, store)
    motion, noise = quality.motion(after, ground.layout), quality.motion(ground.again, ground.layout)
    typical, usual = float(np.median(motion)), float(np.median(noise))
    scores = (
        ground.scores
        | scores
        | {
            "motion": typical,
            "control_motion": usual,
            "motion_in_control": min(1.0, usual / typical) if typical > 0 else 1.0,
            "moved": float((motion > np.percentile(noise, 95)).mean()),
        }
    )
    return MapResult(ground.layout, after, ground.again, motion, noise, scores)


def _ground(
    base: Vectors, drawn: Ground | None, compared: bool, control: Control, perplexity: float, seed: int
) -> Work[Ground]:
    """The map before, unless it is drawn already, and the control where something is compared with it."""
    k, width = _widths(len(base), perplexity)
    yield Phase(name="project", title=_("Finding neighbours"))
    graph = yield from nearest(base, width, control)
    affinities = _affinities(graph, perplexity)
    if drawn is None:
        yield Phase(name="project", title=_("Drawing the map of the base"))
        layout = yield from _optimise(affinities, _principal(base, seed), _FRESH, control)
        scores = {
            "points": float(len(base)),
            "perplexity": float(affinities.effective_perplexity_),
            "neighbours": float(k),
            **_fidelity("base", base, layout, graph[0][:, :k], seed),
        }
        drawn = Ground(layout, graph[0][:, :k], None, scores)
    if not compared:
        return drawn
    yield Phase(name="project", title=_("Drawing the control: the base again, with another seed"))
    start = _jittered(drawn.layout, seed + 1)
    again = yield from _optimise(affinities, start, _GO_ON, control)
    return replace(drawn, again=quality.aligned(again, drawn.layout))


def _placed(
    base: Vectors, adapted: Vectors, ground: Ground, control: Control, perplexity: float, seed: int, store: BlobCache | None
) -> Work[tuple[Floats, dict[str, float]]]:  # fmt: skip
    """The map after [N, 2] and its scores.

    It always starts from the map before and never from another strength's: then it goes through the control's own
    steps, so that their motions can be compared, and the way that the dial took to a strength does not matter.
    """
    kept = MapCache(store, "placed", perplexity, seed, base, adapted)
    known = kept.read()
    if known is not None:
        return known.layout, known.scores
    k, width = _widths(len(base), perplexity)
    yield Phase(name="project", title=_("Finding neighbours after the adaptation"))
    graph = yield from nearest(adapted, width, control)
    yield Phase(name="project", title=_("Drawing the map of the adapted model"))
    start = _jittered(ground.layout, seed)
    drawn = yield from _optimise(_affinities(graph, perplexity), start, _GO_ON, control)
    layout = quality.aligned(drawn, ground.layout)
    near = graph[0][:, :k]
    scores = _fidelity("adapted", adapted, layout, near, seed)
    scores["neighbours_kept"] = float(quality.overlap(ground.neighbours, near).mean())
    kept.write(Ground(layout, near, None, scores))
    return layout, scores


def _widths(count: int, perplexity: float) -> tuple[int, int]:
    """Neighbours that the scores look at, and those that t-SNE needs."""
    k = min(NEIGHBOURS, (count - 1) // 2)
    return k, max(k, min(count - 1, int(3 * perplexity)))


def _affinities(graph: tuple[Ints, Floats], perplexity: float) -> PerplexityBasedNN:
    indices, distances = graph
    width = min(indices.shape[1], max(1, int(3 * perplexity)))
    return PerplexityBasedNN(
        perplexity=min(perplexity, width / 3),
        knn_index=PrecomputedNeighbors(
            np.ascontiguousarray(indices[:, :width]), np.ascontiguousarray(distances[:, :width])
        ),
    )


def _optimise(
    affinities: PerplexityBasedNN, start: Floats, phases: tuple[tuple[int, float], ...], control: Control
) -> Work[Floats]:
    # One thread: sums over several come out in another order each time, and t-SNE makes a different map of that.
    embedding = TSNEEmbedding(start, affinities, n_jobs=1)
    weights = affinities.P.data.copy()
    total = sum(iterations for iterations, _factor in phases)
    done, began, size = 0, time.monotonic(), _SLICE[0]
    for iterations, factor in phases:
        end = done + iterations
        while done < end:
            control.boundary()
            # openTSNE carries momentum over, so the size of slices, which depends on the machine, changes nothing;
            # but it multiplies the weights by the factor in place and divides them again, which rounds.
            count = min(size, end - done)
            embedding.optimize(count, inplace=True, exaggeration=factor, momentum=0.8)
            affinities.P.data[:] = weights
            done += count
            each = (time.monotonic() - began) / done
            size = int(np.clip(_SLICE_SECONDS / max(each, 1e-6), *_SLICE))
            yield Progress(done=done, total=total, seconds_left=each * (total - done))
    return np.array(embedding, np.float64)


def _principal(vectors: Vectors, seed: int) -> Floats:
    """The first two principal components [N, 2], small as t-SNE wants its start, equal vectors set slightly apart."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    _values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    # An axis may point either way; the largest entry decides, so that the same images give the same map.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    start = np.zeros((len(vectors), 2))
    start[:, : axes.shape[1]] = centred @ axes
    spread = float(start.std(axis=0).max())
    noise = np.random.default_rng(seed).standard_normal(start.shape)
    start = start / spread + 0.01 * noise if spread > 0 else noise
    placed: Floats = start * 1e-4
    return placed


def _jittered(layout: Floats, seed: int) -> Floats:
    radius = np.sqrt(((layout - layout.mean(axis=0)) ** 2).sum(axis=1).mean())
    noise = np.random.default_rng(seed).standard_normal(layout.shape)
    start: Floats = layout + _JITTER * radius * noise
    return start


def _fidelity(name: str, vectors: Vectors, layout: Floats, graph: Ints, seed: int) -> dict[str, float]:
    near = quality.map_neighbours(layout, graph.shape[1])
    return {
        f"{name}/trustworthiness": quality.trustworthiness(vectors, near, seed),
        f"{name}/overlap": float(quality.overlap(near, graph).mean()),
    }
