from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clip_atelier
import family_folders
from clip_atelier.engine import settings, training
from clip_atelier.engine.core import Control, UserError, WorkError, drive, write_document
from clip_atelier.engine.models import Models, adapters
from clip_atelier.engine.reports import exports, model_card, python_code, tensorboard_log
from clip_atelier.engine.runs import RunFolder, Runs, curves

CONFIGURATIONS = [
    *({"preset": name} for name in settings.PRESETS),
    {"lora.r": 4, "train.towers": "vision"},
    {"lora.target_modules": "q_proj+text_projection", "train.towers": "text", "lora.lora_alpha": 1.5},
    {"lora.bias": "lora_only", "train.temperature": "trained", "train.seed": 3},
    {"train.method": "layernorm", "train.towers": "text"},
    {"train.last_layers": 1, "lora.target_modules": "q_proj+fc2+visual_projection"},
    {"train.layers_to_transform": "0", "lora.target_modules": "q_proj+fc2+visual_projection"},
    {"train.method": "layernorm", "train.layers_to_transform": "1"},
    {"train.last_layers": 1, "train.towers": "text", "lora.use_dora": True},
    {"train.method": "layernorm", "train.last_layers": 1, "train.towers": "vision"},
]


@pytest.mark.parametrize("chosen", CONFIGURATIONS, ids=lambda c: " ".join(f"{k}={v}" for k, v in c.items()))
def test_the_code_of_a_configuration_runs_and_makes_the_same_model(
    chosen: dict[str, Any], tiny_clip: Path, quick: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    values = {"model.name": str(tiny_clip), "hardware.device": "cpu", "hardware.threads": 1, **chosen}
    preset = values.pop("preset", None)
    built = settings.build(values, preset)
    left: dict[str, Any] = {}
    exec(compile(python_code(built, str(tiny_clip)), "code.py", "exec"), left)

    models = Models(tmp_path)
    adapter = adapters.attach(models.open(built.model.name, built.hardware), built)
    ours = adapter.state()
    theirs = {
        n.removeprefix("base_model.model."): p for n, p in left["model"].named_parameters() if p.requires_grad
    }
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.equal(theirs[name].detach()), name
    assert float(left["update_size"](left["model"]).detach()) == pytest.approx(0, abs=1e-9)
    assert left["optimizer"].param_groups[0]["lr"] == built.train.learning_rate


@pytest.mark.parametrize("targets", ["q_proj+v_proj+fc2", "visual_projection+text_projection+k_proj"])
@pytest.mark.parametrize("family", [family for family in family_folders.FAMILIES if family != "clip"])
def test_the_code_of_every_family_makes_the_same_update(family: str, targets: str, tmp_path: Path) -> None:
    folder = family_folders.make(family, tmp_path / family)
    for more in (
        {"train.temperature": "trained", "lora.use_dora": True},
        {"train.temperature": "fixed", "train.towers": "vision", "train.last_layers": 1},
    ):
        chosen = targets if "towers" not in str(more) else targets.replace("text_projection", "out_proj")
        values = {
            "model.name": str(folder),
            "lora.target_modules": chosen,
            "hardware.device": "cpu",
            "hardware.threads": 1,
        }
        built = settings.build(values | more)
        left: dict[str, Any] = {}
        code = python_code(built, str(folder))
        if (
            find_spec("sentencepiece") is None
        ):  # transformers' own SigLIP tokenizer needs it; the program does not
            code = code.replace("\ntokenizer =", "\n#")
        exec(compile(code, "code.py", "exec"), left)
        ours = adapters.attach(Models(tmp_path).open(built.model.name, built.hardware), built).state()
        theirs = {
            n.removeprefix("base_model.model."): p
            for n, p in left["model"].named_parameters()
            if p.requires_grad
        }
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert tensor.equal(theirs[name].detach()), name


@pytest.mark.parametrize("dora", [False, True])
def test_the_codes_update_size_is_the_one_that_training_weighs(
    dora: bool, tiny_clip: Path, quick: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    import torch

    built = settings.build(quick(lora__use_rslora=True, lora__use_dora=dora))
    left: dict[str, Any] = {}
    exec(python_code(built, str(tiny_clip)), left)
    adapter = adapters.attach(Models(tmp_path).open(built.model.name, built.hardware), built)
    theirs = dict(left["model"].base_model.model.named_parameters())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in adapter.trainable.items():
            parameter.normal_(std=0.1, generator=generator)
            theirs[name].copy_(parameter)
    torch.testing.assert_close(left["update_size"](left["model"]), adapter.size())


def test_the_code_of_the_brief_is_what_the_brief_says() -> None:
    code = python_code(settings.build({}, "attention"))
    for line in (
        "r=8,",
        "lora_alpha=16,",
        'target_modules=["q_proj", "v_proj"],',
        "lora_dropout=0.1,",
        'bias="none",',
    ):
        assert f"    {line}\n" in code
    code = python_code(settings.build({}, "projection"))
    for line in ("r=8,", "lora_alpha=32,", 'target_modules=["visual_projection"],', "lora_dropout=0.1,"):
        assert f"    {line}\n" in code


def test_showing_the_code_needs_no_torch() -> None:
    import subprocess
    import sys

    check = (
        "import sys; from clip_atelier.engine import settings; from clip_atelier.engine.reports import python_code; python_code(settings.Settings());"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


# Runs


@pytest.fixture(scope="module")
def trained(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Models]:
    """A finished run on the tiny model whose chosen strength is not the base."""
    from PIL import Image

    folder, home = tmp_path_factory.mktemp("two-colours"), tmp_path_factory.mktemp("home")
    for index in range(24):
        colour = ("red", "blue")[index % 2]
        image = Image.effect_noise((40, 40), 30 + index).convert("RGB")
        image.paste(colour, (index % 8, 4, 30, 36))
        (folder / colour).mkdir(exist_ok=True)
        image.save(folder / colour / f"{index}.png")
    values = {
        "model.name": str(tiny_clip), "train.epochs": 3, "train.batch_size": 8, "train.checks": 1,
        "train.learning_rate": 1e-2, "hardware.device": "cpu", "hardware.threads": 1, "train.choose_strength": False,
        "data.validation": 0.25, "data.test": 0.25,
    }  # fmt: skip
    models = Models(home)
    result = drive(
        training.train(training.Plan(folder, settings.build(values), home), models, Control())
    ).as_json()
    return Runs(home).open(result["run"]), models


def exported(trained: tuple[RunFolder, Models], to: Any, out: Path) -> list[Path]:
    run, models = trained
    return [Path(file) for file in drive(exports.export(run, to, out, models, Control())).as_json()["files"]]


def embeddings(net: Any, size: int = 32) -> Any:
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        pixels = torch.rand(3, 3, size, size, generator=generator)
        ids = torch.tensor([[1, 40, 50, 60, 3], [1, 70, 80, 90, 3]])
        found = (
            net.get_image_features(pixels).pooler_output,
            net.get_text_features(input_ids=ids).pooler_output,
        )
    return torch.cat(found)


def adapted_by_peft(run: RunFolder, tiny_clip: Path, adapter: Path) -> Any:
    import torch
    from peft import PeftModel
    from transformers import CLIPModel

    base = CLIPModel.from_pretrained(tiny_clip, dtype=torch.float32)
    return PeftModel.from_pretrained(base, str(adapter)).eval().base_model.model


def test_an_exported_adapter_is_plain_peft(
    trained: tuple[RunFolder, Models], tiny_clip: Path, tmp_path: Path
) -> None:
    files = exported(trained, "adapter", tmp_path / "adapter")
    assert {file.name for file in files} >= {"adapter_config.json", "adapter_model.safetensors"}
    mine = embeddings(adapted_by_peft(trained[0], tiny_clip, trained[0].path / "adapter"))
    assert embeddings(adapted_by_peft(trained[0], tiny_clip, tmp_path / "adapter")).equal(mine)


def test_a_merged_model_is_a_plain_clip_folder_with_the_same_embeddings(
    trained: tuple[RunFolder, Models], tiny_clip: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoTokenizer, CLIPModel

    out = tmp_path / "새 모델"
    files = exported(trained, "merged", out)
    assert {file.name for file in files} >= {"config.json", "model.safetensors", "tokenizer.json"}
    merged = CLIPModel.from_pretrained(out, dtype=torch.float32).eval()
    expected = embeddings(adapted_by_peft(trained[0], tiny_clip, trained[0].path / "adapter"))
    base = embeddings(CLIPModel.from_pretrained(tiny_clip, dtype=torch.float32).eval())
    torch.testing.assert_close(embeddings(merged), expected, rtol=1e-4, atol=1e-5)
    assert (expected - base).abs().max() > 1e-2
    text = ["a red circle"]
    assert AutoTokenizer.from_pretrained(out)(text) == AutoTokenizer.from_pretrained(tiny_clip)(text)
    # The program itself takes it as a base model.
    assert trained[1].add(out).dim == 24


def test_onnx_gives_the_same_embeddings_or_names_what_is_missing(
    trained: tuple[RunFolder, Models], tiny_clip: Path, tmp_path: Path
) -> None:
    if find_spec("onnxruntime") is None:
        with pytest.raises(WorkError, match="onnx"):
            exported(trained, "onnx", tmp_path / "onnx")
        assert not (tmp_path / "onnx").exists()
        return
    import numpy as np
    import onnxruntime
    import torch

    files = exported(trained, "onnx", tmp_path / "onnx")
    assert {file.name for file in files} >= {"image_encoder.onnx", "text_encoder.onnx", "tokenizer.json"}
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)).numpy()
    ids = np.array([[1, 40, 50, 60, 3], [1, 70, 80, 90, 3]])
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "image_encoder.onnx"))
    images = session.run(None, {"pixel_values": pixels})[0]
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "text_encoder.onnx"))
    texts = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
    expected = embeddings(adapted_by_peft(trained[0], tiny_clip, trained[0].path / "adapter"))
    expected = torch.nn.functional.normalize(expected, dim=-1).numpy()
    np.testing.assert_allclose(np.concatenate([images, texts]), expected, atol=1e-4)


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A drawing that is not square, on paper that is not white, with a part that is transparent."""
    from PIL import Image

    image = Image.effect_noise((90, 38), 80).convert("RGBA")
    image.paste((250, 230, 180, 255), (0, 0, 90, 6))
    image.paste((0, 0, 0, 0), (20, 10, 40, 30))
    image.save(tmp_path / "drawing.png")
    return tmp_path / "drawing.png"


@pytest.mark.parametrize("to", ["adapter", "merged"])
def test_the_code_of_an_exports_card_sees_a_drawing_as_the_program_does(
    to: str, trained: tuple[RunFolder, Models], wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PEFT's AutoPeftModel and transformers' AutoModel open it, told nothing but the folder."""
    import re

    import torch

    run, models = trained
    exported(trained, to, tmp_path / "out")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    assert ("AutoPeftModel.from_pretrained" in code[1]) == (to == "adapter")
    monkeypatch.chdir(wide.parent)
    left: dict[str, Any] = {}
    exec(code[1].replace('FOLDER = "."', f"FOLDER = {str(tmp_path / 'out')!r}"), left)
    theirs = torch.nn.functional.normalize(torch.cat([left["image"], left["text"]])).numpy()
    with clip_atelier.load(str(run.path), home=models.home) as embedder:
        ours = [*embedder.images([wide]), *embedder.texts(["a horse"])]
    with clip_atelier.load(str(run.path), home=models.home, strength=0.0) as embedder:
        base = embedder.images([wide])
    assert theirs == pytest.approx(np.stack(ours), abs=1e-5)
    assert np.abs(theirs[:1] - base).max() > 1e-3


def test_a_card_says_what_was_measured_and_how_it_is_to_be_used(
    trained: tuple[RunFolder, Models], tiny_clip: Path, tmp_path: Path
) -> None:
    result = trained[0].result
    assert result is not None
    exported(trained, "adapter", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert json.loads(card.split("base_model: ")[1].splitlines()[0]) == str(tiny_clip)
    rows = {line.split(" | ")[0].strip("| "): line for line in card.splitlines() if line.startswith("| ")}
    assert set(result.adapted) <= set(rows)
    for name, change in result.difference.items():
        assert (" … " in rows[name]) or change.value is None
    assert "letterboxed" in card
    assert "does not state one" in card
    saved = json.loads((tmp_path / "out" / "adapter_config.json").read_text("utf-8"))
    assert saved["base_model_name_or_path"] == str(tiny_clip)
    assert saved["auto_mapping"]["base_model_class"] == "CLIPModel"


def test_a_card_passes_on_the_licence_of_its_base(tmp_path: Path) -> None:
    (tmp_path / "LICENSE.txt").write_text("For looking only.\n\nMore of it.", encoding="utf-8")
    assert "> For looking only." in model_card._licence(tmp_path)
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# A model", encoding="utf-8")
    assert "`cc-by-4.0`" in model_card._licence(tmp_path)


@pytest.mark.parametrize("to", ["adapter", "merged", "onnx", "open_clip"])
def test_a_run_that_kept_the_base_has_nothing_to_export(
    to: Any, trained: tuple[RunFolder, Models], tmp_path: Path
) -> None:
    import shutil

    run = RunFolder(Path(shutil.copytree(trained[0].path, tmp_path / "run")))
    result = trained[0].result
    assert result is not None
    write_document(run.path / "evaluation.json", result.model_copy(update={"strength": 0.0}))
    with pytest.raises(UserError, match="nothing to export"):
        drive(exports.export(run, to, tmp_path / "out", trained[1], Control()))
    assert not (tmp_path / "out").exists()


def test_embeddings_are_exact_whatever_search_compares_with(
    trained: tuple[RunFolder, Models], tmp_path: Path
) -> None:
    run, models = trained
    files = exported(trained, "embeddings", tmp_path / "out")
    assert [file.name for file in files] == ["adapted.npy", "base.npy", "rows.jsonl"]
    rows = [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_text("utf-8").splitlines()]
    adapted, base = (np.load(tmp_path / "out" / f"{name}.npy") for name in ("adapted", "base"))
    assert adapted.shape == base.shape == (len(rows), 24) == (24, 24)
    assert adapted.dtype == np.float32
    assert np.abs(adapted - base).max() > 1e-3
    row = next(i for i, row in enumerate(rows) if row["file_name"] == "red/0.png")
    file = run.folder / "red" / "0.png"
    assert rows[row]["id"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert rows[row]["text"]
    with clip_atelier.load(str(run.path), home=models.home) as embedder:
        assert adapted[row] == pytest.approx(embedder.images([file])[0], abs=1e-5)


def test_embeddings_as_parquet_or_what_is_missing_is_named(
    trained: tuple[RunFolder, Models], tmp_path: Path
) -> None:
    if find_spec("pyarrow") is None:
        with pytest.raises(WorkError, match="pyarrow"):
            exported(trained, "embeddings", tmp_path / "all.parquet")
        assert not (tmp_path / "all.parquet").exists()
        return
    import pyarrow.parquet

    exported(trained, "embeddings", tmp_path / "all.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet")
    assert table.column_names == ["id", "file_name", "text", "adapted", "base"]
    exported(trained, "embeddings", tmp_path / "plain")
    stored = np.load(tmp_path / "plain" / "adapted.npy")
    np.testing.assert_array_equal(np.array(table["adapted"].to_pylist(), np.float32), stored)


def test_what_open_clip_would_compute_otherwise_is_refused(
    trained: tuple[RunFolder, Models], tmp_path: Path
) -> None:
    """The tiny model's end token is not its highest, at which open_clip reads a text."""
    with pytest.raises(UserError, match="eos_token_id = 3"):
        exported(trained, "open_clip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", exports.TARGETS)
def test_nothing_is_overwritten(trained: tuple[RunFolder, Models], to: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UserError, match="taken"):
        exported(trained, to, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_run_without_an_adapter_says_so(trained: tuple[RunFolder, Models], tmp_path: Path) -> None:
    run = Runs(tmp_path).create("", trained[0].settings, tmp_path)
    with pytest.raises(UserError, match="no adapter"):
        drive(exports.export(run, "merged", tmp_path / "out", trained[1], Control()))


def test_sentence_transformers_opens_its_folder_and_gives_the_merged_models_embeddings(
    trained: tuple[RunFolder, Models], tmp_path: Path
) -> None:
    out = tmp_path / "sentences"
    exported(trained, "sentence_transformers", out)
    modules = json.loads((out / "modules.json").read_text())
    assert [module["path"] for module in modules] == ["0_CLIPModel", "1_Normalize"]
    card = (out / "README.md").read_text()
    assert "SentenceTransformer(FOLDER)" in card
    assert "cuts the rest off" in card
    import torch
    from PIL import Image
    from sentence_transformers import SentenceTransformer
    from transformers import CLIPModel, CLIPProcessor

    drawing = Image.effect_noise((90, 50), 40).convert("RGB")
    drawing.paste("red", (5, 8, 60, 40))
    opened = SentenceTransformer(str(out), device="cpu", local_files_only=True)
    found = [opened.encode([drawing])[0], opened.encode(["a red thing"])[0]]
    exported(trained, "merged", tmp_path / "merged")
    merged = CLIPModel.from_pretrained(tmp_path / "merged").eval()
    processor = CLIPProcessor.from_pretrained(out / "0_CLIPModel")
    with torch.no_grad():
        image = merged.get_image_features(**processor(images=[drawing], return_tensors="pt"))
        text = merged.get_text_features(**processor(text=["a red thing"], return_tensors="pt"))
    for ours, theirs in zip(found, (image, text), strict=True):
        expected = torch.nn.functional.normalize(getattr(theirs, "pooler_output", theirs), dim=-1)[0]
        assert ours == pytest.approx(expected.numpy(), abs=1e-5)


def test_a_csv_file_holds_the_losses_and_metrics_that_were_recorded(
    trained: tuple[RunFolder, Models], tmp_path: Path
) -> None:
    import csv

    out = tmp_path / "losses.csv"
    assert exported(trained, "csv", out) == [out]
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    points = curves(trained[0]).points
    assert [int(row["step"]) for row in rows] == [point.step for point in points]
    for row, point in zip(rows, points, strict=True):
        assert row["loss"] == ("" if point.loss is None else str(point.loss))
        assert row["validation_loss"] == ("" if point.validation_loss is None else str(point.validation_loss))
        for name, value in point.metrics.items():
            assert row[name] == ("" if value is None else str(value))
    assert sum(row["loss"] != "" for row in rows) > 3
    assert rows[-1]["text_to_image/R@1"]
    curves(trained[0]).write(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == out.read_bytes()
    for name in ("losses.md", "losses"):
        with pytest.raises(UserError, match=r"\.csv"):
            exported(trained, "csv", tmp_path / name)
    new = Runs(trained[1].home).create("", trained[0].settings, tmp_path)
    with pytest.raises(UserError, match="recorded no step"):
        exported((new, trained[1]), "csv", tmp_path / "none.csv")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.csv", "losses.csv"]


def test_tensorboard_reads_the_course_of_a_run_or_the_package_is_named(
    trained: tuple[RunFolder, Models], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "log"
    with monkeypatch.context() as without:
        without.setattr(tensorboard_log, "find_spec", lambda _name: None)
        with pytest.raises(WorkError, match="pip install tensorboard"):
            exported(trained, "tensorboard", out)
    assert not out.exists()
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    exported(trained, "tensorboard", out)
    log = EventAccumulator(str(out)).Reload()
    points = curves(trained[0]).points
    told = {point.step: point.loss for point in points if point.loss is not None}
    assert {e.step: pytest.approx(e.value, rel=1e-5) for e in log.Scalars("loss/training")} == told
    assert any(name.endswith("R@1") for name in log.Tags()["scalars"])


def test_embeddings_as_a_lancedb_database_are_found_by_it_or_what_is_missing_is_named(
    trained: tuple[RunFolder, Models], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("lancedb") is None:
        with pytest.raises(WorkError, match="lancedb"):
            exported(trained, "embeddings", tmp_path / "all.lancedb")
        assert not (tmp_path / "all.lancedb").exists()
        return
    import lancedb

    monkeypatch.setattr("clip_atelier.engine.search.vector_files._BATCH", 10)  # so that there are several
    exported(trained, "embeddings", tmp_path / "all.lancedb")
    exported(trained, "embeddings", tmp_path / "plain")
    rows = [json.loads(line) for line in (tmp_path / "plain" / "rows.jsonl").read_text("utf-8").splitlines()]
    table = lancedb.connect(str(tmp_path / "all.lancedb")).open_table("drawings")
    assert table.count_rows() == len(rows) == 24
    for side in ("adapted", "base"):
        vectors = np.load(tmp_path / "plain" / f"{side}.npy")
        for asked in (0, 13):
            search = table.search(vectors[asked], vector_column_name=side).distance_type("cosine").limit(5)
            found = search.to_list()
            wanted = np.argsort(-(vectors @ vectors[asked]), kind="stable")[:5]
            near = 1 - (vectors @ vectors[asked])[wanted]
            assert [row["_distance"] for row in found] == pytest.approx(near.tolist(), abs=1e-5)
            assert {
                "id": found[0]["id"],
                "file_name": found[0]["file_name"],
                "text": found[0]["text"],
            } in rows
