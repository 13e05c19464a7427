"""Groups of drawings, named by their captions; what stands alone, and what is nearly the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from clip_atelier.engine.analysis import groups
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import Item


def drawings(seed: int = 0) -> tuple[np.ndarray, list[Item]]:
    """Three kinds of 20, each around a direction of its own; one drawing far from all, one drawn twice."""
    random = np.random.default_rng(seed)
    centres = np.eye(3, 24) * 2
    rows = [centres[n % 3] + random.normal(0, 0.35, 24) for n in range(60)]
    rows.append(-4 * np.ones(24))  # alone
    rows.append(rows[5] + random.normal(0, 0.001, 24))  # nearly the same as number 5
    rows.append(rows[7] + random.normal(0, 0.001, 24))  # number 7's own sketch
    rows.append(rows[8])  # a copy
    vectors = np.array(rows, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    said = ("a sleeping cat", "an old house", "the moon and a star")
    names = [f"{said[n % 3]} {chr(97 + n % 7)}{chr(97 + n % 5)}" for n in range(60)]
    names += ["a scanned page", said[5 % 3], said[7 % 3], said[8 % 3]]
    pair = {7: "p", 62: "p"}
    items = [
        Item(f"{n}.png", str(min(n, 8) if n in (8, 63) else n), (name,), pair=pair.get(n, ""))
        for n, name in enumerate(names)
    ]
    return vectors, items


def test_groups_are_found_and_named_by_words_that_others_lack() -> None:
    vectors, items = drawings()
    found = drive(groups.find_groups(vectors, items, Control()))
    assert len(found.of) == len(items)
    sizes = np.bincount(found.of)
    assert list(sizes) == sorted(sizes, reverse=True)
    assert len(found.names) == len(sizes) == len(set(found.names))
    # Each group is of one kind, and says so.
    words = ({"cat", "sleeping"}, {"house", "old"}, {"moon", "star"})
    for group, name in enumerate(found.names):
        those = [n for n in np.flatnonzero(found.of == group) if n < 60]
        if len(those) >= 4:
            kinds = {int(n) % 3 for n in those}
            assert len(kinds) == 1
            assert any(word in name for word in words[kinds.pop()]), name


def test_what_stands_alone_and_what_is_drawn_twice_is_told() -> None:
    vectors, items = drawings()
    found = drive(groups.find_groups(vectors, items, Control()))
    assert found.alone[0] == 60
    assert len(found.alone) < 6
    assert (5, 61) in found.twins
    assert not {(7, 62), (8, 63)} & set(found.twins), "a sketch and its artwork, and copies, are no twins"


def test_the_same_drawings_give_the_same_groups_in_any_number() -> None:
    vectors, items = drawings()
    first, second = (drive(groups.find_groups(vectors, items, Control())) for _n in range(2))
    assert np.array_equal(first.of, second.of)
    assert first.names == second.names
    few = drive(groups.find_groups(vectors[:5], items[:5], Control()))
    assert (few.names, few.alone, few.twins) == ((), (), ())
    assert len(few.of) == 5


def test_drawings_without_words_in_common_are_named_by_the_one_in_the_middle() -> None:
    vectors, items = drawings()
    lone = [Item(i.path, i.digest, (f"{chr(97 + n % 26)}{chr(97 + n // 26)}q",)) for n, i in enumerate(items)]
    found = drive(groups.find_groups(vectors, lone, Control()))
    assert all(name.startswith("“") for name in found.names)
    assert len(set(found.names)) == len(found.names)
    same = drive(groups.find_groups(np.ones((20, 4), np.float32) / 2, items[:20], Control()))
    assert len(same.of) == 20
    assert not same.alone


def test_groups_without_captions_are_named_by_a_drawing_of_theirs() -> None:
    vectors, items = drawings()
    bare = [replace(item, captions=()) for item in items]
    found = drive(groups.find_groups(vectors, bare, Control()))
    assert len(set(found.names)) == len(found.names)
    for group, name in enumerate(found.names):
        assert name.strip("“”") in {bare[n].path for n in np.flatnonzero(found.of == group)}
