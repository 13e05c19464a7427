"""Layers of a Photoshop file that was saved without its merged picture, laid over each other where that is plain.

Source: Adobe Photoshop File Formats Specification, "Layer and Mask Information". Plain are 8-bit RGB or grey layers in
normal mode, of any opacity, hidden or in visible groups; masks, clipping, other modes, effects and adjustments are not.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from PIL import Image

MAX_LAYERS: Final = 2_000
MAX_RECORDS: Final = 64 * 1024 * 1024
"""Bytes of the layers' own records; text and thumbnails inside them may be long."""
_GREY, _RGB = 1, 3
_GROUP_ENDS: Final = (1, 2, 3)
_CHANGES: Final = frozenset(
    (b"levl", b"curv", b"hue2", b"hue ", b"brit", b"blnc", b"mixr", b"phfl", b"selc", b"post", b"nvrt", b"thrs", b"grdm",
     b"blwh", b"expA", b"vibA", b"clrL", b"SoCo", b"GdFl", b"PtFl", b"lrFX", b"lfx2", b"lmfx", b"vmsk", b"vsms")
)  # fmt: skip
"""Blocks of adjustments, fills, effects and vector masks."""
_MERGED_RESOURCE: Final = 1057


class NotPlain(Exception):  # noqa: N818 - says what cannot be done
    """The layers cannot be laid over each other here: they are blended in other ways, or the file is damaged."""


@dataclass
class _Layer:
    top: int
    left: int
    bottom: int
    right: int
    channels: list[tuple[int, int]]  # id and length
    visible: bool
    opacity: int
    plain: bool
    group: int  # 0 for a layer, else what kind of divider it is


def composed(file: BinaryIO, size: tuple[int, int], most: int) -> Image.Image:
    """The visible layers over white, RGB.

    Args:
        file: The Photoshop file.
        size: Its width and height.
        most: The most pixels of one layer.

    Raises:
        NotPlain: see there.
    """
    try:
        return _composed(file, size, most)
    except (struct.error, OSError, ValueError, EOFError, IndexError, MemoryError) as error:
        raise NotPlain(str(error)) from error


def says_merged(file: BinaryIO) -> bool:
    """Whether the file itself says that its merged picture is a real one; False where it does not say."""
    try:
        _header(file)
        end = _skip_colours(file)
        while file.tell() + 12 <= end:
            signature, number, named = struct.unpack(">4sHB", _take(file, 7))
            if signature != b"8BIM":
                return False
            file.seek(named + (0 if named % 2 else 1), 1)
            (length,) = struct.unpack(">I", _take(file, 4))
            if number == _MERGED_RESOURCE:
                return _take(file, 5)[4] != 0
            file.seek(length + length % 2, 1)
    except (struct.error, OSError, ValueError, EOFError):
        pass
    return False


def _composed(file: BinaryIO, size: tuple[int, int], most: int) -> Image.Image:
    colours = _header(file)
    file.seek(_skip_colours(file))
    layers = _records(file)
    picture = Image.new("RGB", size, "white")
    for layer in layers:
        start = file.tell()
        if layer.visible and not layer.group:
            _lay(picture, file, layer, colours, most)
        file.seek(start + sum(length for _kind, length in layer.channels))
    return picture


def _header(file: BinaryIO) -> int:
    """How many channels of colour there are."""
    file.seek(0)
    signature, version, depth, mode = struct.unpack(">4sH6x2x8xHH", _take(file, 26))
    if signature != b"8BPS" or version != 1 or depth != 8 or mode not in (_GREY, _RGB):
        raise NotPlain("depth or colours")
    return 3 if mode == _RGB else 1


def _skip_colours(file: BinaryIO) -> int:
    """Goes to the image resources; where they end."""
    (length,) = struct.unpack(">I", _take(file, 4))
    file.seek(length, 1)
    (length,) = struct.unpack(">I", _take(file, 4))
    return file.tell() + int(length)


def _records(file: BinaryIO) -> list[_Layer]:
    """The layers from the lowest on; the file stands at their pixels then."""
    whole, _inner, count = struct.unpack(">IIh", _take(file, 10))
    if not whole or not 0 < abs(count) <= MAX_LAYERS:
        raise NotPlain("no layers")
    first = file.tell()
    layers = []
    for _number in range(abs(count)):
        layers.append(_record(file))
        if file.tell() - first > MAX_RECORDS:
            raise NotPlain("long records")
    inside = False  # of a group that is hidden or blended: told from the top down
    for layer in reversed(layers):
        if layer.group in (1, 2):
            if not layer.visible or not layer.plain or layer.opacity < 255:
                inside = True
        elif inside or (layer.visible and not layer.plain):
            raise NotPlain("blending")
    return layers


def _record(file: BinaryIO) -> _Layer:
    top, left, bottom, right, count = struct.unpack(">iiiiH", _take(file, 18))
    if count > 56:
        raise NotPlain("channels")
    channels = [struct.unpack(">hI", _take(file, 6)) for _channel in range(count)]
    signature, mode, opacity, clipping, flags, length = struct.unpack(">4s4sBBBxI", _take(file, 16))
    if signature != b"8BIM":
        raise NotPlain("damaged")
    end = file.tell() + length
    (mask,) = struct.unpack(">I", _take(file, 4))
    file.seek(mask, 1)
    (ranges,) = struct.unpack(">I", _take(file, 4))
    file.seek(ranges, 1)
    named = _take(file, 1)[0]
    file.seek(3 - named % 4 + named, 1)
    group, changed = 0, False
    while file.tell() + 12 <= end:
        _signature, key, size = struct.unpack(">4s4sI", _take(file, 12))
        if key == b"lsct":
            (group,) = struct.unpack(">I", _take(file, 4))
            file.seek(size - 4, 1)
        else:
            changed = changed or key in _CHANGES
            file.seek(size + size % 2, 1)
    file.seek(end)
    plain = (
        mode in ((b"norm", b"pass") if group else (b"norm",)) and not clipping and not mask and not changed
    )
    return _Layer(
        top,
        left,
        bottom,
        right,
        channels,
        not flags & 2,
        opacity,
        plain,
        group if group in _GROUP_ENDS else 0,
    )


def _lay(picture: Image.Image, file: BinaryIO, layer: _Layer, colours: int, most: int) -> None:
    width, height = layer.right - layer.left, layer.bottom - layer.top
    if width <= 0 or height <= 0:
        return
    if width * height > most:
        raise NotPlain("too large")
    planes: dict[int, Image.Image] = {}
    for kind, length in layer.channels:
        start = file.tell()
        if kind in (-1, *range(colours)):
            planes[kind] = _plane(file, (width, height), length)
        file.seek(start + length)
    alpha = planes.pop(-1, Image.new("L", (width, height), 255))
    if len(planes) != colours:
        raise NotPlain("channels")
    if layer.opacity < 255:
        alpha = alpha.point([round(value * layer.opacity / 255) for value in range(256)])
    bands = [planes[number] for number in range(colours)]
    top = Image.merge("RGB", bands if colours == 3 else bands * 3)
    picture.paste(top, (layer.left, layer.top), alpha)


def _plane(file: BinaryIO, size: tuple[int, int], length: int) -> Image.Image:
    (packing,) = struct.unpack(">H", _take(file, 2))
    width, height = size
    if packing == 0:
        return Image.frombytes("L", size, _take(file, width * height))
    if packing != 1:
        raise NotPlain("packing")
    file.seek(2 * height, 1)  # the lengths of the lines, which PackBits does not need
    return Image.frombytes("L", size, _take(file, length - 2 - 2 * height), "packbits", "L")


def _take(file: BinaryIO, count: int) -> bytes:
    found = file.read(count) if count >= 0 else b""
    if len(found) != count:
        raise EOFError("the file ends too early")
    return found
