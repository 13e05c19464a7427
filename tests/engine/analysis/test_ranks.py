"""Places of images under their own captions, against a naive count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clip_atelier.engine.analysis import own_ranks
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.search import ModelRef, load_model, open_gallery


def test_places_are_what_counting_gives(
    home: Path, tiny_pairs: Path, adapted_run: Callable[..., str], tiny_clip: Path
) -> None:
    run = adapted_run(tiny_pairs)
    models = Models(home)
    found = drive(own_ranks(tiny_pairs, ModelRef(run, 1.0), models, Control()))
    chosen = Runs(home).open(run).settings
    assert models.open(chosen.model.name, chosen.hardware).adapter is None
    model_ref = load_model(ModelRef(run, 1.0), models)
    try:
        gallery = drive(open_gallery(tiny_pairs, model_ref, home, Control()))
        assert set(found) == {item.path for item in gallery.items}
        for side, strength, images in (("before", 0.0, gallery.base), ("after", 1.0, gallery.adapted)):
            for n, item in enumerate(gallery.items):
                text = model_ref.texts([item.captions[0]], strength)[0]
                ahead = sum(
                    float(images[m] @ text) > float(images[n] @ text)
                    for m, other in enumerate(gallery.items)
                    if other.captions[0] != item.captions[0]
                )
                assert getattr(found[item.path], side) == ahead + 1, (item.path, side)
    finally:
        model_ref.release()
    assert any(place.before != place.after for place in found.values())
    base = drive(
        own_ranks(tiny_pairs, ModelRef(model=str(tiny_clip), hardware=chosen.hardware), models, Control())
    )
    assert {k: v.before for k, v in base.items()} == {k: v.before for k, v in found.items()}
    assert {v.after for v in base.values()} == {None}


def test_of_very_many_images_only_the_captions_are_told(
    home: Path, tiny_pairs: Path, adapted_run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clip_atelier.engine.analysis.ranks.MOST", 47)
    found = drive(own_ranks(tiny_pairs, ModelRef(adapted_run(tiny_pairs)), Models(home), Control()))
    assert len(found) == 48
    assert {(place.before, place.after) for place in found.values()} == {(None, None)}
    assert found["sketches/red ring.png"].caption == "red ring"
