"""What an optimiser step costs beside the model's own arithmetic, seen with a model so small that little else is left.

A CLIP of width 32 with two layers a tower, 256 drawings, batches of 32, on the processor. For each preset:

* `step`: one step of a run, from the batch's numbers to the changed weights;
* `model`: the towers' forward and backward passes alone, on inputs that are ready, those on the drawings of the control
  set included where the preset has them;
* `plain`: a plain loop on the same ready inputs: forward, CLIP's loss, backward, AdamW as torch has it by default.

`step - model` is the overhead: batch, relations, pictures, loss, schedule, optimiser. The contenders take turns of sixteen
steps, in microseconds of the processor's own time a step: what is prepared for several steps at once is in it. The figures are
medians over the turns; the overhead is the median of the differences within a turn, followed by their quartiles, so that
what else the machine does counts for little. Below each row, where a step goes: its named parts, each without those inside
it, and the share of the step that they account for together. With --profile, every function as well.

The loss and the optimiser are in the overhead although every training has them: a plain loop on ready inputs takes
`plain - model` for them, which stands beside it.

    python tests/benchmarks/steps.py
    python tests/benchmarks/steps.py --profile --turns 3
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

DRAWINGS = 256
BATCH = 32
WIDTH = 32
TURN = 16  # steps

#: Name of the row, preset, and what differs from it.
CASES: tuple[tuple[str, str, dict[str, object]], ...] = (
    (
        "attention, plain recipe",
        "attention",
        {"train.preservation": 0.0, "train.smoothing": 0.0, "train.initialization": "zero"},
    ),
    ("attention", "attention", {}),
    (
        "projection, plain recipe",
        "projection",
        {"train.preservation": 0.0, "train.smoothing": 0.0, "train.initialization": "zero"},
    ),
    ("projection", "projection", {}),
)


def small_clip(folder: Path) -> Path:
    """Width 32, two layers a tower, CLIP's own tokenizer."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    from clip_folder import write_tokenizer

    write_tokenizer(folder)
    tower = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = CLIPConfig(
        text_config={**tower, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407},
        vision_config={**tower, "patch_size": 16, "image_size": 32},
        projection_dim=WIDTH,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    return folder


def turn(work: Callable[[int], object], first: int) -> float:
    """Microseconds of the processor for a step, of as many as a turn has."""
    began = time.process_time()
    for step in range(first, first + TURN):
        work(step)
    return (time.process_time() - began) / TURN * 1e6


class Parts:
    """Processor seconds of named parts of a step, each without the named parts inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._inside = [0.0]

    def named(self, name: str | Callable[[], str], work: Callable[..., Any]) -> Callable[..., Any]:
        """The work, its time noted under a name, or under the one that is asked for when it begins."""

        def timed(*given: Any, **named: Any) -> Any:
            title = name if isinstance(name, str) else name()
            self._inside.append(0.0)
            began = time.process_time()
            try:
                return work(*given, **named)
            finally:
                took = time.process_time() - began
                self.seconds.setdefault(title, []).append(took - self._inside.pop())
                self._inside[-1] += took

        return timed

    def take(self) -> dict[str, float]:
        """What was noted since the last time."""
        found = {name: sum(times) for name, times in self.seconds.items()}
        self.seconds.clear()
        return found


def where_it_goes(who: Contenders, steps: int) -> None:
    """Prints the parts of a step, medians over turns of their microseconds, and the share of the whole that they account for."""
    import torch

    from clip_atelier.engine.training.distributed.gradient_cache import Share

    parts, step, inputs = Parts(), who.ready.step, who.inputs
    places: list[tuple[Any, str, str | Callable[[], str]]] = [
        (who.ready.batches, "_draw", "which drawings"),
        (inputs, "relations_of", "who belongs to whom"),
        (inputs.pictures, "batch", "pictures fetched"),
        (who.clip, "pixels", "pictures as numbers"),
        (inputs, "images", "forward, drawings"),
        (inputs, "texts", "forward, captions"),
        (step, "share", "embeddings put together"),
        (step, "_loss", "loss and its gradients"),
        (torch.Tensor, "backward", "preservation, backward"),
        (Share, "backward", "backward through the towers"),
        (step.optimizer, "begin", "gradients to zero"),
        (step.optimizer, "step", "optimiser"),
    ]
    if step.preservation:
        places.append((step.preservation, "looked_at", "preservation, drawings and words"))
        places.append((step.preservation, "drift", "preservation, forward"))
    rows: list[dict[str, float]] = []
    whole: list[float] = []
    with contextlib.ExitStack() as patched:
        for place, name, title in places:
            patched.enter_context(mock.patch.object(place, name, parts.named(title, getattr(place, name))))
        for number in range(steps):
            began = time.process_time()
            who.step(number)
            whole.append(time.process_time() - began)
            rows.append(parts.take())
    total = sum(whole)
    for title in dict.fromkeys(title for row in rows for title in row):
        # What comes once for several steps is spread over them; a step that the machine interrupted counts as the others do.
        each = [sum(row.get(title, 0.0) for row in rows[n : n + TURN]) / TURN for n in range(0, steps, TURN)]
        spent = sum(row.get(title, 0.0) for row in rows)
        print(f"    {title:<30}{statistics.median(each) * 1e6:>8.0f} µs{spent / total:>8.1%}")
    print(
        f"    {'accounted for':<30}{'':>11}{sum(sum(row.values()) for row in rows) / total:>8.1%}", flush=True
    )


class Contenders:
    """One preset's step, its model's arithmetic alone, and a plain loop."""

    def __init__(
        self, model: Path, folder: Path, home: Path, preset: str, changes: dict[str, object]
    ) -> None:
        import torch

        from clip_atelier.engine import settings
        from clip_atelier.engine.core import Control, drive
        from clip_atelier.engine.data import ImageCache, scan
        from clip_atelier.engine.models import Models
        from clip_atelier.engine.storage import BlobCache
        from clip_atelier.engine.training import fitting

        torch.manual_seed(0)
        chosen = settings.build(
            {
                "model.name": str(model),
                "hardware.device": "cpu",
                "hardware.precision": "fp32",
                "train.batch_size": BATCH,
                "train.gradient_checkpointing": False,
                **changes,
            },
            preset,
        )
        collection = drive(scan(folder, chosen.data, Control()))
        indices = tuple(range(len(collection.items)))
        clip = Models(home).open(str(model), chosen.hardware)
        pictures = ImageCache(
            collection.root,
            collection.items,
            clip.frame,
            chosen.data,
            0,
            BlobCache(home / "f.sqlite", 1 << 30),
        )
        drive(pictures.prepare(indices, Control(), chosen.data.views))
        self.ready = drive(
            fitting.prepared(clip, chosen, collection.items, indices, pictures, indices, 10_000, Control())
        )
        self.clip = clip
        self.inputs: Any = self.ready.step.inputs
        batch = self.ready.batches.at(0)
        captions, self.relations = self.inputs.relations(batch)
        cut = self.inputs.image_cut
        self.x = (
            self.inputs.images(batch, slice(None)).detach()
            if cut == clip.last_cut("vision")
            else self._image_inputs(batch)
        )
        self.ids = clip.tokens(captions)
        self.texts_fixed = self.inputs.texts(captions).detach() if self.inputs.text_cut else None
        self.trained = list(self.ready.adapter.trainable.values())
        self.plain = torch.optim.AdamW(self.trained, lr=0.0)

    def _image_inputs(self, batch: Any) -> Any:
        import torch

        if self.inputs.image_cut:
            return self.inputs._images.index_select(0, self.inputs._rows(batch.indices, batch.views))
        return self.clip.pixels(torch.from_numpy(self.inputs.pictures.batch(batch.indices, batch.views)))

    def _towers(self) -> tuple[Any, Any]:
        images = self.clip.image(self.x, self.inputs.image_cut)
        return images, self.clip.text(self.ids) if self.texts_fixed is None else self.texts_fixed

    def step(self, step: int) -> object:
        """A run's own step."""
        self.ready.step.look_ahead(self.ready.batches, step)
        return self.ready.step.step(step, self.ready.batches.at(step))

    def model(self, step: int) -> None:
        """Forward and backward passes of both towers."""
        import torch

        outputs = [y for y in self._towers() if y.requires_grad]
        torch.autograd.backward(outputs, [torch.ones_like(y) for y in outputs])
        if self.ready.step.preservation:
            held = self.ready.step.preservation
            held.drift(*held.looked_at(step)).backward()

    def loop(self, _step: int) -> None:
        """What a plain script does once its inputs are ready."""
        import torch
        import torch.nn.functional as F

        images, texts = self._towers()
        logits = 100 * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
        right = torch.arange(len(logits)) % logits.shape[1]
        F.cross_entropy(logits, right).backward()
        self.plain.step()
        self.plain.zero_grad()


def draw(folder: Path) -> None:
    """Small drawings, each with its own caption."""
    from PIL import Image, ImageDraw

    folder.mkdir(parents=True)
    rows = ["file_name,text"]
    for n in range(DRAWINGS):
        image = Image.new("RGB", (48, 48), (250, 248, 240))
        ImageDraw.Draw(image).line(
            [(n % 48, 0), (47 - n % 48, 47), (n // 6, 20)], fill=(n, 255 - n, 90), width=3
        )
        image.save(folder / f"{n:04d}.png")
        rows.append(f"{n:04d}.png,a drawing of thing number {n}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


def main() -> int:
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model, folder = small_clip(Path(scratch) / "model"), Path(scratch) / "drawings"
        draw(folder)
        print(
            f"{'':<26}{'step µs':>10}{'model µs':>10}{'plain µs':>10}{'overhead ms':>13}{'(quartiles)':>14}{'plain loop ms':>15}"
        )
        for number, (title, preset, changes) in enumerate(CASES):
            home = Path(scratch) / f"home{number}"
            home.mkdir()
            who = Contenders(model, folder, home, preset, changes)
            torch.set_num_threads(arguments.threads)
            with (
                who.ready.step.computing()
            ):  # as in a run, where it is done once for all steps between two checks
                turns = [
                    [turn(work, TURN * n) for work in (who.step, who.model, who.loop)]
                    for n in range(arguments.turns + 1)
                ][1:]
            step, bare, plain = (statistics.median(column) for column in zip(*turns, strict=True))
            low, middle, high = statistics.quantiles([(one[0] - one[1]) / 1000 for one in turns], n=4)
            loop = statistics.median((one[2] - one[1]) / 1000 for one in turns)
            # The plain loop knows no preservation, whose passes are the model's.
            beside = "–" if who.ready.step.preservation else f"{loop:.2f}"
            spread = f"({low:.2f} – {high:.2f})"
            print(
                f"{title:<26}{step:>10.0f}{bare:>10.0f}{plain:>10.0f}{middle:>13.2f}{spread:>14}{beside:>15}",
                flush=True,
            )
            with who.ready.step.computing():
                where_it_goes(who, 10 * TURN)
            if arguments.profile:
                profile = cProfile.Profile()
                with who.ready.step.computing():
                    profile.runcall(lambda who=who: [turn(who.step, TURN * n) for n in range(10)])
                pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
    return 0


if __name__ == "__main__":
    sys.exit(main())
