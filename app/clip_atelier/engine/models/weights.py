"""Model folders on disk: what may be opened, and proof that a file is whole before anything maps it into memory."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from clip_atelier.engine.core import UserError, _


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a model or adapter folder.

    Raises:
        UserError: missing, unreadable or not a JSON object; names the file.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            _("“{path}” is missing.").format(path=path), _("Choose a complete model folder.")
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(
            _("“{path}” cannot be read: {reason}.").format(path=path, reason=error),
            _("Copy the folder again from where it came from."),
        ) from error
    if not isinstance(value, dict):
        raise UserError(_("“{path}” does not hold what it should.").format(path=path), "")
    return value


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, each checked to be whole.

    Raises:
        UserError: there are none, only pickled ones, or one is cut short.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(read_json(index).get("weight_map", {}).values()))
        files = [folder / Path(name).name for name in names]
    else:
        files = [folder / "model.safetensors"]
    missing = [f for f in files if not f.is_file()]
    if missing:
        pickled = any(
            (folder / name).exists() for name in ("pytorch_model.bin", "open_clip_pytorch_model.bin")
        )
        if pickled:
            raise UserError(
                _(
                    "“{folder}” holds its weights only as a pickle file, which can run any code when opened."
                ).format(folder=folder),
                _("Get the model with safetensors weights (model.safetensors)."),
                "model.name",
            )
        raise UserError(
            _("“{path}” is missing.").format(path=missing[0]),
            _("Choose a Hugging Face CLIP folder with config.json and model.safetensors."),
            "model.name",
        )
    for file in files:
        check_whole(file)
    return files


def check_whole(file: Path) -> None:
    """Compares a safetensors file's length with what its header promises; a cut mapped file would end the process.

    Raises:
        UserError: it is cut short or not a safetensors file.
    """
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size, 100_000_000):
                raise ValueError("header")
            header = json.loads(stream.read(length))
        end = max(
            (entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"), default=0
        )
    except (struct.error, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(
            _("“{path}” is not a whole safetensors file.").format(path=file),
            _("Copy it again from where it came from."),
        ) from error
    if 8 + length + end != size:
        raise UserError(
            _("“{path}” is cut short: {have} of {want} bytes.").format(
                path=file, have=size, want=8 + length + end
            ),
            _("Copy it again from where it came from."),
        )


def fingerprint(folder: Path) -> str:
    """SHA-256 over everything that decides a model's embeddings: weights, configuration, tokenizer, preprocessing."""
    digest = hashlib.sha256()
    names = ("config.json", "preprocessor_config.json", "tokenizer.json", "vocab.json", "merges.txt")
    for file in [*weight_files(folder), *(folder / n for n in names if (folder / n).is_file())]:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
