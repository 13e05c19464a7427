"""A folder that `sentence_transformers.SentenceTransformer` opens: the merged model, then what normalises its embeddings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import UserError, _, write_whole
from clip_atelier.engine.models import family_class, weights

MODEL: Final = "0_CLIPModel"
_MODULES: Final = (
    (MODEL, "sentence_transformers.models.CLIPModel"),
    ("1_Normalize", "sentence_transformers.models.Normalize"),
)
_PROCESSOR: Final = "preprocessor_config.json"

ON_THE_CARD: Final = """\

## With sentence-transformers

    from PIL import Image
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(FOLDER)
    images, texts = model.encode([Image.open("drawing.png")]), model.encode(["a red fox"])

`FOLDER` is this folder. **The library prepares pictures its own way**: it scales the shorter side and cuts the rest off. A drawing
that is not square is seen whole only if it is laid on a square sheet first, as `prepared` above does before it makes numbers of it.
"""


def must_be_possible(base: Path) -> None:
    """Raises a UserError for a model that the library does not take for a CLIP."""
    kind = str(weights.read_json(base / "config.json").get("model_type"))
    if kind != "clip":
        raise UserError(
            _("sentence-transformers has no such model: “{kind}”.").format(kind=kind),
            _("Export a merged model instead."),
        )


def complete(out: Path) -> None:
    """Writes what the library looks for beside the merged model in `MODEL`, whose files are there already."""
    for name, _kind in _MODULES:
        (out / name).mkdir(exist_ok=True)
    modules = [
        {"idx": number, "name": str(number), "path": name, "type": kind}
        for number, (name, kind) in enumerate(_MODULES)
    ]
    write_whole(out / "modules.json", json.dumps(modules, indent=2).encode())
    processor = out / MODEL / _PROCESSOR
    if not processor.exists():
        vision = weights.read_json(out / MODEL / "config.json").get("vision_config", {})
        side = int(vision.get("image_size", 224))
        mean, deviation = family_class(out / MODEL).statistics
        told = {
            "image_processor_type": "CLIPImageProcessor",
            "do_resize": True, "size": {"shortest_edge": side}, "resample": 3,
            "do_center_crop": True, "crop_size": {"height": side, "width": side},
            "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True,
            "image_mean": list(mean), "image_std": list(deviation),
        }  # fmt: skip
        write_whole(processor, json.dumps(told, indent=2).encode())
