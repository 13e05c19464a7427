"""The square that a model sees: nothing cut off, paper around it, and views that can be drawn again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from clip_atelier.engine.data import image_gate, pixels

PAPER = (240, 230, 200)


def drawing(width: int, height: int) -> Image.Image:
    """A black frame, close to the edge of cream paper."""
    image = Image.new("RGB", (width, height), PAPER)
    ImageDraw.Draw(image).rectangle(
        (2, 2, width - 3, height - 3), outline="black", width=max(2, min(width, height) // 12)
    )
    return image


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (200, 200), (160, 80)])
def test_letterbox_keeps_all_and_fills_with_paper(size: tuple[int, int]) -> None:
    square = image_gate.fit(drawing(*size), 64)
    assert (square.shape, square.dtype) == ((64, 64, 3), np.uint8)
    dark = square.max(axis=2) < 128
    down, across = dark.any(axis=1).sum(), dark.any(axis=0).sum()
    ratio = size[0] / size[1]
    assert across / down == pytest.approx(ratio, rel=0.15)
    assert max(across, down) >= 55
    if ratio != 1:
        assert (square[0, 0] == PAPER).all()
        assert (square[-1, -1] == PAPER).all()


def test_crop_takes_the_central_square() -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    square = image_gate.fit(image, 50, "crop").astype(int)
    assert np.abs(square[:, 2:-2] - [0, 0, 255]).max() <= 2


@pytest.mark.parametrize("size", [(300, 100), (100, 300)])
def test_squash_keeps_all_and_not_the_shape(size: tuple[int, int]) -> None:
    square = image_gate.fit(drawing(*size), 64, "squash")
    assert square.shape == (64, 64, 3)
    dark = square.max(axis=2) < 128
    assert dark.any(axis=1).sum() >= 55
    assert dark.any(axis=0).sum() >= 55
    varied = pixels.view(drawing(*size), 64, "squash", index=3)
    assert varied.shape == (64, 64, 3)
    assert not np.array_equal(varied, square)


def test_a_square_image_is_the_same_either_way() -> None:
    image = drawing(90, 90)
    assert np.array_equal(image_gate.fit(image, 32, "letterbox"), image_gate.fit(image, 32, "crop"))
    assert np.array_equal(image_gate.fit(image, 32, "letterbox"), image_gate.fit(image, 32, "squash"))


def test_paper_is_what_most_of_the_border_shows() -> None:
    image = drawing(120, 80)
    ImageDraw.Draw(image).line((0, 0, 119, 79), fill="black", width=9)  # a stroke that runs off the page
    assert pixels.paper_colour(image) == PAPER


def test_thin_strokes_survive_shrinking() -> None:
    image = Image.new("RGB", (2000, 2000), "white")
    ImageDraw.Draw(image).line((100, 100, 1900, 1500), fill="black", width=6)
    assert image_gate.fit(image, 64).min() < 235


def test_view_zero_is_fit() -> None:
    image = drawing(70, 50)
    assert np.array_equal(image_gate.view(image, 32, index=0, flip=True, seed=5), image_gate.fit(image, 32))


@pytest.mark.parametrize("how", ["letterbox", "crop"])
def test_views_are_a_pure_function_and_differ(how: pixels.Fit) -> None:
    image = drawing(350, 250)
    first = [image_gate.view(image, 32, how, index, 0.6, True, 3) for index in range(8)]
    again = [image_gate.view(image, 32, how, index, 0.6, True, 3) for index in range(8)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({view.tobytes() for view in first}) == 8
    assert not np.array_equal(
        image_gate.view(image, 32, how, 1, seed=3), image_gate.view(image, 32, how, 1, seed=4)
    )


def test_mirrored_views_only_where_asked() -> None:
    image = Image.new("RGB", (64, 64), "white")
    image.paste("black", (0, 0, 20, 64))

    def dark_side(index: int, flip: bool) -> bool:
        view = image_gate.view(image, 32, index=index, crop_min=0.9, flip=flip).mean(axis=(0, 2))
        return bool(view[:16].mean() < view[16:].mean())

    assert all(dark_side(index, False) for index in range(1, 30))
    mirrored = sum(not dark_side(index, True) for index in range(1, 61))
    assert 15 <= mirrored <= 45


@given(
    width=st.integers(1, 300), height=st.integers(1, 300), index=st.integers(0, 20), crop_min=st.floats(0.2, 1.0),
    flip=st.booleans(), how=st.sampled_from(["letterbox", "crop"]), size=st.sampled_from([8, 33]),
)  # fmt: skip
@settings(max_examples=60)
def test_any_image_gives_a_square(
    width: int, height: int, index: int, crop_min: float, flip: bool, how: pixels.Fit, size: int
) -> None:
    image = Image.new("RGB", (width, height), PAPER)
    square = image_gate.view(image, size, how, index, crop_min, flip)
    assert square.shape == (size, size, 3)
    assert (square == PAPER).all()


@pytest.mark.parametrize("crop_min", [0.5, 0.7, 0.9])
def test_a_view_shows_at_least_the_share_that_was_asked_for(crop_min: float) -> None:
    # Each pixel tells its own place, so that the corners of a view tell what it shows.
    across, down = np.meshgrid(np.arange(200), np.arange(200))
    image = Image.fromarray(np.stack([across, down, np.full_like(down, 255)], axis=2).astype(np.uint8))
    for index in range(1, 20):
        seen = image_gate.view(image, 128, "letterbox", index, crop_min).reshape(-1, 3)
        shown = seen[seen[:, 2] > 250][:, :2].astype(int)
        spread = (shown.max(axis=0) - shown.min(axis=0) + 1) / 200
        assert spread[0] * spread[1] >= crop_min - 0.06
