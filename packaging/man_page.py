"""Writes docs/clip-atelier.1, the manual page, from the program's own parser.

Run it after changing a command: `python packaging/man_page.py`. The Debian package and the wheel bring it to `man`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import clip_atelier
from clip_atelier.cli.arguments import Parser, add_common
from clip_atelier.cli.commands import COMMANDS
from clip_atelier.cli.parsers import program
from clip_atelier.engine.core import i18n
from clip_atelier.engine.settings import DECLARED, GROUP_TITLES, written

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "clip-atelier.1"

_ENVIRONMENT = {
    "CLIP_ATELIER_HOME": "Where runs, caches and models are kept, where --home is not given.",
    "CLIP_ATELIER_LANGUAGE": "The language of what is shown, en or ko, where --language is not given.",
}


def page() -> str:
    """The whole page as roff."""
    i18n.set_language("en")
    whole, common = program(COMMANDS), Parser(add_help=False)
    add_common(common)
    known = {option for action in common._actions for option in action.option_strings} | {"-h"}
    text, codes = (whole.epilog or "").split("\n")
    return "\n".join(
        [
            '.\\" Made from the parsers in the code by packaging/man_page.py.',
            f'.TH CLIP\\-ATELIER 1 "" "clip\\-atelier {clip_atelier.__version__}" "User Commands"',
            ".SH NAME",
            f"clip\\-atelier \\- {_escaped((whole.description or '').rstrip('.'))}",
            ".SH SYNOPSIS",
            ".B clip\\-atelier",
            ".RI [ FOLDER ]",
            ".br",
            ".B clip\\-atelier",
            ".I COMMAND",
            ".RI [ options ]",
            ".SH DESCRIPTION",
            *_paragraphs(text),
            ".SH OPTIONS",
            "Every command takes these.",
            *_options(whole, set()),
            ".SH COMMANDS",
            *(line for name, parser in _below(whole).items() for line in _command(name, parser, known)),
            ".SH SETTINGS",
            "Commands that take settings take each of them as an option.",
            *_settings(),
            ".SH EXIT STATUS",
            *_paragraphs(codes.removeprefix("Exit codes: ").capitalize()),
            ".SH ENVIRONMENT",
            *(line for name, told in _ENVIRONMENT.items() for line in _told(f"\\fB{name}\\fR", told)),
            "",
        ]
    )


def _command(name: str, parser: argparse.ArgumentParser, known: set[str]) -> list[str]:
    lines = [f'.SS "{_escaped(name)}"', *_synopsis(name, parser)]
    lines += _paragraphs(_sentences(parser.description or ""))
    lines += _options(parser, known)
    titles = {one.dest: one.help or "" for group in _groups(parser) for one in group._choices_actions}
    for inner, below in _below(parser).items():
        lines += [".PP", *_synopsis(f"{name} {inner}", below), ".RS"]
        lines += [*_paragraphs(_sentences(titles[inner])), *_options(below, known), ".RE"]
    return lines


def _groups(parser: argparse.ArgumentParser) -> list[argparse._SubParsersAction[argparse.ArgumentParser]]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {name: inner for group in _groups(parser) for name, inner in group.choices.items()}


def _synopsis(name: str, parser: argparse.ArgumentParser) -> list[str]:
    """What is typed at least."""
    words = [f"\\fBclip\\-atelier {_escaped(name)}\\fR"]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words.append("\\fICOMMAND\\fR" if action.required else "[\\fICOMMAND\\fR]")
        elif not action.option_strings:
            word = _value(action) + (" ..." if action.nargs in ("*", "+") else "")
            words.append(f"[{word}]" if action.nargs in ("?", "*") else word)
        elif action.required:
            words.append(_names(action))
    return [" ".join(words), ".br"]


def _options(parser: argparse.ArgumentParser, known: Iterable[str]) -> list[str]:
    lines, groups = [], []
    for action in parser._actions:
        names = {name.removeprefix("--") for name in action.option_strings}
        if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
            continue
        if own := names & DECLARED.keys():
            groups.append(DECLARED[own.pop()].group)
        elif action.help and not set(action.option_strings) & set(known):
            lines += _told(_names(action), action.help)
    if groups:
        listed = list(dict.fromkeys(groups))
        every = (
            "the settings"
            if listed == list(GROUP_TITLES)
            else "the settings " + ", ".join(f"{g}.*" for g in listed)
        )
        lines += [".PP", _escaped(f"And {every}, see SETTINGS.")]
    return lines


def _settings() -> list[str]:
    lines = []
    for group, title in GROUP_TITLES.items():
        lines.append(f'.SS "{_escaped(title)}"')
        for name, one in DECLARED.items():
            if one.group == group:
                default = f" [{written(one.default)}]" if one.default != "" else ""
                lines += _told(f"\\fB\\-\\-{_escaped(name)}\\fR", f"{one.title}: {one.summary}{default}")
    return lines


def _names(action: argparse.Action) -> str:
    spelled = ", ".join(f"\\fB{_escaped(option)}\\fR" for option in action.option_strings)
    return " ".join(part for part in (spelled, _value(action)) if part)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    return f"\\fI{_escaped(' '.join(value) if isinstance(value, tuple) else value)}\\fR"


def _told(heading: str, text: str) -> list[str]:
    return [".TP", heading, *_lines(_sentences(text.replace("%%", "%")))]


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for part in text.split("\n"):
        lines += _lines(part) if part else [".PP"]
    return lines


def _lines(text: str) -> list[str]:
    """Lines of text; each of the author's own lines stays one."""
    lines = [_escaped(line) for line in text.split("\n") if line]
    return [part for line in lines for part in (line, ".br")][:-1]


def _sentences(text: str) -> str:
    """With a capital at the beginning and a full stop at the end of its first paragraph."""
    first, line_end, rest = text.partition("\n")
    first = first[:1].upper() + first[1:]
    return first + ("" if first.endswith((".", ":", "]")) else ".") + line_end + rest


def _escaped(text: str) -> str:
    """As roff takes it: no letter is a command, and what is no ASCII is named by its number."""
    text = text.replace("‖", "||")  # which not every roff can name
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace('"', "\\(dq")
    text = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in text)
    return f"\\&{text}" if text.startswith(".") else text


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="ascii", newline="\n")
