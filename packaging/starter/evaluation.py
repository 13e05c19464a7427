"""What the starter model finds in styles it was never shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from iconify import load_set
from transformers import CLIPModel, PreTrainedTokenizerFast

from starter.architecture import embed_images, embed_texts
from starter.captions import EmojiTable, name_words
from starter.drawings import draw, on_paper
from starter.sources import is_mark

GALLERY = 1000
STYLES = ("fluent-emoji-high-contrast", "openmoji", "game-icons")


@dataclass(frozen=True)
class Gallery:
    """A kept-out gallery.

    Attributes:
        style: Icon set it comes from.
        pixels: (1000, 96, 96, 3) drawings on white paper.
        texts: Language code to 1,000 captions, one for each drawing.
    """

    style: str
    pixels: npt.NDArray[np.uint8]
    texts: dict[str, list[str]]


@dataclass(frozen=True)
class Score:
    """Text→image retrieval in one gallery and language."""

    style: str
    language: str
    first: float
    ten: float
    gallery: int


def make_gallery(icons: Path, style: str, table: EmojiTable, size: int = GALLERY) -> Gallery:
    """Choose `size` drawings at random (always the same) and caption them.

    Emoji carry emojibase's label in both languages, one drawing per emoji and no skin tones; other icons carry their
    name in words, English only.
    """
    icon_set = load_set(icons, style)
    names = [name for name in icon_set.icons if name not in icon_set.aliases and "skin-tone" not in name]
    texts: dict[str, list[str]] = {"en": [], "ko": []}
    drawn: list[npt.NDArray[np.uint8]] = []
    used: set[str] = set()
    for name in np.random.default_rng(0).permutation(names):
        if len(drawn) == size:
            break
        concept = table.find(str(name)) if "emoji" in style or style == "openmoji" else None
        if "emoji" in style or style == "openmoji":
            if concept is None or concept.key in used or not concept.korean:
                continue
            used.add(concept.key)
        elif is_mark(str(name)):
            continue
        pixels = draw(icon_set.icons[str(name)])
        if pixels is None:
            continue
        drawn.append(on_paper(pixels))
        texts["en"].append(concept.english[0] if concept else name_words(str(name)))
        if concept:
            texts["ko"].append(concept.korean[0])
    return Gallery(style, np.stack(drawn), {code: captions for code, captions in texts.items() if captions})


@torch.inference_mode()
def score(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, gallery: Gallery) -> list[Score]:
    """Rank every gallery by every caption. Drawings with the same caption are all right answers."""
    images = torch.cat([embed_images(model, to_pixels(part)) for part in np.array_split(gallery.pixels, 8)])
    scores = []
    for language, captions in gallery.texts.items():
        similarity = embed_texts(model, tokenizer, captions) @ images.T
        _, numbers = np.unique(captions, return_inverse=True)
        relevant = torch.from_numpy(numbers[:, None] == numbers[None, :])
        best = similarity.masked_fill(~relevant, -2).max(1, keepdim=True).values
        ranks = ((similarity > best) & ~relevant).sum(1)
        scores.append(
            Score(
                gallery.style,
                language,
                (ranks < 1).float().mean().item(),
                (ranks < 10).float().mean().item(),
                len(captions),
            )
        )
    return scores


def to_pixels(drawings: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Turn (B, 96, 96, 3) bytes into (B, 3, 96, 96) in [-1, 1], as preprocessor_config.json says."""
    return torch.from_numpy(drawings).permute(0, 3, 1, 2).float().div(127.5).sub(1)
