"""A folder's map as a document."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from clip_atelier.engine.core import Record, Score, Text

SCHEMA = 1


class MapPoint(Record):
    """One image on the map.

    Attributes:
        path: Below the folder.
        split: Part of the run's split; empty elsewhere. "train" for all that a run measured by folds has learned from.
        base: Its place before the adaptation.
        adapted: Its place after it; None without a run.
        motion: How far it moved, in map radii.
        control_motion: How far it moves where nothing was learned.
        caption: Its first caption, where ranks were asked for.
        before: Its rank among all images for its own caption, with the base (1 is best).
        after: The same with the adapted model.
        group: Its group, a position in the map's `groups`; None where nothing was grouped.
    """

    path: Text
    label: Text = ""
    split: str = ""
    base: tuple[float, float]
    adapted: tuple[float, float] | None = None
    motion: Score = None
    control_motion: Score = None
    caption: Text = ""
    before: int | None = None
    after: int | None = None
    group: int | None = None


class FolderMap(Record):
    """A t-SNE map of a folder, before and (with a run) after the adaptation.

    Attributes:
        run: The run, if there is one.
        strength: Position of the strength dial.
        scores: How far the map can be trusted, by name.
        reading: What the scores say, in the language of when it was made.
        files: What was written.
        groups: Names of groups of drawings that belong together, the largest first; by the adapted model where there is one.
        alone: Drawings that are far from all others, as positions in `points`, the farthest first.
        twins: Pairs of drawings that are nearly the same, as positions in `points`.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    run: str | None = None
    strength: float = 1.0
    perplexity: float = 30.0
    points: tuple[MapPoint, ...]
    scores: Mapping[str, float]
    reading: tuple[str, ...] = ()
    files: tuple[Text, ...] = ()
    groups: tuple[Text, ...] = ()
    alone: tuple[int, ...] = ()
    twins: tuple[tuple[int, int], ...] = ()
