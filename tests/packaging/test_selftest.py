"""`--selftest` does the whole job from source as it does frozen, and can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clip_atelier import selftest
from clip_atelier.cli import sample_part
from clip_atelier.engine.core import paths


def run(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "clip_atelier", "--selftest", *arguments]
    variables = {**os.environ, "TMPDIR": str(place), "TEMP": str(place), "TMP": str(place), **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables, cwd=place)


def test_the_whole_job_in_both_languages(tmp_path: Path) -> None:
    place = tmp_path / "빈 칸 space"
    done = run(place, "--json", "--report", str(tmp_path / "report.json"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["ok"]
    names = {
        language: [c["name"] for c in report["checks"] if c["language"] == language]
        for language in ("en", "ko")
    }
    assert names["en"] == names["ko"]
    assert len(names["en"]) == 7
    reach = {c["name"]: c["detail"] for c in report["checks"] if not c["language"]}
    assert {"procreate", "avif", "psd", "heic", "svg", "svgz"} <= set(
        reach["every format is read"].split(", ")
    )
    assert "adapter, merged" in reach["every export is written"]
    assert len(reach) == 5
    assert "자가 검사" in report["facts"]["folder"]
    assert list(place.iterdir()) == []


def test_a_part_of_the_sample_is_a_collection_of_its_own(tmp_path: Path) -> None:
    count = sample_part.part_of_sample(tmp_path / "part")
    rows = (tmp_path / "part" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == count + 1
    assert count == 2 * sum(sample_part.PAIRS.values())
    for row in rows[1:]:
        name = row.partition(",")[0]
        assert (tmp_path / "part" / name).read_bytes() == (paths.sample_collection() / name).read_bytes()


def test_what_does_not_hold_is_said_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    report = selftest.Report()

    def broken() -> str:
        raise selftest.NotSo("the font lacks 한")

    def crashed() -> str:
        raise OSError("disk")

    assert report.attempt("fine", "en", lambda: "yes")
    assert report.ok
    assert not report.attempt("font", "ko", broken)
    assert not report.attempt("disk", "en", crashed)
    assert not report.ok
    said = capsys.readouterr().err
    assert "NOT [ko] font" in said
    assert "the font lacks 한" in said
    assert "OSError: disk" in said
    assert not selftest.Report().ok
