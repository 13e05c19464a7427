"""The starter model: its size, its tokenizer, and the two forward passes used in training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

PAD, BOS, UNKNOWN, EOS = 0, 1, 2, 3
_SPECIAL = ("<pad>", "<s>", "<unk>", "</s>")
CONTEXT = 32
VOCABULARY = 10_000


def build_model(vocabulary: int) -> CLIPModel:
    """Make the untrained model. Draws its weights from torch's global generator.

    The end token is not number 2: transformers takes that for a sign of old, wrongly configured checkpoints and pools
    the text at the largest token number instead.
    """
    tower = {"hidden_size": 256, "intermediate_size": 1024, "num_attention_heads": 4, "hidden_act": "gelu"}
    config = CLIPConfig(
        text_config={
            **tower,
            "num_hidden_layers": 3,
            "vocab_size": vocabulary,
            "max_position_embeddings": CONTEXT,
            "pad_token_id": PAD,
            "bos_token_id": BOS,
            "eos_token_id": EOS,
            "projection_dim": 256,
        },
        vision_config={
            **tower,
            "num_hidden_layers": 6,
            "image_size": 96,
            "patch_size": 16,
            "projection_dim": 256,
        },
        projection_dim=256,
    )
    # The fused attention kernel's backward pass is the slow part of a small model on a CPU.
    return CLIPModel._from_config(config, attn_implementation="eager")


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on captions of both languages, lower-cased and composed (NFC)."""
    tokenizer = Tokenizer(models.BPE(unk_token=_SPECIAL[UNKNOWN]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Lowercase(), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_SPECIAL[BOS]} $A {_SPECIAL[EOS]}",
        special_tokens=[(_SPECIAL[BOS], BOS), (_SPECIAL[EOS], EOS)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_SPECIAL[PAD],
        bos_token=_SPECIAL[BOS],
        unk_token=_SPECIAL[UNKNOWN],
        eos_token=_SPECIAL[EOS],
        model_max_length=CONTEXT,
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
    )


def embed_images(model: CLIPModel, pixels: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
    """Embed (B, 3, 96, 96) pixels to (B, 256) unit vectors.

    Args:
        model: The model.
        pixels: Pixels in [-1, 1].
        kept: (B, K) numbers of the patches to look at, all when None. Leaving patches out makes training faster
            (Li et al., "Scaling Language-Image Pre-training via Masking", 2023).
    """
    tower = model.vision_model
    hidden = tower.embeddings(pixels)
    if kept is not None:
        index = torch.cat([torch.zeros_like(kept[:, :1]), kept + 1], dim=1)
        hidden = hidden.gather(1, index[..., None].expand(-1, -1, hidden.shape[-1]))
    hidden = tower.encoder(inputs_embeds=tower.pre_layrnorm(hidden)).last_hidden_state
    projected = model.visual_projection(tower.post_layernorm(hidden[:, 0]))
    return torch.nn.functional.normalize(projected.float(), dim=-1)


def embed_texts(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    """Embed texts to (B, 256) unit vectors, padded to the longest only (exact: the text tower is causal).

    Lengths are rounded up to eights, so that a compiled model meets four shapes at most.
    """
    tokens = tokenizer(texts, padding=True, pad_to_multiple_of=8, truncation=True, return_tensors="pt")
    projected = model.get_text_features(**tokens).pooler_output
    return torch.nn.functional.normalize(projected.float(), dim=-1)
