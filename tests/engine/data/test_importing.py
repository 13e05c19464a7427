"""Stores of many pictures in one file become ordinary folders; what is broken is named, and nothing is written twice or elsewhere."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.engine.core import Control, Stopped, UserError, drive
from clip_atelier.engine.data import Collection, ImportSummary, import_drawings, importing, scan
from clip_atelier.engine.settings import DataSettings
from tiny import draw


def picture(number: int, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    draw(("circle", "square", "ring")[number % 3], "#225", shift=number).convert("RGB").save(stream, kind)
    return stream.getvalue()


def shard(file: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as made:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return file


def imported(out: Path, *sources: Path) -> ImportSummary:
    return drive(import_drawings(sources, out, Control()))


def read(folder: Path) -> Collection:
    return drive(scan(folder, DataSettings(), Control()))


def test_webdataset_shards_become_a_folder_with_all_their_words(tmp_path: Path) -> None:
    first = shard(
        tmp_path / "000.tar",
        {
            "cats/0001.png": picture(0), "cats/0001.txt": b"a grey cat\nsleeping cat\n", "cats/0001.cls": b"cat",
            "0002.jpg": picture(1, "JPEG"), "0002.json": json.dumps({"caption": "a red owl", "split": "test"}).encode(),
            "0003.seg.png": picture(2),
            "notes/readme.txt": b"no sample", "0004.webp": picture(4, "WEBP"),
        },
    )  # fmt: skip
    second = shard(tmp_path / "001.tar.gz", {"0002.png": picture(5), "0002.txt": "부엉이".encode()})
    out = tmp_path / "out"
    found = imported(out, first, second)
    assert (found.drawings, found.written, found.captions, found.labels, found.problems) == (4, 4, 4, 1, ())
    items = {item.path: item for item in read(out).items}
    assert items["cats/0001.png"].captions == ("a grey cat", "sleeping cat")
    assert items["cats/0001.png"].label == "cat"
    assert (items["0002.jpg"].captions, items["0002.jpg"].split) == (("a red owl",), "test")
    assert items["0002.png"].captions == ("부엉이",), "another suffix is another name"
    assert (out / "0002.jpg").read_bytes() == picture(1, "JPEG"), "the very bytes"
    assert "0004.webp" in items
    # A folder of shards is the same as its shards.
    shards = tmp_path / "shards"
    shards.mkdir()
    for file in (first, second):
        (shards / file.name).write_bytes(file.read_bytes())
    assert imported(tmp_path / "again", shards).drawings == 4


def test_names_from_a_stranger_stay_in_the_folder_and_damage_is_named(tmp_path: Path) -> None:
    whole = shard(
        tmp_path / "bad.tar",
        {
            "../../evil.png": picture(0), "/etc/x.png": picture(1), "a:b?.png": picture(2), "A:B?.png": picture(3),
            "no-picture.png": b"hello", "deep.png": picture(4), "deep.json": b"[" * 100_000,
        },
    )  # fmt: skip
    out = tmp_path / "inside" / "out"
    found = imported(out, whole)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
    assert files == {"evil.png", "etc/x.png", "a_b_.png", "A_B_ 2.png", "deep.png"}
    assert not list(tmp_path.glob("*.png"))
    reasons = {one.path: one.reason for one in found.problems}
    assert "nested too deeply" in reasons["bad.tar/deep.json"]
    assert "no picture" in reasons["bad.tar/no-picture"]

    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[:300])
    with pytest.raises(UserError):
        imported(tmp_path / "none", cut)
    longer = shard(tmp_path / "long.tar", {f"{n}.png": picture(n) for n in range(9)})
    cut.write_bytes(longer.read_bytes()[:7000])
    found = imported(tmp_path / "some", cut)
    assert 0 < found.drawings < 9
    assert "damaged" in found.problems[-1].reason


def test_an_import_that_was_stopped_goes_on_and_writes_nothing_twice(tmp_path: Path) -> None:
    source = shard(tmp_path / "a.tar", {f"{n:03d}.png": picture(n) for n in range(70)})
    out, control = tmp_path / "out", Control()

    def watched(_event: object) -> None:
        if (out / "020.png").exists():
            control.stop()

    with pytest.raises(Stopped):
        drive(import_drawings([source], out, control), watched)
    there = len(list(out.glob("*.png")))
    assert 20 < there < 70
    assert (out / "metadata.csv").read_text().count("\n") == 1 + there, "what is there has its table"
    found = imported(out, source)
    assert (found.drawings, found.written) == (70, 70 - there)
    assert imported(out, source).written == 0


def test_nothing_of_anybody_else_is_written_into(tmp_path: Path) -> None:
    source = shard(tmp_path / "a.tar", {"1.png": picture(1)})
    other = shard(tmp_path / "b.tar", {"1.png": picture(2)})
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="something else"):
        imported(mine, source)
    assert [file.name for file in mine.iterdir()] == ["note.txt"]
    imported(tmp_path / "out", source)
    with pytest.raises(UserError, match="something else"):
        imported(tmp_path / "out", other)
    for wrong in (tmp_path / "gone.tar", mine / "note.txt", mine):
        with pytest.raises(UserError):
            imported(tmp_path / "new", wrong)
    assert not (tmp_path / "new").exists()


def test_a_store_in_a_folder_is_named_with_the_command_that_opens_it(
    tmp_path: Path, tiny_collection: Path
) -> None:
    shard(tiny_collection / "more.tar", {"1.png": picture(1)})
    (problem,) = [one for one in read(tiny_collection).problems if one.path == "more.tar"]
    assert "clip-atelier import" in problem.reason


def rows_of(pictures: list[Any]) -> list[dict[str, Any]]:
    return [
        {"image": picture_, "text": f"a drawing {n}", "label": n % 2} for n, picture_ in enumerate(pictures)
    ]


def test_parquet_and_saved_datasets_hold_their_pictures(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    told = {
        "info": {
            "features": {
                "label": {"names": ["cat", "owl"], "_type": "ClassLabel"},
                "image": {"_type": "Image"},
            }
        }
    }
    inside = [{"bytes": picture(n), "path": f"x/{n}.png"} for n in range(5)]
    table = pyarrow.Table.from_pylist(rows_of(inside)).replace_schema_metadata(
        {b"huggingface": json.dumps(told).encode()}
    )
    hub = tmp_path / "hub" / "data"
    hub.mkdir(parents=True)
    parquet.write_table(table, hub / "test-00000-of-00001.parquet")
    parquet.write_table(table, hub / "trained-words.parquet")
    found = imported(tmp_path / "from-hub", tmp_path / "hub")
    assert (found.drawings, found.captions, found.labels) == (10, 10, 2)
    items = {item.path: item for item in read(tmp_path / "from-hub").items}
    assert (items["0.png"].captions, items["0.png"].label, items["0.png"].split) == (
        ("a drawing 0",),
        "cat",
        "test",
    )
    assert (items["1 2.png"].label, items["1 2.png"].split) == ("owl", ""), (
        "a word in a name is no part of a split"
    )

    # `datasets` saves streams, in folders of the parts' names.
    saved = tmp_path / "saved" / "validation"
    saved.mkdir(parents=True)
    with (
        pyarrow.OSFile(str(saved / "data-00000-of-00001.arrow"), "wb") as sink,
        pyarrow.ipc.new_stream(sink, table.schema) as stream,
    ):
        stream.write_table(table)
    found = imported(tmp_path / "from-disk", tmp_path / "saved")
    assert (found.drawings, {item.split for item in read(tmp_path / "from-disk").items}) == (
        5,
        {"validation"},
    )

    # Pictures as bare bytes, beside the table, outside of its folder, and none at all.
    (tmp_path / "outside.png").write_bytes(picture(1))
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / "b.png").write_bytes(picture(2))
    named = [{"bytes": None, "path": "b.png"}, {"bytes": None, "path": "../outside.png"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows_of(named)), loose / "a.parquet")
    found = imported(tmp_path / "beside", loose / "a.parquet")
    assert (found.drawings, [one.path for one in found.problems]) == (1, ["a.parquet/2"])
    parquet.write_table(pyarrow.Table.from_pylist(rows_of([picture(3)])), loose / "bare.parquet")
    assert imported(tmp_path / "bare", loose / "bare.parquet").drawings == 1
    parquet.write_table(pyarrow.table({"text": ["only words"]}), loose / "words.parquet")
    with pytest.raises(UserError, match="no column of pictures"):
        imported(tmp_path / "words", loose / "words.parquet")
    (loose / "broken.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(UserError, match=r"no picture"):
        imported(tmp_path / "broken", loose / "broken.parquet")


def test_without_pyarrow_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing.arrow_tables, "find_spec", lambda _name: None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="pyarrow"):
        imported(tmp_path / "out", tmp_path / "a.parquet")
