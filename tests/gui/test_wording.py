"""What the window says is called what people call it; names in commands, keys and files are another matter."""

from __future__ import annotations

import re
import sys

import pytest

from clip_atelier.engine.core import paths
from clip_atelier.gui.theme import DARK, LIGHT, Tokens

sys.path.insert(0, str(paths.resources().parent / "packaging"))

import translations

_NAMES = re.compile(r"\{[^}]*\}|run\.json|`[^`]*`|“clip-atelier[^”]*”|--run\b")
_VERBS = re.compile(r"\bruns on battery\b|\b[Rr]un the\b|\brun any code\b")
_OTHERS = re.compile(r"\b[Rr]uns?\b|\b[Hh]eld-out\b|\b[Mm]end(ed|s)?\b")


def test_the_window_speaks_of_trainings_and_of_what_was_not_learned_from() -> None:
    said = [
        message.id
        for message in translations.template()
        if message.id and any("/gui/" in file for file, _line in message.locations)
    ]
    assert len(said) > 500
    assert [text for text in said if _OTHERS.search(_VERBS.sub("", _NAMES.sub("", text)))] == []


@pytest.mark.parametrize("t", [LIGHT, DARK], ids=["light", "dark"])
def test_words_can_be_read_where_something_is_chosen_or_under_the_pointer(t: Tokens) -> None:
    """WCAG 2.2 AA on every ground that words are put on, beside those of test_shell.py."""
    from test_theme import _contrast

    pairs = [
        (t.text, t.raised), (t.text, t.accent_soft), (t.muted, t.accent_soft), (t.muted, t.raised), (t.loss, t.loss_soft),
        (t.on_accent, t.accent_hover), (t.warning, t.surface),
    ]  # fmt: skip
    weak = [
        (words, ground, round(_contrast(words, ground), 2))
        for words, ground in pairs
        if _contrast(words, ground) < 4.5
    ]
    assert not weak
    for ground in (t.window, t.surface, t.accent_soft):
        assert _contrast(t.accent, ground) >= 3  # frames of what has the focus
