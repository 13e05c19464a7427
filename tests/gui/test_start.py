"""Starting and ending the program itself, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

APP = Path(__file__).parents[2] / "app"
START = """
import sys
import time
sys.path.insert(0, {app!r})
from pathlib import Path
from PySide6.QtWidgets import QMessageBox
QMessageBox.exec = lambda box: print("SAID", box.text(), flush=True)
from clip_atelier.gui import app, main_window
make_page = main_window.MainWindow._first_page
def first_page(self):
    heavy = {{"torch", "transformers", "peft", "numpy", "PIL", "pyqtgraph"}} & set(sys.modules)
    print("VISIBLE", self.isVisible(), sorted(heavy), flush=True)
    make_page(self)
    print("READY", flush=True)
main_window.MainWindow._first_page = first_page
sys.exit(app.main(Path({home!r}), None))
"""


def start(home: Path) -> subprocess.Popen[str]:
    code = START.format(app=str(APP), home=str(home))
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def until(process: subprocess.Popen[str], word: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith(word):
            return lines
    raise AssertionError("\n".join(lines))


@pytest.mark.fault(38)
@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM to catch")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_window_is_there_before_anything_heavy_and_a_signal_closes_it(
    home: Path, number: signal.Signals
) -> None:
    with start(home) as process:
        lines = until(process, "READY")
        assert "VISIBLE True []" in lines
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert "Traceback" not in "\n".join(process.stdout or ())
    assert json.loads((home / "window.json").read_text())["geometry"]


@pytest.mark.fault(39)
def test_a_second_window_on_the_same_home_is_refused_until_the_first_is_gone(home: Path) -> None:
    home.mkdir()
    with FileLock(home / "window.lock"), start(home) as process:
        said = until(process, "SAID")
        assert process.wait(timeout=20) == 1
        assert "already open" in said[-1]
    with start(home) as first:
        until(first, "READY")
        first.kill()
        first.wait(timeout=10)
    with start(home) as again:
        until(again, "READY")
        again.terminate()
        assert again.wait(timeout=10) == 0


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with start(tmp_path / "file" / "home") as process:
        said = until(process, "SAID")
        assert process.wait(timeout=20) == 2
        assert "cannot be written" in said[-1]


@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM to catch")
def test_closing_while_the_learning_libraries_load_does_not_wait_for_them(home: Path) -> None:
    home.mkdir()
    (home / "window.json").write_text(json.dumps({"page": "settings"}))
    with start(home) as process:
        until(process, "READY")
        began = time.monotonic()
        process.terminate()
        assert process.wait(timeout=20) == 0
        assert time.monotonic() - began < 5
        assert "abort" not in "\n".join(process.stdout or ()).lower()
