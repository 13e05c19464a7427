"""A fresh update on the tiny model with everything that a step is made from: what a run has before its first step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clip_atelier.engine import adapters, settings
from clip_atelier.engine.adapters import Adapter
from clip_atelier.engine.collection import scan, split
from clip_atelier.engine.collection.records import Collection
from clip_atelier.engine.collection.split import Split
from clip_atelier.engine.control import Control
from clip_atelier.engine.events import drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.models.clip import Clip
from clip_atelier.engine.pictures import Pictures
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.steps import Material
from clip_atelier.engine.store import Store


@dataclass(frozen=True)
class Prepared:
    """What a run has before its first step."""

    chosen: Settings
    collection: Collection
    parts: Split
    clip: Clip
    adapter: Adapter
    pictures: Pictures
    material: Material


def prepared(home: Path, folder: Path, values: dict[str, Any]) -> Prepared:
    """Scans, splits, attaches an update and computes what stays frozen, as a run does."""
    chosen = settings.build(values)
    collection = drive(scan(folder, chosen.data, Control()))
    parts = split(collection, chosen.data, 0)
    clip = Models(home).open(chosen.model.name, chosen.hardware)
    adapter = adapters.attach(clip, chosen)
    store = Store(home / "cache" / "features.sqlite", 10**9)
    pictures = Pictures(collection.root, collection.items, clip.image_size, chosen.data, 0, store)
    drive(pictures.prepare(parts.train, Control(), chosen.data.views))
    material = Material(clip, collection.items, parts.groups, pictures)
    drive(material.prepare(parts.train, chosen.data.views, Control()))
    return Prepared(chosen, collection, parts, clip, adapter, pictures, material)
