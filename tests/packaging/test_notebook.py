"""The example notebook: it is the script's, it is a notebook, and its cells do what they say, on a tiny model."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "examples" / "first_adaptation.ipynb"


def read() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(NOTEBOOK.read_text("utf-8"))
    return document


def test_it_is_that_of_the_script() -> None:
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "packaging" / "notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert NOTEBOOK.read_text("utf-8") == module.notebook(), "run: python packaging/notebook.py"


def test_it_is_a_notebook() -> None:
    document = read()
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    cells = document["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells) > 10
    for cell in cells:
        wanted = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            wanted |= {"execution_count", "outputs"}
            ast.parse("".join(cell["source"]))
            assert cell["outputs"] == []
        assert cell.keys() == wanted
        assert "".join(cell["source"]).strip()


def shown(source: str, names: dict[str, Any]) -> Any:
    """Runs a cell; the value of its last line is what a notebook would show."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last is not None else None


def test_its_cells_run_from_first_to_last(
    tiny_pairs: Path,
    tiny_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CLIP_ATELIER_HOME", str(tmp_path))
    own = {
        "folder": str(tiny_pairs), "model": str(tiny_clip), "query": "circle", "folds": 0,
        "more": {"train.steps": 3, "train.preservation": 0.0, "train.checks": 1},
    }  # fmt: skip
    names: dict[str, Any] = {"__name__": "__main__"}
    pictures: list[Image.Image] = []
    for cell in read()["cells"]:
        if cell["cell_type"] == "code":
            value = shown("".join(cell["source"]), names)
            pictures += [value] if isinstance(value, Image.Image) else []
            if cell["metadata"].get("tags") == ["parameters"]:
                assert own.keys() <= names.keys()
                names |= own
    assert len(names["losses"]) == 3
    assert names["run"].status == "done"
    assert [picture.size for picture in pictures] == [(1024, 256), (1024, 128), (1024, 128)]
    assert all(len(picture.getcolors(1 << 20) or ()) > 3 for picture in pictures)
    assert names["pictures"].shape == (8, 24)
    said = capsys.readouterr().out
    assert "(with the base: place " in said
    assert "mAP" in said
