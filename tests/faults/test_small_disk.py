"""A home on a really small file system that fills up: each thing that does not fit is told, and what was there stays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MOUNT = """
mount -t tmpfs -o size=12m tmpfs "$1" || exit 77
shift
exec "$@"
"""

CHILD = """
import json, sys
from pathlib import Path
import tiny
from PySide6.QtCore import QCoreApplication
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, UserError, drive
from clip_atelier.engine.data import save_captions
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.training import Plan, train
from clip_atelier.engine.upkeep import verify
from clip_atelier.gui.state import WindowState

disk, pairs, model = map(Path, sys.argv[1:])
home, drawings, filler = disk / "home", disk / "drawings", disk / "filler"
values = settings.build(tiny.quick(model, train__epochs=1))
said = {}

def trained():
    return drive(train(Plan(pairs, values, home), Models(home), Control()))

def what_it_says(work):
    try:
        work()
    except UserError as error:
        return [type(error).__name__, error.message, error.hint]
    return []

def fill(left):
    filler.unlink(missing_ok=True)
    with filler.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12):
            try:
                while stream.write(bytes(size)) == size:
                    pass
            except OSError:
                pass
        stream.truncate(max(0, stream.tell() - left))

def window(folder):
    state = WindowState(home)
    state.set("folder", folder)
    state.save()

application = QCoreApplication([])
drawings.mkdir()
(drawings / "metadata.csv").write_text("file_name,text\\na.png,old\\n")
first = trained()
window("/drawings/old")
for number, left in enumerate((0, 40_000)):
    fill(left)
    said[f"training {number}"] = what_it_says(trained)
fill(0)
said["captions"] = what_it_says(lambda: save_captions(drawings, {"a.png": ["new"]}, home))
window("/drawings/" + "new" * 20_000)
said["table"] = (drawings / "metadata.csv").read_text()
said["folder"] = WindowState(home).folder
said["result"] = Runs(home).open(first.run).result == first
said["damaged"] = [run.id for run in Runs(home).list() if run.summary().status == "damaged"]
def findings():
    return [[one.path, one.reason] for one in drive(verify(home, Control())).findings]

said["findings"] = findings()
filler.unlink()
said["findings"] += findings()
said["again"] = trained().status
save_captions(drawings, {"a.png": ["new"]}, home)
window("/drawings/new")
said["after"] = [(drawings / "metadata.csv").read_text(), WindowState(home).folder]
print(json.dumps(said))
"""


def own_mounts() -> list[str]:
    """How a process gets mounts of its own here; empty where it cannot."""
    for options in (["-m"], ["-r", "-m"]):
        command = [shutil.which("unshare") or "false", *options]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return []


@pytest.mark.fault(6, 8)
@pytest.mark.skipif(sys.platform != "linux", reason="mounts of one's own")
def test_on_a_small_disk_what_does_not_fit_is_told_and_what_was_there_stays(
    tmp_path: Path, tiny_pairs: Path, tiny_clip: Path
) -> None:
    disk, mounts = tmp_path / "disk", own_mounts()
    disk.mkdir()
    if not mounts:
        pytest.skip("no mounts of one's own here")
    tests = str(Path(__file__).parents[1])
    ended = subprocess.run(
        [*mounts, "sh", "-c", MOUNT, "sh", str(disk), sys.executable, "-c", CHILD, str(disk), str(tiny_pairs), str(tiny_clip)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    if ended.returncode == 77:
        pytest.skip("no file system in memory here")
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    for work in ("training 0", "training 1", "captions"):
        kind, message, hint = said[work]
        assert kind in ("WorkError", "NotWritten")
        assert str(disk) in message
        assert "No space left" in message or "disk is full" in message
        assert "space" in hint
    assert said["table"] == "file_name,text\na.png,old\n"
    assert said["folder"] == "/drawings/old"
    assert said["result"]
    assert said["damaged"] == said["findings"] == []
    assert (said["again"], said["after"]) == ("done", ["file_name,text\na.png,new\n", "/drawings/new"])
