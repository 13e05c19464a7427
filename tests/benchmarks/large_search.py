"""Times searches in 100,000 to 3,000,000 vectors of 512 numbers: ours, exact and beyond a million, beside faiss and usearch.

    python tests/benchmarks/large_search.py [--sizes 100000,1000000] [--threads 2] [--keep FOLDER]

Each contender builds and searches in a process of its own, one after the other, on the same vectors in a file; a table of
build time, peak memory (with the pages of mapped files), p50 and p99 of 200 searches one by one, and the share of the true
ten nearest that were found, by words and by pictures.

The vectors are drawn with the structure of the starter model's embeddings of 5,465 drawings of twelve collections, whose
figures are the constants below: a mean that is most of their length, a spectrum that falls by e every 20 numbers (so that
about forty dimensions matter), clusters whose sizes follow a power law, with the share of variance between clusters that
gives the median cosine of the tenth neighbour, and words that lie apart from the pictures in a cone of their own and share
only a part of their directions. A random rotation spreads them over 512 numbers.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

DIM, INNER = 512, 160
DECAY = 20.0  # of the spectrum; the first 10, 20, 50 and 100 directions hold 43, 64, 92 and 99 % of it
MEAN, WORDS_MEAN, MEANS_COSINE = 0.708, 0.613, 0.726
BETWEEN = (
    0.54  # share of the variance between clusters: median cosine of the tenth neighbour among 5,465 is 0.81
)
POWER = 0.8  # of the clusters' sizes
PER_CLUSTER = 25
WORDS_DECAY = 40.0  # words: 23, 38, 72 and 92 % of what differs lies in those directions
WORDS_TOWARDS = (
    0.35  # how far words lie in the direction of a cluster: their best score is 3.9 deviations above the mean
)
QUERIES = 100  # of each kind
TOP = 10
CONTENDERS = ("ours, exact", "ours, beyond", "faiss flat", "faiss HNSW, defaults", "usearch, defaults")


class Drawn:
    """Vectors of a size, a chunk at a time, the same for the same size."""

    def __init__(self, count: int) -> None:
        self.count = count
        rng = np.random.default_rng(7)
        self.basis = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0][:INNER].astype(np.float32)
        self.spread = np.exp(-np.arange(INNER) / (2 * DECAY)).astype(np.float32)
        self.spread *= np.sqrt(1 - MEAN**2) / np.linalg.norm(self.spread)
        self.words_spread = np.exp(-np.arange(INNER) / (2 * WORDS_DECAY)).astype(np.float32)
        self.words_spread *= np.sqrt(1 - WORDS_MEAN**2) / np.linalg.norm(self.words_spread)
        clusters = max(2, count // PER_CLUSTER)
        self.centres = rng.standard_normal((clusters, INNER), dtype=np.float32)
        sizes = np.arange(1, clusters + 1) ** -POWER
        self.shares = np.cumsum(sizes / sizes.sum())
        # The means lie in directions of their own, so that they take no part in what differs.
        one, other = np.linalg.qr(rng.standard_normal((DIM, 2)))[0].T
        self.mean = (MEAN * one).astype(np.float32)
        self.words_mean = (WORDS_MEAN * (MEANS_COSINE * one + np.sqrt(1 - MEANS_COSINE**2) * other)).astype(
            np.float32
        )

    def pictures(self, count: int, rng: np.random.Generator) -> np.ndarray:
        own = np.minimum(np.searchsorted(self.shares, rng.random(count)), len(self.centres) - 1)
        inner = np.sqrt(BETWEEN) * self.centres[own]
        inner += np.sqrt(1 - BETWEEN) * rng.standard_normal((count, INNER), dtype=np.float32)
        return unit(self.mean + (inner * self.spread) @ self.basis)

    def words(self, count: int, rng: np.random.Generator) -> np.ndarray:
        own = np.minimum(np.searchsorted(self.shares, rng.random(count)), len(self.centres) - 1)
        inner = np.sqrt(WORDS_TOWARDS) * self.centres[own]
        inner += np.sqrt(1 - WORDS_TOWARDS) * rng.standard_normal((count, INNER), dtype=np.float32)
        return unit(self.words_mean + (inner * self.words_spread) @ self.basis)

    def chunks(self, size: int = 50_000) -> Iterator[np.ndarray]:
        for number, start in enumerate(range(0, self.count, size)):
            yield self.pictures(min(size, self.count - start), np.random.default_rng([11, number]))

    def queries(self) -> np.ndarray:
        rng = np.random.default_rng(13)
        return np.concatenate([self.words(QUERIES, rng), self.pictures(QUERIES, rng)])


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def write(count: int, folder: Path) -> None:
    """`rows.npy`, `queries.npy` and `true.npy`: the vectors, what is asked, and the answers in float64."""
    drawn = Drawn(count)
    rows = np.lib.format.open_memmap(folder / "rows.npy", "w+", dtype=np.float32, shape=(count, DIM))
    queries = drawn.queries()
    best = [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
    done = 0
    for chunk in drawn.chunks():
        rows[done : done + len(chunk)] = chunk
        scores = queries @ chunk.T
        wide = min(3 * TOP, len(chunk))
        near = np.argpartition(-scores, wide - 1, axis=1)[:, :wide]
        for i, own in enumerate(near):
            items = np.concatenate([best[i][0], own + done])
            told = np.concatenate([best[i][1], scores[i, own]])
            order = np.argsort(-told, kind="stable")[: 3 * TOP]
            best[i] = items[order], told[order]
        done += len(chunk)
    true = []
    for query, (items, _) in zip(queries.astype(np.float64), best, strict=True):
        items = np.sort(items)
        exact = rows[items].astype(np.float64) @ query
        true.append(items[np.argsort(-exact, kind="stable")[:TOP]])
    np.save(folder / "queries.npy", queries)
    np.save(folder / "true.npy", np.stack(true))


def contender(
    name: str, folder: Path, threads: int
) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, object]]:
    """Builds; gives what answers one query with items, and what is to be told of it."""
    import torch

    torch.set_num_threads(threads)
    if name == "ours, exact":
        from clip_atelier.engine.search.codes import codes_of
        from clip_atelier.engine.search.vectors import VectorSearch

        rows = np.load(folder / "rows.npy", mmap_mode="r")
        search = VectorSearch(rows, codes_of(rows))
        return lambda query: search.top(query, TOP)[0], {}
    if name == "ours, beyond":
        from clip_atelier.engine.search import nearest_graph
        from clip_atelier.engine.search.codes import codes_of
        from clip_atelier.engine.search.vectors import VectorSearch

        rows = np.load(folder / "rows.npy", mmap_mode="r")
        place = folder / "graph"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        began = time.perf_counter()
        for _done in nearest_graph.build(rows, place, threads):
            pass
        took = time.perf_counter() - began
        neighbours = nearest_graph.opened(place, *rows.shape)
        exact = VectorSearch(rows, codes_of(rows))
        drawn = Drawn(len(rows))
        words = drawn.words(192, np.random.default_rng(17))
        sample = np.linspace(0, len(rows) - 1, 192).astype(int).tolist()
        reach = nearest_graph.measured(
            neighbours, words, sample, rows, lambda query, top, out: exact.top(query, top, out)[0]
        )
        graph = nearest_graph.Graph(neighbours, reach)

        def answer(query: np.ndarray) -> np.ndarray:
            near = graph.nearest(query, TOP)
            return near[np.argsort(-(rows[near].astype(np.float64) @ query), kind="stable")[:TOP]]

        return answer, {
            "reach": reach.as_json(), "directions": neighbours.directions.along.shape[1], "graph_s": round(took, 1),
            "graph_gb": round(sum(file.stat().st_size for file in place.iterdir()) / 1e9, 3),
        }  # fmt: skip
    rows = np.load(folder / "rows.npy", mmap_mode="r")
    if name.startswith("faiss"):
        import faiss

        faiss.omp_set_num_threads(threads)
        inner = faiss.METRIC_INNER_PRODUCT
        theirs = faiss.IndexFlatIP(DIM) if name == "faiss flat" else faiss.IndexHNSWFlat(DIM, 32, inner)
        for start in range(0, len(rows), 50_000):
            theirs.add(np.ascontiguousarray(rows[start : start + 50_000]))
        return lambda query: theirs.search(query[None], TOP)[1][0], {}
    from usearch.index import Index

    index = Index(ndim=DIM, metric="cos")
    for start in range(0, len(rows), 50_000):
        part = np.ascontiguousarray(rows[start : start + 50_000])
        index.add(np.arange(start, start + len(part)), part, threads=threads)
    return lambda query: index.search(query, TOP, threads=1).keys.astype(np.int64), {}


def one(name: str, folder: Path, threads: int) -> dict[str, object]:
    """What one contender does: in a process of its own."""
    began, used = time.perf_counter(), time.process_time()
    answer, told = contender(name, folder, threads)
    built, used = time.perf_counter() - began, time.process_time() - used
    queries, true = np.load(folder / "queries.npy"), np.load(folder / "true.npy")
    for query in queries[::20]:
        answer(query)
    took, shares = [], []
    for query, wanted in zip(queries, true, strict=True):
        began = time.perf_counter()
        found = answer(query)
        took.append((time.perf_counter() - began) * 1000)
        shares.append(len(set(found.tolist()) & set(wanted.tolist())) / TOP)
    return {
        "images": int(np.load(folder / "rows.npy", mmap_mode="r").shape[0]), "contender": name,
        "build_s": round(built, 1), "build_cpu_s": round(used, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "p50_ms": round(float(np.percentile(took, 50)), 2), "p99_ms": round(float(np.percentile(took, 99)), 2),
        "recall_words": round(float(np.mean(shares[:QUERIES])), 3),
        "recall_pictures": round(float(np.mean(shares[QUERIES:])), 3), **told,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="100000,1000000")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contenders", default=";".join(CONTENDERS), help="divided by semicolons")
    parser.add_argument("--keep", type=Path, help="where the files are made, and left for another call")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options.keep, options.threads)))
        return 0
    for count in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) if options.keep is None else options.keep / str(count)
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "true.npy").exists():
                write(count, folder)
            for name in options.contenders.split(";"):
                child = [sys.executable, __file__, "--one", name, "--keep", folder]
                subprocess.run([*map(str, child), "--threads", str(options.threads)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
