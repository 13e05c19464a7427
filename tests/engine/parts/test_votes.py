"""The nearest drawings vote for captions that many drawings have: on embeddings made for the purpose."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from clip_atelier.engine.data import Item
from clip_atelier.engine.parts import PLAIN, Embedded, FittedParts, Threshold, distinct_captions
from clip_atelier.engine.parts.arrays import FloatArray, average_precision, unit
from clip_atelier.engine.parts.learned_words import LearnedWords
from clip_atelier.engine.parts.word_questions import Asked, Captions, Drawings, WordModel, WordSetting
from clip_atelier.engine.storage import sealed_tensors

CLASSES, GROUPS, EACH, WIDTH = 20, 6, 4, 6
LOUD = WordSetting(learned=5.0)


def scattered(captioned: str = "a drawing of zorb{kind}") -> Embedded:
    """Each class is six small groups of drawings, far from each other: the nearest drawings tell it, its mean does not."""
    random = np.random.default_rng(3)
    items, images = [], []
    for kind in range(CLASSES):
        for group in range(GROUPS):
            middle = random.standard_normal(WIDTH)
            for n in range(EACH):
                path = f"{kind}-{group}-{n}.png"
                items.append(Item(path, path, (captioned.format(kind=kind, path=path.replace("-", "x")),)))
                images.append(middle + 0.3 * random.standard_normal(WIDTH))
    strings = distinct_captions(items)
    return Embedded.of(items, strings, np.stack(images), random.standard_normal((len(strings), WIDTH)))


def split(collection: Embedded) -> tuple[np.ndarray, np.ndarray]:
    positions = np.arange(len(collection))
    return positions[positions % EACH != 0], positions[positions % EACH == 0]


def found(collection: Embedded) -> float:
    """Mean average precision of pictures -> words on the drawings that were not learned from."""
    train, test = split(collection)
    model = WordModel.fit(collection, train)
    asked = Asked(
        model,
        Captions(model, collection.texts, collection.strings),
        Drawings(model, collection.images[test], None),
    )
    scores = asked.scores("image_to_text", LOUD)
    return float(average_precision(scores, collection.relevance[:, test].T).mean())


def without_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LearnedWords, "_voting", lambda self, *given: (self, given[-1]))


def test_votes_find_classes_that_are_scattered(monkeypatch: pytest.MonkeyPatch) -> None:
    collection = scattered()
    voted = found(collection)
    without_votes(monkeypatch)
    assert voted > found(collection) + 0.02


def test_captions_of_single_drawings_take_no_votes() -> None:
    collection = scattered("a drawing of {path}")
    features = WordModel.fit(collection, split(collection)[0]).learned.features
    assert features.temperature == 0
    assert not len(features.votes)


def test_a_drawing_has_no_say_about_itself() -> None:
    collection = scattered()
    train, _test = split(collection)
    features = WordModel.fit(collection, train).learned.features
    own = features.whitener.shape[1]
    votes: FloatArray = (
        features.transform(unit(collection.images[train].astype(np.float32)))[:, own:] + features.votes
    )
    np.testing.assert_allclose(votes.sum(axis=1), 1.0, atol=1e-6)
    exact = features.transform(collection.images[train])[:, own:] + features.votes
    np.testing.assert_array_equal(np.diag(exact), 0.0)


def test_parts_of_a_run_that_took_no_votes_are_read_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_votes(monkeypatch)
    collection = scattered()
    train, _test = split(collection)
    parts = FittedParts(
        0.0, {"image_to_text": LOUD}, {PLAIN: WordModel.fit(collection, train)}, {}, Threshold(1.0, 30)
    )
    parts.save(tmp_path)
    arrays, about = tmp_path / "parts.safetensors", tmp_path / "parts.json"
    told = json.loads(about.read_text())
    for model in told["word_models"]:
        del model["temperature"]
    about.write_text(json.dumps(told))
    kept = {k: v for k, v in safetensors.numpy.load(arrays.read_bytes()).items() if not k.endswith(".votes")}
    arrays.write_bytes(sealed_tensors(safetensors.numpy.save(kept)))
    again = FittedParts.read(tmp_path)
    assert again is not None
    one, other = (
        p.word_scores("image_to_text", collection.texts, collection.strings, collection.images)
        for p in (parts, again)
    )
    np.testing.assert_allclose(one, other, atol=1e-12)
