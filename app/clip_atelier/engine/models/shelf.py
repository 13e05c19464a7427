"""Models known by name, as data: what is suggested, and what is told of a model before it is fetched or used."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from typing import Final

from clip_atelier.engine.core import Record, i18n, paths

EVERY: Final = "*"
"""In a list of languages: a hundred or more."""


class ShelfModel(Record):
    """What is known of a published model.

    Attributes:
        name: As its publisher calls it, OWNER/MODEL; "starter" for the bundled one.
        family: The `model_type` of its configuration.
        bytes: Size of its weights.
        image_size: Side of the square it sees, in pixels.
        dim: Length of an embedding.
        languages: ISO 639-1 codes of the languages its words can be in; "*" for a hundred or more.
        licence: As its publisher names it; "" where its model card has to be read.
        suggested: Whether it is offered for download.
        good_at: Language of the window -> what it is good at, in a sentence.
        sketch: Zero-shot accuracy on ImageNet-Sketch, in percent.
        korean: Text to image R@1 on XM3600 in Korean, in percent.
    """

    name: str
    family: str
    bytes: int
    image_size: int
    dim: int
    languages: tuple[str, ...]
    licence: str = ""
    suggested: bool = False
    good_at: dict[str, str]
    sketch: float | None = None
    korean: float | None = None

    @property
    def use(self) -> str:
        """What it is good at, in the user's language."""
        return self.good_at.get(i18n.language(), self.good_at["en"])

    def knows(self, language: str) -> bool:
        """Whether its words can be in a language."""
        return EVERY in self.languages or language in self.languages


@lru_cache(maxsize=1)
def shelf() -> tuple[ShelfModel, ...]:
    """Every model that is known by name."""
    text = (paths.resources() / "models" / "shelf.toml").read_text(encoding="utf-8")
    return tuple(ShelfModel.model_validate(entry) for entry in tomllib.loads(text)["model"])


def suggested() -> tuple[ShelfModel, ...]:
    """The models that are offered for download."""
    return tuple(model for model in shelf() if model.suggested)


def known(name: str) -> ShelfModel | None:
    """What is known of a model: by its whole name, or by the last part, which is what an added one or a folder is called."""
    whole = name.casefold()
    last = re.split(r"[/\\]", whole)[-1]
    for model in shelf():
        owner, _slash, own = model.name.casefold().rpartition("/")
        if model.name.casefold() == whole or (owner and own == last):
            return model
    return None
