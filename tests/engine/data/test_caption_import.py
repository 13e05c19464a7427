"""Captions come back from the files that were written of them, edited elsewhere; nothing but what changed is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from clip_atelier.engine.core import UserError
from clip_atelier.engine.data import (
    Collection,
    ImportedCaptions,
    backups_of,
    export_captions,
    import_captions,
)
from clip_atelier.engine.settings import DataSettings

Scan = Callable[..., Collection]
Draw = Callable[..., Path]
Take = Callable[..., ImportedCaptions]

WRITTEN = {
    "csv": ("imagefolder", "out.csv"), "jsonl": ("imagefolder", "out.jsonl"), "parquet": ("imagefolder", "out.parquet"),
    "open_clip": ("open_clip", "out.csv"), "coco": ("coco", "out.json"), "kohya": ("kohya", "out.json"),
}  # fmt: skip


@pytest.fixture
def folder(draw: Draw, tmp_path: Path) -> Path:
    draw("set/a.png", text="a red cat\nthe cat")
    draw("set/b.png", text="long_hair, 파란 개")
    draw("set/c.png")
    return tmp_path / "set"


@pytest.fixture
def take(folder: Path, home: Path, scanned: Scan) -> Take:
    def run(file: Path) -> ImportedCaptions:
        return import_captions(scanned(folder), file, DataSettings(), home)

    return run


def said(collection: Collection) -> dict[str, tuple[str, ...]]:
    return {item.path: item.captions for item in collection.items}


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_was_exported_comes_back_edited(
    kind: str, folder: Path, tmp_path: Path, scanned: Scan, take: Take, home: Path
) -> None:
    if kind == "parquet" and find_spec("pyarrow") is None:
        pytest.skip("pyarrow is an extra")
    before = scanned(folder)
    (file,) = export_captions(before, WRITTEN[kind][0], tmp_path / WRITTEN[kind][1])
    unchanged = take(file)
    assert (unchanged.files, unchanged.changed, unchanged.problems) == ((), 0, ())
    assert (unchanged.drawings, unchanged.captions) == (3, 4)
    assert not (folder / "metadata.csv").exists()
    if kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(file).to_pylist()
        rows[2]["text"] = ["보라 새"]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    else:
        text = file.read_text("utf-8")
        # The drawing without a caption of its own is called by its name, c.
        changes = {
            "coco": ('"caption": "c"', '"caption": "보라 새"'),
            "kohya": ('"caption": "c"', '"caption": "보라 새"'),
            "jsonl": ('["c"]', '["보라 새"]'),
            "open_clip": ("\tc\n", "\t보라 새\n"),
            "csv": (",c,", ",보라 새,"),
        }
        assert text.count(changes[kind][0]) == 1
        file.write_text(text.replace(*changes[kind]), "utf-8", newline="")
    done = take(file)
    assert (done.files, done.changed) == ((str(folder / "metadata.csv"),), 1)
    assert said(scanned(folder)) == said(before) | {"c.png": ("보라 새",)}
    assert len(backups_of(home, folder)) == 1
    table = (folder / "metadata.csv").read_text("utf-8-sig")
    assert "a.png" not in table  # its text file stays what is edited


def test_labels_pairs_and_parts_are_taken_too_and_pairs_whole(
    draw: Draw, tmp_path: Path, scanned: Scan, home: Path
) -> None:
    for name in ("x", "y", "z"):
        draw(f"set/sketches/{name}.png")
        draw(f"set/artworks/{name}.png")
    folder = tmp_path / "set"
    before = scanned(folder)
    (file,) = export_captions(before, "imagefolder", tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    pairs = {Path(row["file_name"]).stem: row["pair"] for row in rows}
    other = {"x": pairs["y"], "y": pairs["x"]}
    for row in rows:
        stem = Path(row["file_name"]).stem
        if row["role"] == "artwork":
            row["pair"] = other.get(stem, row["pair"])
        row |= {"label": "bird", "split": "test" if stem == "z" else ""}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    done = import_captions(before, file, DataSettings(), home)
    assert (done.drawings, done.changed, done.problems) == (6, 6, ())
    after = scanned(folder)
    told = {row["file_name"]: (row["pair"], row["role"], row["label"], row["split"]) for row in rows}
    assert {i.path: (i.pair, i.role, i.label, i.split) for i in after.items} == told
    assert said(after) == said(before)
    assert import_captions(after, file, DataSettings(), home).changed == 0


def test_tags_are_written_as_they_are(folder: Path, tmp_path: Path, scanned: Scan, take: Take) -> None:
    (tmp_path / "tags.csv").write_text('file_name,text\nc.png,"short_hair, (night:1.2)"\n', "utf-8")
    take(tmp_path / "tags.csv")
    assert "(night:1.2)" in (folder / "metadata.csv").read_text("utf-8-sig")
    assert said(scanned(folder))["c.png"] == ("short hair, night",)


def test_what_cannot_be_taken_is_named_and_changes_nothing(folder: Path, tmp_path: Path, take: Take) -> None:
    some = tmp_path / "some.csv"
    some.write_text("file_name,text\nc.png,a crow\ngone.png,nobody\n", "utf-8")
    (problem,) = take(some).problems
    assert "gone.png" in problem.path
    (folder / "metadata.csv").unlink()
    for name, text, told in (
        ("missing.csv", None, "missing.csv"),
        ("captions.docx", "a", ".jsonl"),
        ("none.csv", "file_name,text\ngone.png,nobody\n", "names none"),
        ("odd.json", "{", "JSON"),
        ("numbers.csv", "a,b\n1,2\n", "file_name"),
        ("broken.parquet", "no parquet", "broken.parquet"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text, "utf-8")
        if name.endswith(".parquet") and find_spec("pyarrow") is None:
            continue
        with pytest.raises(UserError, match=told):
            take(tmp_path / name)
    assert not (folder / "metadata.csv").exists()
