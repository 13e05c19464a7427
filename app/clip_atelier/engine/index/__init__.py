"""Embeddings of any folder, kept on disk, and search in them.

`query` says what is searched for and `lens` with which model; `gallery` embeds a folder, only what changed; `search`
ranks it by the base and by an adapted model. This package's own name imports nothing heavy: a window may read queries
before torch is loaded.
"""

from clip_atelier.engine.index.lens import Lens
from clip_atelier.engine.index.query import Query, Term, parse_query

__all__ = ["Lens", "Query", "Term", "parse_query"]
