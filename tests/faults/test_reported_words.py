"""What people report of words: an emoji alone, words that no model knows, texts too long, results of a handful of drawings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clip_atelier.cli import report
from clip_atelier.cli.main import main
from clip_atelier.engine.core import Control, Notice, drive, paths
from clip_atelier.engine.evaluation import TOO_FEW, significance
from clip_atelier.engine.models import STARTER, Model, Models
from clip_atelier.engine.runs import TrainResult
from clip_atelier.engine.search import parse_query
from clip_atelier.engine.search.wording import emoji_name, readable
from clip_atelier.engine.settings import HardwareSettings, build
from clip_atelier.engine.training import Plan, train

CPU = HardwareSettings(device="cpu", threads=1)
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Models(tmp_path_factory.mktemp("home")).open(STARTER, CPU)


@pytest.mark.parametrize(("text", "name"), [
    ("🦊", "fox face"), (" 🦊 ", "fox face"), ("🦊🌨️", "fox face cloud with snow"), ("❤️", "heavy black heart"),
    ("👩🏽‍🎨", "woman artist palette"), ("🇰🇷", "flag KR"), ("a 🦊", ""), ("fox", ""), ("여우", ""), ("©", ""), ("", ""), ("1+1", ""),
])  # fmt: skip
def test_emoji_have_names(text: str, name: str) -> None:
    assert emoji_name(text) == name


def test_an_emoji_alone_is_searched_for_by_its_name_and_said(starter: Model) -> None:
    query, remarks = readable(parse_query("🦊"), starter)
    assert query.texts == ["fox face"]
    assert remarks == ("“🦊” is searched for by its name: fox face.",)
    query, remarks = readable(parse_query("a 🦊 in snow - 🐟"), starter)
    assert query.texts == ["a fox face in snow", "fish"]
    assert [term.weight for term in query.terms] == [1.0, -1.0]
    assert len(remarks) == 2
    assert readable(parse_query("🦊"), starter, ["🦊"])[0].texts == ["🦊"]  # a word of the user's own


def test_an_emoji_finds_what_its_name_finds(call: Call, tmp_path: Path) -> None:
    names = ("fox", "airplane", "alarm-clock", "anchor", "banana", "bicycle", "axe", "balloon")
    artworks = {p.stem: p for p in (paths.sample_collection() / "artworks").iterdir()}
    for name in names:
        if name in artworks:
            Image.open(artworks[name]).convert("RGBA").save(tmp_path / f"{name}.png")
    found = call("search", tmp_path, "--text", "✈")
    assert found["remarks"] == ["“✈” is searched for by its name: airplane."]
    assert found["base"][0]["path"] == "airplane.png"
    assert found["base"] == call("search", tmp_path, "--text", "airplane")["base"]
    assert "remarks" not in call("search", tmp_path, "--text", "airplane")


@pytest.mark.parametrize(("text", "unknown"), [
    ("a fox in the snow", ()), ("여우와 눈", ()), ("Ж", ("Ж",)), ("fox 猫", ("猫",)), ("qzxvj", ("qzxvj",)), ("a b c", ()), ("3d", ()),
])  # fmt: skip
def test_words_that_the_model_does_not_know_are_said_to_be_unknown(
    starter: Model, text: str, unknown: tuple[str, ...]
) -> None:
    query, remarks = readable(parse_query(text), starter)
    assert query.texts == [text]
    assert starter.readings([text])[0].unknown == unknown
    assert bool(remarks) == bool(unknown)
    assert all(word in remarks[0] for word in unknown)


def test_a_query_that_is_too_long_is_cut_and_it_is_said_where(starter: Model) -> None:
    words = " ".join(["a red fox"] * 20)
    (remark,) = readable(parse_query(words), starter)[1]
    reading = starter.readings([words])[0]
    assert starter.readings([reading.read])[0].left_out == ()
    assert len(reading.read.split()) + len(reading.left_out) == 60
    assert (
        remark
        == f"Longer than the model reads: it ends after “… {' '.join(reading.read.split()[-3:])}”; words left out: {len(reading.left_out)}."
    )
    # What is said to be read is what is read.
    whole, part = (starter.text(starter.tokens([text])).detach().numpy() for text in (words, reading.read))
    assert np.allclose(whole, part, atol=1e-5)


def test_captions_that_are_too_long_are_told_when_training_begins(
    tiny_collection: Path, home: Path, quick: Call
) -> None:
    table = tiny_collection / "metadata.csv"
    table.write_text(table.read_text().replace("a blue ring", "a blue ring " * 60 + "the end"))
    told: list[str] = []
    settings = build(quick(train__epochs=1))
    drive(
        train(Plan(tiny_collection, settings, home), Models(home), Control()),
        lambda event: told.append(event.text) if isinstance(event, Notice) else None,
    )
    (notice,) = [text for text in told if text.startswith("Captions longer")]
    assert "never sees: 1." in notice
    assert "blue-ring.png" in notice


def test_a_handful_of_drawings_is_too_few_to_measure() -> None:
    perfect, none = {"mAP": np.ones(5)}, {"mAP": np.zeros(5)}
    few = significance.question(none, perfect, np.arange(5), 5)
    assert (few.verdict, few.difference["mAP"].low, few.difference["mAP"].value) == (TOO_FEW, None, 1.0)
    enough = significance.question({"mAP": np.zeros(6)}, {"mAP": np.ones(6)}, np.arange(6), 6)
    assert enough.verdict == "gain"
    # Queries that belong together are one.
    assert (
        significance.question({"mAP": np.zeros(9)}, {"mAP": np.ones(9)}, np.arange(9) // 2, 9).verdict
        == TOO_FEW
    )


def test_a_folder_of_nine_shows_no_table_of_certainties(
    tiny_collection: Path, home: Path, quick: Call, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in sorted(tiny_collection.glob("*.png"))[9:]:
        file.unlink()
    settings = build(quick(train__epochs=1, train__batch_size=4))
    result = drive(train(Plan(tiny_collection, settings, home), Models(home), Control()))
    assert isinstance(result, TrainResult)
    assert result.verdict == TOO_FEW
    assert all(gap.low is None and gap.high is None for gap in result.difference.values())
    shown = report.run(result)
    assert "Too few drawings to measure: add drawings, or look at the results by eye." in shown
    assert "R@10" not in shown
    assert call("runs", "show", result.run)["verdict"] == TOO_FEW
    assert main(["runs", "show", result.run, "--home", str(home), "--language", "en"]) == 0
    assert "look at the results by eye" in capsys.readouterr().out
