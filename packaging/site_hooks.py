"""What the site needs beside docs/: mkdocs.yml names this file as a hook.

The pages are written to be read in the repository, where links lead to any file of it, a list may follow a line of text, and Mermaid is
drawn. Here such links lead to copies that lie in the site, and drawings are made without a script, so that the site is whole by itself.
Everything but the last three functions works without mkdocs; the tests check the links that way.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

#: Pages outside docs/ -> their place in the site.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
#: Folders that are linked to as folders -> title of the list that is made of them.
LISTED = {"docs/decisions": "Decisions", "docs/schemas": "Schemas"}
#: Other files that a page leads to lie below this, as text.
SOURCE = "source"

_CODE_OR_LINK = re.compile(
    r"(?P<code>^```.*?^```$|`[^`\n]*`)|\]\((?P<target>[^)\s]+)\)", re.DOTALL | re.MULTILINE
)
_ITEM = re.compile(r"([-*]|\d+\.) ")
_MERMAID = re.compile(r"^```mermaid\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
_ARROW = re.compile(r"^\s+(\w+) --> (\w+)$", re.MULTILINE)


def pages() -> dict[str, str]:
    """Every page by its place in the site -> the file it is made of, from the repository's root."""
    found = {
        f.relative_to(DOCS).as_posix(): f.relative_to(ROOT).as_posix() for f in sorted(DOCS.rglob("*.md"))
    }
    return found | {place: name for name, place in OUTSIDE.items()}


def unnamed(nav: Any) -> list[str]:
    """The pages that a menu does not name; decisions and schemas are found from their lists."""
    named = set(_named(nav))
    listed = tuple(place.removesuffix("index.md") for place in lists())
    return [place for place in pages() if place not in named and not place.startswith(listed)]


def _named(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for one in nav if isinstance(nav, list) else nav.values():
            yield from _named(one)


def lists() -> dict[str, str]:
    """The pages that list a folder, by place -> Markdown."""
    return {
        f"{folder.removeprefix('docs/')}/index.md": f"# {title}\n\n"
        + "\n".join(_listed(ROOT / folder))
        + "\n"
        for folder, title in LISTED.items()
    }


def _listed(folder: Path) -> Iterator[str]:
    for file in sorted(folder.iterdir()):
        if file.suffix == ".md":
            heading = file.read_text("utf-8").partition("\n")[0].removeprefix("# ")
            yield f"- [{heading}]({file.name})"
        else:
            yield f"- [{file.stem}]({file.name})"


def targets(place: str, name: str) -> Iterator[tuple[str, str]]:
    """What a page links to: as it is written, and the place in the site; links to elsewhere are left out."""
    for match in _CODE_OR_LINK.finditer((ROOT / name).read_text("utf-8")):
        if (target := match["target"]) and (found := _place(target, name)) is not None:
            yield target, found


def _place(target: str, name: str) -> str | None:
    """The place in the site of what a page of the repository links to; None for other sites and the page itself.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = target.partition("#")[0]
    if not path or re.match(r"\w+:", path):
        return None
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
    if inside.startswith("..") or not (ROOT / inside).exists():
        raise FileNotFoundError(f"{name} links to {target}, which is not there")
    if inside in OUTSIDE:
        return OUTSIDE[inside]
    if inside in LISTED:
        return f"{inside.removeprefix('docs/')}/index.md"
    if inside.startswith("docs/") and not inside.endswith((".py", ".1")):
        return inside.removeprefix("docs/")
    return f"{SOURCE}/{inside}.txt"


def sources() -> dict[str, Path]:
    """The files that lie in the site because a page leads to them, by place."""
    start, end = f"{SOURCE}/", ".txt"
    return {
        place: ROOT / place.removeprefix(start).removesuffix(end)
        for page, name in pages().items()
        for _target, place in targets(page, name)
        if place.startswith(start)
    }


def as_shown(text: str, place: str, name: str) -> str:
    """A page as the site has it.

    Args:
        text: As it stands in the repository.
        place: Its place in the site.
        name: Its file, from the repository's root.
    """
    here = posixpath.dirname(place)

    def led(match: re.Match[str]) -> str:
        target = match["target"]
        found = _place(target, name) if target else None
        if found is None:
            return match[0]
        fragment = target[len(target.partition("#")[0]) :]
        return f"]({posixpath.relpath(found, here or '.')}{fragment})"

    text = _CODE_OR_LINK.sub(led, text)
    text = _MERMAID.sub(lambda match: drawing(match["code"]), text)
    return spaced(text.replace("<details>", '<details markdown="1">'))


def spaced(text: str) -> str:
    """With an empty line before each list, which only some readers of Markdown do without."""
    lines: list[str] = []
    fenced = listed = False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        begins = not fenced and _ITEM.match(line) is not None
        if begins and not listed and lines and lines[-1].strip():
            lines.append("")
        listed = begins or (listed and (not line.strip() or line.startswith(" ")))
        lines.append(line)
    return "\n".join(lines)


def drawing(mermaid: str) -> str:
    """A flow chart of rooms that use each other, as SVG: users above, and only arrows that do not follow from others."""
    uses: dict[str, set[str]] = {}
    for user, used in _ARROW.findall(mermaid):
        uses.setdefault(user, set()).add(used)
        uses.setdefault(used, set())
    rows: list[list[str]] = []
    for height in range(1 + max((_height(room, uses) for room in uses), default=-1)):
        below = rows[-1] if rows else []

        def place(room: str, below: list[str] = below) -> tuple[float, str]:
            """Above what it uses, so that arrows do not cross."""
            used = [below.index(one) for one in _direct(room, uses) if one in below]
            return sum(used) / len(used) if used else 0.0, room

        rows.append(sorted((room for room in uses if _height(room, uses) == height), key=place))
    width, step, box, tall = 640, 64, 132, 30
    middle = {
        room: (width * (number + 1) / (len(row) + 1), step * (len(rows) - height) - step / 2)
        for height, row in enumerate(rows)
        for number, room in enumerate(row)
    }
    parts = []
    for user, used in ((a, b) for a in uses for b in sorted(_direct(a, uses))):
        (x, y), (to_x, to_y) = middle[user], middle[used]
        parts.append(
            f'<line x1="{x:g}" y1="{y + tall / 2:g}" x2="{to_x:g}" y2="{to_y - tall / 2 - 2:g}" marker-end="url(#tip)"/>'
        )
    for room, (x, y) in middle.items():
        parts.append(
            f'<rect x="{x - box / 2:g}" y="{y - tall / 2:g}" width="{box}" height="{tall}" rx="6" fill="none"/>'
        )
        parts.append(
            f'<text x="{x:g}" y="{y + 5:g}" text-anchor="middle" stroke="none" fill="currentColor">{html.escape(room)}</text>'
        )
    said = f"{len(uses)} rooms; an arrow leads to what a room uses"
    return (
        f'<svg viewBox="0 0 {width} {step * len(rows)}" role="img" aria-label="{said}" style="max-width: {width}px" '
        'stroke="currentColor" font-size="15"><defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="currentColor" stroke="none"/></marker></defs>'
        + "".join(parts)
        + "</svg>\n\nArrows that follow from others are left out.\n"
    )


def _height(room: str, uses: dict[str, set[str]]) -> int:
    return 1 + max(_height(one, uses) for one in uses[room]) if uses[room] else 0


def _reached(room: str, uses: dict[str, set[str]]) -> set[str]:
    return uses[room].union(*(_reached(one, uses) for one in uses[room]))


def _direct(room: str, uses: dict[str, set[str]]) -> set[str]:
    """What a room uses and none of the others that it uses does."""
    return {
        one for one in uses[room] if not any(one in _reached(other, uses) for other in uses[room] - {one})
    }


def on_config(config: Any) -> Any:
    """Called by mkdocs: a page that the menu forgot is found at its end."""
    if left := unnamed(config.nav):
        config.nav.append({"More": left})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Called by mkdocs: adds the pages that lie outside docs/, the lists, and the files that pages lead to."""
    from mkdocs.structure.files import File

    made = {place: (ROOT / name).read_text("utf-8") for name, place in OUTSIDE.items()} | lists()
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    for place, file in sources().items():
        files.append(File.generated(config, place, content=file.read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_more: Any) -> str:
    """Called by mkdocs for each page before it is rendered."""
    place = page.file.src_uri
    name = pages().get(place)
    return as_shown(markdown, place, name) if name is not None else markdown
