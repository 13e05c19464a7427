from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from clip_atelier.engine.core import Control, Stopped, paths
from clip_atelier.engine.data import Collection, image_gate
from clip_atelier.engine.data.duplicates import MAX_BITS, MAX_DIFFERENCE, near_duplicates
from clip_atelier.engine.data.image_facts import SIGHT, ImageFacts, read

Scan = Callable[..., Collection]
Draw = Callable[..., Path]


@pytest.mark.parametrize("change", ["half", "double", "jpeg", "paler", "blurred", "webp", "alpha"])
def test_the_same_drawing_saved_in_another_way(
    scanned: Scan, draw: Draw, tmp_path: Path, change: str
) -> None:
    image = Image.open(draw("a.png", size=(240, 160)))
    draw("other.png", size=(240, 160))
    if change == "half":
        image.resize((120, 80)).save(tmp_path / "b.png")
    elif change == "double":
        image.resize((480, 320)).save(tmp_path / "b.png")
    elif change == "jpeg":
        image.save(tmp_path / "b.jpg", quality=50)
    elif change == "webp":
        image.save(tmp_path / "b.webp", quality=50)
    elif change == "paler":
        image.point(lambda value: 60 + value * 180 // 255).save(tmp_path / "b.png")
    elif change == "blurred":
        image.filter(ImageFilter.GaussianBlur(1.5)).save(tmp_path / "b.png")
    else:
        ink = Image.new("RGBA", image.size, (0, 0, 0, 0))
        ink.putalpha(image.convert("L").point(lambda value: 255 - value))
        ink.save(tmp_path / "b.png")
    ((first, second),) = scanned().duplicates
    assert first == "a.png"
    assert second.startswith("b.")


def test_another_shape_is_another_drawing(scanned: Scan, draw: Draw) -> None:
    draw("a.png", 1, size=(100, 100))
    draw("b.png", 1, size=(100, 80))
    assert scanned().duplicates == ()


def test_equal_files_are_duplicates(scanned: Scan, draw: Draw) -> None:
    for name in ("x/a.png", "y/a.png", "b.png"):
        draw(name, 1)
    draw("c.png", 2)
    assert scanned().duplicates == (("b.png", "x/a.png", "y/a.png"),)


def test_a_sketch_and_its_artwork_may_look_alike(scanned: Scan, draw: Draw) -> None:
    draw("sketches/a.png", 1)
    draw("artworks/a.png", 1, size=(96, 96))
    collection = scanned()
    assert (len(collection.pairs), collection.duplicates) == (1, ())


def test_duplicates_that_a_declared_split_separates_are_noted(
    scanned: Scan, draw: Draw, tmp_path: Path
) -> None:
    draw("a.png", 1)
    draw("b.png", 1)
    (tmp_path / "metadata.csv").write_text("file_name,text,split\na.png,x,train\nb.png,y,test\n")
    assert "different parts: 1" in scanned().notes[0]


def test_real_drawings_that_resemble_each_other_stay_apart() -> None:
    folder = paths.sample_collection() / "sketches"
    files = sorted(folder.iterdir())
    readings = [read(file)[0] for file in files]
    assert near_duplicates(readings, Control()) == ()


def naive(readings: list[ImageFacts]) -> list[set[int]]:
    """Every pair compared one by one, groups by closing over them."""
    groups = [{i} for i in range(len(readings))]
    forms = []
    for reading in readings:
        form = np.frombuffer(reading.sight, np.uint8).astype(float)
        forms.append((form - form.mean()) / form.std())
    for i, a in enumerate(readings):
        for j, b in enumerate(readings[:i]):
            shape = abs(np.log(a.width / a.height) - np.log(b.width / b.height)) <= 0.03
            near = np.sqrt(np.mean((forms[i] - forms[j]) ** 2)) <= MAX_DIFFERENCE
            if a.digest == b.digest or (shape and near and (a.look ^ b.look).bit_count() <= MAX_BITS):
                one, two = (next(g for g in groups if k in g) for k in (i, j))
                if one is not two:
                    groups.remove(two)
                    one |= two
    return sorted((g for g in groups if len(g) > 1), key=min)


def made(count: int, drawings: int, seed: int) -> list[ImageFacts]:
    chance = np.random.default_rng(seed)
    forms = chance.integers(0, 256, (drawings, SIGHT * SIGHT))
    looks = [int(value) for value in chance.integers(0, 2**63, drawings)]
    readings = []
    for number in range(count):
        which = int(chance.integers(drawings))
        noisy = np.clip(forms[which] + chance.integers(-25, 26, SIGHT * SIGHT), 0, 255).astype(np.uint8)
        look = looks[which] ^ (1 << int(chance.integers(64))) ^ (1 << int(chance.integers(64)))
        height = int(chance.choice([100, 101, 104, 140]))
        readings.append(ImageFacts(str(number), 100, height, look, noisy.tobytes()))
    return readings[:-5] + readings[:5]  # and some files twice


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("many", [0, 10**9], ids=["dense", "sparse"])
def test_against_comparing_each_with_each(monkeypatch: pytest.MonkeyPatch, seed: int, many: int) -> None:
    monkeypatch.setattr("clip_atelier.engine.data.duplicates._MANY", many)
    monkeypatch.setattr("clip_atelier.engine.data.duplicates._BLOCK", 37)
    readings = made(150, 60, seed)
    expected = naive(readings)
    assert expected
    assert [set(group) for group in near_duplicates(readings, Control())] == expected


@pytest.mark.parametrize("drawings", [5000, 1], ids=["all different", "all alike"])
def test_ten_thousand_images_take_seconds(drawings: int) -> None:
    readings = made(10_000, drawings, 0)
    before = time.process_time()
    assert near_duplicates(readings, Control())
    assert time.process_time() - before < 30


def test_a_stop_is_heard() -> None:
    control = Control()
    control.stop()
    with pytest.raises(Stopped):
        near_duplicates(made(50, 50, 0), control)


def test_noise_on_blank_paper_does_not_change_the_look(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    page = np.full((200, 200, 3), 250, np.int16)
    page[80:120, 60:140] = 20
    for name in ("a.png", "b.png"):
        noisy = np.clip(page + chance.integers(-4, 5, page.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(tmp_path / name)
    a, b = read(tmp_path / "a.png")[0], read(tmp_path / "b.png")[0]
    assert (a.look ^ b.look).bit_count() <= 1
    assert image_gate.load(tmp_path / "a.png").size == (200, 200)
