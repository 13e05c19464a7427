"""Golden pixels: what the gate makes of each kind of file, against values worked out by hand."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from clip_atelier.engine.data import image_gate

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
SIXTEEN = GREY.astype(np.uint16) * 257


def pixels(path: Path, target: int | None = None) -> npt.NDArray[np.int64]:
    image = image_gate.load(path, target)
    assert image.mode == "RGB"
    return np.asarray(image).astype(np.int64)


def grey(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    return np.repeat(values.astype(np.int64)[..., None], 3, axis=2)


def patched(tiff: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with one tag's value replaced."""
    content = bytearray(tiff)
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] == tag:
            struct.pack_into("<H", content, entry + 8, value)
            return bytes(content)
    raise KeyError(tag)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(("suffix", "options"), [
    ("png", {}), ("webp", {"lossless": True}), ("bmp", {}), ("gif", {}), ("tif", {}), ("tif", {"compression": "tiff_lzw"}),
])  # fmt: skip
def test_lossless_kinds_keep_their_pixels(tmp_path: Path, suffix: str, options: dict[str, object]) -> None:
    Image.fromarray(GREY).save(tmp_path / f"a.{suffix}", **options)
    assert np.array_equal(pixels(tmp_path / f"a.{suffix}"), grey(GREY))


@pytest.mark.parametrize(("kind", "options"), [
    ("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_deflate"}),
])  # fmt: skip
@pytest.mark.parametrize("ink", [(0, 0, 0), (200, 40, 10)])
def test_alpha_is_laid_over_white(
    tmp_path: Path, kind: str, options: dict[str, object], ink: tuple[int, int, int]
) -> None:
    drawing = Image.new("RGBA", (16, 16), (*ink, 0))
    drawing.putalpha(Image.fromarray(GREY))
    (tmp_path / "a").write_bytes(encoded(drawing, kind, **options))
    alpha = GREY[..., None] / 255
    expected = np.array(ink) * alpha + 255 * (1 - alpha)
    assert np.abs(pixels(tmp_path / "a") - expected).max() <= 1


@pytest.mark.parametrize("target", [None, 16])
@pytest.mark.parametrize("side", [64, 4200])
def test_white_ink_alone_lies_on_a_ground_that_shows_it(
    tmp_path: Path, side: int, target: int | None
) -> None:
    alpha = Image.new("L", (side, side))
    alpha.paste(255, (side // 4, side // 4, side // 2, side // 2))
    drawing = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    drawing.putalpha(alpha)
    drawing.save(tmp_path / "a.png", compress_level=1)
    found = np.asarray(image_gate.load(tmp_path / "a.png", target))
    middle = 3 * len(found) // 8
    assert found[middle, middle].tolist() == [255, 255, 255]
    assert found[0, 0].tolist() == [40, 40, 40]
    drawing.putpixel((0, 0), (0, 0, 0, 255))  # with any other ink it lies on white, as drawings do
    drawing.paste((0, 0, 0, 255), (0, 0, side // 8, side // 8))
    drawing.save(tmp_path / "b.png", compress_level=1)
    assert np.asarray(image_gate.load(tmp_path / "b.png", target))[-1, -1].tolist() == [255, 255, 255]


@pytest.mark.fault(29)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_with_alpha(tmp_path: Path, suffix: str) -> None:
    Image.merge("LA", (Image.new("L", (16, 16), 0), Image.fromarray(GREY))).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(pixels(tmp_path / f"a.{suffix}"), grey(255 - GREY))


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_with_one_transparent_colour(tmp_path: Path, suffix: str) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255, 0, 255, 0])
    image.putpixel((0, 0), 0)
    image.putpixel((1, 0), 2)
    image.save(tmp_path / f"a.{suffix}", transparency=0)
    found = pixels(tmp_path / f"a.{suffix}")
    assert found[0, :3].tolist() == [[255, 255, 255], [0, 255, 0], [0, 0, 255]]


@pytest.mark.fault(29)
def test_palette_with_several_alphas(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putdata([0, 1, 2])
    image.putpalette([0, 0, 0] * 3)
    image.save(tmp_path / "a.png", transparency=bytes([255, 51, 0]))
    assert pixels(tmp_path / "a.png")[0, :, 0].tolist() == [0, 204, 255]


@pytest.mark.parametrize(("mode", "clear"), [("L", 0), ("RGB", (0, 0, 0)), ("1", 0)])
def test_png_with_one_transparent_value(tmp_path: Path, mode: str, clear: object) -> None:
    image = Image.new(mode, (2, 1), 0)
    image.putpixel((1, 0), (9, 9, 9) if mode == "RGB" else 1 if mode == "1" else 9)
    image.save(tmp_path / "a.png", transparency=clear)
    assert pixels(tmp_path / "a.png")[0, :, 0].tolist() == (
        [40, 255] if mode == "1" else [255, 9]
    )  # white ink


def test_sixteen_bit_png_with_one_transparent_value(tmp_path: Path) -> None:
    Image.fromarray(SIXTEEN).save(tmp_path / "a.png", transparency=0)
    expected = grey(GREY)
    expected[0, 0] = 255
    assert np.array_equal(pixels(tmp_path / "a.png"), expected)


@pytest.mark.fault(29)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_by_their_range(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(SIXTEEN).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(pixels(tmp_path / f"a.{suffix}"), grey(GREY))


def test_big_endian_sixteen_bit_tiff(tmp_path: Path) -> None:
    content = struct.pack(">2sHI", b"MM", 42, 8 + 512) + SIXTEEN.astype(">u2").tobytes()
    tags = [(256, 3, 16), (257, 3, 16), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 16),
            (279, 4, 512)]  # fmt: skip
    content += struct.pack(">H", len(tags))
    for tag, kind, value in tags:
        content += struct.pack(
            ">HHIHH" if kind == 3 else ">HHII", tag, kind, 1, *([value, 0] if kind == 3 else [value])
        )
    (tmp_path / "a.tif").write_bytes(content + b"\0\0\0\0")
    assert np.array_equal(pixels(tmp_path / "a.tif"), grey(GREY))


@pytest.mark.parametrize("values", [GREY, SIXTEEN, GREY.astype(np.float32) / 255], ids=["8", "16", "float"])
def test_tiff_where_zero_is_white(tmp_path: Path, values: npt.NDArray[np.generic]) -> None:
    tiff = encoded(Image.fromarray(values), "TIFF")
    (tmp_path / "a.tif").write_bytes(patched(tiff, 262, 0))
    assert np.array_equal(pixels(tmp_path / "a.tif"), grey(255 - GREY))


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_float_is_scaled_by_the_range_it_is_in(tmp_path: Path, top: float) -> None:
    Image.fromarray(GREY.astype(np.float32) / 255 * np.float32(top)).save(tmp_path / "a.tif")
    assert np.abs(pixels(tmp_path / "a.tif") - grey(GREY)).max() <= 1


def test_float_of_no_usual_range_is_stretched(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.float32) * 3 - 100).save(tmp_path / "a.tif")
    assert np.abs(pixels(tmp_path / "a.tif") - grey(GREY)).max() <= 1


def test_float_holes_become_paper(tmp_path: Path) -> None:
    values = GREY.astype(np.float32) / 255
    values[0, 0], values[0, 1] = np.nan, np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    found = pixels(tmp_path / "a.tif")
    assert found[0, :3, 0].tolist() == [255, 255, 2]


@pytest.mark.parametrize("factor", [1, 257, 100_000])
def test_thirty_two_bit_integers(tmp_path: Path, factor: int) -> None:
    Image.fromarray(GREY.astype(np.int32) * factor).save(tmp_path / "a.tif")
    assert np.abs(pixels(tmp_path / "a.tif") - grey(GREY)).max() <= 1


@pytest.mark.fault(29)
@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk(tmp_path: Path, suffix: str) -> None:
    image = Image.new("CMYK", (32, 16), (0, 255, 255, 0))
    image.paste((255, 0, 0, 127), (16, 0, 32, 16))
    image.save(tmp_path / f"a.{suffix}", **({"quality": 95} if suffix == "jpg" else {}))
    found = pixels(tmp_path / f"a.{suffix}")
    assert np.abs(found[8, 4] - [255, 0, 0]).max() <= 3
    assert np.abs(found[8, 28] - [0, 128, 128]).max() <= 3


def test_lab(tmp_path: Path) -> None:
    Image.new("LAB", (4, 4), (255, 128, 128)).save(tmp_path / "a.tif")
    assert np.abs(pixels(tmp_path / "a.tif") - 255).max() <= 2


TURNS: dict[int, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: np.rot90,
}


@pytest.mark.fault(29)
@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation(tmp_path: Path, kind: str, orientation: int) -> None:
    stored = GREY[:5, :9]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(Image.fromarray(stored).convert("RGB"), kind, exif=exif, **options)
    (tmp_path / "a").write_bytes(content)
    assert np.array_equal(pixels(tmp_path / "a"), grey(TURNS[orientation](stored)))


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation_of_jpeg(tmp_path: Path, orientation: int) -> None:
    stored = np.zeros((64, 128), np.uint8)
    stored[:32, :32] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=95)
    for target in (None, 16):  # decoded whole, and smaller while decoding
        found = pixels(tmp_path / "a.jpg", target)[..., 0]
        expected = np.asarray(Image.fromarray(TURNS[orientation](stored)).resize(found.shape[::-1]))
        assert np.abs(found - expected.astype(int)).mean() < 4


def test_damaged_exif_does_not_cost_the_image(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(GREY), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    (tmp_path / "a.png").write_bytes(content)
    assert np.array_equal(pixels(tmp_path / "a.png"), grey(GREY))


@pytest.mark.fault(29, 30)
@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_only_the_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    frames[0].save(
        tmp_path / f"a.{suffix}",
        save_all=True,
        append_images=frames[1:],
        **({"lossless": True} if suffix == "webp" else {}),
    )
    assert (pixels(tmp_path / f"a.{suffix}") == [255, 0, 0]).all()


@pytest.mark.fault(29)
@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_thin_images(tmp_path: Path, size: tuple[int, int]) -> None:
    image = Image.new("L", size, 255)
    image.putpixel((size[0] // 2, size[1] // 2), 0)
    image.save(tmp_path / "a.png")
    assert image_gate.load(tmp_path / "a.png").size == size
    for how in ("letterbox", "crop"):
        square = image_gate.fit(image_gate.load(tmp_path / "a.png"), 32, how)
        assert square.shape == (32, 32, 3)
        assert square.dtype == np.uint8
        assert square.min() < 255 or how == "letterbox"


@pytest.mark.parametrize("name", ["mergedimage.png", "preview.png", "Thumbnails/thumbnail.png"])
@pytest.mark.parametrize("suffix", ["ora", "kra"])
def test_painting_programs_merged_picture(tmp_path: Path, suffix: str, name: str) -> None:
    with zipfile.ZipFile(tmp_path / f"a.{suffix}", "w") as archive:
        archive.writestr("mimetype", "image/openraster")
        archive.writestr(name, encoded(Image.fromarray(GREY), "PNG"))
    assert np.array_equal(pixels(tmp_path / f"a.{suffix}"), grey(GREY))


def psd(values: npt.NDArray[np.uint8]) -> bytes:
    """A flat Photoshop file: header, no colour data, no resources, no layers, raw planes."""
    planes, height, width = values.shape
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, planes, height, width, 8, 3)
    return header + struct.pack(">III", 0, 0, 0) + struct.pack(">H", 0) + values.tobytes()


def test_photoshop_composite(tmp_path: Path) -> None:
    (tmp_path / "a.psd").write_bytes(psd(np.stack([GREY, 255 - GREY, GREY])))
    assert np.array_equal(pixels(tmp_path / "a.psd"), np.stack([GREY, 255 - GREY, GREY], axis=2).astype(int))


def test_large_jpegs_are_decoded_smaller_but_never_below_twice_the_target(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "a.jpg")
    assert image_gate.load(tmp_path / "a.jpg", 250).size == (1000, 500)
    small = image_gate.load(tmp_path / "a.jpg", image_gate.REDUCED)
    # One decode serves them all.
    assert image_gate.load(tmp_path / "a.jpg", 32).size == small.size == (1000, 500)
    assert image_gate.load(tmp_path / "a.jpg").size == (2000, 1000)


def test_thumbnail_keeps_the_shape(tmp_path: Path) -> None:
    Image.new("RGBA", (400, 100), (0, 0, 0, 0)).save(tmp_path / "a.png")
    small = image_gate.thumbnail(tmp_path / "a.png", 64)
    assert (small.mode, small.size, small.getpixel((0, 0))) == ("RGB", (64, 16), (255, 255, 255))


def test_a_problem_names_the_file_and_its_reason_does_not(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(image_gate.ImageProblem) as caught:
        image_gate.load(tmp_path / "empty.png")
    assert "empty.png" in str(caught.value)
    assert caught.value.reason == "The file is empty."


@pytest.mark.parametrize("orientation", TURNS)
def test_the_size_in_the_file_is_told_upright_even_if_less_is_decoded(
    tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for suffix in ("jpg", "tif", "png"):
        Image.new("RGB", (800, 600), "red").save(tmp_path / f"a.{suffix}", exif=exif)
        with image_gate.open_regular(tmp_path / f"a.{suffix}") as file:
            _image, size = image_gate.decode("a", file, 20)
        assert size == ((600, 800) if orientation > 4 else (800, 600))


def raw_png(kind: int, depth: int, rows: list[bytes], width: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "values", "expected"), [
    (2, (0x8000, 0xFFFF, 0x0000), (128, 255, 0)),
    (6, (0x0000, 0xFFFF, 0x0000, 0x8000), (127, 255, 127)),
    (4, (0x0000, 0x4000), (191, 191, 191)),
])  # fmt: skip
def test_sixteen_bits_a_channel(
    tmp_path: Path, kind: int, values: tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    row = struct.pack(f">{len(values)}H", *values) * 3
    (tmp_path / "a.png").write_bytes(raw_png(kind, 16, [row, row], 3))
    assert np.abs(pixels(tmp_path / "a.png") - expected).max() <= 1


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits(tmp_path: Path, depth: int) -> None:
    (tmp_path / "a.png").write_bytes(raw_png(0, depth, [b"\xf0\xf0"], 16 // depth))
    found = pixels(tmp_path / "a.png")[0, :, 0]
    each = 4 // depth
    assert found.tolist() == ([255] * each + [0] * each) * 2


def test_sixteen_bit_rgb_tiff(tmp_path: Path) -> None:
    values = np.stack([SIXTEEN, 65535 - SIXTEEN, SIXTEEN], axis=2)
    content = (
        struct.pack("<2sHI", b"II", 42, 14 + values.nbytes)
        + struct.pack("<3H", 16, 16, 16)
        + values.astype("<u2").tobytes()
    )
    tags = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14), (277, 3, 1, 3),
            (278, 3, 1, 16), (279, 4, 1, values.nbytes)]  # fmt: skip
    content += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    (tmp_path / "a.tif").write_bytes(content)
    expected = np.stack([GREY, 255 - GREY, GREY], axis=2).astype(int)
    assert np.abs(pixels(tmp_path / "a.tif") - expected).max() <= 1
