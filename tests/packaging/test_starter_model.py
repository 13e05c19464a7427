"""The starter model as it is shipped: loads without the network, is small, bilingual, licensed, and knows its drawings."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

RESOURCES = Path(__file__).resolve().parents[2] / "resources"
STARTER = RESOURCES / "models" / "starter"
PROBE = RESOURCES / "control-set"
SKETCHES = RESOURCES / "samples" / "emoji" / "sketches"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def starter() -> tuple[Any, Any]:
    """Model and processor, loaded as a user of transformers would."""
    from transformers import CLIPModel, CLIPProcessor

    return CLIPModel.from_pretrained(STARTER).eval(), CLIPProcessor.from_pretrained(STARTER)


def embed_texts(starter: tuple[Any, Any], texts: list[str]) -> Any:
    import torch

    model, processor = starter
    with torch.inference_mode():
        vectors = model.get_text_features(
            **processor(text=texts, padding=True, return_tensors="pt")
        ).pooler_output
    return torch.nn.functional.normalize(vectors, dim=-1)


def embed_images(starter: tuple[Any, Any], paths: list[Path]) -> Any:
    import torch

    model, processor = starter
    images = []
    for path in paths:
        with Image.open(path) as image:
            pixels = image.convert("RGBA")
        paper = Image.new("RGBA", pixels.size, "white")
        images.append(Image.alpha_composite(paper, pixels).convert("RGB"))
    with torch.inference_mode():
        vectors = model.get_image_features(**processor(images=images, return_tensors="pt")).pooler_output
    return torch.nn.functional.normalize(vectors, dim=-1)


def test_it_is_small_and_carries_its_report_and_credits() -> None:
    assert sum(path.stat().st_size for path in STARTER.iterdir()) <= 30 * MEGABYTE
    for name in ("LICENSE.txt", "REPORT.md", "DATA_LICENCES.md"):
        assert (STARTER / name).stat().st_size > 200, name
    credit = (STARTER / "DATA_LICENCES.md").read_text(encoding="utf-8")
    for kept_out in ("game-icons", "openmoji", "guidance", "fluent-emoji", "streamline"):
        assert f"`{kept_out}" not in credit
    for forbidden in ("GPL", "-NC-", "-SA-"):
        assert forbidden not in credit


def test_it_loads_complete_and_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    import torch
    from transformers import CLIPModel

    model, loading = CLIPModel.from_pretrained(STARTER, output_loading_info=True)
    assert not any(loading.values()), loading
    assert not caplog.records
    assert model.dtype == torch.float32
    assert all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


def test_text_is_pooled_at_its_own_end_token() -> None:
    """transformers pools by another rule where the configured end token is number 2."""
    from transformers import AutoTokenizer

    settings = json.loads((STARTER / "config.json").read_text(encoding="utf-8"))["text_config"]
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    assert settings["eos_token_id"] == tokenizer.eos_token_id != 2
    assert settings["pad_token_id"] == tokenizer.pad_token_id
    assert len(tokenizer) == settings["vocab_size"]
    tokens = tokenizer(["cat", "고양이", "a very long caption " * 30], truncation=True)["input_ids"]
    assert [row.count(tokenizer.eos_token_id) for row in tokens] == [1, 1, 1]
    assert [row[-1] for row in tokens] == [tokenizer.eos_token_id] * 3
    assert len(tokens[2]) == settings["max_position_embeddings"] == tokenizer.model_max_length


def test_padding_does_not_change_a_text(starter: tuple[Any, Any]) -> None:
    import torch

    alone = embed_texts(starter, ["cat"])
    beside = embed_texts(starter, ["cat", "a drawing of a house beside a tree"])[:1]
    assert torch.allclose(alone, beside, atol=1e-5)


def test_decomposed_korean_and_capitals_mean_the_same(starter: tuple[Any, Any]) -> None:
    import unicodedata

    import torch

    vectors = embed_texts(starter, ["고양이", unicodedata.normalize("NFD", "고양이"), "Cat", "cat"])
    assert torch.equal(vectors[0], vectors[1])
    assert torch.equal(vectors[2], vectors[3])


@pytest.mark.parametrize("language", ["en", "ko"])
def test_it_finds_line_drawings_it_was_never_shown(starter: tuple[Any, Any], language: str) -> None:
    """All sketches of the sample are of a kept-out style; chance is 10 in 1,113."""
    import torch

    with (RESOURCES / "samples" / "emoji" / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file_name"].startswith("sketches/")]
    images = embed_images(starter, [SKETCHES.parent / row["file_name"] for row in rows])
    captions = [json.loads(row["text"])[0 if language == "en" else 1] for row in rows]
    similarity = embed_texts(starter, captions) @ images.T
    ranks = (similarity > similarity.diagonal()[:, None]).sum(1)
    found = (ranks < 10).float().mean().item()
    assert len(rows) == 1113
    assert found > {"en": 0.30, "ko": 0.15}[language]
    assert torch.isfinite(similarity).all()


def test_the_probe_is_small_credited_and_known_better_than_by_chance(starter: tuple[Any, Any]) -> None:
    with (PROBE / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["file_name"] for row in rows]
    captions = [row["text"] for row in rows]
    assert sorted(names) == sorted(path.name for path in PROBE.glob("*.png"))
    assert len(rows) == len(set(captions)) == 300
    assert sum(path.stat().st_size for path in PROBE.iterdir()) <= 2 * MEGABYTE
    credit = (PROBE / "CREDITS.md").read_text(encoding="utf-8")
    for name in names:
        assert any(f"`{prefix}`" in credit for prefix in _prefixes(name)), name
    similarity = embed_texts(starter, captions) @ embed_images(starter, [PROBE / name for name in names]).T
    ranks = (similarity > similarity.diagonal()[:, None]).sum(1)
    assert (ranks < 10).float().mean().item() > 4 * 10 / 300


def _prefixes(name: str) -> list[str]:
    """All leading parts of a hyphenated name: the set a drawing comes from is one of them."""
    parts = name.split("-")
    return ["-".join(parts[:length]) for length in range(1, len(parts))]
