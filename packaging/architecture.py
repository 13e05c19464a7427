"""Draws the rooms of the engine in docs/architecture.md, from the imports in the code.

Run it after moving code between rooms: `python packaging/architecture.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "architecture.md"
ENGINE = ROOT / "app" / "clip_atelier" / "engine"

#: From the ground up; a room uses only those before it. `pyproject.toml` has the same order as a contract.
ROOMS = (
    "core", "settings", "storage", "data", "models", "runs", "evaluation", "training", "search", "analysis",
    "experiments", "reports",
)  # fmt: skip

BEGIN, END = "<!-- rooms: made by packaging/architecture.py -->", "<!-- end of rooms -->"


def purpose(room: str) -> str:
    """The first sentence of a room's docstring."""
    text = ast.get_docstring(ast.parse((ENGINE / room / "__init__.py").read_text("utf-8"))) or ""
    return text.split("\n")[0].strip()


def used_by(room: str) -> tuple[str, ...]:
    """The rooms that a room imports from, in the order of `ROOMS`; imports for types alone count too."""
    found = set()
    for file in (ENGINE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= _rooms(node.module, [alias.name for alias in node.names])
    return tuple(one for one in ROOMS if one in found and one != room)


def _rooms(module: str, names: list[str]) -> set[str]:
    parts = module.split(".")
    if parts[:2] != ["clip_atelier", "engine"]:
        return set()
    return {parts[2]} if len(parts) > 2 else set(names)


def stub_of(room: str) -> Path:
    """The file that lists what a room offers."""
    stub = ENGINE / room / "__init__.pyi"
    return stub if stub.is_file() else stub.with_suffix(".py")


def door(room: str) -> tuple[str, ...]:
    """What a room offers to others."""
    tree = ast.parse(stub_of(room).read_text("utf-8"))
    return tuple(
        sorted(
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if (alias.asname or alias.name) != "annotations"
        )
    )


def section() -> str:
    """The generated part of the page: a table of rooms, and their arrows as a Mermaid diagram."""
    table = ["| room | what lives there | uses |", "|---|---|---|"]
    arrows = ["```mermaid", "flowchart BT"]
    for room in ROOMS:
        uses = used_by(room)
        table.append(f"| `{room}` | {purpose(room)} | {', '.join(uses) or '–'} |")
        # What everybody uses says nothing about a room and would only be a tangle of lines.
        drawn = [one for one in uses if one not in ("core", "settings")]
        arrows += [f"    {room} --> {one}" for one in drawn] or [f"    {room}"]
    return "\n".join([BEGIN, "", *table, "", *arrows, "```", "", END])


def page(text: str) -> str:
    """The page with its generated part renewed."""
    before, _begin, rest = text.partition(BEGIN)
    _old, _end, after = rest.partition(END)
    return before + section() + after


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text("utf-8")), encoding="utf-8", newline="\n")
