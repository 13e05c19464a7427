from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_atelier.cli import console
from clip_atelier.cli.text import shorten, table, visible, width, wrap


def test_korean_takes_two_columns() -> None:
    assert width("그림 ab") == 7
    assert width("e\u0301") == 1


def test_tables_line_up_in_both_scripts() -> None:
    drawn = table(("이름", "R@1"), [("스케치", "0.5"), ("ink", "0.125")], right=(1,)).splitlines()
    assert drawn[0] == "이름      R@1"
    assert drawn[2] == "스케치    0.5"
    assert drawn[3] == "ink     0.125"
    assert len({width(line) for line in drawn}) == 1


@given(st.text(), st.integers(1, 40))
def test_shortened_text_fits(text: str, columns: int) -> None:
    assert width(shorten(text, columns)) <= max(columns, 1)


@given(st.text(alphabet="ab 그림"), st.integers(4, 30))
def test_wrapping_keeps_every_word(text: str, columns: int) -> None:
    lines = wrap(text, columns)
    assert " ".join(lines).split() == text.split()
    assert all(width(line) <= columns or " " not in line for line in lines)


@pytest.mark.fault(25)
@given(st.text(st.characters(exclude_categories=[]) | st.sampled_from("\udcff\udc80\ud800\x1b\n\u202e")))
def test_nothing_shown_can_command_a_terminal_or_fail_to_print(text: str) -> None:
    shown = visible(text)
    for unsafe in ("\x1b", "\n", "\r", "\x07", "\u202e", "\x9b"):
        assert unsafe not in shown
    shown.encode("utf-8")


def test_an_undecodable_name_is_written_as_an_escape_whatever_the_encoding() -> None:
    for encoding in ("utf-8", "ascii", "cp949"):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        console.write(stream, "bad \udcff name 그림\n")
        assert raw.getvalue().startswith(b"bad \\xff name ")


def test_without_a_stream_nothing_is_written() -> None:
    console.write(None, "text")
