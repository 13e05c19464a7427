"""Encoding images and texts, computing what is frozen only once.

What is reported is computed in fp32, in batches of one fixed size, so that the same model gives the same bits; what only
chooses, among checkpoints and strengths, in training's precision. Stored features are named by model, cut, precision and picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clip_atelier.engine.core import Control, Countdown, Work
from clip_atelier.engine.data import ImageCache
from clip_atelier.engine.models.adapters import attached
from clip_atelier.engine.models.embeddings import Features, normalised
from clip_atelier.engine.models.family import Model
from clip_atelier.engine.models.halves import Halves

TEXT_BATCH = 256
_HIDDEN = 15 << 20  # bytes of hidden states that go through a layer together
_KNOWN_TEXTS = 16  # lists of captions whose embeddings are remembered


def image_prefix(
    clip: Model, pictures: ImageCache, indices: Sequence[int], cut: int, control: Control, views: Sequence[int] = (0,),
    half: bool = False,
) -> Work[Features]:  # fmt: skip
    """The base's values at a cut of the vision tower, one row per index and view, computed once ever.

    Args:
        clip: The model; stages before `cut` must be frozen.
        pictures: Prepared pictures.
        indices: Items to encode.
        cut: Where to stop (see `models.family`).
        control: Stop and pause.
        views: Views of each item.
        half: Compute in training's precision instead of fp32.

    Returns:
        float32 [N · V, …], ordered by view, then item.
    """
    store = pictures.store
    precision = clip.device.precision if half else "fp32"
    pairs = [(i, v) for v in views for i in indices]
    names = [f"ft:{clip.fingerprint[:32]}:v{cut}:{precision}:{pictures.key(i, v)}" for i, v in pairs]
    have = store.known(names) if store else set()
    rows: list[Features | None] = [None] * len(pairs)
    missing: list[int] = []
    for row, name in enumerate(names):
        if name not in have:
            missing.append(row)
    shape = clip.cut_shape(cut)
    for start in range(0, len(names), 256):
        part = [r for r in range(start, min(start + 256, len(names))) if names[r] in have]
        data = store.get([names[r] for r in part]) if store and part else {}
        for row in part:
            blob = data.get(names[row])
            if blob is not None and len(blob) == 4 * int(np.prod(shape)):
                rows[row] = np.frombuffer(blob, np.float32).reshape(shape)
            else:
                missing.append(row)
    missing.sort()
    # As many batches go through a layer one after the other as their hidden states may take.
    size = clip.device.batch
    span = size * max(1, _HIDDEN // (4 * size * int(np.prod(clip.cut_shape(1))))) if half else size
    countdown = Countdown(len(missing))
    for start in range(0, len(missing), span):
        part = missing[start : start + span]
        batches = [part[first : first + size] for first in range(0, len(part), size)]
        pixels = (pictures.batch(*zip(*(pairs[r] for r in batch), strict=True)) for batch in batches)
        done, fresh = start, dict[str, bytes]()
        for batch, values in zip(batches, _at_cut(clip, pixels, cut, half, control), strict=True):
            hidden = values.float().cpu().numpy()
            for row, value in zip(batch, hidden, strict=True):
                rows[row] = value
                fresh[names[row]] = value.tobytes()
            done += len(batch)
            yield countdown.at(done)
        if store:
            store.put(fresh)
    return np.stack([row for row in rows if row is not None]) if rows else np.zeros((0, *shape), np.float32)


def _at_cut(
    clip: Model, pixels: Iterable[NDArray[np.uint8]], cut: int, half: bool, control: Control
) -> list[Tensor]:
    """The base's values at a cut, batch by batch.

    In half precision all batches go through a layer before the next: only one layer's weights are held twice, and they
    are cast once for all.
    """
    last = clip.layers["vision"]
    # What follows the last layer goes with it: it is computed for the pooled position only.
    cuts = [0, *range(1, min(cut, last + 1)), cut] if half else [0, cut]
    hidden: list[Tensor] = []
    for begin, end in itertools.pairwise(cuts):
        part = clip.stage("vision", begin)
        with Halves([part] if half else [], clip.device.dtype).in_place():
            # Pixels take more room than hidden states: they are made a batch at a time.
            inputs = hidden if begin else (clip.pixels(torch.from_numpy(batch)) for batch in pixels)
            for n, x in enumerate(inputs):
                control.boundary()
                with torch.inference_mode(), clip.device.autocast(half):
                    x = clip.image(x, begin, end)
                if begin:
                    hidden[n] = x  # in the place of what went in, which is not needed any more
                else:
                    hidden.append(x)
    return hidden


def images(
    clip: Model, pictures: ImageCache, indices: Sequence[int], control: Control, half: bool = False
) -> Work[Features]:
    """Normalised embeddings [N, dim] of images as the model is now, its adapter included.

    With `half` in training's precision: quicker, for finding rather than measuring.

    Where the adapter leaves everything before the projection alone, and for the base itself, the projection's inputs
    come from the store: one pass over the images serves the base, every adapter behind it and every strength.
    """
    pooled = clip.last_cut("vision") - 1
    adapter = attached(clip)
    stage = adapter.first_stage("vision") if adapter is not None and adapter.adapter_scale != 0 else None
    if stage is not None and stage < pooled:
        return (yield from fresh_images(clip, pictures, indices, control, half))
    size = clip.device.batch
    stored = torch.from_numpy((yield from image_prefix(clip, pictures, indices, pooled, control, half=half)))
    with torch.inference_mode():
        parts = [
            clip.image(stored[start : start + size].to(clip.device.place), pooled).float().cpu().numpy()
            for start in range(0, len(stored), size)
        ]
    return normalised(np.concatenate(parts)) if parts else np.zeros((0, clip.dim), np.float32)


class Pictures(Protocol):
    """Prepared pictures in batches; `ImageCache` is one."""

    def batch(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 [B, size, size, 3]."""
        ...


def fresh_images(
    clip: Model, pictures: Pictures, indices: Sequence[int], control: Control, half: bool = False
) -> Work[Features]:
    """Normalised embeddings [N, dim] of images, nothing taken from the store; `half` as for `images`."""
    parts: list[Features] = []
    halves = Halves([clip.tower("vision")] if half else [], clip.device.dtype)
    countdown, size = Countdown(len(indices)), clip.device.batch
    for start in range(0, len(indices), size):
        control.boundary()
        part = indices[start : start + size]
        with torch.inference_mode(), halves.in_place(), clip.device.autocast(half):
            parts.append(
                clip.image(clip.pixels(torch.from_numpy(pictures.batch(part)))).float().cpu().numpy()
            )
        done = start + len(part)
        yield countdown.at(done)
    return normalised(np.concatenate(parts)) if parts else np.zeros((0, clip.dim), np.float32)


def texts(clip: Model, captions: Sequence[str], half: bool = False) -> Features:
    """Normalised embeddings [N, dim] of texts as the model is now; `half` as for `images`.

    What the adapter does not touch is remembered: checks, strengths and the cells of a grid ask for the same captions.
    """
    adapter = attached(clip)
    frozen = adapter is None or adapter.adapter_scale == 0 or not adapter.touches("text")
    key = (clip.device.precision if half else "fp32", *captions)
    if frozen and key in clip.known_texts:
        return clip.known_texts[key]
    found = fresh_texts(clip, captions, half)
    if frozen:
        while len(clip.known_texts) >= _KNOWN_TEXTS:
            clip.known_texts.pop(next(iter(clip.known_texts)))
        clip.known_texts[key] = found
    return found


def fresh_texts(clip: Model, captions: Sequence[str], half: bool = False) -> Features:
    """Normalised embeddings [N, dim] of texts, nothing remembered."""
    return normalised(text_embeddings(clip, captions, half))


def text_embeddings(clip: Model, captions: Sequence[str], half: bool = False) -> Features:
    """Embeddings [N, dim] of texts as the model gives them, of any length."""
    halves = Halves([clip.tower("text")] if half else [], clip.device.dtype)
    with torch.inference_mode(), halves.in_place(), clip.device.autocast(half):
        parts = [
            clip.text(clip.tokens(captions[start : start + TEXT_BATCH])).float().cpu().numpy()
            for start in range(0, len(captions), TEXT_BATCH)
        ]
    return np.concatenate(parts) if parts else np.zeros((0, clip.dim), np.float32)


def image_now(clip: Model, picture: NDArray[np.uint8]) -> Features:
    """Normalised embedding [1, dim] of one fitted picture [size, size, 3], e.g. a query that is in no collection."""
    with torch.inference_mode():
        value: Tensor = clip.image(clip.pixels(torch.from_numpy(picture[None].copy())))
    return normalised(value.float().cpu().numpy())


class Tokens:
    """Token ids of captions, tokenised once, for batches that are put together later.

    Args:
        clip: The model whose tokenizer is used.
        captions: M captions.
    """

    def __init__(self, clip: Model, captions: Sequence[str]) -> None:
        ids = [clip.tokens([caption])[0] for caption in captions]
        self._lengths = [len(one) for one in ids]
        self._ids = (
            torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=clip.pad)
            if ids
            else torch.zeros(0, 0, dtype=torch.long)
        )

    def batch(self, rows: Sequence[int]) -> Tensor:
        """Ids [B, T] of some captions, on the model's device; T is the length of the longest of them."""
        longest = max(self._lengths[row] for row in rows)
        chosen = torch.tensor(rows).to(self._ids.device, non_blocking=True)
        return self._ids[:, :longest].index_select(0, chosen)
