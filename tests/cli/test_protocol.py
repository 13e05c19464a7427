"""A protocol is written in one home and repeated in another, over a copy of the drawings under other names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    ended = main([*map(str, arguments), "--json"])
    shown = capsys.readouterr()
    assert ended == code, shown.err
    return json.loads(shown.out)


def test_another_home_gets_the_same_table_or_is_told_what_differs(
    tiny_pairs: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "flowers.protocol.json"
    hardware = ("--hardware.device", "cpu", "--hardware.threads", 1)
    flags = (
        "--model.name", tiny_clip, "--train.epochs", 1, "--train.batch_size", 8, "--train.learning_rate", 1e-3,
        "--evaluation.folds", 0, "--train.choose_strength", "false", *hardware,
    )  # fmt: skip
    one, other = tmp_path / "one", tmp_path / "other"
    written = run(capsys, "protocol", "write", tiny_pairs, "--out", file, "--seeds", 2, "--home", one, *flags)
    assert written["seeds"] == [0, 1]
    row = next(row for row in written["table"] if row["metric"] == "sketch_to_artwork/mAP")
    assert row["adapted"] == pytest.approx(sum(row["by_seed"]) / 2)
    assert row["spread"] == pytest.approx(abs(row["by_seed"][0] - row["by_seed"][1]) / 2**0.5)
    assert str(tmp_path) not in file.read_text("utf-8")
    # Nothing is overwritten, and no training is begun for it.
    assert (
        "exists"
        in run(capsys, "protocol", "write", tiny_pairs, "--out", file, *flags, code=2)["error"]["message"]
    )

    copy = tmp_path / "copied"
    shutil.copytree(tiny_pairs, copy)
    where = ("--home", other, "--model", tiny_clip, *hardware)
    again = run(capsys, "protocol", "run", file, copy, *where)
    assert (again["same_split"], again["same_table"]) == (True, True)
    assert again["changes"] == []
    assert len(list((other / "runs").iterdir())) == 2  # trained here, not remembered

    claimed = json.loads(file.read_text("utf-8"))
    claimed.pop("sha256", None)
    claimed["table"][0]["by_seed"][1] += 0.01
    claimed["split"] = "0" * 64
    claimed["versions"]["torch"] = "1.0"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(claimed), "utf-8")
    told = run(capsys, "protocol", "run", wrong, copy, *where, code=1)
    assert (told["same_split"], told["same_table"]) == (False, False)
    assert [change["what"] for change in told["changes"]] == [f"{claimed['table'][0]['metric']} (seed 1)"]
    assert [change["what"] for change in told["versions"]] == ["torch"]

    claimed["model_fingerprint"] = "another"
    wrong.write_text(json.dumps(claimed), "utf-8")
    assert "--model" in run(capsys, "protocol", "run", wrong, copy, *where, code=2)["error"]["hint"]
    for no_file in (tmp_path / "missing.json", tiny_pairs / "captions.csv"):
        assert "error" in run(capsys, "protocol", "run", no_file, copy, *where, code=2)
