"""Caption files of other programs are read, or named as not understood; never passed over in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clip_atelier.engine.data import Collection

Scan = Callable[..., Collection]
Draw = Callable[..., Path]

COCO = {
    "info": {"year": 2017},
    "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}],
    "annotations": [
        {"id": 1, "image_id": 7, "caption": "a red cat"},
        {"id": 2, "image_id": 7, "caption": "a cat that sits"},
        {"id": 3, "image_id": 8, "caption": "파란 개"},
    ],
}
RED, BLUE = ("a red cat",), ("파란 개",)

UNDERSTOOD = {
    "open_clip": ("train.csv", "filepath\ttitle\n/data/here/drawings/a.png\ta red cat\n/data/here/drawings/b.png\t파란 개\n"),
    "tsv": ("captions.tsv", "file_name\tprompt\na.png\ta red cat\nb.png\t파란 개\n"),
    "captions.csv": ("captions.csv", 'image,caption\na.png,"a red cat"\nb.png,파란 개\n'),
    "jsonl": ("prompts.jsonl", '{"file_name": "a.png", "prompt": "a red cat"}\n{"file_name": "b.png", "prompt": "파란 개"}\n'),
    "json": ("metadata.json", json.dumps([{"file_name": "a.png", "text": "a red cat"}, {"file_name": "b.png", "text": "파란 개"}])),
    "kohya": ("meta_cap.json", json.dumps({"/home/me/drawings/a": {"caption": "a red cat"}, "b": {"tags": "파란 개", "train_resolution": [8, 8]}})),
}  # fmt: skip


def said(collection: Collection) -> dict[str, tuple[str, ...]]:
    return {item.path: item.captions for item in collection.items}


@pytest.fixture
def two(draw: Draw, tmp_path: Path) -> Path:
    draw("a.png")
    draw("b.png")
    return tmp_path


@pytest.mark.parametrize("kind", UNDERSTOOD)
def test_tables_of_other_programs(kind: str, two: Path, scanned: Scan) -> None:
    name, text = UNDERSTOOD[kind]
    (two / name).write_text(text, encoding="utf-8")
    found = scanned()
    assert said(found) == {"a.png": RED, "b.png": BLUE}
    assert (found.caption_source, found.problems) == ("metadata", ())


def test_coco_gives_every_caption(two: Path, scanned: Scan) -> None:
    (two / "captions_train2017.json").write_text(json.dumps(COCO), encoding="utf-8")
    assert said(scanned()) == {"a.png": ("a red cat", "a cat that sits"), "b.png": BLUE}


def test_our_own_table_comes_first_and_what_is_missing_is_counted(two: Path, scanned: Scan) -> None:
    (two / "metadata.csv").write_text("file_name,text\na.png,mine\n")
    (two / "z.csv").write_text("file_name,text\na.png,theirs\nb.png,dog\ngone.png,x\nlost.png,y\n")
    found = scanned()
    assert said(found) == {"a.png": ("mine",), "b.png": ("dog",)}
    assert [(p.path, p.reason) for p in found.problems] == [
        ("z.csv", "2 drawings that it names are not here, such as “gone.png”.")
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("captions.csv", b"picture number,said\n1,a cat\n", "not understood"),
        ("captions.csv", b"file_name,text\nother.png,a cat\n", "names none of the drawings"),
        ("train.parquet", b"PAR1", "clip-atelier import"),
        ("a.xmp", b"<x:xmpmeta/>", "not XMP"),
        ("shard-00000.tar", b"ustar", "clip-atelier import"),
        ("data.arrow", b"ARROW1", "clip-atelier import"),
        ("meta.json", b"{}", "not understood"),
        ("meta.json", b'{"annotations": [{"image_id": [1], "caption": 3}], "images": [7]}', "not understood"),
        ("meta.json", b"[1, 2", "not JSON"),
        ("meta.json", b"[" * 100_000, "not JSON"),
        ("meta.json", b'"\\ud800"', "not understood"),
    ],
)
def test_what_is_not_understood_is_named(
    name: str, content: bytes, reason: str, two: Path, scanned: Scan
) -> None:
    (two / name).write_bytes(content)
    found = scanned()
    assert said(found) == {"a.png": ("a",), "b.png": ("b",)}
    (problem,) = found.problems
    assert problem.path == name
    assert reason in problem.reason


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_our_own_table_without_a_known_column_is_named(name: str, two: Path, scanned: Scan) -> None:
    rows = {
        "metadata.csv": "file_name,words\na.png,a red cat\n",
        "metadata.jsonl": '{"file_name": "a.png", "words": "a cat"}\n',
    }
    (two / name).write_text(rows[name])
    found = scanned()
    assert said(found) == {"a.png": ("a",), "b.png": ("b",)}
    (problem,) = found.problems
    assert problem.path == name
    assert "file_name, words" in problem.reason
    (two / name).write_text(rows[name].replace("words", "prompt"))
    assert scanned().problems == ()
    assert said(scanned())["a.png"] in (RED, ("a cat",))


def test_many_files_of_one_kind_are_named_once(two: Path, scanned: Scan) -> None:
    for number in range(50):
        (two / f"{number}.json").write_text("{}")
    problems = scanned().problems
    assert len(problems) == 3
    assert "47 more files like this" in problems[-1].reason
