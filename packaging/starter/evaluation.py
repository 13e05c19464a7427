"""What the starter model finds in styles it was never shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import CLIPModel, PreTrainedTokenizerFast

from iconify import load_set
from starter.architecture import embed_images, embed_texts
from starter.captions import Concept, EmojiTable, name_words
from starter.drawings import draw, on_paper
from starter.sources import is_mark

GALLERY = 1000
STYLES = ("fluent-emoji-high-contrast", "fluent-emoji-flat", "openmoji", "game-icons", "guidance")


@dataclass(frozen=True)
class Gallery:
    """A kept-out gallery.

    Attributes:
        style: Icon set it comes from.
        pixels: (1000, 96, 96, 3) drawings on white paper.
        texts: Language code to 1,000 captions, one for each drawing.
        names: Name of each drawing in its set.
    """

    style: str
    pixels: npt.NDArray[np.uint8]
    texts: dict[str, list[str]]
    names: list[str]


@dataclass(frozen=True)
class Score:
    """Retrieval in one gallery.

    Attributes:
        style: Icon set of the gallery.
        language: Language of the queries, or "image".
        first: R@1.
        ten: R@10.
        gallery: Number of drawings, which is also the number of queries.
    """

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
    is_emoji = style.startswith(("fluent-emoji", "openmoji"))
    texts: dict[str, list[str]] = {"en": [], "ko": []} if is_emoji else {"en": []}
    drawn: list[npt.NDArray[np.uint8]] = []
    chosen: list[str] = []
    used: set[str] = set()
    candidates = [name for name in icon_set.icons if name not in icon_set.aliases and "skin-tone" not in name]
    for name in map(str, np.random.default_rng(0).permutation(candidates)):
        concept = table.find(name) if is_emoji else Concept(key=name, english=[name_words(name)])
        if len(drawn) == size or concept is None or concept.key in used or is_mark(name):
            continue
        pixels = draw(icon_set.icons[name])
        if pixels is None or (is_emoji and not concept.korean):
            continue
        used.add(concept.key)
        chosen.append(name)
        drawn.append(on_paper(pixels))
        for language, captions in texts.items():
            captions.append(concept.english[0] if language == "en" else concept.korean[0])
    return Gallery(style, np.stack(drawn), texts, chosen)


@torch.inference_mode()
def score(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, gallery: Gallery) -> list[Score]:
    """Rank the whole gallery by every caption. Drawings with the same caption are all right answers."""
    images = _embed_drawings(model, gallery.pixels)
    scores = []
    for language, captions in gallery.texts.items():
        similarity = embed_texts(model, tokenizer, captions) @ images.T
        _, numbers = np.unique(captions, return_inverse=True)
        relevant = torch.from_numpy(numbers[:, None] == numbers[None, :])
        scores.append(_recall(gallery.style, language, similarity, relevant))
    return scores


@torch.inference_mode()
def score_pairs(model: CLIPModel, icons: Path, sketches: Gallery, artworks: str) -> Score:
    """Find the drawing of the same name in another style: `sketches` are the queries, the set `artworks` the gallery."""
    icon_set = load_set(icons, artworks)
    chosen, pixels = [], []
    for row, name in enumerate(sketches.names):
        drawn = draw(icon_set.icons[name]) if name in icon_set.icons else None
        if drawn is not None:
            chosen.append(row)
            pixels.append(on_paper(drawn))
    queries = _embed_drawings(model, sketches.pixels[chosen])
    similarity = queries @ _embed_drawings(model, np.stack(pixels)).T
    return _recall(artworks, "image", similarity, torch.eye(len(chosen), dtype=torch.bool))


def _embed_drawings(model: CLIPModel, drawings: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.cat([embed_images(model, to_pixels(part)) for part in np.array_split(drawings, 8)])


def _recall(style: str, language: str, similarity: torch.Tensor, relevant: torch.Tensor) -> Score:
    """Share of queries (rows) with a right answer first, or among the first ten."""
    best = similarity.masked_fill(~relevant, -2).max(1, keepdim=True).values
    ranks = ((similarity > best) & ~relevant).sum(1)
    first, ten = ((ranks < limit).float().mean().item() for limit in (1, 10))
    return Score(style, language, first, ten, len(similarity))


def to_pixels(drawings: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Turn (B, 96, 96, 3) bytes into (B, 3, 96, 96) in [-1, 1], as preprocessor_config.json says."""
    return torch.from_numpy(drawings).permute(0, 3, 1, 2).float().div(127.5).sub(1)
