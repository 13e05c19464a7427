"""Makes tiny Hugging Face folders of every family: real architecture, random weights, the family's own kind of tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn

WORDS = [
    f"a {colour} {shape}"
    for colour in ("red", "green", "blue", "orange")
    for shape in ("circle", "square", "triangle", "cross", "ring", "line")
]
TEXTS = [
    *WORDS,
    "a drawing of a circle",
    "two blue squares",
    "빨간 동그라미",
    "파란 네모",
    "一只猫",
    "红色的圆",
]

SIZE, PATCH, DIM, WIDTH, LENGTH = 32, 8, 24, 32, 16
TOWER = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = TOWER | {"image_size": SIZE, "patch_size": PATCH, "projection_dim": DIM}


def _unigram(special: list[str], unknown: str) -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=special, unk_token=unknown, show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    return made


def _framed(made: Tokenizer, first: str, last: str) -> Tokenizer:
    pair = [(token, made.token_to_id(token)) for token in (first, last) if token]
    made.post_processor = processors.TemplateProcessing(
        single=" ".join(part for part in (first, "$A", last) if part), special_tokens=pair
    )
    return made


def _write(folder: Path, made: Tokenizer, **settings: Any) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": LENGTH, **settings}))
    return int(made.get_vocab_size())


def _xlm_roberta(folder: Path) -> int:
    made = _framed(_unigram(["<s>", "<pad>", "</s>", "<unk>"], "<unk>"), "<s>", "</s>")
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return _write(folder, made, tokenizer_class="PreTrainedTokenizerFast", **names)


def clip(folder: Path) -> Any:
    """CLIP: a byte-level BPE."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|pad|>", "<|start|>", "<|other|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TEXTS, trainer)
    names = {"bos_token": "<|start|>", "eos_token": "<|end|>", "pad_token": "<|pad|>"}
    size = _write(
        folder, _framed(made, "<|start|>", "<|end|>"), tokenizer_class="PreTrainedTokenizerFast", **names
    )
    ids = {"vocab_size": size, "bos_token_id": 1, "eos_token_id": 3, "pad_token_id": 0}
    text = TOWER | ids | {"max_position_embeddings": LENGTH, "projection_dim": DIM}
    config = transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=DIM)
    return transformers.CLIPModel(config)


def metaclip_2(folder: Path) -> Any:
    """MetaCLIP 2: SentencePiece pieces; EOS is 2, which means nothing else here."""
    ids = {"vocab_size": _xlm_roberta(folder), "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    text = TOWER | ids | {"max_position_embeddings": LENGTH, "projection_dim": DIM}
    config = transformers.MetaClip2Config(text_config=text, vision_config=VISION, projection_dim=DIM)
    return transformers.MetaClip2Model(config)


def _siglip(vocabulary: int) -> dict[str, Any]:
    return {
        "text_config": TOWER | {"vocab_size": vocabulary, "max_position_embeddings": LENGTH, "projection_size": WIDTH,
            "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1},
    }  # fmt: skip


def siglip(folder: Path) -> Any:
    """SigLIP: SentencePiece pieces, padded with its EOS token, small letters without punctuation."""
    made = _unigram(["<unk>", "</s>"], "<unk>")
    made.normalizer = normalizers.Lowercase()
    names = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    size = _write(
        folder, _framed(made, "", "</s>"), tokenizer_class="SiglipTokenizer", model_input_names=["input_ids"], **names
    )  # fmt: skip
    return transformers.SiglipModel(transformers.SiglipConfig(**_siglip(size), vision_config=VISION))


def siglip2(folder: Path) -> Any:
    """SigLIP 2 with patches in a row: Gemma's pieces."""
    made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(
        vocab_size=400, show_progress=False,
        special_tokens=["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{n:02X}>" for n in range(256))],
    )  # fmt: skip
    made.train_from_iterator([text.lower() for text in TEXTS], trainer)
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    size = _write(
        folder, _framed(made, "", "<eos>"), tokenizer_class="Siglip2Tokenizer", padding_side="right", **names
    )
    vision = TOWER | {"num_patches": (SIZE // PATCH) ** 2, "patch_size": PATCH}
    return transformers.Siglip2Model(transformers.Siglip2Config(**_siglip(size), vision_config=vision))


def chinese_clip(folder: Path) -> Any:
    """Chinese-CLIP: WordPiece."""
    folder.mkdir(parents=True, exist_ok=True)
    words = sorted(
        {word for text in TEXTS for word in text.split()} | set("一只猫红色的圆빨간동그라미파란네모")
    )
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", "utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": LENGTH, "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    text = TOWER | {"vocab_size": len(tokens), "max_position_embeddings": 40, "pad_token_id": 0}
    config = transformers.ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=DIM)
    return transformers.ChineseCLIPModel(config)


def altclip(folder: Path) -> Any:
    """AltCLIP: XLM-R's pieces."""
    ids = {"vocab_size": _xlm_roberta(folder), "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    text = TOWER | ids | {"max_position_embeddings": 40, "project_dim": 20, "type_vocab_size": 1}
    config = transformers.AltCLIPConfig(text_config=text, vision_config=VISION, projection_dim=DIM)
    return transformers.AltCLIPModel(config)


FAMILIES: dict[str, Callable[[Path], Any]] = {
    "clip": clip, "metaclip_2": metaclip_2, "siglip": siglip, "siglip2": siglip2, "chinese_clip": chinese_clip,
    "altclip": altclip,
}  # fmt: skip


def make(family: str, folder: Path) -> Path:
    """A folder of a family; its weights are large enough that what is wrong shows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = FAMILIES[family](folder)
        for name, parameter in net.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.15)
            elif name.endswith("class_embedding"):
                nn.init.normal_(parameter, std=0.5)
            elif name.endswith("bias") and name != "logit_bias":
                nn.init.normal_(parameter, std=0.1)
        if family.startswith("siglip"):
            net.logit_scale.data.fill_(2.3)
            net.logit_bias.data.fill_(-10.0)
        net.save_pretrained(folder)
    return folder
