"""Which captions a drawing may get in training, and how often each drawing is shown."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from starter.captions import Captioner, Concept
from starter.drawings import Drawing
from starter.sources import EMOJI, is_mark

ENGLISH, KOREAN = 0, 1
_MOST_CAPTIONS = 12

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Catalogue:
    """Captions and sampling weights of N drawings.

    Attributes:
        texts: All distinct captions.
        captions: (2, N, 12) caption numbers per language, the main one first, -1 where there are fewer.
        counts: (2, N) how many of them are set.
        concepts: (N,) concept numbers; equal ones mean the same thing.
        icons: Rows of general icons.
        icon_chances: Chance of each of `icons` to be drawn, adding up to 1.
        emoji: For each emoji concept, the rows of its drawings in the different sets, each a few styles.
        emoji_chances: Chance of each concept of `emoji`.
        may_flip: (N,) whether the mirrored drawing means the same.
    """

    texts: list[str]
    captions: Ids
    counts: Ids
    concepts: Ids
    icons: Ids
    icon_chances: npt.NDArray[np.float64]
    emoji: list[Ids]
    emoji_chances: npt.NDArray[np.float64]
    may_flip: npt.NDArray[np.bool_]


def build_catalogue(drawings: list[Drawing], captioner: Captioner) -> Catalogue:
    """Caption all drawings and weigh them."""
    text_numbers: dict[str, int] = {}
    concept_numbers: dict[str, int] = {}
    captions = np.full((2, len(drawings), _MOST_CAPTIONS), -1, np.int32)
    counts = np.zeros((2, len(drawings)), np.int32)
    concepts = np.full(len(drawings), -1, np.int32)
    may_flip = np.zeros(len(drawings), bool)
    found: list[Concept | None] = []
    for row, drawing in enumerate(drawings):
        concept = _concept(drawing, captioner)
        found.append(concept)
        if concept is None:
            continue
        for language, texts in ((ENGLISH, concept.english), (KOREAN, concept.korean)):
            numbers = [text_numbers.setdefault(text, len(text_numbers)) for text in texts[:_MOST_CAPTIONS]]
            captions[language, row, : len(numbers)] = numbers
            counts[language, row] = len(numbers)
        concepts[row] = concept_numbers.setdefault(concept.key, len(concept_numbers))
        may_flip[row] = drawing.prefix in EMOJI and not {"left", "right"} & set(concept.english[0].split())

    icons, icon_chances = _weigh_icons(drawings, found, concepts, counts[KOREAN] > 0)
    emoji, emoji_chances = _weigh_emoji(drawings, found, concepts)
    return Catalogue(
        list(text_numbers), captions, counts, concepts, icons, icon_chances, emoji, emoji_chances, may_flip
    )


def _concept(drawing: Drawing, captioner: Captioner) -> Concept | None:
    if is_mark(drawing.name):
        return None
    if drawing.prefix in EMOJI:
        return captioner.emoji(drawing.name)
    return captioner.icon(drawing.name)


def _weigh_icons(
    drawings: list[Drawing], found: list[Concept | None], concepts: Ids, has_korean: npt.NDArray[np.bool_]
) -> tuple[Ids, npt.NDArray[np.float64]]:
    """Weigh general icons: large sets by the root of their size, and one concept's many variants in a set as one.

    Names known in Korean are mostly names of things, which drawings are about more often than interface signs are:
    they count double. Concepts that many sets draw are held back a little.
    """
    rows = [row for row, concept in enumerate(found) if concept and drawings[row].prefix not in EMOJI]
    variants = Counter((drawings[row].prefix, concepts[row]) for row in rows)
    set_sizes = Counter(prefix for prefix, _ in variants)
    spread = Counter(concept for _, concept in variants)
    weights = np.array(
        [
            set_sizes[drawings[row].prefix] ** -0.5
            / variants[drawings[row].prefix, concepts[row]]
            * spread[concepts[row]] ** -0.3
            * (2.0 if has_korean[row] else 1.0)
            for row in rows
        ]
    )
    return np.array(rows, np.int32), weights / weights.sum()


def _weigh_emoji(
    drawings: list[Drawing], found: list[Concept | None], concepts: Ids
) -> tuple[list[Ids], npt.NDArray[np.float64]]:
    """Group emoji drawings by concept; flags, a seventh of all emoji, are shown less often."""
    members: defaultdict[int, list[int]] = defaultdict(list)
    for row, concept in enumerate(found):
        if concept and drawings[row].prefix in EMOJI:
            members[int(concepts[row])].append(row)
    groups = [np.array(rows, np.int32) for rows in members.values()]
    weights = []
    for rows in groups:
        concept = found[rows[0]]
        weights.append(0.25 if concept is not None and concept.is_flag else 1.0)
    chances = np.array(weights)
    return groups, chances / chances.sum()
