"""How fast a folder is indexed, beside the plain way and beside the encoder alone, in one run on the same images.

* `product`: `engine.index` on a new folder (reading it included), then again with another model of the same size, for
  which the prepared pixels are known already;
* `plain`: CLIPProcessor + CLIPModel in fp32, batch after batch, as their documentation shows it;
* `bare`: the bf16 vision tower on pixels that are ready in memory, nothing else: the roof.

Each round runs all three in turn, so that whatever else the machine does falls on all of them; medians count. Prints how
far bf16 vectors are from fp32 ones, and exits with 1 where a target is missed:

    python tests/benchmarks/indexing.py                         # ViT-B/32 geometry, 512 images of 600 to 2000 px
    python tests/benchmarks/indexing.py --images 64 --rounds 1  # a small trial
    python tests/benchmarks/indexing.py --model starter
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
NEAR, SAME_TOP, SHARE, TIMES = 0.999, 0.9, 0.85, 3.0


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


def plain(model: Path, _other: Path, folder: Path) -> dict[str, Any]:
    """CLIPProcessor and CLIPModel, fp32."""
    import torch
    from PIL import Image
    from transformers import CLIPModel, CLIPProcessor

    processor = CLIPProcessor.from_pretrained(model)
    net = CLIPModel.from_pretrained(model, dtype=torch.float32).eval()
    paths = drawings(folder)
    began = time.perf_counter()
    with torch.no_grad():
        for start in range(0, len(paths), BATCH):
            images = [Image.open(path).convert("RGB") for path in paths[start : start + BATCH]]
            net.get_image_features(**processor(images=images, return_tensors="pt"))
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


RUNS = {"product": product, "plain": plain, "bare": bare}


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


def _report(found: Sequence[dict[str, dict[str, Any]]], count: int) -> int:
    def median(name: str, part: str = "") -> float:
        return statistics.median((r[name][part] if part else r[name])["seconds"] for r in found)

    first, again = median("product", "first"), median("product", "again")
    plain_s, bare_s = median("plain"), median("bare")
    encode = statistics.median(r["product"]["again"]["phases"]["index"] for r in found)
    rows = (
        ("product, first index", first), ("product, pixels known", again), ("  of it, embedding alone", encode),
        ("plain fp32 loop", plain_s), ("bare bf16 encoder", bare_s),
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
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, *rest = arguments.child
        print(json.dumps(RUNS[name](*map(Path, rest))))
        return 0
    from training import make_images

    with tempfile.TemporaryDirectory() as scratch:
        models = _models(arguments.model, Path(scratch))
        folder = Path(scratch) / "drawings"
        make_images(folder, arguments.images)
        print(f"{arguments.images} images, {os.cpu_count()} cores, {arguments.rounds} rounds", flush=True)
        found = [{name: measured(name, *models, folder) for name in RUNS} for _ in range(arguments.rounds)]
    return _report(found, arguments.images)


if __name__ == "__main__":
    sys.exit(main())
