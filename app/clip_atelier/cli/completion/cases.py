"""What the scripts for bash and zsh share: branches of `case`, and a script's marks filled with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from shlex import quote

from clip_atelier.cli.completion.grammar import Level, Value, meanings, value_of
from clip_atelier.engine.settings import DECLARED


def case(patterns: Iterable[str], then: str) -> str:
    """One branch."""
    return f"        {' | '.join(patterns)}) {then} ;;"


def cases_of_arguments(levels: Sequence[Level], taken: Callable[[Value], str]) -> list[str]:
    """For "COMMANDS:PLACE", what an argument takes; `taken` says it in the shell's own words."""
    found = []
    for level in levels:
        for place, value in enumerate(level.arguments):
            before = quote(f"{' '.join(level.path)}:")
            found.append(case([f"{before}*" if value.many else f"{before}{place}"], taken(value)))
    return found


def cases_of_values(levels: Sequence[Level], taken: Callable[[Value], str]) -> list[str]:
    """For "COMMANDS:OPTION", what an option or a setting takes."""
    found = []
    for meaning in meanings(levels):
        if meaning.everywhere:
            patterns = [f"*:{name}" for name in meaning.names]
        else:
            patterns = [quote(f"{' '.join(path)}:{name}") for path in meaning.paths for name in meaning.names]
        found.append(case(patterns, taken(meaning.value)))
    return found + [case([f"*:--{name}"], taken(value_of(declared))) for name, declared in DECLARED.items()]


def filled(script: str, marks: Mapping[str, Iterable[str]]) -> str:
    """The script with lines, each once, where its marks stand."""
    for mark, lines in marks.items():
        script = script.replace(mark, "\n".join(dict.fromkeys(lines)))
    return script
