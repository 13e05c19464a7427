"""What is said about a comparison."""

from __future__ import annotations

from clip_atelier.engine.evaluation import price
from clip_atelier.engine.runs import Difference


def change(value: float, by: float) -> Difference:
    return Difference(value=value, low=value - by, high=value + by)


def test_a_direction_that_paid_for_the_gain_is_named() -> None:
    difference = {
        "sketch_to_artwork/R@1": change(0.04, 0.02),
        "text_to_image/R@1": change(-0.037, 0.02),
        "image_to_text/R@1": change(-0.01, 0.02),
        "image_to_text/mAP": change(-0.1, 0.02),
    }
    said = price(difference, "sketch_to_artwork/R@1")
    assert said == "Worse than before: Words → image R@1 -0.037 (-0.057 to -0.017)."


def test_nothing_is_said_where_nothing_else_fell_beyond_chance() -> None:
    difference = {"sketch_to_artwork/R@1": change(-0.04, 0.02), "text_to_image/R@1": change(-0.01, 0.02)}
    assert price(difference, "sketch_to_artwork/R@1") == ""
    assert price({}, "") == ""


def test_a_rank_that_became_smaller_is_no_loss_and_what_was_not_measured_is_none() -> None:
    better = {"text_to_image/median_rank": change(-3.0, 1.0)}
    assert price(better, "sketch_to_artwork/median_rank") == ""
    assert "Words" in price({"text_to_image/median_rank": change(3.0, 1.0)}, "sketch_to_artwork/median_rank")
    unmeasured = {"text_to_image/R@1": Difference()}
    assert price(unmeasured, "sketch_to_artwork/R@1") == ""
