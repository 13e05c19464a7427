"""What several tests of faults share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.cli.main import main


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command with --json in the test's home, checks how it ends, and gives its document."""

    def run(*arguments: object, code: int = 0) -> Any:
        ended = main([*map(str, arguments), "--json", "--home", str(home), "--language", "en"])
        shown = capsys.readouterr()
        assert ended == code, shown.err
        return json.loads(shown.out)

    return run
