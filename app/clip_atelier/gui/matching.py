"""What is typed is found in names, though letters are left out; Korean also by the first consonants (ㅎㅅ finds 학습)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

_FIRST = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_MIDDLE = (
    "ㅏ",
    "ㅐ",
    "ㅑ",
    "ㅒ",
    "ㅓ",
    "ㅔ",
    "ㅕ",
    "ㅖ",
    "ㅗ",
    "ㅗㅏ",
    "ㅗㅐ",
    "ㅗㅣ",
    "ㅛ",
    "ㅜ",
    "ㅜㅓ",
    "ㅜㅔ",
    "ㅜㅣ",
    "ㅠ",
    "ㅡ",
    "ㅡㅣ",
    "ㅣ",
)
_LAST = ("", "ㄱ", "ㄲ", "ㄱㅅ", "ㄴ", "ㄴㅈ", "ㄴㅎ", "ㄷ", "ㄹ", "ㄹㄱ", "ㄹㅁ", "ㄹㅂ", "ㄹㅅ", "ㄹㅌ", "ㄹㅍ", "ㄹㅎ", "ㅁ", "ㅂ", "ㅂㅅ", "ㅅ", "ㅆ", "ㅇ", "ㅈ", "ㅊ", "ㅋ", "ㅌ", "ㅍ", "ㅎ")  # fmt: skip
_PAIRS = {"ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ", "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ"}  # fmt: skip
_FROM, _TO = 0xAC00, 0xD7A3

_ON = 3.0  # the letter after the one before
_START = 2.5  # the first letter of a word, or of a Korean syllable
_INSIDE = -2.0  # the first letter of all stands inside a word
_NONE = float("-inf")


def letters(text: str) -> tuple[str, list[bool]]:
    """The letters of a text, Korean syllables taken apart, and for each whether a word or a syllable begins with it."""
    parts: list[str] = []
    starts: list[bool] = []
    before = ""
    for sign in text.casefold():
        code = ord(sign)
        if _FROM <= code <= _TO:
            first, rest = divmod(code - _FROM, 588)
            middle, last = divmod(rest, 28)
            whole = _FIRST[first] + _MIDDLE[middle] + _LAST[last]
            start = True
        else:
            whole = _PAIRS.get(sign, sign)
            start = not before.isalnum() or (sign.isdigit() != before.isdigit())
        parts.append(whole)
        starts += [start, *([False] * (len(whole) - 1))]
        before = sign
    return "".join(parts), starts


def score(wanted: str, text: str) -> float:
    """How well `text` answers what was typed, the higher the better; minus infinity where it does not.

    Each word that was typed must be found: its letters in order, where each follows the one before at once or begins a
    word of the text.
    """
    known, starts = letters(text)
    total = 0.0
    for word in wanted.split():
        typed, _starts = letters(word)
        total += _word(typed, known, starts)
    return total - len(known) / 1000 if total > _NONE else _NONE


def _word(typed: str, known: str, starts: list[bool]) -> float:
    best = [_NONE] * len(known)
    for place, letter in enumerate(typed):
        now = [_NONE] * len(known)
        reached = _NONE  # the best end of what was typed before, more than one letter back
        for at, other in enumerate(known):
            if other == letter:
                if place == 0:
                    now[at] = _START if starts[at] else _INSIDE
                else:
                    on = best[at - 1] + _ON if at else _NONE
                    jump = reached + _START - 1.0 if starts[at] else _NONE
                    now[at] = max(on, jump)
            if at:
                reached = max(reached, best[at - 1])
        best = now
    return max(best, default=_NONE) / max(len(typed), 1)


def ranked(wanted: str, names: Iterable[tuple[str, ...]]) -> list[int]:
    """Which of these answer what was typed, the best first; each goes by several names, of which the first counts most.

    Where none does, those that look alike: a slip of the finger still leads on.
    """
    known = list(names)
    scores = [
        (
            max((score(wanted, name) - 0.3 * number for number, name in enumerate(several)), default=_NONE),
            -index,
        )
        for index, several in enumerate(known)
    ]
    found = [(-index, value) for value, index in sorted(scores, reverse=True) if value > _NONE]
    if found:
        return [index for index, _value in found]
    typed = letters(wanted.strip())[0]
    if len(typed) < 4:
        return []
    alike = []
    for index, several in enumerate(known):
        words = [word for name in several for word in (name, *name.split())]
        close = max(
            (difflib.SequenceMatcher(None, typed, letters(word)[0]).ratio() for word in words), default=0.0
        )
        if close >= 0.75:
            alike.append((-close, index))
    return [index for _close, index in sorted(alike)]


def finder(wanted: str, *, unfinished: bool = False) -> Callable[[str], bool]:
    """Tells of a text whether `wanted` stands in it, in capital letters or small ones.

    Args:
        wanted: What is typed.
        unfinished: Whether more may come of the last syllable: 고 stands in 공 and in 과, and 공 in 고양이, as they are typed.
    """
    plain = wanted.casefold()
    if not unfinished or not plain:
        return lambda text: plain in text.casefold()
    found = re.compile(re.escape(plain[:-1]) + _begun(plain[-1])).search
    return lambda text: found(text.casefold()) is not None


def _begun(sign: str) -> str:
    """A pattern of what a syllable can become."""
    typed = letters(sign)[0]
    if typed[0] not in _FIRST:
        return re.escape(sign)
    whole = [other for other in _block(typed[0]) if letters(other)[0].startswith(typed)]
    ways = [f"[{sign}{''.join(whole)}]"]
    if _FROM <= ord(sign) <= _TO and (last := _LAST[(ord(sign) - _FROM) % 28]):
        # The last consonant may turn out to be the first one of the next syllable.
        open_one = chr(ord(sign) - _LAST.index(last) + _LAST.index(last[:-1]))
        ways.append(f"{open_one}[{''.join(_block(last[-1]))}]")
    return f"(?:{'|'.join(ways)})"


def _block(first: str) -> list[str]:
    """All syllables that begin with a consonant; none where none does."""
    at = _FIRST.find(first)
    return [chr(_FROM + at * 588 + n) for n in range(588)] if at >= 0 else []
