"""A picture of a map, drawn with Pillow: before, and after with the way of each point that really moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from clip_atelier.engine.analysis.projection.layouts import MapResult
from clip_atelier.engine.analysis.projection.map_words import reading
from clip_atelier.engine.core import _, paths, shown

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

# Okabe & Ito's eight, told apart also with the common kinds of colour blindness; black is left for text.
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b8a900")
_OTHERS, _INK, _SOFT, _PAPER = "#9a9a9a", "#202124", "#c9cdd3", "#ffffff"
_FINE: Final = 2  # drawn this much larger, then reduced: smooth edges
_PANEL, _MARGIN, _LINE = 900, 40, 30  # pixels of the finished picture


def draw(result: MapResult, labels: Sequence[str]) -> Image.Image:
    """The map as a picture: one panel, or before and after side by side, a legend, and what the scores say.

    Args:
        result: N points.
        labels: [N]; the most frequent ones get a colour of their own.
    """
    colours = _colours(labels)
    after = result.adapted
    layouts = [result.base] if after is None else [result.base, after]
    titles = [_("Before: base model"), _("After: adapted model")]
    said = reading(result.scores)
    width = len(layouts) * (_PANEL + _MARGIN) + _MARGIN
    top, foot = 2 * _MARGIN, _MARGIN + _LINE * (len(said) + (len(colours) > 0))
    picture = Image.new("RGB", (width * _FINE, (top + _PANEL + foot) * _FINE), _PAPER)
    pen = ImageDraw.Draw(picture)
    # One scale for both panels, so that the same place means the same in each.
    everything = np.concatenate(layouts)
    middle = (everything.min(axis=0) + everything.max(axis=0)) / 2
    scale = (_PANEL - 20) * _FINE / max(float(np.ptp(everything, axis=0).max()), 1e-9)
    for number, (layout, title) in enumerate(zip(layouts, titles, strict=False)):
        left = _MARGIN + number * (_PANEL + _MARGIN)
        box = tuple(float(v * _FINE) for v in (left, top, left + _PANEL, top + _PANEL))
        pen.rectangle(box, outline=_SOFT, width=_FINE)
        pen.text((left * _FINE, _MARGIN * _FINE), title, fill=_INK, font=_font(22))
        origin = np.array([left + _PANEL / 2, top + _PANEL / 2]) * _FINE - middle * scale
        if number == 1:
            _ways(pen, result, origin, scale)
        _dots(pen, origin + layout * scale, [colours.get(label, _OTHERS) for label in labels])
    line = top + _PANEL + _MARGIN / 2
    if colours:
        _legend(pen, colours, (_MARGIN, line), width - 2 * _MARGIN)
        line += _LINE
    for sentence in said:
        pen.text((_MARGIN * _FINE, line * _FINE), sentence, fill=_INK, font=_font(16))
        line += _LINE
    return picture.resize((picture.width // _FINE, picture.height // _FINE), Image.Resampling.LANCZOS)


def _colours(labels: Sequence[str]) -> dict[str, str]:
    counted = Counter(label for label in labels if label)
    frequent = sorted(counted, key=lambda label: (-counted[label], label))[: len(_COLOURS)]
    return dict(zip(frequent, _COLOURS, strict=False))


def _dots(pen: ImageDraw.ImageDraw, places: Floats, colours: Sequence[str]) -> None:
    radius = _FINE * float(np.clip(120 / np.sqrt(len(places)), 1.2, 6))
    for (x, y), colour in zip(places.tolist(), colours, strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _ways(pen: ImageDraw.ImageDraw, result: MapResult, origin: Floats, scale: float) -> None:
    """A line for each point that moved farther than nearly all of the control's: the others' motion says nothing."""
    if result.adapted is None or result.motion is None or result.control_motion is None:
        return
    moved = result.motion > np.percentile(result.control_motion, 95)
    starts = origin + result.base[moved] * scale
    ends = origin + result.adapted[moved] * scale
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        pen.line((*start, *end), fill=_SOFT, width=_FINE)


def _legend(
    pen: ImageDraw.ImageDraw, colours: dict[str, str], place: tuple[float, float], width: float
) -> None:
    share = width / len(colours)
    for number, (label, colour) in enumerate(colours.items()):
        x, y = (place[0] + number * share) * _FINE, place[1] * _FINE
        pen.ellipse((x, y + 5 * _FINE, x + 10 * _FINE, y + 15 * _FINE), fill=colour)
        font = _font(16)
        text = " ".join(shown(label).split())
        room = (share - 26) * _FINE
        if pen.textlength(text, font) > room:
            while text and pen.textlength(f"{text}…", font) > room:
                text = text[:-1]
            text = f"{text}…"
        pen.text((x + 16 * _FINE, y), text, fill=_INK, font=font)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    file = paths.resources() / "fonts" / "Pretendard-Regular.otf"
    if file.is_file():
        return ImageFont.truetype(file, size * _FINE)
    return ImageFont.load_default(size * _FINE)
