"""Writes docs/faults.md: what can go wrong, what then holds, and the tests that show it.

The rows are those of tests/faults/rows.py, the tests those that are marked `fault(N)`. Run it after marking a test:
`python packaging/faults.py`.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
TARGET = ROOT / "docs" / "faults.md"

_HEAD = """\
# Faults, and what holds

Each row is a fault that tests inject, and what must hold then. This page is made by `packaging/faults.py` from
`tests/faults/rows.py` and from the tests that are marked `fault(N)`; a build in which one of them fails is not published.
`pytest -m fault` runs them all. That each row's tests fail where its defence is missing is shown by
`python tests/faults/defences.py`: it takes the defences out of a copy of the program, one row at a time.

{count} of {all} rows hold.

| # | what is done | what holds | tests | result |
|---|---|---|---|---|
"""


def rows() -> dict[int, tuple[str, str]]:
    """The catalogue."""
    spec = importlib.util.spec_from_file_location("rows", TESTS / "faults" / "rows.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[int, tuple[str, str]] = module.ROWS
    return found


def marked() -> dict[int, list[str]]:
    """Row -> the tests that are marked with it, as FILE::NAME below tests/."""
    found: dict[int, list[str]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for number in _numbers(node):
                    name = f"{file.relative_to(TESTS).as_posix()}::{node.name}"
                    found.setdefault(number, []).append(name)
    return found


def _numbers(function: ast.FunctionDef) -> Iterator[int]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def page() -> str:
    """The whole page as Markdown."""
    catalogue, tests = rows(), marked()
    if unknown := sorted(set(tests) - set(catalogue)):
        raise SystemExit(f"tests are marked with rows that are not in the catalogue: {unknown}")
    lines = []
    for number, (done, holds) in catalogue.items():
        names = [f"[{name.partition('::')[2].removeprefix('test_').replace('_', ' ')}](../tests/{name.partition('::')[0]})"
                 for name in tests.get(number, ())]  # fmt: skip
        result = "holds" if names else "open"
        lines.append(f"| {number} | {done} | {holds} | {'<br>'.join(names)} | {result} |\n")
    held = sum(number in tests for number in catalogue)
    return _HEAD.replace("{count}", str(held)).replace("{all}", str(len(catalogue))) + "".join(lines)


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8", newline="\n")
