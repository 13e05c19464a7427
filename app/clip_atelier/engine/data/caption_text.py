"""From what people and their tools write to captions: lines to captions, tags to words."""

from __future__ import annotations

import contextlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from clip_atelier.engine.core import _
from clip_atelier.engine.data.names import nfc
from clip_atelier.engine.settings import DataSettings

_COMMAS: Final = (",", "，", "、")
_EXTRA: Final = re.compile(r"<(?:lora|lyco|lycoris|hypernet|embedding)s?:[^<>]*>", re.IGNORECASE)
_WEIGHT: Final = re.compile(r"(?<!\\)\(([^()]*?[^()\\]):\s*\d*\.?\d+\s*\)")
_ESCAPE: Final = re.compile(r"\\([()\[\]{}<>:,_])")
_UNDERSCORE: Final = re.compile(r"(?<=[^\W_])_+(?=[^\W_]|\\?\()|(?<=\))_+(?=\w)")
_SHORT: Final = 3
"""A tag of so few letters is a face: o_o, 0_0."""


def clean(text: str) -> str:
    """A caption in composed Unicode form on one line, without control characters."""
    kept = "".join(c if unicodedata.category(c) not in ("Cc", "Cs") else " " for c in nfc(text))
    return " ".join(kept.split())


def as_words(caption: str) -> str:
    """Tags as words: underscores to spaces, weights and escapes off, calls of other networks left out.

    A caption without such signs stays as it is.
    """
    if not ("_" in caption or "\\" in caption or ":" in caption):
        return caption
    told = _EXTRA.sub("", caption)
    while (lighter := _WEIGHT.sub(r"\1", told)) != told:
        told = lighter
    parts = [part.strip() for part in told.split(",")]
    parts = [part if len(part) <= _SHORT else _UNDERSCORE.sub(" ", part) for part in parts]
    told = ", ".join(_ESCAPE.sub(r"\1", part) for part in parts)
    if told == ", ".join(part.strip() for part in caption.split(",")):
        return caption  # nothing but spaces beside commas would change
    return ", ".join(part for part in told.split(", ") if part)


@dataclass
class CaptionReader:
    """Takes captions out of cells and text files as the settings say, and counts what was not taken as written.

    Attributes:
        joined: Captions that went on over several lines.
        tags: Captions that were tags and are read as words.
    """

    data: DataSettings
    joined: int = 0
    tags: int = 0

    def captions(self, cell: object) -> list[str]:
        """The captions in a `text` cell or a text file: a list, a JSON list, or lines."""
        if isinstance(cell, str) and cell.lstrip().startswith("["):
            with contextlib.suppress(
                ValueError, RecursionError
            ):  # a caption may happen to begin with a bracket
                cell = json.loads(cell)
        if isinstance(cell, list):
            lines = [clean(str(line)) for line in cell if line is not None]
        else:
            lines = self._whole([clean(line) for line in str("" if cell is None else cell).splitlines()])
        found = dict.fromkeys(filter(None, lines))
        if self.data.tags == "words":
            read = {caption: as_words(caption) for caption in found}
            self.tags += sum(caption != told for caption, told in read.items())
            found = dict.fromkeys(filter(None, read.values()))
        return list(found)

    def _whole(self, lines: list[str]) -> list[str]:
        """Captions of lines: one that ends in a comma goes on in the next."""
        lines = [line for line in lines if line]
        if self.data.caption_lines == "one":
            self.joined += len(lines) > 1
            return [" ".join(lines)]
        if self.data.caption_lines == "each":
            return lines
        captions: list[str] = []
        parts: list[str] = []
        for number, line in enumerate(lines):
            parts.append(line)
            if line.endswith(_COMMAS) and number < len(lines) - 1:
                continue
            if len(parts) > 1:
                self.joined += 1
                parts[-1] = parts[-1].rstrip("".join(_COMMAS)).rstrip()
            captions.append(" ".join(parts))
            parts = []
        return captions

    def remarks(self) -> list[str]:
        """What was not taken as written, and how to have it otherwise."""
        found = []
        if self.joined:
            found.append(
                _(
                    "Captions put together from several lines: {count}. “Lines of captions” in the settings says how."
                ).format(count=self.joined)
            )
        if self.tags:
            found.append(
                _(
                    "Captions that are tags and are read as words: {count}. “Tags” in the settings keeps them as written."
                ).format(count=self.tags)
            )
        return found
