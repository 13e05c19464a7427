"""Embeddings of a collection's drawings and captions in every variant that parts may stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from clip_atelier.engine.core import Control, Work
from clip_atelier.engine.data import ImageCache, framing
from clip_atelier.engine.models import Adapter, Features, Model, features
from clip_atelier.engine.parts.cross_fitting import Variants
from clip_atelier.engine.parts.embedded import Embedded
from clip_atelier.engine.parts.variants import VIEWS, Picture, Variant


class _View:
    """One of the `VIEWS` of prepared pictures, in batches."""

    def __init__(self, pictures: ImageCache, view: Callable[[Picture], Picture]) -> None:
        self._pictures = pictures
        self._view = view

    def batch(self, indices: Sequence[int]) -> Picture:
        """uint8 [B, …], as the model is shown them."""
        frame = self._pictures.frame
        return np.stack(
            [framing.changed(picture, frame, self._view) for picture in self._pictures.batch(indices)]
        )


def image_embeddings(
    clip: Model, pictures: ImageCache, indices: Sequence[int], views: bool, control: Control
) -> Work[Features]:
    """Normalised embeddings [N, dim] of prepared drawings as the model is now, or the mean of those of several views."""
    found = yield from features.images(clip, pictures, indices, control)
    if not views:
        return found
    return (yield from with_views(clip, pictures, indices, found, control))


def with_views(
    clip: Model,
    pictures: ImageCache,
    indices: Sequence[int],
    plain: Features,
    control: Control,
    half: bool = False,
) -> Work[Features]:
    """The mean of the embeddings of several views of drawings, as the model is now.

    Args:
        clip: The model.
        pictures: The drawings, prepared.
        indices: N of them.
        plain: Their embeddings [N, dim] as they are, which is the first view.
        control: Stop and pause.
        half: Compute in training's precision, as for `features.images`.

    Returns:
        Unit rows [N, dim].
    """
    total = plain.copy()
    for view in VIEWS:
        total += yield from features.fresh_images(clip, _View(pictures, view), indices, control, half)
    return np.asarray(total / np.linalg.norm(total, axis=1, keepdims=True), np.float32)


def embedded_variants(
    clip: Model,
    pictures: ImageCache,
    indices: Sequence[int],
    strings: Sequence[str],
    variants: Sequence[Variant],
    control: Control,
    adapter: Adapter | None = None,
) -> Work[Variants]:
    """Drawings and captions embedded in each of some variants, every picture through the model as seldom as can be.

    Args:
        clip: The model.
        pictures: The drawings, prepared.
        indices: N items.
        strings: M captions.
        variants: Which; those of other strengths than 0 need `adapter`.
        control: Stop and pause.
        adapter: The update that is attached to the model, if any; its strength is as before afterwards.
    """
    items = [pictures.items[i] for i in indices]
    found: dict[Variant, Embedded] = {}
    before = adapter.adapter_scale if adapter else 0.0
    try:
        for strength in dict.fromkeys(variant.strength for variant in variants):
            if adapter:
                adapter.set_adapter_scale(strength)
            texts = features.texts(clip, strings)
            plain = yield from features.images(clip, pictures, indices, control)
            for variant in variants:
                if variant.strength == strength:
                    images = plain
                    if variant.views:
                        images = yield from with_views(clip, pictures, indices, plain, control)
                    found[variant] = Embedded.of(items, strings, images, texts)
    finally:
        if adapter:
            adapter.set_adapter_scale(before)
    return {variant: found[variant] for variant in variants}
