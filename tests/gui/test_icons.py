from __future__ import annotations

import re

import pytest
from pytestqt.qtbot import QtBot

from clip_atelier.engine.core import paths
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.widgets.icons import icon, pixmap

NAMES = sorted(
    file.stem for file in (paths.resources() / "icons").glob("*.svg") if file.stem != "clip-atelier"
)


@pytest.mark.parametrize("name", NAMES)
def test_every_icon_is_drawn_in_the_colour_it_is_asked_for_and_crisp_at_200_percent(
    name: str, qtbot: QtBot
) -> None:
    text = (paths.resources() / "icons" / f"{name}.svg").read_text(encoding="utf-8")
    assert "currentColor" in text
    assert not re.search(r"#[0-9a-fA-F]{3,6}", text)
    picture = pixmap(name, "#ff0000", 18, 2.0)
    assert picture.width() == 36
    image = picture.toImage()
    seen = {
        image.pixelColor(x, y).name()
        for x in range(36)
        for y in range(36)
        if image.pixelColor(x, y).alpha() > 250
    }
    assert seen == {"#ff0000"}
    assert not icon(name, "#000000").isNull()


def test_every_page_has_an_icon() -> None:
    assert {page.icon for page in PAGES} <= set(NAMES)
