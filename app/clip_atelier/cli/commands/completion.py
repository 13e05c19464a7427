"""`completion`: prints the script with which a shell completes what is typed after `clip-atelier`."""

from __future__ import annotations

import argparse

from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_, UserError, _

_SHELLS = ("bash", "zsh", "fish")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", nargs="?", choices=_SHELLS, help=_("the shell: bash, zsh or fish"))
    parser.add_argument(
        "--names",
        choices=("runs", "models"),
        help=_("instead, list the names of trainings or models, one a line; the scripts ask for them"),
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.cli import completion

    if args.names:
        found = completion.names(args.names, session.home)
        return Outcome({"names": found}, "\n".join(found))
    if args.shell is None:
        raise UserError(_("For which shell?"), _("Write for example: clip-atelier completion bash"), "shell")
    from clip_atelier.cli.commands import COMMANDS
    from clip_atelier.cli.parsers import program

    script = completion.SCRIPTS[args.shell](completion.grammar(program(COMMANDS)))
    return Outcome({"shell": args.shell, "script": script}, script.rstrip("\n"))


COMMAND = Command(
    "completion",
    N_("print the script with which bash, zsh or fish complete commands, settings, trainings and models"),
    _arguments,
    _run,
    N_(
        "bash: clip-atelier completion bash > ~/.local/share/bash-completion/completions/clip-atelier\n"
        "zsh: clip-atelier completion zsh > a folder of $fpath, as _clip-atelier\n"
        "fish: clip-atelier completion fish > ~/.config/fish/completions/clip-atelier.fish"
    ),
)
