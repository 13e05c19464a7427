"""Captions that are longer than the model reads: how many, and where the first of them ends for it."""

from __future__ import annotations

from clip_atelier.engine.core import _, shown
from clip_atelier.engine.data import Collection
from clip_atelier.engine.models import Model, may_be_long


def told(collection: Collection, clip: Model) -> str:
    """A sentence in the user's language; "" where every caption is read whole."""
    suspects = [
        (item.path, caption)
        for item in collection.items
        for caption in item.captions
        if may_be_long(caption, clip.context)
    ]
    readings = clip.readings([caption for _path, caption in suspects])
    cut = [
        (path, reading)
        for (path, _caption), reading in zip(suspects, readings, strict=True)
        if reading.left_out
    ]
    if not cut:
        return ""
    path, reading = cut[0]
    return _("Captions longer than the model reads, whose ends it never sees: {count}. The first, of {file}, ends for it after “… {end}”; words left out: {words}.").format(
        count=len(cut), file=shown(path), end=" ".join(reading.read.split()[-3:]), words=len(reading.left_out)
    )  # fmt: skip
