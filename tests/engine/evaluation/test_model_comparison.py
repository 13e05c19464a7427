"""Which model for my drawings: real models on a real folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.evaluation import compare_models, model_comparison
from clip_atelier.engine.models import STARTER, Models


def test_the_better_model_is_recommended_with_the_reason(
    home: Path, tiny_clip: Path, tiny_pairs: Path, tmp_path: Path
) -> None:
    models = Models(home)
    models.add(tiny_clip, "random")
    result = drive(compare_models(tiny_pairs, models, Control()))
    by_name = {model.name: model for model in result.models}
    assert by_name.keys() == {STARTER, "random"}
    assert (result.models[0].name, result.recommended) == (STARTER, STARTER)
    best, other = by_name[STARTER], by_name["random"]
    assert best.questions.keys() == other.questions.keys()
    assert {
        "text_to_image",
        "image_to_text",
        "sketch_to_artwork",
        "artwork_to_sketch",
    } == best.questions.keys()
    for answer in (*best.questions.values(), *other.questions.values()):
        value, low, high = answer.interval.value, answer.interval.low, answer.interval.high
        assert low <= value <= high
        assert value == pytest.approx(answer.metrics["mAP"])
        assert answer.queries > 1
    primary = result.primary_metric.partition("/")[0]
    behind = other.questions[primary].behind
    gap = other.questions[primary].metrics["mAP"] - best.questions[primary].metrics["mAP"]
    assert behind.value == pytest.approx(gap)
    assert all(model.seconds_per_1000 > 0 for model in result.models)
    assert result.reason.startswith("“starter”")
    assert best.languages == ("en", "ko")


def test_of_models_that_do_as_well_the_quicker_one_is_recommended(
    home: Path, tiny_clip: Path, tiny_pairs: Path
) -> None:
    models = Models(home)
    for name in ("one", "two"):
        models.add(tiny_clip, name)
    result = drive(compare_models(tiny_pairs, models, Control(), ["one", "two"]))
    quickest = min(result.models, key=lambda model: model.seconds_per_1000)
    assert result.recommended == quickest.name
    for answer in result.models[1].questions.values():
        assert (answer.behind.value, answer.behind.low, answer.behind.high) == (0, 0, 0)


def test_a_model_that_cannot_be_opened_is_named_and_the_others_are_asked(
    home: Path, tiny_clip: Path, tiny_pairs: Path
) -> None:
    models = Models(home)
    models.add(tiny_clip, "broken")
    (home / "models" / "broken" / "tokenizer.json").unlink()
    result = drive(compare_models(tiny_pairs, models, Control()))
    assert result.recommended == STARTER
    assert result.models[-1].name == "broken"
    assert "tokenizer" in result.models[-1].error


def test_a_large_folder_is_asked_about_in_part_with_its_pairs_whole(home: Path, tiny_pairs: Path) -> None:
    result = drive(compare_models(tiny_pairs, Models(home), Control(), [STARTER], most=8))
    assert 4 <= result.images <= 8 < result.of
    assert "sketch_to_artwork" in result.models[0].questions
    assert model_comparison._evenly([0, 0, 1, 1, 2, 2, 3, 3], 4) == [0, 1, 6, 7]
    # A large group at either end is no reason to ask more than was said.
    assert len(model_comparison._evenly([0, 1, 2, 3, 4, 5, 6, 6, 6], 4)) <= 4
