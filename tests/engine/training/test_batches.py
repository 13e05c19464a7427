"""Batches: whole pairs, every image once an epoch, nothing but a function of seed and step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clip_atelier.engine import settings
from clip_atelier.engine.data import Item
from clip_atelier.engine.data.records import Role
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.training.batches import Batches


def items(pairs: int, single: int) -> list[Item]:
    roles: tuple[Role, Role] = ("sketch", "artwork")
    made = [
        Item(f"{role}/{n}.png", f"{role}{n}", (f"thing {n}",), pair=str(n), role=role)
        for n in range(pairs)
        for role in roles
    ]
    made += [Item(f"{n}.png", f"s{n}", (f"single {n}", f"하나 {n}")) for n in range(single)]
    return made


@given(st.integers(0, 20), st.integers(0, 20), st.integers(2, 40), st.integers(1, 4), st.integers(0, 1000))
def test_an_epoch_holds_every_image_once_and_no_torn_pair(
    pairs: int, single: int, size: int, views: int, seed: int
) -> None:
    collection = items(pairs, single)
    if pairs + single < 2:
        return
    groups = [int(i.pair) if i.pair else 1000 + n for n, i in enumerate(collection)]
    batches = Batches(collection, range(len(collection)), groups, size, views, seed)
    for epoch in (0, 1):
        epoch_batches = [batches.at(epoch * batches.per_epoch + n) for n in range(batches.per_epoch)]
        seen = sorted(i for batch in epoch_batches for i in batch.indices)
        assert seen == list(range(len(collection)))
        for batch in epoch_batches:
            assert len(batch.indices) >= 2
            assert all(0 <= v < views for v in batch.views)
            for index, caption in zip(batch.indices, batch.captions, strict=True):
                assert caption in collection[index].captions
                if collection[index].pair:
                    assert sum(groups[i] == groups[index] for i in batch.indices) == 2
    again = Batches(collection, range(len(collection)), groups, size, views, seed)
    assert again.at(3) == batches.at(3)


@given(st.integers(0, 8), st.integers(2, 12), st.integers(2, 20), st.integers(0, 1000))
def test_repeats_are_how_often_an_epoch_holds_a_drawing(
    pairs: int, single: int, size: int, seed: int
) -> None:
    collection = items(pairs, single)
    groups = [int(i.pair) if i.pair else 1000 + n for n, i in enumerate(collection)]
    times = [3 if i.pair and i.role == "sketch" else 2 if n % 2 else 1 for n, i in enumerate(collection)]
    batches = Batches(collection, range(len(collection)), groups, size, 1, seed, times)
    seen = [index for n in range(batches.per_epoch) for index in batches.at(n).indices]
    wanted = [3 if item.pair else often for item, often in zip(collection, times, strict=True)]
    assert [seen.count(index) for index in range(len(collection))] == wanted


def test_the_setting_says_whether_kohyas_repeats_count() -> None:
    collection = [
        Item(f"{folder}/{n}.png", f"{folder}{n}", ("a cat",))
        for folder in ("9_fox", "3_owl")
        for n in range(4)
    ]
    for applied, count in ((True, 16), (False, 8)):
        chosen = settings.build({"data.repeats": applied, "train.batch_size": 4})
        assert sum(map(len, Batches.of(collection, range(8), list(range(8)), chosen).units)) == count


def test_a_run_of_before_goes_on_without_repeats(home: Path, tmp_path: Path) -> None:
    run = Runs(home).create("", settings.build({}), tmp_path)
    assert run.settings.data.repeats
    file = run.path / "run.json"
    document = json.loads(file.read_text("utf-8"))
    del document["settings"]["data.repeats"]
    document.pop("checksum", None)
    file.write_text(json.dumps(document), encoding="utf-8")
    assert not Runs(home).open(run.id).settings.data.repeats


def test_another_seed_gives_another_order() -> None:
    collection = items(0, 50)
    groups = list(range(50))
    one, two = (Batches(collection, range(50), groups, 10, 1, seed).at(0).indices for seed in (0, 1))
    assert one != two


@given(st.integers(0, 6), st.integers(0, 9), st.integers(2, 12), st.integers(1, 3), st.integers(0, 2**32))
def test_what_is_drawn_at_once_is_what_was_drawn_one_by_one(
    pairs: int, single: int, size: int, views: int, seed: int
) -> None:
    """Earlier versions asked the generator for each image by itself: runs that they began go on with the same batches."""
    collection = items(pairs, single)
    if not collection:
        return
    batches = Batches(collection, range(len(collection)), list(range(len(collection))), size, views, seed)
    for step in range(2 * batches.per_epoch):
        epoch, position = divmod(step, batches.per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(batches.units))
        mine = np.array_split(order, batches.per_epoch)[position]
        indices = [index for unit in mine for index in batches.units[unit]]
        draw = np.random.default_rng([seed, epoch, position])
        said = [collection[i].captions for i in indices]
        captions = [one[0] if len(one) == 1 else one[int(draw.integers(len(one)))] for one in said]
        drawn = [int(v) for v in draw.integers(views, size=len(indices))]
        batch = batches.at(step)
        assert (batch.indices, batch.captions) == (tuple(indices), tuple(captions))
        assert batch.views == tuple(drawn)
