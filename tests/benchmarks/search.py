"""Times the search of 100,000 stored vectors, beside faiss.IndexFlatIP on the same vectors in the same run.

    python tests/benchmarks/search.py [--count 100000] [--dim 512] [--rounds 50]

Prints medians and their ratio; exits with 1 if a search took 30 ms or more at the median, or longer than faiss's.
The vectors go through the real store: written, closed, opened, read back.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from clip_atelier.engine.search.embedding_store import EmbeddingStore, Space
from clip_atelier.engine.search.vectors import VectorSearch

LIMIT_MS = 30.0


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def stored(vectors: np.ndarray) -> np.ndarray:
    """The vectors after a way through the store; prints how long it took."""
    space = Space("benchmark", "letterbox")
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(len(vectors))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        with EmbeddingStore(path) as store:
            took = milliseconds(
                lambda: [
                    store.add(space, digests[start : start + 256], vectors[start : start + 256])
                    for start in range(0, len(vectors), 256)
                ]
            )
        print(f"store: written in {took / 1000:.2f} s, {path.stat().st_size / 1e6:.0f} MB")
        with EmbeddingStore(path) as store:
            began = time.perf_counter()
            found = store.load(space, digests, vectors.shape[1])
            print(f"store: loaded in {time.perf_counter() - began:.2f} s")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((options.count, options.dim), dtype=np.float32)
    search = VectorSearch(stored(raw / np.linalg.norm(raw, axis=1, keepdims=True)))
    theirs = faiss.IndexFlatIP(options.dim)
    theirs.add(search.vectors)
    queries = VectorSearch(rng.standard_normal((options.rounds, options.dim))).vectors

    failed = False
    for top in (10, 100):
        ours_ms, theirs_ms = [], []
        # Turn by turn, so that whatever else the machine does falls on both.
        for query in queries:
            ours_ms.append(milliseconds(lambda query=query, top=top: search.top(query, top)))
            theirs_ms.append(milliseconds(lambda query=query, top=top: theirs.search(query[None], top)))
            items = search.top(query, top)[0]
            assert set(items) == set(theirs.search(query[None], top)[1][0]), "the results differ"
        ours, faiss_ms = statistics.median(ours_ms), statistics.median(theirs_ms)
        failed |= ours >= LIMIT_MS or ours > faiss_ms
        print(
            f"top {top} of {options.count} x {options.dim}: {ours:.2f} ms, "
            f"faiss.IndexFlatIP {faiss_ms:.2f} ms, ratio {ours / faiss_ms:.2f}"
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
