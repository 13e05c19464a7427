"""Models that other programs left in the Hugging Face cache: found by name, used where they lie, never fetched."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_REPOSITORY: Final = re.compile(r"models--(?P<owner>[\w.-]+?)--(?P<model>[\w.-]+)", flags=re.ASCII)


def folder() -> Path:
    """Where the cache is, by the hub client's own variables; it need not exist."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name]).expanduser()
    if os.environ.get("HF_HOME"):
        return Path(os.environ["HF_HOME"]).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def cached() -> dict[str, Path]:
    """OWNER/MODEL -> folder of its newest snapshot, of every repository that has one with a configuration."""
    found: dict[str, Path] = {}
    try:
        entries = sorted(folder().iterdir())
    except OSError:
        return {}
    for entry in entries:
        named = _REPOSITORY.fullmatch(entry.name)
        snapshot = _snapshot(entry) if named else None
        if named and snapshot is not None:
            found[f"{named['owner']}/{named['model']}"] = snapshot
    return found


def name_of(path: Path) -> str:
    """OWNER/MODEL of a snapshot's folder; "" for any other folder."""
    named = _REPOSITORY.fullmatch(path.parent.parent.name) if path.parent.name == "snapshots" else None
    return f"{named['owner']}/{named['model']}" if named else ""


def _snapshot(repository: Path) -> Path | None:
    """The snapshot that `main` names, else the one written last."""
    try:
        main = repository / "refs" / "main"
        if main.is_file():
            chosen = repository / "snapshots" / Path(main.read_text(encoding="ascii").strip()).name
            if _has_configuration(chosen):
                return chosen
        others = [s for s in (repository / "snapshots").iterdir() if _has_configuration(s)]
        return max(others, key=lambda s: s.stat().st_mtime, default=None)
    except (OSError, ValueError):
        return None


def _has_configuration(snapshot: Path) -> bool:
    return any((snapshot / name).is_file() for name in ("config.json", "open_clip_config.json"))
