"""What is typed finds what is meant: letters left out, first consonants alone, a slip of the finger."""

from __future__ import annotations

import pytest

from clip_atelier.gui.matching import finder, letters, ranked, score

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


@pytest.mark.parametrize("typed", ["ㄱ", "고", "공", "고야", "고양", "고양ㅇ", "고양이"])
def test_a_word_is_found_at_each_key_that_it_is_typed_by(typed: str) -> None:
    assert finder(typed, unfinished=True)("그 고양이")
    assert not finder(typed, unfinished=True)("나비")


@pytest.mark.parametrize(
    ("typed", "text"),
    [("ㄷ", "닭"), ("달", "닭"), ("닭", "닭이"), ("닭", "달과"), ("구", "궈"), ("까", "깎다"), ("ね", "ねこ"), ("a", "Abc"), ("없", "업소")],
)  # fmt: skip
def test_more_may_come_of_the_last_syllable(typed: str, text: str) -> None:
    assert finder(typed, unfinished=True)(text)


def test_a_finished_syllable_stands_for_itself() -> None:
    assert not finder("고")("공")
    assert finder("달", unfinished=True)("다람쥐")
    assert not finder("달", unfinished=True)("다리미"[:1])
    assert not finder("달")("다람쥐")
    assert finder("FOX")("a red fox")
    assert finder("")("anything")
    assert finder("고", unfinished=True)("고")
    assert not finder("공ㄱ", unfinished=True)("고양")
