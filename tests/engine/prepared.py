"""A fresh update on the tiny model with everything that a step is made from: what a run has before its first step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import Collection, ImageCache, Split, scan, split
from clip_atelier.engine.models import Adapter, Model, Models, adapters
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.storage import BlobCache
from clip_atelier.engine.training.inputs import TrainingInputs


@dataclass(frozen=True)
class Prepared:
    """What a run has before its first step."""

    chosen: Settings
    collection: Collection
    parts: Split
    clip: Model
    adapter: Adapter
    pictures: ImageCache
    inputs: TrainingInputs


def prepared(home: Path, folder: Path, values: dict[str, Any]) -> Prepared:
    """Scans, splits, attaches an update and computes what stays frozen, as a run does."""
    chosen = settings.build(values)
    collection = drive(scan(folder, chosen.data, Control()))
    parts = split(collection, chosen.data, 0)
    clip = Models(home).open(chosen.model.name, chosen.hardware)
    adapter = adapters.attach(clip, chosen)
    store = BlobCache(home / "cache" / "features.sqlite", 10**9)
    pictures = ImageCache(collection.root, collection.items, clip.frame, chosen.data, 0, store)
    drive(pictures.prepare(parts.train, Control(), chosen.data.views))
    inputs = TrainingInputs(clip, collection.items, parts.groups, pictures)
    drive(inputs.prepare(parts.train, chosen.data.views, Control()))
    return Prepared(chosen, collection, parts, clip, adapter, pictures, inputs)
