"""Model folders on disk: what may be opened, and proof that a file is whole before anything maps it into memory."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import UserError, _, bounded_json
from clip_atelier.engine.storage import digest_of

OUTPUT_MATRIX: Final = "output_matrix.safetensors"
"""The matrix behind a tower that ends in none of its own, in a model's or an adapter's folder."""


_LONGEST: Final = 64 << 20
"""Bytes of a JSON file or header; the largest tokenizers have half of it."""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a model or adapter folder.

    Raises:
        UserError: missing, unreadable or not a JSON object; names the file.
    """
    try:
        with path.open("rb") as stream:
            value = bounded_json(stream.read(_LONGEST + 1))
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


_MOST: Final[Mapping[str, int]] = {
    "num_hidden_layers": 512, "num_attention_heads": 1024, "hidden_size": 1 << 16, "intermediate_size": 1 << 18,
    "projection_dim": 1 << 16, "image_size": 1 << 13, "patch_size": 1 << 12, "num_channels": 64, "vocab_size": 1 << 23,
    "max_position_embeddings": 1 << 20, "num_patches": 1 << 16,
}  # fmt: skip
"""Numbers of a configuration that decide how much is allocated, with what no model that could be used here exceeds."""


def config_of(folder: Path) -> dict[str, Any]:
    """config.json of a model folder, its sizes within bounds.

    Raises:
        UserError: missing, unreadable, or a size is no number or out of bounds; names the key.
    """
    path = folder / "config.json"
    config = read_json(path)
    parts = {"": config} | {f"{key}.": value for key, value in config.items() if key.endswith("_config")}
    for place, part in parts.items():
        if not isinstance(part, dict):
            if part is None:
                continue
            raise _out_of_bounds(path, place.rstrip("."))
        for key, most in _MOST.items():
            value = part.get(key)
            if value is not None and not (type(value) is int and 0 < value <= most):
                raise _out_of_bounds(path, f"{place}{key}")
    return config


def _out_of_bounds(path: Path, key: str) -> UserError:
    return UserError(
        _("“{path}”: “{key}” is not what a model can have.").format(path=path, key=key),
        _("Copy the folder again from where it came from."),
        "model.name",
    )


def preprocessing(folder: Path) -> Mapping[str, Any]:
    """How the model's pictures are made: of processor_config.json where that says it, else preprocessor_config.json.

    This is transformers' own order. Empty where neither is there.
    """
    processor = folder / "processor_config.json"
    if processor.is_file():
        nested = read_json(processor).get("image_processor")
        if isinstance(nested, dict):
            return nested
    file = folder / "preprocessor_config.json"
    return read_json(file) if file.is_file() else {}


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, each checked to be whole.

    Raises:
        UserError: there are none, only pickled ones, or one is cut short.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = read_json(index).get("weight_map")
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
            raise UserError(
                _("“{path}” does not hold what it should.").format(path=index),
                _("Copy the folder again from where it came from."),
            )
        names = sorted(set(named.values()))
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


def shapes_of(file: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a safetensors file, from its header alone.

    Raises:
        UserError: it is cut short or not a safetensors file.
    """
    return {name: tuple(entry["shape"]) for name, entry in _header(file).items()}


def check_whole(file: Path) -> None:
    """Compares a safetensors file's length with what its header promises; a cut mapped file would end the process.

    Raises:
        UserError: it is cut short or not a safetensors file.
    """
    _header(file)


def _header(file: Path) -> dict[str, Any]:
    """What a whole safetensors file says of its tensors."""
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size, _LONGEST):
                raise ValueError("header")
            header = bounded_json(stream.read(length))
        header.pop("__metadata__", None)
        for entry in header.values():
            begin, end = entry["data_offsets"]
            if not all(type(n) is int and 0 <= n < 1 << 63 for n in (begin, end, *entry["shape"])):
                raise ValueError("header")
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
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
    return dict(header)


def metadata(file: Path) -> dict[str, str]:
    """What a whole safetensors file says about itself."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        said = bounded_json(stream.read(length)).get("__metadata__", {})
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else {}


_DECIDES: Final = (
    "config.json", "preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "spiece.model",
    "sentencepiece.bpe.model", "tokenizer.model", OUTPUT_MATRIX,
)  # fmt: skip
_DECIDED_BEFORE: Final = (
    "config.json", "preprocessor_config.json", "tokenizer.json", "vocab.json", "merges.txt",
)  # fmt: skip


def file_digests(folder: Path, names: Sequence[str] = _DECIDES) -> dict[str, str]:
    """SHA-256 of each file that decides a model's embeddings: weights, configuration, tokenizer, preprocessing.

    Raises:
        UserError: the weights are not whole.
    """
    files = [*weight_files(folder), *(folder / n for n in names if (folder / n).is_file())]
    return {file.name: digest_of(file) for file in files}


def fingerprint_of(digests: Mapping[str, str]) -> str:
    """SHA-256 over the names and digests of `file_digests`."""
    digest = hashlib.sha256()
    for name, one in digests.items():
        digest.update(name.encode())
        digest.update(bytes.fromhex(one))
    return digest.hexdigest()


def fingerprint(folder: Path) -> str:
    """SHA-256 over everything that decides a model's embeddings."""
    return fingerprint_of(file_digests(folder))


def is_same(recorded: str, now: str, folder: Path) -> bool:
    """Whether a run's fingerprint is that of the model in `folder`, whose fingerprint is `now`.

    Runs of earlier versions recorded one over fewer files.
    """
    return recorded == now or recorded == former_fingerprint(folder)


def former_fingerprint(folder: Path) -> str:
    """The fingerprint of a model as earlier versions took it, over fewer files."""
    return fingerprint_of(file_digests(folder, _DECIDED_BEFORE))


def changed_files(recorded: Mapping[str, str], folder: Path) -> str:
    """The files of a model that are not those that were recorded, with commas between; "" where none was recorded."""
    now = file_digests(folder) if recorded else {}
    return ", ".join(sorted(name for name in {*recorded, *now} if recorded.get(name) != now.get(name)))
