"""The graphs of a very large gallery: built once beside its mapped files, measured there, and told of with each result.

A graph is a folder: `graph.usearch` and `directions.npy` (see `nearest_graph`), which come into place together, and
`reach.json`, without which it is not opened, as the last.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import (
    Control,
    Countdown,
    DamagedFile,
    Notice,
    NotWritten,
    Phase,
    Work,
    _,
    cannot_write,
    read_document,
    write_document,
)
from clip_atelier.engine.search import nearest_graph, word_list
from clip_atelier.engine.search.gallery import Gallery
from clip_atelier.engine.search.loaded_model import LoadedModel
from clip_atelier.engine.search.nearest_graph import Graph, Reach
from clip_atelier.engine.search.vectors import VectorSearch

GRAPH: Final = "graph"
_REACH: Final = "reach.json"
_OLD: Final = ("graph.usearch", "reach.json")  # of a graph that compared all numbers
_ASKED: Final = (
    192  # words, and pictures, that a graph is measured with: with 64 the shares were off by 0.02 by luck
)


def prepare(
    search: VectorSearch, gallery: Gallery, loaded: LoadedModel, key: str, strength: float, control: Control
) -> Work[None]:
    """Gives a search its graph, which is built and measured the first time; without one it goes on exactly.

    Args:
        search: The gallery in one space; exact so far.
        gallery: With mapped files.
        loaded: Its model, which embeds the words that the graph is measured with.
        key: The space's.
        strength: Of the update in that space.
        control: Stop and pause.
    """
    if not nearest_graph.installed():
        yield Notice(
            text=_(
                "All of {count} images are compared at each search. With the package usearch it goes quicker: {command}"
            ).format(count=f"{len(search):,}", command="pip install 'clip-atelier[large]'")
        )
        return
    folder = gallery.large[key].folder / GRAPH
    try:
        graph = _existing(folder, search)
        if graph is None:
            yield from _build(search, folder, loaded.hardware.threads, control)
            words = loaded.texts(_words(gallery), strength)
            _measure(search, folder, words)
            graph = _existing(folder, search)
    except NotWritten as error:
        yield Notice(text=_("{error} All images are compared at each search.").format(error=error.message))
        return
    search.graph = graph


def told(count: int, *searches: VectorSearch) -> tuple[float | None, tuple[str, ...]]:
    """The share of the true nearest that these searches find of so many results, and a sentence of it where it is not all."""
    used = [one.graph.reach for one in searches if one.graph is not None and one.graph.answers(count)]
    if not used:
        return None, ()
    least = min(used, key=lambda reach: reach.least)
    sentence = _(
        "With so many images not all are compared: {share} of 100 that are truly closest are found, as measured "
        "here with {asked} questions."
    ).format(share=f"{100 * least.least:.0f}", asked=least.asked)
    return round(least.least, 4), (sentence,)


def _existing(folder: Path, search: VectorSearch) -> Graph | None:
    """The graph, if it is there, whole, of this gallery, and of a version that the package reads."""
    try:
        reach = read_document(folder / _REACH, Reach)
        return Graph(nearest_graph.opened(folder, *search.vectors.shape), reach)
    except (OSError, EOFError, DamagedFile, ValueError, RuntimeError):
        return None


def _build(search: VectorSearch, folder: Path, threads: int, control: Control) -> Work[None]:
    """Writes the folder, whole or not at all."""
    yield Phase(name="index", title=_("Preparing a quick search in very many images"))
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    countdown = Countdown(len(search))
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for done in nearest_graph.build(search.vectors, partial, threads):
            control.boundary()
            yield countdown.at(done)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    except (OSError, RuntimeError) as error:
        reason = error if isinstance(error, OSError) else OSError(str(error))
        raise cannot_write(folder, reason) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for name in _OLD:
        with contextlib.suppress(OSError):
            (folder.parent / name).unlink()


def _measure(search: VectorSearch, folder: Path, words: NDArray[np.float32]) -> None:
    pictures = np.unique(np.linspace(0, len(search) - 1, _ASKED).astype(np.int64)).tolist()
    reach = nearest_graph.measured(
        nearest_graph.opened(folder, *search.vectors.shape),
        words,
        pictures,
        search.vectors,
        lambda query, count, left_out: search.top(query, count, left_out)[0],
    )
    write_document(folder / _REACH, reach)


def _words(gallery: Gallery) -> list[str]:
    """What might be asked: captions of this gallery, spread over it, and the names of common drawings where it has few."""
    items = [gallery.items[i] for i in np.linspace(0, len(gallery.items) - 1, 20 * _ASKED).astype(int)]
    captions = dict.fromkeys(caption for item in items for caption in item.captions[:1] if caption.strip())
    spread = list(captions)[:: max(1, len(captions) // _ASKED)][:_ASKED]
    return list(dict.fromkeys([*spread, *word_list.drawing_words("en")]))[:_ASKED]
