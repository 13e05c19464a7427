"""Which of a drawing's captions is shown where there is room for one."""

from __future__ import annotations

from collections.abc import Sequence

from clip_atelier.engine.core import i18n

_HANGUL = ((0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x3130, 0x318F))


def in_own_language(captions: Sequence[str]) -> str:
    """The first caption in the language of the window, else the first; empty where there is none."""
    korean = i18n.language() == "ko"
    return next((text for text in captions if _is_korean(text) == korean), captions[0] if captions else "")


def _is_korean(text: str) -> bool:
    return any(first <= ord(letter) <= last for letter in text for first, last in _HANGUL)
