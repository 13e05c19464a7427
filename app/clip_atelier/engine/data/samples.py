"""What importers hand over: one picture of another program's store, with its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from clip_atelier.engine.data import caption_tables
from clip_atelier.engine.data.records import SplitName

MAX_IMAGE: Final = 256 * 1024 * 1024
"""Bytes of one picture."""
MAX_TEXT: Final = 4 * 1024 * 1024
"""Bytes of the text that belongs to one picture."""


class Sample(NamedTuple):
    """One picture.

    Attributes:
        name: As the source calls it, without a suffix; may hold slashes.
        image: The file's bytes.
        captions: In the order of the source; may be none.
        label: The class, "" if none.
        split: The part that the source says it is of.
    """

    name: str
    image: bytes
    captions: tuple[str, ...] = ()
    label: str = ""
    split: SplitName = ""


def captions_in(value: Any) -> tuple[str, ...]:
    """The captions in a cell: a text, or a list of texts; anything else holds none."""
    found: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
    return tuple(
        dict.fromkeys(" ".join(text.split()) for text in found if isinstance(text, str) and text.strip())
    )


def words_in(row: Mapping[str, Any]) -> tuple[tuple[str, ...], str, SplitName]:
    """Captions, label and part in a row of any table, by the names that such columns go by."""
    named = caption_tables.columns(name for name in row if isinstance(name, str))
    captions = captions_in(row[named["text"]]) if "text" in named else ()
    label, split = (str(row[named[one]] or "") if one in named else "" for one in ("label", "split"))
    return captions, label.strip(), caption_tables.split_name(split)
