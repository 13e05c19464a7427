"""Completion as a person meets it: a line is begun in the real shell, and the shell ends it."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from clip_atelier.cli.commands import COMMANDS
from clip_atelier.cli.completion import SCRIPTS, grammar, names
from clip_atelier.cli.completion.grammar import Level
from clip_atelier.cli.parsers import program
from clip_atelier.engine.core import i18n
from clip_atelier.engine.settings import DECLARED

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these shells are at home elsewhere")

RUN = "20261127-101500-flowers"
EVIL = "20261128-101500-$(touch evil)"


class Place(NamedTuple):
    """A home with runs and a model, and a folder to type in, where `clip-atelier` is a command."""

    home: Path
    folder: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def levels() -> list[Level]:
    i18n.set_language("en")
    return grammar(program(COMMANDS))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path, levels: list[Level]) -> Place:
    root = tmp_path_factory.mktemp("completion")
    home, folder, programs = root / "home", root / "work", root / "bin"
    for run in (RUN, EVIL):
        (home / "runs" / run).mkdir(parents=True)
        (home / "runs" / run / "run.json").write_text("{}")
    shutil.copytree(tiny_clip, home / "models" / "my-model")
    (folder / "drawings here").mkdir(parents=True)
    (folder / "picture.png").touch()
    programs.mkdir()
    shim = programs / "clip-atelier"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m clip_atelier "$@"\n')
    shim.chmod(0o755)
    for shell, script in SCRIPTS.items():
        (root / shell).write_text(script(levels), encoding="utf-8")
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "CLIP_ATELIER_HOME": str(home),
        "HOME": str(root), "TERM": "dumb", "CLIP_ATELIER_LANGUAGE": "en", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    return Place(home, folder, environment)


Lines = Sequence[str]


def in_bash(place: Place, lines: Lines) -> list[list[str]]:
    """The function is given what bash gives it: the words, divided at = and : too."""
    asks = ["source ../bash; complete -p clip-atelier > /dev/null || exit 3"]
    for line in lines:
        words = [word for word in re.split(r"([=:])|\s+", line) if word]
        words += [""] if line.endswith(" ") else []
        quoted = " ".join(f"'{word}'" for word in words)
        asks.append(f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _clip_atelier")
        asks.append("printf '%s\\n' \"${COMPREPLY[@]}\" ---")
    return asked(place, ["bash", "--norc", "-c", "\n".join(asks)])


def in_fish(place: Place, lines: Lines) -> list[list[str]]:
    asks = ["source ../fish", *(f"complete -C '{line}'; echo ---" for line in lines)]
    found = asked(place, ["fish", "--no-config", "-c", "\n".join(asks)])
    return [[one.partition("\t")[0] for one in answer] for answer in found]


def asked(place: Place, command: list[str]) -> list[list[str]]:
    """What a shell prints, divided at lines of three dashes."""
    ended = subprocess.run(
        command,
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stderr == ""
    assert ended.returncode == 0
    return [
        answer.split("\n") if answer else [] for answer in re.findall(r"(.*?)\n?---\n", ended.stdout, re.S)
    ]


def in_zsh(place: Place, lines: Lines) -> list[list[str]]:
    """What zsh makes of each line after Tab, in a terminal: the line's last word as it is then."""
    import pty

    said = place.folder.parent / "said"
    begin = (
        "autoload -Uz compinit; compinit -D -u; source ../zsh; unsetopt list_beep; PS1=; "
        f"said() {{ print -r -- \"$BUFFER\" > '{said}.new'; mv '{said}.new' '{said}'; BUFFER='' }}; zle -N said; "
        "bindkey '^X' said; print ready\n"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(place.folder)
        os.execvpe("zsh", ["zsh", "-f", "-i"], place.environment)
    found = []
    try:
        os.write(terminal, begin.encode())
        read_until(terminal, lambda text: text.count("ready") > 1)
        for line in lines:
            said.unlink(missing_ok=True)
            os.write(terminal, f"{line}\t\x18".encode())
            read_until(terminal, lambda _text: said.exists())
            ended = said.read_text("utf-8").rstrip("\n")[line.rindex(" ") + 1 :]
            found.append([] if ended == line.rpartition(" ")[2] else [ended.rstrip(" ")])
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
    return found


def read_until(terminal: int, done: Callable[[str], bool]) -> None:
    text = ""
    for _ in range(600):
        if select.select([terminal], [], [], 0.05)[0]:
            text += os.read(terminal, 65536).decode("utf-8", "replace")
        if done(text):
            return
    raise AssertionError(text)


SHELLS = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}

LINES = {
    "clip-atelier cross": "crossval",
    "clip-atelier --json runs sh": "show",
    "clip-atelier runs show 20261127": RUN,
    "clip-atelier --home elsewhere runs show 2026": "",
    "clip-atelier report --out x.html one 20261127": RUN,
    "clip-atelier train --lora.lora_al": "--lora.lora_alpha",
    "clip-atelier train drawings --preset proj": "projection",
    "clip-atelier train --model.name my-": "my-model",
    "clip-atelier train --hardware.device cud": "cuda",
    "clip-atelier train --lora.use_rslora tr": "true",
    "clip-atelier export latest --to open": "open_clip",
    "clip-atelier captions export x --as open": "open_clip",
    "clip-atelier models add --name my-": "",
    "clip-atelier grid --vary lora.lora_al": "lora.lora_alpha=",
    "clip-atelier search drawings --image pict": "picture.png",
    "clip-atelier evaluate latest draw": "drawings here",
    "clip-atelier search --quiet draw": "drawings here",
}
"""What is begun -> the one word that it ends with, or nothing."""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_ends_what_was_begun(place: Place, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    found = SHELLS[shell](place, list(LINES))
    for (line, ends_with), words in zip(LINES.items(), found, strict=True):
        assert [word.replace("\\", "").rstrip("/") for word in words] == ([ends_with] if ends_with else []), (
            line
        )


def test_bash_knows_what_follows_an_equals_sign_and_carries_no_name_out(place: Place) -> None:
    preset, switch, name = in_bash(
        place,
        ["clip-atelier train --preset=proj", "clip-atelier grid --vary lora.use_rslora=", "clip-atelier runs show 20261128"],
    )  # fmt: skip
    assert preset == ["projection"]
    assert switch == ["true", "false"]
    assert name == [re.sub(r"([$() ])", r"\\\1", EVIL)]
    assert not (place.folder / "evil").exists()


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_command_option_and_setting_is_in_each_script(levels: list[Level], shell: str) -> None:
    script = SCRIPTS[shell](levels)
    words = set(re.findall(r"[\w.-]+", script))
    for level in levels:
        assert {*level.path, *level.commands} <= words
        for option in level.options:
            assert {name.lstrip("-") if shell == "fish" else name for name in option.names} <= words
    assert {name if shell == "fish" else f"--{name}" for name in DECLARED} <= words


def test_names_are_told_without_anything_heavy(place: Place) -> None:
    assert names("runs", place.home) == [EVIL, RUN, "latest"]
    assert "my-model" in names("models", place.home)
    assert names("runs", place.home / "nothing") == []
    code = (
        "import sys; from clip_atelier.cli.main import main; main(['completion', '--names', 'runs']); "
        "main(['completion', 'bash', '--json']); "
        "print(sorted({'torch', 'transformers', 'numpy', 'PySide6'} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=place.environment, capture_output=True, text=True, check=True
    )
    assert ended.stderr.strip() == "[]"
