"""Runs are named, noted, tagged, archived and compared; what was written of them when they ran stays as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.runs import RunRecord, Runs, label_of, relabel
from clip_atelier.engine.settings import PRESETS
from clip_atelier.engine.upkeep import verify

Call = Callable[..., Any]


@pytest.fixture
def two(home: Path, tmp_path: Path) -> list[str]:
    runs = Runs(home)
    return [
        runs.create("attention", settings.build({"lora.r": r, "train.seed": 3}), tmp_path).id for r in (4, 16)
    ]


def test_the_list_names_a_model_as_such_and_after_what_is_varied(
    home: Path, tmp_path: Path, said: Callable[..., str]
) -> None:
    chosen = settings.build({"model.name": "mine", "lora.r": 4, "lora.lora_dropout": 0.2})
    Runs(home).create("", chosen, tmp_path)
    line = said("runs").splitlines()[-1]
    assert line.endswith("r=4 lora_alpha=16 target_modules=q_proj+v_proj model.name=mine lora_dropout=0.2")


def test_the_list_names_the_nearest_preset_and_what_is_not_as_it_has_it(
    home: Path, tmp_path: Path, said: Callable[..., str]
) -> None:
    chosen = dict(PRESETS["projection"].values) | {"train.steps": 20, "train.seed": 3}
    Runs(home).create("", settings.build(chosen), tmp_path)
    line = said("runs").splitlines()[-1]
    assert line.endswith(
        "  projection r=8 lora_alpha=32 target_modules=visual_projection train.steps=20 train.seed=3"
    )


def digest(home: Path, run: str) -> str:
    return hashlib.sha256((home / "runs" / run / "run.json").read_bytes()).hexdigest()


def test_a_run_is_named_noted_and_tagged_beside_its_record(call: Call, home: Path, two: list[str]) -> None:
    before = digest(home, two[0])
    assert call("runs", "rename", two[0], "  Ink, first try ")["name"] == "Ink, first try"
    assert call("runs", "note", "Ink, first try", "잉크가 더 진하게")["note"] == "잉크가 더 진하게"
    document = call("runs", "tag", two[0], "green")
    assert document == {
        "run": two[0], "schema": 1, "name": "Ink, first try", "note": "잉크가 더 진하게", "tag": "green",
        "archived": False,
    }  # fmt: skip
    assert digest(home, two[0]) == before
    listed = {row["run"]: row for row in call("runs")}
    assert (listed[two[0]]["name"], listed[two[0]]["tag"]) == ("Ink, first try", "green")
    assert listed[two[1]]["name"] == "attention"
    call("runs", "rename", two[0], "")
    assert call("runs", "show", two[0])["name"] == "attention"
    assert "no colour" in call("runs", "tag", two[0], "mauve", code=2)["error"]["message"]
    assert "longer" in call("runs", "note", two[0], "x" * 4001, code=2)["error"]["message"]
    assert label_of(home / "runs" / two[0]).note == "잉크가 더 진하게"


def test_an_older_version_opens_a_labelled_run(home: Path, two: list[str]) -> None:
    folder = home / "runs" / two[0]
    relabel(folder, name="Ink", tag="red")
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert record["name"] == "attention"  # all that it reads
    assert not {"tag", "note", "label"} & set(RunRecord.model_fields)


def test_archived_runs_are_left_out_of_the_list(call: Call, two: list[str]) -> None:
    assert call("runs", "archive", two[0])["archived"] is True
    assert [row["run"] for row in call("runs")] == [two[1]]
    assert [row["run"] for row in call("runs", "list", "--archived")] == two
    call("runs", "archive", two[1])
    assert call("runs") == []
    call("runs", "unarchive", two[0])
    assert [row["run"] for row in call("runs", "list")] == [two[0]]


def test_the_difference_of_two_runs(call: Call, two: list[str]) -> None:
    found = call("runs", "diff", *two)
    assert found["settings"] == [{"setting": "lora.r", "first": "4", "second": "16"}]
    assert found["same_collection"] is None  # neither has begun
    assert call("runs", "diff", two[0], two[0])["settings"] == []


def test_a_damaged_label_harms_only_itself(call: Call, home: Path, two: list[str]) -> None:
    folder = home / "runs" / two[0]
    relabel(folder, name="Ink")
    (folder / "label.json").write_text('{"name": 7', encoding="utf-8")
    assert [row["name"] for row in call("runs")] == ["attention", "attention"]
    found = drive(verify(home, Control()))
    assert [Path(one.path).name for one in found.findings] == ["label.json"]
