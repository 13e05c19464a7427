"""The house holds to its own rules: doors, no import cycles, typed results; what CONTRIBUTING promises is so."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "app"
PACKAGE = APP / "clip_atelier"

spec = importlib.util.spec_from_file_location("architecture", ROOT / "packaging" / "architecture.py")
assert spec is not None
assert spec.loader is not None
architecture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(architecture)

FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(APP).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["clip_atelier", "engine"] and len(parts) > 2 else ""


def imports(file: Path) -> list[ast.ImportFrom]:
    return [
        node
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("clip_atelier")
    ]


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_rooms_are_entered_through_their_doors(file: Path) -> None:
    own = room_of(module_of(file))
    around = [
        f"line {node.lineno}: {node.module}"
        for node in imports(file)
        if (room := room_of(node.module or "")) and room != own and (node.module or "").count(".") > 2
    ]
    assert not around, "import from the room itself; its __init__ names what others may use"


@pytest.mark.parametrize("room", architecture.ROOMS)
def test_a_door_keeps_what_it_promises(room: str) -> None:
    door = importlib.import_module(f"clip_atelier.engine.{room}")
    names = architecture.door(room)
    assert names
    for name in names:
        getattr(door, name)
    # A name that a module of the room has too would be hidden by it once the module is loaded.
    for node in ast.parse(architecture.stub_of(room).read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            hidden = [a.name for a in node.names if (PACKAGE / "engine" / room / f"{a.name}.py").exists()]
            assert not hidden


def test_there_are_no_import_cycles() -> None:
    known = {module_of(file): file for file in FILES}
    graph: dict[str, set[str]] = {}
    for module, file in known.items():
        graph[module] = set()
        type_checking = {
            inner
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for inner in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        for node in imports(file):
            if node.lineno in type_checking or node.col_offset:
                continue
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                graph[module].add(full if full in known else node.module or "")
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module in done:
            return
        for other in graph.get(module, ()):
            if other != module:
                visit(other, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("room", architecture.ROOMS)
def test_no_untyped_dictionary_passes_a_door(room: str) -> None:
    """What a room offers takes and returns records, not dictionaries of anything."""
    door = importlib.import_module(f"clip_atelier.engine.{room}")
    untyped = set()
    for name in architecture.door(room):
        found = getattr(door, name)
        for member in [found, *vars(found).values()] if isinstance(found, type) else [found]:
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            told = getattr(function, "__qualname__", "")
            last = told.rpartition(".")[2]
            if (
                isinstance(function, type)
                or last == "as_json"
                or (last.startswith("_") and last != "__init__")
            ):
                continue
            notes = getattr(function, "__annotations__", {})
            untyped |= {
                told for note in notes.values() if re.search(r"(dict|Mapping)\[str, Any\]", str(note))
            }
    assert untyped == PLAIN.get(room, set())


#: Where plain values are the very thing that is asked for: events as JSON, settings by dotted name, PEFT's arguments.
PLAIN = {
    "core": {"Finished.__init__", "from_json", "to_json"},
    "settings": {
        "LoraSettings.peft_arguments", "Preset.__init__", "build", "check", "flat", "migrated", "preset_values",
    },
    "evaluation": {"Row.__init__", "behind_features"},
    "training": {"Group.hear", "Group.ordered"},
    "experiments": {"Grid.__init__", "Grid.cells", "Grid.settings"},
}  # fmt: skip


def test_the_page_shows_the_rooms_and_their_doors_as_they_are() -> None:
    text = architecture.TARGET.read_text("utf-8")
    assert architecture.page(text) == text, "run: python packaging/architecture.py"


def test_rooms_stand_in_the_order_of_the_contract() -> None:
    contract = (ROOT / "pyproject.toml").read_text("utf-8")
    layers = re.findall(
        r'"(\w+)"', contract.split('containers = ["clip_atelier.engine"]')[1].split("]", 1)[0]
    )
    assert tuple(reversed(layers)) == architecture.ROOMS


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_a_room_and_no_hall(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400
