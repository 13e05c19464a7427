"""Whether a model knows drawings at all: twenty bundled ones, each looking for its word among twenty.

A model of photographs, or one that reads no English, may find few of them; it can still be adapted, but nobody should have
to find that out from a bad result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clip_atelier.engine.core import Control, Work, paths
from clip_atelier.engine.data import Frame, framing, pixels
from clip_atelier.engine.models import features
from clip_atelier.engine.models.family import Model

WORDS: Final = {
    "game-icons-artichoke": "artichoke", "game-icons-biplane": "biplane", "game-icons-carousel": "carousel",
    "game-icons-cupcake": "cupcake", "game-icons-forklift": "forklift", "game-icons-fountain": "fountain",
    "game-icons-paw-front": "paw", "game-icons-rocket": "rocket", "game-icons-sandwich": "sandwich",
    "game-icons-sewing-machine": "sewing machine", "game-icons-clover": "clover", "game-icons-window": "window",
    "guidance-calendar": "calendar", "guidance-car": "car", "guidance-clock": "clock", "guidance-helicopter": "helicopter",
    "guidance-pen": "pen", "guidance-lock": "lock", "streamline-freehand-keyboard": "keyboard",
    "streamline-freehand-shop-cart": "shopping cart",
}  # fmt: skip
"""File of the control set -> what it shows."""

KOREAN: Final = {
    "game-icons-artichoke": "아티초크", "game-icons-biplane": "복엽기", "game-icons-carousel": "회전목마",
    "game-icons-cupcake": "컵케이크", "game-icons-forklift": "지게차", "game-icons-fountain": "분수",
    "game-icons-paw-front": "발바닥", "game-icons-rocket": "로켓", "game-icons-sandwich": "샌드위치",
    "game-icons-sewing-machine": "재봉틀", "game-icons-clover": "클로버", "game-icons-window": "창문",
    "guidance-calendar": "달력", "guidance-car": "자동차", "guidance-clock": "시계", "guidance-helicopter": "헬리콥터",
    "guidance-pen": "펜", "guidance-lock": "자물쇠", "streamline-freehand-keyboard": "키보드",
    "streamline-freehand-shop-cart": "쇼핑 카트",
}  # fmt: skip
"""The same in Korean."""

SENTENCES: Final = {"en": ("a drawing of a {}", WORDS), "ko": ("{} 그림", KOREAN)}
"""Language -> the sentence around a word, and the words."""

_SURE: Final = 0.02
"""Chance guesses as many as are asked for in fewer cases than this."""


@dataclass(frozen=True)
class DrawingCheck:
    """How many of the drawings found their word.

    Attributes:
        found: Drawings whose own word came first.
        drawings: How many there were; each chose among as many words.
    """

    found: int
    drawings: int

    @property
    def knows(self) -> bool:
        """Whether that is better than chance."""
        return self.found >= enough(self.drawings)


def enough(count: int) -> int:
    """The fewest right answers, of `count` with as many choices each, that chance hardly ever gives."""
    right, share, among = 0, 1.0, 1 / count
    while share > _SURE:
        share -= math.comb(count, right) * among**right * (1 - among) ** (count - right)
        right += 1
    return right


class _Bundled:
    """The drawings in batches, as a model sees them."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._names = list(WORDS)

    def batch(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 [B, …], of the frame's shape."""
        prepared = []
        for index in indices:
            with Image.open(paths.control_collection() / f"{self._names[index]}.png") as image:
                prepared.append(framing.fit(pixels.to_rgb(image), self.frame))
        return np.stack(prepared)


def drawing_check(clip: Model, control: Control) -> Work[DrawingCheck]:
    """Looks at the bundled drawings with the model as it is now, in English."""
    return (yield from drawing_checks(clip, control, ("en",)))["en"]


def drawing_checks(
    clip: Model, control: Control, languages: Sequence[str] = tuple(SENTENCES)
) -> Work[dict[str, DrawingCheck]]:
    """The same with the words of several languages, the drawings looked at once."""
    images = yield from features.fresh_images(clip, _Bundled(clip.frame), list(range(len(WORDS))), control)
    found = {}
    for language in languages:
        sentence, words = SENTENCES[language]
        texts = features.fresh_texts(clip, [sentence.format(word) for word in words.values()])
        first = np.argmax(images @ texts.T, axis=1)
        found[language] = DrawingCheck(int((first == np.arange(len(words))).sum()), len(words))
    return found
