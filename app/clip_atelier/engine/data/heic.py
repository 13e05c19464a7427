"""HEIC photographs, as telephones and some cameras save them: opened like any other image, their colours those of the screen."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any, BinaryIO, Final

from PIL import Image, ImageCms, ImageFile

from clip_atelier.engine.core import _

_BRANDS: Final = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1", b"miaf")
)  # fmt: skip
_MOST_BRANDS: Final = 1024
MAX_BYTES: Final = 512 * 1024 * 1024
"""Of a file, which is held in memory while it is read."""


class NoDecoder(Exception):  # noqa: N818 - says what is missing
    """The library that decodes them is not there."""


def begins(file: BinaryIO) -> bool:
    """Whether a file that is open at its start says that it holds HEVC pictures; it is at its start again afterwards.

    HEIC, AVIF and films share one container and are told apart by the brands that it names.
    """
    start = file.read(16)
    file.seek(0)
    if start[4:8] != b"ftyp":
        return False
    box = file.read(min(int.from_bytes(start[:4]), _MOST_BRANDS))
    file.seek(0)
    brands = {box[8:12], *(box[at : at + 4] for at in range(16, len(box) - 3, 4))}
    return not brands & {b"avif", b"avis"} and bool(brands & _BRANDS)


def opened(file: BinaryIO) -> ImageFile.ImageFile:
    """The main picture of a file, upright and not yet decoded.

    Raises:
        NoDecoder: the library is not there.
        SyntaxError: the file is damaged, or its pictures are kept in a way that is not read.
    """
    if file.seek(0, os.SEEK_END) > MAX_BYTES:
        raise SyntaxError(_("The file is larger than what is read."))
    file.seek(0)
    try:
        from pi_heif import options
        from pi_heif.as_plugin import HeifImageFile

        # Thumbnails, maps of depth and other pictures beside the main one are nothing to look at, and stay closed.
        options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
        image: ImageFile.ImageFile = HeifImageFile(file)
    except ImportError as error:
        raise NoDecoder from error
    return image


def in_srgb(image: Image.Image) -> Image.Image:
    """A decoded picture in the colours of a common screen. Telephones keep theirs in a wider range, where equal numbers are more vivid.

    A profile that is damaged, or made for another kind of picture, says nothing, and the picture is as it was.
    """
    profile: Any = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA"):
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), inPlace=True)
    return image
