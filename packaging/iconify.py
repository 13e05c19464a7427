"""Read and draw the icon sets of the npm package ``@iconify/json``.

The package is one JSON file per set; the layout is described in Iconify's public documentation ("IconifyJSON"): icon
bodies without the ``<svg>`` element, a view box given per icon or for the whole set, and aliases that point to a parent
and may turn or mirror it. This module turns that into complete SVG documents and pixels, nothing more.

Get the package with ``npm install @iconify/json`` and pass the folder ``node_modules/@iconify/json`` as ``root``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import resvg_py
from PIL import Image

_BOX_DEFAULTS: dict[str, float] = {"left": 0, "top": 0, "width": 16, "height": 16}
_MAX_ALIAS_DEPTH = 8


@dataclass(frozen=True)
class IconSet:
    """One icon set with its credit and its drawings.

    Attributes:
        prefix: Short name of the set, e.g. ``"fluent-emoji-flat"``.
        title: Name for people.
        license_title: Licence as its authors write it.
        license_spdx: SPDX identifier, empty when the set states none.
        author: Author or organisation.
        category: Iconify's own category ("Emoji", "Logos", …), may be empty.
        palette: True when the drawings carry their own colours.
        width: View box width used by icons that state none.
        height: View box height used by icons that state none.
        icons: Icon name to complete SVG document; aliases are included under their own names.
        aliases: Alias name to the name it points to.
    """

    prefix: str
    title: str
    license_title: str
    license_spdx: str
    author: str
    category: str
    palette: bool
    width: float
    height: float
    icons: Mapping[str, str]
    aliases: Mapping[str, str]


def list_sets(root: Path) -> list[str]:
    """Return the prefixes of all sets below ``root``, sorted.

    Raises:
        FileNotFoundError: ``root`` is not an ``@iconify/json`` package folder.
    """
    collections: dict[str, Any] = json.loads((root / "collections.json").read_text(encoding="utf-8"))
    return sorted(collections)


def load_set(root: Path, prefix: str) -> IconSet:
    """Load one set with all its icons, hidden (withdrawn) ones left out.

    Raises:
        FileNotFoundError: There is no such set in the package.
    """
    data: dict[str, Any] = json.loads((root / "json" / f"{prefix}.json").read_text(encoding="utf-8"))
    info: dict[str, Any] = data.get("info", {})
    licence: dict[str, Any] = info.get("license", {})
    box = {key: data.get(key, default) for key, default in _BOX_DEFAULTS.items()}

    icons: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for name in [*data["icons"], *data.get("aliases", {})]:
        resolved = _resolve(data, name)
        if resolved is None or resolved.get("hidden"):
            continue
        icons[name] = _document({**box, **resolved})
        if name not in data["icons"]:
            aliases[name] = data["aliases"][name]["parent"]
    return IconSet(
        prefix=prefix,
        title=info.get("name", prefix),
        license_title=licence.get("title", ""),
        license_spdx=licence.get("spdx", ""),
        author=info.get("author", {}).get("name", ""),
        category=info.get("category", ""),
        palette=bool(info.get("palette", False)),
        width=box["width"],
        height=box["height"],
        icons=icons,
        aliases=aliases,
    )


def render(svg: str, size: int, colour: str = "#000000") -> Image.Image:
    """Draw an SVG document into a transparent square, centred, its aspect ratio kept.

    Args:
        svg: A complete SVG document.
        size: Side of the square, in pixels.
        colour: What ``currentColor`` stands for.

    Returns:
        An RGBA image of ``size`` by ``size`` pixels.

    Raises:
        ValueError: The document cannot be drawn.
    """
    # With both sides given the renderer keeps the aspect ratio but shrinks the canvas, so the longer side always fits.
    png = resvg_py.svg_to_bytes(
        svg_string=svg.replace("currentColor", colour), width=size, height=size, skip_system_fonts=True
    )
    drawing = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    if drawing.size == (size, size):
        return drawing
    drawing.thumbnail((size, size))
    canvas = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    canvas.paste(drawing, ((size - drawing.width) // 2, (size - drawing.height) // 2))
    return canvas


def _resolve(data: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Merge an alias with its parents; turns add up and mirrorings cancel out. None for a dangling or endless chain."""
    chain: list[dict[str, Any]] = []
    aliases: Mapping[str, Any] = data.get("aliases", {})
    while name not in data["icons"]:
        if name not in aliases or len(chain) == _MAX_ALIAS_DEPTH:
            return None
        chain.append(aliases[name])
        name = aliases[name]["parent"]
    merged = dict(data["icons"][name])
    for alias in reversed(chain):
        rotate = (merged.get("rotate", 0) + alias.get("rotate", 0)) % 4
        flips = {key: merged.get(key, False) != alias.get(key, False) for key in ("hFlip", "vFlip")}
        merged.update({key: value for key, value in alias.items() if key != "parent"})
        merged.update(flips, rotate=rotate)
    return merged


def _document(icon: Mapping[str, Any]) -> str:
    """Wrap an icon's body into an SVG document, with its turns and mirrorings as a transform (mirrored first)."""
    left, top, width, height = (icon[key] for key in ("left", "top", "width", "height"))
    rotate = int(icon.get("rotate", 0)) % 4
    centre_x, centre_y = left + width / 2, top + height / 2
    scale_x, scale_y = (-1 if icon.get("hFlip") else 1), (-1 if icon.get("vFlip") else 1)
    body = icon["body"]
    if rotate or scale_x < 0 or scale_y < 0:
        move = f"translate({centre_x:g} {centre_y:g})"
        back = f"translate({-centre_x:g} {-centre_y:g})"
        body = f'<g transform="{move} rotate({90 * rotate}) scale({scale_x} {scale_y}) {back}">{body}</g>'
        if rotate % 2:  # Turned about its own centre, the view box only swaps its sides.
            width, height = height, width
            left, top = centre_x - width / 2, centre_y - height / 2
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width:g}" height="{height:g}" viewBox="{left:g} {top:g} {width:g} {height:g}">{body}</svg>'
    )
