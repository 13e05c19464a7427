"""Every family embeds as transformers does, learns, resumes bit for bit, searches, and leaves whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from peft import PeftModel
from PIL import Image
from transformers import AutoModel

import family_folders
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import Patches, framing
from clip_atelier.engine.models import Model, Models, adapters, families, family_class, shapes
from clip_atelier.engine.models.device import Device
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import Runs, open_run
from clip_atelier.engine.search import ModelRef, parse_query, search
from clip_atelier.engine.training import Plan, train
from resumed import trained_and_resumed

CPU = settings.HardwareSettings(device="cpu", precision="fp32", threads=1)
FAMILIES = sorted(family_folders.FAMILIES)
SOFT = [family for family in FAMILIES if not family.startswith("siglip")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    place = tmp_path_factory.mktemp("families")

    def folder(family: str) -> Path:
        found = place / family
        return found if found.is_dir() else family_folders.make(family, found)

    return folder


def pictures(clip: Model, count: int = 3) -> torch.Tensor:
    """Noise of several shapes, as the model is shown it."""
    chance = np.random.default_rng(0)
    shapes = [(60, 20), (21, 64), (40, 40)][:count]
    drawn = [Image.fromarray(chance.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]
    return torch.from_numpy(np.stack([framing.fit(one, clip.frame) for one in drawn]))


def naflex(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What transformers calls pixel_values, pixel_attention_mask and spatial_shapes."""
    shapes = pixels[:, 0, :2].long()
    seen = torch.stack(
        [torch.arange(pixels.shape[1] - 1) < rows * columns for rows, columns in shapes.tolist()]
    )
    return pixels[:, 1:], seen.int(), shapes


def librarys_own(folder: Path, pixels: torch.Tensor, ids: torch.Tensor, pad: int) -> tuple[Any, Any]:
    """What transformers computes of normalised pictures and token ids, nothing of this program taking part."""
    net: Any = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        if net.config.model_type == "siglip2":
            images = net.get_image_features(*naflex(pixels)).pooler_output
        else:
            images = net.get_image_features(pixels).pooler_output
        masked = {} if net.config.model_type.startswith("siglip") else {"attention_mask": (ids != pad).long()}
        return images, net.get_text_features(input_ids=ids, **masked).pooler_output


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_are_transformers_own(family: str, folders: Callable[[str], Path], home: Path) -> None:
    clip = Models(home).open(str(folders(family)), CPU)
    assert clip.family == family
    pixels = clip.pixels(pictures(clip))
    ids = clip.tokens(family_folders.TEXTS)
    images, texts = librarys_own(clip.folder, pixels, ids, clip.pad)
    with torch.no_grad():
        torch.testing.assert_close(clip.image(pixels), images, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(clip.text(ids), texts, rtol=1e-5, atol=1e-5)
        for tower in ("vision", "text"):
            assert clip.tower(tower).training is False
        # In pieces, at every cut, and with other texts beside them, they are the same.
        for cut in range(1, clip.last_cut("vision")):
            value = clip.image(pixels, 0, cut)
            assert tuple(value.shape[1:]) == clip.cut_shape(cut)
            torch.testing.assert_close(clip.image(value, cut), images, rtol=1e-5, atol=1e-5)
        for cut in (clip.last_cut("text") - 2, clip.last_cut("text") - 1):
            value = clip.text(ids, cut)
            value = clip.text_from(value, cut) if cut > clip.layers["text"] + 1 else clip.text(ids)
            torch.testing.assert_close(value, texts, rtol=1e-5, atol=1e-5)
        alone = torch.cat([clip.text(clip.tokens([text])) for text in family_folders.TEXTS])
        torch.testing.assert_close(alone, texts, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_optimiser_step_computes_what_is_measured(
    family: str, folders: Callable[[str], Path], home: Path
) -> None:
    clip = Models(home).open(str(folders(family)), CPU)
    chosen = settings.build(
        {"lora.lora_dropout": 0.0, "lora.target_modules": "q_proj,v_proj,visual_projection"}
    )
    adapter = adapters.attach(clip, chosen)
    for name, parameter in adapter.trainable.items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    pixels, ids = clip.pixels(pictures(clip)), clip.tokens(family_folders.TEXTS)
    with torch.no_grad():
        measured = clip.image(pixels), clip.text(ids)
    gradients = []
    for recompute in (False, True):
        clip.recompute = recompute
        for tower in ("vision", "text"):
            clip.tower(tower).train()
        trained = clip.image(pixels), clip.text(ids)
        for now, then in zip(trained, measured, strict=True):
            torch.testing.assert_close(now, then, rtol=1e-4, atol=1e-5)
        sum(value.sin().sum() for value in trained).backward()
        gradients.append([p.grad.clone() for p in adapter.trainable.values() if p.grad is not None])
        for parameter in adapter.trainable.values():
            parameter.grad = None
        for tower in ("vision", "text"):
            clip.tower(tower).eval()
    clip.recompute = False
    assert len(gradients[0]) == len(adapter.trainable)
    for once, twice in zip(*gradients, strict=True):
        torch.testing.assert_close(once, twice, rtol=1e-4, atol=1e-6)


def test_the_page_on_models_says_what_the_code_does(folders: Callable[[str], Path]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text("utf-8")
    told = {}
    for line in page.splitlines():
        if line.startswith("| `") and "model_type" not in line:
            name, _people, loss, trims, onnx, shown = (
                part.strip(" `") for part in line.strip("|").split("|")
            )
            told[name] = (loss, trims, onnx, shown)
    said = {True: "yes", False: "no"}
    for family in FAMILIES:
        known = family_class(folders(family))
        shown = (
            "own shape"
            if isinstance(families.FAMILIES[family].facts_of(folders(family)).frame, Patches)
            else "square"
        )
        assert told.pop(family) == (known.loss, said[known.trims], said[known.exports_onnx], shown)
    assert not told


def test_siglip_reads_texts_as_it_was_trained_to(folders: Callable[[str], Path], home: Path) -> None:
    first, second = (Models(home).open(str(folders(family)), CPU) for family in ("siglip", "siglip2"))
    assert first.tokens(["A  Red, circle!"]).tolist() == first.tokens(["a red circle"]).tolist()
    assert second.tokens(["A RED circle"]).tolist() == second.tokens(["a red circle"]).tolist()
    assert second.tokens(["a red, circle"]).tolist() != second.tokens(["a red circle"]).tolist()
    for clip in (first, second):
        ids = clip.tokens(["a red circle", "a " * 50])
        assert ids.shape == (2, clip.context), "always of full length"
        assert int(ids[0, -1]) == clip.pad


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernel_of_graphics_cards_gives_the_same(
    family: str, folders: Callable[[str], Path], home: Path
) -> None:
    folder = folders(family)
    eager = Models(home).open(str(folder), CPU)
    fused = family_class(folder)(folder, Device(kind="cpu", precision="bf16", attention="sdpa"))
    pixels, ids = eager.pixels(pictures(eager)), eager.tokens(family_folders.TEXTS)
    with torch.no_grad():
        expected = eager.image(pixels), eager.text(ids)
        found = fused.image(pixels), fused.text(ids)
        with fused.device.autocast():
            half = fused.image(pixels), fused.text(ids)
    for whole, same, close in zip(expected, found, half, strict=True):
        torch.testing.assert_close(same, whole, rtol=1e-4, atol=1e-5)
        assert float(torch.nn.functional.cosine_similarity(close.float(), whole).min()) > 0.99


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_means_queries_and_values_of_both_towers(
    family: str, folders: Callable[[str], Path], home: Path
) -> None:
    clip = Models(home).open(str(folders(family)), CPU)
    adapter = adapters.attach(clip, settings.build({}, "attention"))
    adapted = {name.split(".lora_")[0] for name in adapter.trainable}
    assert len(adapted) == 2 * 2 * 2, "two matrices in each of two layers of both towers"
    assert {name.rpartition(".")[2] for name in adapted} <= {"q_proj", "v_proj", "query", "value"}
    assert not any(".head." in name for name in adapted)
    assert adapter.first_stage("vision") == adapter.first_stage("text") == 1


@pytest.mark.parametrize("preset", settings.PRESETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_form_counts_what_is_trained(
    family: str, preset: str, folders: Callable[[str], Path], home: Path
) -> None:
    clip = Models(home).open(str(folders(family)), CPU)
    for more in ({}, {"lora.bias": "all", "train.temperature": "trained"}, {"train.towers": "vision"}):
        chosen = settings.build(more, preset)
        adapter = adapters.attach(clip, chosen)
        assert shapes.readout(clip.folder, chosen).trainable == adapter.parameters
        drawn = shapes.anatomy(clip.folder, chosen)
        assert drawn.layers == clip.layers
        assert len(drawn.targets) == sum(".lora_A." in name for name in adapter.trainable)


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_pieces_and_recomputing(
    family: str,
    folders: Callable[[str], Path],
    home: Path,
    tiny_pairs: Path,
    quick: Callable[..., dict[str, Any]],
) -> None:
    changes = {"model__name": str(folders(family)), "hardware__precision": "bf16", "train__preservation": 1.0}
    more = {"train__chunk_size": 3, "train__gradient_checkpointing": True, "train__temperature": "trained"}
    chosen = settings.build(quick(**changes, **more, train__smoothing=0.2))
    result = drive(train(Plan(tiny_pairs, chosen, home), Models(home), Control()))
    assert result.status == "done"
    assert result.base_untouched


@pytest.mark.parametrize("targets", ["q_proj+v_proj", "visual_projection+v_proj"])
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "clip"])
def test_it_trains_resumes_searches_and_leaves_whole(
    family: str,
    targets: str,
    folders: Callable[[str], Path],
    home: Path,
    tiny_pairs: Path,
    quick: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> None:
    changes = {
        "model__name": str(folders(family)),
        "lora__target_modules": targets,
        "hardware__precision": "fp32",
    }
    chosen = settings.build(quick(**changes, train__epochs=4, train__choose_strength=False))
    models = Models(home)
    straight = trained_and_resumed(tiny_pairs, chosen, home, models)

    found = drive(
        search(tiny_pairs, parse_query("red ring"), ModelRef(run=straight.run), models, Control(), top=5)
    )
    assert len(found.base) == len(found.adapted or ()) == 5

    run = Runs(home).open(straight.run)
    opened = open_run(run, models, 1.0, CPU)
    adapter = opened.adapter
    for name, parameter in adapter.trainable.items():
        if "lora_B" in name:  # as if it had learned much: what is lost on the way out shows
            torch.nn.init.normal_(parameter, std=0.2)
    adapter.save(run.path / "adapter")
    pixels, ids = opened.clip.pixels(pictures(opened.clip)), opened.clip.tokens(family_folders.TEXTS)
    with torch.no_grad():
        expected = opened.clip.image(pixels), opened.clip.text(ids)
        base = librarys_own(folders(family), pixels, ids, opened.clip.pad)
    assert all(float((now - then).abs().max()) > 1e-2 for now, then in zip(expected, base, strict=True))

    drive(export(run, "merged", tmp_path / "merged", models, Control(), even_the_base=True))
    again = Models(home).open(str(tmp_path / "merged"), CPU)
    with torch.no_grad():
        torch.testing.assert_close(again.image(pixels), expected[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(again.text(ids), expected[1], rtol=1e-4, atol=1e-5)
    images, texts = librarys_own(tmp_path / "merged", pixels, ids, again.pad)
    torch.testing.assert_close(texts, expected[1], rtol=1e-4, atol=1e-5)
    matrix = tmp_path / "merged" / "output_matrix.safetensors"
    assert matrix.is_file() == (family.startswith("siglip") and "visual" in targets)
    if not matrix.is_file():
        torch.testing.assert_close(images, expected[0], rtol=1e-4, atol=1e-5)

    drive(export(run, "adapter", tmp_path / "out", models, Control(), even_the_base=True))
    net = PeftModel.from_pretrained(AutoModel.from_pretrained(folders(family)), str(tmp_path / "out")).eval()
    whole = family_class(folders(family))
    beside = tmp_path / "out" / "output_matrix.safetensors"
    assert beside.is_file() == matrix.is_file()
    with torch.no_grad():
        if family.startswith("siglip"):
            inputs = naflex(pixels) if family == "siglip2" else (pixels,)
            images = net.get_image_features(*inputs).pooler_output
            if beside.is_file():  # as the note beside it says
                factors = safetensors.torch.load_file(beside)
                images = images + images @ factors["A"].T @ factors["B"].T
            torch.testing.assert_close(images, expected[0], rtol=1e-4, atol=1e-5)
        mask = (ids != again.pad).long()
        torch.testing.assert_close(whole.text_embeddings(net, ids, mask), expected[1], rtol=1e-4, atol=1e-5)
