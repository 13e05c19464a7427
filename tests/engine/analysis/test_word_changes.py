"""Words learned and lost: places against a naive ranking, and a vocabulary that means something."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clip_atelier.engine.analysis import word_changes
from clip_atelier.engine.core import Control, Event, Stopped, UserError, drive, events
from clip_atelier.engine.data import ImageCache, scan, split
from clip_atelier.engine.evaluation import WordChanges, findings
from clip_atelier.engine.models import Models, adapters, features
from clip_atelier.engine.runs import Runs, open_run

Run = Callable[..., str]
TEMPLATES = ("{}", "a drawing of {}")


def asked(home: Path, run: str, **more: Any) -> dict[str, Any]:
    return drive(
        word_changes.words(home, run, Models(home), Control(), templates=TEMPLATES, **more)
    ).as_json()


def _place(text: np.ndarray, images: np.ndarray, right: list[bool]) -> int:
    order = sorted(range(len(images)), key=lambda n: -float(text @ images[n]))
    return next(place for place, n in enumerate(order, 1) if right[n])


def test_places_are_those_of_a_naive_ranking_of_the_held_out_images(
    home: Path, tiny_collection: Path, adapted_run: Run
) -> None:
    run = adapted_run(tiny_collection)
    result = asked(home, run, strength=1.0)
    folder = Runs(home).open(run)
    chosen = folder.settings
    collection = drive(scan(tiny_collection, chosen.data, Control()))
    parts = split(collection, chosen.data, chosen.data.split_seed)
    held = parts.reported
    items = [collection.items[i] for i in held]
    groups = [parts.groups[i] for i in held]
    assert result["images"] == len(items) < 24
    assert result["measured_on"] in ("test", "validation")
    names = {entry["word"] for entry in result["words"]}
    assert names >= {item.captions[0] for item in items}
    opened = open_run(folder, Models(home))
    try:
        for side, strength in (("before", 0.0), ("after", 1.0)):
            opened.adapter.set_adapter_scale(strength)
            pictures = ImageCache(collection.root, collection.items, 32, chosen.data)
            images = drive(features.fresh_images(opened.clip, pictures, held, Control()))
            for entry in result["words"]:
                text = features.texts(opened.clip, [entry["word"]])[0]
                # What is right for a drawing is right for those that look the same.
                fit = {g for g, item in zip(groups, items, strict=True) if entry["word"] in item.captions[0]}
                right = [g in fit for g in groups]
                assert entry["images"] == sum(right)
                assert entry[side] == _place(text, images, right), (entry, side)
    finally:
        adapters.detach(opened.clip)
    moved = [entry["moved"] for entry in result["words"]]
    assert moved == sorted(moved, reverse=True)
    assert any(moved)
    for entry in result["words"]:
        assert entry["moved"] == pytest.approx(math.log2(entry["before"] / entry["after"]))
    assert result["average"]["value"] == pytest.approx(np.mean(moved))
    json.dumps(result, allow_nan=False)


def test_single_words_that_captions_share_are_asked_for_too(
    home: Path, tiny_pairs: Path, tiny_collection: Path, adapted_run: Run
) -> None:
    result = asked(home, adapted_run(tiny_collection), folder=tiny_pairs)
    by_word = {entry["word"]: entry["images"] for entry in result["words"]}
    assert by_word["red"] == 12
    assert by_word["ring"] == 8
    assert by_word["red ring"] == 2
    assert len(by_word) == 24 + 4 + 6


def test_the_bare_wording_is_the_caption_itself(home: Path, tiny_collection: Path, adapted_run: Run) -> None:
    result = asked(home, adapted_run(tiny_collection))
    captions = [entry for entry in result["words"] if entry["word"].startswith("a ")]
    bare, drawing = result["templates"]
    assert bare["template"] == "{}"
    assert bare["base"] == pytest.approx(np.mean([entry["before"] == 1 for entry in captions]))
    assert bare["adapted"] == pytest.approx(np.mean([entry["after"] == 1 for entry in captions]))
    assert set(drawing) == {"template", "base", "adapted"}
    assert result["templates_tried_on"] == len(captions)


def test_classes_are_named_without_the_sentence_made_of_them(
    home: Path, tiny_collection: Path, adapted_run: Run
) -> None:
    for file in sorted(tiny_collection.glob("*.png")):
        shape = tiny_collection / file.stem.partition("-")[2]
        shape.mkdir(exist_ok=True)
        file.rename(shape / file.name)
    (tiny_collection / "metadata.csv").unlink()
    run = adapted_run(tiny_collection, data__captions="folder")
    result = asked(home, run)
    chosen = Runs(home).open(run).settings
    collection = drive(scan(tiny_collection, chosen.data, Control()))
    held = split(collection, chosen.data, chosen.data.split_seed).reported
    assert {entry["word"] for entry in result["words"]} == {collection.items[i].label for i in held}


def test_nothing_moves_at_strength_0(home: Path, tiny_collection: Path, adapted_run: Run) -> None:
    result = asked(home, adapted_run(tiny_collection), strength=0.0)
    assert {entry["moved"] for entry in result["words"]} == {0.0}
    assert result["average"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert all(t["base"] == t["adapted"] for t in result["templates"])
    assert "On average nothing measurable moved" in findings.words(WordChanges.model_validate(result))[1]


def test_another_folder_is_looked_at_whole(
    home: Path, tiny_collection: Path, tiny_pairs: Path, adapted_run: Run
) -> None:
    result = asked(home, adapted_run(tiny_pairs), folder=tiny_collection)
    assert result["images"] == 24
    assert result["measured_on"] == "all"
    with pytest.raises(UserError, match="nowhere"):
        asked(home, Runs(home).list()[0].id, folder=tiny_collection / "nowhere")


def test_it_stops_between_texts_and_leaves_the_model_bare(
    home: Path, tiny_collection: Path, adapted_run: Run
) -> None:
    run = adapted_run(tiny_collection)
    models, control = Models(home), Control()
    phases: list[str] = []

    def stop(event: Event) -> None:
        if isinstance(event, events.Phase):
            phases.append(event.name)
        elif isinstance(event, events.Progress) and phases[-1] == "evaluate":
            control.stop()

    with pytest.raises(Stopped):
        drive(word_changes.words(home, run, models, control, templates=TEMPLATES), stop)
    chosen = Runs(home).open(run).settings
    assert models.open(chosen.model.name, chosen.hardware).adapter is None


def test_the_reading_counts_and_judges() -> None:
    word = {"word": "w", "images": 1, "before": 1, "after": 1}
    about = {"run": "a", "folder": "f", "images": 4, "measured_on": "test"}
    result = about | {
        "strength": 0.75, "best": 0.75, "average": {"value": 0.4, "low": 0.1, "high": 0.7},
        "words": [word | {"moved": moved} for moved in (2.0, 1.0, 0.0, -1.0)],
        "templates": [{"template": "a {}", "base": 0.2, "adapted": 0.5}, {"template": "b {}", "base": 0.3, "adapted": 0.55}],
    }  # fmt: skip
    said = findings.words(WordChanges.model_validate(result))
    assert said[0].startswith(
        "Of 4 words, 2 find their first right image further up at strength 0.75, 1 further down"
    )
    assert said[1].startswith("On average words were learned: +0.40 octaves (95 % interval +0.10 to +0.70")
    assert (
        said[2]
        == "Between the best and the worst wording lie 0.100 of R@1 before the adaptation and 0.050 after."
    )
