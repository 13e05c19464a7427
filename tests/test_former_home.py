"""A home made by the version before the rooms still opens: its runs, table, index, caches, packs and draft.

`data/former-home.zip` was made by version 0.9 of the program on the tests' own tiny model and pairs: one run of each
preset, one stopped after 4 of 9 steps, a table that was left unfinished, an index, a run pack.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from clip_atelier.engine.core import Control, drive, events
from clip_atelier.engine.evaluation import comparison
from clip_atelier.engine.experiments import unfinished
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs, run_packs
from clip_atelier.engine.search import ModelRef, gallery, parse_query, search
from clip_atelier.engine.training import resume
from clip_atelier.gui.state import WindowState

ARCHIVE = Path(__file__).parent / "data" / "former-home.zip"


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """home/, drawings/, model/, a pack and expected.json, with their paths put right."""
    root = tmp_path / "former"
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(root)
    for file in [*root.rglob("*.json"), *root.rglob("*.jsonl")]:
        text = file.read_text("utf-8")
        if "@HERE@" in text:
            file.write_text(text.replace("@HERE@", str(root)), "utf-8")
    return root


@pytest.fixture
def expected(former: Path) -> Any:
    return json.loads((former / "expected.json").read_text("utf-8"))


def close(one: dict[str, float | None], other: dict[str, float | None]) -> bool:
    """Whether what the older version told is the same now; a later version may tell more."""
    return other.keys() <= one.keys() and all(one[k] == pytest.approx(other[k], abs=1e-5) for k in other)


def test_its_runs_are_listed_with_the_same_numbers(former: Path, expected: Any) -> None:
    rows = {row.name.split(" ")[0]: row for row in comparison.rows(former / "home")}
    for name in ("straight", "stopped", "pairs"):
        then, now = expected[name], rows[name].result
        assert now.status == then["status"]
        assert now.primary_metric == then["headline"]
        assert (now.base, now.adapted) == (then["base"], then["adapted"])
        assert now.difference[now.primary_metric].as_json() == then["difference"][then["headline"]]
        assert now.strength == then["strength"]
    assert not [run for run in Runs(former / "home").list() if run.summary().status == "damaged"]


def test_settings_under_former_names_are_read(former: Path, expected: Any) -> None:
    run = Runs(former / "home").open(expected["pairs"]["run"])
    assert run.settings.train.initialization == "pairs"
    assert run.record.settings["train.initialization"] == "pairs"
    started = next(event for event in run.events() if isinstance(event, events.Started))
    assert run.bad_lines == 0
    assert started.primary_metric == expected["pairs"]["headline"]


def test_a_stopped_run_goes_on_to_where_a_straight_one_came(former: Path, expected: Any) -> None:
    home = former / "home"
    resumed = drive(resume(home, expected["stopped"]["run"], Models(home), Control()))
    assert resumed.status == "done"
    assert resumed.steps == expected["straight"]["steps"]
    straight, gone_on = (
        safetensors.torch.load_file(
            Path(path) / "checkpoints" / f"{resumed.steps:08}" / "adapter.safetensors"
        )
        for path in (expected["straight"]["path"], resumed.path)
    )
    for name, tensor in straight.items():
        # Bit-equal on the machine that made it; processors round differently.
        torch.testing.assert_close(gone_on[name], tensor, atol=1e-5, rtol=1e-4)
    assert close(dict(resumed.adapted), expected["straight"]["adapted"])


def test_its_index_is_used_and_finds_the_same(former: Path, expected: Any) -> None:
    home, models = former / "home", Models(former / "home")
    reference = ModelRef(run=expected["pairs"]["run"])
    summary = drive(gallery.index(former / "drawings", reference, models, Control()))
    assert (summary.images, summary.embedded) == (48, 0)
    found = drive(search(former / "drawings", parse_query("a red ring"), reference, models, Control(), top=5))
    for side, hits in (("base", found.base), ("adapted", found.adapted or ())):
        assert [hit.path for hit in hits] == [hit["path"] for hit in expected["search"][side]]
        assert [hit.score for hit in hits] == pytest.approx(
            [hit["score"] for hit in expected["search"][side]], abs=1e-5
        )
    assert home.is_dir()


def test_its_unfinished_table_is_offered(former: Path, expected: Any) -> None:
    (offered,) = unfinished(former / "home")
    assert (offered.id, offered.total, offered.done) == (expected["grid"]["grid"], 2, 1)
    assert list(offered.grid.vary) == ["lora.r"]


def test_its_pack_is_taken_in(former: Path, expected: Any) -> None:
    home = former / "home"
    shutil.rmtree(home / "runs" / expected["pairs"]["run"])
    added = run_packs.add(former / "pairs.atelier-run", home)
    assert added.result is not None
    assert added.result.adapted == expected["pairs"]["adapted"]


def test_its_windows_draft_is_kept(former: Path) -> None:
    state = WindowState(former / "home")
    assert state.value("train.initialization") == "zero"
    assert state.value("lora.r") == 4
