"""Folders of open_clip are converted on the way in: the embeddings are those of its own arithmetic."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor, nn

import family_folders
from clip_atelier.cli.main import main
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, UserError, drive
from clip_atelier.engine.data import pixels as data_pixels
from clip_atelier.engine.models import Models, adapters
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import Runs

CPU = settings.HardwareSettings(device="cpu", precision="fp32", threads=1)
WIDTH, DIM, SIZE, PATCH, LENGTH, LAYERS, HEADS = 32, 24, 32, 8, 16, 2, 2


class QuickGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """open_clip's ResidualAttentionBlock, with its names."""

    def __init__(self, quick: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(WIDTH, 4 * WIDTH))
        self.mlp.add_module("gelu", QuickGelu() if quick else nn.GELU())
        self.mlp.add_module("c_proj", nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        h = self.ln_1(x)
        x = x + self.attn(h, h, h, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, quick: bool) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(quick) for _ in range(LAYERS))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.resblocks:
            x = block(x, mask)
        return x


class Visual(nn.Module):
    def __init__(self, quick: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(WIDTH))
        self.positional_embedding = nn.Parameter(torch.randn((SIZE // PATCH) ** 2 + 1, WIDTH))
        self.ln_pre, self.ln_post = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.transformer = Transformer(quick)
        self.proj = nn.Parameter(torch.randn(WIDTH, DIM))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x))
        return self.ln_post(x)[:, 0] @ self.proj


class OpenClip(nn.Module):
    def __init__(self, vocabulary: int, quick: bool) -> None:
        super().__init__()
        self.visual = Visual(quick)
        self.transformer = Transformer(quick)
        self.token_embedding = nn.Embedding(vocabulary, WIDTH)
        self.positional_embedding = nn.Parameter(torch.randn(LENGTH, WIDTH))
        self.ln_final = nn.LayerNorm(WIDTH)
        self.text_projection = nn.Parameter(torch.randn(WIDTH, DIM))
        self.logit_scale = nn.Parameter(torch.tensor(2.7))

    def encode_text(self, ids: Tensor) -> Tensor:
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        mask = torch.full((ids.shape[1], ids.shape[1]), -torch.inf).triu(1)
        x = self.ln_final(self.transformer(x, mask))
        return x[torch.arange(len(x)), ids.argmax(dim=-1)] @ self.text_projection


Made = tuple[Path, OpenClip]


def make(folder: Path, quick: bool = True) -> Made:
    family_folders.clip(folder)
    # CLIP's own order: the token that ends a text has the highest id.
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text("utf-8"))
    vocabulary = len(tokenizer["model"]["vocab"])
    last = next(token for token, n in tokenizer["model"]["vocab"].items() if n == vocabulary - 1)
    swapped = {"<|end|>": vocabulary - 1, last: 3}
    tokenizer["model"]["vocab"] |= swapped
    for token in tokenizer["added_tokens"]:
        token["id"] = swapped.get(token["content"], token["id"])
    tokenizer["post_processor"]["special_tokens"]["<|end|>"]["ids"] = [vocabulary - 1]
    file.write_text(json.dumps(tokenizer), "utf-8")
    torch.manual_seed(0)
    net = OpenClip(vocabulary, quick).eval()
    for parameter in net.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.15)
        elif parameter.dim():
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    safetensors.torch.save_file(net.state_dict(), folder / "open_clip_model.safetensors")
    model = {
        "embed_dim": DIM,
        "vision_cfg": {"image_size": SIZE, "layers": LAYERS, "width": WIDTH, "patch_size": PATCH, "head_width": WIDTH // HEADS},
        "text_cfg": {"context_length": LENGTH, "vocab_size": vocabulary, "width": WIDTH, "heads": HEADS, "layers": LAYERS},
    } | ({"quick_gelu": True} if quick else {})  # fmt: skip
    preprocess = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "size": [SIZE, SIZE], "mode": "RGB"}
    config = {"model_cfg": model, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder, net


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("open") / "laion")


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


@pytest.mark.parametrize("quick", [True, False])
def test_embeddings_are_open_clips_own(quick: bool, tmp_path: Path, home: Path) -> None:
    folder, net = make(tmp_path / "laion", quick)
    models = Models(home)
    info = models.add(folder)
    assert (info.name, info.family, info.dim, info.image_size) == ("laion", "clip", DIM, SIZE)
    clip = models.open("laion", CPU)
    pictures = torch.randint(256, (3, SIZE, SIZE, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])
    pixels = ((pictures / 255 - mean) / std).permute(0, 3, 1, 2)
    ids = clip.tokens(family_folders.TEXTS)
    with torch.no_grad():
        torch.testing.assert_close(
            clip.image(clip.pixels(pictures)), net.visual(pixels), rtol=1e-5, atol=1e-5
        )
        torch.testing.assert_close(clip.text(ids), net.encode_text(ids), rtol=1e-5, atol=1e-5)
    assert clip.logit_scale == pytest.approx(net.logit_scale.exp().item())
    assert sorted(f.name for f in (home / "models" / "laion").glob("*.safetensors")) == ["model.safetensors"]


@pytest.mark.parametrize("quick", [True, False])
def test_an_exported_run_is_open_clips_own(
    quick: bool, tmp_path: Path, home: Path, read_apart: Callable[..., Any]
) -> None:
    folder, net = make(tmp_path / "laion", quick)
    models = Models(home)
    models.add(folder)
    chosen = settings.build({"model.name": "laion", "hardware.device": "cpu"}, "attention")
    clip = models.open("laion", CPU)
    adapter = adapters.attach(clip, chosen)
    with torch.no_grad():
        for parameter in adapter.trainable.values():
            parameter.add_(0.2)
    run = Runs(home).create("mine", chosen, tmp_path)
    adapter.save(run.path / "adapter")
    files = drive(export(run, "open_clip", tmp_path / "out", models, Control())).files
    assert {
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "tokenizer.json",
        "README.md",
        "lineage.json",
    } == {
        Path(file).name for file in files if "tokenizer_config" not in file and "special_tokens" not in file
    }
    pixels = torch.rand(3, 3, SIZE, SIZE)
    ids = clip.tokens(family_folders.TEXTS)
    with torch.no_grad():
        before = net.visual(pixels)
        net.load_state_dict(safetensors.torch.load_file(tmp_path / "out" / "open_clip_model.safetensors"))
        after = net.visual(pixels)
        assert (after - before).abs().max() > 1e-2
        torch.testing.assert_close(after, clip.image(pixels), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(net.encode_text(ids), clip.text(ids), rtol=1e-4, atol=1e-4)
    wide = torch.from_numpy(data_pixels.fit(Image.effect_noise((90, 38), 80).convert("RGB"), SIZE))[None]
    with torch.no_grad():
        pixels = clip.pixels(wide)
        asked = tmp_path / "asked.safetensors"
        safetensors.torch.save_file({"pixels": pixels.contiguous(), "ids": ids.contiguous()}, asked)
        read_apart("open_clip", tmp_path / "out", asked)
        answers = safetensors.torch.load_file(asked)
        torch.testing.assert_close(answers["image"], clip.image(pixels), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(answers["text"], clip.text(ids), rtol=1e-4, atol=1e-4)
    given, written = (
        json.loads((f / "open_clip_config.json").read_text()) for f in (folder, tmp_path / "out")
    )
    assert written["model_cfg"].pop("quick_gelu") == quick
    given["model_cfg"].pop("quick_gelu", None)
    for part in ("vision_cfg", "text_cfg"):
        assert written["model_cfg"][part].pop("mlp_ratio") == 4.0
    assert written["model_cfg"] == given["model_cfg"]
    assert written["preprocess_cfg"] == {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}


def test_by_its_path_it_says_to_be_added_first(
    made: Made, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="models add"):
        Models(home).open(str(made[0]), CPU)
    assert main(["models", "add", str(made[0]), "--json", "--home", str(home)]) == 0
    assert [m["name"] for m in json.loads(capsys.readouterr().out)] == ["starter", "laion"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["model_cfg"]["vision_cfg"].update(timm_model_name="vit_base"), "timm_model_name"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(layers=[3, 4, 6, 3]), "layers"),
        (lambda c: c["model_cfg"]["text_cfg"].update(hf_model_name="xlm-roberta-base"), "hf_model_name"),
        (lambda c: c["model_cfg"]["text_cfg"].update(pool_type="last"), "pool_type"),
        (lambda c: c["model_cfg"]["text_cfg"].update(no_causal_mask=True), "no_causal_mask"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(ls_init_value=0.1), "ls_init_value"),
        (lambda c: c["model_cfg"].update(multimodal_cfg={}), "multimodal_cfg"),
        (lambda c: c["model_cfg"].update(custom_text=True), "custom_text"),
        (lambda c: c.update(model_cfg=[]), "open_clip_config.json"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(layers=3), "layers.2"),
        (lambda c: c["model_cfg"].update(embed_dim=20), "projection"),
    ],
)
def test_what_is_not_clip_is_refused_by_name(
    change: Callable[[Any], None], said: str, copy: Path, home: Path
) -> None:
    file = copy / "open_clip_config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))
    with pytest.raises(UserError, match=said) as caught:
        Models(home).add(copy)
    assert caught.value.hint
    assert not (home / "models" / "copy").exists()
    assert [m.name for m in Models(home).list()] == ["starter"]


@pytest.mark.parametrize("name", ["tokenizer.json", "open_clip_model.safetensors"])
def test_a_file_that_is_missing_is_named(name: str, copy: Path, home: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(UserError, match=name.split(".", maxsplit=1)[0]):
        Models(home).add(copy)


def test_a_weight_that_clip_does_not_have(copy: Path, home: Path) -> None:
    file = copy / "open_clip_model.safetensors"
    tensors = safetensors.torch.load_file(file) | {"logit_bias": torch.zeros(1)}
    safetensors.torch.save_file(tensors, file)
    with pytest.raises(UserError, match="logit_bias"):
        Models(home).add(copy)


def test_stray_weights_stay_behind(tmp_path: Path, home: Path) -> None:
    folder = family_folders.make("clip", tmp_path / "both")
    shutil.copy(folder / "model.safetensors", folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text("{}")
    Models(home).add(folder)
    assert [f.name for f in (home / "models" / "both").glob("*.safetensors")] == ["model.safetensors"]
