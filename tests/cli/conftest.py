"""How the tests of the command line run commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from clip_atelier.cli.main import main

Call = Callable[..., Any]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command with --json and returns its document; checks the exit code."""

    def run(*arguments: object, code: int = 0) -> Any:
        ended = main([*map(str, arguments), "--json"])
        shown = capsys.readouterr()
        assert ended == code, shown.err
        found = json.loads(shown.out)
        assert all(isinstance(row["schema"], int) for row in (found if isinstance(found, list) else [found]))
        return found

    return run


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command as people do and returns what it printed."""

    def run(*arguments: object, code: int = 0) -> str:
        ended = main([*map(str, arguments)])
        shown = capsys.readouterr()
        assert ended == code, shown.err
        return shown.out

    return run
