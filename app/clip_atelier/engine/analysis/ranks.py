"""Where each image stands when it is asked for with its own caption, before and after an adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, Phase, Progress, Work, _
from clip_atelier.engine.evaluation import caption_key
from clip_atelier.engine.models import Features, Models
from clip_atelier.engine.search import LoadedModel, ModelRef, load_model, open_gallery

_TEXTS: Final = 256  # captions embedded between two looks at whether to stop

MOST: Final = 10_000
"""Above this many images no places are counted: encoding as many captions would take longer than the map itself."""


@dataclass(frozen=True)
class Rank:
    """One image: its first caption, and its place in that caption's ranking of the folder (1 is best)."""

    caption: str
    before: int | None = None
    after: int | None = None


def own_ranks(folder: Path, model_ref: ModelRef, models: Models, control: Control) -> Work[dict[str, Rank]]:
    """Each image's caption and place; arguments as for `index.gallery.index`.

    Other images with the same caption are neither before nor behind it: they are as right as it is.

    Returns:
        Path below the folder -> place. Without a run `after` is None; above `MOST` images both are.

    Raises:
        UserError: no such folder, run or model.
    """
    opened = load_model(model_ref, models)
    try:
        gallery = yield from open_gallery(folder, opened, models.home, control)
        captions = [item.captions[0] if item.captions else "" for item in gallery.items]
        names = [item.path for item in gallery.items]
        if len(names) > MOST:
            return {name: Rank(caption) for name, caption in zip(names, captions, strict=True)}
        yield Phase(name="evaluate", title=_("Asking for each image with its caption"))
        keys = [caption_key(caption) for caption in captions]
        distinct = list(dict(zip(keys, captions, strict=True)).values())
        column = {caption_key(caption): n for n, caption in enumerate(distinct)}
        asked = np.array([column[key] for key in keys])
        alone = model_ref.run is None
        total = len(distinct) if alone else 2 * len(distinct)
        texts = yield from _texts(opened, 0.0, distinct, control, 0, total)
        before, after = _places(gallery.base, texts, asked, control), None
        if not alone:
            texts = yield from _texts(opened, opened.strength, distinct, control, len(distinct), total)
            after = _places(gallery.adapted, texts, asked, control)
    finally:
        opened.release()
    return {
        name: Rank(captions[n], int(before[n]), None if after is None else int(after[n]))
        for n, name in enumerate(names)
    }


def _texts(
    opened: LoadedModel, strength: float, captions: Sequence[str], control: Control, done: int, total: int
) -> Work[Features]:
    parts = []
    for start in range(0, len(captions), _TEXTS):
        control.boundary()
        part = captions[start : start + _TEXTS]
        parts.append(opened.texts(part, strength))
        yield Progress(done=done + start + len(part), total=total)
    return np.concatenate(parts)


def _places(
    images: Features, texts: Features, asked: NDArray[np.int64], control: Control
) -> NDArray[np.int64]:
    """Place of each image [N] in the ranking of the text [M] it is asked with."""
    places = np.empty(len(images), np.int64)
    for number, text in enumerate(texts):
        if number % 256 == 0:
            control.boundary()
        scores = images @ text
        own = asked == number
        others = np.sort(scores[~own])
        places[own] = 1 + len(others) - np.searchsorted(others, scores[own], side="right")
    return places
