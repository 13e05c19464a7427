"""The table of defences is current: see `defences.py`, which takes each of them out and runs the row's tests."""

from __future__ import annotations

import pytest
from defences import DEFENCES, ROOT, SOURCES, marked
from rows import ROWS


def test_each_row_has_a_defence_and_a_test_that_is_marked_with_it() -> None:
    assert sorted(DEFENCES) == sorted(ROWS)
    tests = marked()
    for row, defence in DEFENCES.items():
        assert defence.test in {test.partition("::")[2] for test in tests[row]}, row
        assert defence.edits, row


@pytest.mark.parametrize("row", DEFENCES)
def test_what_is_taken_out_is_there_once_and_leaves_a_program(row: int) -> None:
    for edit in DEFENCES[row].edits:
        text = (ROOT / SOURCES / edit.file).read_text("utf-8")
        assert text.count(edit.old) == 1, f"{edit.file}: {edit.old}"
        compile(text.replace(edit.old, edit.new), edit.file, "exec")
