"""What a device makes of the program: a table for any graphics card, or for the processor, in a few minutes.

Each row is a ratio within one process on the same images and model, ViT-B/32 geometry with random weights:

* a step of the attention preset at two batch sizes, and one of the projection preset, beside a plain loop with PEFT on
  inputs that are ready on the device, in the same precision, and beside the towers' own forward and backward passes;
* a first index beside a loop of as many threads as there are cores;
* where a step's time goes: the operations that take most of it, and the share of the time that is accounted for;
* whether two runs of some steps from one seed give the same bits;
* a step computed plainly beside one that is repeated from recordings (`hardware.graphs`), and which of them a training chose here.

    python tests/benchmarks/device.py                # the fastest device here
    python tests/benchmarks/device.py --smoke        # a small model and few images: only whether it works
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from steps import Contenders, draw, small_clip

PLAIN = {"train.preservation": 0.0, "train.smoothing": 0.0, "train.initialization": "zero"}


def wait(kind: str) -> None:
    """Until the device has done what it was given."""
    import torch

    if kind != "cpu":
        getattr(torch, kind).synchronize()


def seconds(work: Callable[[int], object], kind: str, steps: int) -> float:
    """Seconds of one call in a row of them, the first two not counted."""
    for step in range(2):
        work(step)
    wait(kind)
    began = time.perf_counter()
    for step in range(steps):
        work(step)
    wait(kind)
    return (time.perf_counter() - began) / steps


def step_rows(model: Path, folder: Path, scratch: Path, kind: str, smoke: bool) -> None:
    """The table of steps, and a profile of one."""
    print(
        f"{'':<24}{'step ms':>9}{'towers ms':>11}{'plain ms':>10}{'plain / ours':>14}{'images/s':>10}{'peak MB':>9}"
    )
    cases = [("attention", 16 if smoke else 32), ("attention", 32 if smoke else 256), ("projection", 32)]
    for number, (preset, batch) in enumerate(cases):
        home = scratch / f"home{number}"
        home.mkdir()
        changes: dict[str, object] = {
            **PLAIN, "hardware.device": kind, "hardware.precision": "auto", "train.batch_size": batch,
        }  # fmt: skip
        if kind == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
        who = Contenders(model, folder, home, preset, changes)
        count = 3 if smoke else 20 if kind != "cpu" or preset == "projection" else 3
        recorded, who.ready.step.captured = who.ready.step.captured, None
        with who.ready.step.computing():
            ours, towers, plain = (seconds(work, kind, count) for work in (who.step, who.model, who.loop))
        print(
            f"{preset + f', batch {batch}':<24}{ours * 1e3:>9.2f}{towers * 1e3:>11.2f}{plain * 1e3:>10.2f}"
            f"{plain / ours:>14.2f}{batch / ours:>10.0f}{_peak(kind) / 1e6:>9.0f}",
            flush=True,
        )
        if number == 0:
            profile(who, kind)
            repeats(who)
        who.ready.step.captured = recorded
        recorded_row(who, kind, ours, count)


def recorded_row(who: Contenders, kind: str, plain: float, count: int) -> None:
    """Prints what a step takes where it may be repeated from recordings, and whether it is."""
    chosen = who.ready.step.captured
    if chosen is None:
        print("  recorded steps: no recorder here")
        return
    with who.ready.step.computing():
        for step in range(count + 12):  # until shapes came often enough, were recorded and were tried
            who.step(step)
        found = seconds(lambda step: who.step(count + 12 + step), kind, count)
    print(
        f"  recorded steps: {found * 1e3:.2f} ms, plainly {plain * 1e3:.2f} ms, ratio {plain / found:.2f}; "
        f"{chosen.count} recordings in use; {chosen.told}",
        flush=True,
    )


def _peak(kind: str) -> float:
    import torch
    from training_contenders import peak_memory

    return float(torch.cuda.max_memory_allocated()) if kind == "cuda" else float(peak_memory())


def profile(who: Contenders, kind: str) -> None:
    """Prints the operations that take most of three steps."""
    import torch
    from torch.profiler import ProfilerActivity

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if kind == "cuda" else [])]
    began = time.perf_counter()
    with torch.profiler.profile(activities=activities) as found, who.ready.step.computing():
        for step in range(3):
            who.step(step)
        wait(kind)
    whole = time.perf_counter() - began
    key = "self_device_time_total" if kind == "cuda" else "self_cpu_time_total"
    rows = sorted(found.key_averages(), key=lambda row: -getattr(row, key))
    known = sum(getattr(row, key) for row in rows) / 1e6
    print(f"  a step's operations, {known / whole:.0%} of its time accounted for:")
    for row in rows[:8]:
        print(f"    {row.key[:44]:<46}{getattr(row, key) / 1e3 / 3:>9.2f} ms{row.count // 3:>6} times")


def repeats(who: Contenders) -> None:
    """Says whether the same steps from the same start end in the same bits."""
    import torch

    ends = []
    first, moments = who.ready.adapter.state(), who.ready.step.state()
    for _ in range(2):
        who.ready.adapter.load_state(first)
        who.ready.step.load_state(moments, {})
        for step in range(3):
            who.step(step)
        ends.append(who.ready.adapter.state())
    same = all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
    print(f"  three steps twice from one state: {'the same bits' if same else 'other bits'}")


def index_row(model: Path, folder: Path, scratch: Path, kind: str) -> None:
    """A first index beside a loop on all cores."""
    from concurrent.futures import ThreadPoolExecutor

    import torch
    from PIL import Image
    from transformers import CLIPImageProcessorPil, CLIPModel

    from clip_atelier.engine import settings
    from clip_atelier.engine.core import Control, drive
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import ModelRef, load_model, open_gallery

    hardware = settings.build({"hardware.device": kind}).hardware
    opened = load_model(ModelRef(model=str(model), hardware=hardware), Models(scratch))
    began = time.perf_counter()
    count = len(drive(open_gallery(folder, opened, scratch, Control())).items)
    ours = time.perf_counter() - began
    net = CLIPModel.from_pretrained(model, dtype=torch.float32).eval().to(kind)
    size = net.config.vision_config.image_size
    square = {"height": size, "width": size}
    processor: Any = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size=square)

    def ready(path: Path) -> torch.Tensor:
        found: torch.Tensor = processor(images=Image.open(path).convert("RGB"), return_tensors="pt")[
            "pixel_values"
        ]
        return found

    paths = sorted(folder.glob("*.png"))
    began = time.perf_counter()
    with torch.no_grad(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), 256):
            pixels = torch.cat(list(pool.map(ready, paths[start : start + 256]))).to(kind)
            net.get_image_features(pixel_values=pixels).pooler_output.cpu()
    plain = time.perf_counter() - began
    print(
        f"{'first index':<24}{count / ours:>9.0f} images/s, plain loop {len(paths) / plain:.0f}, ratio {plain / ours:.2f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps or xpu")
    arguments = parser.parse_args()
    import torch

    from clip_atelier.engine import settings
    from clip_atelier.engine.models import device
    from clip_folder import vit_b_32

    chosen = device.choose(settings.build({"hardware.device": arguments.device}).hardware)
    print(
        f"{chosen.title()} ({chosen.kind}, {chosen.precision}), {os.cpu_count()} cores, torch {torch.__version__}"
    )
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        model = small_clip(scratch / "model") if arguments.smoke else vit_b_32(scratch / "model")
        folder = scratch / "drawings"
        draw(folder)
        step_rows(model, folder, scratch, chosen.kind, arguments.smoke)
        index_row(model, folder, scratch, chosen.kind)
    return 0


if __name__ == "__main__":
    sys.exit(main())
