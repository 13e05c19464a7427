"""The next batch's pictures are brought together while a step is computed; no bit of it differs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from prepared import prepared

from clip_atelier.engine.training.batches import Batches


def test_pictures_fetched_ahead_are_the_same_and_read_once(
    home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clip_atelier.engine.training.inputs._WORTH_A_THREAD", 0)  # these are a few kilobytes
    made = prepared(home, tiny_pairs, quick(lora__target_modules="q_proj", data__views=2))
    inputs, items = made.inputs, made.collection.items
    assert inputs.image_cut == 0
    batches = Batches.of(items, made.parts.train, made.parts.groups, made.chosen)
    plain = [inputs.images(batches.at(step), slice(None)) for step in range(4)]

    read: list[tuple[tuple[int, ...], str]] = []
    batch = made.pictures.batch

    def counted(indices: Any, view: Any = 0) -> Any:
        read.append((tuple(indices), threading.current_thread().name))
        return batch(indices, view)

    monkeypatch.setattr(made.pictures, "batch", counted)
    inputs.fetch_ahead(batches.at(0))
    for step in range(4):
        now = batches.at(step)
        inputs.fetch_ahead(batches.at(step + 1))
        torch.testing.assert_close(inputs.images(now, slice(None)), plain[step], rtol=0, atol=0)
        half = inputs.images(now, slice(1, 3))
        torch.testing.assert_close(half, plain[step][1:3], rtol=1e-5, atol=1e-6)
    inputs.fetch_ahead(batches.at(4))  # asked for before: nothing happens
    inputs.images(batches.at(4), slice(None))
    assert [indices for indices, _thread in read] == [batches.at(step).indices for step in range(5)]
    assert all(thread.startswith("fetch") for _indices, thread in read)


def test_few_bytes_at_hand_are_worth_no_thread(
    home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]]
) -> None:
    made = prepared(home, tiny_pairs, quick(lora__target_modules="q_proj"))
    batches = Batches.of(made.collection.items, made.parts.train, made.parts.groups, made.chosen)
    made.inputs.fetch_ahead(batches.at(0))
    assert not made.inputs._fetched
    made.pictures._memory.clear()
    made.inputs.fetch_ahead(batches.at(0))
    assert batches.at(0) in made.inputs._fetched


def test_nothing_is_fetched_where_the_tower_is_stored(
    home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]]
) -> None:
    made = prepared(home, tiny_pairs, quick(lora__target_modules="visual_projection"))
    batches = Batches.of(made.collection.items, made.parts.train, made.parts.groups, made.chosen)
    made.inputs.fetch_ahead(batches.at(0))
    assert not made.inputs._fetched
