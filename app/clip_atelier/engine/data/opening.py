"""The way every job opens a collection: read the folder, then divide it."""

from __future__ import annotations

from pathlib import Path

from clip_atelier.engine.core import Control, Work
from clip_atelier.engine.data.records import Collection
from clip_atelier.engine.data.scanning import scan
from clip_atelier.engine.data.splitting import Split, split
from clip_atelier.engine.settings import DataSettings


def scan_cache_file(home: Path) -> Path:
    """Where a home remembers unchanged images."""
    return home / "cache" / "scan.sqlite"


def open_collection(
    folder: Path, data: DataSettings, home: Path, control: Control
) -> Work[tuple[Collection, Split]]:
    """A folder as a collection, and which of its images are learned from, choose, and are checked on.

    Raises:
        UserError: the folder cannot be read, or holds too little to be divided.
        Stopped: a stop was asked for; what was read stays in the cache.
    """
    collection = yield from scan(folder, data, control, scan_cache_file(home))
    return collection, split(collection, data, data.split_seed)
