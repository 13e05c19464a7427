"""The one place that knows checkout, wheel and frozen program apart, and where the user's data lives."""

from __future__ import annotations

import os
import sys
from pathlib import Path

APP_NAME = "CLIP Atelier"


def resources() -> Path:
    """The folder of icons, fonts, translations, the starter model and the sample collection."""
    if getattr(sys, "frozen", False):
        return Path(getattr(sys, "_MEIPASS", Path(sys.executable).parent)) / "resources"
    package = Path(__file__).resolve().parents[2]
    in_wheel = package / "resources"
    return in_wheel if in_wheel.is_dir() else package.parents[1] / "resources"


def default_home() -> Path:
    """CLIP_ATELIER_HOME, else the platform's user-data folder. Not created here."""
    asked = os.environ.get("CLIP_ATELIER_HOME")
    if asked:
        return Path(asked).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir(APP_NAME, appauthor=False))


def sample_collection() -> Path:
    """The bundled sketch and artwork pairs."""
    return resources() / "samples" / "emoji"


def control_collection() -> Path:
    """Bundled general drawings on which forgetting is measured; nothing was trained on them."""
    return resources() / "control-set"


def starter_model() -> Path:
    """The bundled bilingual CLIP."""
    return resources() / "models" / "starter"


def shown(path: str | os.PathLike[str]) -> str:
    """A path, or any text, as text that can be printed and encoded: undecodable bytes become visible escapes."""
    text = os.fspath(path)
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        # A surrogate that stands for no byte: from Windows file names, or "\\ud800" in a JSON caption.
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
