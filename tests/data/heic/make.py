"""Makes the HEIC files beside it. Run it as: python make.py, where pillow-heif is installed, which the tests do not need.

Its encoder, x265, is under the GPL, so neither the program nor its tests have it. The pictures are ours: a red square.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageDraw

HERE = Path(__file__).parent
#: quality and colour resolution
FINE = {"quality": 80, "chroma": 444}


def drawing(mode: str = "RGB", ground: object = "white", ink: object = (224, 32, 32)) -> Image.Image:
    """A square on 64 by 48 pixels, left of the middle."""
    image = Image.new(mode, (64, 48), ground)
    ImageDraw.Draw(image).rectangle((8, 6, 40, 40), fill=ink)
    return image


def wide_profile() -> bytes:
    """An ICC profile whose red, green and blue are those of Display P3, with a plain gamma of 2.2."""

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def place(*xyz: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(number, xyz))

    name = b"Wide\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 79,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": place(0.9642, 1.0, 0.8249),
        b"rXYZ": place(0.5151, 0.2412, -0.0011),
        b"gXYZ": place(0.2920, 0.6922, 0.0419),
        b"bXYZ": place(0.1571, 0.0666, 0.7841),
    } | {
        curve: b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))
        for curve in (b"rTRC", b"gTRC", b"bTRC")
    }
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, at + len(body), len(value))
        body += value + b"\0" * (-len(value) % 4)
    content = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(">I4sI4s4s4s", 128 + len(content), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += (
        struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp")
        + b"\0" * 28
        + number(0.9642)
        + number(1.0)
        + number(0.8249)
    )
    return head.ljust(128, b"\0") + content


def main() -> None:
    """Writes them all."""
    pillow_heif.register_heif_opener()
    drawing().save(HERE / "red.heic", **FINE)
    told = Image.Exif()
    told[0x010E] = "a red square"  # ImageDescription
    drawing().save(HERE / "told.heic", exif=told.tobytes(), **FINE)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned right by a quarter
    drawing().save(HERE / "turned.heic", exif=turned.tobytes(), **FINE)
    drawing("RGBA", (0, 0, 0, 0), (224, 32, 32, 255)).save(HERE / "clear.heic", **FINE)
    drawing("RGBA", (255, 255, 255, 0), (255, 255, 255, 255)).save(HERE / "white-ink.heic", **FINE)
    drawing().save(HERE / "wide.heic", icc_profile=wide_profile(), **FINE)
    Image.new("RGB", (512, 512), "white").save(HERE / "large.heic")
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None, :].repeat(48, 0)
    with open(HERE / "grey-ten-bit.heic", "wb") as out:
        pillow_heif.encode("L;16", (64, 48), ramp.tobytes(), out, quality=80)
    with open(HERE / "ten-bit.heic", "wb") as out:
        pillow_heif.encode("RGB;16", (64, 48), ramp[..., None].repeat(3, 2).tobytes(), out, **FINE)
    both = pillow_heif.from_pillow(Image.new("RGB", (32, 32), "blue"))
    both.add_from_pillow(drawing())
    both.save(HERE / "second-of-two.heic", primary_index=1, **FINE)


if __name__ == "__main__":
    main()
