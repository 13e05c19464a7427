"""Before the program starts on Linux: what a bare system lacks is lent from the program's own folder.

Drivers belong to the system, so its libraries come first; only a library that it does not have at all is opened
from `fallback/`. The loader then finds it under its name when Qt asks for it.
"""

import ctypes
import os
import sys
from pathlib import Path

_FALLBACK = Path(sys._MEIPASS) / "fallback"  # type: ignore[attr-defined]


def _lend_libraries() -> None:
    order = _FALLBACK / "order.txt"
    for name in order.read_text(encoding="ascii").split() if order.is_file() else ():
        try:
            ctypes.CDLL(name)
        except OSError:
            ctypes.CDLL(str(_FALLBACK / name), mode=ctypes.RTLD_GLOBAL)


def _lend_font_settings() -> None:
    if not os.environ.get("FONTCONFIG_FILE") and not Path("/etc/fonts/fonts.conf").is_file():
        os.environ["FONTCONFIG_FILE"] = str(_FALLBACK / "fonts.conf")


def _give_libraries_back() -> None:
    """Programs started from here, such as the file manager, are the system's and want the system's libraries."""
    before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    if before is None:
        os.environ.pop("LD_LIBRARY_PATH", None)
    else:
        os.environ["LD_LIBRARY_PATH"] = before
    # A process of our own, such as the one that trains, would take it that it inherited the path that was just given back,
    # and not find what the lent libraries need; so it begins as if nobody had started it.
    os.environ["PYINSTALLER_RESET_ENVIRONMENT"] = "1"


_lend_libraries()
_lend_font_settings()
_give_libraries_back()
