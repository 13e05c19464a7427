"""What long work said in one language is found again in another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import clip_atelier.engine
from clip_atelier.engine.core import _, i18n

_TITLE = re.compile(r'Phase\(\s*name="\w+",\s*title=_\("([^"{]*)"\)\s*\)')


@pytest.fixture(autouse=True)
def korean() -> Iterator[None]:
    i18n.set_language("ko")
    yield
    i18n.set_language("en")


def test_every_phase_of_work_is_shown_in_the_language_that_was_chosen_meanwhile() -> None:
    room = Path(clip_atelier.engine.__file__).parent
    titles = {
        title for file in room.rglob("*.py") for title in _TITLE.findall(file.read_text(encoding="utf-8"))
    }
    assert len(titles) > 20
    assert all(_(title) != title for title in titles)
    assert [title for title in titles if _(i18n.source(_(title))) != _(title)] == []
    korean = {title: _(title) for title in titles}
    assert [title for title, said in korean.items() if i18n.source(said) != title] == []
    assert all(i18n.source(title) == title for title in titles)


def test_what_is_no_message_stays_as_it_is() -> None:
    assert i18n.source("") == ""
    assert i18n.source("고양이.png") == "고양이.png"


@pytest.mark.parametrize(
    ("language", "variables"),
    [
        ("en", {}),
        ("en", {"LANG": "C.UTF-8"}),
        ("ko", {"LANG": "ko_KR.UTF-8"}),
        ("en", {"LC_ALL": "en_GB.UTF-8", "LANG": "ko_KR.UTF-8"}),
        ("ko", {"LANGUAGE": "ko", "LANG": "C.UTF-8"}),
        ("ko", {"LANGUAGE": "de:ko:en", "LANG": "de_DE.UTF-8"}),
        ("en", {"LANGUAGE": "en_US:ko", "LANG": "ko_KR.UTF-8"}),
        ("ko", {"LANGUAGE": "de", "LANG": "ko_KR.UTF-8"}),
        ("en", {"LANGUAGE": "ko", "LC_ALL": "C"}),
        ("ko", {"CLIP_ATELIER_LANGUAGE": "ko", "LANGUAGE": "en", "LC_ALL": "C"}),
    ],
)
def test_the_language_is_the_users(
    language: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLIP_ATELIER_LANGUAGE", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("locale.getlocale", lambda: (None, None))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert i18n.system_language() == language
