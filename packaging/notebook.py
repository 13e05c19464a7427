"""Writes docs/examples/first_adaptation.ipynb from the script of the same name, cell by cell and without outputs.

Run it after changing the script: `python packaging/notebook.py`. In the script, `# %%` begins a cell of code and `# %% [markdown]` one of
text, as editors and Jupytext read it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "docs" / "examples" / "first_adaptation.py"
TARGET = SOURCE.with_suffix(".ipynb")

_MARK = re.compile(r"^# %%(.*)$", re.MULTILINE)


def cells(script: str) -> list[dict[str, Any]]:
    """The cells of a script, as a notebook holds them."""
    before, *rest = _MARK.split(script)
    if before.strip():
        raise ValueError(f"{SOURCE.name} must begin with a cell")
    return [
        _cell(number, mark, text.strip("\n"))
        for number, (mark, text) in enumerate(zip(rest[::2], rest[1::2], strict=True))
    ]


def _cell(number: int, mark: str, text: str) -> dict[str, Any]:
    prose = "[markdown]" in mark
    if prose:
        text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
    tags = re.search(r"tags=(\[.*?\])", mark)
    cell: dict[str, Any] = {
        "cell_type": "markdown" if prose else "code",
        "id": f"cell-{number}",
        "metadata": {"tags": json.loads(tags[1])} if tags else {},
        "source": text.splitlines(keepends=True),
    }
    return cell if prose else {**cell, "execution_count": None, "outputs": []}


def notebook() -> str:
    """The notebook's file, in the fourth format."""
    document = {
        "cells": cells(SOURCE.read_text("utf-8")),
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(notebook(), encoding="utf-8", newline="\n")
