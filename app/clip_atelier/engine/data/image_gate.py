"""The one gate every image passes: a file becomes upright RGB pixels, or a reason why it cannot.

`Image.convert("RGB")` alone turns transparent ink drawings black, 16-bit scans white and float images black; `verify()`
passes truncated files. Everything that reads pixels goes through `load` instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from clip_atelier.engine.core import UserError, _, original, page_number, shown
from clip_atelier.engine.data import (
    clip_studio,
    documents,
    frames,
    framing,
    heic,
    layered,
    photoshop,
    pixels,
    vectors,
)

SUFFIXES: Final = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".psd", ".ora", ".kra",
     ".procreate", ".clip", ".pdf", ".heic", ".heif", ".hif", ".svg", ".svgz")
)  # fmt: skip
FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PSD")
MAX_PIXELS: Final = 89_000_000
"""Largest image that is decoded whole. An A3 page at 600 dots per inch has 70 million pixels."""
MAX_REDUCED_PIXELS: Final = 500_000_000
"""Largest JPEG; libjpeg shrinks while it decodes, so that memory stays bounded."""
BIG_PIXELS: Final = 16_000_000
"""Images from this size on are decoded one at a time, and shrunk before their colours are converted."""
REDUCED: Final = 224
"""A JPEG is never decoded smaller than for a target of this size, so that a scan and most models see the same pixels and one
decode serves both. It takes 7 % longer than the least that a scan needs."""

DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError,
    AssertionError, struct.error, zlib.error, Warning,
)  # fmt: skip
"""What Pillow's decoders raise on damaged files; they promise no single type. Warnings, where they are made errors."""

_PHOTOMETRIC: Final = 262
_one_big_image = threading.Lock()

# `load` compares the declared size with its own limits before anything is decoded. Pillow's check would only warn up to
# twice its limit, and `warnings` cannot be silenced per thread.
Image.MAX_IMAGE_PIXELS = None
# Remarks on damaged metadata, by line of Pillow's source, tell an artist nothing; damaged pixels are reported by name.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class ImageProblem(UserError):  # noqa: N818 - a fault of the file, told to people
    """A file that cannot be used as an image. `reason` leaves the file's name out, for lists that show it beside."""

    def __init__(self, path: str | os.PathLike[str], reason: str, hint: str = "") -> None:
        super().__init__(f"“{shown(Path(path).name)}”: {reason}", hint)
        self.reason = f"{reason} {hint}".strip()


def load(path: str | os.PathLike[str], target: frames.Frame | None = None, digest: str = "") -> Image.Image:
    """Reads an image as upright RGB.

    EXIF orientation is applied, transparency laid over white, 16-bit and float scaled by their range, CMYK and palettes
    converted; of several frames the first is taken. The format is decided by the content, not by the suffix.

    Args:
        path: The file.
        target: The side in pixels that the image will be shown at, or the patches, if known: large images may then be decoded smaller
            (never below twice that side) to save time and memory. Up to `REDUCED` the pixels do not depend on it,
            unless the image is a very large one.
        digest: SHA-256 that the file's bytes must have, if any.

    Raises:
        ImageProblem: the file is missing, no image, damaged, too large, or of another digest.
    """
    with open_regular(path) as file:
        if digest:
            before = os.fstat(file.fileno())
            _must_be(path, digest_in(path, file) == digest)
            file.seek(0)
        image = decode(path, file, None if target is None else frames.square(target))[0]
        if digest:  # written over in place while it was decoded
            after = os.fstat(file.fileno())
            _must_be(path, (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size))
        return image


def _must_be(path: str | os.PathLike[str], same: bool) -> None:
    if not same:
        raise ImageProblem(path, _("The file was replaced after the folder was read."), _("Read it again."))


_SIGNATURES: Final = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"RIFF",
    b"GIF8",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"8BPS",
    b"<svg",
)


def sniff(path: str | os.PathLike[str]) -> bool:
    """Whether a file without a suffix begins like an image."""
    try:
        with open_regular(path) as file:
            return heic.begins(file) or file.read(8).startswith(_SIGNATURES)
    except (ImageProblem, OSError):
        return False


def thumbnail(path: str | os.PathLike[str], size: int) -> Image.Image:
    """A small RGB picture, its longer side at most `size` pixels.

    Raises:
        ImageProblem: as `load`.
    """
    image = load(path, size)
    image.thumbnail((size, size), Image.Resampling.BICUBIC)
    return image


fit = framing.fit
view = framing.view


def digest_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a regular file or of a page, in hex; raises as `open_regular`."""
    with open_regular(path) as file:
        return digest_in(path, file)


def digest_in(path: str | os.PathLike[str], file: io.BufferedReader) -> str:
    """SHA-256, in hex, of what a path names: of the file's bytes, or of the document's digest and the page's number."""
    number = page_number(path)
    if not number:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(f"{documents.digest(file)} page {number}".encode()).hexdigest()


@contextlib.contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """Opens a regular file for reading, that of a page the document it is in; never blocks on a FIFO or a device. Failures while reading are problems too.

    Raises:
        ImageProblem: it is missing, unreadable, or no regular file.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    )
    try:
        descriptor = os.open(original(Path(path)), flags)
    except FileNotFoundError as error:
        raise ImageProblem(path, _("The file is not there.")) from error
    except PermissionError as error:
        raise ImageProblem(path, _("The file may not be read."), _("Change its permissions.")) from error
    except (OSError, ValueError) as error:  # a socket, a dead link, a NUL in the name
        raise ImageProblem(
            path, _("The file cannot be opened ({error}).").format(error=_cause(error))
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ImageProblem(path, _("This is not a regular file."))
        try:
            yield file
        except OSError as error:  # a failing disk, a network drive that went away
            raise ImageProblem(
                path, _("The file cannot be read ({error}).").format(error=_cause(error))
            ) from error


def decode(
    path: str | os.PathLike[str], file: BinaryIO, target: int | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """As `load`, from a file that is open at its start; `path` is only named in problems.

    Returns:
        The image, and the upright size that it has in the file.
    """
    start = file.read(16)
    file.seek(0)
    if not start:
        raise ImageProblem(path, _("The file is empty."))
    if start.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        raise ImageProblem(path, _("PostScript files are not opened."), _("Export the drawing as PNG."))
    drawn = _drawn(path, file, start, target)
    if drawn is not None:
        return drawn, drawn.size
    if start.startswith((b"PK", clip_studio.SIGNATURE)):
        inside = layered.merged_picture if start.startswith(b"PK") else clip_studio.preview
        try:
            file = inside(file)
        except layered.NoPicture as error:
            raise ImageProblem(path, str(error), _("Save it again, or export the drawing as PNG.")) from error
    try:
        with opened(file) as image:
            return _decode(path, file, image, target)
    except UnidentifiedImageError as error:
        raise _unknown(path) from error
    except heic.NoDecoder as error:
        raise ImageProblem(
            path,
            _("HEIC photographs need the package “pi-heif”, which is not installed for this system."),
            _("Export them as JPEG, or have the camera save “Most Compatible”."),
        ) from error
    except MemoryError as error:
        raise ImageProblem(
            path, _("There is not enough memory for this image."), _("Save a smaller copy.")
        ) from error
    except DAMAGE as error:
        if any(words in str(error).lower() for words in ("truncated", "end of file")):
            raise ImageProblem(path, _("The file ends too early."), _("Save or copy it again.")) from error
        raise ImageProblem(
            path,
            _("The image is damaged ({error}).").format(error=_cause(error)),
            _("Save or copy it again."),
        ) from error


def _drawn(
    path: str | os.PathLike[str], file: BinaryIO, start: bytes, target: int | None
) -> Image.Image | None:
    """What has no pixels of its own: a page of a document, an SVG drawing. None where it is neither."""
    if start.startswith(documents.SIGNATURE):
        try:
            return documents.page(file, page_number(path) or 1)
        except documents.NoPage as error:
            raise ImageProblem(path, str(error), _("Export its pages as PNG.")) from error
    if not vectors.begins(start):
        return None
    try:
        return pixels.to_rgb(vectors.drawn(file, target))
    except vectors.NotSvg as error:
        raise _unknown(path) from error
    except vectors.NoDrawing as error:
        raise ImageProblem(path, str(error), _("Export the drawing as PNG.")) from error


def opened(file: BinaryIO) -> ImageFile.ImageFile:
    """An image file of one of the kinds that are read as they are, its head read and nothing decoded.

    Raises:
        UnidentifiedImageError: it is of none of them.
        heic.NoDecoder: it is one whose decoder is missing.
        DAMAGE: what decoders raise on damaged files.
    """
    return heic.opened(file) if heic.begins(file) else Image.open(file, formats=FORMATS)


def _unknown(path: str | os.PathLike[str]) -> ImageProblem:
    return ImageProblem(
        path, _("This is not an image of a known kind."), _("Save it as PNG, JPEG, WebP or TIFF.")
    )


def _decode(
    path: str | os.PathLike[str], file: BinaryIO, image: Image.Image, target: int | None
) -> tuple[Image.Image, tuple[int, int]]:
    size = image.size
    full = image.width * image.height
    if target is not None:
        image.draft(None, (2 * max(target, REDUCED),) * 2)
    if image.width * image.height > MAX_PIXELS and not image.info.get("progressive"):
        # A progressive JPEG is held whole in memory while it is decoded, however small the result.
        image.draft(None, (image.width // 8, image.height // 8))
    if image.width * image.height > MAX_PIXELS or full > MAX_REDUCED_PIXELS:
        raise ImageProblem(
            path,
            _("The image has {count} million pixels, more than are read.").format(count=round(full / 1e6)),
            _("Save a smaller copy, up to {most} million.").format(most=round(MAX_PIXELS / 1e6)),
        )
    with _one_big_image if full > BIG_PIXELS else contextlib.nullcontext():
        stored = image.size
        image.load()
        if image.format == "PSD" and _is_flat(image):
            image = _from_layers(path, file, image)
        if image.format == "HEIF":
            image = heic.in_srgb(image)
        # A damaged EXIF block says nothing about the orientation, but the pixels are still good.
        with contextlib.suppress(*DAMAGE):
            ImageOps.exif_transpose(image, in_place=True)
        if image.size != stored:  # turned by a quarter, here or (TIFF) while loading
            size = size[::-1]
        # TIFF says whether zero is white; Pillow acts on it up to 8 bits only.
        zero_is_white = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0
        if target is not None and full > BIG_PIXELS:
            return pixels.to_small_rgb(image, target, zero_is_white), size
        return pixels.to_rgb(image, zero_is_white), size


def shows_layers(file: BinaryIO, image: Image.Image) -> bool:
    """Whether a picture of one colour, decoded from this file, is not the merged picture that the file carries."""
    file.seek(0)
    if file.read(4) != b"8BPS":
        return False
    file.seek(0)
    with Image.open(file, formats=("PSD",)) as merged:
        return merged.convert("RGB").getpixel((0, 0)) != image.getpixel((0, 0))


def _is_flat(image: Image.Image) -> bool:
    """Whether the picture is of one colour."""
    bounds: Any = image.getextrema()
    return all(low == high for low, high in (bounds if isinstance(bounds[0], tuple) else (bounds,)))


def _from_layers(path: str | os.PathLike[str], file: BinaryIO, image: Image.Image) -> Image.Image:
    """What a Photoshop file without a merged picture shows; the picture as it is where it has no layers."""
    if not getattr(image, "layers", ()) or photoshop.says_merged(file):
        return image
    try:
        return photoshop.composed(file, image.size, MAX_PIXELS)
    except photoshop.NotPlain as error:
        raise ImageProblem(
            path,
            _(
                "It was saved without its merged picture, and its layers are blended in ways that are not read."
            ),
            _("Save it again with maximised compatibility, or export the drawing as PNG."),
        ) from error


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(
        error
    ).__name__
