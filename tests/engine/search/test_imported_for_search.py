"""A search by words imports only what it uses: in a process of its own, as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models, text_tower
from clip_atelier.engine.search import ModelRef, parse_query, search
from clip_atelier.engine.search.gallery import index
from clip_atelier.engine.settings import HardwareSettings

CPU = HardwareSettings(device="cpu", threads=1)
HEAVY = ("transformers", "peft", "torch._dynamo", "sympy", "scipy", "sklearn", "openTSNE", "PySide6")

PROGRAM = """
import json, sys
from clip_atelier.cli.main import main
code = main(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


def imported(*arguments: str) -> tuple[Any, set[str]]:
    """What a command answers, and the modules that it imported."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0, done.stderr
    return json.loads(done.stdout), set(told["modules"])


@pytest.mark.parametrize("adapted", [False, True])
def test_a_search_by_words_imports_neither_transformers_nor_peft(
    adapted: bool, home: Path, tiny_clip: Path, tiny_pairs: Path, adapted_run: Callable[..., str]
) -> None:
    which = {"run": adapted_run(tiny_pairs)} if adapted else {"model": str(tiny_clip)}
    drive(index(tiny_pairs, ModelRef(**which, hardware=CPU), Models(home), Control()))
    (option, value) = next(iter(which.items()))
    found, modules = imported(
        "search", str(tiny_pairs), "--text", "a red ring", f"--{option}", value, "--home", str(home), "--json",
        "--hardware.device", "cpu", "--hardware.threads", "1",
    )  # fmt: skip
    assert len(found["base"]) == 10
    assert ("adapted" in found) == adapted
    assert not modules & set(HEAVY)


def test_where_the_text_tower_differs_the_library_answers(
    home: Path,
    tmp_path: Path,
    tiny_pairs: Path,
    adapted_run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ref = ModelRef(adapted_run(tiny_pairs), hardware=CPU)
    quick = drive(search(tiny_pairs, parse_query("a red ring"), ref, Models(home), Control()))
    for kept in (home / "cache").glob("texts.sqlite*"):
        kept.unlink()
    monkeypatch.setattr(text_tower, "TOLERANCE", -1.0)
    for _time in ("compared", "known"):
        plain = drive(search(tiny_pairs, parse_query("a red ring"), ref, Models(home), Control()))
        for one, other in ((plain.base, quick.base), (plain.adapted or (), quick.adapted or ())):
            assert [hit.path for hit in one] == [hit.path for hit in other]
            assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=1e-6)
