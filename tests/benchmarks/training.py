"""How fast training is beside the ways it is usually taught, on the same images, model, batches and seed.

Contenders, each in a process of its own:

* `ours`: the product's own steps, decoding and frozen parts included;
* `trainer`: Hugging Face Trainer + PEFT with CLIPProcessor, as their documentation teaches it;
* `loop`: a plain torch loop in the manner of CLIP-LoRA (tokens padded in full, images prepared at every step, fp32);
* `roof`: the machine's own matrix product in bf16 and fp32, for the share of it that a step of ours reaches.

Each round runs all of them in turn, so that whatever else the machine does falls on all; medians over rounds of the
ratios within a round count. Processor seconds stand beside the wall's: they hardly change with the load. A rival does
the same work in every epoch, so it runs two and the rest is reckoned from the second. Exits with 1 where a target is
missed. Everything takes about three quarters of an hour on two idle cores; a small trial a few minutes:

    python tests/benchmarks/training.py                                 # ViT-B/32 geometry, random weights, 512 images
    python tests/benchmarks/training.py --images 64 --rounds 1 --preset attention
    python tests/benchmarks/training.py --model starter
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from training_contenders import BATCH, EPOCHS, RIVAL_EPOCHS, RUNS, TARGETS

# Times the Trainer's speed over all epochs, and per later epoch; 0: nothing is asked.
ASKED = {"attention": (6.0, 0.0), "projection": (30.0, 500.0)}
QUIET = {
    "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore::FutureWarning",
}  # fmt: skip


def make_images(folder: Path, count: int) -> None:
    """Drawings of many strokes on paper, as large as scans are, with a caption each."""
    import random

    from PIL import Image, ImageDraw

    chance = random.Random(0)
    folder.mkdir(parents=True)
    rows = ["file_name,text"]
    things = "cat dog house tree boat lamp chair bird fish flower cloud hand".split()
    for n in range(count):
        size = (chance.randrange(600, 2000), chance.randrange(600, 2000))
        image = Image.new("RGB", size, (250, 248, 240))
        pen = ImageDraw.Draw(image)
        for _ in range(60):
            points = [(chance.randrange(size[0]), chance.randrange(size[1])) for _ in range(4)]
            pen.line(
                points, fill=tuple(chance.randrange(200) for _ in range(3)), width=chance.randrange(2, 12)
            )
        name = f"{n:04d}.{'jpg' if n % 2 else 'png'}"
        image.save(folder / name, quality=90)
        rows.append(f"{name},a drawing of a {things[n % len(things)]} number {n}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


# The contenders. Each returns its seconds per epoch by both clocks, and its peak memory.


def measured(name: str, model: Path, folder: Path, kind: str, epochs: int) -> dict[str, Any]:
    """One contender in a process of its own."""
    ended = subprocess.run(
        [sys.executable, __file__, "--child", name, str(model), str(folder), kind, str(epochs)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **QUIET},
    )
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    if name != "roof":
        shown = {clock: [round(s, 3) for s in found[clock][:3]] for clock in ("wall", "processor")}
        print(
            f"  {name:<8} epochs {shown['wall']} s, processor {shown['processor']} s, "
            f"peak {found['memory'] >> 20} MiB",
            flush=True,
        )
    return found


def later(found: dict[str, Any], clock: str) -> float:
    """Seconds of an epoch after the first one."""
    return float(statistics.median(found[clock][1:] or found[clock]))


def whole(found: dict[str, Any], clock: str, epochs: int) -> float:
    """Seconds of a number of epochs, those not run reckoned from the later ones."""
    seconds = found[clock][:epochs]
    return float(sum(seconds)) + (epochs - len(seconds)) * later(found, clock)


def share_of_roof(round_: dict[str, dict[str, Any]], clock: str) -> float:
    """Time that our step's matrix products take at the machine's best, as a share of the step's own time."""
    mine, best = round_["ours"], round_["roof"]
    ideal = sum(count / best[kind][clock] for kind, count in mine["operations"].items())
    return float(ideal * mine["steps"] / later(mine, clock))


def report(rounds: Sequence[dict[str, dict[str, Any]]], kind: str, epochs: int, images: int) -> bool:
    """Prints medians and what is asked; returns whether all of it holds."""
    middle = statistics.median
    print(
        f"{'':<10}{'images/s':>10}{'later epoch':>14}{'processor s':>14}{'later epoch':>14}{'peak MiB':>10}"
    )
    for name in ("ours", "trainer", "loop"):
        found = [each[name] for each in rounds]
        print(
            f"{name:<10}{epochs * images / middle(whole(f, 'wall', epochs) for f in found):>10.1f}"
            f"{middle(later(f, 'wall') for f in found):>12.3f} s"
            f"{middle(whole(f, 'processor', epochs) for f in found):>14.2f}"
            f"{middle(later(f, 'processor') for f in found):>12.3f} s"
            f"{middle(f['memory'] >> 20 for f in found):>10.0f}"
        )
    ratios: dict[tuple[str, str], list[float]] = {}
    for rival in ("trainer", "loop"):
        for clock in ("wall", "processor"):
            ratios[rival, clock] = [
                middle(whole(r[rival], clock, epochs) / whole(r["ours"], clock, epochs) for r in rounds),
                middle(later(r[rival], clock) / later(r["ours"], clock) for r in rounds),
            ]
            total, each = ratios[rival, clock]
            print(
                f"{clock}: {total:.1f} times as fast as {rival}, decoding included; {each:.1f} per later epoch"
            )
    best = {kind: middle(r["roof"][kind]["wall"] for r in rounds) / 1e12 for kind in ("bfloat16", "float32")}
    shares = {clock: middle(share_of_roof(r, clock) for r in rounds) for clock in ("wall", "processor")}
    counts = {kind: f"{count / 1e9:.3g}" for kind, count in rounds[0]["ours"]["operations"].items()}
    print(
        f"matrix product bf16 {best['bfloat16']:.2f}, fp32 {best['float32']:.2f} TFLOP/s; operations of a step, in 10⁹: "
        f"{counts}; share of the roof {shares['wall']:.2f} by the wall, {shares['processor']:.2f} by the processors"
    )
    memory = middle(r["ours"]["memory"] / r["trainer"]["memory"] for r in rounds)
    (total, each), (asked, asked_later) = ratios["trainer", "wall"], ASKED[kind]
    checks = [
        (f"{epochs} epochs, times the Trainer's speed (at least {asked:g})", total, total >= asked),
        ("peak memory, share of the Trainer's (at most 1)", memory, memory <= 1),
    ]
    if asked_later:
        checks.append((f"a later epoch (at least {asked_later:g})", each, each >= asked_later))
    for title, value, holds in checks:
        print(f"{'holds ' if holds else 'MISSED'} {title}: {value:.4g}")
    return all(holds for _title, _value, holds in checks)


def prepared(wanted: str, scratch: Path) -> Path:
    """The model's folder, with the files of a processor that the rivals need."""
    from transformers import CLIPImageProcessor, CLIPModel

    from clip_atelier.engine.core import paths
    from clip_folder import vit_b_32

    if wanted == "vit-b-32":
        model = vit_b_32(scratch / "vit-b-32")
    else:
        model = scratch / "model"
        shutil.copytree(paths.starter_model() if wanted == "starter" else Path(wanted), model)
    if not (model / "preprocessor_config.json").exists():
        size = CLIPModel.config_class.from_pretrained(model).vision_config.image_size
        square = {"height": size, "width": size}
        CLIPImageProcessor(size={"shortest_edge": size}, crop_size=square).save_pretrained(model)
    return model


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", choices=TARGETS, help="default: both")
    parser.add_argument("--model", default="vit-b-32", help="vit-b-32, starter, or a Hugging Face folder")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, model, folder, kind, epochs = arguments.child
        print(json.dumps(RUNS[name](Path(model), Path(folder), kind, int(epochs))))
        return 0
    if arguments.images < BATCH or arguments.rounds < 1:
        parser.error(f"at least {BATCH} images and one round")
    held = True
    with tempfile.TemporaryDirectory() as scratch:
        model, folder = prepared(arguments.model, Path(scratch)), Path(scratch) / "drawings"
        images = arguments.images // BATCH * BATCH  # whole batches: what is done with a rest differs
        make_images(folder, images)
        print(
            f"{images} images, batch {BATCH}, {os.cpu_count()} cores, {arguments.rounds} rounds", flush=True
        )
        for kind in [arguments.preset] if arguments.preset else list(TARGETS):
            print(f"{kind} LoRA, r=8 on {', '.join(TARGETS[kind])}, {EPOCHS[kind]} epochs")
            rounds = [
                {
                    name: measured(
                        name, model, folder, kind, EPOCHS[kind] if name == "ours" else RIVAL_EPOCHS
                    )
                    for name in RUNS
                }
                for _ in range(arguments.rounds)
            ]
            held = report(rounds, kind, EPOCHS[kind], images) and held
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
