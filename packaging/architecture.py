"""Draws the rooms of the engine and lists their doors in docs/architecture.md, from the code itself.

Run it after moving code between rooms or changing what one offers: `python packaging/architecture.py`.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "architecture.md"
APP = ROOT / "app"
ENGINE = APP / "clip_atelier" / "engine"

#: From the ground up; a room uses only those before it. `pyproject.toml` has the same order as a contract.
ROOMS = (
    "core", "settings", "storage", "data", "intake", "models", "runs", "evaluation", "parts", "training", "search",
    "analysis", "experiments", "reports", "upkeep",
)  # fmt: skip

BEGIN, END = "<!-- {}: made by packaging/architecture.py -->", "<!-- end of {} -->"


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def _first_sentence(docstring: str | None) -> str:
    paragraph = " ".join((docstring or "").split("\n\n")[0].split())
    sentence, dot, _rest = paragraph.partition(". ")
    return sentence + "." if dot else paragraph


def purpose(room: str) -> str:
    """The first sentence of a room's docstring."""
    return _first_sentence(ast.get_docstring(_parsed(ENGINE / room / "__init__.py")))


def used_by(room: str) -> tuple[str, ...]:
    """The rooms that a room imports from, in the order of `ROOMS`; imports for types alone count too."""
    found = set()
    for file in (ENGINE / room).rglob("*.py"):
        for node in ast.walk(_parsed(file)):
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
    """What a room offers to others: its `__all__` where that is written out, else all that its stub imports."""
    tree = _parsed(stub_of(room))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return tuple(sorted(names))
    return tuple(
        sorted(
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module != "__future__"
            for alias in node.names
        )
    )


def told(room: str, name: str) -> str:
    """The first sentence of the docstring of something that a room offers; "" where it has none."""
    return _told(stub_of(room), name)


def _told(file: Path, name: str) -> str:
    body = _parsed(file).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return _first_sentence(ast.get_docstring(node))
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            # A string that stands after a constant is its docstring.
            if ast.unparse(target) == name and isinstance(after, ast.Expr):
                return _first_sentence(str(ast.literal_eval(after.value)))
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name and (source := _source(file, node)):
                    return _behind(source, alias.name)
    return ""


def _source(file: Path, node: ast.ImportFrom) -> Path | None:
    """What an import names, as a path without its suffix; None outside this program."""
    module = node.module.split(".") if node.module else []
    if node.level:
        return file.parent.joinpath(*module)
    return APP.joinpath(*module) if module[:1] == ["clip_atelier"] else None


def _behind(source: Path, name: str) -> str:
    """What is said of `name` in the module or package at `source`, or by the module `name` in that package."""
    module = (source / name).with_suffix(".py")
    if module.is_file():
        return _first_sentence(ast.get_docstring(_parsed(module)))
    inner = source / name / "__init__.py"
    if inner.is_file():
        return _first_sentence(ast.get_docstring(_parsed(inner)))
    for file in (source.with_suffix(".py"), source / "__init__.pyi", source / "__init__.py"):
        if file.is_file():
            return _told(file, name)
    return ""


def drawing() -> str:
    """A table of the rooms, and their arrows as a Mermaid diagram."""
    table = ["| room | what lives there | uses |", "|---|---|---|"]
    arrows = ["```mermaid", "flowchart BT"]
    for room in ROOMS:
        uses = used_by(room)
        table.append(f"| `{room}` | {purpose(room)} | {', '.join(uses) or '–'} |")
        # What everybody uses says nothing about a room and would only be a tangle of lines.
        drawn = [one for one in uses if one not in ("core", "settings")]
        arrows += [f"    {room} --> {one}" for one in drawn] or [f"    {room}"]
    return "\n".join([*table, "", *arrows, "```"])


def doors() -> str:
    """What each room offers, with a sentence for each name, folded away until it is asked for."""
    parts = []
    for room in ROOMS:
        names = door(room)
        parts.append(f"<details><summary><code>{room}</code>: {len(names)} names</summary>\n")
        for name in names:
            sentence = told(room, name).replace("<", "&lt;")
            parts.append(f"- `{name}`" + (f": {sentence}" if sentence else ""))
        parts.append("\n</details>")
    return "\n".join(parts)


def page(text: str) -> str:
    """The page with its generated parts renewed."""
    for name, made in (("rooms", drawing()), ("doors", doors())):
        begin, end = BEGIN.format(name), END.format(name)
        before, _begin, rest = text.partition(begin)
        _old, _end, after = rest.partition(end)
        text = f"{before}{begin}\n\n{made}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text("utf-8")), encoding="utf-8", newline="\n")
