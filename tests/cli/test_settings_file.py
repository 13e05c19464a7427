from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.cli.settings_file import stored
from clip_atelier.engine import settings
from clip_atelier.engine.core import UserError
from clip_atelier.engine.runs import Runs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coming-from.md"


def given(home: Path, **named: Any) -> dict[str, Any]:
    none = {"settings": None, "from_run": None, "preset": None, "base": None}
    return stored(argparse.Namespace(**(none | named)), home)


def test_the_file_that_the_documentation_shows(tmp_path: Path) -> None:
    told = re.search(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert told is not None
    (tmp_path / "my.toml").write_text(told[1])
    chosen = settings.build(given(tmp_path, settings=tmp_path / "my.toml"))
    assert (chosen.lora.r, chosen.train.steps) == (16, 400)
    assert chosen.lora.target_modules == ("q_proj", "v_proj")


def test_a_run_and_its_file_give_the_same_settings_and_a_file_comes_before_a_run(tmp_path: Path) -> None:
    asked = settings.build({"lora.r": 4, "train.steps": 7, "data.views": 3}, "projection")
    run = Runs(tmp_path).create("mine", asked, tmp_path)
    assert settings.build(given(tmp_path, from_run=run.id)) == asked
    assert settings.build(given(tmp_path, settings=run.path / "run.json")) == asked
    (tmp_path / "more.json").write_text('{"lora.r": 2}')
    both = settings.build(given(tmp_path, from_run=run.id, settings=tmp_path / "more.json"))
    assert (both.lora.r, both.train.steps) == (2, 7)
    with pytest.raises(UserError, match="exclude each other"):
        given(tmp_path, from_run=run.id, preset="attention")


@pytest.mark.parametrize(
    ("name", "text"), [("bad.json", "["), ("bad.toml", "= 3"), ("list.json", "[1]"), ("gone.toml", None)]
)
def test_a_file_that_holds_no_settings_is_named(name: str, text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=name):
        given(tmp_path, settings=tmp_path / name)


def test_an_unknown_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"lora": {"rank": 3}}')
    with pytest.raises(UserError, match=r"lora\.rank"):
        settings.build(given(tmp_path, settings=tmp_path / "odd.json"))
