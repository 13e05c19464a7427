"""No caption, name or pixel comes into a log or into the report of a problem."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.cli.main import main
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, PrivateFormatter, UserError, WorkError, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.parts import taught
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.search import ModelRef, parse_query, search
from clip_atelier.engine.training import Plan, train
from clip_atelier.engine.upkeep import problem_report, redacted

Quick = Callable[..., dict[str, Any]]
SECRET = "zanzibar"


@pytest.fixture
def logged() -> Any:
    """What the program's loggers write, as the window's file has it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrivateFormatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("clip_atelier")
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


def test_an_error_is_told_by_its_kind_and_place(logged: io.StringIO) -> None:
    log = logging.getLogger("clip_atelier.test")
    try:
        try:
            {}[f"a {SECRET}"]
        except KeyError as error:
            raise UserError(f"“{SECRET}” is no word.", "", "word") from error
    except UserError as error:
        log.error("teach failed", exc_info=error)
        log.info("%s: %s", "teach", error)
    log.warning("%s", WorkError("“/home/x/cache.sqlite” cannot be written: disk full."))
    text = logged.getvalue()
    assert SECRET not in text
    assert "KeyError" in text
    assert "UserError (word)" in text
    assert "test_privacy.py" in text
    assert "cache.sqlite” cannot be written: disk full." in text


def test_work_on_captions_logs_none_of_them(
    home: Path, tiny_collection: Path, quick: Quick, logged: io.StringIO
) -> None:
    table = tiny_collection / "metadata.csv"
    table.write_text(table.read_text().replace("circle\n", f"{SECRET}\n") + f"gone.png,{SECRET}\n")
    (tiny_collection / f"{SECRET}.png").write_bytes(b"no image")
    models = Models(home)
    result = drive(
        train(Plan(tiny_collection, settings.build(quick(train__epochs=1)), home), models, Control())
    )
    drive(search(tiny_collection, parse_query(SECRET), ModelRef(run=result.run), models, Control()))
    with pytest.raises(UserError):
        taught.forget(home, result.run, SECRET)
    (home / "cache" / "features.sqlite").write_bytes(b"damaged " * 999)
    drive(
        search(
            tiny_collection, parse_query(SECRET), ModelRef(run=result.run, strength=0.5), models, Control()
        )
    )
    assert SECRET not in logged.getvalue()


def test_a_report_holds_no_names(home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = Runs(home).create(f"{SECRET} study", settings.build({"lora.r": 7}), tmp_path / SECRET)
    (run.path / "run.json").write_text('{"schema": "one"}')
    Runs(home).create(
        SECRET, settings.build({"lora.r": 7, "model.name": f"/models/{SECRET}"}), tmp_path / SECRET
    )
    (home / "log").mkdir()
    (home / "log" / "window.log").write_text(
        f"2026-01-01 ERROR scan failed: “{tmp_path}/{SECRET}/red fox.png” cannot be read\n"
        f"no picture for (PosixPath('{tmp_path}/{SECRET}/a b.png'), 128)\n"
        f'  File "{os.sep}usr/lib/python3/site-packages/clip_atelier/gui/app.py", line 12, in main\n'
        f"at {Path.home()}/{SECRET} and /mnt/{SECRET}/x.webp\n",
        encoding="utf-8",
    )
    text = problem_report(home).text
    assert SECRET not in text
    assert "fox" not in text
    assert str(tmp_path) not in text
    for told in (
        "lora.r: 7",
        "1 damaged",
        "schema",
        "app.py",
        "line 12",
        ".png”",
        "torch",
        "model.name: (not the default)",
    ):
        assert told in text, told
    assert main(["problem", "--home", str(home)]) == 0
    assert capsys.readouterr().out.strip().splitlines()[0] == text.splitlines()[0]
    out = tmp_path / "report.txt"
    assert main(["problem", "--home", str(home), "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == text
    assert main(["problem", "--home", str(home), "--out", str(out)]) == 2


@pytest.mark.parametrize(
    "text",
    [
        f"C:\\Users\\someone\\{SECRET}\\x.png", f"/mnt/{SECRET}/x.png", f"“{SECRET}” is missing", f"'{SECRET} b.png'",
        f"runs/20260101-000000-{SECRET}/run.json", f"~/{SECRET}",
    ],
)  # fmt: skip
def test_names_are_taken_out(text: str) -> None:
    assert SECRET not in redacted(text, Path("/nowhere"))
