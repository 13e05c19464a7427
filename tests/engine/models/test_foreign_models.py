"""Any Hugging Face CLIP folder works: ViT-B/32 geometry with the real CLIP vocabulary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPModel, CLIPTokenizer

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models
from clip_atelier.engine.training import Plan, train
from clip_folder import vit_b_32


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vit_b_32(tmp_path_factory.mktemp("vit") / "vit-b-32")


def test_the_vocabulary_cuts_captions_as_clip_does(vit: Path, home: Path) -> None:
    clip = Models(home).open(str(vit), settings.HardwareSettings(device="cpu"))
    # The ids that CLIP's own documentation shows for this caption.
    assert clip.tokens(["a photo of a cat"]).tolist() == [[49406, 320, 1125, 539, 320, 2368, 49407]]
    assert clip.tokens(["cat " * 200]).shape == (1, 77)
    assert int(clip.tokens(["cat " * 200])[0, -1]) == 49407
    assert isinstance(CLIPTokenizer.from_pretrained(vit), CLIPTokenizer)


def test_embeddings_equal_transformers_own(vit: Path, home: Path) -> None:
    clip = Models(home).open(str(vit), settings.HardwareSettings(device="cpu", precision="fp32"))
    plain = CLIPModel.from_pretrained(vit, dtype=torch.float32, attn_implementation="eager").eval()
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))
    texts = ["a photo of a cat", "빨간 고양이"]
    ids = clip.tokenizer(texts, padding="max_length", max_length=77, return_tensors="pt")
    with torch.no_grad():
        images = plain.get_image_features(pixel_values=clip.pixels(pictures)).pooler_output
        assert torch.equal(images, clip.image(clip.pixels(pictures)))
        words = plain.get_text_features(**ids).pooler_output
        torch.testing.assert_close(clip.text(clip.tokens(texts)), words, rtol=1e-4, atol=1e-5)


def test_it_trains(vit: Path, home: Path, tiny_pairs: Path) -> None:
    for colour in ("green", "blue", "orange"):
        for image in tiny_pairs.glob(f"*/{colour}*"):
            image.unlink()  # a full-size model on two busy processor cores: six pairs are enough
    # One thread: several that wait for each other take many times as long where other work holds a core.
    values = {"model.name": str(vit), "train.epochs": 1, "train.checks": 1, "train.batch_size": 8,
              "train.choose_strength": False, "hardware.device": "cpu", "hardware.threads": 1}  # fmt: skip
    plan = Plan(tiny_pairs, settings.build(values), home)
    result = drive(train(plan, Models(home), Control())).as_json()
    assert result["status"] == "done"
    assert result["steps"] == result["total_steps"] > 0
    assert result["base_untouched"] is True
    assert result["trainable_parameters"] == 2 * 12 * 8 * 2 * (768 + 512)
