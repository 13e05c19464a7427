"""The script for fish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from clip_atelier.cli.completion.grammar import Level, Value, meanings, value_of
from clip_atelier.engine.core import _
from clip_atelier.engine.settings import DECLARED

_SCRIPT: Final = r"""# Completion of clip-atelier for fish, made by “clip-atelier completion fish”.

# Prints the commands that stand before the cursor, then how many arguments follow them.
function __clip_atelier_place
    set -l known @PATHS@
    set -l bare @BARE@
    set -l many @MANY@
    set -l path
    set -l place 0
    set -l option
    for word in (commandline -opc)[2..]
        if string match -q -- '-*' $word
            set option
            if not string match -q -- '*=*' $word; and not contains -- $word $bare
                set option $word
            end
        else if test -n "$option"
            contains -- $option $many; or set option
        else if contains -- (string join ' ' $path $word) $known
            set path $path $word
            set place 0
        else
            set place (math $place + 1)
        end
    end
    echo (string join ' ' $path)
    echo $place
end

# Whether one of these stands before the cursor, as in “runs show”.
function __clip_atelier_at
    set -l now (__clip_atelier_place)
    contains -- "$now[1]" $argv
end

# Whether the argument of this number comes next; a star is any.
function __clip_atelier_argument
    set -l now (__clip_atelier_place)
    test "$now[1]" = "$argv[1]"; and begin
        test "$argv[2]" = '*'; or test "$now[2]" = "$argv[2]"
    end
end

function __clip_atelier_names
    set -l words (commandline -opc)
    set -l home
    for i in (seq 2 (count $words))
        switch $words[$i]
            case --home
                set home --home $words[(math $i + 1)]
            case '--home=*'
                set home $words[$i]
        end
    end
    $words[1] completion --names $argv[1] $home 2>/dev/null
end

complete -c clip-atelier -e
complete -c clip-atelier -f
"""


def fish(levels: Sequence[Level]) -> str:
    """The script.

    Args:
        levels: The grammar of the program.
    """
    found = meanings(levels)
    lines = []
    for level in levels:
        at = f"__clip_atelier_argument {_quote(' '.join(level.path))} "
        for name, told in level.commands.items():
            lines.append(_complete(at + "0", f"-a {_quote(name)} -d {_quote(told)}"))
        for place, value in enumerate(level.arguments):
            taken = _taken(value, needed=False)
            if taken:
                lines.append(_complete(at + _quote("*" if value.many else str(place)), taken))
    for meaning in found:
        spelled = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in meaning.names)
        after = () if len(meaning.paths) == len(levels) else meaning.paths
        lines.append(_option(after, spelled, meaning.value, meaning.told))
    for name, declared in DECLARED.items():
        paths = [level.path for level in levels if name in level.settings]
        if paths:
            lines.append(_option(paths, f"-l {name}", value_of(declared), _(declared.title)))
    bare = [name for meaning in found if meaning.value.kind == "none" for name in meaning.names]
    many = [name for meaning in found if meaning.value.many for name in meaning.names]
    known = [" ".join(level.path) for level in levels if level.path]
    script = _SCRIPT
    for mark, words in (("@PATHS@", known), ("@BARE@", bare), ("@MANY@", many)):
        script = script.replace(mark, " ".join(map(_quote, dict.fromkeys(words))))
    return script + "\n".join(lines) + "\n"


def _option(paths: Iterable[tuple[str, ...]], spelled: str, value: Value, told: str) -> str:
    where = " ".join(_quote(" ".join(path)) for path in paths)  # none: everywhere
    taken = "" if value.kind == "none" else _taken(value, needed=True)
    what = " ".join(part for part in (spelled, taken, f"-d {_quote(told)}") if part)
    return _complete(f"__clip_atelier_at {where}", what) if where else f"complete -c clip-atelier {what}"


def _taken(value: Value, needed: bool) -> str:
    """What completes a value; `needed` is it after an option."""
    alone = "-x " if needed else ""
    if value.kind == "file":
        return "-r -F" if needed else "-F"
    if value.kind == "folder":
        return f"{alone}-a '(__fish_complete_directories)'"
    if value.kind in ("runs", "models"):
        return f"{alone}-k -a '(__clip_atelier_names {value.kind})'"
    if value.kind == "settings":
        return f"{alone}-a {_quote(' '.join(f'{name}=' for name in DECLARED))}"
    return f"{alone}-a {_quote(' '.join(value.words))}" if value.words else alone.strip()


def _complete(when: str, what: str) -> str:
    return f"complete -c clip-atelier -n {_quote(when)} {what}"


def _quote(text: str) -> str:
    """A word of fish, where only the quote and the backslash are special between quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
