"""Adapters that were made elsewhere open as runs of their own, with PEFT's own embeddings, or are refused by name."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from peft import AutoPeftModel, LoraConfig, PeftModel, get_peft_model
from peft.utils.warning import PeftWarning
from transformers import AutoModel

import family_folders
from clip_atelier.cli.main import main
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, UserError, drive
from clip_atelier.engine.models import Model, Models, adapters
from clip_atelier.engine.parts import run_evaluation
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import Runs, add_adapter, open_run
from clip_atelier.engine.search import ModelRef, parse_query, search
from clip_atelier.engine.training import resume

CPU = settings.HardwareSettings(device="cpu", precision="fp32", threads=1)
Q_V = ["q_proj", "v_proj"]
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("clip", {"target_modules": Q_V}),
    "pattern": ("clip", {"target_modules": r"vision_model\..*\.(q_proj|fc1)|text_projection", "rank_pattern": {"fc1": 3}}),
    "one layer": ("clip", {"target_modules": Q_V, "layers_to_transform": [1], "layers_pattern": "layers"}),
    "dora": ("clip", {"target_modules": Q_V, "use_dora": True}),
    "rslora": ("clip", {"target_modules": ["visual_projection", "k_proj"], "use_rslora": True, "alpha_pattern": {"k_proj": 9}}),
    "projections": ("clip", {"target_modules": Q_V, "modules_to_save": ["visual_projection", "text_projection"]}),
    "biases": ("clip", {"target_modules": Q_V, "bias": "all"}),
    "with biases": ("clip", {"target_modules": ["fc1"], "lora_bias": True}),
    "siglip": ("siglip", {"target_modules": [f"vision_model.encoder.layers.{n}.mlp.fc2" for n in (0, 1)]}),
    "siglip's words": ("siglip", {"target_modules": r".*\.self_attn\.v_proj|text_model\.head"}),
    "chinese": ("chinese_clip", {"target_modules": ["query", "value", "q_proj"]}),
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("bases")
    return {name: family_folders.make(name, place / name) for name in ("clip", "siglip", "chinese_clip")}


def made(base: Path, out: Path, **config: Any) -> Path:
    """An adapter as others make it with PEFT."""
    torch.manual_seed(0)
    net = get_peft_model(AutoModel.from_pretrained(base), LoraConfig(r=4, lora_alpha=8, **config))
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.data.add_(0.15 * torch.randn_like(parameter))
    with warnings.catch_warnings():
        # PEFT takes a bias, which has one dimension, for a matrix that was cut up; the file is whole.
        warnings.filterwarnings("ignore", message=r"Adapter 'default': \d+ LoRA tensor", category=PeftWarning)
        net.save_pretrained(out)
    return out


def embeddings(clip: Model) -> torch.Tensor:
    pixels = clip.pixels(torch.arange(3 * 32 * 32 * 3).view(3, 32, 32, 3).to(torch.uint8))
    with torch.no_grad():
        return torch.cat([clip.image(pixels), clip.text(clip.tokens(family_folders.TEXTS))])


def pefts_own(clip: Model, base: Path, adapter: Path) -> torch.Tensor:
    net: Any = PeftModel.from_pretrained(AutoModel.from_pretrained(base), str(adapter)).eval()
    pixels = clip.pixels(torch.arange(3 * 32 * 32 * 3).view(3, 32, 32, 3).to(torch.uint8))
    ids = clip.tokens(family_folders.TEXTS)
    masked = {} if clip.family == "siglip" else {"attention_mask": (ids != clip.pad).long()}
    with torch.no_grad():
        texts = net.get_text_features(input_ids=ids, **masked).pooler_output
        return torch.cat([net.get_image_features(pixels).pooler_output, texts])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_peft_makes_of_it(kind: str, folders: dict[str, Path], home: Path, tmp_path: Path) -> None:
    family, config = KINDS[kind]
    source = made(folders[family], tmp_path / "theirs", **config)
    models = Models(home)
    base = embeddings(models.open(str(folders[family]), CPU))
    run = add_adapter(source, str(folders[family]), home, models)
    assert (run.name, run.status, run.record.foreign) == ("theirs", "done", True)
    opened = open_run(run, models, hardware=CPU)
    whole = embeddings(opened.clip)
    torch.testing.assert_close(whole, pefts_own(opened.clip, folders[family], source), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(whole, base, atol=1e-2)
    with opened.adapter.at(0.0):
        assert torch.equal(embeddings(opened.clip), base), "bit for bit the base"
    opened.adapter.set_adapter_scale(0.5)
    half = embeddings(opened.clip)
    assert not torch.allclose(half, whole, atol=1e-3)
    assert not torch.allclose(half, base, atol=1e-3)
    opened.adapter.set_adapter_scale(1.0)
    torch.testing.assert_close(embeddings(opened.clip), whole)
    adapters.detach(opened.clip)
    assert torch.equal(embeddings(opened.clip), base)
    drive(export(run, "merged", tmp_path / "merged", models, Control()))
    merged = embeddings(Models(home).open(str(tmp_path / "merged"), CPU))
    torch.testing.assert_close(merged, whole, rtol=1e-4, atol=1e-5)


def test_it_is_searched_with_measured_and_checked_and_not_trained_on(
    folders: dict[str, Path],
    home: Path,
    tiny_pairs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = made(folders["clip"], tmp_path / "theirs", target_modules=[*Q_V, "visual_projection"])
    asked = ["adapters", "add", str(source), "--model", str(folders["clip"]), "--name", "From afar"]
    assert main([*asked, "--json", "--home", str(home)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["settings"]["lora.target_modules"] == ["q_proj", "v_proj", "visual_projection"]
    assert said["settings"]["lora.r"] == 4
    assert said["trainable_parameters"] > 0
    models = Models(home)
    found = drive(
        search(tiny_pairs, parse_query("red ring"), ModelRef(run=said["run"]), models, Control(), top=5)
    )
    assert len(found.base) == len(found.adapted or ()) == 5
    measured = drive(run_evaluation.evaluate(home, "From afar", tiny_pairs, models, Control(), strength=1.0))
    assert measured.base != measured.adapted
    with pytest.raises(UserError, match="made elsewhere"):
        drive(resume(home, said["run"], models, Control()))
    assert main(["verify", "--json", "--home", str(home)]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    assert main(["runs", "--json", "--home", str(home)]) == 0
    assert [run["status"] for run in json.loads(capsys.readouterr().out)] == ["done"]


@pytest.mark.parametrize("family", ["clip", "chinese_clip"])
def test_an_adapter_made_here_says_what_it_was_made_for(
    family: str, folders: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    models = Models(home)
    clip = models.open(str(folders[family]), CPU)
    adapter = adapters.attach(clip, settings.build({}, "attention"))
    with torch.no_grad():
        for parameter in adapter.trainable.values():
            parameter.add_(0.1)
    adapter.save(tmp_path / "ours")
    whole = embeddings(clip)
    net = AutoPeftModel.from_pretrained(str(tmp_path / "ours")).eval()
    assert type(net.base_model.model) is type(AutoModel.from_pretrained(folders[family]))
    with torch.no_grad():
        pixels = clip.pixels(torch.arange(3 * 32 * 32 * 3).view(3, 32, 32, 3).to(torch.uint8))
        images = net.get_image_features(pixels).pooler_output
    torch.testing.assert_close(images, whole[:3], rtol=1e-4, atol=1e-5)

    run = add_adapter(tmp_path / "ours", str(folders[family]), home, models)
    torch.testing.assert_close(
        embeddings(open_run(run, models, hardware=CPU).clip), whole, rtol=1e-5, atol=1e-5
    )
    other = family_folders.make(family, tmp_path / "other")
    tensors = safetensors.torch.load_file(other / "model.safetensors")
    tensors["logit_scale"] += 1
    safetensors.torch.save_file(tensors, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=f"made for “.*{family}"):
        add_adapter(tmp_path / "ours", str(other), home, models)


def change(folder: Path, **values: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def poison(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(file)
    edit(tensors)
    safetensors.torch.save_file(tensors, file)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickled": (lambda f: (f / "adapter_model.safetensors").rename(f / "adapter_model.bin"), "pickle"),
    "cut short": (lambda f: (f / "adapter_model.safetensors").write_bytes(b"12345678"), "safetensors"),
    "another type": (lambda f: change(f, peft_type="LOHA"), "LOHA"),
    "rewrites the base": (lambda f: change(f, init_lora_weights="pissa"), "pissa"),
    "no pattern": (lambda f: change(f, target_modules="("), "cannot be opened"),
    "nothing targeted": (lambda f: change(f, target_modules=[]), "target_modules"),
    "targets that match nothing": (lambda f: change(f, target_modules=["nowhere"]), "nowhere"),
    "doubled layers": (lambda f: change(f, layer_replication=[[0, 1]]), "layer_replication"),
    "a replaced tower": (lambda f: change(f, modules_to_save=["text_model"]), "text_model"),
    "another rank": (lambda f: change(f, r=2), "shape"),
    "a weight too few": (lambda f: poison(f, lambda t: t.pop(sorted(t)[0])), "fits nothing"),
    "a weight too many": (lambda f: poison(f, lambda t: t.update({"base_model.model.x.lora_A.weight": torch.ones(2, 2)})), "x.lora_A"),
    "no numbers": (lambda f: poison(f, lambda t: t[sorted(t)[0]].fill_(torch.nan)), "no numbers"),
    "a matrix beside it": (lambda f: (f / "output_matrix.safetensors").write_bytes(b""), "output_matrix"),
    "no configuration": (lambda f: (f / "adapter_config.json").unlink(), "adapter_config.json"),
}  # fmt: skip


@pytest.fixture(scope="module")
def plain(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(folders["clip"], tmp_path_factory.mktemp("plain") / "theirs", target_modules=Q_V)


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_right_is_refused_by_name(
    what: str, plain: Path, folders: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(plain, tmp_path / "theirs"))
    spoil, said = BAD[what]
    spoil(source)
    models = Models(home)
    base = embeddings(models.open(str(folders["clip"]), CPU))
    with pytest.raises(UserError, match=said) as caught:
        add_adapter(source, str(folders["clip"]), home, models)
    assert caught.value.hint
    assert Runs(home).list() == []
    assert torch.equal(embeddings(models.open(str(folders["clip"]), CPU)), base), "the model is as it was"


def test_an_adapter_of_another_model(plain: Path, folders: dict[str, Path], home: Path) -> None:
    with pytest.raises(UserError, match="made for"):
        add_adapter(plain, str(folders["chinese_clip"]), home, Models(home))


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("targets", "fits"),
    [
        (r".*\.(q_proj|v_proj)", True), (r"(?:.*?(?:vision|text).*?(?:self_attn|mlp).*?(?:q_proj|v_proj).*?)", True),
        (r"(\w+)+!", False), (r"((a|b*)*)*c", False), (r".*.*.*.*.*.*.*.*x", False), (r"(([a-z]+\.?)*)!", False),
        ("(" * 500, False), ("(a{60000}){60000}", False),
    ],
)  # fmt: skip
def test_a_regular_expression_that_could_match_for_ever_is_refused_at_once(
    tmp_path: Path, targets: str, fits: bool
) -> None:
    import json
    import time

    import safetensors.torch
    import torch

    from clip_atelier.engine.models import foreign_adapters

    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 4, "target_modules": targets})
    )
    began = time.monotonic()
    if fits:
        foreign_adapters.described(tmp_path)
    else:
        with pytest.raises(UserError, match="cannot be opened"):
            foreign_adapters.described(tmp_path)
    assert time.monotonic() - began < 1
