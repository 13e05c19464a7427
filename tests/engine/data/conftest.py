"""Small real images, and a scan driven to its end."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from clip_atelier.engine.core import Control, Event, drive
from clip_atelier.engine.data import Collection, scan
from clip_atelier.engine.settings import DataSettings

Scan = Callable[..., Collection]
Draw = Callable[..., Path]


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home beside the test's folder, which is the collection here."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def events() -> list[Event]:
    """What the last scan yielded."""
    return []


@pytest.fixture
def scanned(tmp_path: Path, events: list[Event]) -> Scan:
    """Scans a folder (the test's own by default) with some data settings."""

    def run(folder: Path = tmp_path, cache: Path | None = None, **data: object) -> Collection:
        events.clear()
        return drive(scan(folder, DataSettings.model_validate(data), Control(), cache), events.append)

    return run


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Writes a drawing of random lines; the same `what` gives the same drawing, another one another."""

    def write(
        path: str | Path, what: object = None, size: tuple[int, int] = (48, 48), text: str | None = None
    ) -> Path:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        chance = random.Random(str(path if what is None else what))
        image = Image.new("RGB", (96, 96), "white")
        pen = ImageDraw.Draw(image)
        for _line in range(5):
            pen.line([(chance.randrange(96), chance.randrange(96)) for _point in range(3)], "black", 5)
        image.resize(size).save(target)
        if text is not None:
            target.with_suffix(".txt").write_text(text, encoding="utf-8")
        return target

    return write
