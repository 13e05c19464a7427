"""t-SNE before and after an adaptation, with a control that shows how much of the motion is noise.

The map after starts from the map before, so that a point's motion means something. But t-SNE never stands still: the
control goes through the very same steps as the map after, with the *base* embeddings and another seed. What moves there
moves although nothing was learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.analysis.projection import quality
from clip_atelier.engine.analysis.projection.coarse import SAMPLE, coarse_map, coarse_seconds
from clip_atelier.engine.analysis.projection.map_cache import Ground, MapCache
from clip_atelier.engine.analysis.projection.neighbours import nearest
from clip_atelier.engine.analysis.projection.optimisation import (
    FRESH,
    GO_ON,
    Steps,
    affinities_of,
    optimised,
    principal,
    small,
)
from clip_atelier.engine.analysis.projection.pace import (
    Pace,
    drawing_seconds,
    neighbours_seconds,
    scoring_seconds,
)
from clip_atelier.engine.core import Control, Phase, Preview, UserError, Work, _
from clip_atelier.engine.storage import BlobCache

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST: Final = 5
"""Fewest images that make a map."""
NEIGHBOURS: Final = 15
"""Neighbours that the scores look at, where there are enough images."""

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
    strength of its update is placed on them. While a large map is drawn, `Preview` events hold a `MapResult` without
    scores: first the coarse map of the base, then its finished one.

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
    equal = adapted is not None and np.array_equal(base, adapted)
    placed = MapCache(store, "placed", perplexity, seed, base, *(() if adapted is None else (adapted,)))
    known = None if adapted is None or equal else placed.read()
    drawing = _Drawing(base, control, perplexity, seed)
    drawing.plan(ground, adapted is not None, adapted is not None and not equal and known is None)
    if ground is None or (adapted is not None and ground.again is None):
        ground = yield from drawing.ground(ground, adapted is not None)
        kept.write(ground)
    if adapted is None:
        return MapResult(ground.layout, None, None, None, None, ground.scores)
    assert ground.again is not None
    if equal:
        after = ground.layout
        scores = {name.replace("base/", "adapted/"): value for name, value in ground.scores.items()}
        scores["neighbours_kept"] = 1.0
    else:
        if known is None:
            known = yield from drawing.placed(adapted, ground)
            placed.write(known)
        after, scores = known.layout, known.scores
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


@dataclass
class _Drawing:
    """Draws what is not kept yet; arguments as for `tsne`."""

    base: Vectors
    control: Control
    perplexity: float
    seed: int
    pace: Pace = field(default_factory=lambda: Pace({}))

    def plan(self, drawn: Ground | None, compared: bool, moved: bool) -> None:
        """Reckons what there is to do.

        Args:
            drawn: What is kept of the base's map.
            compared: Whether the control is wanted.
            moved: Whether the map after is to be drawn.
        """
        count, dim = self.base.shape
        sizes = {}
        if drawn is None or (compared and drawn.again is None):
            sizes["neighbours"] = neighbours_seconds(count, dim)
        if drawn is None:
            if self._starts_coarse:
                sizes["coarse"] = coarse_seconds(count, dim)
            sizes |= {"base": _seconds(count, FRESH), "base scores": scoring_seconds(count)}
        if compared and (drawn is None or drawn.again is None):
            sizes["control"] = _seconds(count, GO_ON)
        if moved:
            sizes |= {
                "neighbours after": neighbours_seconds(count, dim),
                "adapted": _seconds(count, GO_ON),
                "adapted scores": scoring_seconds(count),
            }
        self.pace = Pace(sizes)

    @property
    def _starts_coarse(self) -> bool:
        return len(self.base) > 2 * SAMPLE

    def ground(self, drawn: Ground | None, compared: bool) -> Work[Ground]:
        """The map before, unless it is drawn already, and the control where something is compared with it."""
        base, seed, pace = self.base, self.seed, self.pace
        start = None
        if drawn is None and self._starts_coarse:
            yield Phase(name="project", title=_("Drawing a first picture from some of the images"))
            work = coarse_map(base, self.control, self.perplexity, seed)
            start = yield from pace.part("coarse", work)
            yield Preview(result=MapResult(start, None, None, None, None, {}))
        k, width = _widths(len(base), self.perplexity)
        yield Phase(name="project", title=_("Finding neighbours"))
        graph = yield from pace.part("neighbours", nearest(base, width, self.control))
        affinities = affinities_of(graph, self.perplexity)
        if drawn is None:
            yield Phase(name="project", title=_("Drawing the map of the base"))
            start = principal(base, seed) if start is None else small(start, seed)
            steps = optimised(affinities, start, FRESH, self.control)
            layout = yield from pace.part("base", steps)
            if self._starts_coarse and compared:
                yield Preview(result=MapResult(layout, None, None, None, None, {}))
            fidelity = _fidelity("base", base, layout, graph[0][:, :k], seed)
            yield pace.over("base scores")
            scores = {
                "points": float(len(base)),
                "perplexity": float(affinities.effective_perplexity_),
                "neighbours": float(k),
                **fidelity,
            }
            drawn = Ground(layout, graph[0][:, :k], None, scores)
        if not compared:
            return drawn
        yield Phase(name="project", title=_("Drawing the control: the base again, with another seed"))
        start = _jittered(drawn.layout, seed + 1)
        again = yield from pace.part("control", optimised(affinities, start, GO_ON, self.control))
        return replace(drawn, again=quality.aligned(again, drawn.layout))

    def placed(self, adapted: Vectors, ground: Ground) -> Work[Ground]:
        """The map after, its neighbours and its scores.

        It always starts from the map before and never from another strength's: then it goes through the control's own
        steps, so that their motions can be compared, and the way that the dial took to a strength does not matter.
        """
        k, width = _widths(len(adapted), self.perplexity)
        yield Phase(name="project", title=_("Finding neighbours after the adaptation"))
        graph = yield from self.pace.part("neighbours after", nearest(adapted, width, self.control))
        yield Phase(name="project", title=_("Drawing the map of the adapted model"))
        affinities, start = affinities_of(graph, self.perplexity), _jittered(ground.layout, self.seed)
        drawn = yield from self.pace.part("adapted", optimised(affinities, start, GO_ON, self.control))
        layout = quality.aligned(drawn, ground.layout)
        near = graph[0][:, :k]
        scores = _fidelity("adapted", adapted, layout, near, self.seed)
        scores["neighbours_kept"] = float(quality.overlap(ground.neighbours, near).mean())
        yield self.pace.over("adapted scores")
        return Ground(layout, near, None, scores)


def _seconds(count: int, steps: Steps) -> float:
    return drawing_seconds(count, sum(iterations for iterations, _factor in steps))


def _widths(count: int, perplexity: float) -> tuple[int, int]:
    """Neighbours that the scores look at, and those that t-SNE needs."""
    k = min(NEIGHBOURS, (count - 1) // 2)
    return k, max(k, min(count - 1, int(3 * perplexity)))


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
