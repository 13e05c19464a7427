"""A folder of drawings becomes a collection: scan, captions, pairs, split, and the gate every image passes."""

from clip_atelier.engine.collection.records import Collection, Item, Problem
from clip_atelier.engine.collection.scan import scan
from clip_atelier.engine.collection.split import Split, split

__all__ = ["Collection", "Item", "Problem", "Split", "scan", "split"]
