"""A process of its own in which another program's library reads what was exported; it lies apart, see packaging/requirements-apart.txt.

    python tests/read_apart.py APART open_clip FOLDER ASKED   opens the model and embeds what is asked: ASKED is a safetensors file with
                                                              `pixels` [n, 3, size, size] and `ids` [m, length], which gets `image` [n, dim]
                                                              and `text` [m, dim] in their place
    python tests/read_apart.py APART open_clip_csv FILE       the table that open_clip trains on
    python tests/read_apart.py APART imagefolder FOLDER       Hugging Face's image folder
    python tests/read_apart.py APART coco FILE                COCO captions

What was read of captions is printed as JSON: for each drawing its captions.

open_clip imports torchvision for its preparation of pictures, and webdataset, which are not asked for here; names stand in their place.
"""

from __future__ import annotations

import contextlib
import json
import sys
import types
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

_ABSENT = ("torchvision", "webdataset", "braceexpand")


class _Named(type):
    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named(name, (), {})


class _NotAsked(MetaPathFinder, Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in _ABSENT else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing in it."""


def open_clip(folder: str, asked: str) -> None:
    """Embeds."""
    import open_clip
    import torch
    from safetensors.torch import load_file, save_file

    model = open_clip.create_model(f"local-dir:{folder}").eval()
    given = load_file(asked)
    ids = torch.nn.functional.pad(given["ids"], (0, model.context_length - given["ids"].shape[1]))
    with torch.no_grad():
        save_file({"image": model.encode_image(given["pixels"]), "text": model.encode_text(ids)}, asked)


def open_clip_csv(file: str) -> dict[str, list[str]]:
    """Its own training data, with the names of columns that it expects."""
    from open_clip_train.data import CsvDataset

    read = CsvDataset(file, None, "filepath", "title")
    found: dict[str, list[str]] = {}
    for image, caption in zip(read.images, read.captions, strict=True):
        found.setdefault(image, []).append(caption)
    return found


def imagefolder(folder: str) -> dict[str, Any]:
    """Its rows, and how large each picture is."""
    import datasets

    read = datasets.load_dataset("imagefolder", data_dir=folder, split="train", cache_dir=f"{folder}-cache")
    return {str(row["image"].size): row["text"] for row in read}


def coco(file: str) -> dict[str, list[str]]:
    """What COCO's own reader says of each picture."""
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(sys.stderr):
        read = COCO(file)
    return {
        image["file_name"]: [one["caption"] for one in read.imgToAnns[number]]
        for number, image in read.imgs.items()
    }


def main(apart: str, what: str, *arguments: str) -> None:
    """Reads, and prints what was read."""
    warnings.simplefilter("ignore")
    sys.path.insert(0, apart)
    sys.meta_path.insert(0, _NotAsked())
    found = {
        "open_clip": open_clip,
        "open_clip_csv": open_clip_csv,
        "imagefolder": imagefolder,
        "coco": coco,
    }[what](*arguments)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
