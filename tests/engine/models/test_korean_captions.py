"""A small multilingual model learns drawings with Korean captions: it then finds far more of them than chance would."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import family_folders
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import ModelRef, load_model, open_gallery
from clip_atelier.engine.training import Plan, train
from tiny import draw

SHAPES = {"circle": "동그라미", "square": "네모", "triangle": "세모", "cross": "가위표", "ring": "고리"}
COLOURS = {
    "#d22": "빨간", "#27d": "파란", "#292": "초록", "#e90": "주황", "#737": "보라", "#111": "검은", "#a63": "갈색", "#0bb": "하늘색",
}  # fmt: skip
PLACES = {-9: "왼쪽 위의", -4: "위의", 0: "가운데", 4: "아래의", 9: "오른쪽 아래의"}


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 drawings, each with a caption of its own."""
    folder = tmp_path_factory.mktemp("drawings")
    rows = []
    for n, (shape, colour, place) in enumerate(itertools.product(SHAPES, COLOURS, PLACES)):
        draw(shape, colour, shift=place).convert("RGB").save(folder / f"{n:03d}.png")
        rows.append((f"{n:03d}.png", f"{PLACES[place]} {COLOURS[colour]} {SHAPES[shape]}"))
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("file_name", "text"), *rows])
    return folder


def found_first(folder: Path, home: Path, model_ref: ModelRef) -> float:
    """How many captions find their drawing first."""
    models = Models(home)
    loaded = load_model(model_ref, models)
    gallery = drive(open_gallery(folder, loaded, home, Control()))
    captions = [item.captions[0] for item in gallery.items]
    scores = loaded.texts(captions, loaded.strength) @ gallery.adapted.T
    return float(np.mean(scores.argmax(axis=1) == np.arange(len(captions))))


@pytest.mark.parametrize("family", ["metaclip_2", "altclip"])
def test_korean_captions_find_their_drawings_five_times_as_often_as_chance(
    family: str, drawings: Path, home: Path, quick: Callable[..., dict[str, Any]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with (drawings / "metadata.csv").open(encoding="utf-8") as stream:
        captions = [row["text"] for row in csv.DictReader(stream)]
    assert len(captions) == len(set(captions)) == 200
    monkeypatch.setattr(
        family_folders, "TEXTS", [*family_folders.TEXTS, *captions]
    )  # what the tokenizer learns from
    folder = family_folders.make(family, tmp_path / family)
    chosen = settings.build(
        quick(
            model__name=str(folder), lora__target_modules="q_proj+k_proj+v_proj+out_proj+fc1+fc2+visual_projection+text_projection",
            lora__r=16, lora__lora_alpha=32, train__steps=150, train__batch_size=50, train__learning_rate=1e-2, train__checks=1,
            train__choose_strength=False, train__patience=0, evaluation__folds=0, hardware__precision="fp32",
        )
    )  # fmt: skip
    result = drive(train(Plan(drawings, chosen, home), Models(home), Control()))
    chance = 1 / len(captions)
    before = found_first(drawings, home, ModelRef(model=str(folder)))
    after = found_first(drawings, home, ModelRef(run=result.run, strength=1.0))
    assert after >= 5 * chance, (before, after)
    assert after > before
