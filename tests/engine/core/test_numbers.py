"""Numbers are written in one way, in the window, in the terminal and in reports."""

from __future__ import annotations

import math

from clip_atelier.engine.core import duration, i18n, measured, signed, size_words, with_interval


def test_measures_and_differences() -> None:
    assert [measured(v) for v in (0.12345, 1.0, None, math.nan)] == ["0.123", "1.000", "–", "–"]
    assert measured(3.04, "text_to_image/median_rank") == "3.0"
    assert [signed(v) for v in (0.25, -0.0006, -0.0004, None)] == ["+0.250", "-0.001", "0.000", "–"]
    assert signed(-0.04, "a/median_rank") == "0.0"
    assert with_interval(0.035, 0.005, 0.07) == "+0.035 (+0.005 … +0.070)"


def test_lengths_of_time_and_sizes() -> None:
    assert [duration(s) for s in (0, 5.4, 750, 3723)] == ["0 s", "5 s", "12 min 30 s", "1 h 2 min"]
    assert [size_words(n) for n in (0, 1, 1500, 2_500_000, 3_000_000_000)] == [
        "0 kB", "1 kB", "2 kB", "2.5 MB", "3.0 GB",
    ]  # fmt: skip
    i18n.set_language("ko")
    assert duration(750) == "12분 30초"
