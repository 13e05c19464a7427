"""Painting programs' zip files (.ora, .kra, .procreate): the merged picture they carry, read with a bound and never extracted."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import BinaryIO, Final

from clip_atelier.engine.core import _

MERGED: Final = ("mergedimage.png", "preview.png", "Thumbnails/thumbnail.png", "QuickLook/Thumbnail.png")
"""Where Krita, OpenRaster and Procreate keep the whole picture, best first."""
MAX_BYTES: Final = 128 * 1024 * 1024


class NoPicture(Exception):  # noqa: N818 - says what is missing
    """There is no usable merged picture; the text says why, translated."""


def merged_picture(file: BinaryIO) -> BinaryIO:
    """The PNG of the merged picture inside a .ora, .kra or .procreate file, in memory.

    Raises:
        NoPicture: the zip is damaged, has no merged picture, or unpacks to more than `MAX_BYTES`.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            for name in MERGED:
                try:
                    member = archive.getinfo(name)
                except KeyError:
                    continue
                with archive.open(member) as stream:
                    # What is read is counted, because the size that the zip states may be a lie.
                    content = stream.read(MAX_BYTES + 1)
                if len(content) > MAX_BYTES:
                    raise NoPicture(_("The picture inside unpacks to more than is read."))
                return io.BytesIO(content)
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise NoPicture(_("The file is damaged ({error}).").format(error=error)) from error
    raise NoPicture(_("There is no merged picture inside."))
