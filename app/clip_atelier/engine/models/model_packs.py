"""Model packs: a Hugging Face folder in one checked file. `packaging/make_model_pack.py` makes one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

from clip_atelier.engine.models import weights
from clip_atelier.engine.storage import HASHES, Kind, Pack, packs

#: What a model folder may hold; pickled weights and code stay behind.
MODEL: Final = Kind(
    "clip-atelier-model-pack",
    ".clipmodel",
    (".safetensors", ".json", ".txt", ".md", ".model"),
    about=("family",),
)


def is_pack(path: Path) -> bool:
    """Whether a file is meant to be a pack: by its name, or because it is a zip."""
    return path.is_file() and (path.suffix.lower() == MODEL.suffix or zipfile.is_zipfile(path))


def make(folder: Path, out: Path) -> Pack:
    """Makes a pack from a Hugging Face folder; `about["family"]` is the model_type of its config.json.

    Raises:
        UserError: the folder is not a usable model, or `out` exists.
    """
    family = str(weights.config_of(folder).get("model_type"))
    weights.weight_files(folder)
    files = {
        file.name: file
        for file in folder.iterdir()
        if file.is_file() and file.suffix in MODEL.kinds and file.name not in (packs.MANIFEST, HASHES)
    }
    return packs.write(MODEL, folder.resolve().name, {"family": family}, files, out)
