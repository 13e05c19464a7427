"""The script for bash. It needs nothing but bash itself, 3.2 as on macOS or newer."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Final

from clip_atelier.cli.completion.cases import case, cases_of_arguments, cases_of_values, filled
from clip_atelier.cli.completion.grammar import Level, Value
from clip_atelier.engine.settings import DECLARED

_SCRIPT: Final = r"""# Completion of clip-atelier for bash, made by “clip-atelier completion bash”.
# bash 3.2 has no compopt: there a space follows a folder.

_clip_atelier_commands() {
    commands=""
    case "$1" in
@COMMANDS@
    esac
}

_clip_atelier_argument() {
    kind="" words="" many=""
    case "$1:$2" in
@ARGUMENTS@
    esac
}

_clip_atelier_options() {
    options=""
    case "$1" in
@OPTIONS@
    esac
}

_clip_atelier_value() {
    kind="text" words="" many=""
    case "$1:$2" in
@VALUES@
    esac
}

_clip_atelier_offer() {
    local name
    # No “compgen -W”, which would carry out what stands in the name of a run.
    while IFS= read -r name; do
        [[ $name == "${cur//\\/}"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
    done
}

_clip_atelier() {
    local cur=${COMP_WORDS[COMP_CWORD]} path="" option="" home="" place=0 word i
    local commands options kind="" words="" many=""
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == "=" || $word == ":" ]]; then
            # bash divides words there: what follows belongs to an option that waits for it, else to the word before.
            [[ -n $option ]] || ((i++))
            continue
        fi
        if [[ -n $option && $word != -* ]]; then
            [[ $option == --home ]] && home=$word
            [[ -n $many ]] || option=""
            continue
        fi
        option=""
        if [[ $word == -* ]]; then
            _clip_atelier_value "$path" "$word"
            [[ $kind == none ]] || option=$word
            continue
        fi
        _clip_atelier_commands "$path"
        if [[ " $commands " == *" $word "* ]]; then
            path="$path${path:+ }$word" place=0
        else
            ((place++))
        fi
    done
    if [[ -z $option && $COMP_CWORD -gt 2 && ( $cur == "=" || ${COMP_WORDS[COMP_CWORD - 1]} == "=" ) ]]; then
        # --vary lora.r=…
        i=$((COMP_CWORD - 1))
        [[ $cur == "=" ]] || ((i--))
        _clip_atelier_value "$path" "--${COMP_WORDS[i]}"
        option="="
    fi
    [[ $cur == "=" ]] && cur=""
    if [[ $cur == -* ]]; then
        _clip_atelier_options "$path"
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
        return
    fi
    if [[ -z $option ]]; then
        _clip_atelier_commands "$path"
        if [[ -n $commands ]]; then
            COMPREPLY=($(compgen -W "$commands" -- "$cur"))
            return
        fi
        _clip_atelier_argument "$path" "$place"
    fi
    case "$kind" in
        words) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
        runs | models)
            _clip_atelier_offer < <("${COMP_WORDS[0]}" completion --names "$kind" ${home:+--home "$home"} 2>/dev/null)
            ;;
        settings)
            COMPREPLY=($(compgen -S = -W "@SETTINGS@" -- "$cur"))
            compopt -o nospace 2>/dev/null
            ;;
        folder | file)
            local IFS=$'\n' only=-f
            [[ $kind == folder ]] && only=-d
            COMPREPLY=($(compgen $only -- "$cur"))
            compopt -o filenames 2>/dev/null
            ;;
    esac
}

complete -F _clip_atelier clip-atelier
"""


def bash(levels: Sequence[Level]) -> str:
    """The script.

    Args:
        levels: The grammar of the program.
    """
    commands = [
        case([quote(" ".join(level.path))], f"commands={quote(' '.join(level.commands))}")
        for level in levels
        if level.commands
    ]
    options = []
    for level in levels:
        offered = [name for option in level.options for name in option.names]
        offered += [f"--{name}" for name in level.settings]
        options.append(case([quote(" ".join(level.path))], f"options={quote(' '.join(offered))}"))
    script = _SCRIPT.replace("@SETTINGS@", " ".join(DECLARED))
    return filled(
        script,
        {
            "@COMMANDS@": commands,
            "@ARGUMENTS@": cases_of_arguments(levels, _taken),
            "@OPTIONS@": options,
            "@VALUES@": cases_of_values(levels, _taken),
        },
    )


def _taken(value: Value) -> str:
    words = f" words={quote(' '.join(value.words))}" if value.words else ""
    return f"kind={value.kind}{words}{' many=1' if value.many else ''}"
