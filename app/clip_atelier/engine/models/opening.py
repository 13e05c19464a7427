"""A model folder is opened right or not at all: weights, configuration, tokenizer and preprocessing must fit each other."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors
import torch
import transformers
from torch import nn
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.data import framing
from clip_atelier.engine.models import weights
from clip_atelier.engine.models.device import is_out_of_memory
from clip_atelier.engine.models.family import Model

_TOKENIZER: Final = (
    ("tokenizer.json",), ("vocab.json", "merges.txt"), ("vocab.txt",), ("spiece.model",), ("sentencepiece.bpe.model",),
    ("tokenizer.model",),
)  # fmt: skip
_PROBES: Final = ("a drawing of a red circle", "two blue squares", "빨간 동그라미", "一只猫")
_FAILURES: Final = (
    OSError,
    ValueError,
    KeyError,
    RuntimeError,
    ImportError,
    TypeError,
    AttributeError,
    AssertionError,
)
_ALIGNED: Final = 64
"""Bytes at whose multiples torch begins a tensor."""


@contextmanager
def quiet() -> Iterator[None]:
    """The library prints neither reports about weights, as what is wrong is said by name below, nor bars of its own."""
    logs = transformers.utils.logging
    before, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(before)
        if bars:
            logs.enable_progress_bar()


def _refused(folder: Path, reason: object, remedy: str) -> UserError:
    return UserError(
        _("The model in “{folder}” cannot be opened: {reason}").format(folder=folder, reason=reason),
        remedy,
        "model.name",
    )


def network(
    net_class: Any, folder: Path, attention: str, added: Sequence[str] = (), surplus: str = r"position_ids$"
) -> Any:
    """Transformers' model in fp32, every weight of it from the folder and every weight of the folder in it.

    Args:
        net_class: transformers' class.
        folder: A Hugging Face folder.
        attention: "eager" or "sdpa".
        added: Names of matrices that the class does not know, in files of their own.
        surplus: Pattern of stored tensors that nothing uses and that may be left out.

    Raises:
        UserError: a weight is missing, is left over or has another shape than config.json says; names it.
    """
    complete = _("Choose a complete Hugging Face CLIP folder with weights, configuration and tokenizer.")
    try:
        with quiet(), _slices(weights.weight_files(folder)) as stored:
            net, said = net_class.from_pretrained(
                None, config=str(folder), state_dict=stored, dtype=torch.float32, attn_implementation=attention,
                local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
    except _FAILURES as error:
        raise _refused(folder, error, complete) from error
    for name, stored, wanted in sorted(said["mismatched_keys"]):
        raise _refused(
            folder,
            _("“{tensor}” has the shape {stored}, but config.json asks for {wanted}.").format(
                tensor=name, stored=tuple(stored), wanted=tuple(wanted)
            ),
            _("Weights and config.json must come from the same model: copy both again."),
        )
    missing = sorted(name for name in said["missing_keys"] if name not in added)
    if missing:
        raise _refused(
            folder,
            _("its weights lack {count} tensors, such as “{tensor}”.").format(
                count=len(missing), tensor=missing[0]
            ),
            complete,
        )
    left = sorted(name for name in said["unexpected_keys"] if not re.search(surplus, name))
    if left:
        raise _refused(
            folder,
            _(
                "its weights hold {count} tensors that its configuration does not know, such as “{tensor}”."
            ).format(count=len(left), tensor=left[0]),
            _("Weights and config.json must come from the same model: copy both again."),
        )
    net.name_or_path = net.config.name_or_path = str(
        folder
    )  # as if it had read the files itself: PEFT notes it
    _without_dropout(net)
    _align(net)
    _give_back()
    return net


@contextmanager
def _slices(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Every tensor of some files by its name, read when it is needed.

    Read, not mapped as transformers does by default: what was mapped stays in memory beside its copy until all is loaded,
    which made loading the moment that takes the most memory of a whole training.
    """
    with ExitStack() as opened:
        stored: dict[str, Any] = {}
        for file in files:
            found: Any = opened.enter_context(
                safetensors.safe_open(file, framework="pt", device="cpu", backend="pread")
            )
            for name in found.keys():  # noqa: SIM118 - it is no mapping
                stored[name] = found.get_slice(name)
        yield stored


def _align(net: nn.Module) -> None:
    """Small tensors lie where torch puts its own: where a tensor lies decides how its products are summed."""
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % _ALIGNED:
            tensor.data = tensor.data.clone()


def _give_back() -> None:
    """What the threads that loaded a model laid aside for more goes back to the system, where its library can do that."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others lay little aside
        if trim is not None:
            trim(0)


def _without_dropout(net: nn.Module) -> None:
    """A frozen model drops nothing while its update learns; what the update drops is its own setting."""
    for module in net.modules():
        part: Any = module
        if isinstance(module, nn.Dropout):
            part.p = 0.0
        elif isinstance(getattr(module, "attention_dropout", None), float):
            part.attention_dropout = 0.0


def tokenizer(folder: Path, rows: int) -> Any:
    """The folder's tokenizer, which is known to tell texts apart.

    Args:
        folder: A Hugging Face folder.
        rows: How many tokens the model has embeddings for.

    Raises:
        UserError: there is none, it cannot be read, or it is another model's.
    """
    remedy = _("Copy tokenizer.json and tokenizer_config.json of this model into the folder.")
    if not any(all((folder / name).is_file() for name in names) for names in _TOKENIZER):
        raise _refused(folder, _("it has no tokenizer."), remedy)
    try:
        with quiet():
            found = _tokenizer(folder)
        probes = [found(text)["input_ids"] for text in _PROBES]
    except Exception as error:
        raise _refused(
            folder, _("its tokenizer cannot be read ({reason}).").format(reason=error), remedy
        ) from error
    special = set(found.added_tokens_encoder.values()) | set(found.all_special_ids)
    words = [[token for token in ids if token not in special] for ids in probes]
    if not words[0] or words[0] == words[1]:
        raise _refused(folder, _("its tokenizer tells no words apart."), remedy)
    highest = max((n for n in found.get_vocab().values() if n not in special), default=0)
    highest = max(highest, *(token for ids in probes for token in ids))
    if highest >= rows:
        raise _refused(
            folder,
            _("its tokenizer has {tokens} tokens, its weights only {rows}.").format(
                tokens=highest + 1, rows=rows
            ),
            remedy,
        )
    return found


def must_agree(folder: Path, key: str, ours: int | None, theirs: int | None) -> None:
    """Raises a UserError unless configuration and tokenizer give a special token the same id.

    Args:
        folder: The model's folder.
        key: The token's name in config.json.
        ours: Its id by config.json.
        theirs: Its id as the tokenizer writes texts.
    """
    if ours != theirs:
        raise _refused(
            folder,
            _("its tokenizer uses {theirs} as {key}, but config.json says {ours}.").format(
                theirs=theirs, key=key, ours=ours
            ),
            _("Copy config.json and the tokenizer's files again from the same place."),
        )


def last_id(tokenizer: Any) -> int:
    """The id that the tokenizer puts behind a text."""
    return int(tokenizer(_PROBES[0])["input_ids"][-1])


def _tokenizer(folder: Path) -> Any:
    """Transformers' own choice; where that needs a library that is not installed, tokenizer.json as it is."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except ImportError:
        if not (folder / "tokenizer.json").is_file():
            raise
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)


def tokenizer_settings(folder: Path) -> Mapping[str, Any]:
    """tokenizer_config.json; empty where there is none."""
    file = folder / "tokenizer_config.json"
    return weights.read_json(file) if file.is_file() else {}


def statistics(folder: Path, mean: Sequence[float], std: Sequence[float]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the folder's preprocessing in parts of 1; the given ones where it says nothing.

    Raises:
        UserError: they are not three numbers each.
    """
    found = weights.preprocessing(folder)
    if found.get("do_normalize") is False:
        return [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
    chosen = [list(found.get("image_mean") or mean), list(found.get("image_std") or std)]
    if not all(len(c) == 3 and all(isinstance(v, int | float) for v in c) for c in chosen) or 0 in chosen[1]:
        raise _refused(
            folder,
            _("image_mean and image_std of its preprocessing are not three numbers each."),
            _("Copy preprocessor_config.json again from where the model came from."),
        )
    return chosen[0], chosen[1]


def must_be(
    folder: Path, file: str, found: Mapping[str, torch.Tensor], wanted: Mapping[str, tuple[int, ...]]
) -> None:
    """Raises a UserError unless a file of the folder holds tensors of exactly these names and shapes."""
    if {name: tuple(tensor.shape) for name, tensor in found.items()} != dict(wanted):
        raise _refused(
            folder,
            _("“{path}” does not hold what it should.").format(path=file),
            _("Copy the folder again from where it came from, or choose another model."),
        )


def check(model: Model) -> None:
    """Looks at two pictures and two texts: a model that cannot tell them apart is of no use, whatever is wrong with it.

    Raises:
        UserError: values are not numbers, pictures or texts come out alike, or their lengths differ.
    """
    side = model.image_size
    pictures = np.full((2, side, side, 3), 255, np.uint8)
    pictures[0, : side // 2] = 0
    pictures[1, :, side // 3 :, 0] = 40
    shown = np.stack([framing.square(picture, model.frame) for picture in pictures])
    remedy = _("Copy the folder again from where it came from, or choose another model.")
    try:
        with torch.inference_mode():
            images = model.image(model.pixels(torch.from_numpy(shown))).float()
            texts = model.text(model.tokens(list(_PROBES[:2]))).float()
    except (RuntimeError, IndexError, ValueError, AttributeError) as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise _refused(
            model.folder, _("it cannot compute ({reason}).").format(reason=reason), remedy
        ) from error
    if not (torch.isfinite(images).all() and torch.isfinite(texts).all()):
        raise _refused(model.folder, _("what it computes are not numbers."), remedy)
    if images.shape[1] != texts.shape[1]:
        raise _refused(
            model.folder,
            _("it gives {image} numbers for a picture and {text} for a text.").format(
                image=images.shape[1], text=texts.shape[1]
            ),
            remedy,
        )
    for values, reason in (
        (images, _("two different pictures are the same to it.")),
        (texts, _("two different texts are the same to it.")),
    ):
        if float((values[0] - values[1]).norm()) <= 1e-6 * float(values[0].norm()):
            raise _refused(model.folder, reason, remedy)
