"""What is typed finds what is meant: letters left out, first consonants alone, a slip of the finger."""

from __future__ import annotations

import pytest

from clip_atelier.gui.matching import letters, ranked, score

NAMES = [
    "Collection", "Settings", "Training", "Find and replace…", "Learning rate", "Batch size", "학습", "학습 기록", "설정",
    "낱말장", "검색", "배치 크기",
]  # fmt: skip


def found(wanted: str) -> list[str]:
    return [NAMES[index] for index in ranked(wanted, [(name,) for name in NAMES])]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("train", "Training"), ("lr", "Learning rate"), ("far", "Find and replace…"), ("replace", "Find and replace…"),
        ("rate learn", "Learning rate"), ("ㅎㅅ", "학습"), ("학스", "학습"), ("ㅎㅅㄱㄹ", "학습 기록"), ("학습기록", "학습 기록"),
        ("ㅂㅊㅋㄱ", "배치 크기"), ("ㄱㅅ", "검색"), ("설저", "설정"), ("trianing", "Training"),
    ],
)  # fmt: skip
def test_the_best_comes_first(typed: str, first: str) -> None:
    assert found(typed)[0] == first


def test_what_is_not_there_is_not_found() -> None:
    for typed in ("zzzz", "ㅋㅋㅋㅋ", "trainings of nobody", "xy"):
        assert found(typed) == []


def test_syllables_come_apart_whole() -> None:
    assert letters("닭 왜") == ("ㄷㅏㄹㄱ ㅇㅗㅐ", [True, False, False, False, False, True, False, False])
    assert score("", "anything") > float("-inf")
