"""Choosing and measuring by folds, on embeddings made for the purpose: what helps is found, what does not is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clip_atelier.engine.data import Item
from clip_atelier.engine.evaluation import sets
from clip_atelier.engine.parts import (
    PLAIN,
    Answer,
    Embedded,
    FittedParts,
    Threshold,
    Variant,
    answered,
    assign_folds,
    cross_fit,
    distinct_captions,
    trivial,
)
from clip_atelier.engine.parts.arrays import FloatArray, unit

CLASSES, EACH, WIDTH = 6, 15, 24
VIEWS = Variant(0.0, True)


def named_classes(seed: int = 0) -> tuple[list[Item], FloatArray, FloatArray]:
    """Drawings of six kinds that look alike, under invented names of which the model knows nothing."""
    random = np.random.default_rng(seed)
    kinds = random.standard_normal((CLASSES, WIDTH))
    items, images = [], []
    for kind in range(CLASSES):
        for n in range(EACH):
            name = f"zorb{kind}"
            items.append(Item(f"{name}/{n}.png", f"{kind}-{n}", (f"a drawing of {name}",), label=name))
            images.append(kinds[kind] + 0.7 * random.standard_normal(WIDTH))
    strings = distinct_captions(items)
    return items, np.stack(images), random.standard_normal((len(strings), WIDTH))


def measured(items: list[Item], images: FloatArray, texts: FloatArray) -> dict[str, Answer]:
    groups = list(range(len(items)))
    folds = assign_folds(items, groups)
    embedded = Embedded.of(items, distinct_captions(items), images, texts)
    questions = {k: sets.evaluation_set(items, np.flatnonzero(folds == k).tolist(), groups) for k in range(5)}
    variants = {PLAIN: embedded, VIEWS: replace(embedded)}
    return answered(cross_fit(folds, questions, dict.fromkeys(questions, variants)), joint=False)


def test_invented_names_are_learned_and_measured_to_help() -> None:
    answers = measured(*named_classes())
    assert set(answers) == {"text_to_image", "image_to_text"}
    for answer in answers.values():
        assert answer.gain.low > 0.1
        assert answer.parts["learned_words"].low > 0.1
        assert answer.kept.learned > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(3))
def test_captions_dealt_out_at_random_teach_nothing_and_harm_nothing(seed: int) -> None:
    items, images, _texts = named_classes(seed)
    random = np.random.default_rng(100 + seed)
    shuffled = [
        replace(items[other], path=item.path, digest=item.digest)
        for item, other in zip(items, random.permutation(len(items)), strict=True)
    ]
    answers = measured(shuffled, images, random.standard_normal((len(distinct_captions(shuffled)), WIDTH)))
    for answer in answers.values():
        assert not (answer.gain.high < 0 and answer.gain.value < -0.01)
        assert answer.gain.value < 0.1


def test_a_perfect_model_keeps_its_base_or_loses_nothing() -> None:
    items, _images, _texts = named_classes()
    texts = np.eye(WIDTH)[:CLASSES]
    images = np.repeat(texts, EACH, axis=0) + 0.01 * np.random.default_rng(0).standard_normal(
        (len(items), WIDTH)
    )
    for answer in measured(items, images, texts).values():
        assert answer.gain.value == pytest.approx(0.0, abs=1e-9)


def test_folds_keep_groups_whole_and_spread_classes_evenly() -> None:
    items, _images, _texts = named_classes()
    groups = [index // 3 for index in range(len(items))]
    folds = assign_folds(items, groups)
    assert all(len(set(folds[np.array(groups) == group])) == 1 for group in set(groups))
    for kind in range(CLASSES):
        of_kind = [f for f, item in zip(folds, items, strict=True) if item.label == f"zorb{kind}"]
        assert len(set(of_kind)) == 5
    assert np.array_equal(folds, assign_folds(items, groups))


def test_saved_parts_score_the_same_and_the_dial_at_nothing_is_the_base(tmp_path: Path) -> None:
    items, images, texts = named_classes()
    strings = distinct_captions(items)
    embedded = Embedded.of(items, strings, images, texts)
    variants = {PLAIN: embedded, VIEWS: embedded}
    answers = measured(items, images, texts)
    parts = FittedParts.fit(variants, answers, Threshold(1.5, 30), 0.0, [item.digest for item in items])
    assert all(model.learned.features.temperature for model in parts.word_models.values())
    parts.save(tmp_path)
    again = FittedParts.read(tmp_path)
    assert again is not None
    assert again.used == parts.used
    assert again.learned_from == {item.digest for item in items}
    for question in answers:
        first, second = (
            one.word_scores(question, embedded.texts, strings, embedded.images) for one in (parts, again)
        )
        # Read back, the matrices lie otherwise in memory, and a product's last bit may differ with that.
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-12)
        off = again.word_scores(question, embedded.texts, strings, embedded.images, dial=0.0)
        base = embedded.texts @ embedded.images.T
        np.testing.assert_array_equal(off, base if question == "text_to_image" else base.T)


def test_the_trivial_ways_find_what_they_should() -> None:
    items, images, texts = named_classes()
    groups = list(range(len(items)))
    folds = assign_folds(items, groups)
    embedded = Embedded.of(items, distinct_captions(items), images, texts)
    questions = {k: sets.evaluation_set(items, np.flatnonzero(folds == k).tolist(), groups) for k in range(5)}
    fit = cross_fit(folds, questions, {k: {PLAIN: embedded} for k in questions}, parts=False)
    for way in trivial.WAYS:
        for fold, asking in fit.asking.items():
            found = trivial.precision(way, asking, np.flatnonzero(folds != fold))
            # Mean drawings and nearest drawings name the kinds, of which the captions alone know nothing.
            assert found["image_to_text"].mean() > fit.outer[fold]["image_to_text"][0].mean() + 0.2


def test_embeddings_of_any_length_become_unit_vectors() -> None:
    items, images, texts = named_classes()
    embedded = Embedded.of(items, distinct_captions(items), 7 * images, texts)
    np.testing.assert_allclose(embedded.images, unit(images))
    np.testing.assert_allclose(np.linalg.norm(embedded.texts, axis=1), 1.0)
