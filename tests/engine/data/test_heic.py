"""HEIC photographs, of `tests/data/heic`: upright, in the screen's colours, on the right ground; and how broken ones are named."""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clip_atelier.engine.data import Collection, image_gate

Scan = Callable[..., Collection]
FILES = Path(__file__).parents[2] / "data" / "heic"
RED, WHITE = (224, 32, 32), (255, 255, 255)


def near(found: object, colour: tuple[int, int, int], most: int = 3) -> bool:
    return int(np.abs(np.subtract(np.asarray(found, dtype=int), colour)).max()) <= most


def reason(path: Path) -> str:
    with pytest.raises(image_gate.ImageProblem) as caught:
        image_gate.load(path)
    assert path.name in str(caught.value)
    return caught.value.reason


def test_photographs_are_drawings_of_a_folder(scanned: Scan, tmp_path: Path) -> None:
    shutil.copy(FILES / "told.heic", tmp_path / "IMG_1.HEIC")
    shutil.copy(FILES / "turned.heic", tmp_path / "b.hif")
    shutil.copy(FILES / "ten-bit.heic", tmp_path / "without-suffix")
    found = scanned()
    assert found.problems == ()
    sizes = {item.path: (item.width, item.height) for item in found.items}
    assert sizes == {"IMG_1.HEIC": (64, 48), "b.hif": (48, 64), "without-suffix": (64, 48)}
    assert found.items[0].captions == ("a red square",)  # as it stands in the file
    for item in found.items:
        assert image_gate.load(found.absolute(item), digest=item.digest).size == (item.width, item.height)


def test_colours_and_ground() -> None:
    red = image_gate.load(FILES / "red.heic")
    assert near(red.getpixel((20, 20)), RED)
    assert near(red.getpixel((60, 20)), WHITE)
    clear = image_gate.load(FILES / "clear.heic")
    assert near(clear.getpixel((20, 20)), RED)
    assert near(clear.getpixel((60, 20)), WHITE)
    ink = image_gate.load(FILES / "white-ink.heic")
    assert near(ink.getpixel((20, 20)), WHITE)
    assert near(ink.getpixel((60, 20)), (40, 40, 40))


def test_a_turned_photograph_is_upright() -> None:
    turned = image_gate.load(FILES / "turned.heic")
    assert turned.size == (48, 64)
    # The square, from left and top (8, 6) to (40, 40), turned right by a quarter.
    assert near(turned.getpixel((10, 10)), RED)
    assert near(turned.getpixel((4, 10)), WHITE)
    assert near(turned.getpixel((24, 50)), WHITE)
    assert max(image_gate.thumbnail(FILES / "turned.heic", 32).size) == 32


@pytest.mark.parametrize("name", ["ten-bit", "grey-ten-bit"])
def test_ten_bits_are_scaled_by_their_range(name: str) -> None:
    found = np.asarray(image_gate.load(FILES / f"{name}.heic"), dtype=int)
    expected = np.linspace(0, 255, 64)[None, :, None]
    assert np.abs(found - expected).max() <= 4


def test_colours_of_a_wider_range_are_those_of_the_screen(tmp_path: Path) -> None:
    assert near(image_gate.load(FILES / "wide.heic").getpixel((20, 20)), (246, 0, 0), 4)
    content = (FILES / "wide.heic").read_bytes()
    at = content.index(b"acsp")
    (tmp_path / "a.heic").write_bytes(content[:at] + b"????" + content[at + 4 :])
    assert near(image_gate.load(tmp_path / "a.heic").getpixel((20, 20)), RED)


def test_of_several_pictures_the_main_one_is_read() -> None:
    found = image_gate.load(FILES / "second-of-two.heic")
    assert found.size == (64, 48)
    assert near(found.getpixel((20, 20)), RED)


def test_what_is_broken_is_named(tmp_path: Path) -> None:
    content = (FILES / "red.heic").read_bytes()
    (tmp_path / "short.heic").write_bytes(content[:-200])
    (tmp_path / "head.heic").write_bytes(content[:100])
    brands = b"heic\0\0\0\0mif1heic"
    (tmp_path / "box.heic").write_bytes(struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + b"\0" * 64)
    (tmp_path / "film.heic").write_bytes(struct.pack(">I", 16) + b"ftypmp42\0\0\0\0" + b"\0" * 64)
    assert "ends too early" in reason(tmp_path / "short.heic")
    for name in ("head", "box"):
        assert "damaged" in reason(tmp_path / f"{name}.heic"), name
    assert "known kind" in reason(tmp_path / "film.heic")


@pytest.mark.fault(27)
def test_too_many_pixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_gate, "MAX_PIXELS", 2_000)
    assert "more than are read" in reason(FILES / "red.heic")


@pytest.mark.fault(27)
def test_pictures_larger_than_they_say_are_refused(tmp_path: Path) -> None:
    content = bytearray((FILES / "large.heic").read_bytes())
    at = content.index(b"ispe") + 8
    assert content[at : at + 8] == struct.pack(">II", 512, 512)
    content[at : at + 8] = struct.pack(">II", 64, 64)
    (tmp_path / "a.heic").write_bytes(content)
    assert "exceeds" in reason(tmp_path / "a.heic")


def test_where_the_decoder_is_missing_it_is_named(
    monkeypatch: pytest.MonkeyPatch, scanned: Scan, tmp_path: Path
) -> None:
    shutil.copy(FILES / "red.heic", tmp_path / "a.heic")
    shutil.copy(FILES / "told.heic", tmp_path / "b.heic")
    image_gate.load(FILES / "red.heic").save(tmp_path / "c.png")
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    found = scanned()
    assert [item.path for item in found.items] == ["c.png"]
    assert [problem.path for problem in found.problems] == ["a.heic", "b.heic"]
    assert all("“pi-heif”" in problem.reason for problem in found.problems)
