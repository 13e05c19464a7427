"""Plots as SVG text, drawn by ourselves: intervals around zero, and curves. For documents that must stand alone."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from clip_atelier.engine.core import paths

INK: Final = "#23211e"
MUTED: Final = "#6a645b"
LINE: Final = "#e2ddd4"
BASE: Final = "#8a8378"
GAIN: Final = "#0b5fa5"
LOSS: Final = "#b45309"
# Okabe & Ito's colours that are dark enough on white; with dashes, so that no pair depends on colour alone.
SERIES: Final = (
    ("#0072b2", ""),
    ("#b45309", "6 3"),
    ("#00795c", "2 3"),
    ("#a3386c", "8 3 2 3"),
    ("#23211e", ""),
    ("#0072b2", "6 3"),
    ("#b45309", ""),
    ("#23211e", "2 3"),
)
_FONT: Final = "font-family='inherit' font-size='11'"


@dataclass(frozen=True)
class Bar:
    """A difference with its interval. `better` says which way is good: 1 up, -1 down."""

    label: str
    value: float
    low: float
    high: float
    better: int = 1
    mark: str = ""


@dataclass(frozen=True)
class Curve:
    """Points of one curve; `best` is drawn as a dot."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    best: tuple[float, float] | None = None


def text(value: object) -> str:
    """Any text, safe inside HTML, SVG and their attributes."""
    # Control characters have no place in either; a lone surrogate could not be encoded.
    kept = "".join(c for c in paths.shown(str(value)) if c in "\t\n" or c >= " ")
    return html.escape(kept, quote=True)


def shortened(words: str, most: int) -> str:
    """At most that many characters, with an ellipsis where some are left out."""
    return words if len(words) <= most else words[: most - 1] + "…"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover a range: steps of 1, 2 or 5 times a power of ten (Heckbert 1990, Graphics Gems)."""
    if not high > low:
        return [low]
    raw = (high - low) / max(count - 1, 1)
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next(scale * nice for nice in (1, 2, 5, 10) if scale * nice >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def intervals(bars: Sequence[Bar], title: str, width: int = 480) -> str:
    """Each difference as a dot with its 95 % interval, around a line at zero."""
    left, right, row, head, foot = 194, 66, 20, 8, 24
    height = head + row * max(len(bars), 1) + foot
    known = [bar for bar in bars if math.isfinite(bar.value)]
    low = min([0.0, *(bar.low for bar in known)])
    high = max([0.0, *(bar.high for bar in known)])
    room = (high - low) * 0.06 or 0.01
    low, high = low - room, high + room

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    bottom = head + row * len(bars)
    parts = [_open(width, height, title)]
    for tick in ticks(low, high):
        colour = BASE if tick == 0 else LINE
        parts.append(_line(x(tick), head, x(tick), bottom, colour, 1.5 if tick == 0 else 1))
        parts.append(_text(x(tick), bottom + 15, f"{tick:+g}" if tick else "0", MUTED, "middle"))
    for number, bar in enumerate(bars):
        y = head + row * (number + 0.5)
        parts.append(_text(left - 10, y + 4, shortened(bar.label, 30), INK, "end"))
        if not math.isfinite(bar.value):
            parts.append(_text(x(0) + 6, y + 4, "–", MUTED, "start"))
            continue
        sure = bar.low > 0 or bar.high < 0
        good = bar.value * bar.better > 0
        colour = BASE if not sure else GAIN if good else LOSS
        parts.append(_line(x(bar.low), y, x(bar.high), y, colour, 2))
        parts += [_line(x(edge), y - 3, x(edge), y + 3, colour, 2) for edge in (bar.low, bar.high)]
        parts.append(f"<circle cx='{x(bar.value):.1f}' cy='{y:.1f}' r='3.5' fill='{colour}'/>")
        if bar.mark:
            parts.append(_text(width - right + 6, y + 4, bar.mark, colour, "start"))
    return "".join([*parts, "</svg>"])


def curves(series: Sequence[Curve], title: str, base: float | None = None, width: int = 480) -> str:
    """Curves over each other with their names below; a dashed level where all began."""
    shown = list(series[: len(SERIES)])
    left, right, head, plot, foot = 44, 12, 8, 168, 24
    height = head + plot + foot + 16 * math.ceil(len(shown) / 2)
    xs = [value for curve in shown for value in curve.x]
    ys = [value for curve in shown for value in curve.y if math.isfinite(value)]
    ys += [base] if base is not None else []
    x_high = max(xs, default=1.0) or 1.0
    low, high = min(ys, default=0.0), max(ys, default=1.0)
    room = (high - low) * 0.08 or 0.05
    low, high = max(low - room, 0.0) if low >= 0 else low - room, high + room

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            left + x / x_high * (width - left - right),
            head + plot - (y - low) / (high - low) * plot,
        )

    parts = [_open(width, height, title)]
    for tick in ticks(low, high):
        y = at(0, tick)[1]
        parts += [
            _line(left, y, width - right, y, LINE, 1),
            _text(left - 6, y + 4, f"{tick:g}", MUTED, "end"),
        ]
    for tick in ticks(0, x_high):
        parts.append(_text(at(tick, low)[0], head + plot + 15, f"{tick:g}", MUTED, "middle"))
    if base is not None:
        y = at(0, base)[1]
        parts.append(_line(left, y, width - right, y, BASE, 1, "4 4"))
    for number, (curve, (colour, dash)) in enumerate(zip(shown, SERIES, strict=False)):
        points = [at(a, b) for a, b in zip(curve.x, curve.y, strict=True) if math.isfinite(b)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        dashes = f" stroke-dasharray='{dash}'" if dash else ""
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.5'{dashes}/>")
        if curve.best is not None:
            a, b = at(*curve.best)
            parts.append(f"<circle cx='{a:.1f}' cy='{b:.1f}' r='3.5' fill='{colour}'/>")
        x = left + (number % 2) * (width - left) / 2
        y = head + plot + foot + 16 * (number // 2) + 8
        parts += [
            _line(x, y, x + 24, y, colour, 1.5, dash),
            _text(x + 30, y + 4, shortened(curve.label, 30), INK, "start"),
        ]
    return "".join([*parts, "</svg>"])


def _open(width: int, height: float, title: str) -> str:
    name = text(title)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height:.0f}' width='{width}' "
        f"height='{height:.0f}' role='img' aria-label='{name}'><title>{name}</title>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dash: str = "") -> str:
    dashes = f" stroke-dasharray='{dash}'" if dash else ""
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
        f"stroke-width='{width:g}'{dashes}/>"
    )


def _text(x: float, y: float, words: str, colour: str, anchor: str) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' fill='{colour}' text-anchor='{anchor}' {_FONT}>{text(words)}</text>"
    )
