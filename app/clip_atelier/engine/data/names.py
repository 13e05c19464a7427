"""File names as people mean them: matched whatever their Unicode form, and read as words."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from clip_atelier.engine.core import document_of_page


def nfc(text: str) -> str:
    """Composed form: macOS writes Korean syllables and accents in pieces."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """The form in which names are compared where their exact spelling does not matter."""
    return nfc(nfc(text).casefold())


def stem(path: str) -> str:
    """The path without its last suffix."""
    return posixpath.splitext(path)[0]


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Paths by the key that each comes with, in their order."""
    found: dict[str, list[str]] = defaultdict(list)
    for key, path in pairs:
        found[key].append(path)
    return dict(found)


class Lookup:
    """Finds paths by names that may differ in Unicode form or in upper and lower case."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._exact = set(paths)

    # Made when somebody asks: most folders have no tables, and of a hundred thousand names it takes a second.
    @cached_property
    def _composed(self) -> dict[str, list[str]]:
        return grouped((nfc(path), path) for path in sorted(self._exact))

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        return grouped((folded(path), path) for path in sorted(self._exact))

    def find(self, name: str) -> list[str]:
        """The paths that `name` may mean, best first; more than one if it is ambiguous."""
        composed = self._composed.get(nfc(name), [])
        if name in self._exact:
            return [name, *(path for path in composed if path != name)]
        return composed or self._folded.get(folded(name), [])


_CAMERA = re.compile(
    r"(img|dsc|dscn|dscf|pxl|mvimg|scan|scanned|image|photo|pict?|screenshot|screen shot|kakaotalk|untitled|"
    r"이미지|사진|스캔|스크린샷|제목없음|무제)?[\s\d().-]*",
    re.IGNORECASE,
)
_LEADING = re.compile(r"^(?:[\s(#-]*\d+[\s.)#-]+|0\d+)(?=\S)")
_TRAILING = re.compile(r"(?:[\s(#-]+|(?<=[^\W\d]{2}))\d+\)?$")
_COPY = re.compile(r"\s*(-\s*)?\b(copy|사본|복사본)\s*(\(?\d+\)?)?$", re.IGNORECASE)


def is_nameless(name: str) -> bool:
    """Whether a file's name, without its suffix, is such as cameras and scanners give: "IMG_1234"."""
    return bool(_CAMERA.fullmatch(re.sub(r"[_+~]+", " ", name)))


def words(path: str) -> str:
    """A file's name as words: "02_redPanda-v2.png" gives "red panda v2".

    Names without words, as cameras and scanners give them, stay as they are: "IMG_1234". Pages are called like their document.
    """
    raw = nfc(stem(posixpath.basename(document_of_page(path) or path)))
    raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "ignore")
    text = re.sub(r"[_+~]+|\.(?=\D)|(?<=\w)-(?=\w)", " ", raw)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    if not _CAMERA.fullmatch(text):
        text = _COPY.sub("", text)
        text = _TRAILING.sub("", _LEADING.sub("", text)) or text
        text = " ".join(part if part.isupper() and len(part) > 1 else part.lower() for part in text.split())
    else:
        text = raw
    return " ".join(text.split()) or raw.strip() or "drawing"
