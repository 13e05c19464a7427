"""The sample collection as it is shipped: complete, bilingual, honestly split, licensed and small."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

SAMPLE = Path(__file__).resolve().parents[2] / "resources" / "samples" / "emoji"
PAIRS = 1113
Row = dict[str, str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    with (SAMPLE / "metadata.csv").open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        assert table.fieldnames == ["file_name", "text", "label", "pair", "split"]
        return list(table)


def test_each_picture_has_one_row_and_each_row_a_picture(rows: list[Row]) -> None:
    listed = [row["file_name"] for row in rows]
    found = [path.relative_to(SAMPLE).as_posix() for path in SAMPLE.glob("*/*") if path.is_file()]
    assert sorted(listed) == sorted(found)
    assert len(listed) == 2 * PAIRS


def test_each_pair_is_one_sketch_and_one_artwork_of_the_same_thing(rows: list[Row]) -> None:
    by_pair: dict[str, list[Row]] = {}
    for row in rows:
        by_pair.setdefault(row["pair"], []).append(row)
    assert len(by_pair) == PAIRS
    for pair, members in by_pair.items():
        assert sorted(Path(row["file_name"]).parent.name for row in members) == ["artworks", "sketches"]
        assert {Path(row["file_name"]).stem for row in members} == {pair}
        for column in ("text", "label", "split"):
            assert len({row[column] for row in members}) == 1, (pair, column)


def test_each_picture_has_an_english_and_a_korean_caption_that_no_other_pair_has(rows: list[Row]) -> None:
    captions: Counter[str] = Counter()
    for row in rows:
        english, korean = json.loads(row["text"])
        assert re.search("[a-zA-Z0-9]", english), row
        assert re.search("[가-힣]", korean), row
        if row["file_name"].startswith("sketches/"):
            captions.update([english, korean])
    assert set(captions.values()) == {1}


def test_splits_are_whole_pairs_in_the_stated_sizes(rows: list[Row]) -> None:
    pairs = {(row["pair"], row["split"]) for row in rows}
    count = Counter(split for _, split in pairs)
    assert sum(count.values()) == PAIRS
    # A family of characters (a woman, a man and a person who cook) stays together, so the sizes are about these.
    for split, wanted in {"train": 300, "validation": 200, "test": 613}.items():
        assert abs(count[split] - wanted) <= 3, count
    family = re.compile("^(man|woman|person|men|women|people)-")
    parts = {(family.sub("", pair), split) for pair, split in pairs}
    assert len(parts) == len({name for name, _ in parts}), "a family is torn apart"


def test_every_split_has_every_large_group(rows: list[Row]) -> None:
    count = Counter((row["label"], row["split"]) for row in rows)
    large = [label for label, number in Counter(row["label"] for row in rows).items() if number >= 80]
    assert len(large) >= 6
    assert all(count[label, split] >= 4 for label in large for split in ("train", "validation", "test"))


def test_pictures_are_what_their_folder_says(rows: list[Row]) -> None:
    for row in rows:
        with Image.open(SAMPLE / row["file_name"]) as picture:
            assert picture.size == (192, 192)
            if row["file_name"].startswith("sketches/"):
                assert picture.mode == "LA", row  # Ink on transparency.
                ink, cover = picture.split()
                assert ink.getextrema() == (0, 0), row
                assert cover.getextrema()[0] == 0, row
                assert cover.getextrema()[1] > 200, row
            else:
                # One of them fills its whole sheet, and WebP then leaves the transparency out.
                assert picture.mode == "RGBA" or row["pair"] == "face-in-clouds", row
                assert picture.convert("RGBA").getchannel("A").getextrema()[1] > 200, row


def test_licence_and_credit_lie_beside_the_pictures() -> None:
    licence = (SAMPLE / "LICENSE").read_text(encoding="utf-8")
    for holder in ("Microsoft Corporation", "Miles Johnson", "Unicode, Inc."):
        assert holder in licence
    credits_text = (SAMPLE / "CREDITS.md").read_text(encoding="utf-8")
    assert "Fluent Emoji" in credits_text
    assert "emojibase-data" in credits_text


def test_it_stays_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 6_000_000
