"""A BERT as a CLIP's text tower: it looks both ways, and what is pooled is its first position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from clip_atelier.engine.models import layers, opening
from clip_atelier.engine.models.clip import Clip


class BertText(Clip):
    """CLIP's image tower beside a BERT.

    Padding is masked, so that trimming to the longest text of a batch is exact. The layers are computed by the library's
    own forward: CLIP's quick one does not fit them.
    """

    @property
    def _bert(self) -> Any:
        """The module that holds embeddings and encoder."""
        return self.net.text_model

    @property
    def _layers(self) -> Any:
        return self._bert.encoder.layer

    def _must_agree(self) -> None:
        """Configuration and tokenizer must mean the same by padding, which is masked."""
        opening.must_agree(self.folder, "pad_token_id", self.pad, self.tokenizer.pad_token_id)

    def _context(self) -> int:
        longest = int(self.net.config.text_config.max_position_embeddings)
        return min(longest, int(self.tokenizer.model_max_length))

    def stage(self, tower: str, number: int) -> nn.Module:
        """The module of stage 0 or of a layer."""
        if tower == "vision":
            return super().stage("vision", number)
        found: nn.Module = self._layers[number - 1] if number else self._bert.embeddings
        return found

    @property
    def pad(self) -> int:
        """Id that fills short rows and is masked."""
        return int(self.net.config.text_config.pad_token_id or 0)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids [B, T], T the longest of the batch; texts that are too long end early."""
        found = self.tokenizer(list(texts), truncation=True, max_length=self.context)["input_ids"]
        rows = [torch.tensor(ids) for ids in found]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.pad)
        return ids.to(self.device.place)

    def text(self, ids: Tensor, stop: int | None = None) -> Tensor:
        """Runs the text tower from token ids [B, T] to a cut; at the last one embeddings [B, dim], not normalised."""
        last = self.layers["text"]
        stop = self.last_cut("text") if stop is None else stop
        x: Tensor = self._bert.embeddings(input_ids=ids)  # [B, T, D]
        allowed = (ids != self.pad)[:, None, None]  # [B, 1, 1, T]
        fused = self.device.attention == "sdpa"
        least = torch.finfo(x.dtype).min
        mask = allowed if fused else torch.zeros_like(allowed, dtype=x.dtype).masked_fill(~allowed, least)
        again = self.recompute and torch.is_grad_enabled() and self._bert.training
        for layer in self._layers[: min(stop - 1, last)]:
            x = layers.again(layers.plain, layer, x, mask) if again else layers.plain(layer, x, mask)
        return x if stop <= last + 1 else self.text_from(x[:, 0], last + 1, stop)

    def _pooled(self, x: Tensor) -> Tensor:
        """What stands between the pooled position and the projection."""
        return x

    def text_from(self, x: Tensor, start: int, stop: int | None = None) -> Tensor:
        """The end of the text tower from the first position's values [B, D]."""
        last = self.layers["text"]
        for stage in range(start, self.last_cut("text") if stop is None else stop):
            x = self._pooled(x) if stage == last + 1 else self.projection("text")(x)
        return x
