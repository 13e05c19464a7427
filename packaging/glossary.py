"""Writes docs/glossary.md from resources/glossary.json, which the window shows too.

Run it after changing a word: `python packaging/glossary.py`.
"""

from __future__ import annotations

from pathlib import Path

from clip_atelier.gui.glossary import words

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "glossary.md"

_HEAD = """\
# Glossary · 용어집

One meaning for each word, in code, documents and window. 코드와 문서, 창에서 낱말마다 뜻은 하나입니다.

| English | 한국어 | Meaning | 뜻 |
|---|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(f"| {w.en} | {w.ko} | {w.meaning_en} | {w.meaning_ko} |\n" for w in words())


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8", newline="\n")
