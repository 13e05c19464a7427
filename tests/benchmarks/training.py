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
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

BATCH = 32
RIVAL_EPOCHS = 2
EPOCHS = {"attention": 3, "projection": 20}
TARGETS = {"attention": ["q_proj", "v_proj"], "projection": ["visual_projection"]}
ALPHA = {"attention": 16, "projection": 32}
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


def peak_memory() -> int:
    """Most memory of this process so far, in bytes."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # On Linux ru_maxrss of a started process begins with its parent's memory; this one begins with its own.
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def clocks() -> tuple[float, float]:
    """Seconds of the wall, and of all processors that worked for this process."""
    return time.perf_counter(), time.process_time()


def spans(moments: Sequence[tuple[float, float]]) -> dict[str, list[float]]:
    """Seconds between each two moments that follow each other, by both clocks."""
    pairs = list(itertools.pairwise(moments))
    return {"wall": [b[0] - a[0] for a, b in pairs], "processor": [b[1] - a[1] for a, b in pairs]}


# The contenders. Each returns its seconds per epoch by both clocks, and its peak memory.


def rival_trainer(model: Path, folder: Path, kind: str, epochs: int) -> dict[str, Any]:
    """Trainer + PEFT + CLIPProcessor."""
    import csv

    import torch
    from peft import LoraConfig, get_peft_model
    from PIL import Image
    from transformers import CLIPModel, CLIPProcessor, Trainer, TrainerCallback, TrainingArguments

    processor = CLIPProcessor.from_pretrained(model)
    net = get_peft_model(
        CLIPModel.from_pretrained(model, dtype=torch.float32),
        LoraConfig(r=8, lora_alpha=ALPHA[kind], target_modules=TARGETS[kind], lora_dropout=0.1, bias="none"),
    )
    with (folder / "metadata.csv").open() as stream:
        rows = list(csv.DictReader(stream))

    class Drawings(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            image = Image.open(folder / rows[index]["file_name"]).convert("RGB")
            inputs = processor(
                text=rows[index]["text"],
                images=image,
                return_tensors="pt",
                padding="max_length",
                truncation=True,
            )
            return {key: value.squeeze(0) for key, value in inputs.items()} | {"return_loss": True}

    moments: list[tuple[float, float]] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            moments.append(clocks())

        def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
            moments.append(clocks())

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        keys = [key for key in rows[0] if key != "return_loss"]
        return {key: torch.stack([row[key] for row in rows]) for key in keys} | {"return_loss": True}

    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out, per_device_train_batch_size=BATCH, num_train_epochs=epochs, learning_rate=3e-4, seed=0,
            remove_unused_columns=False, report_to=[], save_strategy="no", use_cpu=True, dataloader_drop_last=True,
            disable_tqdm=True, logging_strategy="no",
        )  # fmt: skip
        trainer = Trainer(
            model=net, args=arguments, train_dataset=Drawings(), data_collator=collate, callbacks=[Clock()]
        )
        trainer.train()
    return spans(moments) | {"memory": peak_memory()}


def rival_loop(model: Path, folder: Path, kind: str, epochs: int) -> dict[str, Any]:
    """A plain torch loop, tokens padded to the model's whole context."""
    import csv

    import torch
    from peft import LoraConfig, get_peft_model
    from PIL import Image
    from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

    prepare, tokenizer = CLIPImageProcessor.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    net = get_peft_model(
        CLIPModel.from_pretrained(model, dtype=torch.float32),
        LoraConfig(r=8, lora_alpha=ALPHA[kind], target_modules=TARGETS[kind], lora_dropout=0.1, bias="none"),
    ).train()
    with (folder / "metadata.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    optimizer = torch.optim.AdamW(
        [p for p in net.parameters() if p.requires_grad], lr=2e-4, weight_decay=1e-2
    )
    context = net.config.text_config.max_position_embeddings
    moments = [clocks()]
    for epoch in range(epochs):
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(epoch)).tolist()
        for start in range(0, len(rows) - BATCH + 1, BATCH):
            part = [rows[i] for i in order[start : start + BATCH]]
            images = [Image.open(folder / row["file_name"]).convert("RGB") for row in part]
            pixels = prepare(images, return_tensors="pt")["pixel_values"]
            texts = [row["text"] for row in part]
            ids = tokenizer(
                texts, padding="max_length", max_length=context, truncation=True, return_tensors="pt"
            )
            x = net.get_image_features(pixel_values=pixels).pooler_output
            y = net.get_text_features(ids["input_ids"], ids["attention_mask"]).pooler_output
            logits = 100 * torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T
            target = torch.arange(len(part))
            loss = (
                torch.nn.functional.cross_entropy(logits, target)
                + torch.nn.functional.cross_entropy(logits.T, target)
            ) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        moments.append(clocks())
    return spans(moments) | {"memory": peak_memory()}


def ours(model: Path, folder: Path, kind: str, epochs: int) -> dict[str, Any]:
    """The product's own steps: decoding, frozen parts and training; measuring retrieval is not part of the rivals.

    After the last epoch one more step is taken to count the operations of its matrix products, by number format.
    """
    from clip_atelier.engine import settings
    from clip_atelier.engine.core import Control, drive
    from clip_atelier.engine.data import ImageCache, scan
    from clip_atelier.engine.models import Models, adapters
    from clip_atelier.engine.storage import BlobCache
    from clip_atelier.engine.training.batches import Batches
    from clip_atelier.engine.training.steps import TrainingInputs, TrainStep

    chosen = settings.build(
        {
            "model.name": str(model),
            "train.batch_size": BATCH,
            "train.learning_rate": 3e-4,
            "hardware.device": "cpu",
        },
        kind,
    )
    collection = drive(scan(folder, chosen.data, Control()))
    indices = tuple(range(len(collection.items)))
    with tempfile.TemporaryDirectory() as home:
        clip = Models(Path(home)).open(str(model), chosen.hardware)
        adapter = adapters.attach(clip, chosen)
        moments = [clocks()]
        store = BlobCache(Path(home) / "f.sqlite", 4 << 30)
        pictures = ImageCache(collection.root, collection.items, clip.image_size, chosen.data, 0, store)
        drive(pictures.prepare(indices, Control()))
        inputs = TrainingInputs(clip, collection.items, indices, pictures)
        drive(inputs.prepare(indices, 1, Control()))
        batches = Batches(collection.items, indices, indices, BATCH, 1, 0)
        total = batches.per_epoch * epochs
        train_step = TrainStep(clip, adapter, inputs, chosen.train, total)
        for step in range(total):
            train_step.step(step, batches.at(step))
            if (step + 1) % batches.per_epoch == 0:
                moments.append(clocks())
        found = spans(moments) | {"memory": peak_memory(), "steps": batches.per_epoch}
        return found | {"operations": counted(lambda: train_step.step(total - 1, batches.at(total - 1)))}


def counted(work: Callable[[], object]) -> dict[str, int]:
    """Operations (2 for each multiplication with its addition) of all matrix products of a work, by number format."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    found: dict[str, int] = defaultdict(int)

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            formula = flop_registry.get(func.overloadpacket)
            if formula is not None:
                kind = str(args[0].dtype).removeprefix("torch.")
                found[kind] += int(formula(*args, **(kwargs or {}), out_val=result))
            return result

    with Counter():
        work()
    return dict(found)


def roof(_model: Path, _folder: Path, _kind: str, _epochs: int) -> dict[str, Any]:
    """Operations per second of a large matrix product by number format, and per second of processor time."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    found: dict[str, Any] = {}
    for kind in (torch.bfloat16, torch.float32):
        a, b = (torch.randn(2048, 2048).to(kind) for _ in range(2))
        torch.mm(a, b)
        moments = [clocks()]
        for _ in range(10):
            torch.mm(a, b)
            moments.append(clocks())
        seconds = spans(moments)
        found[str(kind).removeprefix("torch.")] = {
            clock: 2 * 2048**3 / statistics.median(each) for clock, each in seconds.items()
        }
    return found


RUNS = {"ours": ours, "trainer": rival_trainer, "loop": rival_loop, "roof": roof}


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
