"""A second model family is one file and one line: this one trains, resumes, searches and exports.

It is nothing like CLIP inside: no attention, other names, another tokenizer. All that the program knows of it is what
`models/family.py` asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Layout, Model, Models, TextReading, Tower, families, weights
from clip_atelier.engine.models.device import Device
from clip_atelier.engine.models.family import Attached
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.search import ModelRef, parse_query, search
from resumed import trained_and_resumed

SIZE, WIDTH, DIM, LAYERS, WORDS = 8, 24, 16, 2, 97

LAYOUT = Layout(
    layer=re.compile(r"^(?P<tower>vision|text)_side\.blocks\.(?P<number>\d+)\.(?P<leaf>\w+)\.weight$"),
    norm=re.compile(r"^(?P<tower>vision|text)_side\.tidy\.(?:weight|bias)$"),
    roles={"vision": {"look": "query", "take": "value"}, "text": {"look": "query", "take": "value"}},
    projections={"vision": "picture_out", "text": "word_out"},
)


class Block(nn.Module):
    """x + take(tanh(look(x)))."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Linear(WIDTH, WIDTH)
        self.take = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.take(torch.tanh(self.look(x)))


class Side(nn.Module):
    """A tower: embedding, blocks, norm."""

    def __init__(self, first: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.tidy = nn.LayerNorm(WIDTH)


class Net(nn.Module):
    """Both towers."""

    def __init__(self) -> None:
        super().__init__()
        self.vision_side = Side(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, WIDTH)))
        self.text_side = Side(nn.EmbeddingBag(WORDS, WIDTH, padding_idx=0))
        self.picture_out = nn.Linear(WIDTH, DIM, bias=False)
        self.word_out = nn.Linear(WIDTH, DIM, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(2.5))


class Toy:
    """Fulfils `family.Model`."""

    family = "toy"
    layout = LAYOUT
    loss: Literal["softmax", "sigmoid"] = "softmax"
    frame, image_size, dim, context, pad = SIZE, SIZE, DIM, 32, 0
    recompute = False
    highest_scale, logit_bias = 100.0, None

    def __init__(self, folder: Path, device: Device, name: str = "") -> None:
        self.folder, self.device, self.name = folder, device, name or folder.name
        self.files = weights.file_digests(folder)
        self.fingerprint = weights.fingerprint_of(self.files)
        self.net: nn.Module = Net()
        self.net.load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"))
        self.net.to(device.place).eval().requires_grad_(False)
        self.layers: dict[Tower, int] = {"vision": LAYERS, "text": LAYERS}
        self.adapter: Attached | None = None
        self.known_texts: dict[tuple[str, ...], NDArray[np.float32]] = {}

    @property
    def parameters(self) -> int:
        return sum(p.numel() for n, p in self.net.named_parameters() if "lora_" not in n)

    @property
    def logit_scale(self) -> float:
        return float(self.temperature.exp())

    @property
    def temperature(self) -> nn.Parameter:
        found: nn.Parameter = self.net.get_parameter("log_scale")
        return found

    def last_cut(self, tower: Tower) -> int:
        return LAYERS + 3

    def stage_of(self, tensor: str, tower: Tower) -> int | None:
        if tensor.startswith(LAYOUT.projections[tower]):
            return LAYERS + 2
        if not tensor.startswith(f"{tower}_side."):
            return None
        number = re.search(r"\.blocks\.(\d+)\.", tensor)
        return int(number[1]) + 1 if number else LAYERS + 1 if ".tidy." in tensor else 0

    def cut_shape(self, cut: int) -> tuple[int, ...]:
        return (DIM,) if cut == LAYERS + 3 else (WIDTH,)

    def tower(self, tower: Tower) -> nn.Module:
        return self.net.get_submodule(f"{tower}_side")

    def stage(self, tower: Tower, number: int) -> nn.Module:
        return self.tower(tower).get_submodule(f"blocks.{number - 1}" if number else "first")

    def projection(self, tower: Tower) -> nn.Module:
        return self.net.get_submodule(LAYOUT.projections[tower])

    def pixels(self, pictures: Tensor) -> Tensor:
        return pictures.to(self.device.place).permute(0, 3, 1, 2).float() / 127.5 - 1

    def _run(self, tower: Tower, x: Tensor, start: int, stop: int | None) -> Tensor:
        for stage in range(start, LAYERS + 3 if stop is None else stop):
            if stage <= LAYERS:
                x = self.stage(tower, stage)(x)
            else:
                last = stage == LAYERS + 2
                x = (self.projection(tower) if last else self.tower(tower).get_submodule("tidy"))(x)
        return x

    def image(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        return self._run("vision", x, start, stop)

    def readings(self, texts: Sequence[str]) -> list[TextReading]:
        return [TextReading(text) for text in texts]

    def tokens(self, texts: Sequence[str]) -> Tensor:
        rows = [[sum(word.encode()) % (WORDS - 1) + 1 for word in text.split()] or [1] for text in texts]
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    def text(self, ids: Tensor, stop: int | None = None) -> Tensor:
        return self._run("text", ids, 0, stop)

    def text_from(self, x: Tensor, start: int, stop: int | None = None) -> Tensor:
        return self._run("text", x, start, stop)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "toy"
    folder.mkdir()
    config = {"model_type": "toy", "vision_config": {"image_size": SIZE}, "projection_dim": DIM}
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    safetensors.torch.save_file(Net().state_dict(), folder / "model.safetensors")
    monkeypatch.setitem(families.FAMILIES, "toy", families.Family(__name__, "Toy", LAYOUT))
    return folder


@pytest.mark.parametrize("targets", ["q_proj,v_proj", "visual_projection"])
def test_it_trains_resumes_searches_and_exports(
    home: Path,
    tiny_pairs: Path,
    toy: Path,
    quick: Callable[..., dict[str, Any]],
    tmp_path: Path,
    targets: str,
) -> None:
    changes = {"model__name": str(toy), "lora__target_modules": targets, "hardware__precision": "fp32"}
    chosen = settings.build(quick(**changes, train__epochs=4))
    models = Models(home)
    straight = trained_and_resumed(tiny_pairs, chosen, home, models)
    assert straight.trainable_parameters > 0

    found = drive(
        search(tiny_pairs, parse_query("red ring"), ModelRef(run=straight.run), models, Control(), top=5)
    )
    assert len(found.base) == len(found.adapted or ()) == 5

    run = Runs(home).open(straight.run)
    files = drive(export(run, "adapter", tmp_path / "out", models, Control(), even_the_base=True)).files
    saved = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert any(file.endswith("adapter_model.safetensors") for file in files)
    expected = {"visual_projection": {"picture_out"}}.get(
        targets, {f"{side}_side.blocks.{n}.{leaf}" for side in ("vision", "text") for n in range(LAYERS) for leaf in ("look", "take")}
    )  # fmt: skip
    assert set(saved["target_modules"]) == expected


def test_a_family_says_all_that_may_be_asked(toy: Path, home: Path) -> None:
    opened: Model = Models(home).open(str(toy), settings.Settings().hardware)
    asked = {name for name in [*vars(Model), *Model.__annotations__] if not name.startswith("_")}
    assert [name for name in sorted(asked) if not hasattr(opened, name)] == []
