"""Checking a home: every file against its hash, its checksum or its schema. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import Control, Countdown, Phase, UserError, Work, _, paths
from clip_atelier.engine.runs import RunFolder, Runs
from clip_atelier.engine.upkeep.findings import Finding, Verified
from clip_atelier.engine.upkeep.places import PLACES, Place, pack, reason_of

SET_ASIDE: Final = "set-aside"
"""The folder of a home that takes what `repair` moves."""


@dataclass(frozen=True)
class Checked:
    """One thing that lies in a home."""

    path: Path
    place: Place


def things(home: Path) -> Iterator[Checked]:
    """Everything in a home that can be checked, in a fixed order."""
    for place in PLACES:
        for path in sorted(home.glob(place.pattern)):
            below = path.relative_to(home).parts
            # What is hidden is half-written, a copy, or a model folder's leftover.
            if below[0] != SET_ASIDE and not any(part.startswith(".") for part in below):
                yield Checked(path, place)


def verify(home: Path, control: Control) -> Work[Verified]:
    """Checks a home.

    Raises:
        UserError: there is no such folder.
        Stopped: a stop was asked for.
    """
    if not home.is_dir():
        raise UserError(
            _("There is no folder “{folder}”.").format(folder=home),
            _("Give the home folder with --home or CLIP_ATELIER_HOME."),
        )
    busy = tuple(run.id for run in Runs(home).list() if run.locked)
    found = [thing for thing in things(home) if not _in_work(thing.path, home, busy)]
    findings = yield from _checked(home, found, control)
    return Verified(home=str(home), checked=len(found), in_work=busy, findings=findings)


def verify_packs(files: Sequence[Path], control: Control) -> Work[Verified]:
    """Checks packs that lie anywhere.

    Raises:
        Stopped: a stop was asked for.
    """
    place = Place("", "pack", pack, "")
    findings = yield from _checked(Path(), [Checked(file, place) for file in files], control)
    return Verified(home="", checked=len(files), findings=findings)


def fault(thing: Checked) -> str:
    """What is wrong with one thing, "" where nothing is."""
    try:
        thing.place.check(thing.path)
    except (UserError, OSError) as error:
        return paths.shown(reason_of(error)) or type(error).__name__
    return ""


def _checked(home: Path, found: Sequence[Checked], control: Control) -> Work[tuple[Finding, ...]]:
    yield Phase(name="verify", title=_("Checking every file"))
    countdown, findings = Countdown(len(found)), []
    for number, thing in enumerate(found, 1):
        control.boundary()
        if reason := fault(thing):
            findings.append(finding(thing, home, reason))
        yield countdown.at(number, paths.shown(thing.path))
    return tuple(findings)


def finding(thing: Checked, home: Path, reason: str) -> Finding:
    """One thing that is damaged, as it is told."""
    below = thing.path.relative_to(home) if thing.path.is_relative_to(home) else thing.path
    return Finding(
        path=paths.shown(below.as_posix()),
        kind=thing.place.kind,
        reason=reason,
        remedy=_(thing.place.remedy) if thing.place.remedy else "",
    )


def _in_work(path: Path, home: Path, busy: Iterable[str]) -> bool:
    return any(path.is_relative_to(home / "runs" / run) for run in busy)


def run_of(path: Path, home: Path) -> RunFolder | None:
    """The run that a file belongs to."""
    below = path.relative_to(home).parts
    return RunFolder(home / "runs" / below[1]) if below[0] == "runs" and len(below) > 2 else None
