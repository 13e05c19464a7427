"""Proof that files are as they were written: hashes beside the files of a folder, and inside files of tensors.

Documents carry their own (`core.documents`), rows of databases too (`storage.database`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from clip_atelier.engine.core import Record, read_document, write_document

HASHES: Final = "hashes.json"
_LONGEST_HEADER: Final = 100_000_000


class FolderHashes(Record):
    """`hashes.json`: the SHA-256 of each file of a folder when it was written."""

    schema_version: int = Field(default=1, alias="schema")
    files: dict[str, str] = Field(default_factory=dict)


def digest_of(file: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal_folder(folder: Path) -> None:
    """Notes the hash of every file of a folder; those below it in other folders, and hidden ones, are left out.

    Raises:
        WorkError: the note cannot be written.
        OSError: a file cannot be read.
    """
    files = {
        file.name: digest_of(file)
        for file in sorted(folder.iterdir())
        if file.is_file() and file.name != HASHES and not file.name.startswith(".")
    }
    write_document(folder / HASHES, FolderHashes(files=files))


@contextlib.contextmanager
def sealing(folder: Path) -> Iterator[Path]:
    """The files of the folder are written in the block, and sealed at its end: killed within, no old seal is left.

    Raises:
        WorkError: the seal cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        (folder / HASHES).unlink()
    yield folder
    seal_folder(folder)


def folder_faults(folder: Path) -> dict[str, str]:
    """The sealed files of a folder that are not as they were written: name -> "missing" or "changed".

    Raises:
        DamagedFile: the seal itself cannot be understood.
        OSError: a file cannot be read.
    """
    if not (folder / HASHES).is_file():
        return {}
    found = {}
    for name, digest in read_document(folder / HASHES, FolderHashes).files.items():
        # A name is never a path into somewhere else.
        file = folder / Path(name).name
        if not file.is_file():
            found[name] = "missing"
        elif digest_of(file) != digest:
            found[name] = "changed"
    return found


def sealed_tensors(content: bytes) -> bytes:
    """The bytes of a safetensors file with a hash of its tensors among its metadata."""
    header, data = _parted(content)
    metadata = header.pop("__metadata__", {})
    header["__metadata__"] = {**metadata, "sha256": _tensor_digest(header, data)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def tensors_fault(file: Path) -> str:
    """What is wrong with a file of `sealed_tensors`, "" where nothing is or it was written without a seal.

    Raises:
        OSError: it cannot be read.
    """
    try:
        header, data = _parted(file.read_bytes())
        metadata = header.pop("__metadata__", {})
        wanted = metadata.get("sha256") if isinstance(metadata, dict) else None
        if max((entry["data_offsets"][1] for entry in header.values()), default=0) != len(data):
            return "cut short"
    except (ValueError, KeyError, TypeError, IndexError, struct.error) as error:
        return f"no safetensors file: {error}"
    return "" if wanted in (None, _tensor_digest(header, data)) else "sha256"


def _parted(content: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(len(content), _LONGEST_HEADER):
        raise ValueError("header")
    try:
        header = json.loads(content[8 : 8 + length])
    except RecursionError as error:
        raise ValueError("header") from error
    if not isinstance(header, dict):
        raise ValueError("header")
    return header, content[8 + length :]


def _tensor_digest(header: dict[str, Any], data: bytes) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(data)
    return digest.hexdigest()
