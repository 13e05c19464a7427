"""A run trained on from: merged into a model, its lineage told wherever the new run is, and asked for before it goes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from PIL import Image
from transformers import CLIPModel

from clip_atelier.cli.main import main
from clip_atelier.engine.core import Control, UserError, drive
from clip_atelier.engine.models import Models, lineage_of
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import Runs


def told(capsys: pytest.CaptureFixture[str], home: Path, *arguments: object, as_json: bool = True) -> Any:
    ended = main([*map(str, arguments), "--home", str(home), *(["--json"] if as_json else [])])
    shown = capsys.readouterr()
    assert ended == 0, shown.err
    return json.loads(shown.out) if as_json else shown.out


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    folder = tmp_path / "drawings"
    for index in range(24):
        colour = ("red", "blue", "green")[index % 3]
        (folder / colour).mkdir(parents=True, exist_ok=True)
        image = Image.effect_noise((40, 40), 30 + index).convert("RGB")
        image.paste(colour, (index % 8, 4, 30, 36))
        image.save(folder / colour / f"{index}.png")
    return folder


def test_a_run_is_trained_on_from_and_its_lineage_is_told_everywhere(
    drawings: Path, tiny_clip: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {
        "train.epochs": 2, "train.batch_size": 8, "train.checks": 1, "train.learning_rate": 1e-2, "hardware.device": "cpu",
        "hardware.threads": 1, "data.validation": 0.25, "data.test": 0.25, "train.choose_strength": "false",
        "evaluation.folds": 0, "evaluation.parts": "false",
    }  # fmt: skip
    quick = [text for name, value in flags.items() for text in (f"--{name}", value)]
    first = told(capsys, home, "train", drawings, "--name", "First one", "--model", tiny_clip, *quick)["run"]
    second = told(capsys, home, "train", drawings, "--name", "Second", "--base", first, *quick)["run"]

    # run.json
    run = Runs(home).open(second)
    assert run.record.model is not None
    (parent,) = run.record.model.lineage
    assert (parent.run, parent.name, parent.base) == (first, "First one", tiny_clip.name)
    assert str(run.settings.model.name) == "First one"
    # The model is the first run's own: its base with the update added.
    merged = Models(home).info("First one")
    assert lineage_of(Path(merged.path)) == (parent,)
    plain = CLIPModel.from_pretrained(tiny_clip)
    whole = PeftModel.from_pretrained(plain, Runs(home).open(first).path / "adapter").merge_and_unload()
    for name, tensor in CLIPModel.from_pretrained(merged.path).state_dict().items():
        torch.testing.assert_close(tensor, whole.state_dict()[name])
    # The run's page shows what was said while it learned; the list and the report say it too.
    assert any("First one" in getattr(event, "text", "") for event in run.events())
    assert "First one" in told(capsys, home, "runs", "show", second, as_json=False)
    told(capsys, home, "report", second, "--out", tmp_path / "report.html")
    report = (tmp_path / "report.html").read_text("utf-8")
    assert re.search(rf"{tiny_clip.name}.{{1,9}}→.{{1,40}}First one", report)

    # Which base is needed: the merged one, for the adapter; none, for what is merged again.
    models = Models(home)
    drive(export(run, "adapter", tmp_path / "adapter", models, Control(), even_the_base=True))
    card = (tmp_path / "adapter" / "README.md").read_text("utf-8")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == merged.path
    assert f"merged model of steps 1 to 2**, `{merged.path}`" in card
    assert parent.base_fingerprint[:16] in card
    drive(export(run, "merged", tmp_path / "merged", models, Control(), even_the_base=True))
    assert "no other base is needed" in (tmp_path / "merged" / "README.md").read_text("utf-8")
    assert [one.run for one in lineage_of(tmp_path / "merged")] == [first, second]

    # Once merged, the model is taken again; a model beside the run is refused.
    again = told(capsys, home, "train", drawings, "--base", first, *quick)["run"]
    assert str(Runs(home).open(again).settings.model.name) == "First one"
    assert main(["train", str(drawings), "--base", first, "--model", "starter", "--home", str(home)]) == 2

    # What stands on the model and on the run is named before and when they go.
    gone = told(capsys, home, "models", "remove", "First one")
    assert "“Second”" in gone["warning"]
    with pytest.raises(UserError, match="First one"):
        Models(home).resolve("First one")
    gone = told(capsys, home, "runs", "delete", first)
    assert "“Second”" in gone["warning"]
    assert told(capsys, home, "runs", "delete", second)["warning"] == ""
