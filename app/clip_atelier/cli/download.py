"""Downloading a model: the only use of the network, and only when the user asks for it by name."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clip_atelier.engine.core import UserError, WorkError, _

# Weights as safetensors only: a pickle file can run any code.
_WANTED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.md", "LICENSE*")
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def download(name: str, home: Path) -> Path:
    """Fetches a model from the Hugging Face hub into HOME/downloads and returns its folder.

    What arrived before an interruption is kept, and the same call goes on from there.

    Raises:
        UserError: the name is not of the form owner/model.
        WorkError: there is no network, no such model, or the disk is full.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name, flags=re.ASCII) or ".." in name:
        raise UserError(
            _("“{name}” is not a name on the hub.").format(name=name),
            _("It looks like owner/model, for example openai/clip-vit-base-patch32."),
        )
    folder = home / "downloads" / name.partition("/")[2]
    with _online():
        from huggingface_hub import snapshot_download

        try:
            snapshot_download(name, local_dir=folder, allow_patterns=list(_WANTED), etag_timeout=10)
        # The hub's client raises errors of several libraries, most of them kinds of OSError and ValueError.
        except (OSError, ValueError, RuntimeError) as error:
            raise WorkError(
                _("“{name}” could not be downloaded: {reason}").format(name=name, reason=_first_line(error)),
                _(
                    "Check the name and the network; or copy the model's folder here and use “clip-atelier models add PATH”."
                ),
            ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return folder


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def _online() -> Iterator[None]:
    """The hub's client reads its offline switch when imported, and keeps it: lift both, here only."""
    before = {name: os.environ.get(name) for name in _OFFLINE}
    os.environ.update(dict.fromkeys(_OFFLINE, "0"))
    from huggingface_hub import constants

    was_offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was_offline or before["HF_HUB_OFFLINE"] == "1"
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
