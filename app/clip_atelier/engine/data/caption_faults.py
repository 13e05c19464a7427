"""What is wrong with the captions of a collection as a whole, where something can be done about it at one stroke."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from clip_atelier.engine.data.names import folded, is_nameless, stem

Kind = Literal["missing", "nameless", "same", "language"]

MANY: Final = 4
"""Drawings that have to share one caption before that is called a fault; a few versions of one drawing may well."""
_SHARE: Final = 0.05
"""And the least share of the collection: a class name on hundreds of drawings is meant, and has a label."""
_PLACEHOLDER: Final = re.compile(
    r"(scan|image|img|photo|picture|drawing|sketch|untitled|그림|스캔|이미지|사진|무제)", re.I
)


@dataclass(frozen=True)
class Captioned:
    """A drawing and its words as they are now, saved or not."""

    path: str
    captions: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True)
class CaptionFault:
    """Something wrong with several drawings.

    Attributes:
        kind: "missing": no caption; "nameless": a camera's or scanner's file name is the caption; "same": many drawings
            have this one caption; "language": captions in a language that the model does not know.
        paths: Of which drawings.
        caption: The shared caption, or the code of the language.
    """

    kind: Kind
    paths: tuple[str, ...]
    caption: str = ""


def find_caption_faults(
    drawings: Sequence[Captioned],
    language_of: Callable[[str], str] | None = None,
    known: Collection[str] = (),
) -> tuple[CaptionFault, ...]:
    """What is wrong, most serious first; each drawing is named by the first fault that it has.

    Args:
        drawings: All of the collection that are used.
        language_of: Gives the code of a text's language, "" where it has none.
        known: Codes of the languages that the model knows; where it is empty nothing is said of languages.
    """
    missing: list[str] = []
    nameless: list[str] = []
    same: dict[str, list[Captioned]] = defaultdict(list)
    strange: dict[str, list[str]] = defaultdict(list)
    for drawing in drawings:
        if not drawing.captions:
            missing.append(drawing.path)
            continue
        only = drawing.captions[0] if len(drawing.captions) == 1 else ""
        if only and is_nameless(only) and folded(only) == folded(stem(posixpath.basename(drawing.path))):
            nameless.append(drawing.path)
        elif only:
            same[folded(only)].append(drawing)
    several = []
    alike: set[str] = set()
    for group in sorted(same.values(), key=len, reverse=True):
        if _is_fault(group, len(drawings)):
            alike |= {drawing.path for drawing in group}
            several.append(
                CaptionFault("same", tuple(drawing.path for drawing in group), group[0].captions[0])
            )
    if language_of is not None and known:
        told = {*missing, *nameless, *alike}
        for drawing in drawings:
            codes = {language_of(caption) for caption in drawing.captions} - {""}
            if drawing.path not in told and codes and not codes & set(known):
                strange[min(codes)].append(drawing.path)
    found = [CaptionFault("missing", tuple(missing)), CaptionFault("nameless", tuple(nameless)), *several]
    found += [CaptionFault("language", tuple(paths), code) for code, paths in sorted(strange.items())]
    return tuple(fault for fault in found if fault.paths)


def _is_fault(group: Sequence[Captioned], total: int) -> bool:
    caption = group[0].captions[0]
    if len(group) >= 2 and _PLACEHOLDER.fullmatch(caption.strip()):
        return True
    if len(group) < MANY or len(group) < _SHARE * total:
        return False
    # The sentence made of a class's name says what it should.
    return not all(drawing.label and folded(drawing.label) in folded(caption) for drawing in group)
