"""Which CLIP is adapted."""

from __future__ import annotations

from clip_atelier.engine.core import N_
from clip_atelier.engine.settings.declare import Block, setting


class ModelSettings(Block):
    """Which CLIP is adapted."""

    name: str = setting(
        "starter",
        affects=(
            "features",
            "speed",
        ),
        title=N_("Model"),
        summary=N_(
            "The CLIP to adapt: the bundled starter, an added model's name, or a Hugging Face folder on disk."
        ),
        detail=N_(
            "The starter is small, understands English and Korean, and is quick on any machine. A larger CLIP knows more of "
            "the world; it needs more memory and time. Folders of these types open: CLIP, MetaCLIP 2, SigLIP, SigLIP 2, "
            "Chinese-CLIP and AltCLIP."
        ),
        min_length=1,
    )
