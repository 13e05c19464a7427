"""What may be trusted, in one sentence, wherever a model is chosen."""

from __future__ import annotations

from typing import Final

from clip_atelier.engine.core import N_

TRUST: Final = N_(
    "A model compares pictures and words. It cannot make pictures, it sends nothing anywhere, and it changes none of your files unless you ask."
)
