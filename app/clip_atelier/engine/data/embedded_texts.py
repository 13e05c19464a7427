"""Captions inside image files: XMP, IPTC, EXIF and the text chunks of PNG, as photo programs write them.

Only what stands in the file's head is looked at, by Pillow; nothing is decoded and no other program is asked.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from clip_atelier.engine.data import heic, image_gate, xmp
from clip_atelier.engine.data.text_encoding import UnreadableText, decoded

MOST: Final = 20_000
"""Letters of a caption; what is longer is a program's own data."""
_IPTC_CAPTION: Final = (2, 120)
_IPTC_TITLE: Final = (2, 5)
_XP_TITLE, _XP_COMMENT = 0x9C9B, 0x9C9C
_COMMENT_CODES: Final = {b"ASCII\0\0\0": "utf-8", b"UNICODE\0": "utf-16", b"JIS\0\0\0\0\0": "iso2022_jp"}
_NO_CAPTION: Final = re.compile(
    r"^(created with .*|.*(digital camera|default)|(sony|samsung|minolta|konica|kodak|lead technologies).*"
    r"|screenshot|untitled|image description|picasa|charset=\S+|\{.*|<.*|[\W\d_]*)$",
    re.IGNORECASE | re.DOTALL,
)
"""What cameras and programs write by themselves: it says nothing of the drawing."""
_PNG: Final = ("Description", "Title")
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_WORDED: Final = frozenset((b"IHDR", b"eXIf", b"tEXt", b"zTXt", b"iTXt"))
"""Chunks of a PNG that say what it is or hold words. They may stand behind its picture."""
_LONGEST_CHUNK: Final = 8_000_000
_NO_PICTURE: Final = b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82"


def captions(file: BinaryIO) -> tuple[str, ...]:
    """What the head of an image says of it: the first of XMP, IPTC, EXIF and PNG text that holds a caption; () if none does.

    Args:
        file: Open for reading; where it stands afterwards is not said.
    """
    found: tuple[str, ...] = ()
    # Damaged metadata says nothing, and is no fault of the drawing; Pillow promises no single kind of error.
    with contextlib.suppress(*image_gate.DAMAGE, heic.NoDecoder):
        file.seek(0)
        with image_gate.opened(_without_picture(file)) as image:
            for texts in _told(image):
                found = tuple(dict.fromkeys(text for text in map(_cleaned, texts) if text))
                if found:
                    break
    return found


def _without_picture(file: BinaryIO) -> BinaryIO:
    """Only the words of a PNG. Pillow would decode the whole picture to see whether any stand behind it."""
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        file.seek(0)
        return file
    kept = [_SIGNATURE]
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        length = int.from_bytes(head[:4], "big") + 4  # with its checksum
        if head[4:] in _WORDED and length <= _LONGEST_CHUNK:
            kept += head, file.read(length)
        else:
            file.seek(length, io.SEEK_CUR)
    return io.BytesIO(b"".join((*kept, _NO_PICTURE)))


def _cleaned(text: str) -> str:
    text = text.replace("\0", "").strip()
    return "" if len(text) > MOST or _NO_CAPTION.match(text) else text


def _told(image: ImageFile.ImageFile) -> Iterator[tuple[str, ...]]:
    packet: Any = image.info.get("xmp")
    if packet:
        with contextlib.suppress(xmp.NoXmp, UnreadableText):
            yield xmp.captions(packet if isinstance(packet, str) else decoded(bytes(packet))[0])
    iptc: dict[Any, Any] = {}
    with contextlib.suppress(SyntaxError, ValueError, KeyError, TypeError):
        iptc = IptcImagePlugin.getiptcinfo(image) or {}
    yield tuple(_letters(iptc.get(_IPTC_CAPTION)))
    exif = Image.Image.getexif(image)  # that of PNG files would decode the picture
    yield tuple(_letters(exif.get(ExifTags.Base.ImageDescription)))
    yield tuple(_wide(exif.get(_XP_COMMENT)))
    yield tuple(_comment(exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)))
    yield tuple(_wide(exif.get(_XP_TITLE)))
    yield tuple(_letters(iptc.get(_IPTC_TITLE)))
    yield tuple(text for name in _PNG if isinstance(text := image.info.get(name), str))


def _letters(value: Any) -> Iterator[str]:
    """A text of bytes in an encoding that nothing names. Pillow takes EXIF's for Latin-1; most programs write UTF-8."""
    if isinstance(value, list):
        value = value[0] if value else b""
    if isinstance(value, str):
        with contextlib.suppress(UnicodeError):
            value = value.encode("latin-1")
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        with contextlib.suppress(UnreadableText):
            yield decoded(value.rstrip(b"\0"))[0]


def _wide(value: Any) -> Iterator[str]:
    """A text of Windows' own fields."""
    if isinstance(value, tuple):
        value = bytes(value)
    if isinstance(value, bytes):
        yield value.decode("utf-16-le", "ignore")


def _comment(value: Any) -> Iterator[str]:
    """EXIF's comment, whose first eight bytes name its encoding."""
    if not isinstance(value, bytes):
        yield from _letters(value)
        return
    codec, text = _COMMENT_CODES.get(value[:8]), value[8:]
    if (
        codec == "utf-16"
    ):  # in the order of the file's own numbers, which is told nowhere near: the likelier one
        high = text[::2].count(0) > text[1::2].count(0)
        yield text.decode("utf-16-be" if high else "utf-16-le", "ignore")
    elif codec:
        yield text.decode(codec, "ignore")
    else:
        yield from _letters(value.lstrip(b"\0"))
