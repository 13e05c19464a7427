"""The program's whole parser: what is typed, the completion of shells and the manual page all come from it."""

from __future__ import annotations

from collections.abc import Iterable

import clip_atelier
from clip_atelier.cli.arguments import Parser, add_common
from clip_atelier.cli.command import Command
from clip_atelier.engine.core import _


def program(commands: Iterable[Command]) -> Parser:
    """The parser of `clip-atelier COMMAND …`, in the current language."""
    parser = Parser(
        prog="clip-atelier",
        description=_(
            "Teach CLIP an artist's own hand: LoRA adaptation and retrieval on your own drawings, without the network."
        ),
        epilog=_(
            "Without a command the window opens, on FOLDER if one is given. Every command has its own --help.\n"
            "Exit codes: 0 done, 1 failed, 2 wrong input, 130 stopped by you (work is kept)."
        ),
    )
    add_common(parser)
    version = f"clip-atelier {clip_atelier.__version__}"
    parser.add_argument(
        "--version", action="version", version=version, help=_("show program's version number and exit")
    )
    choices = parser.add_subparsers(title=_("commands"), metavar=_("COMMAND"), required=True)
    for command in commands:
        title = _(command.title)
        description = f"{title}\n\n{_(command.detail)}" if command.detail else title
        one = choices.add_parser(command.name, help=title, description=description)
        add_common(one)
        command.arguments(one)
        one.set_defaults(command=command)
    return parser
