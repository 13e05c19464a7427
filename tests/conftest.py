"""What every test may use: a tiny real CLIP, tiny real collections, and a home of its own."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["CLIP_ATELIER_LANGUAGE"] = "en"

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from PIL import Image, ImageDraw

from clip_atelier.engine.core import i18n

# What an example proves does not depend on how busy the machine is; the first one may also import or warm up torch.
hypothesis_settings.register_profile("any-speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any-speed")

SHAPES = ("circle", "square", "triangle", "cross", "ring", "line")
COLOURS = {"red": "#d33", "green": "#3a3", "blue": "#33d", "orange": "#e80"}


TESTS = Path(__file__).parent

SLOW = {
    "test_former_home.py", "cli/test_commands.py", "cli/test_main.py", "packaging/test_selftest.py",
    "packaging/test_starter_model.py", "engine/analysis/test_projection.py", "engine/analysis/test_strength_sweep.py",
    "engine/experiments/test_grid.py", "engine/models/test_foreign_models.py", "engine/models/test_second_family.py",
    "engine/parts/test_teaching.py",
    "engine/reports/test_exports.py", "engine/reports/test_page.py", "engine/search/test_ranked_search.py",
    "engine/training/test_distributed.py", "engine/training/test_training.py",
}  # fmt: skip
"""Files whose tests train, export or index for real, or start processes: measured, they are most of the time. A file that
takes more than five seconds of a processor belongs here; `--durations=50` tells."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test by where it lies and how long it takes, so that a part can be chosen with -m."""
    if gone := sorted(name for name in SLOW if not (TESTS / name).is_file()):
        raise pytest.UsageError(
            f"SLOW in tests/conftest.py names files that are not there: {', '.join(gone)}"
        )
    for item in items:
        place = item.path.relative_to(TESTS)
        marks = {"gui", "faults"} & set(place.parts)
        marks |= {"slow"} if place.as_posix() in SLOW else set()
        for mark in marks or {"quick"}:
            item.add_marker(mark)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    i18n.set_language("en")
    yield
    i18n.set_language("en")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("CLIP_ATELIER_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face CLIP folder: real architecture, random weights, a byte-level BPE of its own; 32 px, dim 24."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|pad|>", "<|start|>", "<|other|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    words = [f"a {c} {s}" for c in COLOURS for s in SHAPES] + ["a drawing of a circle", "빨간 동그라미"]
    bpe.train_from_iterator(words, trainer)
    start, end = bpe.token_to_id("<|start|>"), bpe.token_to_id("<|end|>")
    bpe.post_processor = processors.TemplateProcessing(
        single="<|start|> $A <|end|>", special_tokens=[("<|start|>", start), ("<|end|>", end)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|start|>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        model_max_length=16,
    ).save_pretrained(folder)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=tower
        | {"vocab_size": bpe.get_vocab_size(), "max_position_embeddings": 16, "bos_token_id": start,
           "eos_token_id": end, "pad_token_id": 0, "projection_dim": 24},
        vision_config=tower | {"image_size": 32, "patch_size": 8, "projection_dim": 24},
        projection_dim=24,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIPModel(config)
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.15)
            elif name.endswith("class_embedding"):
                torch.nn.init.normal_(parameter, std=0.5)
        model.save_pretrained(folder)
    return folder


def draw(shape: str, colour: str | None, size: int = 64, shift: int = 0) -> Image.Image:
    """One shape: coloured and filled, or (colour None) as black ink on transparency."""
    image = Image.new("RGBA", (size, size), (0, 0, 0, 0) if colour is None else (255, 255, 255, 255))
    pen = ImageDraw.Draw(image)
    low, high = size // 5 + shift, size - size // 5 + shift
    style = {"outline": "black", "width": 3} if colour is None else {"fill": colour}
    if shape == "circle":
        pen.ellipse((low, low, high, high), **style)
    elif shape == "square":
        pen.rectangle((low, low, high, high), **style)
    elif shape == "triangle":
        pen.polygon([(low, high), (high, high), (size // 2 + shift, low)], **style)
    elif shape == "cross":
        ink = colour or "black"
        pen.line((low, low, high, high), fill=ink, width=5)
        pen.line((low, high, high, low), fill=ink, width=5)
    elif shape == "ring":
        pen.ellipse((low, low, high, high), outline=colour or "black", width=size // 8)
    else:
        pen.line((low, size // 2 + shift, high, size // 3 + shift), fill=colour or "black", width=4)
    return image


@pytest.fixture
def tiny_collection(tmp_path: Path) -> Path:
    """24 images with a metadata.csv: every shape in every colour, one caption each."""
    folder = tmp_path / "shapes"
    folder.mkdir()
    rows = ["file_name,text"]
    for colour, code in COLOURS.items():
        for shape in SHAPES:
            draw(shape, code).convert("RGB").save(folder / f"{colour}-{shape}.png")
            rows.append(f"{colour}-{shape}.png,a {colour} {shape}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def tiny_pairs(tmp_path: Path) -> Path:
    """24 sketch and artwork pairs in the usual layout: sketches/ (ink on transparency) and artworks/ (colour)."""
    folder = tmp_path / "pairs"
    for name in ("sketches", "artworks"):
        (folder / name).mkdir(parents=True)
    for index, colour in enumerate(COLOURS):
        for shape in SHAPES:
            stem = f"{colour} {shape}"
            draw(shape, None, shift=2 * index - 3).save(folder / "sketches" / f"{stem}.png")
            draw(shape, COLOURS[colour], shift=2 * index - 3).save(folder / "artworks" / f"{stem}.png")
    return folder


@pytest.fixture
def quick(tiny_clip: Path) -> Callable[..., dict[str, object]]:
    """Settings for a run of a few steps on the tiny model, as dotted values."""

    def values(**changes: object) -> dict[str, object]:
        base: dict[str, object] = {
            "model.name": str(tiny_clip), "train.epochs": 2, "train.batch_size": 8, "train.checks": 2,
            "train.learning_rate": 1e-3, "hardware.device": "cpu", "hardware.threads": 1,
            "data.validation": 0.25, "data.test": 0.25,
        }  # fmt: skip
        return base | {name.replace("__", "."): value for name, value in changes.items()}

    return values
