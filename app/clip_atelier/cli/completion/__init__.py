"""Completion for shells, made from the program's parser: one file a shell, and what they have in common."""

from clip_atelier.cli.completion.bash import bash
from clip_atelier.cli.completion.fish import fish
from clip_atelier.cli.completion.grammar import grammar
from clip_atelier.cli.completion.names import KINDS, names
from clip_atelier.cli.completion.zsh import zsh

SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}

__all__ = ["KINDS", "SCRIPTS", "grammar", "names"]
