"""The exported Python file repeats a run: same batches, dropout, start, losses and steps, without this program."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import family_folders
from clip_atelier.engine import settings, training
from clip_atelier.engine.core import Control, Notice, Step, UserError, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import RunFolder, Runs

STEPS = 10
Trained = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """One home for all runs: what stays frozen is computed once."""
    return Models(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of drawings of many kinds, none square, most with several captions, some spelled in two ways."""
    root = tmp_path_factory.mktemp("drawings")
    lines = []
    for n in range(16):
        name = ("red circle", "blue box", "green line", "black ring")[n % 4]
        for role in ("sketch", "artwork"):
            image = Image.new("RGB", (60 + 3 * n, 44), (255, 250 - n, 240))
            pen = ImageDraw.Draw(image)
            pen.ellipse(
                (4 + n, 4, 30 + 2 * n, 38),
                fill=name.split()[0] if role == "artwork" else None,
                outline="black",
            )
            file = f"{role}-{n:02}.png"
            if n % 4 == 1 and role == "sketch":  # black ink on transparency
                ink = image.convert("L").point(lambda value: 255 - value)
                image = Image.new("RGBA", image.size, "black")
                image.putalpha(ink)
            if n == 2 and role == "sketch":  # white ink, which Pillow's own conversion lets vanish
                ink = image.convert("L").point(lambda value: 255 if value < 200 else 0)
                image = Image.new("RGBA", image.size, "white")
                image.putalpha(ink)
            if n == 3:
                image = image.quantize(8)
            if n == 4:  # a photograph lying on its side
                file = f"{role}-{n:02}.jpg"
                exif = Image.Exif()
                exif[0x0112] = 6
                image.save(root / file, exif=exif)
            else:
                image.save(root / file)
            words = [f"a {name}", f"{name} {n % 3}", f"A  {name.title()}"][: 1 + n % 3]
            lines.append(json.dumps({"file_name": file, "text": words, "pair": str(n), "role": role}))
    (root / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return root


@pytest.fixture
def trained(tiny_clip: Path, models: Models, folder: Path) -> Trained:
    """Trains in fp32 for some steps."""

    def train(preset: str | None = None, drawings: Path = folder, **changes: Any) -> RunFolder:
        values: dict[str, Any] = {
            "model.name": str(tiny_clip), "hardware.device": "cpu", "hardware.threads": 1, "hardware.precision": "fp32",
            "hardware.own_process": False, "train.steps": STEPS, "train.batch_size": 8, "train.checks": 2,
            "evaluation.folds": 0,
        }  # fmt: skip
        values |= {name.replace("__", "."): value for name, value in changes.items()}
        plan = training.Plan(drawings, settings.build(values, preset), models.home)
        return Runs(models.home).open(drive(training.train(plan, models, Control())).run)

    return train


def written(run: RunFolder, models: Models, out: Path) -> tuple[list[Path], list[str]]:
    """The files of the exported code, and what was said of it."""
    said: list[str] = []
    work = export(run, "code", out, models, Control())
    files = drive(work, lambda event: said.append(event.text) if isinstance(event, Notice) else None).files
    return [Path(file) for file in files], said


def losses(run: RunFolder) -> list[float]:
    """Those that the run recorded, one a step."""
    return [event.loss or np.nan for event in run.events() if isinstance(event, Step)]


def assert_repeats(run: RunFolder, models: Models, out: Path) -> None:
    """The exported file, run, reaches the run's losses."""
    written(run, models, out)
    assert "clip_atelier" not in out.read_text("utf-8")
    left = runpy.run_path(str(out))
    recorded = losses(run)
    assert len(recorded) == STEPS
    assert np.ptp(recorded) > 1e-3  # something was learned
    np.testing.assert_allclose(left["losses"], recorded, rtol=0, atol=1e-5)
    assert len(left["differences"]) == STEPS
    assert max(left["differences"]) <= 1e-5


@pytest.mark.parametrize("preset", ["attention", "projection"])
def test_the_code_of_a_preset_reaches_the_losses_of_the_run(
    preset: str, trained: Trained, models: Models, tmp_path: Path
) -> None:
    run = trained(preset)
    chosen = run.settings
    assert (chosen.lora.lora_dropout, chosen.train.smoothing, chosen.train.preservation) == (0.1, 0.2, 10.0)
    assert_repeats(run, models, tmp_path / "again.py")


@pytest.mark.parametrize(
    "changes",
    [
        # Learned from pairs at their start, with rows of trained lengths, and an unusual end of the towers.
        {"lora__target_modules": "q_proj+v_proj+visual_projection+text_projection", "lora__use_dora": True},
        {"train__method": "layernorm", "train__temperature": "trained", "train__size_penalty": 0.1, "train__schedule": "linear"},
        {
            "lora__bias": "all", "lora__use_rslora": True, "train__towers": "vision", "train__size_penalty": 0.1,
            "train__temperature": "trained", "train__schedule": "constant", "train__max_grad_norm": 0.0,
        },
        {"data__views": 3, "data__flip": True, "train__temperature": "fixed", "lora__target_modules": "out_proj+fc1"},
        {"data__image_fit": "crop", "data__views": 2, "train__last_layers": 1, "train__text_weight": 0.0},
        {"data__image_fit": "squash", "train__towers": "text", "train__smoothing": 0.3, "train__pair_weight": 0.0},
    ],
    ids=["ends", "layernorm", "biases", "views", "pairs alone", "words alone"],
)  # fmt: skip
def test_the_code_of_other_settings_reaches_their_losses(
    changes: dict[str, Any], trained: Trained, models: Models, tmp_path: Path
) -> None:
    values = {"lora__lora_dropout": 0.2, "train__learning_rate": 3e-3} | changes
    assert_repeats(trained(**values), models, tmp_path / "again.py")


def test_kohyas_repeats_are_repeated(trained: Trained, models: Models, folder: Path, tmp_path: Path) -> None:
    for number, file in enumerate(sorted(folder.glob("artwork*"))):
        place = tmp_path / "set" / ("6_red cat" if number % 2 else "2_blue dog")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
        (place / f"{file.stem}.txt").write_text(f"thing {number}", encoding="utf-8")
    run = trained(drawings=tmp_path / "set", train__learning_rate=3e-3)
    assert_repeats(run, models, tmp_path / "again.py")
    drawings = json.loads((tmp_path / "again.json").read_text("utf-8"))["drawings"]
    assert {one.get("times", 1) for one in drawings} == {3, 1}


def test_epochs_and_an_early_end_are_repeated(trained: Trained, models: Models, tmp_path: Path) -> None:
    run = trained(
        train__steps=0, train__epochs=20, train__patience=1, train__checks=20, train__learning_rate=1e-6
    )
    recorded = losses(run)
    written(run, models, tmp_path / "again.py")
    left = runpy.run_path(str(tmp_path / "again.py"))
    assert len(left["losses"]) == len(recorded) < left["TOTAL"]
    assert max(left["differences"]) <= 1e-5


def test_a_run_measured_by_folds_is_repeated_on_every_drawing(
    trained: Trained, models: Models, tmp_path: Path
) -> None:
    run = trained(
        evaluation__folds=2, train__initialization="captions", lora__target_modules="visual_projection",
        train__learning_rate=3e-3,
    )  # fmt: skip
    assert_repeats(run, models, tmp_path / "again.py")
    assert len(json.loads((tmp_path / "again.json").read_text("utf-8"))["drawings"]) == 32


def test_a_run_that_left_its_update_out_says_so(trained: Trained, models: Models, tmp_path: Path) -> None:
    run = trained(evaluation__folds=2, train__learning_rate=1e-9)
    assert not losses(run)
    (code, *_rest), said = written(run, models, tmp_path / "again.py")
    assert "no losses to compare with" in said[0]
    left = runpy.run_path(str(code))
    assert (len(left["losses"]), left["differences"]) == (STEPS, [])


def test_only_drawings_that_pillow_reads_otherwise_are_copied(
    trained: Trained, models: Models, folder: Path, tmp_path: Path
) -> None:
    run = trained(data__validation=0.02, data__test=0.0)
    (code, table, *copies), said = written(run, models, tmp_path / "again.py")
    assert not said
    files = [drawing["file"] for drawing in json.loads(table.read_text("utf-8"))["drawings"]]
    inside = [file for file in files if file.startswith("again-drawings/")]
    assert [tmp_path / file for file in inside] == copies
    assert all(Path(file).parent == folder for file in files if file not in inside)
    assert len(copies) <= 1  # the drawing in white ink, unless it is kept aside
    compile(code.read_text("utf-8"), "again.py", "exec")


def test_nothing_is_overwritten(trained: Trained, models: Models, tmp_path: Path) -> None:
    (tmp_path / "again.json").write_text("mine")
    with pytest.raises(UserError, match=r"again\.json"):
        written(trained(), models, tmp_path / "again.py")
    assert [file.name for file in tmp_path.iterdir()] == ["again.json"]


def test_what_the_file_does_otherwise_is_said_in_it_and_when_it_is_written(
    trained: Trained, models: Models, folder: Path, tmp_path: Path
) -> None:
    run = trained(train__chunk_size=4, lora__lora_dropout=0.2, hardware__precision="bf16")
    table = folder / "metadata.jsonl"
    before = table.read_text("utf-8")
    table.write_text(before.replace("a red circle", "a round thing"), encoding="utf-8")
    try:
        (code, *_rest), said = written(run, models, tmp_path / "again.py")
    finally:
        table.write_text(before, encoding="utf-8")
    assert len(said) == 3
    for text, word in zip(
        said, ("collection has changed", "not computed in fp32", "chunk by chunk"), strict=True
    ):
        assert word in text
        assert text in code.read_text("utf-8").split('"""')[1]


def test_other_families_get_the_code_of_their_model(models: Models, tmp_path: Path, trained: Trained) -> None:
    model = family_folders.make("siglip", tmp_path / "siglip")
    run = trained(model__name=str(model), train__steps=2)
    (code,), said = written(run, models, tmp_path / "again.py")
    assert "does not train" in said[0]
    assert "does not train" in code.read_text("utf-8").splitlines()[0]
