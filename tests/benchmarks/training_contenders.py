"""Who trains in `training.py`: this program, the Trainer of transformers, a plain loop; and how fast the machine multiplies."""

from __future__ import annotations

import itertools
import os
import resource
import statistics
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
    from clip_atelier.engine.data import IN_MEMORY, SEEN_ONCE, ImageCache, scan
    from clip_atelier.engine.models import Models, adapters
    from clip_atelier.engine.storage import BlobCache
    from clip_atelier.engine.training.batches import Batches
    from clip_atelier.engine.training.inputs import TrainingInputs
    from clip_atelier.engine.training.steps import TrainStep

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
        room = SEEN_ONCE if kind == "projection" else IN_MEMORY  # as in a run
        pictures = ImageCache(collection.root, collection.items, clip.frame, chosen.data, 0, store, room)
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
