from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_atelier.engine import adapters, export, settings
from clip_atelier.engine.errors import UserError
from clip_atelier.engine.models import Models

CONFIGURATIONS = [
    *({"preset": name} for name in settings.PRESETS),
    {"lora.r": 4, "train.towers": "vision"},
    {"lora.target_modules": "q_proj+text_projection", "train.towers": "text", "lora.lora_alpha": 1.5},
    {"lora.bias": "lora_only", "train.temperature": "trained", "train.seed": 3},
    {"train.method": "layernorm", "train.towers": "text"},
]


@pytest.mark.parametrize("chosen", CONFIGURATIONS, ids=lambda c: " ".join(f"{k}={v}" for k, v in c.items()))
def test_the_code_of_a_configuration_runs_and_makes_the_same_model(
    chosen: dict[str, Any], tiny_clip: Path, quick: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    values = {"model.name": str(tiny_clip), "hardware.device": "cpu", "hardware.threads": 1, **chosen}
    preset = values.pop("preset", None)
    built = settings.build(values, preset)
    left: dict[str, Any] = {}
    exec(compile(export.python_code(built, str(tiny_clip)), "code.py", "exec"), left)

    models = Models(tmp_path)
    adapter = adapters.attach(models.open(built.model.name, built.hardware), built)
    ours = adapter.state()
    theirs = {
        n.removeprefix("base_model.model."): p for n, p in left["model"].named_parameters() if p.requires_grad
    }
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.equal(theirs[name].detach()), name
    assert float(left["update_size"](left["model"]).detach()) == 0
    assert left["optimizer"].param_groups[0]["lr"] == built.train.learning_rate


def test_the_codes_update_size_is_the_one_that_training_weighs(
    tiny_clip: Path, quick: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    import torch

    built = settings.build(quick(lora__use_rslora=True))
    left: dict[str, Any] = {}
    exec(export.python_code(built, str(tiny_clip)), left)
    adapter = adapters.attach(Models(tmp_path).open(built.model.name, built.hardware), built)
    theirs = dict(left["model"].base_model.model.named_parameters())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in adapter.trainable.items():
            parameter.normal_(std=0.1, generator=generator)
            theirs[name].copy_(parameter)
    torch.testing.assert_close(left["update_size"](left["model"]), adapter.size())


def test_the_code_of_the_brief_is_what_the_brief_says() -> None:
    code = export.python_code(settings.build({}, "attention"))
    for line in (
        "r=8,",
        "lora_alpha=16,",
        'target_modules=["q_proj", "v_proj"],',
        "lora_dropout=0.1,",
        'bias="none",',
    ):
        assert f"    {line}\n" in code
    code = export.python_code(settings.build({}, "projection"))
    for line in ("r=8,", "lora_alpha=32,", 'target_modules=["visual_projection"],', "lora_dropout=0.1,"):
        assert f"    {line}\n" in code


def test_showing_the_code_needs_no_torch() -> None:
    import subprocess
    import sys

    check = (
        "import sys; from clip_atelier.engine import export, settings; export.python_code(settings.Settings());"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


# Tables

DANGEROUS = st.one_of(
    st.sampled_from(
        ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", '=HYPERLINK("x")', "-", "+", "\r=1", "\n@x"]
    ),
    st.text(),
)


@given(DANGEROUS)
def test_no_cell_of_a_csv_table_is_a_formula_and_none_loses_its_text(text: str) -> None:
    written = export.csv_table(["name"], [[text]])
    cell = list(csv.reader(io.StringIO(written, newline="")))[1:]
    value = cell[0][0] if cell and cell[0] else ""
    assert value in (text, "'" + text)
    assert value[:1] not in ("=", "@", "\t", "\r", "\n")
    if value[:1] in ("+", "-"):
        float(value.rstrip("%"))


@pytest.mark.parametrize("value", [-0.25, "+0.031", "-1e-3", "-12", "12 %", "0.5"])
def test_numbers_stay_numbers_in_a_csv_table(value: object) -> None:
    assert export.csv_cell(value) == str(value)


def test_tables_of_every_format_hold_every_cell(tmp_path: Path) -> None:
    header, rows = ["설정", "R@1"], [["q_proj | v_proj & 50 %", "0.42"], ["<b>", None]]
    for suffix in export.TABLE_SUFFIXES:
        out = tmp_path / f"table{suffix}"
        export.write_table(out, header, rows)
        text = out.read_text("utf-8-sig")
        assert "설정" in text
        assert "0.42" in text
    assert r"q\_proj | v\_proj \& 50 \%" in (tmp_path / "table.tex").read_text("utf-8")
    markdown = (tmp_path / "table.md").read_text("utf-8").splitlines()
    assert markdown[1] == "| --- | --- |"
    assert markdown[2] == r"| q_proj \| v_proj & 50 % | 0.42 |"
    assert r"\<b\>" in markdown[3]


def test_an_unknown_table_format_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"table\.xlsx"):
        export.write_table(tmp_path / "table.xlsx", ["a"], [])
