"""Long work goes on while nobody looks: the machine stays awake, the taskbar tells how far it is, a message that it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QProgressBar, QWidget

from clip_atelier.engine.core import N_, UserError, _, paths

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.desk import Desk
    from clip_atelier.gui.workers import Job, Lane

TRAINS = ("train", "grid")
_ENDED = {
    "train": N_("The training has ended"),
    "grid": N_("The table is filled"),
    "search": N_("The drawings are indexed"),
    "map": N_("The map is drawn"),
    "scan": N_("The folder is read"),
    "compare-models": N_("The models are compared"),
    "download": N_("The model is downloaded"),
}
_LONG = 20.0  # seconds; nobody turns away from shorter work
_LOOK_MS = 15_000


class LongWork(QObject):
    """Watches the lanes, and has the desk do what helps.

    Args:
        app_model: Whose work it is.
        window: In front or not.
        bar: Shows the progress of the compute lane.
        desk: What the system offers.
        clock: Seconds.
        in_front: Whether the user looks at the window; asks the window if not given.
    """

    def __init__(
        self,
        app_model: AppModel,
        window: QWidget,
        bar: QProgressBar,
        desk: Desk,
        *,
        clock: Callable[[], float] = time.monotonic,
        in_front: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(window)
        self._app_model = app_model
        self._desk = desk
        self._clock = clock
        self._in_front = in_front or window.isActiveWindow
        self._bar = bar
        self._began: dict[Lane, float] = {}
        self._training: Job | None = None
        self._held = False  # paused by this, because of the battery
        self._plugged = True
        for lane in (app_model.lanes.compute, app_model.lanes.reading, app_model.lanes.network):
            lane.current_changed.connect(lambda job, lane=lane: self._on_current(lane, job))
        bar.valueChanged.connect(self._on_value)
        self.battery = QTimer(self)
        self.battery.setInterval(_LOOK_MS)
        self.battery.timeout.connect(self.look_at_battery)
        app_model.state.changed.connect(self._on_state)

    def _on_current(self, lane: Lane, job: Job | None) -> None:
        if lane is self._app_model.lanes.compute and (job is None or job is not self._training):
            self._end_training()
        if job is None:
            return
        self._began[lane] = self._clock()
        if job.name in _ENDED:
            job.done.connect(lambda _result: self._tell(lane, job.name, ""))
            job.failed.connect(lambda error: self._tell(lane, job.name, _words(error)))
        if job.name in TRAINS:
            self._training = job
            self._held = False
            self._plugged = True
            self._desk.stay_awake(_("A training goes on"))
            self.battery.start()
            self.look_at_battery()

    def _end_training(self) -> None:
        if self._training is not None:
            self._training = None
            self.battery.stop()
            self._desk.may_sleep()
            self._desk.show_progress(None)

    def _on_value(self, value: int) -> None:
        most = self._bar.maximum()
        if self._training is not None and most > 0 and value >= 0:
            self._desk.show_progress(min(1.0, value / most))

    def _tell(self, lane: Lane, name: str, wrong: str) -> None:
        took = self._clock() - self._began.get(lane, self._clock())
        if self._in_front() or (name not in TRAINS and took < _LONG):
            return
        folder = self._app_model.state.folder
        where = paths.shown(folder.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]) if folder else ""
        if wrong:
            self._desk.notify(_("It did not work"), wrong)
        else:
            self._desk.notify(_(_ENDED[name]), where or paths.APP_NAME)

    # Battery

    def _on_state(self, what: str) -> None:
        if what in ("draft", "preset") and self._training is not None:
            self.look_at_battery()

    def look_at_battery(self) -> None:
        """Pauses a training on battery where that was chosen, and lets it go on when there is power again.

        Whoever goes on by hand is not stopped a second time before the machine was plugged in again.
        """
        job = self._training
        if job is None or job.over:
            return
        chosen = bool(self._app_model.state.value("hardware.pause_on_battery"))
        plugged = not chosen or not self._desk.on_battery()
        if self._held and not job.control.paused:  # by hand
            self._held = False
            self._desk.stay_awake(_("A training goes on"))
        if plugged and self._held:
            self._held = False
            if job.control.paused:
                job.control.resume()
                self._app_model.paused_changed.emit()
                self._desk.stay_awake(_("A training goes on"))
        elif not plugged and self._plugged and not job.control.paused and not job.control.stopping:
            self._held = True
            job.control.pause()
            self._desk.may_sleep()
            self._app_model.paused_changed.emit()
            self._app_model.news.emit(
                _("The training is paused: the computer runs on battery."),
                _("It goes on by itself when it is plugged in; “Go on” does so at once."),
            )
        self._plugged = plugged


def _words(error: Exception) -> str:
    return error.message if isinstance(error, UserError) else type(error).__name__
