"""Makes Hugging Face CLIP folders of published geometry with CLIP's real vocabulary and random weights."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

MERGES = Path(__file__).parent / "data" / "clip-bpe" / "bpe_simple_vocab_16e6.txt.gz"


def _byte_letters() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in CLIP's order."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(len(rest))]


def write_tokenizer(folder: Path) -> None:
    """vocab.json, merges.txt and tokenizer_config.json of CLIP's tokenizer (49,408 tokens)."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = gzip.decompress(MERGES.read_bytes()).decode("utf-8").split("\n")
    merges = [line for line in lines[1 : 49152 - 256 - 2 + 1] if line]
    letters = _byte_letters()
    tokens = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *("".join(merge.split()) for merge in merges),
    ]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(
        json.dumps({t: n for n, t in enumerate(tokens)}, ensure_ascii=False), "utf-8"
    )
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "CLIPTokenizer",
                "bos_token": "<|startoftext|>",
                "eos_token": "<|endoftext|>",
                "pad_token": "<|endoftext|>",
                "unk_token": "<|endoftext|>",
                "model_max_length": 77,
            }
        ),
        "utf-8",
    )


def vit_b_32(folder: Path, seed: int = 0) -> Path:
    """ViT-B/32 geometry, random weights stored in half precision (about 300 MB), the real tokenizer."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    write_tokenizer(folder)
    config = CLIPConfig(
        text_config={"bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407},
        vision_config={"patch_size": 32, "image_size": 224},
        projection_dim=512,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        CLIPModel(config).half().save_pretrained(folder)
    return folder
