"""The script for zsh: a function `_clip-atelier` for a folder of $fpath; it can be sourced, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Final

from clip_atelier.cli.completion.cases import case, cases_of_arguments, cases_of_values, filled
from clip_atelier.cli.completion.grammar import Level, Value
from clip_atelier.engine.core import _
from clip_atelier.engine.settings import DECLARED

_SCRIPT: Final = r"""#compdef clip-atelier
# Completion of clip-atelier for zsh, made by “clip-atelier completion zsh”.

_clip_atelier_commands() {
    commands=()
    case "$1" in
@COMMANDS@
    esac
}

_clip_atelier_argument() {
    kind="" choices=() many=""
    case "$1:$2" in
@ARGUMENTS@
    esac
}

_clip_atelier_options() {
    options_here=() with_settings=""
    case "$1" in
@OPTIONS@
    esac
    [[ -z $with_settings ]] && return
    local group
    for group in ${=with_settings}; do
        case "$group" in
@SETTINGS@
        esac
    done
}

_clip_atelier_value() {
    kind="text" choices=() many=""
    case "$1:$2" in
@VALUES@
    esac
}

_clip-atelier() {
    local where="" option="" home="" kind="" many="" with_settings="" word
    local -a commands choices options_here found
    local -i place=0 i
    for ((i = 2; i < CURRENT; i++)); do
        word=${words[i]}
        if [[ -n $option && $word != -* ]]; then
            [[ $option == --home ]] && home=${(Q)word}
            [[ -n $many ]] || option=""
            continue
        fi
        option=""
        if [[ $word == --*=* ]]; then
            [[ $word == --home=* ]] && home=${(Q)word#*=}
            continue
        fi
        if [[ $word == -* ]]; then
            _clip_atelier_value "$where" "$word"
            [[ $kind == none ]] || option=$word
            continue
        fi
        _clip_atelier_commands "$where"
        if (( ${commands[(I)${(b)word}:*]} )); then
            where="$where${where:+ }$word" place=0
        else
            place+=1
        fi
    done
    word=${words[CURRENT]}
    if [[ $word == --*=* ]]; then
        option=${word%%=*}
        _clip_atelier_value "$where" "$option"
        compset -P '*='
    elif [[ $word == -* ]]; then
        _clip_atelier_options "$where"
        _describe -o option options_here
        return
    fi
    if [[ -z $option ]]; then
        _clip_atelier_commands "$where"
        if (( $#commands )); then
            _describe command commands
            return
        fi
        _clip_atelier_argument "$where" "$place"
    fi
    if [[ $kind == settings && $word == *=* ]]; then
        _clip_atelier_value "$where" "--${word%%=*}"
        compset -P '*='
    fi
    case "$kind" in
        words) compadd -a choices ;;
        runs | models)
            found=("${(@f)$("${(Q)words[1]}" completion --names "$kind" ${home:+--home} ${home:+"$home"} 2>/dev/null)}")
            compadd -a found
            ;;
        settings) compadd -S = -- @NAMES@ ;;
        folder) _files -/ ;;
        file) _files ;;
    esac
}

if [[ $funcstack[1] == _clip-atelier ]]; then
    _clip-atelier "$@"
else
    compdef _clip-atelier clip-atelier
fi
"""


def zsh(levels: Sequence[Level]) -> str:
    """The script.

    Args:
        levels: The grammar of the program.
    """
    commands = [
        case([_at(level.path)], f"commands=({_told(level.commands)})") for level in levels if level.commands
    ]
    options = []
    for level in levels:
        own = {name: option.told for option in level.options for name in option.names}
        groups = dict.fromkeys(DECLARED[name].group for name in level.settings)
        offered = f"options_here=({_told(own)})"
        if groups:
            offered += f" with_settings={quote(' '.join(groups))}"
        options.append(case([_at(level.path)], offered))
    settings = []
    for group in dict.fromkeys(declared.group for declared in DECLARED.values()):
        members = {f"--{n}": _(one.title) for n, one in DECLARED.items() if one.group == group}
        settings.append(case([group], f"options_here+=({_told(members)})"))
    script = _SCRIPT.replace("@NAMES@", " ".join(DECLARED))
    return filled(
        script,
        {
            "@COMMANDS@": commands,
            "@ARGUMENTS@": cases_of_arguments(levels, _taken),
            "@OPTIONS@": options,
            "@SETTINGS@": settings,
            "@VALUES@": cases_of_values(levels, _taken),
        },
    )


def _at(path: tuple[str, ...]) -> str:
    return quote(" ".join(path))


def _told(words: Mapping[str, str]) -> str:
    """Words with their explanations, as _describe takes them."""
    return " ".join(quote(f"{word.replace(':', chr(92) + ':')}:{told}") for word, told in words.items())


def _taken(value: Value) -> str:
    words = f" choices=({' '.join(map(quote, value.words))})" if value.words else ""
    return f"kind={value.kind}{words}{' many=1' if value.many else ''}"
