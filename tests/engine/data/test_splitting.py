from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_atelier.engine.core import UserError
from clip_atelier.engine.data import Collection, Item, Split, split
from clip_atelier.engine.settings import DataSettings


def collection(items: Sequence[Item], duplicates: Sequence[tuple[str, ...]] = ()) -> Collection:
    ordered = tuple(sorted(items, key=lambda item: item.path))
    return Collection(Path("nowhere"), ordered, "metadata", duplicates=tuple(duplicates))


def item(number: int, **changes: Any) -> Item:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    plain = Item(path=f"{number:05}.png", digest=digest, captions=(f"caption {number}",))
    return dataclasses.replace(plain, **changes)


def divided(found: Collection, seed: int = 0, **data: Any) -> Split:
    return split(found, DataSettings.model_validate(data), seed)


def parts(result: Split) -> list[str]:
    where = dict.fromkeys(result.train, "train")
    where |= dict.fromkeys(result.validation, "validation")
    where |= dict.fromkeys(result.test, "test")
    return [where[i] for i in range(len(where))]


def assert_sound(found: Collection, result: Split) -> None:
    assert sorted(result.train + result.validation + result.test) == list(range(len(found.items)))
    assert result.train
    assert result.validation
    where = parts(result)
    for group in set(result.groups):
        assert len({where[i] for i, g in enumerate(result.groups) if g == group}) == 1


@pytest.mark.parametrize(("validation", "test"), [(0.15, 0.15), (0.3, 0.0), (0.02, 0.5), (0.5, 0.1)])
def test_the_shares_hold(validation: float, test: float) -> None:
    found = collection([item(n) for n in range(1000)])
    result = divided(found, validation=validation, test=test)
    assert_sound(found, result)
    assert abs(len(result.validation) - 1000 * validation) <= 2
    assert abs(len(result.test) - 1000 * test) <= 2
    assert result.reported == (result.test or result.validation)


def test_it_is_a_pure_function_of_content_and_seed() -> None:
    found = collection([item(n) for n in range(200)])
    renamed = collection([item(n, path=f"{(n * 7919) % 200:05}.jpg") for n in range(200)])
    assert divided(found) == divided(found)
    assert divided(found, 1) != divided(found)
    by_digest = [
        {i.digest: p for i, p in zip(c.items, parts(divided(c)), strict=True)} for c in (found, renamed)
    ]
    assert by_digest[0] == by_digest[1]


def test_labels_are_spread_over_the_parts() -> None:
    found = collection(
        [item(n, label=f"class {n % 7}", captions=(f"a drawing of class {n % 7}",)) for n in range(280)]
    )
    result = divided(found)
    assert_sound(found, result)
    for part in (result.validation, result.test):
        tally = Counter(found.items[i].label for i in part)
        assert set(tally.values()) <= {5, 6, 7}
        assert len(tally) == 7


def test_many_small_classes_still_give_their_share() -> None:
    found = collection([item(n, label=f"c{n // 3}", captions=(f"a c{n // 3}",)) for n in range(300)])
    assert 40 <= len(divided(found).validation) <= 50


def test_pairs_stay_together() -> None:
    found = collection(
        [item(n, pair=f"p{n // 3}", role="artwork" if n % 3 else "sketch") for n in range(120)]
    )
    assert_sound(found, divided(found))
    assert len(set(divided(found).groups)) == 40


def test_near_duplicates_stay_together() -> None:
    items = [item(n) for n in range(100)]
    found = collection(items, [(items[n].path, items[n + 50].path) for n in range(50)])
    assert len(set(divided(found).groups)) == 50
    assert_sound(found, divided(found))


def test_the_same_caption_stays_together_whatever_its_case() -> None:
    found = collection(
        [item(n, captions=(f"Bird {n // 2}" if n % 2 else f"bird {n // 2}",)) for n in range(60)]
    )
    assert len(set(divided(found).groups)) == 30


def test_a_sentence_made_from_a_class_keeps_nothing_together() -> None:
    found = collection(
        [item(n, label=f"k{n % 10}", captions=(f"a drawing of k{n % 10}",)) for n in range(60)]
    )
    assert len(set(divided(found).groups)) == 60


def test_own_captions_of_labelled_images_do() -> None:
    found = collection([item(n, label="animals", captions=(f"bird {n // 2}",)) for n in range(60)])
    assert len(set(divided(found).groups)) == 30


def test_a_caption_on_many_drawings_keeps_nothing_together() -> None:
    found = collection([item(n, captions=("a sketch", f"thing {n}")) for n in range(60)])
    assert len(set(divided(found).groups)) == 60


def test_captions_that_chain_everything_are_let_go() -> None:
    found = collection([item(n, captions=(f"word {n}", f"word {n + 1}")) for n in range(60)])
    assert len(set(divided(found).groups)) == 60


def test_one_large_group_goes_to_training() -> None:
    items = [item(n) for n in range(100)]
    found = collection(items, [tuple(i.path for i in items[:60])])
    assert set(range(60)) <= set(divided(found).train)


def test_a_declared_split_wins() -> None:
    names = ["train", "validation", "test", ""]
    found = collection([item(n, split=names[n % 4]) for n in range(40)])
    assert parts(divided(found)) == [names[n % 4] or "train" for n in range(40)]


def test_a_declared_split_without_test_reports_on_validation() -> None:
    found = collection([item(n, split="train" if n % 5 else "validation") for n in range(40)])
    result = divided(found)
    assert result.test == ()
    assert result.reported == result.validation == tuple(range(0, 40, 5))


def test_a_declared_test_part_gets_a_validation_part_beside_it() -> None:
    found = collection([item(n, split="" if n % 5 else "test") for n in range(100)])
    result = divided(found)
    assert result.test == tuple(range(0, 100, 5))
    assert 10 <= len(result.validation) <= 14
    assert_sound(found, result)


def test_a_declared_split_with_nothing_to_learn_from() -> None:
    with pytest.raises(UserError, match="no images to learn from"):
        divided(collection([item(n, split="test" if n % 2 else "validation") for n in range(40)]))


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_images(count: int) -> None:
    with pytest.raises(UserError, match=f"{count} different .* at least 4"):
        divided(collection([item(n) for n in range(count)]))


def test_shares_that_leave_nothing_to_learn_from() -> None:
    with pytest.raises(UserError, match="too little to learn from") as caught:
        divided(collection([item(n) for n in range(40)]), validation=0.5, test=0.5)
    assert caught.value.setting == "data.validation"


def test_many_copies_of_three_drawings_are_too_few() -> None:
    items = [item(n) for n in range(30)]
    with pytest.raises(UserError, match="3 different"):
        divided(collection(items, [tuple(i.path for i in items[k::3]) for k in range(3)]))


@pytest.mark.parametrize("count", [4, 5, 8, 11])
def test_small_collections_are_reported_on_validation(count: int) -> None:
    result = divided(collection([item(n) for n in range(count)]))
    assert result.test == ()
    assert len(result.validation) == 2
    assert len(result.train) == count - 2


@given(
    shapes=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 5), st.integers(0, 40)), min_size=4, max_size=80
    ),
    validation=st.floats(0.02, 0.5),
    test=st.floats(0, 0.5),
    seed=st.integers(0, 2**31 - 1),
)
def test_any_collection_is_split_soundly_or_refused(
    shapes: list[tuple[int, int, int]], validation: float, test: float, seed: int
) -> None:
    items = [
        item(
            n, pair=f"p{pair}" if pair else "", label=f"l{label}" if label else "", captions=(f"c{caption}",)
        )
        for n, (pair, label, caption) in enumerate(shapes)
    ]
    found = collection(items)
    try:
        result = divided(found, seed, validation=validation, test=test)
    except UserError:
        return
    assert_sound(found, result)
    assert result == divided(found, seed, validation=validation, test=test)
