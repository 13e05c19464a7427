"""Text files in the encodings that people's programs write, read so that they can be written back byte for byte."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from clip_atelier.engine.core import _

SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half a letter: a byte that could not be read, or what a program wrote that took letters apart."""
_WIDE: Final = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SEQUENCE: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_WESTERN: Final = frozenset("‘’“”–—…«»°·×•€£§©®¡¿´¨\u00a0")
_LIKELY: Final = 0.8
"""Share of a text's letters beyond ASCII that must be plausible in an encoding that nothing in the file names."""


class UnreadableText(ValueError):  # noqa: N818 - a fault of the file, told to people
    """Bytes that are no text in any encoding that is known here. The message is a translated sentence."""


@dataclass(frozen=True)
class Encoding:
    """How a file turns letters into bytes.

    Attributes:
        codec: Python's name of it.
        mark: The bytes before the first letter that name the encoding.
        guessed: Whether it was told from the letters alone, and may be another Western one.
    """

    codec: str
    mark: bytes = b""
    guessed: bool = False

    @property
    def _errors(self) -> str:
        return "surrogatepass" if self.codec in _WIDE else "surrogateescape"

    def decode(self, content: bytes) -> str:
        """The text of a whole file; bytes that are no letters stay as lone surrogates where the encoding allows it."""
        return content[len(self.mark) :].decode(self.codec, self._errors)

    def encode(self, text: str) -> bytes:
        """The bytes of a whole file.

        Raises:
            UnicodeEncodeError: the encoding has no such letter.
        """
        return self.mark + text.encode(self.codec, self._errors)

    def as_file_name(self, text: str) -> str:
        """A name as the operating system would give it, had its bytes been written into the file as they are."""
        try:
            return text.encode(self.codec, self._errors).decode("utf-8", "surrogateescape")
        except UnicodeError:
            return text


NEW: Final = Encoding("utf-8", codecs.BOM_UTF8)
"""What we write ourselves: with the mark, spreadsheet programs read Korean as UTF-8; other readers skip it."""


def encoding_of(content: bytes) -> Encoding:
    """The encoding of a text file: by its mark, else UTF-8, UTF-16 of a table, Korean cp949 or Western cp1252.

    What fits none of them is read as UTF-8 with its odd bytes as lone surrogates, so that the lines that hold them can
    be named and all others read.
    """
    for mark, codec in _MARKS:
        if content.startswith(mark):
            return Encoding(codec, mark)
    first, second = content[:16:2], content[1:16:2]
    if len(content) >= 16 and len(content) % 2 == 0:  # the name of a first column is in ASCII
        if not any(second) and all(first):
            return Encoding("utf-16-le")
        if not any(first) and all(second):
            return Encoding("utf-16-be")
    if _decodes(content, "utf-8"):
        return Encoding("utf-8")
    sequences = sum(map(len, _SEQUENCE.findall(content)))
    odd = sum(byte >= 0x80 for byte in content) - sequences
    if sequences > 2 * odd:
        return Encoding("utf-8")  # UTF-8 with a few damaged bytes
    if _decodes(content, "cp949") and _is_korean(content):
        return Encoding("cp949")
    if _decodes(content, "cp1252") and _is_western(content.decode("cp1252")):
        return Encoding("cp1252", guessed=True)
    return Encoding("utf-8")


def decoded(content: bytes) -> tuple[str, Encoding]:
    """The text of a file and how it is encoded.

    Raises:
        UnreadableText: it ends in the middle of a letter.
    """
    encoding = encoding_of(content)
    try:
        return encoding.decode(content), encoding
    except UnicodeDecodeError as error:
        raise UnreadableText(_("The text ends in the middle of a letter. Copy or save it again.")) from error


def _decodes(content: bytes, codec: str) -> bool:
    try:
        content.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _is_korean(content: bytes) -> bool:
    """Whether the letters are Korean ones: common, or of two high bytes, which Western text does not have in a row."""
    letters = [letter for letter in content.decode("cp949") if letter > "\x7f"]
    good = sum(_is_common(letter) or letter.encode("cp949")[-1] >= 0x80 for letter in letters)
    return good >= _LIKELY * len(letters)


def _is_western(text: str) -> bool:
    letters = [letter for letter in text if letter > "\x7f"]
    good = sum(
        (letter >= "À" and letter.isalpha() and letter != "ƒ") or letter in _WESTERN for letter in letters
    )
    return good >= _LIKELY * len(letters)


def _is_common(letter: str) -> bool:
    """Whether a letter is one of the 2,350 syllables or the hanja of KS X 1001; the codec spells others in eight bytes."""
    try:
        return len(letter.encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False
