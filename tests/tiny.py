"""A tiny real CLIP, tiny real collections, and settings for a run of a few steps on them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle", "cross", "ring", "line")
COLOURS = {"red": "#d33", "green": "#3a3", "blue": "#33d", "orange": "#e80"}


def clip(folder: Path) -> Path:
    """A Hugging Face CLIP folder: real architecture, random weights, a byte-level BPE of its own; 32 px, dim 24."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

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


def collection(folder: Path) -> Path:
    """24 images with a metadata.csv: every shape in every colour, one caption each."""
    folder.mkdir()
    rows = ["file_name,text"]
    for colour, code in COLOURS.items():
        for shape in SHAPES:
            draw(shape, code).convert("RGB").save(folder / f"{colour}-{shape}.png")
            rows.append(f"{colour}-{shape}.png,a {colour} {shape}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def pairs(folder: Path) -> Path:
    """24 sketch and artwork pairs in the usual layout: sketches/ (ink on transparency) and artworks/ (colour)."""
    for name in ("sketches", "artworks"):
        (folder / name).mkdir(parents=True)
    for index, colour in enumerate(COLOURS):
        for shape in SHAPES:
            stem = f"{colour} {shape}"
            draw(shape, None, shift=2 * index - 3).save(folder / "sketches" / f"{stem}.png")
            draw(shape, COLOURS[colour], shift=2 * index - 3).save(folder / "artworks" / f"{stem}.png")
    return folder


def quick(model: Path, **changes: object) -> dict[str, object]:
    """Settings for a run of a few steps on the tiny model, as dotted values."""
    base: dict[str, object] = {
        "model.name": str(model), "train.epochs": 2, "train.batch_size": 8, "train.checks": 2,
        "train.learning_rate": 1e-3, "hardware.device": "cpu", "hardware.threads": 1,
        "data.validation": 0.25, "data.test": 0.25,
        # One part kept aside, whatever the preset says: five folds are measured in tests of their own.
        "evaluation.folds": 0, "evaluation.parts": False, "train.steps": 0, "train.preservation": 0.0,
        "train.smoothing": 0.0,
        # A window's training would import everything anew; gui/test_own_process.py tries that.
        "hardware.own_process": False,
    }  # fmt: skip
    return base | {name.replace("__", "."): value for name, value in changes.items()}
