"""Faults 27 to 31: images that are damaged, dishonest or too large. Memory stays bounded, nothing is unpacked to disk."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_atelier.engine.core import Control, UserError, drive
from clip_atelier.engine.data import Collection, image_gate, layered, scan
from clip_atelier.engine.settings import DataSettings

APP = Path(__file__).parents[2] / "app"


def scanned(folder: Path) -> Collection:
    return drive(scan(folder, DataSettings(), Control()))


def encoded(kind: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    chance = random.Random(0)
    image = Image.frombytes("RGB", size, chance.randbytes(3 * size[0] * size[1]))
    out = io.BytesIO()
    (image.convert("P") if kind == "GIF" else image).save(out, kind, **options)
    return out.getvalue()


def flat_png(width: int, height: int, kind: int = 6) -> bytes:
    """A PNG whose rows are all the same but the last, written without holding the picture in memory."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    channels = {0: 1, 2: 3, 3: 1, 6: 4}[kind]
    packer = zlib.compressobj(1)
    row = b"\0" + b"\xc8" * (width * channels)
    rows = b"".join(packer.compress(row) for _row in range(height - 1))
    rows += packer.compress(b"\0" + b"\x14" * (width * channels)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(768)) if kind == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


PEAK = """
import resource, sys
from pathlib import Path
from clip_atelier.engine.data import image_gate as images, scan
from clip_atelier.engine.core.control import Control
from clip_atelier.engine.core import UserError
from clip_atelier.engine.core import drive
from clip_atelier.engine.settings import DataSettings
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(len(drive(scan(Path(sys.argv[1]), DataSettings(), Control())).items))
except UserError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def scan_in_child(folder: Path) -> tuple[str, int]:
    """What a scan in a process of its own says, and the memory it took at most, in MB."""
    command = [sys.executable, "-c", PEAK, str(folder)]
    done = subprocess.run(command, cwd=APP, capture_output=True, text=True, check=True, timeout=120)
    *said, peak = done.stdout.splitlines()
    return " ".join(said), int(peak)


@pytest.mark.fault(27)
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in KB")
@pytest.mark.parametrize(
    "size", [(10_000, 10_000), (14_000, 14_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    content = bytearray(flat_png(64, 64))
    struct.pack_into(">II", content, 16, *size)
    struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    said, peak = scan_in_child(tmp_path)
    assert "million pixels" in said
    assert "a.png" in said
    assert peak < 100


@pytest.mark.fault(27)
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in KB")
def test_several_large_images_are_held_one_at_a_time(tmp_path: Path) -> None:
    content = flat_png(9_000, 4_000)  # 36 million pixels, 144 MB in memory
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(content)
    said, peak = scan_in_child(tmp_path)
    assert said == "4"
    assert peak < 250


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_large_images_are_shrunk_in_bands_that_show_no_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(image_gate, "BIG_PIXELS", 1000)
    monkeypatch.setattr("clip_atelier.engine.data.pixels._BAND", 3000)
    ramp = np.add.outer(np.arange(301), np.arange(403)).astype(np.float32)
    if mode in ("I;16", "I", "F"):
        image = Image.fromarray(
            (ramp * 65535 / ramp.max()).astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode])
        )
    else:
        image = Image.fromarray((ramp * 255 / ramp.max()).astype(np.uint8)).convert(mode)
        if mode in ("LA", "RGBA"):
            image.putalpha(Image.fromarray((ramp % 256).astype(np.uint8)))
    image.save(tmp_path / "a.tif")
    whole = image_gate.load(tmp_path / "a.tif")
    small = image_gate.load(tmp_path / "a.tif", 30)
    if mode not in ("I", "F"):
        assert small.size == (81, 61)
        assert np.abs(np.asarray(small).astype(int) - np.asarray(whole.reduce(5))).max() <= 1


@pytest.mark.fault(27)
def test_a_jpeg_beyond_the_limit_is_decoded_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_gate, "MAX_PIXELS", 100_000)
    monkeypatch.setattr(image_gate, "MAX_REDUCED_PIXELS", 1_000_000)
    Image.new("RGB", (800, 600), "red").save(tmp_path / "a.jpg")
    assert image_gate.load(tmp_path / "a.jpg").size == (100, 75)
    Image.new("RGB", (800, 600), "red").save(tmp_path / "b.jpg", progressive=True)
    with pytest.raises(image_gate.ImageProblem, match="million pixels"):
        image_gate.load(tmp_path / "b.jpg")
    Image.new("RGB", (1200, 900), "red").save(tmp_path / "c.jpg")
    with pytest.raises(image_gate.ImageProblem, match="million pixels"):
        image_gate.load(tmp_path / "c.jpg")


@pytest.mark.fault(28)
@pytest.mark.parametrize(("kind", "options"), [
    ("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("GIF", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
    ("JPEG", {"progressive": True}),
])  # fmt: skip
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_problems(
    tmp_path: Path, kind: str, options: dict[str, object], share: float
) -> None:
    content = encoded(kind, **options)
    (tmp_path / "a.png").write_bytes(content[: int(len(content) * share)])
    for target in (None, 8):
        with pytest.raises(image_gate.ImageProblem):
            image_gate.load(tmp_path / "a.png", target)


@pytest.mark.fault(28)
def test_the_first_three_are_named_and_the_good_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(encoded("JPEG")[:900])
    (tmp_path / "cut.png").write_bytes(encoded("PNG")[:900])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image at all")
    with pytest.raises(UserError) as caught:
        scanned(tmp_path)
    assert all(name in str(caught.value) for name in ("cut.jpg", "cut.png", "empty.png"))
    assert "text.png" not in str(caught.value)
    (tmp_path / "wrong.gif").write_bytes(encoded("WEBP"))
    collection = scanned(tmp_path)
    assert [item.path for item in collection.items] == ["wrong.gif"]
    found = {problem.path: problem.reason for problem in collection.problems}
    assert "ends too early" in found["cut.jpg"]
    assert "ends too early" in found["cut.png"]
    assert "not an image of a known kind" in found["text.png"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_flipped_bytes_give_an_image_or_a_problem(tmp_path: Path, kind: str) -> None:
    chance = random.Random(kind)
    whole = encoded(kind, (24, 16))
    for _round in range(60):
        content = bytearray(whole)
        for _flip in range(chance.randrange(1, 6)):
            # Headers are short and matter most.
            content[chance.randrange(min(len(content), chance.choice((64, len(content)))))] = (
                chance.randrange(256)
            )
        (tmp_path / "a").write_bytes(content)
        with contextlib.suppress(image_gate.ImageProblem):  # and nothing else
            assert image_gate.load(tmp_path / "a").mode == "RGB"


@pytest.mark.fault(30)
@pytest.mark.parametrize("start", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xc5\xd0\xd3\xc6"])
@pytest.mark.parametrize("suffix", ["eps", "png"])
def test_postscript_is_never_opened(tmp_path: Path, start: bytes, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(start + b"%%BoundingBox: 0 0 10 10\n" * 20)
    with pytest.raises(image_gate.ImageProblem, match="PostScript"):
        image_gate.load(tmp_path / f"a.{suffix}")


@pytest.mark.fault(30)
def test_of_a_tiff_with_many_frames_one_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (n, 0, 0)) for n in range(200)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[-300:] = bytes(300)  # the last frames are damaged; nobody looks
    (tmp_path / "a.tif").write_bytes(content)
    assert image_gate.load(tmp_path / "a.tif").getpixel((0, 0)) == (0, 0, 0)


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.fault(31)
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in KB")
def test_a_zip_bomb_is_read_with_a_bound(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.ora", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("mergedimage.png", "w") as member,
    ):
        for _part in range(40):
            member.write(bytes(10_000_000))
    assert (tmp_path / "a.ora").stat().st_size < 1_000_000
    said, peak = scan_in_child(tmp_path)
    assert "unpacks to more than is read" in said
    assert peak < 2.5 * layered.MAX_BYTES / 2**20


@pytest.mark.fault(31)
def test_a_large_picture_in_a_small_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(flat_png(64, 64))
    struct.pack_into(">II", content, 16, 30_000, 30_000)
    struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))
    zipped(tmp_path / "a.kra", {"mergedimage.png": bytes(content)})
    with pytest.raises(image_gate.ImageProblem, match="900 million pixels"):
        image_gate.load(tmp_path / "a.kra")


@pytest.mark.fault(31)
def test_a_zip_that_lies_about_sizes(tmp_path: Path) -> None:
    zipped(tmp_path / "a.ora", {"mergedimage.png": encoded("PNG")})
    content = bytearray((tmp_path / "a.ora").read_bytes())
    entry = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, entry + 24, 10)
    (tmp_path / "a.ora").write_bytes(content)
    with pytest.raises(image_gate.ImageProblem):
        image_gate.load(tmp_path / "a.ora")
    struct.pack_into("<I", content, entry + 24, 2**32 - 2)
    (tmp_path / "a.ora").write_bytes(content)
    assert image_gate.load(tmp_path / "a.ora").size == (64, 48)


@pytest.mark.fault(31)
def test_nothing_is_extracted(tmp_path: Path) -> None:
    zipped(
        tmp_path / "a.kra",
        {"../outside.png": encoded("PNG"), "/abs.png": b"x", "mergedimage.png": encoded("PNG")},
    )
    before = sorted(tmp_path.parent.iterdir())
    assert image_gate.load(tmp_path / "a.kra").size == (64, 48)
    assert [path.name for path in tmp_path.iterdir()] == ["a.kra"]
    assert sorted(tmp_path.parent.iterdir()) == before


@pytest.mark.fault(31)
@pytest.mark.parametrize("members", [{}, {"../mergedimage.png": b"x"}, {"data/layer0.png": b"x"}])
def test_no_preview(tmp_path: Path, members: dict[str, bytes]) -> None:
    zipped(tmp_path / "a.kra", {"mimetype": b"application/x-krita", **members})
    with pytest.raises(image_gate.ImageProblem, match="no merged picture"):
        image_gate.load(tmp_path / "a.kra")


@pytest.mark.parametrize("inner", [b"", b"garbage", b"%!PS-Adobe", b"PK\x03\x04"])
def test_what_is_inside_is_no_image(tmp_path: Path, inner: bytes) -> None:
    zipped(tmp_path / "a.kra", {"mergedimage.png": inner})
    with pytest.raises(image_gate.ImageProblem):
        image_gate.load(tmp_path / "a.kra")


def test_damaged_zips(tmp_path: Path) -> None:
    zipped(tmp_path / "a.kra", {"mergedimage.png": encoded("PNG")})
    whole = (tmp_path / "a.kra").read_bytes()
    chance = random.Random(0)
    for _round in range(60):
        content = bytearray(whole)
        for place in (chance.randrange(60), len(content) - 1 - chance.randrange(120)):
            content[place] = chance.randrange(256)
        (tmp_path / "a.kra").write_bytes(content)
        with contextlib.suppress(image_gate.ImageProblem):  # and nothing else
            assert image_gate.load(tmp_path / "a.kra").mode == "RGB"
