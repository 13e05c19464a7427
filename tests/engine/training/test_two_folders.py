"""A collection of two folders through the whole program: trained, stopped, moved, packed, searched and exported as code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import tiny
from clip_atelier.cli.main import main
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Event, Step, UserError, drive
from clip_atelier.engine.data import add_folder, locate_folder, new_collection
from clip_atelier.engine.models import Models
from clip_atelier.engine.parts import run_evaluation
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import Runs, run_packs
from clip_atelier.engine.search import ModelRef, parse_query, search
from clip_atelier.engine.training import Plan, resume, train


@dataclass
class Made:
    home: Path
    root: Path
    other: Path
    straight: str
    stopped: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Made:
    """Twelve drawings in each of two folders, under the same names; a run to its end, and one stopped at its second step."""
    place = tmp_path_factory.mktemp("two folders")
    whole = tiny.collection(place / "whole")
    root, other = place / "스케치북", place / "Dropbox" / "scans"
    for folder in (root, other):
        folder.mkdir(parents=True)
    for colour, folder in (("red", root), ("green", root), ("blue", other), ("orange", other)):
        for shape in tiny.SHAPES:
            name = f"{shape} {'1' if colour in ('red', 'blue') else '2'}"
            shutil.copy(whole / f"{colour}-{shape}.png", folder / f"{name}.png")
            (folder / f"{name}.txt").write_text(f"a {colour} {shape}", encoding="utf-8")
    add_folder(root, other)
    home = place / "home"
    chosen = settings.build(tiny.quick(tiny_clip))
    models = Models(home)
    straight = drive(train(Plan(root, chosen, home), models, Control()))
    control = Control()

    def stop_at_two(event: Event) -> None:
        if isinstance(event, Step) and event.step == 2:
            control.stop()

    stopped = drive(train(Plan(root, chosen, home), models, control), stop_at_two)
    assert (straight.status, stopped.status) == ("done", "stopped")
    return Made(home, root, other, straight.run, stopped.run)


@pytest.fixture
def moved(made: Made) -> Iterator[Path]:
    """The further folder under another name; where it was, there is nothing."""
    away = made.other.with_name("away")
    made.other.rename(away)
    yield away
    away.rename(made.other)
    locate_folder(made.root, "scans", made.other)


def test_both_folders_are_learned_from(made: Made) -> None:
    data = Runs(made.home).open(made.straight).record.data
    assert data is not None
    assert data.images == 24


@pytest.mark.fault(61)
def test_a_run_is_not_resumed_on_half_of_its_drawings_and_goes_on_exactly_when_they_are_back(
    made: Made, moved: Path
) -> None:
    with pytest.raises(UserError, match=r"not there: scans\.") as error:
        drive(resume(made.home, made.stopped, Models(made.home), Control()))
    assert "resume" in error.value.hint
    locate_folder(made.root, "scans", moved)
    resumed = drive(resume(made.home, made.stopped, Models(made.home), Control()))
    straight = Runs(made.home).open(made.straight).summary().result
    assert straight is not None
    assert resumed.adapted == straight.adapted, "resumed bit for bit, whatever the folder is called by then"


def test_a_run_is_not_measured_on_what_it_learned_from_while_a_folder_is_missing(
    made: Made, moved: Path
) -> None:
    with pytest.raises(UserError, match=r"not there: scans\."):
        drive(run_evaluation.evaluate(made.home, made.straight, made.root, Models(made.home), Control()))
    locate_folder(made.root, "scans", moved)
    again = drive(run_evaluation.evaluate(made.home, made.straight, made.root, Models(made.home), Control()))
    straight = Runs(made.home).open(made.straight).summary().result
    assert straight is not None
    assert again.adapted == straight.adapted


def test_the_exported_code_finds_the_drawings_of_both(made: Made, tmp_path: Path) -> None:
    run = Runs(made.home).open(made.straight)
    drive(export(run, "code", tmp_path / "run.py", Models(made.home), Control()))
    drawings = json.loads((tmp_path / "run.json").read_text("utf-8"))["drawings"]
    files = {Path(one["file"]) for one in drawings}
    assert {file.parent for file in files} == {made.root, made.other}
    assert all(file.is_file() for file in files)


def test_a_packed_run_searches_both_in_another_home(made: Made, tmp_path: Path) -> None:
    pack = tmp_path / "run.cliprun"
    run_packs.make(Runs(made.home).open(made.straight), pack)
    there = run_packs.add(pack, tmp_path / "home")
    found = drive(
        search(
            made.root, parse_query("a blue circle", []), ModelRef(run=there.id), Models(tmp_path / "home"),
            Control(), 24,
        )
    )  # fmt: skip
    assert found.adapted is not None
    for side in (found.base, found.adapted):
        assert sum(hit.path.startswith("scans/") for hit in side) == 12


def test_the_commands_tell_the_same(made: Made, moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answered(*words: object) -> dict[str, object]:
        assert main([*map(str, words), "--home", str(made.home), "--json"]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    listed = answered("folders", "list", made.root)
    assert listed["folders"] == [{"name": "scans", "folder": str(made.other), "there": False}]
    told = answered("folders", "locate", made.root, "scans", moved)
    assert told["folders"] == [{"name": "scans", "folder": str(moved), "there": True}]
    assert answered("folders", "remove", made.root, "SCANS")["folders"] == []
    assert answered("scan", made.root)["images"] == 12
    answered("folders", "add", made.root, moved, "--name", "scans")
    assert answered("scan", made.root)["images"] == 24
    assert main(["folders", "add", str(made.root), str(moved), "--home", str(made.home)]) == 2
    assert "in the collection already" in capsys.readouterr().err


def test_a_run_on_two_folders_is_the_run_on_one_folder_with_the_same_drawings(
    tmp_path: Path, tiny_clip: Path
) -> None:
    whole = tiny.pairs(tmp_path / "whole")
    places = tmp_path / "디스크 1" / "sketches", tmp_path / "disk two" / "artworks"
    for place in places:
        shutil.copytree(whole / place.name, place)
    home = tmp_path / "home"
    chosen = settings.build(tiny.quick(tiny_clip))
    both = new_collection(home, "여우 책", places)
    kept = []
    for folder in (whole, both):
        result = drive(train(Plan(folder, chosen, home), Models(home), Control()))
        run = Runs(home).open(result.run)
        assert run.record.data is not None
        learned = load_file(run.path / "adapter" / "adapter_model.safetensors")
        kept.append((run.record.data, {name: matrix.tobytes() for name, matrix in learned.items()}))
    (data, weights), (data_of_both, weights_of_both) = kept
    assert data_of_both == data
    assert weights_of_both == weights
