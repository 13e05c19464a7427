"""Documents are validated at the door, and files are written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from clip_atelier.engine.core import (
    DamagedFile,
    Record,
    Score,
    Text,
    WorkError,
    read_document,
    replacing,
    write_document,
    write_whole,
)


class Part(Record):
    value: Score = None


class Page(Record):
    name: Text
    count: int = 0
    parts: dict[str, Part] = Field(default_factory=dict)


@given(
    st.text(max_size=20), st.integers(-(2**53), 2**53), st.dictionaries(st.text(max_size=5), st.floats(), max_size=3)
)  # fmt: skip
def test_what_is_written_is_read(name: str, count: int, values: dict[str, float]) -> None:
    import tempfile

    page = Page(name=name, count=count, parts={key: Part(value=value) for key, value in values.items()})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.json"
        write_document(file, page)
        assert read_document(file, Page) == page
        json.loads(file.read_text("utf-8"))
    for key, value in values.items():
        assert page.parts[key].value == (value if math.isfinite(value) else None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"name":\n x', "damaged: it cannot be read from line 2, column 2 on."),
        (b"", "damaged: it cannot be read from line 1, column 1 on."),
        (b'"\xff\xff"', "damaged: its letters cannot be read."),
        (b'{"name": NaN}', "damaged"),
    ],
)
def test_what_is_no_json_is_told_in_plain_words(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "page.json").write_bytes(content)
    with pytest.raises(DamagedFile, match=told):
        read_document(tmp_path / "page.json", Page)


def test_names_that_are_no_unicode_keep_their_bytes(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff\xed\x95\x9c.png")
    write_document(tmp_path / "page.json", Page(name=odd))
    assert (tmp_path / "page.json").read_text("utf-8")
    assert read_document(tmp_path / "page.json", Page).name == odd
    assert Page(name=odd).as_json()["name"].encode("utf-8")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(JSON | st.fixed_dictionaries({"name": JSON, "count": JSON, "parts": JSON}))
def test_any_json_is_a_document_or_named_as_damaged(value: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.json"
        file.write_text(json.dumps(value), "utf-8")
        found: Page | DamagedFile
        try:
            found = read_document(file, Page)
        except DamagedFile as error:
            found = error
    if isinstance(found, Page):
        assert found.name == value["name"]
    else:
        assert found.reason
        assert "page.json" in found.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "page.json"),
        (b'{"name": "a", "count": "many"}', "count"),
        (b'{"name": "a", "parts": {"x": {"value": []}}}', "parts.x.value"),
        (b'{"count": 1}', "name"),
        (b'{"name": "a", "count": Infinity}', "Infinity"),
        (b"[" * 2000, "nested"),
        (b'{"name": ' + b"[" * 40 + b"]" * 40 + b"}", "nested"),
    ],
)
def test_the_key_at_fault_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "page.json"
    file.write_bytes(content)
    with pytest.raises(DamagedFile) as caught:
        read_document(file, Page)
    assert said in caught.value.message


def test_keys_of_another_version_are_left_out_or_take_their_defaults(tmp_path: Path) -> None:
    file = tmp_path / "page.json"
    file.write_text('{"name": "a", "colour": "from a later version"}', "utf-8")
    assert read_document(file, Page) == Page(name="a")


def test_an_error_while_writing_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_whole(file, b"old")

    def fail() -> None:
        with replacing(file) as partial:
            partial.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert file.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file where a folder is needed")
    with pytest.raises(WorkError, match="b.txt"):
        write_whole(tmp_path / "a" / "b.txt", b"new")
