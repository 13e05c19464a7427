"""The one place that knows checkout, wheel and frozen program apart, and where the user's data lives."""

from __future__ import annotations

import os
import stat
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


_shared_mask: int | None = None


def keep_private(home: Path) -> None:
    """Has all that this process writes from now on be its user's alone, and a home that others may read be closed.

    What is written for others, outside of the home, is given the usual permissions by `share`. Windows keeps a user's
    folders from others by itself.
    """
    global _shared_mask  # noqa: PLW0603 - the process has one mask, and had another one before
    if os.name != "posix":
        return
    mask = os.umask(0o077)
    if _shared_mask is None:
        _shared_mask = mask
    try:
        if not home.is_dir() or not stat.S_IMODE(home.stat().st_mode) & 0o077:
            return
        for folder, _folders, files in os.walk(home):
            for name in files:
                if not os.path.islink(os.path.join(folder, name)):
                    os.chmod(os.path.join(folder, name), 0o600)
            os.chmod(folder, 0o700)
    except OSError:
        return  # another user's, or a file system without permissions


def share(path: Path) -> None:
    """Gives what was written for others the permissions that files usually have; a folder with all that lies in it."""
    if _shared_mask is None:
        return
    for one in [path, *path.rglob("*")] if path.is_dir() else [path]:
        if not one.is_symlink():
            one.chmod((0o777 if one.is_dir() else 0o666) & ~_shared_mask)


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
