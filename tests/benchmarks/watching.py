"""How a watcher keeps up with a large folder: what changes are taken in after how long, what it costs to watch, and answers meanwhile.

N small drawings, 1,000 to a folder, no two alike, by a model of width 32, so that what is measured is all but the model's own
arithmetic. The watcher runs in a process of its own; one after the other a folder is renamed, files are moved, renamed,
removed, written in halves and completed, and new ones come. After each change the script asks until the answer is right:

    python tests/benchmarks/watching.py --files 100000
    python tests/benchmarks/watching.py --files 3000 --idle 20   # a small trial

Exits with 1 where an answer took longer than ANSWER seconds during the first embedding (but for the very first one, which
waits for the model), or at the median later, where watching a quiet folder takes more than
IDLE seconds of the processor a minute, or where something that is only elsewhere was embedded again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

ANSWER, IDLE = 2.0, 3.0
NEW = 1000
Right = Callable[[int, list[str]], bool]


def watcher(folder: Path, home: Path, model: Path) -> int:
    """The process that is measured: a watcher that writes what it tells to standard output."""
    from clip_atelier.engine.core import Control, Notice, drive
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import ModelRef, watch

    control = Control()
    threading.Thread(target=lambda: (sys.stdin.read(), control.stop()), daemon=True).start()

    def told(event: object) -> None:
        if isinstance(event, Notice):
            print(event.text, flush=True)

    drive(watch(folder, ModelRef(model=str(model)), Models(home), control), told)
    return 0


class Watched:
    """A watcher's process."""

    def __init__(self, folder: Path, home: Path, model: Path) -> None:
        import psutil

        self.folder, self.home, self.model = folder, home, model
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child", str(folder), str(home), str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "CLIP_ATELIER_LANGUAGE": "en"},
        )
        self._seen = psutil.Process(self.process.pid)
        self.told: list[str] = []
        self._news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.told.append(line.strip())
                self._news.notify_all()

    def wait(self, times: int) -> None:
        """Until it has told something so many times."""
        with self._news:
            self._news.wait_for(lambda: len(self.told) >= times)

    @property
    def seconds(self) -> float:
        """Of the processor, so far."""
        spent = self._seen.cpu_times()
        return spent.user + spent.system

    @property
    def memory(self) -> tuple[int, int]:
        """MiB now, and the most so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return tuple(int(status.split(f"{name}:")[1].split()[0]) >> 10 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]

    def asked(self, top: int = 10) -> tuple[int, list[str], float]:
        """How many drawings were searched, the first of them, and the seconds that it took."""
        from clip_atelier.engine.core import UserError
        from clip_atelier.engine.search import Question, ask

        began = time.perf_counter()
        try:
            found = ask(self.home, self.folder, Question(text="a red line", top=top, model=str(self.model)))
        except UserError:
            found = None
        took = time.perf_counter() - began
        return (0, [], took) if found is None else (found.images, [hit.path for hit in found.base], took)

    def end(self) -> None:
        """Stops it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def change(
    one: Watched, name: str, work: Callable[[], object], right: Callable[[int, list[str]], bool]
) -> list[float]:
    """Makes a change and asks until the answer is right; the seconds that each answer took."""
    spent, times = one.seconds, len(one.told)
    work()
    began, answers, known = time.perf_counter(), [], -1
    while True:
        answers.append(one.asked()[2])
        if (
            len(one.told) != known
        ):  # the whole list takes long to be written and read: only where it is another one
            known = len(one.told)
            images, paths, _took = one.asked(top=10**6)
            if right(images, paths):
                break
        time.sleep(0.2)
    told = [text for text in one.told[times:] if "are new" in text]
    print(
        f"{name:<34}{time.perf_counter() - began:>8.1f} s until right{one.seconds - spent:>8.1f} s of the processor"
        f"{len(answers):>5} answers, median {statistics.median(answers):.2f} s, longest {max(answers):.2f} s; {told}",
        flush=True,
    )
    return answers


def embedded_first(one: Watched, files: int) -> float:
    """Waits until all is embedded, asking meanwhile; the longest that an answer took once there was a first one."""
    began, answers, first = time.perf_counter(), list[float](), ""
    while not one.told:
        images, _paths, took = one.asked()
        if images:
            answers.append(took)
            first = first or f"the first after {time.perf_counter() - began:.1f} s, among {images}"
        time.sleep(1)
    later = answers[1:]  # the first one waits for the model to be opened
    print(
        f"{files} drawings embedded first: {time.perf_counter() - began:.0f} s, {one.seconds:.0f} s of the processor, "
        f"memory {one.memory} MiB (now, most); {len(answers)} answers meanwhile"
        + (f", {first}" if first else "")
        + (f", then median {statistics.median(later):.2f} s, longest {max(later):.2f} s" if later else ""),
        flush=True,
    )
    return max(later, default=0.0)


def idle_minute(one: Watched, seconds: float) -> float:
    """Seconds of the processor a minute while nothing happens."""
    spent, started = one.seconds, time.perf_counter()
    time.sleep(seconds)
    minute = (one.seconds - spent) / (time.perf_counter() - started) * 60
    print(f"idle: {minute:.2f} s of the processor a minute, memory {one.memory} MiB", flush=True)
    return minute


def changes(folder: Path, one: Watched) -> Iterator[tuple[str, Callable[[], object], Right, int]]:
    """Name of each change, what makes it, when an answer is right, and how many drawings are new."""
    from PIL import Image

    folders = sorted(path.name for path in folder.iterdir())
    yield (
        "a folder of 1,000 is renamed",
        lambda: (folder / folders[0]).rename(folder / "renamed"),
        lambda _n, paths: {p.partition("/")[0] for p in paths}.isdisjoint({folders[0]}),
        0,
    )
    names = sorted((folder / folders[1]).iterdir())[:100]
    yield (
        "100 files are moved and renamed",
        lambda: [path.rename(folder / "renamed" / f"moved {path.name}") for path in names],
        lambda _n, paths: sum("moved " in p for p in paths) == len(names),
        0,
    )
    count, whole = one.asked()[0], (folder / "renamed" / f"moved {names[0].name}").read_bytes()

    def written(n: int, name: str, content: bytes | None) -> None:
        file = folder / folders[1] / name
        if content is not None:
            file.write_bytes(content)
            return
        image = Image.new("RGB", (32, 32), (n % 256, n // 256, len(name)))
        image.putpixel((n % 31, n % 29), (255, 255, 255))
        image.save(file)

    half = whole[: len(whole) // 2]
    yield (
        "20 files come, half written",
        lambda: [written(n, f"half {n}.png", half) for n in range(20)],
        lambda n, _paths: n == count,
        0,
    )
    yield (
        "they are completed",
        lambda: [written(n, f"half {n}.png", None) for n in range(20)],
        lambda _n, paths: sum("half " in p for p in paths) == 20,
        20,
    )
    yield (
        f"{NEW} new ones come",
        lambda: [written(n, f"new {n:04}.png", None) for n in range(NEW)],
        lambda _n, paths: sum("new " in p for p in paths) == NEW,
        NEW,
    )
    yield (
        "a folder is removed",
        lambda: shutil.rmtree(folder / folders[-1]),
        lambda _n, paths: {p.partition("/")[0] for p in paths}.isdisjoint({folders[-1]}),
        0,
    )


def measured(files: int, idle: float, scratch: Path) -> int:
    """Does it all and prints what was seen; 1 where something was missed."""
    from indexing import make_many
    from steps import small_clip

    folder, home, model = scratch / "drawings", scratch / "h", small_clip(scratch / "model")
    make_many(folder, files)
    one = Watched(folder, home, model)
    longest = embedded_first(one, files)
    minute, held = idle_minute(one, idle), True
    answers: list[float] = []
    for name, work, right, new in changes(folder, one):
        times = len(one.told)
        answers += change(one, name, work, right)
        embedded = sum(int(text.split("; ")[1].split()[0]) for text in one.told[times:] if "are new" in text)
        if embedded > new:
            print(f"MISSED {embedded} were embedded, {new} are new")
            held = False
    print(f"memory at the end {one.memory} MiB (now, most), {one.seconds:.0f} s of the processor in all")
    one.end()
    middle = statistics.median(answers)
    for title, value, most in (
        ("longest seconds of an answer during the first embedding", longest, ANSWER),
        ("median seconds of an answer while things change", middle, ANSWER),
        ("idle, seconds of the processor a minute", minute, IDLE),
    ):
        held = held and value <= most
        print(f"{'holds ' if value <= most else 'MISSED'} {title} (at most {most:g}): {value:.3g}")
    return int(not held)


def main() -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100000)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of quiet that are measured")
    parser.add_argument("--child", nargs=3, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return watcher(*arguments.child)
    if arguments.files < 2500:
        parser.error("at least 2500 files, which are three folders")
    with tempfile.TemporaryDirectory(prefix="cw") as scratch:
        return measured(arguments.files, arguments.idle, Path(scratch))


if __name__ == "__main__":
    sys.exit(main())
