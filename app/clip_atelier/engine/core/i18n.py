"""One translation catalogue for engine, command line and window (gettext).

`_("…")` translates now; `N_("…")` marks a constant that is translated when it is shown. English is the source.
"""

from __future__ import annotations

import gettext
import locale
import os
from functools import cache
from typing import Final

from clip_atelier.engine.core import paths

DOMAIN: Final = "clip_atelier"
LANGUAGES: Final = {"en": "English", "ko": "한국어"}

_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_language = "en"


def _(message: str) -> str:
    """The message in the current language."""
    # gettext("") is the catalogue's header, never a translation.
    return _catalogue.gettext(message) if message else ""


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for a marked constant
    """Marks a constant for the catalogue; it is translated with `_` where it is shown."""
    return message


def language() -> str:
    """The current language's code: "en" or "ko"."""
    return _language


def set_language(code: str) -> None:
    """Makes `code` ("en" or "ko"; anything else means English) the language of everything shown from now on."""
    global _catalogue, _language  # noqa: PLW0603 - one process shows one language
    _language = code if code in LANGUAGES else "en"
    if _language == "en":
        _catalogue = gettext.NullTranslations()
    else:
        _catalogue = gettext.translation(DOMAIN, paths.resources() / "translations", languages=[_language])


@cache
def _sources() -> dict[str, str]:
    """English messages by what they are called in the other languages."""
    found: dict[str, str] = {}
    for code in LANGUAGES:
        if code != "en":
            catalogue = gettext.translation(DOMAIN, paths.resources() / "translations", languages=[code])
            messages: dict[object, str] = vars(catalogue)["_catalog"]
            # Where two are called the same, what begins a line goes before what stands within one.
            in_order = sorted((one for one in messages if isinstance(one, str) and one), reverse=True)
            found |= {messages[message]: message for message in in_order}
    return found


def source(said: str) -> str:
    """The English message that was translated into this; `said` itself where it is none, or values were put into it.

    What long work says is translated where it is done. Whoever shows it later, after the language was changed, translates
    the source once more.
    """
    return _sources().get(said, said)


def system_language() -> str:
    """The user's language: CLIP_ATELIER_LANGUAGE, else the system's, else English."""
    if own := os.environ.get("CLIP_ATELIER_LANGUAGE"):
        return _code(own) or "en"
    asked = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    if asked not in ("C", "POSIX"):  # as gettext has it: a script that asks for C means it
        for one in os.environ.get("LANGUAGE", "").split(":"):
            if code := _code(one):
                return code
    return _code(asked or locale.getlocale()[0] or "") or "en"


def _code(name: str) -> str:
    """The language of a locale's name, "" if it is none of ours. Windows names the locale in words."""
    name = name.lower()
    return "ko" if name.startswith(("ko", "korean")) else "en" if name.startswith("en") else ""
