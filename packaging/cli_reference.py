"""Writes docs/cli.md, the reference of every command, from the parsers in the code.

Run it after changing a command: `python packaging/cli_reference.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.commands import COMMANDS
from clip_atelier.engine.settings import DECLARED

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "cli.md"

_HEAD = """\
# The command line

This page is made from the commands' own parsers by `packaging/cli_reference.py`. Every command also takes `--json` (one
document on the standard output), `--home DIR` and `--help`. Exit codes: 0 done, 1 failed, 2 wrong input, 130 stopped by the
user with the work kept. Settings are flags too (`--lora.r 8`); they are described in [settings.md](settings.md).
"""


def page() -> str:
    """The whole reference page as Markdown."""
    parts = [_HEAD]
    for command in sorted(COMMANDS, key=lambda one: one.name):
        parser = argparse.ArgumentParser(prog=f"clip-atelier {command.name}", add_help=False)
        command.arguments(parser)
        parts.append(f"## {command.name}\n\n{_sentence(command.title)}\n")
        if command.detail:
            parts.append(f"{command.detail}\n")
        parts.append(_arguments(parser))
    return "\n".join(parts)


def _arguments(parser: argparse.ArgumentParser) -> str:
    lines = []
    takes_settings = False
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                words = " ".join(
                    _name(one) for one in inner._actions if not one.option_strings and one.dest != "help"
                )
                told = next((one.help or "" for one in action._choices_actions if one.dest == name), "")
                lines.append(f"- `{name}{' ' + words if words else ''}`: {told}")
        elif any(option.removeprefix("--") in DECLARED for option in action.option_strings):
            takes_settings = True
        elif action.help != argparse.SUPPRESS and action.dest != "help":
            told = (action.help or "").partition(":\n")[0]
            lines.append(f"- `{_name(action)}`: {told}")
    if takes_settings:
        lines.append("- every setting, as `--GROUP.NAME VALUE`")
    return "\n".join(lines) + "\n"


def _name(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    value = " ".join(value) if isinstance(value, tuple) else value
    if action.choices and not action.metavar:
        value = "|".join(map(str, action.choices))
    return " ".join(part for part in (", ".join(action.option_strings), value) if part)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8", newline="\n")
