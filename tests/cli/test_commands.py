"""Every command on real files with a real tiny model, as a user types it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.cli.main import main
from clip_atelier.engine.runs import Runs

Call = Callable[..., Any]


def tiny(model: Path, **changes: object) -> list[str]:
    """Flags for a run of a few steps."""
    values = {
        "model.name": model, "train.epochs": 2, "train.batch_size": 8, "train.checks": 2, "train.learning_rate": 1e-3,
        "hardware.device": "cpu", "hardware.threads": 1, "data.validation": 0.25, "data.test": 0.25,
    } | {name.replace("__", "."): value for name, value in changes.items()}  # fmt: skip
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def trained(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A home with one finished run, the folder it was trained on, and the run's name."""
    from PIL import Image

    folder, home = tmp_path_factory.mktemp("drawings"), tmp_path_factory.mktemp("home")
    for index in range(32):
        colour = ("red", "blue", "green", "gray")[index % 4]
        (folder / colour).mkdir(exist_ok=True)
        image = Image.effect_noise((40, 40), 30 + index).convert("RGB")
        image.paste(colour, (index % 8, 4, 30, 36))
        image.save(folder / colour / f"{index}.png")
    flags = tiny(
        tiny_clip, train__choose_strength="false", train__epochs=6
    )  # of two, the base may stay the best
    assert main(["train", str(folder), "--name", "첫 실행", "--home", str(home), "--json", *flags]) == 0
    return home, folder, Runs(home).list()[0].id


def test_train_reports_what_the_contract_promises(
    call: Call, tiny_pairs: Path, tiny_clip: Path, home: Path
) -> None:
    result = call("train", tiny_pairs, "--preset", "projection", "--lora.r", 4, *tiny(tiny_clip))
    assert result.keys() >= {
        "run", "path", "status", "steps", "seconds", "trainable_parameters", "base", "adapted", "difference", "verdict",
    }  # fmt: skip
    assert result["status"] == "done"
    assert Path(result["path"]) == home / "runs" / result["run"]
    assert "sketch_to_artwork/R@1" in result["base"]
    assert result["base"].keys() == result["adapted"].keys() == result["difference"].keys()
    assert result["difference"]["sketch_to_artwork/R@1"].keys() >= {"value", "low", "high"}
    chosen = Runs(home).open(result["run"]).settings
    assert chosen.lora.target_modules == ("visual_projection",)
    assert chosen.lora.r == 4


@pytest.mark.parametrize("language", ["en", "ko"])
def test_train_shows_people_a_table_and_a_verdict(
    said: Call, tiny_pairs: Path, tiny_clip: Path, home: Path, language: str
) -> None:
    shown = said("train", tiny_pairs, "--language", language, *tiny(tiny_clip))
    assert "sketch_to_artwork/R@1" in shown
    assert {"en": "Verdict: ", "ko": "판정: "}[language] in shown


def test_runs_lists_shows_and_deletes(
    call: Call, said: Call, tiny_pairs: Path, tiny_clip: Path, home: Path
) -> None:
    assert call("runs") == []
    run = call("train", tiny_pairs, "--name", "my <b>run</b>", *tiny(tiny_clip))["run"]
    (row,) = call("runs")
    assert row["run"] == run
    assert row["status"] == "done"
    assert row["settings"]["lora.r"] == 8
    assert row["base"].keys() == row["adapted"].keys()
    assert "my <b>run</b>" in said("runs")
    shown = call("runs", "show", run)
    assert shown["run"] == run
    assert shown["settings"]["model.name"] == str(tiny_clip)
    assert "lora.target_modules" in said("runs", "show", run)
    assert call("runs", "delete", run)["deleted"] == run
    assert call("runs") == []
    assert "error" in call("runs", "show", run, code=2)


def test_evaluate_measures_on_another_collection(
    trained: tuple[Path, Path, str], call: Call, tiny_collection: Path
) -> None:
    home, _folder, run = trained
    result = call("evaluate", run, tiny_collection, "--home", home)
    assert "text_to_image/R@1" in result["base"]
    assert result["difference"]["text_to_image/R@1"]["value"] == pytest.approx(
        result["adapted"]["text_to_image/R@1"] - result["base"]["text_to_image/R@1"]
    )
    untouched = call("evaluate", run, tiny_collection, "--home", home, "--strength", 0)
    assert untouched["adapted"] == untouched["base"] == result["base"]
    call("evaluate", run, tiny_collection, "--home", home, "--strength", 9, code=2)


def test_teach_gives_drawings_a_word_lists_renames_and_forgets_it(
    trained: tuple[Path, Path, str], call: Call, said: Call, tmp_path: Path
) -> None:
    home, folder, run = trained
    reds = sorted((folder / "red").glob("*.png"))[:4]
    told = call("teach", run, "--word", "미라", *reds[:2], "--home", home)
    assert told["schema"] == 1
    assert told["run"] == run
    assert told["words"] == [
        {"word": "미라", "drawings": [str(p) for p in reds[:2]], "found": None, "sure": "too few"}
    ]
    (word,) = call("teach", run, "--word", "미라", *reds[2:], "--home", home)["words"]
    assert len(word["drawings"]) == 4
    assert 0 <= word["found"] <= 4
    assert word["sure"] in ("yes", "unsure")
    assert call("teach", run, "--list", "--home", home)["words"] == [word]
    assert "미라" in said("teach", run, "--home", home)
    assert call("teach", run, "--rename", "미라", "Mira", "--home", home)["words"] == [
        word | {"word": "Mira"}
    ]
    (tmp_path / "no.png").write_text("no picture")
    for wrong, named in (
        (("nothing", "--list"), "nothing"), ((run, "--word", "Mira", tmp_path / "no.png"), "no.png"),
        ((run, "--forget", "Nobody"), "Nobody"), ((run, "--rename", "Nobody", "A"), "Nobody"),
        ((run, "--word", " ", reds[0]), "empty"), ((run, "--word", "Mira"), "Mira"), ((run, "--word", reds[0]), "file"),
    ):  # fmt: skip
        error = call("teach", *wrong, "--home", home, code=2)["error"]
        assert named in str(error)
    assert call("teach", run, "--forget", "mira", "--home", home)["words"] == []
    assert "no word yet" in said("teach", run, "--home", home)


def test_index_embeds_only_what_changed(
    trained: tuple[Path, Path, str], call: Call, tiny_collection: Path
) -> None:
    home, _folder, run = trained
    first = call("index", tiny_collection, "--run", run, "--home", home)
    assert (first["images"], first["embedded"], first["reused"], first["skipped"]) == (24, 24, 0, 0)
    again = call("index", tiny_collection, "--run", run, "--home", home)
    assert (again["embedded"], again["reused"]) == (0, 24)
    (tiny_collection / "red-circle.png").write_bytes((tiny_collection / "red-ring.png").read_bytes() + b" ")
    changed = call("index", tiny_collection, "--run", run, "--home", home)
    assert (changed["embedded"], changed["reused"]) == (1, 23)


def test_search_shows_base_and_adapted(
    trained: tuple[Path, Path, str], call: Call, said: Call, tiny_collection: Path, tiny_clip: Path
) -> None:
    home, _folder, run = trained
    found = call(
        "search", tiny_collection, "--text", "a red circle", "--run", run, "--top", 5, "--home", home
    )
    assert len(found["base"]) == len(found["adapted"]) == 5
    scores = [hit["score"] for hit in found["base"]]
    assert scores == sorted(scores, reverse=True)
    assert all(hit["base_rank"] >= 1 for hit in found["adapted"])
    # One thread, as in the run: the order of a sum depends on the number of threads.
    untouched = call(
        "search", tiny_collection, "--text", "a red circle", "--model", tiny_clip, "--top", 5, "--home", home,
        "--hardware.threads", 1, "--hardware.device", "cpu",
    )  # fmt: skip
    assert untouched["base"] == [{k: hit[k] for k in ("path", "score")} for hit in found["base"]]
    assert "adapted" not in untouched
    query = tiny_collection / "red-circle.png"
    by_image = call(
        "search", tiny_collection, "--image", query, "--run", run, "--strength", 0, "--home", home
    )
    assert "red-circle.png" not in [hit["path"] for hit in by_image["base"]]
    assert [hit["path"] for hit in by_image["adapted"]] == [hit["path"] for hit in by_image["base"]]
    assert "red-" in said(
        "search", tiny_collection, "--text", "원", "--run", run, "--home", home, "--language", "ko"
    )
    for wrong in (
        ["--text", ""],
        ["--image", "missing.png"],
        ["--text", "a", "--top", "0"],
        ["--text", "a", "--strength", "1"],
    ):
        assert "error" in call("search", tiny_collection, *wrong, "--home", home, code=2)
    error = call("search", tiny_collection, "--image", "missing.png", "--home", home, code=2)["error"]
    assert (error["setting"], error["hint"]) == ("image", "Check the path.")
    assert "missing.png" in error["message"]


def test_a_batch_answers_each_line_as_a_search_alone_does(
    trained: tuple[Path, Path, str], call: Call, said: Call, tiny_collection: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    home, _folder, run = trained
    asked = ["a red circle", "빨간 동그라미", "a red circle - a line", "a line - a line", "a circle +"]
    batch = tmp_path / "asked.txt"
    batch.write_text("\ufeff" + "\n\n".join(asked) + "\n", encoding="utf-8")
    where = ("search", tiny_collection, "--run", run, "--top", 3, "--home", home)
    answers = call(*where, "--batch", batch)["answers"]
    assert [answer["text"] for answer in answers] == asked
    for answer in answers[:3]:
        assert answer == {"text": answer["text"], **call(*where, "--text", answer["text"])}
    assert "cancel" in answers[3]["error"]
    assert "plus or minus" in answers[4]["error"]
    monkeypatch.setattr("sys.stdin", io.StringIO("a red circle\n"))
    shown = said(*where, "--batch", "-")
    assert shown.startswith("a red circle\n")
    assert answers[0]["base"][0]["path"] in shown
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "no text.txt").write_bytes(b"\xff\xfe\xff")
    for wrong in (
        ["--batch", batch, "--text", "a"],
        ["--batch", tmp_path / "missing.txt"],
        ["--batch", tmp_path / "empty.txt"],
        ["--batch", tmp_path / "no text.txt"],
    ):
        assert "error" in call(*where, *wrong, code=2)


def test_two_trainings_are_searched_side_by_side(
    trained: tuple[Path, Path, str], call: Call, said: Call, tiny_collection: Path, tiny_clip: Path
) -> None:
    home, _folder, run = trained
    adapter = home / "runs" / run / "adapter"
    other = call("adapters", "add", adapter, "--model", tiny_clip, "--name", "other", "--home", home)["run"]
    asked = ["search", tiny_collection, "--text", "a red circle", "--top", 3, "--home", home]
    both = call(*asked, "--run", run, "--run", other)
    alone = [call(*asked, "--run", one) for one in (run, other)]
    assert both["runs"] == [{"run": one} | found for one, found in zip((run, other), alone, strict=True)]
    assert both["base"] == alone[0]["base"]
    assert both["adapted"] == alone[0]["adapted"]
    shown = said(*asked, "--run", run, "--run", other).splitlines()
    assert run in shown[0]
    assert other in shown[0]
    assert alone[1]["adapted"][0]["path"] in shown[2]
    (home / "asked.txt").write_text("a circle")
    call(*asked[:2], "--batch", home / "asked.txt", "--run", run, "--run", other, "--home", home, code=2)
    call("runs", "delete", other, "--home", home)


def test_dial_measures_every_strength_with_the_base(
    trained: tuple[Path, Path, str], call: Call, said: Call, tiny_collection: Path
) -> None:
    home, _folder, run = trained
    arguments = ["dial", run, "--strengths", "0.5,1", "--probe", tiny_collection, "--home", home]
    found = call(*arguments)
    assert {point["strength"] for point in found["points"]} >= {0, 0.5, 1}
    assert "←" in said(*arguments)
    for wrong in ("2", "a", ","):
        assert "error" in call("dial", run, "--strengths", wrong, "--home", home, code=2)


def test_words_are_ranked_by_how_far_they_moved(
    trained: tuple[Path, Path, str], call: Call, said: Call
) -> None:
    home, _folder, run = trained
    moved = [entry["moved"] for entry in call("words", run, "--home", home)["words"]]
    assert moved == sorted(moved, reverse=True)
    assert "a drawing of {}" in said("words", run, "--home", home, "--language", "ko")


def test_map_places_every_image_before_and_after(
    trained: tuple[Path, Path, str], call: Call, said: Call, tiny_collection: Path, tmp_path: Path
) -> None:
    home, _folder, run = trained
    found = call("map", tiny_collection, "--run", run, "--out", tmp_path / "map.csv", "--home", home)
    assert len(found["points"]) == 24
    assert all(len(point["base"]) == len(point["adapted"]) == 2 for point in found["points"])
    assert "base/trustworthiness" in found["scores"]
    assert len((tmp_path / "map.csv").read_text("utf-8-sig").splitlines()) == 25
    assert "%" in said("map", tiny_collection, "--run", run, "--out", tmp_path / "map.png", "--home", home)
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "error" in call("map", tiny_collection, "--out", tmp_path / "map.gif", "--home", home, code=2)


def test_export_writes_files(trained: tuple[Path, Path, str], call: Call, said: Call, tmp_path: Path) -> None:
    home, _folder, run = trained
    for to in ("adapter", "merged", "code"):
        files = call("export", run, "--to", to, tmp_path / to, "--home", home)["files"]
        assert files
        assert all(Path(file).is_file() for file in files)
    assert "error" in call("export", run, "--to", "code", tmp_path / "code", "--home", home, code=2)


def test_grid_fills_and_writes_the_table(
    call: Call, said: Call, tiny_pairs: Path, tiny_clip: Path, home: Path, tmp_path: Path
) -> None:
    arguments = [
        "grid", tiny_pairs, "--vary", "lora.r=2,4", "--vary", "lora.target_modules=q_proj+v_proj,visual_projection",
        "--out", tmp_path / "table.csv", *tiny(tiny_clip, train__epochs=1),
    ]  # fmt: skip
    result = call(*arguments)
    assert [row["status"] for row in result["rows"]] == ["done"] * 4
    assert all(row.keys() >= {"settings", "metrics", "status"} for row in result["rows"])
    lines = (tmp_path / "table.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == 5
    assert "q_proj+v_proj" in lines[1]
    shown = said(*arguments)  # nothing is trained again
    assert len(call("runs")) == 4
    assert "visual_projection" in shown
    for wrong in (["--vary", "lora.r"], ["--vary", "lora.q=1"], ["--out", "table.xlsx"], ["--seeds", "0"]):
        assert "error" in call("grid", tiny_pairs, *wrong, code=2)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_grid_goes_on_and_trains_nothing_twice(
    call: Call, tiny_pairs: Path, tiny_clip: Path, home: Path
) -> None:
    arguments = ["grid", str(tiny_pairs), "--vary", "lora.r=2,4,8", *tiny(tiny_clip)]
    process = subprocess.Popen(
        [sys.executable, "-m", "clip_atelier", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("cell 2 of 3") and "running" in line:
            break
    process.kill()
    process.communicate()
    first = {run["run"] for run in call("runs") if run["status"] == "done"}
    assert len(first) == 1
    rows = call(*arguments)["rows"]
    assert [row["status"] for row in rows] == ["done"] * 3
    assert rows[0]["runs"][0]["run"] in first
    assert len([run for run in call("runs") if run["status"] == "done"]) == 3


def test_models_are_listed_and_added(
    call: Call, said: Call, tiny_clip: Path, home: Path, tmp_path: Path
) -> None:
    before = [model["name"] for model in call("models")]
    added = {model["name"]: model for model in call("models", "add", tiny_clip)}
    assert added.keys() - set(before) == {tiny_clip.name}
    assert added[tiny_clip.name].keys() >= {
        "name",
        "family",
        "path",
        "bundled",
        "image_size",
        "dim",
        "parameters",
    }
    assert (added[tiny_clip.name]["dim"], added[tiny_clip.name]["bundled"]) == (24, False)
    assert tiny_clip.name in said("models", "list")
    assert "error" in call("models", "add", tmp_path / "missing", code=2)
    assert "error" in call("models", "download", "../etc", code=2)


def test_a_download_without_a_network_says_so_and_leaves_the_program_offline(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    from clip_atelier.cli.offline_proof import no_network

    with no_network() as attempts:
        error = call("models", "download", "nobody/nothing", code=1)["error"]
    assert "nobody/nothing" in error["message"]
    assert error["hint"]
    assert attempts
    assert constants.HF_HUB_OFFLINE
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_doctor_names_every_check(call: Call, said: Call, home: Path) -> None:
    from clip_atelier.engine.core import paths

    whole = paths.starter_model().is_dir()
    result = call("doctor", code=0 if whole else 1)
    assert result["ok"] == all(check["ok"] for check in result["checks"])
    failed = {check["name"] for check in result["checks"] if not check["ok"]}
    assert failed <= (set() if whole else {"starter model", "network off"})
    assert len(result["checks"]) == 9


def test_doctor_notices_a_home_it_cannot_write(call: Call, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    checks = {
        check["name"]: check for check in call("doctor", "--home", tmp_path / "taken", code=1)["checks"]
    }
    assert not checks["home folder"]["ok"]
    assert "taken" in checks["home folder"]["detail"]


@pytest.mark.fault(34)
def test_no_network_really_is_none() -> None:
    import socket

    from clip_atelier.cli.offline_proof import no_network

    connect = socket.socket.connect
    with no_network() as attempts, pytest.raises(OSError, match="off"):
        socket.create_connection(("192.0.2.1", 9))
    assert attempts
    assert socket.socket.connect is connect


@pytest.mark.fault(38, 57)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT from another process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_training_and_resume_goes_on(
    number: signal.Signals, call: Call, tiny_pairs: Path, tiny_clip: Path, home: Path
) -> None:
    flags = tiny(tiny_clip, train__epochs=4000, train__checks=1000, train__patience=0)
    process = subprocess.Popen(
        [sys.executable, "-m", "clip_atelier", "train", str(tiny_pairs), "--json", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("check at step") and "step 0" not in line:
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(seen) + err
    assert "Traceback" not in err
    result = json.loads(out)
    assert result["status"] == "stopped"
    # Ctrl-C still compares base and adapted; SIGTERM wants the process gone.
    assert ("adapted" in result) == (number == signal.SIGINT)
    (row,) = call("runs")
    assert row["status"] == "stopped"

    again = subprocess.Popen(
        [sys.executable, "-m", "clip_atelier", "resume", row["run"], "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert again.stderr is not None
    line = next(line for line in again.stderr if line.startswith("training "))
    assert "goes on at step" in line
    assert int(line.partition("at step ")[2].split()[0]) > 0
    again.send_signal(number)
    out, err = again.communicate(timeout=60)
    assert again.returncode == 130, err
    assert json.loads(out)["status"] == "stopped"


@pytest.mark.parametrize("language", ["en", "ko"])
def test_without_a_display_the_main_job_runs_in_the_terminal(
    tiny_pairs: Path,
    tiny_clip: Path,
    home: Path,
    language: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from clip_atelier.engine.core import paths

    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    # The bundled collection takes a minute; these take seconds.
    monkeypatch.setattr(paths, "sample_collection", lambda: tiny_pairs)
    monkeypatch.setattr(paths, "starter_model", lambda: tiny_clip)
    assert main(["--language", language]) == 0
    shown = capsys.readouterr()
    assert {"en": "no display", "ko": "화면이 없으므로"}[language] in shown.err
    # Four pairs are kept aside of so few, and no number is told of them.
    assert {"en": "Verdict: Too few drawings", "ko": "판정: 그림이 너무 적어"}[language] in shown.out
    assert "sketch_to_artwork/R@1" not in shown.out
    assert {"en": "“cherry blossom”", "ko": "“벚꽃”"}[language] in shown.out
    assert len(Runs(home).list()) == 1


def test_with_a_display_the_window_opens_on_the_folder(
    tiny_pairs: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import types

    opened = []
    app = types.ModuleType("clip_atelier.gui.app")
    app.main = lambda *given: opened.append(given) or 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "clip_atelier.gui.app", app)
    monkeypatch.setattr("clip_atelier.gui.app", app, raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert main([]) == 0
    assert main(["--language", "ko", str(tiny_pairs)]) == 0
    assert [given[:2] for given in opened] == [(home, None), (home, tiny_pairs)]
    assert opened[1][2] == "ko"


def test_a_missing_system_library_names_the_way_out(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "clip_atelier.gui.app", None)
    monkeypatch.delattr("clip_atelier.gui.app", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert main([]) == 1
    assert "system library" in capsys.readouterr().err


def test_nothing_is_left_outside_the_home(tiny_clip: Path, tiny_pairs: Path, tmp_path: Path) -> None:
    """torch makes a cache folder in the temporary directory when transformers imports it, unless told otherwise."""
    user, temporary, home = tmp_path / "user", tmp_path / "temporary", tmp_path / "home"
    user.mkdir()
    temporary.mkdir()
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("TORCHINDUCTOR", "XDG", "CLIP_ATELIER"))
    }
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)) | {
        "HOME": str(user),
        "USERPROFILE": str(user),
    }
    command = [
        sys.executable, "-m", "clip_atelier", "index", str(tiny_pairs), "--model", str(tiny_clip), "--home", str(home)
    ]  # fmt: skip
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert list(temporary.iterdir()) == []
    assert list(user.iterdir()) == []
    assert {path.name for path in home.iterdir()} == {"cache", "index"}


@pytest.mark.fault(34)
def test_the_offline_proof_is_a_receipt(call: Call, said: Call) -> None:
    found = call("doctor", "--offline-proof")
    assert found["tried"] == []
    assert found["open_connections"] == 0
    assert found["base_untouched"]
    assert found["steps"] > 0
    assert len(found["sha256"]) == len(found["update"]) == len(found["model"]) == 64


def test_verify_and_repair_name_what_is_damaged(
    trained: tuple[Path, Path, str], tmp_path: Path, said: Call, call: Call
) -> None:
    import shutil

    home = Path(shutil.copytree(trained[0], tmp_path / "home"))
    assert call("verify", "--home", home)["findings"] == []
    (home / "runs" / trained[2] / "evaluation.json").write_text("{", encoding="utf-8")
    name = f"runs/{trained[2]}/evaluation.json"
    assert name in said("verify", "--home", home, code=1)
    assert [one["path"] for one in call("verify", "--home", home, code=1)["findings"]] == [name]
    assert [one["path"] for one in call("repair", "--home", home)["mended"]] == [name]
    assert "nothing to repair" in said("repair", "--home", home)
    (home / "runs" / trained[2] / "evaluation.json").write_text("{", encoding="utf-8")
    (found,) = call("verify", "--home", home, code=1)["problems"]
    assert (found["path"], found["repaired"]) == (name, False)
    done = call("verify", "--repair", "--home", home)
    assert [(one["path"], one["repaired"]) for one in done["problems"]] == [(name, True)]
    assert done["checked"] > 1
    assert call("verify", "--home", home)["problems"] == []
    call("verify", "--repair", "some.cliprun", "--home", home, code=2)


def test_models_are_named_shown_compared_and_suggested(
    call: Call, said: Call, tiny_clip: Path, tiny_pairs: Path, home: Path
) -> None:
    names = [model["name"] for model in call("models", "add", tiny_clip, "--name", "mine")]
    assert "mine" in names
    assert "error" in call("models", "add", tiny_clip, "--name", "../up", code=2)
    assert "error" in call("models", "add", tiny_clip, "--name", "mine", code=2)
    told = call("models", "show", "starter")
    assert (told["languages"], told["licence"]) == (["en", "ko"], "Apache-2.0")
    (starter,) = (model for model in call("models") if model["name"] == "starter")
    assert (
        starter.items() >= {"languages": ["en", "ko"], "licence": "Apache-2.0", "source": "starter"}.items()
    )
    assert call("models", "show", "mine")["known"] is None
    assert "English, Korean" in said("models", "show", "starter")
    assert all(model["licence"] and model["bytes"] for model in call("models", "suggested"))
    result = call("models", "compare", tiny_pairs, "--models", "starter", "mine", "--images", 16)
    assert result["recommended"] == "starter"
    assert {model["name"] for model in result["models"]} == {"starter", "mine"}
    assert "starter" in said("models", "compare", tiny_pairs, "--models", "starter")


def test_a_query_in_a_language_that_the_model_does_not_know_is_answered_with_a_warning(
    call: Call, tiny_collection: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_atelier.engine.models import languages

    assert "remarks" not in call("search", tiny_collection, "--text", "빨간 동그라미")
    monkeypatch.setattr(languages, "told", lambda _name: ("en",))
    remarks = call("search", tiny_collection, "--text", "빨간 동그라미")["remarks"]
    assert "does not know Korean" in remarks[0]
    assert not any(
        "does not know English" in r
        for r in call("search", tiny_collection, "--text", "red").get("remarks", [])
    )


def test_the_curves_of_a_run_are_a_table(
    trained: tuple[Path, Path, str], call: Call, said: Call, tmp_path: Path
) -> None:
    home, _folder, run = trained
    points = call("runs", "curves", run, "--home", home)["points"]
    assert call("curves", run, "--home", home)["points"] == points
    steps = [point["step"] for point in points]
    assert steps == sorted(set(steps))
    checked = [point for point in points if point["metrics"]]
    assert checked[0]["step"] == 0
    assert checked[0]["loss"] is None
    assert all(point["loss"] is not None for point in points[1:])
    header, *rows = said("runs", "curves", run, "--home", home).splitlines()
    assert len(rows) == len(points)
    assert header.startswith("step,epoch,loss,learning_rate,validation_loss,text_to_image/")
    assert float(rows[1].split(",")[2]) == points[1]["loss"]
    out = tmp_path / "curves.csv"
    call("runs", "curves", run, "--out", out, "--home", home)
    assert out.read_text("utf-8-sig").splitlines() == [header, *rows]
    assert (
        "format"
        in call("runs", "curves", run, "--out", tmp_path / "x.xlsx", "--home", home, code=2)["error"][
            "message"
        ]
    )
    (home / "runs" / run / "events.jsonl").rename(tmp_path / "kept")
    try:
        assert "no step" in call("runs", "curves", run, "--home", home, code=2)["error"]["message"]
    finally:
        (tmp_path / "kept").rename(home / "runs" / run / "events.jsonl")


def test_lists_are_read_from_standard_input(
    trained: tuple[Path, Path, str], call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folder, run = trained
    blues = sorted((folder / "blue").glob("*.png"))[:3]
    monkeypatch.setattr("sys.stdin", io.StringIO("\0".join(map(str, blues[1:])) + "\0"))
    (word,) = call("teach", run, "--word", "bluish", blues[0], "-", "--home", home)["words"]
    assert word["drawings"] == [str(path) for path in blues]
    call("teach", run, "--forget", "bluish", "--home", home)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{run}\n\nlatest\n"))
    call("report", "-", "--out", tmp_path / "page.html", "--home", home)
    assert (tmp_path / "page.html").is_file()
    monkeypatch.setattr("sys.stdin", io.StringIO("no such run\n"))
    assert "no such run" in str(
        call("report", "-", "--out", tmp_path / "two.html", "--home", home, code=2)["error"]
    )
    pack = tmp_path / "one.cliprun"
    call("runs", "pack", run, pack, "--home", home)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{pack}\n"))
    assert call("verify", "-", "--home", home)["checked"] >= 1
