"""The kills of `test_kills.py` in full, and the readers of `test_fuzz.py` for minutes: hours, so not a part of the tests.

    python tests/faults/soak.py                 200 random kills in training, 200 aimed at saves
    python tests/faults/soak.py --kills 20      so many of each
    python tests/faults/soak.py --window 100    ten hours of events so often, then so many rounds of use, in the real window
    python tests/faults/soak.py --fuzz 60       the fuzzers again and again, each time from another seed, for so many minutes

It prints one line for each round, at the end the figures as JSON, and ends with 1 where something was lost or failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "app")]
# Some calls of a run depend on the machine's pace; what the kills meet must not depend on its cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])

import tiny  # noqa: E402
from kill_rounds import Tally, Training, aimed_saves, told  # noqa: E402
from kills import Nursery  # noqa: E402

EXAMPLES = 300  # of each fuzzer in one turn


def kills(count: int, seed: int) -> bool:
    """Kills `count` times at random and `count` times at saves; whether nothing was lost."""
    tallies = {
        name: Tally() for name in ("random, in training", "aimed, runs", "aimed, captions settings index")
    }
    at_random, at_runs, at_saves = tallies.values()
    with tempfile.TemporaryDirectory() as folder, Nursery() as nursery:
        base = Path(folder)
        values = tiny.quick(
            tiny.clip(base / "tiny-clip"), train__epochs=2, train__checks=4, train__patience=0
        )
        training = Training(nursery, base, tiny.pairs(base / "pairs"), values, at_random)
        say(f"a straight run: {training.calls} calls, {training.events} events, {training.seconds:.1f} s")
        aimed_saves(nursery, base / "saves", count - count // 4, at_saves)
        say(told(tallies))
        training.tally = at_runs
        training.aimed(count // 4)
        say(told(tallies))
        training.tally = at_random
        for done in range(0, count, 10):
            training.random(min(done + 10, count), seed + done)
            say(told(tallies))
    return not any(tally.lost for tally in tallies.values())


def window(rounds: int) -> bool:
    """Replays and uses the real window; whether nothing grew by 2 % or more after a tenth of it, by which all is warm."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QApplication

    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.main_window import MainWindow
    from clip_atelier.gui.state import WindowState
    from clip_atelier.gui.theme import Theme
    from clip_atelier.gui.workers import Lanes
    from window_use import kept, replay, use

    flat, application = True, QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        folders = [tiny.pairs(base / "pairs"), tiny.collection(base / "shapes")]
        lanes = Lanes(base / "home")
        model = AppModel(WindowState(base / "home"), lanes, Theme(application, "light"))
        model._warm = (
            True  # torch beside the window would be most of its memory, and hide what the window keeps
        )
        shown = MainWindow(model)
        shown.resize(1280, 800)
        shown.show()
        for name, work in (
            ("ten hours of events", lambda: replay(shown, folders[0], 50_000)),
            ("use", lambda: use(shown, folders)),
        ):
            for number in range(rounds):
                work()
                if number == rounds // 10:
                    before = kept()
                if number % max(1, rounds // 10) == 0:
                    say(f"{name} {number}: {kept()}")
            grown = before.growth(kept())
            say(f"{name}: grown by " + ", ".join(f"{part} {by:.2%}" for part, by in grown.items()))
            flat = flat and all(by < 0.02 for by in grown.values())
        lanes.leave()
        lanes.close(60)
    return flat


def fuzz(minutes: float, seed: int) -> bool:
    """Runs the fuzzers from one seed after another until the time is over; whether none found anything."""
    until, turn = time.monotonic() + minutes * 60, 0
    while time.monotonic() < until:
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", f"--hypothesis-seed={seed + turn}",
             str(TESTS / "faults" / "test_fuzz.py")],
            check=False, env=os.environ | {"CLIP_ATELIER_FUZZ": str(EXAMPLES)}, capture_output=True, text=True, cwd=TESTS.parent,
        )  # fmt: skip
        say(
            f"seed {seed + turn}: {time.monotonic() - began:.0f} s, {(ended.stdout.splitlines() or ['nothing said'])[-1]}"
        )
        if ended.returncode:
            say(ended.stdout + ended.stderr)
            return False
        turn += 1
    return True


def say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="so many at random, and so many at saves")
    parser.add_argument("--fuzz", type=float, metavar="MINUTES", help="fuzz the readers instead")
    parser.add_argument("--window", type=int, metavar="ROUNDS", help="use the window instead, and measure it")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.window is not None:
        held = window(args.window)
    elif args.fuzz is not None:
        held = fuzz(args.fuzz, args.seed)
    else:
        held = kills(args.kills, args.seed)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
