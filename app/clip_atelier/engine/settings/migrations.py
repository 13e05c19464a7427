"""Settings as earlier versions wrote them, in runs, tables and the window's draft: read under today's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

RENAMED: Final[Mapping[str, str]] = {
    # PEFT's own key keeps PEFT's meaning.
    "lora.init_lora_weights": "train.initialization",
}


def migrated(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values by today's dotted names; a value under today's name wins over one under a former name."""
    found = {RENAMED[name]: value for name, value in values.items() if name in RENAMED}
    return found | {name: value for name, value in values.items() if name not in RENAMED}
