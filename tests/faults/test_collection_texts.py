"""Faults 24 and 25: captions in any encoding, with anything in them."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from PIL import Image

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import Collection, save_captions, scan
from clip_atelier.engine.settings import DataSettings

KOREAN = "빨간 고양이가 앉아 있다"


def scanned(folder: Path) -> Collection:
    return drive(scan(folder, DataSettings(), Control()))


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two drawings, a.png and b.png."""
    for name, at in (("a.png", 2), ("b.png", 15)):
        image = Image.new("L", (32, 32), 255)
        image.paste(0, (at, at, at + 9, at + 5))
        image.save(tmp_path / name)
    return tmp_path


@pytest.mark.fault(24)
@pytest.mark.parametrize("content", [
    KOREAN.encode("cp949"), b"\xef\xbb\xbf" + KOREAN.encode(), KOREAN.encode("utf-16"), KOREAN.encode() + b"\r\n\r\n",
])  # fmt: skip
def test_sidecars_are_decoded(folder: Path, content: bytes) -> None:
    (folder / "a.txt").write_bytes(content)
    assert scanned(folder).items[0].captions == (KOREAN,)


@pytest.mark.fault(24)
@pytest.mark.parametrize("content", [
    b"a\0b", KOREAN.encode("utf-16-le"), b"\x89PNG\r\n\x1a\n\0\0\0", bytes(range(256)), b"x" * 2_000_000,
])  # fmt: skip
def test_what_is_no_text_is_a_named_problem(folder: Path, content: bytes) -> None:
    (folder / "a.txt").write_bytes(content)
    collection = scanned(folder)
    assert [problem.path for problem in collection.problems] == ["a.txt"]
    assert collection.items[0].captions == ("a",)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \r\n\t\n"])
def test_an_empty_sidecar_says_nothing(folder: Path, content: bytes) -> None:
    (folder / "a.txt").write_bytes(content)
    collection = scanned(folder)
    assert (collection.problems, collection.items[0].captions) == ((), ("a",))


@pytest.mark.fault(24)
@pytest.mark.parametrize("content", [
    f"file_name,text\na.png,{KOREAN}\n".encode("cp949"),
    b"\xef\xbb\xbf" + f"file_name,text\r\na.png,{KOREAN}\r\n".encode(),
    f"file_name,text\na.png,\0{KOREAN}\0\n".encode(),
    f"\ufeffFile_Name , TEXT\na.png,{KOREAN}\n".encode(),
])  # fmt: skip
def test_tables_are_decoded(folder: Path, content: bytes) -> None:
    (folder / "metadata.csv").write_bytes(content)
    assert scanned(folder).items[0].captions == (KOREAN,)


@pytest.mark.fault(25)
@pytest.mark.parametrize("text", [
    "<table><tr>", "<img src=x onerror=alert(1)>", "&amp; & &", "\u202eright to left", "=1+1", "+1", "-1", "@x", "{label}", "%s",
    "[not a list", '"quoted"', "a,b;c", "🦊" * 50, "x" * 100_000,
])  # fmt: skip
def test_captions_stay_as_they_are_written(folder: Path, home: Path, text: str) -> None:
    (folder / "a.txt").write_text(text, encoding="utf-8")
    assert scanned(folder).items[0].captions == (text,)
    save_captions(folder, {"b.png": [text, "second"]}, home)
    save_captions(folder, {"a.png": [text]}, home)
    found = scanned(folder)
    assert [item.captions for item in found.items] == [(text,), (text, "second")]
    assert found.problems == ()


def test_a_label_goes_into_the_sentence_as_it_is(folder: Path) -> None:
    (folder / "metadata.csv").write_text("file_name,label\na.png,{label} {0} %s <b>\nb.png,x\n")
    assert scanned(folder).items[0].captions == ("a drawing of {label} {0} %s <b>",)


def test_a_table_without_a_usable_column_is_named_and_the_rest_goes_on(folder: Path) -> None:
    (folder / "metadata.csv").write_text("name;words\na.png;x\n")
    (folder / "a.txt").write_text("beside")
    collection = scanned(folder)
    assert collection.problems[0].path == "metadata.csv"
    assert "file_name" in collection.problems[0].reason
    assert collection.items[0].captions == ("beside",)


def test_a_table_of_the_wrong_kind_is_named_once(folder: Path) -> None:
    (folder / "metadata.csv").write_bytes(random.Random(0).randbytes(200_000))
    collection = scanned(folder)
    assert len(collection.items) == 2
    assert {problem.path for problem in collection.problems} == {"metadata.csv"}
    assert len(collection.problems) == 1


def test_a_field_without_end_is_named(folder: Path) -> None:
    (folder / "metadata.csv").write_text('file_name,text\na.png,kept\nb.png,"' + "x" * 200_000)
    collection = scanned(folder)
    assert collection.items[0].captions == ("kept",)
    assert "quote that is never closed" in collection.problems[0].reason
    assert ": 3." in collection.problems[0].reason


@pytest.mark.skipif(os.name == "nt", reason="file names are bytes")
def test_undecodable_names_in_a_table_are_found_and_kept(folder: Path, home: Path) -> None:
    os.rename(folder / "a.png", os.path.join(os.fsencode(folder), b"\xff.png"))
    (folder / "metadata.csv").write_bytes(b"file_name,text\n\xff.png,odd\nb.png,plain\n")
    assert sorted(item.captions for item in scanned(folder).items) == [("odd",), ("plain",)]
    save_captions(folder, {os.fsdecode(b"\xff.png"): ["odder"]}, home)
    assert sorted(item.captions for item in scanned(folder).items) == [("odder",), ("plain",)]


def test_damaged_json_lines_are_named_by_line(folder: Path) -> None:
    (folder / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "text": "kept"}\n{"file_name": "b.png"\n'
        + "[" * 100_000
        + '\nnull\n{"text": "x"}\n'
    )
    collection = scanned(folder)
    assert collection.items[0].captions == ("kept",)
    assert [problem.reason for problem in collection.problems] == [
        "Lines that are not JSON objects: 2, 3, 4.",
        "Lines that name no file in a column “file_name”: 5.",
    ]
