"""Files that hold many things: the blob cache and packs."""

from clip_atelier.engine.storage import packs
from clip_atelier.engine.storage.blob_cache import BlobCache
from clip_atelier.engine.storage.packs import Kind, Pack

__all__ = [
    "BlobCache",
    "Kind",
    "Pack",
    "packs",
]
