"""Long measurements of a run, as work for the compute lane. What they are and where they are kept is the engine's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.engine.core import Control, Work
from clip_atelier.gui.jobs import at_once

if TYPE_CHECKING:
    from clip_atelier.engine.analysis import Measured, Subject
    from clip_atelier.engine.evaluation import StrengthReading, StrengthSweep
    from clip_atelier.gui.workers import Tools


def read_kept(subject: Subject, tools: Tools, _control: Control) -> Work[Measured[Any] | None]:
    """The last result of a subject; None if there is none."""
    from clip_atelier.engine.analysis import measured

    return at_once(lambda: measured.last(tools.home, subject))


def read_readings(subject: Subject, tools: Tools, _control: Control) -> Work[list[StrengthReading]]:
    """What was measured of single strengths before, by the whole sweep too."""
    from clip_atelier.engine.analysis import measured

    return at_once(lambda: measured.last_readings(tools.home, subject))


def measure_strength(
    subject: Subject, strength: float, tools: Tools, control: Control
) -> Work[StrengthReading]:
    """Measures one strength of a run, and keeps it with the others."""
    from clip_atelier.engine.analysis import measure as measure_one
    from clip_atelier.engine.analysis import measured

    found = yield from measure_one(tools.home, subject.run, strength, tools.models, control)
    measured.keep_reading(tools.home, subject, found)
    return found


def open_meter(run: str, tools: Tools, control: Control) -> Work[StrengthSweep | None]:
    """What answers a run's held-out questions at any strength at once, where that is possible."""
    from clip_atelier.engine.analysis import strength_sweep_of

    return strength_sweep_of(tools.home, run, tools.models, control)


def read_meter(
    strength_sweep_of: StrengthSweep, strength: float, _tools: Tools, _control: Control
) -> Work[StrengthReading]:
    """One strength, read from a meter: no model is needed."""
    return at_once(lambda: strength_sweep_of.at(strength))


def measure(
    subject: Subject, perplexity: float = 30.0, strength: float | None = None
) -> Callable[[Tools, Control], Work[Measured[Any]]]:
    """The work that measures a subject, keeps its result and returns it.

    Args:
        subject: What is measured.
        perplexity: Of a map.
        strength: Of a map's run, or of the words'; the recommended one where left out.
    """
    return partial(_measure, subject, perplexity, strength)


def _measure(
    subject: Subject, perplexity: float, strength: float | None, tools: Tools, control: Control
) -> Work[Measured[Any]]:
    from clip_atelier.engine.analysis import measured

    if subject.kind == "dial":
        from clip_atelier.engine.analysis import curve

        sweep = yield from curve(tools.home, subject.run, tools.models, control)
        return measured.keep(tools.home, subject, sweep)
    if subject.kind == "words":
        from clip_atelier.engine.analysis import words

        changes = yield from words(tools.home, subject.run, tools.models, control, strength=strength)
        return measured.keep(tools.home, subject, changes)
    from clip_atelier.engine.search import ModelRef

    run = subject.run or None
    model_ref = ModelRef(run, strength, None if run else subject.state)
    folder = Path(subject.folder)
    drawn = yield from measured.map_with_ranks(folder, model_ref, tools.models, control, perplexity)
    return measured.keep(tools.home, subject, drawn)
