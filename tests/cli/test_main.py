from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.cli import main as program
from clip_atelier.cli.command import Command, Outcome
from clip_atelier.engine.core import Stopped, UserError, WorkError

HEAVY = ("torch", "transformers", "peft", "PySide6")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clip_atelier", *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def command_that(action: Callable[[], Any]) -> tuple[Command, ...]:
    def work(_args: Any, _session: Any) -> Outcome:
        return Outcome(action(), "text")

    return (Command("work", "does it", lambda _parser: None, work),)


def fail(error: BaseException) -> Callable[[], Any]:
    def action() -> None:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("There is no folder “x”.", "Check the path."), 2, "Check the path."),
        (WorkError("The memory is not enough.", "Use a smaller batch."), 1, "smaller batch"),
        (Stopped(), 130, "kept"),
        (KeyboardInterrupt(), 130, "kept"),
        (OSError(errno.ENOSPC, "No space left on device", "/a/path"), 1, "/a/path"),
        (PermissionError(errno.EACCES, "denied", "/a/path"), 1, "/a/path"),
        (ZeroDivisionError("division by zero"), 1, "--debug"),
        (MemoryError(), 1, "MemoryError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_ending_has_its_code_and_message_and_no_traceback(
    error: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(program, "COMMANDS", command_that(fail(error)))
    assert program.main(["work"]) == code
    shown = capsys.readouterr()
    assert words in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "COMMANDS", command_that(fail(ZeroDivisionError())))
    assert program.main(["work", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_error_is_one_json_document_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "COMMANDS", command_that(fail(UserError("bad", "do this", "lora.r"))))
    assert program.main(["--json", "work"]) == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "schema": 1,
        "error": {"message": "bad", "hint": "do this", "setting": "lora.r"},
    }
    assert "bad" in shown.err


def test_a_stop_is_a_json_document_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "COMMANDS", command_that(fail(Stopped())))
    assert program.main(["work", "--json"]) == 130
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "status": "stopped"}


def test_json_holds_what_cannot_be_encoded_or_is_not_finite(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        program, "COMMANDS", command_that(lambda: {"path": "\udcff.png", "loss": float("nan")})
    )
    assert program.main(["work", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "path": "\\xff.png", "loss": None}


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({"a": 1}, {"schema": 1, "a": 1}),
        ({"a": 1, "schema": 4}, {"a": 1, "schema": 4}),
        ([{"a": 1}, {"schema": 2}], [{"schema": 1, "a": 1}, {"schema": 2}]),
        ([], []),
    ],
)
def test_every_document_says_the_version_of_its_form(
    document: Any, shown: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "COMMANDS", command_that(lambda: document))
    assert program.main(["work", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == shown


def test_quiet_leaves_results_and_errors(
    tiny_collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny_collection / "broken.png").write_bytes(b"no image")
    assert program.main(["scan", str(tiny_collection)]) == 0
    told = capsys.readouterr()
    assert "broken.png" in told.err
    for quiet in ("-q", "--quiet"):
        assert program.main([quiet, "scan", str(tiny_collection)]) == 0
        shown = capsys.readouterr()
        assert shown.err == ""
        assert shown.out == told.out
    assert program.main(["scan", str(tmp_path / "nothing"), "-q"]) == 2
    assert "nothing" in capsys.readouterr().err


def test_no_stdout_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "COMMANDS", command_that(dict))
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert program.main(["work"]) == 0
    assert program.main(["work", "--json"]) == 0


def test_a_reader_that_went_away_is_no_traceback(tmp_path: Path) -> None:
    shell = f"{sys.executable} -m clip_atelier train --help | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_the_common_options_stand_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    homes = []

    def work(_args: Any, session: Any) -> Outcome:
        homes.append(session.home)
        return Outcome({}, "")

    monkeypatch.setattr(program, "COMMANDS", (Command("work", "does it", lambda _parser: None, work),))
    assert program.main(["--home", str(tmp_path), "work"]) == 0
    assert program.main(["work", "--home", str(tmp_path)]) == 0
    monkeypatch.setenv("CLIP_ATELIER_HOME", str(tmp_path))
    assert program.main(["work"]) == 0
    assert homes == [tmp_path] * 3


def test_an_unknown_word_is_named_with_the_nearest_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["trian"]) == 2
    shown = capsys.readouterr().err
    assert "trian" in shown
    assert "train" in shown.replace("trian", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["scan", "--data.views"],
        ["scan", "x", "--nonsense"],
        ["--language", "xx", "scan", "x"],
        ["runs", "fly"],
    ],
)
def test_wrong_arguments_are_wrong_input(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(arguments) == 2
    assert "usage:" not in capsys.readouterr().out


def test_help_and_scan_import_nothing_heavy(tiny_collection: Path, home: Path) -> None:
    check = (
        "import sys; from clip_atelier.cli.main import main; code = main(sys.argv[1:]);"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules];"
        "print(loaded, file=sys.stderr); sys.exit(code or bool(loaded))"
    )
    for arguments in (["--help"], ["train", "--help"], ["scan", str(tiny_collection)], ["runs"]):
        ended = subprocess.run(
            [sys.executable, "-c", check, *arguments], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, (arguments, ended.stderr)


def test_scan_tells_what_is_in_a_folder(tiny_collection: Path, home: Path) -> None:
    (tiny_collection / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    os.rename(os.fsencode(tiny_collection / "red-circle.png"), os.fsencode(tiny_collection) + b"/\xff.png")
    ended = run("scan", str(tiny_collection), "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["images"] == 24
    assert found["captions"] >= 23
    assert [problem["path"] for problem in found["problems"] if problem["path"] == "broken.png"]
    assert found["caption_source"] in ("metadata", "mixed")
    people = run("scan", str(tiny_collection), "--language", "ko")
    assert people.returncode == 0
    assert "broken.png" in people.stdout


def test_no_display_and_a_folder_names_the_train_command(tiny_collection: Path, home: Path) -> None:
    environment = dict.fromkeys(("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"), "")
    ended = run(str(tiny_collection), **environment)
    assert ended.returncode == 2
    assert "clip-atelier train" in ended.stderr


def test_an_unreadable_home_is_wrong_before_any_work(tiny_collection: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    ended = run("train", str(tiny_collection), "--home", str(taken))
    assert ended.returncode in (1, 2)
    assert "taken" in ended.stderr
    assert "Traceback" not in ended.stderr
