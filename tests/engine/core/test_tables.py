from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_atelier.engine.core import UserError, tables

DANGEROUS = st.one_of(
    st.sampled_from(
        ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", '=HYPERLINK("x")', "-", "+", "\r=1", "\n@x"]
    ),
    st.text(),
)


@pytest.mark.fault(26)
@given(DANGEROUS)
def test_no_cell_of_a_csv_table_is_a_formula_and_none_loses_its_text(text: str) -> None:
    written = tables.csv_table(["name"], [[text]])
    cell = list(csv.reader(io.StringIO(written, newline="")))[1:]
    value = cell[0][0] if cell and cell[0] else ""
    assert value in (text, "'" + text)
    assert value[:1] not in ("=", "@", "\t", "\r", "\n")
    if value[:1] in ("+", "-"):
        float(value.rstrip("%"))


@pytest.mark.parametrize("value", [-0.25, "+0.031", "-1e-3", "-12", "12 %", "0.5"])
def test_numbers_stay_numbers_in_a_csv_table(value: object) -> None:
    assert tables.csv_cell(value) == str(value)


def test_tables_of_every_format_hold_every_cell(tmp_path: Path) -> None:
    header, rows = ["설정", "R@1"], [["q_proj | v_proj & 50 %", "0.42"], ["<b>", None]]
    for suffix in tables.SUFFIXES:
        out = tmp_path / f"table{suffix}"
        tables.write(out, header, rows)
        text = out.read_text("utf-8-sig")
        assert "설정" in text
        assert "0.42" in text
    assert r"q\_proj | v\_proj \& 50 \%" in (tmp_path / "table.tex").read_text("utf-8")
    markdown = (tmp_path / "table.md").read_text("utf-8").splitlines()
    assert markdown[1] == "| --- | --- |"
    assert markdown[2] == r"| q_proj \| v_proj & 50 % | 0.42 |"
    assert r"\<b\>" in markdown[3]


def test_an_unknown_table_format_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"table\.xlsx"):
        tables.write(tmp_path / "table.xlsx", ["a"], [])
