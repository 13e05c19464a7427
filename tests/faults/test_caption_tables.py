"""Faults 45, 58 and 60: tables of captions are read right or refused by line, and written back in their own hand."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clip_atelier.cli.main import main
from clip_atelier.engine.core import Control, DamagedFile, UserError, WorkError, drive
from clip_atelier.engine.data import (
    CaptionBackups,
    Collection,
    DraftEdit,
    caption_backups,
    caption_drafts,
    save_captions,
    scan,
)
from clip_atelier.engine.data.table_text import CsvTable, JsonLines, apply
from clip_atelier.engine.settings import DataSettings

NAMES = ("a.png", "b.png", "고양이.png", "été.png")
KOREAN = "빨간 고양이, 앉아 있다"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drawings"
    made.mkdir()
    for number, name in enumerate(NAMES):
        image = Image.new("L", (32, 32), 255)
        image.paste(0, (3 * number, 4, 3 * number + 9, 20 - 3 * number))
        image.save(made / name)
    return made


def scanned(folder: Path) -> Collection:
    return drive(scan(folder, DataSettings(), Control()))


def said(folder: Path) -> dict[str, tuple[str, ...]]:
    return {item.path: item.captions for item in scanned(folder).items}


def reasons(folder: Path) -> list[str]:
    return [problem.reason for problem in scanned(folder).problems]


ENCODINGS = {
    "utf-8": ("utf-8", b""), "marked": ("utf-8", b"\xef\xbb\xbf"), "cp949": ("cp949", b""),
    "utf-16-le": ("utf-16-le", b"\xff\xfe"), "utf-16-be": ("utf-16-be", b"\xfe\xff"), "bare-16": ("utf-16-le", b""),
    "utf-32": ("utf-32-le", b"\xff\xfe\x00\x00"), "latin-1": ("latin-1", b""),
}  # fmt: skip


@pytest.mark.fault(45)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_saved_table_differs_in_its_edited_cell_only(
    folder: Path, home: Path, encoding: str, separator: str, end: str
) -> None:
    codec, mark = ENCODINGS[encoding]
    name, text = ("été.png", "un café au lait") if encoding == "latin-1" else ("고양이.png", "빨간 고양이")
    rows = [
        ("note", "file_name", "text", ""), ('"x, ; y"', "a.png", "OLD", "1"), ("", name, text, '"""q"""'),
        ("=1", "b.png", '"kept"', ""),
    ]  # fmt: skip
    whole = end.join(separator.join(row) for row in rows)  # no line's end at the end
    table = folder / "metadata.csv"
    table.write_bytes(mark + whole.encode(codec))
    assert said(folder)[name] == (text,)
    assert said(folder)["a.png"] == ("OLD",)
    saved = save_captions(folder, {"a.png": ["new; and, \t" + text]}, home)
    assert not saved.recoded
    quoted = '"new; and, ' + text + '"' if separator != "\t" else "new; and, " + text
    assert table.read_bytes() == mark + whole.replace("OLD", quoted).encode(codec)
    assert saved.backup.path.read_bytes() == mark + whole.encode(codec)
    assert said(folder)["a.png"] == ("new; and, " + text,)
    assert sorted(p.name for p in folder.iterdir()) == sorted([*NAMES, "metadata.csv"])


def test_new_rows_follow_the_files_own_quotes_and_ends(folder: Path, home: Path) -> None:
    table = folder / "metadata.csv"
    table.write_bytes(b'"file_name";"text";"label"\r\n"a.png";"one";"x"\r\n')
    save_captions(folder, {"b.png": ["two"], "a.png": ['say "one"']}, home)
    assert table.read_bytes() == (
        b'"file_name";"text";"label"\r\n"a.png";"say ""one""";"x"\r\n"b.png";"two";""\r\n'
    )


def test_a_table_without_a_text_column_gets_one(folder: Path, home: Path) -> None:
    table = folder / "metadata.csv"
    table.write_bytes(b"file_name,label\na.png,cat\nb.png\n")
    save_captions(folder, {"a.png": ["one"], "b.png": ["two"]}, home)
    assert table.read_bytes() == b"file_name,label,text\na.png,cat,one\nb.png,,two\n"


def test_letters_that_the_encoding_lacks_make_it_utf_8_and_the_old_one_is_kept(
    folder: Path, home: Path
) -> None:
    table = folder / "metadata.csv"
    before = "file_name,text\r\na.png,빨간 고양이\r\n".encode("cp949")
    table.write_bytes(before)
    saved = save_captions(folder, {"b.png": ["🦊"]}, home)
    assert saved.recoded
    assert said(folder)["a.png"] == ("빨간 고양이",)
    assert said(folder)["b.png"] == ("🦊",)
    assert saved.backup.path.read_bytes() == before


@pytest.mark.fault(45)
def test_json_lines_stay_json_lines_with_every_other_byte_as_it_was(folder: Path, home: Path) -> None:
    table = folder / "metadata.jsonl"
    lines = [
        '{"size": 1.50e3,  "file_name": "a.png" , "text": ["x", "y"], "big": 123456789012345678901234567890}',
        '  {"file_name":"b.png"}',
        '{"text":"kept","file_name":"été.png"}',
    ]
    table.write_bytes("\r\n".join(lines).encode())
    save_captions(folder, {"a.png": ["z"], "b.png": ["one", "two"], "고양이.png": ["neu"]}, home)
    assert not (folder / "metadata.csv").exists()
    assert table.read_bytes().decode().split("\r\n") == [
        lines[0].replace('["x", "y"]', '["z"]'), '  {"file_name":"b.png", "text": ["one", "two"]}', lines[2],
        '{"file_name": "고양이.png", "text": "neu"}',
    ]  # fmt: skip


@pytest.mark.fault(45)
@pytest.mark.parametrize(("content", "expected", "named"), [
    # A quote that is never closed swallows no row after it.
    ('file_name,text\na.png,"open\nb.png,shut\n', {"a.png": "a", "b.png": "shut"}, "never closed, or with text after a closed one: 2."),
    ('file_name,text\na.png,"open\nb.png,"shut"\n', {"a.png": "a", "b.png": "shut"}, ": 2."),
    ('file_name,text\na.png,"open\nb.png,shut\nx.png,"\n', {"a.png": "a", "b.png": "shut"}, ": 2, 4."),
    ('file_name,text\na.png,"x" y\nb.png,shut\n', {"a.png": "a", "b.png": "shut"}, ": 2."),
    ('file_name,text\na.png,"one\r\ntwo"\nb.png,"open\n', {"b.png": "b"}, ": 4."),
    # Spaces before a quote, quotes within a text.
    ('file_name,text\na.png, "a, b"\nb.png,5" wide\n', {"a.png": "a, b", "b.png": '5" wide'}, ""),
    # A column twice: both captions; a label twice only if it says the same.
    ("file_name,text,text\na.png,one,two\nb.png,,three\n", {"b.png": "three"}, ""),
    ("file_name,label,label,text\na.png,x,y,one\nb.png,x,x,two\n", {"a.png": "a", "b.png": "two"}, "one thing twice: 2."),
    # More cells than the header: the line, whole; empty ones mean nothing.
    ("file_name,text,label\na.png,a cat, sitting,x\nb.png,two,y,,\n", {"a.png": "a", "b.png": "two"}, "header: 2."),
    ("sep=;\nfile_name;text\na.png;one\n", {"a.png": "one"}, ""),
    ("\n\nfile_name,text\n\na.png,one\n   \n", {"a.png": "one"}, ""),
])  # fmt: skip
def test_odd_tables_are_read_right_or_refused_by_line(
    folder: Path, content: str, expected: dict[str, str], named: str
) -> None:
    (folder / "metadata.csv").write_bytes(content.encode())
    found = said(folder)
    assert {name: found[name][0] for name in expected} == expected
    told = reasons(folder)
    assert len(told) == bool(named)
    assert not named or named in told[0]


@pytest.mark.fault(45)
def test_a_column_twice_gives_both_captions_and_saving_replaces_both(folder: Path, home: Path) -> None:
    (folder / "metadata.csv").write_text("text,file_name,Text \none,a.png,two\nx,b.png,y\n")
    assert said(folder)["a.png"] == ("one", "two")
    save_captions(folder, {"a.png": ["three"]}, home)
    assert (folder / "metadata.csv").read_text() == "text,file_name,Text \nthree,a.png,\nx,b.png,y\n"


@pytest.mark.fault(45)
@pytest.mark.parametrize(("name", "content"), [
    ("metadata.jsonl", b'{"file_name": "a.png", "text": "half \\ud83e"}\n{"file_name": "b.png", "text": "\\ud83e\\udd8a"}\n'),
    ("metadata.jsonl", b'{"file_name": "a.png", "text": ["x", "\\udc00"]}\n{"file_name": "b.png", "text": "\xf0\x9f\xa6\x8a"}\n'),
    ("metadata.csv", b'file_name,text\na.png,"[""x"", ""\\ud83e""]"\nb.png,\xf0\x9f\xa6\x8a\n'),
    ("metadata.csv", b"file_name,text\na.png,\xed\xa0\xbe\nb.png,\xf0\x9f\xa6\x8a\n"),
    ("metadata.csv", b"file_name,text\na.png,\x8d\x81\x9d\nb.png,\xf0\x9f\xa6\x8a\n"),
    ("metadata.csv", b"\xff\xfe" + "file_name,text\na.png,\ud83e\nb.png,🦊\n".encode("utf-16-le", "surrogatepass")),
])  # fmt: skip
def test_half_letters_are_refused_by_line_and_stay_in_the_file(
    folder: Path, home: Path, name: str, content: bytes
) -> None:
    (folder / name).write_bytes(content)
    assert said(folder) | {"고양이.png": (), "été.png": ()} == {
        "a.png": ("a",), "b.png": ("🦊",), "고양이.png": (), "été.png": (),
    }  # fmt: skip
    (reason,) = reasons(folder)
    assert reason.startswith(f"Lines with letters that cannot be read: {1 if name.endswith('l') else 2}.")
    save_captions(folder, {"b.png": ["fox"]}, home)
    fox = "🦊".encode("utf-16-le") if content.startswith(b"\xff\xfe") else "🦊".encode()
    new = "fox".encode("utf-16-le") if content.startswith(b"\xff\xfe") else b"fox"
    assert (folder / name).read_bytes() == content.replace(fox, new).replace(b"\\ud83e\\udd8a", b"fox")


@pytest.mark.parametrize("line", [
    '{"file_name": "a.png", "text": {"raw": "x"}}', '{"file_name": "a.png", "text": [["x"]]}',
    '{"file_name": "a.png", "text": "x"} {"file_name": "b.png", "text": "x"}', '{"file_name": "a.png", "text": NaN}',
    '{"file_name": "a.png", "text": "x", "label": "y", "label": "z"}', '{"file_name": "a.png", "text": "x",}',
    '{"file_name": "a.png", "text": ' + "[" * 100_000, "{" * 5, "{", '{"file_name"', '{"file_name": "a.png" "text": "x"}',
])  # fmt: skip
def test_odd_lines_of_json_are_refused(folder: Path, line: str) -> None:
    (folder / "metadata.jsonl").write_text(line + '\n{"file_name": "b.png", "text": "kept"}\n')
    found = said(folder)
    assert (found["a.png"], found["b.png"]) == (("a",), ("kept",))
    (reason,) = reasons(folder)
    assert ": 1." in reason


@pytest.mark.fault(24)
@pytest.mark.parametrize(("text", "codec"), [
    ("빨간 고양이", "cp949"), ("뷁 쀍", "cp949"), ("un café, une tête", "latin-1"), ("Äpfel und Öl", "latin-1"),
    ("œuvre “d’art” – 5 €", "cp1252"), ("niño", "cp1252"),
])  # fmt: skip
def test_letters_of_older_encodings_are_the_right_ones(folder: Path, text: str, codec: str) -> None:
    (folder / "a.txt").write_bytes(text.encode(codec))
    assert said(folder)["a.png"] == (text,)


def test_a_western_table_says_that_its_encoding_is_a_guess(folder: Path) -> None:
    (folder / "metadata.csv").write_bytes("file_name,text\na.png,tête\n".encode("latin-1"))
    assert "Windows-1252" in reasons(folder)[0]


def test_letters_in_an_unknown_encoding_give_no_caption(folder: Path) -> None:
    (folder / "a.txt").write_bytes("猫の絵".encode("shift_jis"))
    assert said(folder)["a.png"] == ("a",)
    assert "cannot be read" in reasons(folder)[0]


def test_a_text_that_ends_within_a_letter_is_named(folder: Path) -> None:
    (folder / "metadata.csv").write_bytes("file_name,text\na.png,x\n".encode("utf-16")[:-1])
    assert "middle of a letter" in reasons(folder)[0]


@pytest.mark.parametrize("content", [
    'file_name,text\na.png,one\nb.png,"open\n', "name,words\na.png,one\n", "file_name,text,label\na.png,x,y,z\n",
])  # fmt: skip
def test_what_cannot_be_changed_without_loss_is_not(folder: Path, home: Path, content: str) -> None:
    (folder / "metadata.csv").write_text(content)
    with pytest.raises(WorkError, match="cannot be changed"):
        save_captions(folder, {"a.png": ["new"]}, home)
    assert (folder / "metadata.csv").read_text() == content
    assert CaptionBackups(home, folder).list() == []


def test_a_name_in_other_letters_is_not_another_image(folder: Path, home: Path) -> None:
    if (folder / "A.PNG").exists():
        pytest.skip("upper and lower case are one here")
    (folder / "metadata.csv").write_text("file_name,text\nA.png,one\n")
    save_captions(folder, {"a.png": ["two"]}, home)  # there is no A.png: it means a.png
    assert (folder / "metadata.csv").read_text() == "file_name,text\nA.png,two\n"
    (folder / "a.png").rename(folder / "A.png")
    (folder / "b.png").rename(folder / "a.png")
    save_captions(folder, {"a.png": ["three"]}, home)
    assert (folder / "metadata.csv").read_text() == "file_name,text\nA.png,two\na.png,three\n"


CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=12)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=6), st.sampled_from([",", ";", "\t"]),
       st.sampled_from(["\n", "\r\n"]), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_what_the_csv_module_writes_is_read_alike(
    cells: list[list[str]], separator: str, end: str, quoting: Any
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow(["file_name", "text", "note"])
    writer.writerows([f"{n}.png", *row] for n, row in enumerate(cells))
    table = CsvTable(out.getvalue(), frozenset({"text"}))
    assert table.faults == {}
    assert [[row.cells[name][0].value for name in ("text", "note")] for row in table.rows] == cells


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_table_or_named(content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape")
    for table in (CsvTable(text, frozenset({"text"})), JsonLines(text)):
        for row in table.rows:
            for found in row.cells.values():
                for cell in found:
                    assert 0 <= cell.start <= cell.end <= len(text)
        assert apply(text, []) == text


@pytest.mark.fault(60)
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_killed_save_leaves_the_old_table_or_the_new_one(folder: Path, home: Path) -> None:
    rows = "".join(f"{n}.png,old {n}\n" for n in range(1000))
    table = folder / "metadata.csv"
    table.write_text("file_name,text\na.png,0\n" + rows)
    program = (
        "import sys, itertools; from pathlib import Path; from clip_atelier.engine.data import save_captions\n"
        "print('ready', flush=True)\n"
        "for n in itertools.count(int(sys.argv[3])):\n"
        "    save_captions(Path(sys.argv[1]), {'a.png': [str(n)]}, Path(sys.argv[2]))\n"
    )
    chance, last = random.Random(0), 0
    for _round in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(home), str(last + 1)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0.02, 0.4))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        content = table.read_text()
        now = int(content.split("\n", 2)[1].removeprefix("a.png,"))
        assert content == f"file_name,text\na.png,{now}\n" + rows
        assert now >= last
        last = now
        save_captions(folder, {"a.png": [str(now)]}, home)  # nothing of the dead one is in the way
        assert sorted(p.name for p in folder.iterdir()) == sorted([*NAMES, "metadata.csv"])
    assert last > 0


@pytest.mark.fault(5, 60)
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_disk_that_fills_keeps_the_table_whichever_step_fails(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    table = folder / "metadata.csv"
    table.write_text("file_name,text\na.png,old\n")
    left = [0]
    real: dict[str, Callable[..., Any]] = {
        "write": Path.write_bytes,
        "fsync": os.fsync,
        "replace": os.replace,
    }

    def failing(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            if step == "write":  # as far as there was room
                real[step](arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise OSError(28, "No space left on device")
        return real[step](*arguments, **named)

    monkeypatch.setattr(*((Path, "write_bytes") if step == "write" else (os, step)), failing)
    told: list[str] = []
    for number in range(1, 20):
        shutil.rmtree(home, ignore_errors=True)  # what one round has kept, the next would not write
        left[0] = number
        try:
            save_captions(folder, {"a.png": ["new"]}, home)
            break
        except WorkError as error:
            told.append(str(error))
        assert table.read_text() == "file_name,text\na.png,old\n"
        assert sorted(p.name for p in folder.iterdir()) == sorted([*NAMES, "metadata.csv"])
    assert 3 < number < 19
    assert all("No space left" in error for error in told)
    assert table.read_text() == "file_name,text\na.png,new\n"


# Backups


@pytest.mark.fault(45)
def test_the_last_ten_and_one_a_day_for_a_month_are_kept(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.time() - 50 * 86400]
    monkeypatch.setattr(
        caption_backups, "stamp", lambda: datetime.fromtimestamp(now[0]).strftime("%Y%m%d-%H%M%S")
    )
    for day in range(51):
        for turn in range(3):
            save_captions(folder, {"a.png": [f"{day}.{turn}"]}, home)
            now[0] += 60
        now[0] += 86400 - 180
    kept = CaptionBackups(home, folder).list()
    assert [b.number for b in kept[:10]] == list(range(153, 143, -1))
    days = [b.day for b in kept[10:]]
    assert len(days) == len(set(days))
    assert 27 <= len(days) <= 31


def test_a_clock_set_back_does_not_change_the_order(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = iter(["20261127-120000"] * 2 + ["20261126-120000"] * 2)
    monkeypatch.setattr(caption_backups, "stamp", lambda: next(stamps, "20261126-120001"))
    save_captions(folder, {"a.png": ["one"]}, home)
    save_captions(folder, {"a.png": ["two"]}, home)
    backups = CaptionBackups(home, folder)
    assert [b.day for b in backups.list()] == ["20261126", "20261127"]
    backups.restore(backups.find())
    assert said(folder)["a.png"] == ("one",)


def test_restore_brings_back_the_bytes_by_date_and_can_be_undone(
    folder: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: object) -> Any:
        code = main([*map(str, arguments), "--json", "--home", str(home), "--language", "en"])
        return code, json.loads(capsys.readouterr().out)

    table = folder / "metadata.csv"
    assert call("captions", "backups", folder) == (0, [])
    assert call("captions", "restore", folder)[0] == 2
    save_captions(folder, {"a.png": ["one"]}, home)
    first = table.read_bytes()
    save_captions(folder, {"a.png": ["two"]}, home)
    second = table.read_bytes()
    code, told = call("captions", "restore", folder)
    assert (code, told["files"], told["captions"]) == (0, [str(table)], 1)
    assert table.read_bytes() == first
    assert call("captions", "restore", folder)[0] == 0  # undoes it
    assert table.read_bytes() == second
    _code, kept = call("captions", "backups", folder)
    assert [one["absent"] for one in kept] == [False, False, False, True]
    code, told = call("captions", "restore", folder, "1999-01-01")
    assert (code, told["error"]["message"]) == (2, "There is no backup of 1999-01-01.")
    day = kept[0]["date"][:10]
    assert call("captions", "restore", folder, day)[1]["restored"].startswith(day)
    CaptionBackups(home, folder).restore(CaptionBackups(home, folder).list()[-1])
    assert not table.exists()  # there was none before the first save
    assert call("captions", "restore", folder / "nowhere")[0] == 2


def test_a_damaged_backup_is_not_restored(folder: Path, home: Path) -> None:
    table = folder / "metadata.csv"
    table.write_text("file_name,text\na.png,old\n")
    backup = save_captions(folder, {"a.png": ["new"]}, home).backup
    backup.path.write_bytes(backup.path.read_bytes().replace(b"old", b"odd"))
    with pytest.raises(WorkError, match="cannot be read"):
        CaptionBackups(home, folder).restore(backup)
    assert "new" in table.read_text()


def test_without_a_backup_nothing_is_overwritten(folder: Path, home: Path) -> None:
    (folder / "metadata.csv").write_text("file_name,text\na.png,old\n")
    home.mkdir()
    (home / "backups").write_text("in the way")
    with pytest.raises(WorkError, match="backups"):
        save_captions(folder, {"a.png": ["new"]}, home)
    assert (folder / "metadata.csv").read_text() == "file_name,text\na.png,old\n"


# Drafts


@pytest.mark.fault(58)
def test_a_damaged_draft_is_read_from_its_copy(folder: Path, home: Path) -> None:
    edit = DraftEdit(path="a.png", captions=("mine",), before=())
    caption_drafts.write_draft(home, folder, {"a.png": edit})
    file = caption_drafts.draft_file(home, folder)
    file.write_bytes(b"{")
    assert caption_drafts.read_draft(home, folder) == {"a.png": edit}
    assert file.with_suffix(".damaged").read_bytes() == b"{"


def test_a_draft_keeps_any_letters_and_goes_when_it_is_empty(folder: Path, home: Path) -> None:
    odd = os.fsdecode(b"\xff.png")
    edit = DraftEdit(path=odd, captions=("🦊\ud83e", KOREAN), before=())
    caption_drafts.write_draft(home, folder, {odd: edit})
    assert caption_drafts.read_draft(home, folder) == {odd: edit}
    assert caption_drafts.read_draft(home, folder.parent) == {}
    caption_drafts.write_draft(home, folder, {})
    assert not list((home / "drafts" / "captions").iterdir())
    caption_drafts.write_draft(home, folder, {})


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"folder": 1}', b'{"folder": "x", "edits": [{"path": "a"}]}', b"[" * 99_999]
)
def test_a_damaged_draft_is_set_aside(folder: Path, home: Path, content: bytes) -> None:
    file = caption_drafts.draft_file(home, folder)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(DamagedFile):
        caption_drafts.read_draft(home, folder)
    assert file.with_suffix(".damaged").read_bytes() == content
    assert caption_drafts.read_draft(home, folder) == {}
    assert issubclass(DamagedFile, UserError)


@pytest.mark.fault(61)
def test_two_windows_on_one_folder_lose_nothing_of_each_other(
    folder: Path, home: Path, tmp_path: Path
) -> None:
    """Each has a home and a draft of its own; what one saves is there when the other saves."""
    other = tmp_path / "other-home"
    (folder / "metadata.csv").write_text("file_name,text,note\na.png,a,one\nb.png,b,two\n")
    drafts = {home: {"a.png": ["by the first"]}, other: {"b.png": ["by the second"]}}
    for place, edits in drafts.items():
        draft = {p: DraftEdit(path=p, captions=tuple(c), before=(p[0],)) for p, c in edits.items()}
        caption_drafts.write_draft(place, folder, draft)
    for place, edits in drafts.items():
        assert list(caption_drafts.read_draft(place, folder)) == list(edits)
        save_captions(folder, edits, place)
    text = (folder / "metadata.csv").read_text()
    assert text == "file_name,text,note\na.png,by the first,one\nb.png,by the second,two\n"
    # Each can bring back what was there before its own save.
    (kept,) = CaptionBackups(other, folder).list()
    CaptionBackups(other, folder).restore(kept)
    assert "by the first" in (folder / "metadata.csv").read_text()
    assert "by the second" not in (folder / "metadata.csv").read_text()
