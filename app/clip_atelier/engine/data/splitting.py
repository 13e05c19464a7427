"""What is learned from and what is kept aside: by group, never by file, so that nothing kept aside was seen."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from clip_atelier.engine.core import UserError, _, document_of_page
from clip_atelier.engine.data.duplicates import Groups
from clip_atelier.engine.data.names import folded
from clip_atelier.engine.data.records import Collection
from clip_atelier.engine.settings import DataSettings

Part = Literal["train", "validation", "test"]

FEWEST: Final = 4
"""Fewest groups that can be split: two to learn from, two to choose by."""
FEWEST_FOR_TEST: Final = 12
"""With fewer groups than this, none are set aside for the final comparison; it is then made on validation."""
SHARED_BY_MANY: Final = 8
"""A caption on more drawings than this names a class, not a drawing, and keeps nothing together."""


@dataclass(frozen=True)
class Split:
    """Indices of a collection's items, each in one part; in none where the collection says that it is unused.

    Attributes:
        groups: One id per item; items of one group are never in different parts (unless the collection declares so).
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    groups: tuple[int, ...]

    @property
    def reported(self) -> tuple[int, ...]:
        """The items that results are reported on: test, else validation."""
        return self.test or self.validation


def split(collection: Collection, data: DataSettings, seed: int) -> Split:
    """Divides a collection: a pure function of its content, the shares and the seed.

    A split that the collection declares wins; what it leaves open is divided here.

    Raises:
        UserError: too few images to keep some aside, or the shares or the declared split leave nothing to learn from.
    """
    groups = _groups(collection)
    items = collection.items
    used = [i for i, item in enumerate(items) if item.split != "unused"]
    parts: list[Part | None] = [
        None if item.split == "" or item.split == "unused" else item.split for item in items
    ]
    declared = {part for part in parts if part}
    if declared:
        for index in used:
            parts[index] = parts[index] or "train"
        if "train" not in parts:
            raise UserError(
                _("The collection's split leaves no images to learn from."),
                _("Mark some images as “train” in the column “split”."),
            )
        missing = [i for i, part in enumerate(parts) if part == "train"]
        if "validation" not in declared:
            for index, part in _divided(collection, groups, missing, data.validation, 0.0, seed).items():
                parts[index] = part
    else:
        for index, part in _divided(collection, groups, used, data.validation, data.test, seed).items():
            parts[index] = part
    return Split(
        train=tuple(i for i, part in enumerate(parts) if part == "train"),
        validation=tuple(i for i, part in enumerate(parts) if part == "validation"),
        test=tuple(i for i, part in enumerate(parts) if part == "test"),
        groups=groups,
    )


def _belonging(collection: Collection) -> Groups:
    """What belongs together whatever its captions say: pairs, near-duplicates, the pages of a document, a page's drawings."""
    items = collection.items
    base = Groups(len(items))
    for members in collection.pairs.values():
        for index in members[1:]:
            base.join(members[0], index)
    index_of = {item.path: index for index, item in enumerate(items)}
    for alike in collection.duplicates:
        for path in alike[1:]:
            base.join(index_of[alike[0]], index_of[path])
    first: dict[tuple[str, str], int] = {}
    for index, item in enumerate(items):
        if document := document_of_page(item.path):
            base.join(first.setdefault(("document", document), index), index)
        if item.sheet:
            base.join(first.setdefault(("sheet", item.sheet), index), index)
    return base


def _groups(collection: Collection) -> tuple[int, ...]:
    items = collection.items
    base = _belonging(collection)
    groups = Groups(len(items))
    shared: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        groups.join(index, base.find(index))
        for caption in map(folded, item.captions):
            if (
                not item.label or folded(item.label) not in caption
            ):  # a sentence made from a class is no one's own
                shared[caption].append(index)
    for alike_in_words in shared.values():
        if len({base.find(index) for index in alike_in_words}) <= SHARED_BY_MANY:
            for index in alike_in_words[1:]:
                groups.join(alike_in_words[0], index)
    ids = groups.ids()
    # Captions made of a few words chain nearly everything together: then they describe kinds, not single drawings.
    largest = max(Counter(ids).values())
    return ids if largest * 2 <= len(items) else base.ids()


def _divided(
    collection: Collection,
    groups: Sequence[int],
    among: Sequence[int],
    validation: float,
    test: float,
    seed: int,
) -> dict[int, Part]:
    """Divides some items by group: in each class, in an order that only the content and the seed decide."""
    members: dict[int, list[int]] = defaultdict(list)
    for index in among:
        members[groups[index]].append(index)
    if len(members) < FEWEST:
        hint = _("Add images until there are at least {least} that differ.").format(least=FEWEST)
        if any(document_of_page(collection.items[index].path) for index in among):
            hint += " " + _("The pages of one PDF stay together and count as one.")
        if any(collection.items[index].sheet for index in among):
            hint += " " + _("The drawings of one photographed page stay together and count as one.")
        raise UserError(
            _("The collection has {count} different drawings, too few to keep some aside.").format(
                count=len(members)
            ),
            hint,
        )
    if len(members) < FEWEST_FOR_TEST:
        test = 0.0
    items = collection.items
    keys = {
        group: hashlib.sha256(
            f"{seed}/{'/'.join(sorted(items[i].digest for i in inside))}".encode()
        ).hexdigest()
        for group, inside in members.items()
    }
    label = {
        group: Counter(items[i].label for i in inside).most_common(1)[0][0]
        for group, inside in members.items()
    }
    order = sorted(members, key=lambda group: (label[group], keys[group], group))
    where: dict[int, Part] = {}
    # What each part is still owed, in images. A group goes to the part that is owed at least half of it, so that the
    # shares hold over the whole and as nearly as can be in every class.
    owed: dict[Part, float] = {"validation": 0.0, "test": 0.0}
    for group in order:
        size = len(members[group])
        owed["validation"] += validation * size
        owed["test"] += test * size
        part = max(owed, key=lambda name: owed[name])
        where[group] = part if owed[part] >= size / 2 else "train"
        if where[group] != "train":
            owed[where[group]] -= size
    by_size = sorted(members, key=lambda group: (len(members[group]), keys[group]))
    _fill(where, "validation", 2, by_size)
    if test:
        _fill(where, "test", 2, by_size)
    if sum(part == "train" for part in where.values()) < 2:
        raise UserError(
            _("What is kept aside leaves too little to learn from."),
            _("Lower the validation share or the test share."),
            "data.validation",
        )
    return {index: where[groups[index]] for index in among}


def _fill(where: dict[int, Part], part: Part, least: int, by_size: Sequence[int]) -> None:
    """Moves the smallest groups out of training until `part` has at least `least`."""
    for group in by_size:
        if sum(name == part for name in where.values()) >= least:
            return
        if where[group] == "train":
            where[group] = part
