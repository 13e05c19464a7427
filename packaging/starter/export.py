"""Write the trained model as a Hugging Face folder, and the drawings that tell what a fine-tuned model forgot."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPModel, PreTrainedTokenizerFast

from iconify import load_set, render
from starter.captions import name_words

#: Kept-out sets whose licence allows passing drawings on with credit, and how many are taken of each.
PROBE_SETS = {
    "game-icons": 100,
    "guidance": 60,
    "streamline-freehand": 70,
    "streamline-plump-color": 40,
    "streamline-kameleon-color": 30,
}
_PROBE_SIDE = 128
#: Names of products, characters and typing mistakes; what they show is not general knowledge.
_PROBE_LEFT_OUT = frozenset(
    "pokeball wii saiyan walther tron vespa arduino earpods accesible changin exertnal vide abstract".split()
)

_LICENSE_NOTE = """\
The weights, the tokenizer and the configuration in this folder are licensed under the Apache License, Version 2.0, as
the application is (see LICENSE at the root of the repository).

They were trained from nothing on drawings of the icon sets listed in DATA_LICENCES.md and on the labels and tags of
emojibase. None of those drawings is contained in this folder. The sets are permissively licensed; where their licence asks
for credit, DATA_LICENCES.md gives it.
"""


def export_model(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, target: Path) -> None:
    """Write weights (float16), configuration, tokenizer and preprocessing so that transformers loads them as CLIP.

    The configuration says float32: the halved weights are widened on loading, because half precision is slow on CPUs.
    """
    target.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(target)
    settings_path = target / "tokenizer_config.json"
    settings = json.loads(settings_path.read_text(encoding="utf-8"))
    settings.pop("backend", None)
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # The name that transformers 4 knows too.
    _write_json(settings_path, settings)

    config = model.config.to_dict()
    config.update(architectures=["CLIPModel"], dtype="float32")
    _write_json(target / "config.json", config)
    square = {"height": 96, "width": 96}
    preprocessing = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": 96},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    _write_json(target / "preprocessor_config.json", preprocessing)
    (target / "LICENSE.txt").write_text(_LICENSE_NOTE, encoding="utf-8")

    # Position numbers are buffers that transformers rebuilds; parameters are all there is to store.
    weights = {name: value.detach().half().contiguous() for name, value in model.named_parameters()}
    part = target / "model.safetensors.part"
    save_file(weights, part, metadata={"format": "pt"})
    part.chmod(0o644)
    os.replace(part, target / "model.safetensors")


def write_probe(icons: Path, target: Path) -> int:
    """Write the probe drawings as PNG files with ``metadata.csv`` and their credits; returns their number.

    Names of up to three words are taken, each caption once over all sets, always the same choice.
    """
    target.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows: list[tuple[str, str]] = []
    table = [
        "# Probe drawings",
        "",
        _PROBE_INTRODUCTION,
        "",
        "| Set | Drawings | Author | Licence |",
        "|---|---|---|---|",
    ]
    used: set[str] = set()
    for prefix, wanted in PROBE_SETS.items():
        icon_set = load_set(icons, prefix)
        taken = 0
        for name in rng.permutation([name for name in icon_set.icons if name not in icon_set.aliases]):
            caption = name_words(str(name))
            if taken == wanted:
                break
            words = caption.split()
            is_plain = len(words) <= 3 and all(word.isalpha() for word in words)
            if caption in used or not is_plain or not _PROBE_LEFT_OUT.isdisjoint(words):
                continue
            used.add(caption)
            file_name = f"{prefix}-{name}.png"
            drawing = render(icon_set.icons[str(name)], _PROBE_SIDE)
            paper = Image.new("RGB", drawing.size, "white")
            paper.paste(drawing, mask=drawing)
            if not icon_set.palette:
                paper = paper.convert("L")
            paper.quantize(32).save(target / file_name, optimize=True)
            rows.append((file_name, caption))
            taken += 1
        table.append(
            f"| {icon_set.title} (`{prefix}`) | {taken} | {icon_set.author} | {icon_set.license_title} |"
        )
    with (target / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file_name", "text"))
        writer.writerows(rows)
    (target / "CREDITS.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    return len(rows)


_PROBE_INTRODUCTION = """\
General drawings that neither the starter model nor the sample collection contains. What a model finds among them before
and after an adaptation tells how much of its general knowledge it kept. They were drawn from SVG to 128 by 128 pixels and
their names turned into captions; nothing else was changed. Licences:
[CC BY 3.0](https://creativecommons.org/licenses/by/3.0/), [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/).
Game Icons are by Lorc, Delapouite and contributors, <https://game-icons.net>."""


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
