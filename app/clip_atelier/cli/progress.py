"""Shows the events of long work on stderr: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from clip_atelier.cli import console
from clip_atelier.cli.report import status_word
from clip_atelier.cli.text import bar, shorten, visible, width
from clip_atelier.engine.core import _, duration, events, measured

_BAR = 24
_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 5.0
_PROBLEMS_SHOWN = 20


class Reporter:
    """A sink for events. Call `close` (or leave the `with` block) to end the line being drawn.

    Args:
        stream: Where to write; stderr by default.
        columns: Width of the terminal, None where the stream is not one.
        clock: Seconds, for throttling.
        quiet: Shows nothing.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        columns: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        quiet: bool = False,
    ) -> None:
        self._quiet = quiet
        self._stream = sys.stderr if stream is None else stream
        self._columns = columns
        self._clock = clock
        self._shown_at = float("-inf")
        self._drawn = False
        self._phase = ""
        self._steps = 0
        self._headline = ""
        self._problems = 0

    @classmethod
    def for_stderr(cls, quiet: bool = False) -> Reporter:
        """A reporter that suits where stderr goes."""
        import shutil

        terminal = console.is_terminal(sys.stderr)
        return cls(columns=shutil.get_terminal_size().columns if terminal else None, quiet=quiet)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the line being drawn, and counts the problems that were not listed."""
        self._clear()
        hidden = self._problems - _PROBLEMS_SHOWN
        if hidden > 0:
            self._line(_("… and {count} more files left out; `scan` lists them all.").format(count=hidden))
        self._problems = 0

    def __call__(self, event: events.Event) -> None:
        """Shows one event."""
        if self._quiet:
            return
        match event:
            case events.Phase():
                if event.title == self._phase:
                    return
                self._phase = event.title or event.name
                if self._columns is None:
                    self._line(self._phase)
                    self._shown_at = self._clock()
                else:
                    self._passing(self._phase)
            case events.Progress():
                self._passing(self._progress(event), last=event.done >= event.total)
            case events.ProblemFound():
                self._problem(event)
            case events.Started():
                self._steps, self._headline = event.steps, event.primary_metric
                self._line(self._started(event))
            case events.Step():
                self._passing(self._step(event), last=event.step == self._steps)
            case events.Check() | events.Cell() | events.PartMeasured() | events.Notice() | events.Strength():
                if said := self._sentence(event):
                    self._line(said)
            case _:
                pass

    def _sentence(
        self, event: events.Check | events.Cell | events.PartMeasured | events.Notice | events.Strength
    ) -> str:
        match event:
            case events.Check():
                return self._check(event)
            case events.Cell():
                return self._cell(event)
            case events.PartMeasured():
                return _("{part}, {question}: {value:+.3f} mAP ({low:+.3f} to {high:+.3f})").format(
                    part=event.name,
                    question=event.question,
                    value=event.value,
                    low=event.low,
                    high=event.high,
                )
            case events.Notice():
                return event.text
        if not event.chosen:
            return ""
        return _("strength {strength:g} chosen: {score:.3f} on validation").format(
            strength=event.strength, score=event.score
        )

    def _progress(self, event: events.Progress) -> str:
        left = (
            ""
            if event.seconds_left is None
            else " " + _("{time} left").format(time=duration(event.seconds_left))
        )
        return f"{self._phase} {self._bar(event.done, event.total)}{left}"

    def _bar(self, done: int, total: int) -> str:
        count = f"{done:,}/{total:,}"
        if self._columns is None or not total:
            return count
        return f"{bar(done, total, _BAR):{_BAR}} {count}"

    def _problem(self, event: events.ProblemFound) -> None:
        self._problems += 1
        if self._problems <= _PROBLEMS_SHOWN:
            self._line(
                _("left out: {path}: {reason}").format(path=visible(event.path), reason=visible(event.reason))
            )

    def _started(self, event: events.Started) -> str:
        if event.start_step:
            start = _("training {run} goes on at step {step} of {steps}").format(
                run=event.run, step=event.start_step, steps=event.steps
            )
        else:
            start = _("training {run}: {steps} steps").format(run=event.run, steps=event.steps)
        return start + _("; {count:,} trainable parameters; {device}, {precision}").format(
            count=event.trainable_parameters, device=event.device, precision=event.precision
        )

    def _step(self, event: events.Step) -> str:
        left = (
            ""
            if event.seconds_left is None
            else "  " + _("{time} left").format(time=duration(event.seconds_left))
        )
        return (
            f"{self._phase} {self._bar(event.step, self._steps)}  "
            + _("loss {loss}  {speed:.0f} images/s").format(
                loss=measured(event.loss), speed=event.images_per_second
            )
            + left
        )

    def _check(self, event: events.Check) -> str:
        score = event.metrics.get(self._headline)
        parts = [_("check at step {step}").format(step=event.step)]
        if event.loss is not None:
            parts.append(_("validation loss {loss}").format(loss=measured(event.loss)))
        if score is not None:
            parts.append(f"{self._headline} {measured(score)}")
        if event.best:
            parts.append(_("best so far"))
        elif event.checks_without_gain:
            parts.append(_("checks without gain: {count}").format(count=event.checks_without_gain))
        return "  ".join(parts)

    def _cell(self, event: events.Cell) -> str:
        where = _("cell {number} of {total}").format(number=event.number, total=event.total)
        left = (
            ""
            if event.seconds_left is None
            else "  " + _("{time} left").format(time=duration(event.seconds_left))
        )
        reason = f"  {visible(event.message)}" if event.message else ""
        return f"{where}: {visible(event.title)}  {status_word(event.status)}{reason}{left}"

    def _passing(self, text: str, last: bool = False) -> None:
        """A line that the next one replaces; throttled."""
        now = self._clock()
        wait = _LINE_SECONDS if self._columns is None else _REDRAW_SECONDS
        if now - self._shown_at < wait and not (last and self._columns):
            return
        self._shown_at = now
        if self._columns is None:
            self._line(text)
            return
        text = shorten(visible(text), self._columns - 1)
        console.write(self._stream, "\r" + text + " " * max(0, self._columns - 1 - width(text)))
        self._drawn = True

    def _line(self, text: str) -> None:
        self._clear()
        console.write(self._stream, text + "\n")

    def _clear(self) -> None:
        if self._drawn and self._columns is not None:
            console.write(self._stream, "\r" + " " * (self._columns - 1) + "\r")
        self._drawn = False
