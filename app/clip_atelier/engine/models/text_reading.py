"""How much of a text a model reads, and which of its words the model has never learned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tokenizers import Tokenizer

_WORD: Final = re.compile(r"\S+")
_SPECIALS: Final = (
    8  # a text of so many bytes less than the context surely fits, whatever marks begin and end it
)
_LETTERS: Final = 4
"""Fewer letters without a piece in common with any word are an abbreviation."""


@dataclass(frozen=True)
class TextReading:
    """A text as a model takes it.

    Attributes:
        read: The part that it reads, from the start.
        left_out: The words that it does not read, since the text is longer than its context.
        unknown: Words that it only knows letter by letter or not at all, so that nothing was learned about them.
    """

    read: str
    left_out: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def may_be_long(text: str, context: int) -> bool:
    """Whether a text has to be looked at; a token is at least one byte."""
    return len(text.encode("utf-8", "replace")) > context - _SPECIALS


def whole_tokenizer(written: str) -> Tokenizer:
    """A tokenizer, as `tokenizers` writes it, that neither cuts texts nor fills them up."""
    found = Tokenizer.from_str(written)
    found.no_truncation()
    found.no_padding()
    return found


def read(tokenizer: Tokenizer, context: int, texts: Sequence[str]) -> list[TextReading]:
    """Texts as a `whole_tokenizer` and a context of so many tokens take them."""
    model: Any = tokenizer.model
    name = getattr(model, "unk_token", None)
    unknown = tokenizer.token_to_id(name) if name else getattr(model, "unk_id", None)
    return [
        _reading(text, found.ids, found.offsets, found.special_tokens_mask, context, unknown)
        for text, found in zip(texts, tokenizer.encode_batch(list(texts)), strict=True)
    ]


def _reading(
    text: str,
    ids: list[int],
    spans: list[tuple[int, int]],
    marks: list[int],
    context: int,
    unknown: int | None,
) -> TextReading:
    pieces = [
        (start, end, number) for number, (start, end), mark in zip(ids, spans, marks, strict=True) if not mark
    ]
    room = context - sum(marks)
    end = pieces[room - 1][1] if len(pieces) > room > 0 else len(text)
    words = list(_WORD.finditer(text))
    odd: dict[str, None] = {}
    at = 0
    for word in words:
        while at < len(pieces) and pieces[at][1] <= word.start():
            at += 1
        own, place = [], at
        while place < len(pieces) and pieces[place][0] < word.end():
            own.append(pieces[place][2])
            place += 1
        if unknown in own or _letter_by_letter(word[0], len(own)):
            odd[word[0]] = None
    left_out = tuple(word[0] for word in words if word.end() > end)
    return TextReading(text[:end].strip(), left_out, tuple(odd))


def _letter_by_letter(word: str, pieces: int) -> bool:
    """Whether a word falls into its bytes: no piece of it is longer than one."""
    if word.isascii():
        return word.isalpha() and len(word) >= _LETTERS and pieces >= len(word)
    return pieces >= len(word.encode("utf-8", "replace"))
