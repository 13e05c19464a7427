"""The card of an exported model: what it is, what it was measured at, how pictures are prepared for it, how it is loaded.

In English, as files for other programs are.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from clip_atelier import __version__
from clip_atelier.engine.core import UserError, measured, with_interval
from clip_atelier.engine.data import Patches
from clip_atelier.engine.models import families, lineage_of, weights

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunFolder, TrainResult

CARD: Final = "README.md"
_LICENCE_FILES: Final = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "LICENCE.md")
_MEASURED_ON: Final = {
    "test": "on drawings that took no part in training or in any choice",
    "validation": "on the drawings that also chose the checkpoint, so the numbers are a little too good",
    "folds": "by folds: each drawing was asked for by a model that had not learned from it",
}

_PREPARED: Final = """\
def prepared(file):
    \"\"\"The picture as the model saw it in training: whole, on a square sheet of the colour of its own border.\"\"\"
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    sheet = Image.new("RGB", (SIZE, SIZE), tuple(int(c) for c in np.sort(border, axis=0)[len(border) // 2]))
    width, height = (max(1, min(SIZE, round(side * SIZE / max(image.size)))) for side in image.size)
    drawing = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    sheet.paste(drawing, ((SIZE - width) // 2, (SIZE - height) // 2))
    values = torch.from_numpy(np.array(sheet)).permute(2, 0, 1)[None] / 255
    return (values - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
"""

_PREPARED_PATCHES: Final = """\
def prepared(file):
    \"\"\"The picture as the model saw it in training: whole, in its own shape, as large as MOST patches allow.\"\"\"
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    processor = Siglip2ImageProcessorPil(
        patch_size=SIDE, max_num_patches=MOST, resample=FILTER, image_mean=MEAN, image_std=STD
    )
    return processor(image, return_tensors="pt")
"""

_FITS: Final = {
    "letterbox": "**Pictures are letterboxed**: the whole drawing is laid on a square sheet of the colour of its own border. "
    "The model's own image processor cuts the sides off instead, which is another picture wherever a drawing is not square: "
    "prepare pictures as below.",
    "crop": "Pictures are cut to their central square, as the model's own image processor does.",
    "squash": "Pictures are pulled to the square, whatever their shape.",
}
_OWN_SHAPE: Final = (
    "Pictures keep their own shape: they are cut into patches, as the model's own image processor does."
)


def text(run: RunFolder, base: Path, kind: Literal["adapter", "merged", "other"], parts: str = "") -> str:
    """The card in Markdown.

    Args:
        run: The run.
        base: Folder of its base model.
        kind: "adapter" for a PEFT folder, "merged" for a folder of transformers, "other" for what neither loads.
        parts: What the run keeps beside its update, as its own card tells.
    """
    return "\n".join([*_head(run, base, kind), *_body(run, base, kind), *([parts] if parts else [])])


def _head(run: RunFolder, base: Path, kind: str) -> Iterator[str]:
    yield "---"
    yield f"base_model: {json.dumps(str(base), ensure_ascii=False)}"
    if licence := _identifier(base):
        yield f"license: {licence}"
    if kind != "other":
        yield f"library_name: {'peft' if kind == 'adapter' else 'transformers'}"
    yield "pipeline_tag: zero-shot-image-classification"
    yield f"tags: [clip, {'lora' if run.settings.train.method == 'lora' else 'layernorm'}, clip-atelier]"
    yield "---"


def _body(run: RunFolder, base: Path, kind: str) -> Iterator[str]:
    record, result, chosen = run.record, run.result, run.settings
    strength = result.strength if result else 1.0
    made = datetime.datetime.fromtimestamp(record.created, datetime.UTC).date().isoformat()
    yield f"# {' '.join(run.name.split())}"
    yield ""
    what = "A PEFT adapter for" if kind == "adapter" else "An adaptation, added to the weights, of"
    yield f"{what} `{base}`, made by CLIP Atelier {record.versions.get('clip_atelier', __version__)} on {made}."
    yield f"It is stored at the strength that was kept: {strength:g} of what was trained."
    if record.data:
        yield f"It learned from a collection of {record.data.images} drawings, {record.data.pairs} of them pairs."
    yield ""
    yield from _lineage(run, base, kind)
    yield "## What was measured"
    yield ""
    yield from _metrics(result)
    yield ""
    yield "## How pictures are prepared"
    yield ""
    own = chosen.data.image_fit == "letterbox" and _frame(base) is not None
    yield _OWN_SHAPE if own else _FITS[chosen.data.image_fit]
    yield ""
    if kind != "other":
        yield "## How to load it"
        yield ""
        yield from _loading(run, base, kind)
        yield ""
    yield "## Licence"
    yield ""
    yield _licence(base)
    yield ""
    yield "## Settings"
    yield ""
    if chosen.train.method == "lora":
        lora = chosen.lora
        yield f"LoRA of rank {lora.r}, alpha {lora.lora_alpha:g}, on {', '.join(lora.target_modules)}; towers: {chosen.train.towers};"
    yield f"learning rate {chosen.train.learning_rate:g}, batch size {chosen.train.batch_size}, seed {chosen.train.seed}."
    yield ""


def _lineage(run: RunFolder, base: Path, kind: str) -> Iterator[str]:
    """Where the base was itself made from trainings: which base is needed, since the name of the first one misleads."""
    before = lineage_of(base)
    if not before:
        return
    yield "## Lineage"
    yield ""
    yield f"1. `{before[0].base}`, as it was published (fingerprint {before[0].base_fingerprint[:16] or 'not recorded'})"
    for number, one in enumerate(before, 2):
        yield f"{number}. training `{one.name or one.run}` ({one.run}), added at strength {one.strength:g}"
    yield f"{len(before) + 2}. this training, `{run.name}`"
    yield ""
    if kind == "adapter":
        yield (
            f"**The base that this adapter needs is the merged model of steps 1 to {len(before) + 1}**, `{base}`: pass it on "
            f"with the adapter. On `{before[0].base}` alone it does not do what was measured."
        )
    else:
        yield "All of it is in the weights: no other base is needed."
    yield ""


def _metrics(result: TrainResult | None) -> Iterator[str]:
    if result is None or not result.measured:
        yield "Nothing yet: the run was not measured."
        return
    yield f"Base and adapted on the same questions, {_MEASURED_ON.get(result.measured_on, result.measured_on)}."
    yield "The difference is paired, with its 95 % interval; where that includes 0, nothing was shown."
    yield ""
    yield "| metric | queries | gallery | base | adapted | difference (95 % interval) |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, adapted in result.adapted.items():
        task = name.partition("/")[0]
        change = result.difference.get(name)
        told = with_interval(change.value, change.low, change.high, name) if change else "–"
        base = measured(result.base.get(name), name)
        yield (
            f"| {name} | {result.queries.get(task, '–')} | {result.gallery.get(task, '–')} | {base}"
            f" | {measured(adapted, name)} | {told} |"
        )
    yield ""
    yield f"Verdict on {result.primary_metric}: {result.verdict}."


def _loading(run: RunFolder, base: Path, kind: str) -> Iterator[str]:
    from clip_atelier.engine.models import family_class, statistics

    try:
        family = family_class(base)
    except UserError:
        yield "Its base is of a family that the library has no class for: CLIP Atelier loads it."
        return
    frame = families.FAMILIES[family.family].facts_of(base).frame
    patches = isinstance(frame, Patches)
    mean, std = statistics(base, *family.statistics)
    letterboxed = run.settings.data.image_fit == "letterbox"
    adapter = kind == "adapter"
    yield "```python"
    if letterboxed and not patches:
        yield "import numpy as np"
    yield "import torch"
    yield from ["from peft import AutoPeftModel"] if adapter else []
    yield from ["from PIL import Image, ImageOps"] if letterboxed else []
    used = [*([] if adapter else ["AutoModel"]), "AutoTokenizer"]
    used += ["Siglip2ImageProcessorPil"] if letterboxed and patches else []
    yield f"from transformers import {', '.join(used)}"
    yield ""
    yield 'FOLDER = "."  # where this card is'
    if isinstance(frame, Patches):
        yield f"SIDE, MOST, FILTER = {frame.side}, {frame.most}, {frame.resample}  # of a patch in pixels; patches; of Pillow's"
        yield f"MEAN, STD = {list(mean)}, {list(std)}"
    else:
        yield f"SIZE, MEAN, STD = {frame}, {list(mean)}, {list(std)}"
    yield ""
    if letterboxed:
        yield from ["", *(_PREPARED_PATCHES if patches else _PREPARED).splitlines(), "", ""]
    if adapter:
        yield "# The base is looked for where adapter_config.json says; change base_model_name_or_path there if it has moved."
        yield "model = AutoPeftModel.from_pretrained(FOLDER).eval()"
        yield 'tokenizer = AutoTokenizer.from_pretrained(model.peft_config["default"].base_model_name_or_path)'
    else:
        yield "model = AutoModel.from_pretrained(FOLDER).eval()"
        yield "tokenizer = AutoTokenizer.from_pretrained(FOLDER)"
    if letterboxed:
        yield ""
        yield "with torch.no_grad():"
        yield f'    image = model.get_image_features({"**" if patches else ""}prepared("drawing.png")).pooler_output'
        yield f"    text = model.get_text_features({_text_inputs(family, base)}).pooler_output"
        yield "print(torch.nn.functional.cosine_similarity(image, text))"
    yield "```"


def _text_inputs(family: Any, base: Path) -> str:
    """What the text tower is given: for families that look at padding too, always of full length and without a mask."""
    if family.trims:
        return '**tokenizer(["a horse"], return_tensors="pt")'
    length = weights.read_json(base / "config.json")["text_config"].get("max_position_embeddings", 64)
    return (
        f'tokenizer(["a horse"], padding="max_length", max_length={length}, return_tensors="pt")["input_ids"]'
    )


def _frame(base: Path) -> Patches | None:
    """The patches that the base is shown; None where it is shown squares."""
    kind = str(weights.read_json(base / "config.json").get("model_type"))
    known = families.FAMILIES.get(kind)
    frame = known.facts_of(base).frame if known else None
    return frame if isinstance(frame, Patches) else None


def _identifier(base: Path) -> str:
    """The licence that the base's own card names; "" where it names none."""
    card = base / CARD
    if not card.is_file():
        return ""
    head = re.match(r"---\s*\n(.*?)\n---", card.read_text("utf-8", "replace")[:20000], re.DOTALL)
    found = re.search(r"^license:\s*[\"']?([\w.+-]+)", head[1], re.MULTILINE) if head else None
    return found[1] if found else ""


def _licence(base: Path) -> str:
    """What the base's folder says about its licence: an adapter cannot be used without its base."""
    rule = "What was trained on the base is used under the base's licence, whatever the drawings allow."
    file = next((name for name in _LICENCE_FILES if (base / name).is_file()), "")
    if found := _identifier(base):
        return f"{rule} Its card names: `{found}`."
    if file:
        told = (base / file).read_text("utf-8", "replace").strip().split("\n\n")[0][:500]
        return f"{rule} Its folder has `{file}`, which begins:\n\n" + "\n".join(
            f"> {line}" for line in told.splitlines()
        )
    return f"{rule} Its folder does not state one: look where it came from before you pass this on."
