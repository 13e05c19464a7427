"""Maps of runs that keep parts: they show what searching uses, and which drawings were learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clip_atelier.engine import settings
from clip_atelier.engine.analysis import FolderMap, map_folder
from clip_atelier.engine.analysis.projection import folder_map
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.parts import PLAIN, FittedParts, Threshold, Variant
from clip_atelier.engine.parts.word_questions import BASE_WORDS
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.search import ModelRef, load_model, open_gallery
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.engine.training import Plan, train

CPU = HardwareSettings(device="cpu", threads=1, precision="fp32")


@pytest.fixture
def do_map(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[FolderMap, list[Any]]]:
    """Draws a map, and tells which embeddings it was drawn of."""

    def go(folder: Path, run: str, strength: float | None = None) -> tuple[FolderMap, list[Any]]:
        drawn: list[Any] = []
        tsne = folder_map.tsne

        def watched(before: Any, after: Any, *rest: Any) -> Any:
            drawn.extend((before, after))
            return tsne(before, after, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(folder_map, "tsne", watched)
            work = map_folder(folder, ModelRef(run, strength, hardware=CPU), Models(home), Control())
            return drive(work), drawn

    return go


def keep(home: Path, run: str, variant: Variant, strength: float) -> None:
    """Parts that use a variant for words and nothing else."""
    words = {"text_to_image": replace(BASE_WORDS, variant=variant)}
    FittedParts(strength, words, {}, {}, Threshold(None, 0)).save(Runs(home).open(run).path)


@pytest.mark.parametrize(
    ("variant", "strength"), [(Variant(1.0, True), 1.0), (Variant(0.0, True), 0.0), (PLAIN, 1.0)]
)
def test_the_map_shows_the_embeddings_that_searching_stands_on(
    home: Path,
    tiny_collection: Path,
    adapted_run: Callable[..., str],
    do_map: Callable[..., tuple[FolderMap, list[Any]]],
    variant: Variant,
    strength: float,
) -> None:
    run = adapted_run(tiny_collection)
    keep(home, run, variant, strength)
    result, (before, after) = do_map(tiny_collection, run)
    loaded = load_model(ModelRef(run, hardware=CPU), Models(home))
    gallery = drive(open_gallery(tiny_collection, loaded, home, Control(), parts=True))
    loaded.release()
    np.testing.assert_array_equal(before, gallery.base)
    wanted = gallery.adapted if variant == PLAIN else gallery.seen[loaded.space(variant).key]
    np.testing.assert_array_equal(after, wanted)
    assert np.abs(after - before).max() > 1e-4
    # The window draws a map again while it is of another strength than the dial, also where parts alone are kept.
    assert result.strength == loaded.wanted != 0


def test_at_strength_0_the_map_of_parts_is_the_bases(
    home: Path,
    tiny_collection: Path,
    adapted_run: Callable[..., str],
    do_map: Callable[..., tuple[FolderMap, list[Any]]],
) -> None:
    run = adapted_run(tiny_collection)
    keep(home, run, Variant(1.0, True), 1.0)
    result, (before, after) = do_map(tiny_collection, run, 0.0)
    np.testing.assert_array_equal(after, before)
    assert result.strength == 0


@pytest.mark.parametrize("parts", [True, False])
def test_a_run_measured_by_folds_has_learned_from_all_its_drawings(
    home: Path,
    tiny_pairs: Path,
    quick: Callable[..., dict[str, object]],
    do_map: Callable[..., tuple[FolderMap, list[Any]]],
    parts: bool,
) -> None:
    chosen = settings.build(quick(train__steps=2, evaluation__folds=3, evaluation__parts=parts))
    run = drive(train(Plan(tiny_pairs, chosen, home), Models(home), Control())).run
    result, _drawn = do_map(tiny_pairs, run)
    assert {point.split for point in result.points} == {"train"}
