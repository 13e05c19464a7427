"""The staged towers compute what transformers' CLIPModel computes, from every cut."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import CLIPModel

from clip_atelier.engine.core import UserError
from clip_atelier.engine.models import Models, weights
from clip_atelier.engine.settings import HardwareSettings

CPU = HardwareSettings(device="cpu", precision="fp32", threads=1)


def test_stages_equal_transformers(tiny_clip: Path, home: Path) -> None:
    clip = Models(home).open(str(tiny_clip), CPU)
    plain = CLIPModel.from_pretrained(tiny_clip, attn_implementation="eager").eval()
    pictures = torch.randint(
        0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    pixels = clip.pixels(pictures)
    texts = [
        "a red circle",
        "ring",
        "a drawing of a very long caption that does not fit into sixteen tokens at all",
    ]
    with torch.no_grad():
        images = plain.get_image_features(pixel_values=pixels).pooler_output
        assert torch.equal(clip.image(pixels), images)
        for cut in range(clip.last_cut("vision")):
            assert torch.equal(clip.image(clip.image(pixels, 0, cut), cut), images), cut
        padded = clip.tokenizer(
            texts, padding="max_length", truncation=True, max_length=clip.context, return_tensors="pt"
        )
        theirs = plain.get_text_features(**padded).pooler_output
        ours = clip.text(clip.tokens(texts))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(
            clip.text_from(clip.text(clip.tokens(texts), clip.last_cut("text") - 1), 4),
            theirs,
            rtol=1e-5,
            atol=1e-5,
        )


def test_trimming_the_text_is_exact(tiny_clip: Path, home: Path) -> None:
    clip = Models(home).open(str(tiny_clip), CPU)
    with torch.no_grad():
        together = clip.text(clip.tokens(["ring", "a blue triangle and more"]))
        alone = clip.text(clip.tokens(["ring"]))
    torch.testing.assert_close(together[:1], alone, rtol=1e-5, atol=1e-5)


def test_a_cut_weight_file_is_refused_by_name(tiny_clip: Path, tmp_path: Path) -> None:
    whole = (tiny_clip / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-10])
    with pytest.raises(UserError, match="model.safetensors"):
        weights.weight_files(tmp_path)


def test_unknown_models_are_named_with_what_is_there(home: Path) -> None:
    with pytest.raises(UserError, match="nonesuch") as caught:
        Models(home).resolve("nonesuch")
    assert caught.value.setting == "model.name"


def test_added_models_are_listed_and_pickles_refused(tiny_clip: Path, home: Path, tmp_path: Path) -> None:
    models = Models(home)
    models.add(tiny_clip)
    assert models.resolve("tiny-clip") == home / "models" / "tiny-clip"
    assert "tiny-clip" in {info.name for info in models.list()}
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text((tiny_clip / "config.json").read_text())
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UserError, match="pickle"):
        models.add(pickled)
