from __future__ import annotations

import csv
import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_atelier.engine.core import UserError, WorkError
from clip_atelier.engine.data import Collection, save_captions
from clip_atelier.engine.data.caption_text import CaptionReader, clean
from clip_atelier.engine.data.names import words
from clip_atelier.engine.data.table_text import caption_cell
from clip_atelier.engine.settings import DataSettings

Scan = Callable[..., Collection]
Draw = Callable[..., Path]

KOREAN = "빨간 고양이"


def said(collection: Collection) -> dict[str, tuple[str, ...]]:
    return {item.path: item.captions for item in collection.items}


def test_csv_with_all_columns(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        draw(name)
    (tmp_path / "metadata.csv").write_text(
        "file_name,text,label,pair,role,split,note\n"
        'a.png,"a cat\na kitten",animal,p,artwork,train,x\n'
        f'b.png,"[""a dog"", ""{KOREAN}""]",animal,p,sketch,validation,y\n'
        "c.png,,thing,,,test,z\n",
        encoding="utf-8",
    )
    a, b, c = scanned().items
    assert (a.captions, a.label, a.pair, a.role, a.split) == (
        ("a cat", "a kitten"),
        "animal",
        "p",
        "artwork",
        "train",
    )
    assert (b.captions, b.role, b.split) == (("a dog", KOREAN), "sketch", "validation")
    assert (c.captions, c.label, c.pair, c.split) == (("a drawing of thing",), "thing", "", "test")


def test_jsonl_with_lists(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("a.png")
    draw("b.png")
    lines = [
        {"file_name": "a.png", "text": ["one", "two"], "label": 0},
        {"file_name": "b.png", "text": "three"},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\nnot json\n[1]\n")
    collection = scanned()
    assert said(collection) == {"a.png": ("one", "two"), "b.png": ("three",)}
    assert collection.items[0].label == "0"
    assert collection.caption_source == "metadata"
    assert [p.reason for p in collection.problems] == ["Lines that are not JSON objects: 3, 4."]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_encodings(scanned: Scan, draw: Draw, tmp_path: Path, encoding: str) -> None:
    draw("고양이.png")
    draw("b.png")
    (tmp_path / "metadata.csv").write_text(f"file_name,text\n고양이.png,{KOREAN}\n", encoding=encoding)
    (tmp_path / "b.txt").write_text(KOREAN, encoding=encoding)
    collection = scanned()
    assert set(said(collection).values()) == {(KOREAN,)}
    assert collection.problems == ()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_of_spreadsheets(scanned: Scan, draw: Draw, tmp_path: Path, separator: str) -> None:
    draw("a.png")
    (tmp_path / "metadata.csv").write_text(f"file_name{separator}text\r\na.png{separator}a cat\r\n")
    assert said(scanned()) == {"a.png": ("a cat",)}


def test_tables_in_sub_folders_are_relative_to_themselves_and_the_root_wins(
    scanned: Scan, draw: Draw, tmp_path: Path
) -> None:
    draw("set/deep/a.png")
    draw("set/b.png")
    (tmp_path / "set" / "metadata.csv").write_text(
        "file_name,text,label\ndeep/a.png,below,thing\n.\\b.png,b below,x\n"
    )
    (tmp_path / "metadata.csv").write_text("file_name,text\nset/deep/a.png,above\n")
    collection = scanned()
    assert said(collection) == {"set/deep/a.png": ("above",), "set/b.png": ("b below",)}
    assert [item.label for item in collection.items] == ["x", "thing"]


def test_rows_without_an_image_are_problems(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("a.png", text="kept")
    (tmp_path / "metadata.csv").write_text("file_name,text\ngone.png,x\n../outside.png,x\n,x\n")
    collection = scanned()
    assert [p.path for p in collection.problems] == ["../outside.png", "gone.png", "metadata.csv"]
    assert "line 2 of metadata.csv" in collection.problems[1].reason
    assert said(collection) == {"a.png": ("kept",)}


def test_sidecars(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("a.png", text="first\n\n  second \nfirst")
    draw("b.png")
    (tmp_path / "b.caption").write_text("from b")
    (tmp_path / "README.txt").write_text("nobody's caption")
    collection = scanned()
    assert said(collection) == {"a.png": ("first", "second"), "b.png": ("from b",)}
    assert collection.caption_source == "sidecar"


def test_captions_in_a_folder_beside_the_pictures(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    for name in ("train/images/1.png", "train/images/old/2.png", "val/images/1.png", "val/images/3.png"):
        draw(name)
    draw("val/images/4.png", text="beside it")
    draw("val/images/5.png", text="beside it")
    for name, text in {
        "train/captions/1": "one", "train/captions/old/2": "two", "val/captions/1": "another", "val/captions/4": "apart",
        "val/captions/5": "apart",
    }.items():  # fmt: skip
        file = tmp_path / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    collection = scanned()
    assert said(collection) == {
        "train/images/1.png": ("one",), "train/images/old/2.png": ("two",), "val/images/1.png": ("another",),
        "val/images/3.png": ("a drawing of images",), "val/images/4.png": ("beside it",), "val/images/5.png": ("beside it",),
    }  # fmt: skip
    assert not collection.problems


def test_texts_of_no_picture_are_named_once_a_folder(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("cat/1.png")
    draw("dog/1.png")
    (tmp_path / "captions").mkdir()
    for name in ("captions/1", "captions/2", "README", "LICENSE"):
        (tmp_path / f"{name}.txt").write_text("which of them?")
    (problem,) = scanned().problems
    assert problem.path == "captions"
    assert problem.reason.startswith(
        "2 text files in this folder are captions of no picture, such as “1.txt”."
    )


def test_an_image_without_caption_falls_to_the_next_source(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("in_table.png", text="not this")
    draw("beside.png", text="from the side")
    draw("red_apple-2.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\nin_table.png,from the table\n")
    collection = scanned()
    assert said(collection) == {
        "in_table.png": ("from the table",), "beside.png": ("from the side",), "red_apple-2.png": ("red apple",),
    }  # fmt: skip
    assert collection.caption_source == "mixed"
    assert said(scanned(captions="sidecar"))["in_table.png"] == ("not this",)
    assert said(scanned(captions="filename"))["beside.png"] == ("beside",)


@pytest.mark.parametrize("source", ["metadata", "sidecar", "folder"])
def test_a_chosen_source_that_is_not_there(scanned: Scan, draw: Draw, source: str) -> None:
    draw("a.png")
    with pytest.raises(UserError) as caught:
        scanned(captions=source)
    assert caught.value.setting == "data.captions"


def test_folders_as_classes(scanned: Scan, draw: Draw) -> None:
    for name in ("cat/1.png", "cat/2.png", "wild_boar/1.png", "train/deep/owl/1.png"):
        draw(name, name)
    collection = scanned(template="a sketch of a {label}")
    assert collection.labels == ("cat", "owl", "wild boar")
    assert said(collection)["wild_boar/1.png"] == ("a sketch of a wild boar",)
    assert collection.caption_source == "folder"
    assert {item.split for item in collection.items} == {"", "train"}


def test_one_folder_is_no_class(scanned: Scan, draw: Draw) -> None:
    draw("cat/blue hat.png")
    draw("cat/green hat.png")
    collection = scanned()
    assert (collection.labels, collection.caption_source) == ((), "filename")


def test_an_edited_caption_keeps_the_folders_label(
    scanned: Scan, draw: Draw, tmp_path: Path, home: Path
) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        draw(name, name)
    save_captions(tmp_path, {"cat/1.png": ["my own cat"]}, home)
    collection = scanned()
    assert [item.label for item in collection.items] == ["cat", "cat", "dog"]
    assert collection.items[0].captions == ("my own cat",)


@pytest.mark.parametrize(("name", "expected"), [
    ("red_panda.png", "red panda"), ("redPanda.png", "red panda"), ("02_red-panda.png", "red panda"),
    ("red panda (3).png", "red panda"), ("red.panda.png", "red panda"), ("HTMLPage.png", "HTML page"),
    ("A cat - copy.png", "a cat"), ("고양이_02.png", "고양이"), ("고양이 사본.png", "고양이"), ("IMG_1234.jpg", "IMG_1234"),
    ("DSC00042.JPG", "DSC00042"), ("20240131_101500.jpg", "20240131_101500"), ("007.png", "007"),
    ("스캔_001.png", "스캔_001"), ("3d-cube.png", "3d cube"), ("cat v2.png", "cat v2"), ("01cat.png", "cat"), ("cat12.png", "cat"), ("1_2_cat.png", "2 cat"), ("--.png", "--"),
    (unicodedata.normalize("NFD", "고양이") + ".png", "고양이"), ("a/b/old_oak.tar.png", "old oak tar"),
    (os.fsdecode(b"\xff.png"), "drawing"),
])  # fmt: skip
def test_file_names_in_words(name: str, expected: str) -> None:
    assert words(name) == expected


@pytest.mark.parametrize(("cell", "expected"), [
    ("a", ["a"]), ("a\r\nb\n\n", ["a", "b"]), ('["a", "b", 3, null]', ["a", "b", "3"]), ("[draft] a cat", ["[draft] a cat"]),
    ("", []), (None, []), ("  tab\there\x00 ", ["tab here"]), ("a\na", ["a"]), (unicodedata.normalize("NFD", KOREAN), [KOREAN]),
    ("=1+1", ["=1+1"]), ("<b>&", ["<b>&"]),
])  # fmt: skip
def test_cells(cell: object, expected: list[str]) -> None:
    assert CaptionReader(DataSettings()).captions(cell) == expected


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_saving_writes_only_what_was_edited(scanned: Scan, draw: Draw, tmp_path: Path, home: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        draw(name)
    (tmp_path / "metadata.csv").write_text(
        'note,file_name,text\n"keep, this",a.png,old\n=x,b.png,untouched\n'
    )
    written = save_captions(tmp_path, {"a.png": ["new", KOREAN], "c.png": ["[odd] one"]}, home)
    assert written.file == tmp_path / "metadata.csv"
    assert rows(tmp_path) == [
        {"note": "keep, this", "file_name": "a.png", "text": f'["new", "{KOREAN}"]'},
        {"note": "=x", "file_name": "b.png", "text": "untouched"},
        {"note": "", "file_name": "c.png", "text": '["[odd] one"]'},
    ]
    assert said(scanned()) == {"a.png": ("new", KOREAN), "b.png": ("untouched",), "c.png": ("[odd] one",)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.png", "metadata.csv"]


def test_saving_carries_a_jsonl_over(scanned: Scan, draw: Draw, tmp_path: Path, home: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(name)
    lines = [{"file_name": n, "text": ["x", "y"], "label": "l", "size": 3} for n in ("a.png", "b.png")]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    save_captions(tmp_path, {"a.png": ["z"]}, home)
    collection = scanned()
    assert said(collection) == {"a.png": ("z",), "b.png": ("x", "y")}
    assert collection.labels == ("l",)


def test_an_emptied_caption_falls_to_the_next_source(
    scanned: Scan, draw: Draw, tmp_path: Path, home: Path
) -> None:
    draw("green_hat.png")
    save_captions(tmp_path, {"green_hat.png": ["x"]}, home)
    save_captions(tmp_path, {"green_hat.png": []}, home)
    assert said(scanned()) == {"green_hat.png": ("green hat",)}


def test_saving_for_an_image_in_a_sub_folder_with_its_own_table(
    scanned: Scan, draw: Draw, tmp_path: Path, home: Path
) -> None:
    draw("sub/a.png")
    (tmp_path / "sub" / "metadata.csv").write_text("file_name,text\na.png,old\n")
    save_captions(tmp_path, {"sub/a.png": ["new"]}, home)
    assert said(scanned()) == {"sub/a.png": ("new",)}


def test_a_failed_save_keeps_the_old_table(
    draw: Draw, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,old\n")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkError, match="No space left"):
        save_captions(tmp_path, {"a.png": ["new"]}, home)
    assert (tmp_path / "metadata.csv").read_text() == "file_name,text\na.png,old\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_caption_with_commas_needs_no_quotes_in_the_last_column(
    scanned: Scan, draw: Draw, tmp_path: Path
) -> None:
    draw("a.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,a cat, sitting, red\n")
    collection = scanned()
    assert said(collection) == {"a.png": ("a cat, sitting, red",)}
    assert collection.problems == ()


def test_cells_beyond_the_header_are_named_and_never_lost_in_saving(
    scanned: Scan, draw: Draw, tmp_path: Path, home: Path
) -> None:
    draw("a.png")
    table = "file_name,text,label\na.png,a cat, sitting,animal\n"
    (tmp_path / "metadata.csv").write_text(table)
    assert "more cells than the header: 2" in scanned().problems[0].reason
    with pytest.raises(WorkError, match="more cells"):
        save_captions(tmp_path, {"a.png": ["x"]}, home)
    assert (tmp_path / "metadata.csv").read_text() == table


def test_saving_through_a_link_writes_what_it_leads_to(draw: Draw, tmp_path: Path, home: Path) -> None:
    draw("set/a.png")
    real = tmp_path / "kept elsewhere.csv"
    real.write_text("file_name,text\na.png,old\n")
    (tmp_path / "set" / "metadata.csv").symlink_to(real)
    save_captions(tmp_path / "set", {"a.png": ["new"]}, home)
    assert (tmp_path / "set" / "metadata.csv").is_symlink()
    assert "a.png,new" in real.read_text(encoding="utf-8-sig")


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_captions_come_back_from_a_cell(texts: list[str]) -> None:
    cleaned = list(dict.fromkeys(filter(None, map(clean, texts))))
    reader = CaptionReader(DataSettings(tags="as_written", caption_lines="each"))
    assert reader.captions(caption_cell(cleaned)) == cleaned


@given(st.text(min_size=1, max_size=60).filter(lambda text: "/" not in text and "\0" not in text))
def test_every_name_gives_words(name: str) -> None:
    found = words(name + ".png")
    assert found
    assert found == " ".join(found.split())
    assert found.encode()


def test_a_column_without_a_name_means_nothing(scanned: Scan, draw: Draw, tmp_path: Path, home: Path) -> None:
    draw("a.png")
    (tmp_path / "metadata.csv").write_text(",file_name,text\n0,a.png,a cat\n")  # as pandas writes its index
    (item,) = scanned().items
    assert (item.label, item.pair, item.captions) == ("", "", ("a cat",))
    save_captions(tmp_path, {"a.png": ["new"]}, home)
    assert rows(tmp_path) == [{"": "0", "file_name": "a.png", "text": "new"}]
