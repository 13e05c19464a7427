"""WebDataset: tar files in which the files of one sample stand together and share their name up to its first dot."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import Control, _, bounded_json
from clip_atelier.engine.data import image_gate
from clip_atelier.engine.data.records import Problem
from clip_atelier.engine.data.samples import MAX_IMAGE, MAX_TEXT, Sample, captions_in, words_in

_TEXTS: Final = (".txt", ".caption", ".text")


def samples(file: Path, problems: list[Problem], control: Control) -> Iterator[Sample]:
    """The samples of a shard, in its order; what is no sample is passed over, what is broken named.

    Args:
        file: The shard; may be compressed.
        problems: Gets what cannot be read.
        control: Stop and pause.
    """
    key, parts = "", dict[str, bytes]()
    try:
        # As a stream: nothing is looked up, nothing is unpacked, and a shard may be larger than memory.
        with tarfile.open(file, "r|*") as shard:
            for member in shard:
                control.boundary()
                folder, name = posixpath.split(member.name)
                start, dot, suffix = name.partition(".")
                if not member.isreg() or not dot or not start:
                    continue
                this = posixpath.join(folder, start)
                if this != key:
                    yield from _sample(file, key, parts, problems)
                    key, parts = this, {}
                suffix = f".{suffix.lower()}"
                is_image = (
                    posixpath.splitext(suffix)[1] in image_gate.SUFFIXES or suffix in image_gate.SUFFIXES
                )
                if member.size > (MAX_IMAGE if is_image else MAX_TEXT):
                    problems.append(Problem(f"{file.name}/{member.name}", _("It is too large.")))
                    continue
                content = shard.extractfile(member)
                if content is not None:
                    parts[suffix] = content.read()
            yield from _sample(file, key, parts, problems)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        yield from _sample(file, key, parts, problems)
        reason = _("The file is damaged from here on: {reason}").format(reason=error)
        problems.append(Problem(f"{file.name}/{key}" if key else file.name, reason))


def _sample(file: Path, key: str, parts: dict[str, bytes], problems: list[Problem]) -> Iterator[Sample]:
    image = next((content for suffix, content in parts.items() if suffix in image_gate.SUFFIXES), None)
    if image is None:
        return
    captions: list[str] = []
    label, split = "", ""
    for suffix, content in parts.items():
        if suffix in _TEXTS:
            captions += captions_in(content.decode("utf-8", "replace").splitlines())
        elif suffix == ".cls":
            label = label or content.decode("utf-8", "replace").strip()
        elif suffix == ".json":
            try:
                value = bounded_json(content)
            except ValueError as error:
                problems.append(Problem(f"{file.name}/{key}{suffix}", str(error)))
                continue
            if isinstance(value, dict):
                told, label_told, split = words_in(value)
                captions += told
                label = label or label_told
    yield Sample(key, image, tuple(dict.fromkeys(captions)), label, split)  # type: ignore[arg-type]
