"""A model folder opens right or is refused by name, with what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import family_folders
from clip_atelier.engine import settings
from clip_atelier.engine.core import UserError
from clip_atelier.engine.models import Models, weights

CPU = settings.HardwareSettings(device="cpu", precision="fp32", threads=1)
FAMILIES = sorted(family_folders.FAMILIES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    place = tmp_path_factory.mktemp("whole")
    return lambda family: (
        place / family if (place / family).is_dir() else family_folders.make(family, place / family)
    )


@pytest.fixture
def copy(made: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda family: Path(shutil.copytree(made(family), tmp_path / family))


def refused(home: Path, folder: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        Models(home).open(str(folder), CPU)
    assert caught.value.hint, "says what to do"
    assert caught.value.setting == "model.name"
    assert str(folder) in str(caught.value)
    return caught.value


def change_weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(file)
    change(tensors)
    safetensors.torch.save_file(tensors, file, {"format": "pt"})


def change_json(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    found = json.loads(file.read_text("utf-8"))
    change(found)
    file.write_text(json.dumps(found), "utf-8")


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_tokenizer(family: str, copy: Callable[[str], Path], home: Path) -> None:
    folder = copy(family)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)
    assert "tokenizer" in str(refused(home, folder))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"model": 1}'])
def test_with_a_broken_tokenizer(text: str, copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("clip")
    (folder / "tokenizer.json").write_text(text)
    assert "tokenizer" in str(refused(home, folder))


def test_with_a_tokenizer_that_tells_no_words_apart(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("chinese_clip")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    assert "no words apart" in str(refused(home, folder))


def test_with_another_models_tokenizer(
    copy: Callable[[str], Path], made: Callable[[str], Path], home: Path
) -> None:
    folder = copy("metaclip_2")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(made("siglip2") / name, folder / name)
    said = str(refused(home, folder))
    assert "tokens" in said


def test_a_tokenizer_of_a_library_that_is_not_installed(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("siglip")
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(b"\x0a\x0e")
    assert "tokenizer" in str(refused(home, folder))


@pytest.mark.parametrize("family", FAMILIES)
def test_with_a_missing_weight(family: str, copy: Callable[[str], Path], home: Path) -> None:
    folder = copy(family)
    name = "vision_model.post_layernorm.weight"
    change_weights(folder, lambda tensors: tensors.pop(name))
    assert name in str(refused(home, folder))


@pytest.mark.parametrize("family", FAMILIES)
def test_with_a_weight_too_many(family: str, copy: Callable[[str], Path], home: Path) -> None:
    folder = copy(family)
    change_json(folder / "config.json", lambda config: config["vision_config"].update(num_hidden_layers=1))
    assert "vision_model.encoder.layers.1" in str(refused(home, folder))


@pytest.mark.parametrize("family", FAMILIES)
def test_with_a_configuration_that_contradicts_the_weights(
    family: str, copy: Callable[[str], Path], home: Path
) -> None:
    folder = copy(family)
    change_json(folder / "config.json", lambda config: config["text_config"].update(intermediate_size=48))
    said = str(refused(home, folder))
    assert "48" in said
    assert "text_model" in said


@pytest.mark.parametrize(
    ("family", "key"),
    [("clip", "eos_token_id"), ("metaclip_2", "eos_token_id"), ("chinese_clip", "pad_token_id"), ("altclip", "pad_token_id")],
)  # fmt: skip
@pytest.mark.parametrize("value", [4, 49407])
def test_with_a_tokenizer_that_ends_or_fills_texts_otherwise(
    family: str, key: str, value: int, copy: Callable[[str], Path], home: Path
) -> None:
    folder = copy(family)
    change_json(folder / "config.json", lambda config: config["text_config"].update({key: value}))
    said = str(refused(home, folder))
    assert str(value) in said or "padding_idx" in said.lower()


def test_with_pictures_of_another_kind(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("clip")
    change_json(folder / "config.json", lambda config: config["vision_config"].update(num_channels=1))

    def grey(tensors: dict[str, Any]) -> None:
        name = "vision_model.embeddings.patch_embedding.weight"
        tensors[name] = tensors[name][:, :1].clone()

    change_weights(folder, grey)
    assert "cannot compute" in str(refused(home, folder))


def test_old_checkpoints_carry_positions_that_nobody_needs(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("clip")
    positions = torch.arange(16)[None]
    change_weights(folder, lambda tensors: tensors.update({"text_model.embeddings.position_ids": positions}))
    assert Models(home).open(str(folder), CPU).family == "clip"


def test_with_weights_that_are_no_numbers(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("siglip")
    change_weights(folder, lambda tensors: tensors["vision_model.head.probe"].fill_(torch.nan))
    assert "not numbers" in str(refused(home, folder))


def test_with_weights_that_see_nothing(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("clip")
    change_weights(folder, lambda tensors: tensors["vision_model.embeddings.patch_embedding.weight"].zero_())
    assert "pictures" in str(refused(home, folder))


def test_with_towers_of_different_widths(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("siglip")
    change_json(folder / "config.json", lambda config: config["text_config"].update(projection_size=20))

    def narrow(tensors: dict[str, Any]) -> None:
        for name in ("text_model.head.weight", "text_model.head.bias"):
            tensors[name] = tensors[name][:20].clone()

    change_weights(folder, narrow)
    assert "20" in str(refused(home, folder))


def test_a_matrix_of_another_size_behind_the_tower(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("siglip")
    safetensors.torch.save_file({"visual_projection.weight": torch.eye(8)}, folder / weights.OUTPUT_MATRIX)
    assert weights.OUTPUT_MATRIX in str(refused(home, folder))


@pytest.mark.parametrize("nested", [True, False])
def test_preprocessing_comes_from_either_file(nested: bool, copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("clip")
    plain = Models(home).open(str(folder), CPU)
    white = torch.full((1, 32, 32, 3), 255, dtype=torch.uint8)
    before = plain.pixels(white)
    said = {"image_mean": [0.25] * 3, "image_std": [0.5] * 3}
    name, content = (
        ("processor_config.json", {"image_processor": said}) if nested else ("preprocessor_config.json", said)
    )
    (folder / name).write_text(json.dumps(content))
    opened = Models(home).open(str(folder), CPU)
    torch.testing.assert_close(opened.pixels(white), torch.full((1, 3, 32, 32), 1.5))
    assert not torch.allclose(before, opened.pixels(white))
    assert opened.fingerprint != plain.fingerprint


def test_processor_config_goes_before_preprocessor_config(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("siglip")
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.1] * 3, "image_std": [0.1] * 3})
    )
    inner = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3}
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": inner}))
    white = torch.full((1, 32, 32, 3), 255, dtype=torch.uint8)
    torch.testing.assert_close(Models(home).open(str(folder), CPU).pixels(white), torch.ones(1, 3, 32, 32))


@pytest.mark.parametrize("bad", [{"image_mean": [0.5]}, {"image_std": [0, 0, 0]}, {"image_std": "wide"}])
def test_with_preprocessing_that_is_none(
    bad: dict[str, Any], copy: Callable[[str], Path], home: Path
) -> None:
    folder = copy("clip")
    (folder / "preprocessor_config.json").write_text(json.dumps(bad))
    assert "image_mean" in str(refused(home, folder))


@pytest.mark.parametrize(
    "name",
    ["tokenizer_config.json", "processor_config.json", "vocab.txt", "spiece.model", "added_tokens.json"],
)
def test_whatever_decides_the_embeddings_is_in_the_fingerprint(
    name: str, copy: Callable[[str], Path]
) -> None:
    folder = copy("clip")
    before = weights.fingerprint(folder)
    (folder / name).write_text("{}")
    assert weights.fingerprint(folder) != before


def test_runs_of_earlier_versions_know_their_model_again(copy: Callable[[str], Path], home: Path) -> None:
    folder = copy("clip")
    (folder / "tokenizer_config.json").rename(folder / "kept")
    recorded = weights.fingerprint(folder)  # as it was taken before tokenizer_config.json counted
    (folder / "kept").rename(folder / "tokenizer_config.json")
    now = weights.fingerprint(folder)
    assert recorded != now
    assert weights.is_same(recorded, now, folder)
    change_json(folder / "config.json", lambda config: config.update(more=1))
    assert not weights.is_same(recorded, weights.fingerprint(folder), folder)
