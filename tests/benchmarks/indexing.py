"""How fast a folder is indexed, beside the plain way and beside the encoder alone, in one run on the same images.

* `product`: `engine.index` on a new folder (reading it included), then again with another model of the same size, for
  which the prepared pixels are known already;
* `one_core`: the same on one core, to see how it scales;
* `plain`: CLIPProcessor + CLIPModel in fp32, batches of 32, one thread, as their documentation shows it;
* `threads`: the same with images decoded and prepared by as many threads as there are cores, batches of 256;
* `bare`: the bf16 vision tower on pixels that are ready in memory, nothing else: the roof.

Images are of 4 megapixels, half PNG and half JPEG. Each round runs all in turn, so that whatever else the machine does falls on all of them; medians count. Prints how
far bf16 vectors are from fp32 ones, and exits with 1 where a target is missed:

    python tests/benchmarks/indexing.py                         # ViT-B/32 geometry, 512 images
    python tests/benchmarks/indexing.py --images 64 --rounds 1  # a small trial
    python tests/benchmarks/indexing.py --model starter

With --many N: does memory stay flat? N small drawings, no two alike, by a model of width 32, and the memory of the process at
every tenth of the way. What must grow is the collection's own list and the vectors, which are stated beside it:

    python tests/benchmarks/indexing.py --many 100000
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

BATCH = 64
SIDE = 2000
NEAR, SAME_TOP, SHARE, TIMES, TIMES_THREADS, PER_CORE = 0.999, 0.9, 0.85, 3.5, 1.2, 0.8
FLAT = 0.25  # KiB that a drawing may add while drawings are embedded


def make_scans(folder: Path, count: int) -> None:
    """Drawings of 4 megapixels on paper that is not quite even, half PNG, half JPEG."""
    import random

    import numpy as np
    from PIL import Image, ImageDraw

    chance = random.Random(0)
    grain = np.random.default_rng(0).integers(0, 6, (SIDE, SIDE, 3), np.uint8)
    folder.mkdir(parents=True)
    for n in range(count):
        image = Image.fromarray(np.roll(grain, n * 7, axis=1) + 244)
        pen = ImageDraw.Draw(image)
        for _ in range(40):
            points = [(chance.randrange(SIDE), chance.randrange(SIDE)) for _ in range(4)]
            pen.line(
                points, fill=tuple(chance.randrange(200) for _ in range(3)), width=chance.randrange(3, 14)
            )
        if n % 2:
            image.save(folder / f"{n:05d}.jpg", quality=92)
        else:
            image.save(folder / f"{n:05d}.png", compress_level=1)


def drawings(folder: Path) -> list[Path]:
    """The images of the folder, ordered."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))


def product(model: Path, other: Path, folder: Path) -> dict[str, Any]:
    """Seconds of a first index by its phases, of an index by another model, and what was stored."""
    import numpy as np

    from clip_atelier.engine import settings
    from clip_atelier.engine.core import Control, Event, Phase
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import ModelRef, load_model, open_gallery
    from clip_atelier.engine.search.gallery import Gallery

    found: dict[str, Any] = {}
    rows: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as home:
        models = Models(Path(home))
        for name, weights, precision in (
            ("first", model, "auto"), ("again", other, "auto"), ("exact", model, "fp32"),
        ):  # fmt: skip
            hardware = settings.build({"hardware.precision": precision}).hardware
            opened = load_model(ModelRef(model=str(weights), hardware=hardware), models)
            began = time.perf_counter()
            phases: list[tuple[str, float]] = []

            def note(event: Event, phases: list[tuple[str, float]] = phases) -> None:
                if isinstance(event, Phase):
                    phases.append((event.name, time.perf_counter()))

            work, gallery = open_gallery(folder, opened, Path(home), Control()), None
            while gallery is None:
                try:
                    note(next(work))
                except StopIteration as end:
                    gallery = end.value
            assert isinstance(gallery, Gallery)
            ends = [*(moment for _name, moment in phases[1:]), time.perf_counter()]
            found[name] = {
                "seconds": time.perf_counter() - began,
                "phases": {p: end - start for (p, start), end in zip(phases, ends, strict=True)},
                "precision": opened.clip.device.precision,
            }
            rows[name] = gallery.base
    half, exact = rows["first"], rows["exact"]
    top = 10
    nearest = [np.argsort(-(v @ v.T), axis=1, kind="stable")[:, 1 : top + 1] for v in (half, exact)]
    shared = [len(set(a) & set(b)) / top for a, b in zip(*nearest, strict=True)]
    return found | {"cosine": float(np.sum(half * exact, axis=1).min()), "top_10": statistics.mean(shared)}


def one_core(model: Path, other: Path, folder: Path) -> dict[str, Any]:
    """The product on one core, where the system lets a process choose."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return product(model, other, folder)


def plain(model: Path, _other: Path, folder: Path) -> dict[str, Any]:
    """CLIPProcessor and CLIPModel, fp32, one thread, batches of 32."""
    import torch

    torch.set_num_threads(1)
    return _loop(model, folder, 32, 1)


def threads(model: Path, _other: Path, folder: Path) -> dict[str, Any]:
    """The same on all cores: as many threads decode and prepare, batches of 256."""
    return _loop(model, folder, 256, os.cpu_count() or 1)


def _loop(model: Path, folder: Path, batch: int, workers: int) -> dict[str, Any]:
    from concurrent.futures import ThreadPoolExecutor

    import torch
    from PIL import Image
    from transformers import CLIPModel, CLIPProcessor

    processor = CLIPProcessor.from_pretrained(model)
    net = CLIPModel.from_pretrained(model, dtype=torch.float32).eval()

    def prepare(path: Path) -> torch.Tensor:
        found: torch.Tensor = processor(images=Image.open(path).convert("RGB"), return_tensors="pt")[
            "pixel_values"
        ]
        return found

    paths = drawings(folder)
    began = time.perf_counter()
    with torch.no_grad(), ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(paths), batch):
            net.get_image_features(
                pixel_values=torch.cat(list(pool.map(prepare, paths[start : start + batch])))
            )
    return {"seconds": time.perf_counter() - began}


def bare(model: Path, _other: Path, folder: Path) -> dict[str, Any]:
    """The bf16 tower on ready pixels: random ones, since speed does not depend on them."""
    import torch
    from transformers import CLIPModel

    net = CLIPModel.from_pretrained(model, dtype=torch.bfloat16).eval()
    size, count = net.config.vision_config.image_size, len(drawings(folder))
    pixels = torch.randn(BATCH, 3, size, size, dtype=torch.bfloat16)
    with torch.inference_mode():
        net.get_image_features(pixel_values=pixels)
        began = time.perf_counter()
        for start in range(0, count, BATCH):
            net.get_image_features(pixel_values=pixels[: min(BATCH, count - start)])
    return {"seconds": time.perf_counter() - began}


def make_many(folder: Path, count: int) -> None:
    """Small drawings, 1,000 to a folder: a few drawn ones, each copy with a mark of its own that makes it another picture."""
    from PIL import Image, ImageDraw

    templates = []
    for n in range(16):
        image = Image.new("RGB", (32, 32), (250, 248, 240))
        ImageDraw.Draw(image).line(
            [(n * 2, 0), (31 - n, 31), (16, n)], fill=(n * 12, 90, 200 - n * 9), width=3
        )
        templates.append(image)
    for n in range(count):
        image = templates[n % len(templates)].copy()
        image.putpixel((n % 29, n % 31), (n & 255, n >> 8 & 255, n >> 16 & 255))
        place = folder / f"{n // 1000:03d}"
        if n % 1000 == 0:
            place.mkdir(parents=True)
        image.save(place / f"{n:06d}.png", compress_level=1)


def many(model: Path, folder: Path) -> dict[str, Any]:
    """Memory of this process along a first index of a large folder, in MiB by phase and drawings done."""
    import psutil
    from training_contenders import peak_memory

    from clip_atelier.engine import settings
    from clip_atelier.engine.core import Control, Event, Phase, Progress
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import ModelRef, load_model, open_gallery
    from clip_atelier.engine.search.gallery import Gallery

    process = psutil.Process()
    seen: list[tuple[str, int, float, float]] = []
    phase, next_at = "", 0
    with tempfile.TemporaryDirectory() as home:
        hardware = settings.build({"hardware.device": "cpu"}).hardware
        opened = load_model(ModelRef(model=str(model), hardware=hardware), Models(Path(home)))

        def note(event: Event) -> None:
            nonlocal phase, next_at
            if isinstance(event, Phase):
                phase, next_at = event.name, 0
            done = event.done if isinstance(event, Progress) else 0
            if done >= next_at or isinstance(event, Phase):
                seen.append((phase, done, process.memory_info().rss / (1 << 20), peak_memory() / (1 << 20)))
                total = event.total if isinstance(event, Progress) else 0
                next_at = done + max(1, total // 10)

        began, work, gallery = time.process_time(), open_gallery(folder, opened, Path(home), Control()), None
        while gallery is None:
            try:
                note(next(work))
            except StopIteration as end:
                gallery = end.value
        assert isinstance(gallery, Gallery)
        return {
            "seen": seen,
            "images": len(gallery.items),
            "vectors": (gallery.base.nbytes) / (1 << 20),
            "end": process.memory_info().rss / (1 << 20),
            "peak": peak_memory() / (1 << 20),
            "seconds": time.process_time() - began,
        }


def _report_many(found: dict[str, Any]) -> int:
    """Prints memory along the way; 1 where it grew more than a drawing's place in the list and its vector explain."""
    for phase, done, size, peak in found["seen"]:
        print(f"{phase:<10}{done:>9}{size:>9.0f} MiB, most so far {peak:.0f}")
    print(
        f"{found['images']} drawings, {found['seconds']:.0f} s of the processor, {found['end']:.0f} MiB at the end, most {found['peak']:.0f}"
    )
    embedding = [size for phase, done, size, _peak in found["seen"] if phase == "index" and done]
    grown = (embedding[-1] - embedding[0]) / found["images"] * 1024
    print(f"vectors {found['vectors']:.0f} MiB; while embedding memory grew by {grown:.2f} KiB a drawing")
    holds = grown <= FLAT
    print(f"{'holds ' if holds else 'MISSED'} growth while embedding (at most {FLAT:g} KiB a drawing)")
    return int(not holds)


RUNS = {"product": product, "one_core": one_core, "plain": plain, "threads": threads, "bare": bare}


def measured(name: str, *arguments: Path) -> dict[str, Any]:
    """One contender in a process of its own."""
    ended = subprocess.run(
        [sys.executable, __file__, "--child", name, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _models(wanted: str, scratch: Path) -> tuple[Path, Path]:
    """The model and another one of the same size, whose prepared pixels are the same."""
    import shutil

    from safetensors.torch import load_file, save_file
    from transformers import CLIPImageProcessor

    from clip_atelier.engine.core import paths
    from clip_folder import vit_b_32

    if wanted == "vit-b-32":
        model = vit_b_32(scratch / "vit-b-32")
        CLIPImageProcessor().save_pretrained(model)
    else:
        # A copy: `plain` needs the files of a processor beside it.
        model = scratch / "model"
        shutil.copytree(paths.starter_model() if wanted == "starter" else Path(wanted), model)
    other = scratch / "other"
    shutil.copytree(model, other)
    weights = load_file(other / "model.safetensors")
    weights["visual_projection.weight"] = weights["visual_projection.weight"].flip(0).contiguous()
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    return model, other


def _seconds(told: dict[str, Any]) -> str:
    if "seconds" in told:
        return f"{told['seconds']:.2f} s"
    return ", ".join(f"{part} {told[part]['seconds']:.2f} s" for part in ("first", "again") if part in told)


def _report(found: Sequence[dict[str, dict[str, Any]]], count: int) -> int:
    def median(name: str, part: str = "") -> float:
        return statistics.median((r[name][part] if part else r[name])["seconds"] for r in found)

    first, again = median("product", "first"), median("product", "again")
    cores = os.cpu_count() or 1
    alone = median("one_core", "first")
    plain_s, threads_s, bare_s = median("plain"), median("threads"), median("bare")
    encode = statistics.median(r["product"]["again"]["phases"]["index"] for r in found)
    rows = (
        ("product, first index", first), ("product on one core", alone), ("product, pixels known", again), ("  of it, embedding alone", encode),
        ("plain fp32 loop, 1 thread", plain_s),
        ("the same, all threads", threads_s), ("bare bf16 encoder", bare_s),
    )  # fmt: skip
    for title, seconds in rows:
        print(f"{title:<26} {seconds:8.2f} s {count / seconds:8.1f} images/s")
    for part in ("first", "again"):
        phases = found[-1]["product"][part]["phases"]
        print(f"where the time of “{part}” goes: " + ", ".join(f"{k} {v:.2f} s" for k, v in phases.items()))
    cosine = min(r["product"]["cosine"] for r in found)
    top = statistics.median(r["product"]["top_10"] for r in found)
    checks = (
        (f"first index, times the plain loop's speed (at least {TIMES:g})", plain_s / first, TIMES),
        (
            f"first index, times the loop's on all threads (at least {TIMES_THREADS:g})",
            threads_s / first,
            TIMES_THREADS,
        ),
        (f"speed per core, share of one core's own (at least {PER_CORE:g})", alone / first / cores, PER_CORE),
        (f"pixels known, share of the bare encoder's speed (at least {SHARE:g})", bare_s / encode, SHARE),
        (f"lowest cosine to fp32 (at least {NEAR:g})", cosine, NEAR),
        (f"top 10 shared with fp32 (at least {SAME_TOP:g})", top, SAME_TOP),
    )
    for title, value, least in checks:
        print(f"{'holds ' if value >= least else 'MISSED'} {title}: {value:.4g}")
    print(f"for comparison, first index is {bare_s / first:.2f} of the bare encoder, decoding included")
    return int(any(value < least for _title, value, least in checks))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="vit-b-32", help="vit-b-32, starter, or a Hugging Face folder")
    parser.add_argument("--many", type=int, default=0, help="so many small drawings, only memory")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.many:
        from steps import small_clip

        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "drawings"
            make_many(folder, arguments.many)
            print(f"{arguments.many} drawings made", flush=True)
            return _report_many(many(small_clip(Path(scratch) / "model"), folder))
    if arguments.child:
        name, *rest = arguments.child
        print(json.dumps(RUNS[name](*map(Path, rest))))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        models = _models(arguments.model, Path(scratch))
        folder = Path(scratch) / "drawings"
        make_scans(folder, arguments.images)
        print(f"{arguments.images} images, {os.cpu_count()} cores, {arguments.rounds} rounds", flush=True)
        found: list[dict[str, dict[str, Any]]] = []
        for _round in range(arguments.rounds):
            found.append({})
            for name in RUNS:
                found[-1][name] = measured(name, *models, folder)
                # As it comes, so that a run that is ended early has told what it found.
                print(f"  {name}: {_seconds(found[-1][name])}", flush=True)
    return _report(found, arguments.images)


if __name__ == "__main__":
    sys.exit(main())
