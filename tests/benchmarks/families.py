"""Each model family against its library: largest difference of embeddings, a step against a plain loop, what is switched off.

Models of random weights, of each family's real architecture (width 192, four layers a tower, own kind of tokenizer), on the
processor in fp32; 64 drawings that are not square.

* `image`, `text`: the largest difference of any number of the unit embeddings to transformers' own forward, given the same
  pixels and token ids; of SigLIP 2 NaFlex to transformers' own processing of the files, too.
* `step`: a run's own optimiser step (queries and values of both towers, rank 8, batch 32), from the batch's numbers on.
* `plain`: the same by transformers and PEFT alone on inputs that are ready: forward, loss, backward, AdamW.

Medians over steps, contenders in turn.

    python tests/benchmarks/families.py
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[0]), str(HERE)]

from steps import Contenders, median_of  # noqa: E402

WIDTH, LAYERS = 192, 4
RECIPE: dict[str, object] = {
    "train.preservation": 0.0, "train.smoothing": 0.0, "train.initialization": "zero", "train.temperature": "fixed",
}  # fmt: skip


def sized(family: str, folder: Path) -> Path:
    """A folder of a family, larger than those of the tests."""
    import family_folders

    size = {
        "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 3,
    }  # fmt: skip
    family_folders.WIDTH, family_folders.DIM, family_folders.SIZE, family_folders.PATCH = WIDTH, 128, 96, 16
    family_folders.TOWER.update(size)
    family_folders.VISION.update(size | {"image_size": 96, "patch_size": 16, "projection_dim": 128})
    return family_folders.make(family, folder)


def draw(folder: Path) -> None:
    """Wide and tall drawings, each with its own caption."""
    from PIL import Image, ImageDraw

    import family_folders

    folder.mkdir(parents=True)
    rows = ["file_name,text"]
    for n in range(64):
        image = Image.new("RGB", (150, 70) if n % 2 else (60, 140), (250, 248, 240))
        ImageDraw.Draw(image).line([(n, 0), (47 - n % 48, 60), (n // 6, 20)], fill=(3 * n, 200, 90), width=5)
        image.save(folder / f"{n:04d}.png")
        rows.append(f"{n:04d}.png,{family_folders.WORDS[n % 24]} {n}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


class Library:
    """Transformers and PEFT alone, on the inputs that a run's step has."""

    def __init__(self, model: Path, who: Contenders) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModel

        from clip_atelier.engine import settings
        from clip_atelier.engine.reports.code_export import Kind

        torch.manual_seed(0)
        self.clip: Any = who.clip
        self.ids, self.pixels = who.ids, who.x
        self.base: Any = AutoModel.from_pretrained(model, dtype=torch.float32).eval()
        pattern = Kind.of(model).pattern(settings.build({}, "attention"))
        config = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.1, target_modules=pattern)
        self.net = get_peft_model(AutoModel.from_pretrained(model, dtype=torch.float32), config).train()
        trained = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=0.0)

    def towers(self, net: Any) -> tuple[Any, Any]:
        """Embeddings of the batch's drawings and captions."""
        import torch

        if self.clip.family == "siglip2":
            shapes, patches = self.pixels[:, 0, :2].long(), self.pixels[:, 1:]
            seen = torch.arange(patches.shape[1]) < shapes.prod(dim=1)[:, None]
            images = net.get_image_features(patches, seen.int(), shapes).pooler_output
        else:
            images = net.get_image_features(self.pixels).pooler_output
        masked = {"attention_mask": (self.ids != self.clip.pad).long()} if self.clip.trims else {}
        return images, net.get_text_features(input_ids=self.ids, **masked).pooler_output

    def loop(self, _step: int) -> None:
        """One step of a plain script."""
        import torch
        import torch.nn.functional as F

        images, texts = self.towers(self.net)
        similar = F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
        right = torch.arange(len(images)) % len(texts)
        if self.clip.loss == "sigmoid":
            signs = 2.0 * F.one_hot(right, len(texts)) - 1
            loss = -F.logsigmoid(signs * (similar * 10 - 10)).sum() / len(images)
        else:
            loss = F.cross_entropy(100 * similar, right)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def differences(self) -> tuple[float, float]:
        """The largest of images and of texts, nothing adapted."""
        import torch
        import torch.nn.functional as F

        from clip_atelier.engine.models import adapters

        adapter = adapters.attached(self.clip)
        with torch.no_grad(), adapter.at(0.0):
            for tower in ("vision", "text"):
                self.clip.tower(tower).eval()
            ours = self.clip.image(self.pixels), self.clip.text(self.ids)
            theirs = self.towers(self.base)
        image, text = (
            float((F.normalize(a, dim=1) - F.normalize(b, dim=1)).abs().max())
            for a, b in zip(ours, theirs, strict=True)
        )
        return image, text


def of_files(model: Path, folder: Path, clip: Any) -> float:
    """The largest difference to transformers' own processing of drawings in their own shape."""
    import numpy as np
    import torch
    from PIL import Image
    from transformers import AutoModel, Siglip2ImageProcessorPil

    from clip_atelier.engine.data import framing, image_gate
    from clip_atelier.engine.models import adapters, features

    frame = clip.frame
    processor = Siglip2ImageProcessorPil(patch_size=frame.side, max_num_patches=frame.most)
    files = sorted(folder.glob("*.png"))[:16]
    inputs = processor([Image.open(file).convert("RGB") for file in files], return_tensors="pt")
    net: Any = AutoModel.from_pretrained(model, dtype=torch.float32).eval()
    with torch.no_grad(), adapters.attached(clip).at(0.0):
        theirs = torch.nn.functional.normalize(net.get_image_features(**inputs).pooler_output).numpy()
        shown = [framing.fit(image_gate.load(file, frame), frame) for file in files]
        ours = np.concatenate([features.image_now(clip, one) for one in shown])
    return float(np.abs(ours - theirs).max())


def off(clip: Any) -> str:
    """What a family does without."""
    layers = type(clip.stage("text", 1)).__name__
    said = [
        "" if clip.trims else "trimmed texts",
        "" if clip.loss == "softmax" else "smoothed targets",
        "" if clip.exports_onnx else "ONNX",
        "fast text layers"
        if layers in ("ChineseCLIPTextLayer", "AltRobertaLayer") or "Bert" in layers
        else "",
    ]
    return ", ".join(one for one in said if one) or "–"


def main() -> int:
    import torch

    import family_folders

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "drawings"
        draw(folder)
        print(
            f"{'family':<14}{'image':>9}{'text':>9}{'step ms':>9}{'plain ms':>10}{'plain / step':>14}  switched off"
        )
        for family in family_folders.FAMILIES:
            model = sized(family, Path(scratch) / family)
            home = Path(scratch) / f"home-{family}"
            home.mkdir()
            who = Contenders(model, folder, home, "attention", RECIPE)
            library = Library(model, who)
            with who.ready.step.computing():
                rounds = [
                    [median_of(work, arguments.steps) / 1000 for work in (who.step, library.loop)]
                    for _ in range(arguments.rounds)
                ]
            step, plain = (statistics.median(column) for column in zip(*rounds, strict=True))
            image, text = library.differences()
            if family == "siglip2":
                image = max(image, of_files(model, folder, who.clip))
            print(
                f"{family:<14}{image:>9.0e}{text:>9.0e}{step:>9.1f}{plain:>10.1f}{plain / step:>14.2f}  {off(who.clip)}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
