"""Faults of runs and checkpoints (numbers in brackets group what is injected)."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    Control,
    Notice,
    Step,
    UserError,
    WorkError,
    drive,
    read_document,
    write_document,
)
from clip_atelier.engine.evaluation import comparison
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs, RunSummary, checkpoints
from clip_atelier.engine.runs.checkpoints import State
from clip_atelier.engine.training import Plan, resume, train

Quick = Callable[..., dict[str, Any]]
TENSORS = {"a": torch.arange(1000.0)}

_CHILD = """
import sys, json
from pathlib import Path
from clip_atelier.engine import settings
from clip_atelier.engine.core.control import Control
from clip_atelier.engine.core import Saved, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.training import Plan, train, resume
home, folder, values = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
tell = lambda event: print(event.kind, flush=True)
models = Models(home)
from clip_atelier.engine.runs import Runs
runs = Runs(home).list()
if runs:
    drive(resume(home, runs[0].id, models, Control()), tell)
else:
    drive(train(Plan(folder, settings.build(values), home), models, Control()), tell)
"""


def _child(home: Path, folder: Path, values: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(home), str(folder), json.dumps(values)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.fault(1)
def test_killed_at_any_event_a_run_opens_and_goes_on(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    """[1, 2] kill -9 after a random number of events, again and again; then it ends as a straight run does.

    What was told is on disk, whenever the kill comes.
    """
    values = quick(train__epochs=4, train__checks=8, train__patience=0)
    straight = drive(
        train(Plan(tiny_pairs, settings.build(values), home / "straight"), Models(home), Control())
    ).as_json()
    chance = random.Random(7)
    for _round in range(4):
        before = len([event for run in Runs(home).list() for event in run.events()])
        child = _child(home, tiny_pairs, values)
        assert child.stdout is not None
        told = [child.stdout.readline() for _event in range(chance.randrange(8, 24))]
        child.send_signal(signal.SIGKILL)
        rest, _err = child.communicate()
        told = [line for line in [*told, *rest.splitlines(keepends=True)] if line.endswith("\n")]
        runs = Runs(home).list()
        if not runs:
            continue
        run = runs[0]
        assert run.status in ("interrupted", "done")
        assert len(list(run.events())) >= before + len(told)
        assert run.bad_lines <= 1
        for step in checkpoints.steps(run.path / "checkpoints"):
            checkpoints.read(run.path / "checkpoints", step)
        if run.status == "done":
            break
    run = Runs(home).list()[0]
    if run.status != "done":
        drive(resume(home, run.id, Models(home), Control()))
    result = Runs(home).list()[0].result
    assert result is not None
    assert {k: result.as_json()[k] for k in ("adapted", "best_step", "strength")} == {
        k: straight[k] for k in ("adapted", "best_step", "strength")
    }


@pytest.mark.fault(11, 12)
@pytest.mark.parametrize("file", ["adapter.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("harm", ["cut", "flip"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, file: str, harm: str) -> None:
    """[11, 12] truncated, or one byte flipped."""
    folder = tmp_path / "checkpoints"
    for step in (5, 10):
        checkpoints.save(folder, State(step=step), TENSORS, TENSORS)
    path = folder / "00000010" / file
    data = bytearray(path.read_bytes())
    if harm == "cut":
        data = data[: len(data) // 2]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found, problems = checkpoints.newest(folder)
    assert found is not None
    assert found.state.step == 5
    assert len(problems) == 1
    assert "00000010" in problems[0]


@pytest.mark.fault(13)
def test_without_its_manifest_a_checkpoint_is_not_offered(tmp_path: Path) -> None:
    """[13]"""
    folder = tmp_path / "checkpoints"
    checkpoints.save(folder, State(step=5), TENSORS, TENSORS)
    (folder / "00000005" / "manifest.json").unlink()
    assert checkpoints.newest(folder) == (None, [])


@pytest.mark.fault(14)
def test_garbage_among_the_events_is_skipped_and_counted(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    """[14]"""
    result = drive(
        train(Plan(tiny_pairs, settings.build(quick(train__epochs=1)), home), Models(home), Control())
    ).as_json()
    run = Runs(home).open(result["run"])
    whole = len(list(run.events()))
    lines = (run.path / "events.jsonl").read_bytes().splitlines(keepends=True)
    lines.insert(2, b'\xff\x00 nonsense\n{"kind": "nobody"}\n[1]\n')
    (run.path / "events.jsonl").write_bytes(b"".join(lines) + b'{"kind": "step", "st')
    assert len(list(run.events())) == whole
    assert run.bad_lines == 4
    assert run.status == "done"


@pytest.mark.fault(15)
def test_a_run_of_a_newer_version_is_read_only(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    """[15]"""
    result = drive(
        train(Plan(tiny_pairs, settings.build(quick(train__epochs=1)), home), Models(home), Control())
    ).as_json()
    run = Runs(home).open(result["run"])
    changed = {"schema_version": 999, "settings": {"lora.unheard_of": 1}}
    write_document(run.path / "run.json", run.record.model_copy(update=changed))
    assert run.summary().status == "done"
    with pytest.raises(UserError, match="newer version"):
        drive(resume(home, run.id, Models(home), Control()))


@pytest.mark.fault(17)
def test_resuming_after_an_image_changed_says_so(home: Path, tiny_pairs: Path, quick: Quick) -> None:
    """[17]"""
    control = Control()
    plan = Plan(tiny_pairs, settings.build(quick(train__epochs=3)), home)
    stopped = drive(
        train(plan, Models(home), control), lambda e: control.stop() if isinstance(e, Step) else None
    ).as_json()
    (tiny_pairs / "artworks" / "red ring.png").unlink()
    (tiny_pairs / "sketches" / "red ring.png").unlink()
    said: list[str] = []
    drive(
        resume(home, stopped["run"], Models(home), Control()),
        lambda e: said.append(e.text) if isinstance(e, Notice) else None,
    )
    assert any("not exactly" in text for text in said)


@pytest.mark.fault(8)
def test_a_full_disk_is_an_error_with_the_path_and_keeps_the_old_file(tmp_path: Path) -> None:
    """[5, 8] writes beyond a size limit fail; the old state stays."""
    target = tmp_path / "state.json"
    write_document(target, RunSummary(run="old"))
    folder = tmp_path / "run" / "checkpoints"
    folder.parent.mkdir()
    checkpoints.save(folder, State(step=5), TENSORS, TENSORS)
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
            try:
                write_document(target, RunSummary(run="new", name="x" * 10_000))
            except WorkError as error:
                code = 0 if "state.json" in error.message else 2
            first, code = code, 5
            try:
                checkpoints.save(folder, State(step=10), TENSORS, TENSORS)
                code = 3
            except WorkError as error:
                code = first if "00000010" in error.message else 4
        finally:
            os._exit(code)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert read_document(target, RunSummary) == RunSummary(run="old")
    assert checkpoints.steps(folder) == [5]


@pytest.mark.fault(9)
def test_a_home_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, tiny_pairs: Path, quick: Quick
) -> None:
    """[9] a file where the home should be stands in for a read-only one, as root may write anywhere."""
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(WorkError, match="runs"):
        drive(
            train(Plan(tiny_pairs, settings.build(quick()), tmp_path / "home"), Models(tmp_path), Control())
        )


#: What may happen to a stored document: (its new content, what is said of it).
DAMAGE = {
    "no JSON": ("{", "run.json"),
    "a list": ("[]", "run.json"),
    "a wrong type": ('{"schema": 1, "settings": "all of them"}', "settings"),
    "a wrong number": ('{"schema": "one"}', "schema"),
    "not finite": ('{"schema": 1, "created": NaN}', "NaN"),
    "nested": ("[" * 100_000, "nested"),
    "deep": ('{"settings": ' + '{"a": ' * 60 + "1" + "}" * 61, "nested"),
}


@pytest.mark.fault(49, 50)
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", ["run.json", "evaluation.json"])
def test_a_damaged_run_is_listed_with_the_reason_and_harms_no_other(
    home: Path, tiny_pairs: Path, quick: Quick, file: str, damage: str
) -> None:
    """[14, 60] one malformed document harms only itself."""
    runs = Runs(home)
    chosen = settings.build(quick())
    whole, broken = (runs.create(name, chosen, tiny_pairs) for name in ("whole", "broken"))
    content, said = DAMAGE[damage]
    if file == "evaluation.json":
        content, said = (
            content.replace('"settings": "all of them"', '"steps": "many"'),
            said.replace("settings", "steps").replace("run.json", "evaluation.json"),
        )
        content = content.replace('"created": NaN', '"seconds": NaN')
        if damage == "deep":
            content = content.replace('"settings"', '"base"')
    (broken.path / file).write_text(content, encoding="utf-8")
    by_name = {run.run: run for run in (one.summary() for one in runs.list())}
    assert by_name[whole.id].status == "interrupted"
    assert by_name[broken.id].status == "damaged"
    assert said in by_name[broken.id].error
    assert [row.run for row in comparison.rows(home)] == [whole.id]
    assert runs.open("whole").id == whole.id
    assert subprocess_list(home)["damaged"] == broken.id


def subprocess_list(home: Path) -> dict[str, str]:
    """`runs --json` in a process of its own: status -> run."""
    listed = subprocess.run(
        [sys.executable, "-m", "clip_atelier", "runs", "--json", "--home", str(home)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {run["status"]: run["run"] for run in json.loads(listed.stdout)}
