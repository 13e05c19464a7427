"""Which questions are asked of a set of held-out images, and how well embeddings answer them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import N_
from clip_atelier.engine.data import Item
from clip_atelier.engine.evaluation import metrics
from clip_atelier.engine.models import Features

Side = Literal["image", "text"]

TASKS: Final[Mapping[str, str]] = {
    "text_to_image": N_("Words → image"),
    "image_to_text": N_("Image → words"),
    "sketch_to_artwork": N_("Sketch → artwork"),
    "artwork_to_sketch": N_("Artwork → sketch"),
}


def caption_key(caption: str) -> str:
    """What makes two captions the same: case, spacing and Unicode form do not matter."""
    return " ".join(unicodedata.normalize("NFC", caption).casefold().split())


@dataclass(frozen=True)
class Task:
    """One retrieval task: a kind of query against a gallery.

    Attributes:
        queries: Rows of the query side's embeddings [Q].
        gallery: Rows of the gallery side's embeddings [G].
        positives: bool [Q, G].
        clusters: int [Q]; queries of one cluster are not independent.
    """

    name: str
    query_side: Side
    queries: NDArray[np.int64]
    gallery_side: Side
    gallery: NDArray[np.int64]
    positives: NDArray[np.bool_]
    clusters: NDArray[np.int64]

    def scores(self, images: Features, texts: Features) -> Features:
        """Similarities [Q, G] from normalised embeddings of the set's images and captions."""
        sides = {"image": images, "text": texts}
        result: Features = sides[self.query_side][self.queries] @ sides[self.gallery_side][self.gallery].T
        return result


@dataclass(frozen=True)
class EvaluationSet:
    """All questions about some held-out items.

    Attributes:
        indices: Items, in the order of the image embeddings' rows.
        captions: Distinct captions, in the order of the text embeddings' rows.
        image_text: bool [N, M], which captions are right for which image.
        primary_metric: The task that matters most here.
    """

    indices: tuple[int, ...]
    captions: tuple[str, ...]
    image_text: NDArray[np.bool_]
    tasks: tuple[Task, ...]
    primary_metric: str

    def values(self, images: Features, texts: Features) -> dict[str, NDArray[np.float64]]:
        """Per-query values of plain similarities, named task/metric."""
        return self.values_of(lambda task: task.scores(images, texts))

    def values_of(self, scores: Callable[[Task], NDArray[np.floating]]) -> dict[str, NDArray[np.float64]]:
        """Per-query values, named task/metric, of whatever scores [Q, G] each task's gallery."""
        return {
            f"{task.name}/{name}": value
            for task in self.tasks
            for name, value in metrics.per_query(scores(task), task.positives).items()
        }

    def chance(self) -> dict[str, float]:
        """Each metric's value for random rankings."""
        return {
            f"{task.name}/{name}": value
            for task in self.tasks
            for name, value in metrics.chance(task.positives).items()
        }

    def task(self, name: str) -> Task:
        """The task of a direction."""
        return next(task for task in self.tasks if task.name == name)


def positives(
    items: Sequence[Item], indices: Sequence[int], groups: Sequence[int], captions: Sequence[str]
) -> NDArray[np.bool_]:
    """Which of the distinct captions are right for which images, bool [N, M].

    A caption is right for every image that carries it, and for every image of the same group (the other half of a
    pair, a near-duplicate): those are never each other's wrong answers.
    """
    column = {caption_key(caption): m for m, caption in enumerate(captions)}
    right = np.zeros((len(indices), len(captions)), np.bool_)
    of_group: dict[int, list[int]] = {}
    for row, index in enumerate(indices):
        of_group.setdefault(groups[index], []).append(row)
    for rows in of_group.values():
        keys = {caption_key(c) for row in rows for c in items[indices[row]].captions}
        columns = [column[key] for key in keys if key in column]
        right[np.ix_(rows, columns)] = True
    return right


def evaluation_set(items: Sequence[Item], indices: Sequence[int], groups: Sequence[int]) -> EvaluationSet:
    """The questions that held-out items allow.

    Args:
        items: The whole collection's items.
        indices: The held-out ones.
        groups: One group id per item of the collection.
    """
    indices = tuple(indices)
    distinct = {caption_key(c): c for i in indices for c in items[i].captions}
    captions = tuple(distinct.values())
    right = positives(items, indices, groups, captions)
    group_of = np.array([groups[i] for i in indices], np.int64)
    everything = np.arange(len(indices))
    # A caption belongs to the cluster of the first image that carries it.
    caption_cluster = group_of[right.argmax(axis=0)] if captions else np.zeros(0, np.int64)
    tasks = [
        Task(
            "text_to_image", "text", np.arange(len(captions)), "image", everything, right.T, caption_cluster
        ),
        Task("image_to_text", "image", everything, "text", np.arange(len(captions)), right, group_of),
    ]
    sketches = np.array(
        [n for n, i in enumerate(indices) if items[i].role == "sketch" and items[i].pair], np.int64
    )
    artworks = np.array(
        [n for n, i in enumerate(indices) if items[i].role == "artwork" and items[i].pair], np.int64
    )
    # Classes make few captions for many images: then naming the image is the question.
    primary_metric = "image_to_text" if len(captions) * 2 <= len(indices) else "text_to_image"
    if len(sketches) >= 2 and len(artworks) >= 2:
        same = group_of[sketches][:, None] == group_of[artworks][None, :]
        tasks.append(
            Task("sketch_to_artwork", "image", sketches, "image", artworks, same, group_of[sketches])
        )
        tasks.append(
            Task("artwork_to_sketch", "image", artworks, "image", sketches, same.T, group_of[artworks])
        )
        primary_metric = "sketch_to_artwork"
    return EvaluationSet(indices, captions, right, tuple(tasks), primary_metric)
