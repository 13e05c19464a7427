"""Training batches: which drawings, with which captions, and how they are varied.

Everything is a pure function of the seed and the step, so an interrupted training goes on as if it had not stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from starter.catalogue import ENGLISH, KOREAN, Catalogue, Ids
from starter.drawings import Store

_EMOJI_SHARE = 0.45
_KOREAN_SHARE = 0.45
_MAIN_CAPTION_SHARE = 0.65
_TEMPLATE_SHARE = 0.1
_TEMPLATES = {
    ENGLISH: (
        "a drawing of {}",
        "an icon of {}",
        "a sketch of {}",
        "a picture of {}",
        "{} icon",
        "{} drawing",
    ),
    KOREAN: ("{} 그림", "{} 아이콘", "{} 스케치", "{} 이모지"),
}


@dataclass(frozen=True)
class Batch:
    """One training batch of B drawings.

    Attributes:
        pixels: (B, 3, 96, 96) in [-1, 1].
        texts: B captions.
        positives: (B, B) which caption (column) is true of which image (row).
        same: (B, B) which images mean the same.
    """

    pixels: torch.Tensor
    texts: list[str]
    positives: torch.Tensor
    same: torch.Tensor


class Batches:
    """Makes the batch of any step."""

    def __init__(self, store: Store, catalogue: Catalogue, size: int, seed: int) -> None:
        """Draw batches of `size` drawings."""
        self._store = store
        self._catalogue = catalogue
        self._size = size
        self._seed = seed

    def make(self, step: int) -> Batch:
        """Make the batch of `step`."""
        rng = np.random.default_rng((self._seed, step))
        rows = self._rows(rng)
        chosen, texts = self._captions(rng, rows)
        known = np.concatenate(list(self._catalogue.captions[:, rows]), axis=1)
        concepts = self._catalogue.concepts[rows]
        same = torch.from_numpy(concepts[:, None] == concepts[None, :])
        positives = same | torch.from_numpy((known[:, :, None] == chosen[None, None, :]).any(axis=1))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return Batch(self._pixels(rows, generator), texts, positives, same)

    def _rows(self, rng: np.random.Generator) -> Ids:
        """Draw general icons, and pairs of styles of the same emoji."""
        catalogue = self._catalogue
        pairs = round(self._size * _EMOJI_SHARE / 2)
        icons = rng.choice(catalogue.icons, self._size - 2 * pairs, p=catalogue.icon_chances)
        emoji = []
        for number in rng.choice(len(catalogue.emoji), pairs, replace=False, p=catalogue.emoji_chances):
            styles = catalogue.emoji[number]
            emoji.append(rng.choice(styles, 2, replace=len(styles) < 2))
        return np.concatenate([icons, *emoji]).astype(np.int32)

    def _captions(self, rng: np.random.Generator, rows: Ids) -> tuple[Ids, list[str]]:
        """Choose a language, a caption and sometimes a sentence around it."""
        catalogue = self._catalogue
        numbers = np.zeros(len(rows), np.int32)
        texts = []
        for position, row in enumerate(rows):
            is_korean = catalogue.counts[KOREAN, row] > 0 and rng.random() < _KOREAN_SHARE
            language = KOREAN if is_korean else ENGLISH
            count = catalogue.counts[language, row]
            which = 0 if count == 1 or rng.random() < _MAIN_CAPTION_SHARE else rng.integers(1, count)
            numbers[position] = catalogue.captions[language, row, which]
            text = catalogue.texts[numbers[position]]
            if rng.random() < _TEMPLATE_SHARE:
                text = str(rng.choice(_TEMPLATES[language])).format(text)
            texts.append(text)
        return numbers, texts

    def _pixels(self, rows: Ids, generator: torch.Generator) -> torch.Tensor:
        """Lay the chosen drawings out as premultiplied RGB and coverage, then vary them."""
        ink_rows = len(self._store.ink)
        is_ink = rows < ink_rows
        coverage = torch.from_numpy(self._store.ink[rows[is_ink]]).float().div_(255).unsqueeze(1)
        coloured = torch.from_numpy(self._store.colour[rows[~is_ink] - ink_rows]).float().div_(255)
        coloured = coloured.permute(0, 3, 1, 2).contiguous()
        coloured[:, :3] *= coloured[:, 3:]
        as_line = torch.rand(len(coloured), generator=generator) < 0.35
        ink = torch.cat([coverage, line_art(coloured[as_line], generator)])
        may_flip = torch.from_numpy(self._catalogue.may_flip[rows])
        ink_mask = torch.from_numpy(is_ink)
        colour_positions = torch.where(~ink_mask)[0]
        order = torch.cat([torch.where(ink_mask)[0], colour_positions[as_line], colour_positions[~as_line]])
        count = len(ink)
        ink = move(vary_stroke(ink, generator), may_flip[order[:count]], generator)
        coloured = move(vary_colour(coloured[~as_line], generator), may_flip[order[count:]], generator)
        pixels = torch.empty(len(rows), 3, *ink.shape[2:])
        pixels[order[:count]] = paint_ink(ink, generator)
        pixels[order[count:]] = lay_on_paper(coloured, generator)
        return pixels.clamp_(0, 1).mul_(2).sub_(1)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def line_art(coloured: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn (B, 4, H, W) coloured drawings into ink: outlines, and for half of them dark areas filled, as in a comic."""
    grey = coloured[:, :3].mean(1, keepdim=True) + 1 - coloured[:, 3:]
    thickest = F.max_pool2d(grey, 3, 1, 1)
    edges = (thickest + F.max_pool2d(-grey, 3, 1, 1)) * _uniform(len(grey), 2, 5, generator)[
        :, None, None, None
    ]
    levels = _uniform(len(grey), -0.5, 0.55, generator)[:, None, None, None]
    filled = ((levels - grey) * 8).clamp(0, 1)
    return torch.maximum(edges.clamp(0, 1), filled)


def vary_stroke(ink: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Thicken some (B, 1, H, W) ink drawings and thin some by about a pixel."""
    choice = torch.rand(len(ink), generator=generator)
    thick, thin = choice < 0.2, choice > 0.9
    ink[thick] = F.max_pool2d(ink[thick], 3, 1, 1)
    ink[thin] = 0.5 * ink[thin] - 0.5 * F.max_pool2d(-ink[thin], 3, 1, 1)
    return ink


def vary_colour(coloured: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Take the colour out of some (B, 4, H, W) drawings and swap the channels of a few."""
    choice = torch.rand(len(coloured), generator=generator)
    grey, swapped = choice < 0.2, choice > 0.9
    coloured[grey, :3] = coloured[grey, :3].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    shuffled = torch.randperm(3, generator=generator)
    coloured[swapped, :3] = coloured[swapped][:, shuffled]
    return coloured


def move(drawings: torch.Tensor, may_flip: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn, scale, stretch, shift and, where allowed, mirror (B, C, H, W) drawings; what comes in is empty."""
    count = len(drawings)
    angle = torch.randn(count, generator=generator) * 0.1
    scale = _uniform(count, 0.88, 1.45, generator)
    stretch = _uniform(count, -0.08, 0.08, generator).exp()
    flip = torch.where(may_flip & (torch.rand(count, generator=generator) < 0.3), -1.0, 1.0)
    shift = (torch.rand(count, 2, generator=generator) - 0.5) * 0.2
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = angle.cos() * scale * stretch * flip
    theta[:, 0, 1] = -angle.sin() * scale
    theta[:, 1, 0] = angle.sin() * scale * flip
    theta[:, 1, 1] = angle.cos() * scale / stretch
    theta[:, :, 2] = shift
    grid = F.affine_grid(theta, list(drawings.shape), align_corners=False)
    return F.grid_sample(drawings, grid, align_corners=False)


def paint_ink(ink: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Colour (B, 1, H, W) ink: mostly black on white, some in any colour on light paper, some light on dark."""
    count = len(ink)
    choice = torch.rand(count, generator=generator)[:, None]
    colour = torch.rand(count, 3, generator=generator)
    paper = 1 - 0.25 * torch.rand(count, 3, generator=generator)
    dark = 0.35 * torch.rand(count, 3, generator=generator)
    ink_colour = torch.where(
        choice < 0.55, torch.zeros(3), torch.where(choice < 0.88, 0.8 * colour, 1 - 0.4 * colour)
    )
    paper_colour = torch.where(choice < 0.7, torch.ones(3), torch.where(choice < 0.88, paper, dark))
    return paper_colour[..., None, None] + (ink_colour - paper_colour)[..., None, None] * ink


def lay_on_paper(coloured: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Lay (B, 4, H, W) premultiplied drawings on paper, mostly white."""
    count = len(coloured)
    choice = torch.rand(count, generator=generator)[:, None]
    colour = torch.rand(count, 3, generator=generator)
    paper = torch.where(
        choice < 0.75, torch.ones(3), torch.where(choice < 0.9, 1 - 0.25 * colour, 0.35 * colour)
    )
    return coloured[:, :3] + (1 - coloured[:, 3:]) * paper[..., None, None]
