"""The user guide: its commands are commands, its pictures and links are there, and both languages tell the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from clip_atelier.cli.commands import COMMANDS
from clip_atelier.cli.parsers import program

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"
LANGUAGES = ("en", "ko")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text(language: str) -> str:
    return (GUIDE / f"{language}.md").read_text("utf-8")


def commands(language: str) -> list[list[str]]:
    lines = [line.strip() for line in text(language).splitlines() if line.startswith("    clip-atelier ")]
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_is_one(language: str) -> None:
    found = commands(language)
    assert len(found) > 20
    for words in found:
        assert program(COMMANDS).parse_strictly(words).command.name == words[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_picture_and_link_is_there(language: str) -> None:
    links = _LINK.findall(text(language))
    assert sum(link.endswith(".webp") for link in links) >= 8
    assert not [link for link in links if not (GUIDE / link.partition("#")[0]).exists()]


def test_both_languages_have_the_same_chapters_pictures_and_commands() -> None:
    english, korean = (
        [
            line.split()[0] if line.startswith("#") else re.sub(r"-(en|ko)\.webp", "", _LINK.findall(line)[0])
            for line in text(language).splitlines()
            if line.startswith(("#", "!["))
        ]
        for language in LANGUAGES
    )
    assert english == korean
    names = [[words[0] for words in commands(language)] for language in LANGUAGES]
    assert names[0] == names[1]


def test_no_picture_is_left_over() -> None:
    shown = {link for language in LANGUAGES for link in _LINK.findall(text(language))}
    assert {f"images/{file.name}" for file in (GUIDE / "images").iterdir()} <= shown
