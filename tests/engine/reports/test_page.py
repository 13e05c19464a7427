from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clip_atelier.cli.main import main
from clip_atelier.engine import settings, training
from clip_atelier.engine.core import Control, UserError, WorkError, drive, i18n, signed, write_document
from clip_atelier.engine.evaluation import METRICS, comparison
from clip_atelier.engine.models import Models
from clip_atelier.engine.reports import page, plots
from clip_atelier.engine.runs import RunFolder, Runs, TrainResult

ODD = '<img src=x onerror=alert(1)> & "quoted" \'=1+1'


@pytest.fixture(scope="module")
def trained(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A home with two real runs of a folder, one with a name that is nearly code."""
    folder, home = tmp_path_factory.mktemp("drawings"), tmp_path_factory.mktemp("home")
    for index in range(32):
        colour = ("red", "blue", "green", "gray")[index % 4]
        (folder / colour).mkdir(exist_ok=True)
        image = Image.effect_noise((40, 40), 30 + index).convert("RGB")
        image.paste(colour, (index % 8, 4, 30, 36))
        image.save(folder / colour / f"{index}.png")
    for name, r in ((ODD, 2), ("second", 4)):
        chosen = settings.build(
            {
                "model.name": str(tiny_clip), "lora.r": r, "train.epochs": 1, "train.batch_size": 8, "train.checks": 2,
                "hardware.device": "cpu", "hardware.threads": 1, "data.validation": 0.25, "data.test": 0.25,
            }
        )  # fmt: skip
        drive(training.train(training.Plan(folder, chosen, home, name), Models(home), Control()))
    return Runs(home)


class Reader(HTMLParser):
    """What a browser would see: the elements, their attributes, and the words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def written(runs: list[RunFolder], out: Path, **more: Any) -> str:
    result = drive(page.report(runs, out, **more)).as_json()
    assert result["path"] == str(out)
    assert result["runs"] == [run.id for run in runs]
    return out.read_text(encoding="utf-8")


def test_the_page_says_what_was_done_and_how_it_was_measured(trained: Runs, tmp_path: Path) -> None:
    runs = trained.list()
    page = written(runs, tmp_path / "new folder" / "report.html")
    seen = Reader(page)
    rows = [comparison.row(run) for run in runs]
    key = rows[0].primary_metric
    for row in rows:
        assert f"{row.value(key):.3f}" in seen.text
        assert comparison.spoken(row.difference(key), key) in seen.text
        assert row.run in seen.text
    assert rows[0].collection in seen.text
    assert rows[0].model.fingerprint in seen.text
    assert f"torch {rows[0].versions['torch']}" in seen.text
    split = rows[0].result.split
    assert f"{split.train} images were trained on" in seen.text
    assert str(split.test) in seen.text
    for name in {one.rpartition("/")[2] for one in rows[0].result.base}:
        assert METRICS[name].explanation in seen.text
    for name in settings.DECLARED:
        assert (
            name in seen.text or name == "lora.r"
        )  # the one that differs stands in the table, under its short name


@pytest.mark.fault(25)
def test_the_page_stands_alone_and_takes_names_literally(trained: Runs, tmp_path: Path) -> None:
    page = written(trained.list(), tmp_path / "report.html")
    seen = Reader(page)
    assert ODD in seen.text
    tags = {tag for tag, _attributes in seen.elements}
    assert not tags & {"script", "img", "link", "iframe", "object", "base", "form"}
    for _tag, attributes in seen.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert not {"src", "href", "srcset"} & set(attributes)
    assert "url(" not in page
    assert "@import" not in page
    # A report is handed on: nothing in it tells where things lie on this machine.
    assert str(trained.folder) not in page
    assert str(tmp_path) not in page


def test_each_plot_is_well_formed_and_inside_its_frame(trained: Runs, tmp_path: Path) -> None:
    page = written(trained.list(), tmp_path / "report.html")
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 2
    for plot in plots:
        tree = ET.fromstring(plot)
        _x, _y, width, height = map(float, tree.attrib["viewBox"].split())
        for part in tree.iter():
            for name, value in part.attrib.items():
                if name in ("x", "x1", "x2", "cx"):
                    assert -1 <= float(value) <= width
                if name in ("y1", "y2", "cy"):
                    assert -1 <= float(value) <= height


def test_the_page_is_written_in_the_current_language(trained: Runs, tmp_path: Path) -> None:
    i18n.set_language("ko")
    page = written(trained.list(), tmp_path / "report.html")
    assert '<html lang="ko">' in page
    assert len(re.findall(r"[가-힣]", Reader(page).text)) > 200


def test_one_run_alone_and_another_measure(trained: Runs, tmp_path: Path) -> None:
    (run, _other) = trained.list()
    key = next(iter(comparison.row(run).result.base)).rpartition("/")[0] + "/median_rank"
    result = drive(page.report([run], tmp_path / "one.htm", key)).as_json()
    assert result["measure"] == key
    seen = Reader((tmp_path / "one.htm").read_text(encoding="utf-8"))
    assert comparison.spoken(comparison.row(run).difference(key), key) in seen.text
    assert "The trainings, judged by" not in seen.text


def test_a_run_that_was_never_compared_is_told_as_such(home: Path, tmp_path: Path) -> None:
    run = Runs(home).create("begun", settings.build({}), tmp_path)
    page = written([run], tmp_path / "report.html")
    assert "did not come to its end" in Reader(page).text


def test_wrong_requests_are_refused_with_the_way_out(trained: Runs, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.html"):
        drive(page.report(trained.list(), tmp_path / "report.pdf"))
    with pytest.raises(UserError, match="no training"):
        drive(page.report([], tmp_path / "report.html"))
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="cannot be written"):
        drive(page.report(trained.list(), tmp_path / "file" / "report.html"))


def test_the_command_reports_on_all_runs_or_on_named_ones(
    trained: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(trained.folder.parent)
    out = tmp_path / "report.html"
    assert main(["report", "--home", home, "--out", str(out)]) == 0
    assert "All measures of" in out.read_text(encoding="utf-8")
    assert str(out) in capsys.readouterr().out
    assert main(["report", "second", "--home", home, "--out", str(out)]) == 0
    assert ODD not in Reader(out.read_text(encoding="utf-8")).text
    assert main(["report", "no such run", "--home", home, "--out", str(out)]) == 2
    assert main(["report", "--home", home, "--out", str(out), "--measure", "luck"]) == 2
    assert "luck" in capsys.readouterr().err
    assert main(["report", "--home", str(tmp_path / "empty"), "--out", str(out)]) == 2


@given(st.floats(-100, 100), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_are_round_evenly_spaced_and_inside(start: float, span: float, count: int) -> None:
    low, high = start * span, start * span + span
    found = plots.ticks(low, high, count)
    assert len(found) <= count + 1
    assert all(low - span * 1e-6 <= tick <= high + span * 1e-6 for tick in found)
    assert len({round((b - a) / span, 5) for a, b in pairwise(found)}) <= 1


@given(st.text(max_size=60))
def test_any_text_can_stand_in_a_plot(words: str) -> None:
    bar = plots.Bar(words, 0.1, 0.05, 0.15, mark=words)
    tree = ET.fromstring(plots.intervals([bar], words))
    assert tree.tag.endswith("svg")


def test_a_difference_is_never_a_negative_zero() -> None:
    assert signed(-0.0004, "a/R@1") == "0.000"
    assert signed(-0.0006, "a/R@1") == "-0.001"
    assert signed(0.25, "a/R@1") == "+0.250"
    assert signed(-0.04, "a/median_rank") == "0.0"
    assert signed(float("nan"), "a/R@1") == "–"


def test_a_run_measured_by_folds_says_each_question_and_what_each_part_does(
    tmp_path: Path, tiny_pairs: Path
) -> None:
    run = Runs(tmp_path / "home").create("by folds", settings.build({}, "auto"), tiny_pairs)
    change = {"value": 0.2, "low": 0.1, "high": 0.3}
    numbers = {"base": {"R@1": 0.2, "mAP": 0.3}, "adapted": {"R@1": 0.4, "mAP": 0.5}}
    asked = "text_to_image"
    result = TrainResult.model_validate(
        {
            "run": run.id, "status": "done", "measured_on": "folds", "folds": 5, "primary_metric": f"{asked}/R@1",
            "base": {f"{asked}/R@1": 0.2}, "adapted": {f"{asked}/R@1": 0.4}, "difference": {f"{asked}/R@1": change},
            "questions": {
                asked: {"queries": 100, **numbers, "difference": {"R@1": change, "mAP": change}, "verdict": "gain"}
            },
            "parts": [
                {"name": "hub_correction", "question": asked, "gain": change, "kept": True},
                {"name": "mean_removal", "question": asked, "gain": {"value": 0.0, "low": -0.1, "high": 0.1}},
                {"name": "mean_removal", "question": "image_to_text", "gain": change},
            ],
            "skipped": [f"Less of {ODD}."], "summary": "Words → image: hub correction.",
        }
    )  # fmt: skip
    write_document(run.path / "evaluation.json", result)
    html = written([run], tmp_path / "report.html")
    seen = Reader(html).text
    for words in (
        "Questions", "0.300 →", "+0.200 (+0.100 … +0.300)", "helped", "Words → image: hub correction.", f"Less of {ODD}.",
        "What each part does", "hub correction", "kept", "Measured by 5 folds",
    ):  # fmt: skip
        assert words in seen, words
    assert html.count('class="mark">kept') == 1
