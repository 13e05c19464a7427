"""What is wrong with the captions as they are now, and what puts it right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clip_atelier.engine.core import _
from clip_atelier.gui.pages.collection.caption_model import CaptionModel, Told

if TYPE_CHECKING:
    from clip_atelier.engine.data import CaptionFault


def found_faults(captions: CaptionModel, model: str) -> Sequence[CaptionFault]:
    """The faults of the drawings that are used, for a model of this name."""
    from clip_atelier.engine.data import Captioned, find_caption_faults
    from clip_atelier.engine.models import languages, shelf

    told = {path: captions.told(path) for path in captions.paths}
    used = [Captioned(path, t.captions, t.label) for path, t in told.items() if t.split != "unused"]
    known = languages.told(model) or ()
    return find_caption_faults(used, languages.language_of, () if shelf.EVERY in known else known)


def language_named(code: str) -> str:
    """A language's code in words."""
    from clip_atelier.engine.models import languages

    return languages.named([code])


def changes_of(remedy: str, fault: CaptionFault, captions: CaptionModel) -> tuple[dict[str, Told], str]:
    """What a remedy ("folder", "leave out") makes of the drawings of a fault, and what the step is called."""
    from clip_atelier.engine.data import fill_template

    there = set(captions.paths)
    told = {path: captions.told(path) for path in fault.paths if path in there}
    if remedy == "leave out":
        left_out = {path: now._replace(split="unused") for path, now in told.items()}
        return left_out, _("Leave drawings out")
    words = {path: fill_template("{folder}", path, now.label, 1) for path, now in told.items()}
    named = {path: told[path]._replace(captions=(text,)) for path, text in words.items() if text}
    return named, _("Captions from the folder")
