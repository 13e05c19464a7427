"""Train the starter model on a CPU in the background: resumable, with a decay that is started when time is up."""

from __future__ import annotations

import ctypes
import logging
import math
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import CLIPModel, PreTrainedTokenizerFast

from starter.architecture import build_model, embed_images, embed_texts
from starter.batches import Batch, Batches

_log = logging.getLogger(__name__)
_MOST_LOGIT_SCALE = math.log(100)
_PATCHES = 36
_ALL_PATCHES_BELOW = 0.5  # of the peak rate


@dataclass(frozen=True)
class Recipe:
    """How the starter is trained.

    Attributes:
        batch: Drawings per step.
        rate: Peak rate of Muon, for the matrices inside the layers.
        adam_rate: Peak rate of AdamW, for everything else.
        warmup: Steps of linear warm-up.
        decay_minutes: Length of the final linear decay to zero.
        kept_patches: Patches looked at, of 36, until half of the decay is over; all are looked at after that.
        image_weight: Weight of the contrast between styles of the same thing.
        seed: Seed of weights and batches.
    """

    batch: int = 256
    rate: float = 1.5e-3
    adam_rate: float = 1e-3
    warmup: int = 150
    decay_minutes: float = 18.0
    kept_patches: int = 18
    image_weight: float = 0.2
    seed: int = 0


def contrast(logits: torch.Tensor, positives: torch.Tensor) -> torch.Tensor:
    """Cross entropy in both directions, the target spread evenly over all positives of a row."""
    targets = positives.float()
    rows = targets / targets.sum(1, keepdim=True)
    columns = targets.T / targets.T.sum(1, keepdim=True)
    return 0.5 * (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, columns))


def style_contrast(images: torch.Tensor, same: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Cross entropy of finding the other drawings of the same thing; drawings alone with their meaning do not count."""
    others = ~torch.eye(len(images), dtype=torch.bool)
    targets = (same & others).float()
    paired = targets.sum(1) > 0
    logits = (scale * images @ images.T).masked_fill(~others, -1e4)[paired]
    return F.cross_entropy(logits, targets[paired] / targets[paired].sum(1, keepdim=True))


def keep_memory() -> None:
    """Ask glibc to keep freed memory: handing every large tensor's pages back and forth costs more than the arithmetic.

    Measured on a virtual machine, a batch takes 0.08 s to prepare instead of 0.7 s. Does nothing elsewhere.
    """
    if sys.platform == "linux":
        most_mmaps, trim_threshold, top_pad = -4, -1, -2  # malloc.h: M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):
            library.mallopt(most_mmaps, 0)
            library.mallopt(trim_threshold, 2**31 - 1)
            library.mallopt(top_pad, 2**26)


class Trainer:
    """One training, with everything needed to stop and go on."""

    def __init__(
        self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, batches: Batches, folder: Path
    ) -> None:
        """Build the model and optimisers; checkpoints go into `folder`."""
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.tokenizer = tokenizer
        self.model: CLIPModel = build_model(len(tokenizer))
        self._batches = batches
        self._folder = folder
        hidden, rest, plain = [], [], []
        for name, parameter in self.model.named_parameters():
            if parameter.ndim == 2 and ".layers." in name:
                hidden.append(parameter)
            elif parameter.ndim >= 2:
                rest.append(parameter)
            else:
                plain.append(parameter)
        # Compiled, the layers' many small element-wise steps are fused: more than twice the speed on a CPU.
        self.model.vision_model.encoder.compile(dynamic=False)
        self.model.text_model.encoder.compile(dynamic=False)
        muon = torch.optim.Muon(hidden, lr=recipe.rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
        adam = torch.optim.AdamW(
            [{"params": rest, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
            lr=recipe.adam_rate,
            betas=(0.9, 0.98),
        )
        self._optimizers: list[torch.optim.Optimizer] = [muon, adam]
        self.step = 0
        self.seconds = 0.0
        self.images = 0
        self.decay_start: float | None = None  # in seconds of training

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.images = state["step"], state["images"]
        self.seconds, self.decay_start = state["seconds"], state["decay_start"]

    def save(self) -> Path:
        """Write a checkpoint; the last one is replaced only when the new one is complete."""
        path = self._folder / "checkpoint.pt"
        part = path.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
                "step": self.step,
                "images": self.images,
                "seconds": self.seconds,
                "decay_start": self.decay_start,
                "recipe": asdict(self.recipe),
            },
            part,
        )
        os.replace(part, path)
        return path

    def run(self, decay_at: float, save_every: float = 300.0) -> None:
        """Train until the decay, begun at the clock time `decay_at` (seconds since the epoch), has reached zero."""
        saved = last = logged = time.monotonic()
        logged_images = self.images
        running = 0.0
        while self._remaining() > 0:
            if self.decay_start is None and time.time() >= decay_at:
                self.decay_start = self.seconds
                _log.info("step %d: decay begins", self.step)
            loss = self._train_step(self._batches.make(self.step))
            self.step += 1
            self.images += self.recipe.batch
            running = loss if running == 0 else 0.98 * running + 0.02 * loss
            now = time.monotonic()
            self.seconds += now - last
            if self.step % 50 == 0:
                scale = self.model.logit_scale.exp().item()
                speed = (self.images - logged_images) / (now - logged)
                logged, logged_images = now, self.images
                _log.info(
                    "step %d, %.1f min, loss %.3f (%.3f), scale %.1f, %.0f images/s",
                    self.step,
                    self.seconds / 60,
                    loss,
                    running,
                    scale,
                    speed,
                )
            last = now
            if now - saved > save_every:
                self.save()
                saved = now
        self.save()

    def _remaining(self) -> float:
        """Share of the peak rate, 1 before the decay, 0 at its end."""
        if self.decay_start is None:
            return 1.0
        return max(0.0, 1 - (self.seconds - self.decay_start) / (60 * self.recipe.decay_minutes))

    def _train_step(self, batch: Batch) -> float:
        recipe = self.recipe
        share = self._remaining() * min(1.0, (self.step + 1) / recipe.warmup)
        for optimizer, rate in zip(self._optimizers, (recipe.rate, recipe.adam_rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        kept = None
        if self._remaining() > _ALL_PATCHES_BELOW and recipe.kept_patches < _PATCHES:
            generator = torch.Generator().manual_seed(self.step)
            kept = torch.rand(recipe.batch, _PATCHES, generator=generator).topk(recipe.kept_patches).indices
        with torch.autocast("cpu", torch.bfloat16):
            images = embed_images(self.model, batch.pixels, kept)
            texts = embed_texts(self.model, self.tokenizer, batch.texts)
        scale = self.model.logit_scale.exp()
        loss = contrast(scale * images @ texts.T, batch.positives)
        if recipe.image_weight:
            loss = loss + recipe.image_weight * style_contrast(images, batch.same, scale.detach())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=_MOST_LOGIT_SCALE)
        return loss.item()
