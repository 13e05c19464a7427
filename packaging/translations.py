"""Brings the translation catalogues up to date with the code: extracts, updates every .po, compiles every .mo.

    python packaging/translations.py            update and compile; lists what still has to be translated
    python packaging/translations.py --check    only say what is out of date (exit code 1 if anything is)

The output depends on the code and the translations alone: no dates, no line numbers, no machine.
"""

from __future__ import annotations

import argparse
import io
import re
import string
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "app" / "clip_atelier"
TRANSLATIONS = ROOT / "resources" / "translations"
DOMAIN = "clip_atelier"
LANGUAGES = ("ko",)

# The formats ask for dates; a fixed one keeps the files the same for the same input.
_DATE = datetime(2026, 1, 1, tzinfo=UTC)
_PERCENT = re.compile(r"%(?:\(\w+\))?[srd]")


def template() -> Catalog:
    """Every marked message of the program, in a catalogue without translations."""
    catalog = Catalog(project="CLIP Atelier", creation_date=_DATE, fuzzy=False)
    found = extract_from_dir(SOURCE, method_map=[("**.py", "python")], keywords={"_": None, "N_": None})
    for filename, _line, message, comments, _context in sorted(found, key=lambda entry: (entry[0], entry[1])):
        catalog.add(
            message, locations=[(f"app/clip_atelier/{Path(filename).as_posix()}", 0)], auto_comments=comments
        )
    return catalog


def po_path(language: str) -> Path:
    """Where a language's translations are written by people."""
    return TRANSLATIONS / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def updated(language: str, messages: Catalog) -> Catalog:
    """The language's catalogue with exactly the program's messages; nothing is guessed, obsolete entries go."""
    path = po_path(language)
    if path.exists():
        with path.open("rb") as stream:
            catalog = read_po(stream, locale=language, domain=DOMAIN)
    else:
        catalog = Catalog(locale=language, domain=DOMAIN)
    catalog.update(messages, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    catalog.fuzzy = False
    catalog.header_comment = (
        "# Translations of CLIP Atelier. Written by hand; updated by packaging/translations.py."
    )
    catalog.project, catalog.version = "CLIP Atelier", ""
    catalog.last_translator = catalog.language_team = "The CLIP Atelier authors"
    catalog.creation_date = catalog.revision_date = _DATE
    return catalog


def po_bytes(catalog: Catalog) -> bytes:
    """The .po file's content."""
    buffer = io.BytesIO()
    write_po(buffer, catalog, width=110, sort_by_file=True, include_lineno=False)
    return buffer.getvalue()


def mo_bytes(catalog: Catalog) -> bytes:
    """The .mo file's content."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def placeholders(text: str) -> list[str]:
    """What str.format and the % operator would fill in, with formats, sorted."""
    try:
        fields = [
            f"{{{name}:{spec}}}"
            for _text, name, spec, _c in string.Formatter().parse(text)
            if name is not None
        ]
    except ValueError:
        fields = []
    return sorted(fields + _PERCENT.findall(text))


def faults(catalog: Catalog) -> list[str]:
    """Messages that are untranslated, marked as uncertain, or whose placeholders differ."""
    return [fault for message in catalog if message.id and (fault := _fault(message))]


def _fault(message: Message) -> str:
    if not message.string:
        return f"untranslated: {message.id!r}"
    if message.fuzzy:
        return f"uncertain: {message.id!r}"
    if placeholders(str(message.id)) != placeholders(str(message.string)):
        return f"other placeholders: {message.id!r} -> {message.string!r}"
    return ""


def main() -> int:
    """Updates (or only checks) every catalogue."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    messages = template()
    problems: list[str] = []
    for language in LANGUAGES:
        catalog = updated(language, messages)
        path = po_path(language)
        for file, content in ((path, po_bytes(catalog)), (path.with_suffix(".mo"), mo_bytes(catalog))):
            if file.exists() and file.read_bytes() == content:
                continue
            if check:
                problems.append(f"out of date: {file.relative_to(ROOT)}")
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        problems += faults(catalog)
        print(f"{language}: {len(catalog)} messages, {len(problems)} problems")
    print(*problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
