"""What helps to find a fault, as one text that can be read before it is given to anybody.

It tells versions, the machine, which settings are not the default, how the runs ended and the last lines of the log. Names
of folders, drawings, runs and people are taken out; captions and pictures are in none of these to begin with.
"""

from __future__ import annotations

import getpass
import platform
import re
import socket
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine import settings
from clip_atelier.engine.core import Record, UserError, bounded_json, paths
from clip_atelier.engine.runs import RunFolder, Runs, versions

_LOG_LINES: Final = 200
_PROGRAM = re.compile(r"[^\s\"“]*[\\/](clip_atelier|site-packages|python3\.\d+)[\\/]")
_QUOTED = re.compile("“[^”\n]*”|'[^'\n]*'|\"[^\"\n]*\"")
_PATH = re.compile(r"(?<![\w.])(?:~|HOME|[A-Za-z]:)?(?:[\\/][^\s\\/:;,]+)+[\\/]?")
_RUN = re.compile(r"\b(\d{8}-\d{6})-[^\s/\\\"”]+")
_KEPT = ("clip_atelier", "site-packages", "python3.")


class ProblemReport(Record):
    """The parts of the report; `text` is all of it as it is saved."""

    program: dict[str, str]
    machine: dict[str, str]
    settings: dict[str, Any]
    runs: dict[str, int]
    damaged: tuple[str, ...]
    log: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole report."""
        runs = ", ".join(f"{count} {status}" for status, count in sorted(self.runs.items())) or "none"
        parts = [
            "CLIP Atelier: report of a problem",
            "",
            "What happened, and what should have happened: (please write it here)",
            "",
            *_listed("Program", self.program),
            *_listed("Machine", self.machine),
            *_listed("Settings that are not the default", self.settings),
            f"Runs: {runs}",
            *(f"  damaged: {one}" for one in self.damaged),
            "",
            f"The last {len(self.log)} lines of the log:",
            *(f"  {line}" for line in self.log),
        ]
        return "\n".join(parts) + "\n"


def _listed(title: str, values: dict[str, Any]) -> Iterable[str]:
    return f"{title}:", *(f"  {name}: {value}" for name, value in values.items()), ""


def problem_report(home: Path) -> ProblemReport:
    """Puts the report of a home together; nothing is written."""
    runs = Runs(home).list()
    summaries = [run.summary() for run in runs]
    return ProblemReport(
        program=versions(),
        machine={
            "system": platform.platform(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
        settings=_settings(home, runs[-1] if runs else None),
        runs=dict(Counter(one.status for one in summaries)),
        damaged=tuple(redacted(one.error, home) for one in summaries if one.error),
        log=tuple(redacted(line, home) for line in _log(home)),
    )


def redacted(text: str, home: Path) -> str:
    """A text without names of folders, drawings, runs, the user and the machine."""
    text = _PROGRAM.sub(r"\1/", paths.shown(text))
    for name, stand_in in (
        (str(home), "HOME"), (str(Path.home()), "~"), (_user(), "USER"), (socket.gethostname(), "HOST"),
    ):  # fmt: skip
        if len(name) > 2:
            text = text.replace(name, stand_in)
    text = _QUOTED.sub(lambda found: found[0] if _is_program(found[0][1:]) else _shut(found[0]), text)
    text = _PATH.sub(lambda found: found[0] if _is_program(found[0]) else f"PATH{_suffix(found[0])}", text)
    return _RUN.sub(r"\1", text)


def _is_program(text: str) -> bool:
    return text.startswith(_KEPT) or re.fullmatch(r"[\\/][\w.]+\.py.?", text) is not None


def _shut(quoted: str) -> str:
    return f"{quoted[0]}…{_suffix(quoted[1:-1])}{quoted[-1]}"


def _suffix(name: str) -> str:
    """What kind of file it is may be told."""
    found = re.search(r"\.[A-Za-z0-9]{1,11}$", name)
    return found[0] if found else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def _settings(home: Path, newest: RunFolder | None) -> dict[str, Any]:
    """Those of the window's draft and of the newest run that are not the default; texts only where they are choices."""
    chosen: dict[str, Any] = {}
    try:
        draft = bounded_json((home / "window.json").read_bytes())
        chosen |= draft["draft"] if isinstance(draft, dict) and isinstance(draft.get("draft"), dict) else {}
    except (OSError, ValueError):
        chosen = {}
    if newest is not None:
        try:
            chosen = {**newest.record.settings, **chosen}
        except UserError:
            newest = None
    found: dict[str, Any] = {}
    for name, value in chosen.items():
        declared = settings.DECLARED.get(name)
        if declared is not None and value != declared.default:
            free = isinstance(value, str) and value not in declared.choices
            found[name] = "(not the default)" if free else value
    return found


def _log(home: Path) -> list[str]:
    try:
        text = (home / "log" / "window.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.splitlines()[-_LOG_LINES:]
