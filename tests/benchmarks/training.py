"""How fast training is beside the ways it is usually taught, on the same images, model, batches and seed.

Rivals, each in a process of its own:

* `trainer`: Hugging Face Trainer + PEFT with CLIPProcessor, as their documentation teaches it;
* `loop`: a plain torch loop in the manner of CLIP-LoRA (tokens padded to 77, images prepared at every step, fp32);
* the machine's own bf16 matrix product, for the share of it that is used.

The model has ViT-B/32 geometry with random weights (speed does not depend on them); the 512 images are JPEG and PNG of
600 to 2000 pixels. Run it on an idle machine:

    python tests/benchmarks/training.py            # everything, about half an hour on two cores
    python tests/benchmarks/training.py --images 64 --only attention
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

BATCH = 32
TARGETS = {"attention": ["q_proj", "v_proj"], "projection": ["visual_projection"]}
ALPHA = {"attention": 16, "projection": 32}


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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# The rivals. Each prints one JSON line: seconds per epoch and peak memory.


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

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
            ends.append(time.perf_counter())

        def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
            ends.append(time.perf_counter())

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
    return {"epochs": [b - a for a, b in zip(ends[::2], ends[1::2], strict=True)], "memory": peak_memory()}


def rival_loop(model: Path, folder: Path, kind: str, epochs: int) -> dict[str, Any]:
    """A plain torch loop, tokens padded to 77."""
    import csv

    import torch
    from peft import LoraConfig, get_peft_model
    from PIL import Image
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    prepare, tokenizer = CLIPImageProcessor.from_pretrained(model), CLIPTokenizer.from_pretrained(model)
    net = get_peft_model(
        CLIPModel.from_pretrained(model, dtype=torch.float32),
        LoraConfig(r=8, lora_alpha=ALPHA[kind], target_modules=TARGETS[kind], lora_dropout=0.1, bias="none"),
    ).train()
    with (folder / "metadata.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    optimizer = torch.optim.AdamW(
        [p for p in net.parameters() if p.requires_grad], lr=2e-4, weight_decay=1e-2
    )
    seconds = []
    for epoch in range(epochs):
        began = time.perf_counter()
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(epoch)).tolist()
        for start in range(0, len(rows) - BATCH + 1, BATCH):
            part = [rows[i] for i in order[start : start + BATCH]]
            images = [Image.open(folder / row["file_name"]).convert("RGB") for row in part]
            pixels = prepare(images, return_tensors="pt")["pixel_values"]
            ids = tokenizer(
                [row["text"] for row in part], padding="max_length", max_length=77, return_tensors="pt"
            )
            x = net.get_image_features(pixel_values=pixels).pooler_output
            y = net.get_text_features(**ids).pooler_output
            logits = 100 * torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T
            target = torch.arange(len(part))
            loss = (
                torch.nn.functional.cross_entropy(logits, target)
                + torch.nn.functional.cross_entropy(logits.T, target)
            ) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - began)
    return {"epochs": seconds, "memory": peak_memory()}


def ours(model: Path, folder: Path, kind: str, epochs: int) -> dict[str, Any]:
    """The product's own steps: decoding, frozen parts and training; measuring retrieval is not part of the rivals."""
    from clip_atelier.engine import adapters, settings
    from clip_atelier.engine.batches import Batches
    from clip_atelier.engine.collection import scan
    from clip_atelier.engine.control import Control
    from clip_atelier.engine.events import drive
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.pictures import Pictures
    from clip_atelier.engine.steps import Material, Stepper
    from clip_atelier.engine.store import Store

    chosen = settings.build({"model.name": str(model), "train.batch_size": BATCH}, kind)
    collection = drive(scan(folder, chosen.data, Control()))
    indices = tuple(range(len(collection.items)))
    with tempfile.TemporaryDirectory() as home:
        clip = Models(Path(home)).open(str(model), chosen.hardware)
        adapter = adapters.attach(clip, chosen)
        began = time.perf_counter()
        pictures = Pictures(
            collection.root,
            collection.items,
            clip.image_size,
            chosen.data,
            0,
            Store(Path(home) / "f.sqlite", 4 << 30),
        )
        drive(pictures.prepare(indices, Control()))
        material = Material(clip, collection.items, indices, pictures)
        drive(material.prepare(indices, 1, Control()))
        batches = Batches(collection.items, indices, indices, BATCH, 1, 0)
        stepper = Stepper(clip, adapter, material, chosen.train, batches.per_epoch * epochs)
        seconds = []
        for epoch in range(epochs):
            for step in range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch):
                stepper.step(step, batches.at(step))
            seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
    return {"epochs": seconds, "memory": peak_memory()}


def matrix_product() -> float:
    """TFLOP/s of a large bf16 matrix product: the roof over everything here."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    a, b = (torch.randn(2048, 2048).bfloat16() for _ in range(2))
    times = []
    for _ in range(10):
        began = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - began)
    return 2 * 2048**3 / statistics.median(times) / 1e12


RUNS = {"ours": ours, "trainer": rival_trainer, "loop": rival_loop}


def measured(name: str, model: Path, folder: Path, kind: str, epochs: int) -> dict[str, Any]:
    """One contender in a process of its own."""
    line = subprocess.run(
        [sys.executable, __file__, "--child", name, str(model), str(folder), kind, str(epochs)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    ).stdout.strip()
    found: dict[str, Any] = json.loads(line.splitlines()[-1])
    print(
        f"  {name:<8} epochs {[round(s, 2) for s in found['epochs'][:5]]} s, peak {found['memory'] >> 20} MiB",
        flush=True,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=3, help="of attention; projection runs 20 of ours")
    parser.add_argument("--only", choices=TARGETS)
    parser.add_argument(
        "--model", type=Path, help="a Hugging Face CLIP folder; default: ViT-B/32, random weights"
    )
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, model, folder, kind, epochs = arguments.child
        print(json.dumps(RUNS[name](Path(model), Path(folder), kind, int(epochs))))
        return
    from clip_folder import vit_b_32

    with tempfile.TemporaryDirectory() as scratch:
        model = arguments.model or vit_b_32(Path(scratch) / "vit-b-32")
        preprocessing = model / "preprocessor_config.json"
        if not preprocessing.exists():
            from transformers import CLIPImageProcessor

            CLIPImageProcessor().save_pretrained(model)
        folder = Path(scratch) / "drawings"
        make_images(folder, arguments.images)
        print(
            f"{arguments.images} images, batch {BATCH}, {os.cpu_count()} cores, bf16 product {matrix_product():.2f} TFLOP/s"
        )
        if arguments.only != "projection":
            print("attention LoRA, r=8 on q_proj and v_proj of both towers")
            mine = measured("ours", model, folder, "attention", arguments.epochs)
            for rival in ("trainer", "loop"):
                other = measured(rival, model, folder, "attention", arguments.epochs)
                ratio = sum(other["epochs"]) / sum(mine["epochs"])
                later = statistics.median(other["epochs"][1:] or other["epochs"]) / statistics.median(
                    mine["epochs"][1:] or mine["epochs"]
                )
                print(f"  ours is {ratio:.1f} times as fast as {rival}, decode included; {later:.1f} times per later epoch; "
                      f"memory {mine['memory'] / other['memory']:.2f} of its")  # fmt: skip
        if arguments.only != "attention":
            print(
                "projection LoRA, r=8 on visual_projection, 20 epochs (rivals: 2 epochs, the rest extrapolated)"
            )
            mine = measured("ours", model, folder, "projection", 20)
            for rival in ("trainer", "loop"):
                other = measured(rival, model, folder, "projection", 2)
                whole = other["epochs"][0] + 19 * other["epochs"][1]
                print(f"  ours is {whole / sum(mine['epochs']):.1f} times as fast as {rival}, first pass included; "
                      f"{other['epochs'][1] / statistics.median(mine['epochs'][1:]):.0f} times per later epoch; "
                      f"memory {mine['memory'] / other['memory']:.2f} of its")  # fmt: skip


if __name__ == "__main__":
    main()
