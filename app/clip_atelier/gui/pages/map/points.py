"""A map as the window shows it: arrays made once from the engine's result, and the ways to colour them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.engine.data import located
from clip_atelier.gui import theme
from clip_atelier.gui.parts.picture_detail import PARTS

if TYPE_CHECKING:
    from clip_atelier.engine.analysis import FolderMap

Floats = NDArray[np.float64]

COLOURINGS = {
    "label": N_("Label"),
    "folder": N_("Sub-folder"),
    "group": N_("Groups found"),
    "split": N_("Part of the split"),
    "change": N_("Change of place"),
    "none": N_("One colour"),
}
_PART_COLOURS = {"train": "accent", "validation": "warning", "test": "gain"}
# Upper ends, in octaves, and how strongly each is coloured.
_CHANGES: tuple[tuple[float, float], ...] = (
    (-2.0, -1.0), (-1.0, -0.65), (-1e-9, -0.3), (1e-9, 0.0), (1.0, 0.3), (2.0, 0.65), (math.inf, 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One colour of a map.

    Attributes:
        text: What it stands for, in the user's language or a label of the user's own.
        colour: A colour, or a field of `theme.Tokens`; with `part` a mixture of its base, gain and loss.
        part: -1 the colour of a loss … 0 neutral … 1 the colour of a gain; None for `colour` itself.
    """

    text: str
    colour: str = "base"
    part: float | None = None

    def resolved(self, t: theme.Tokens) -> str:
        """The colour in a theme, as #rrggbb."""
        if self.part is None:
            return self.colour if self.colour.startswith("#") else str(getattr(t, self.colour))
        end = t.gain if self.part > 0 else t.loss
        mixed = (
            round(_channel(t.strong_line, i) * (1 - abs(self.part)) + _channel(end, i) * abs(self.part))
            for i in (1, 3, 5)
        )
        return "#" + "".join(f"{value:02x}" for value in mixed)


def _channel(colour: str, at: int) -> int:
    return int(colour[at : at + 2], 16)


class MapData:
    """The points of a map.

    Args:
        result: The map, with captions and ranks.
    """

    def __init__(self, result: FolderMap) -> None:
        points = result.points
        self.points = points
        self.root = Path(result.folder)
        self.scores: Mapping[str, float] = result.scores
        self.groups = result.groups
        self.alone = [n for n in result.alone if n < len(points)]
        self.twins = [n for pair in result.twins for n in pair if n < len(points)]
        self.base: Floats = np.array([p.base for p in points], np.float64).reshape(-1, 2)
        moved = bool(points) and points[0].adapted is not None
        self.adapted: Floats | None = np.array([p.adapted for p in points], np.float64) if moved else None

    @property
    def finished(self) -> bool:
        """Whether this is more than a first picture of a map that is still being drawn."""
        return bool(self.scores)

    def same_images(self, result: FolderMap) -> bool:
        """Whether another map shows the same images in the same order."""
        points = result.points
        return len(points) == len(self.points) and all(
            one.path == other.path for one, other in zip(self.points, points, strict=True)
        )

    def mask(self, chosen: Sequence[int]) -> NDArray[np.bool_]:
        """[N], true for these points."""
        found = np.zeros(len(self.points), np.bool_)
        found[list(chosen)] = True
        return found

    def path(self, index: int) -> Path:
        """A point's file."""
        return located(self.root, self.points[index].path)

    def title(self, index: int) -> str:
        """A point's caption, else its file's name."""
        point = self.points[index]
        return point.caption or paths.shown(Path(point.path).name)

    def told(self, index: int) -> list[str]:
        """What is known about a point, in lines below its title."""
        point = self.points[index]
        label, part = point.label, point.split
        lines = [paths.shown(point.path)]
        if label or part:
            lines.append(" · ".join(text for text in (label, _(PARTS.get(part, ""))) if text))
        before, after = point.before, point.after
        if before is not None and after is not None:
            lines.append(_("place {before:,} → {after:,}").format(before=before, after=after))
        elif before is not None:
            lines.append(_("place {before:,}").format(before=before))
        return lines

    def change(self, index: int) -> float:
        """How far an image moved up in its own caption's ranking, in octaves; NaN where it is not known."""
        before, after = self.points[index].before, self.points[index].after
        return math.log2(before / after) if before and after else math.nan

    @cached_property
    def moved(self) -> NDArray[np.bool_]:
        """[N], the points that moved farther than 95 % of them did where nothing was learned."""
        motion = np.array([p.motion or 0.0 for p in self.points])
        noise = np.array([p.control_motion or 0.0 for p in self.points])
        away: NDArray[np.bool_] = motion > (np.percentile(noise, 95) if len(noise) else 0.0)
        return away

    @property
    def colourings(self) -> dict[str, str]:
        """The ways to colour that tell something apart here."""
        told = {
            "label": len({p.label for p in self.points}) > 1,
            "folder": len(self._folders) > 1,
            "group": len(self.groups) > 1,
            "split": any(p.split for p in self.points),
            "change": any(p.after is not None for p in self.points),
            "none": True,
        }
        return {name: title for name, title in COLOURINGS.items() if told[name]}

    @cached_property
    def _folders(self) -> Counter[str]:
        return Counter(p.path.rpartition("/")[0] for p in self.points)

    def coloured(self, by: str) -> tuple[NDArray[np.int64], list[Entry]]:
        """Which entry each point has [N], and the entries."""
        if by == "group":
            none = len(self.groups)
            names = [
                self.groups[p.group] if p.group is not None and p.group < none else "" for p in self.points
            ]
            return self._named(names, _("no group"))
        if by == "label":
            return self._named([p.label for p in self.points], _("no label"))
        if by == "folder":
            return self._named([p.path.rpartition("/")[0] for p in self.points], "/")
        if by == "split":
            names = [*_PART_COLOURS, ""]
            which = [names.index(p.split) for p in self.points]
            entries = [Entry(_(PARTS[name]), colour) for name, colour in _PART_COLOURS.items()]
            return np.array(which, np.int64), [*entries, Entry(_("no part"))]
        if by == "change":
            return self._changes()
        return np.zeros(len(self.points), np.int64), [Entry(_("images"), "accent")]

    def _named(self, names: Sequence[str], nothing: str) -> tuple[NDArray[np.int64], list[Entry]]:
        """The most frequent names get a colour of their own, the others share one."""
        counted = Counter(name for name in names if name)
        frequent = sorted(counted, key=lambda name: (-counted[name], name))[: len(theme.SERIES)]
        entries = [
            Entry(paths.shown(name), colour) for name, colour in zip(frequent, theme.SERIES, strict=False)
        ]
        which = {name: number for number, name in enumerate(frequent)}
        rest = len(entries)
        if len(counted) > rest:
            entries.append(Entry(_("{count:,} others").format(count=len(counted) - rest)))
        if "" in names:
            which[""] = len(entries)
            entries.append(Entry(nothing, "strong_line"))
        return np.array([which.get(name, rest) for name in names], np.int64), entries

    def _changes(self) -> tuple[NDArray[np.int64], list[Entry]]:
        changes = np.array([self.change(n) for n in range(len(self.points))])
        ends = np.array([end for end, _part in _CHANGES])
        which = np.searchsorted(ends, np.nan_to_num(changes), side="left").astype(np.int64)
        words = (
            N_("4 times further down or more"),
            N_("2 to 4 times further down"),
            N_("further down"),
            N_("same place"),
            N_("further up"),
            N_("2 to 4 times further up"),
            N_("4 times further up or more"),
        )
        entries = [Entry(_(text), part=part) for text, (_end, part) in zip(words, _CHANGES, strict=True)]
        return which, entries
