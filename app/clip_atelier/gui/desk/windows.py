"""Windows: the tray's messages, the taskbar's own progress (ITaskbarList3), and the thread's execution state."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from typing import Any, Protocol

from PySide6.QtWidgets import QWidget

from clip_atelier.gui.desk.common import notify_from_tray, on_battery

log = logging.getLogger(__name__)

_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001  # ES_…
_NO_PROGRESS, _NORMAL = 0, 2  # TBPF_…
_THOUSAND = 1000
_IN_PROCESS_SERVER = 1
_TASKBAR_CLASS = "{56FDF344-FD6D-11D0-958A-006097C9A090}"
_TASKBAR_LIST_3 = "{EA1AFB91-9E28-4B86-90E9-9E9F8A5EEFAF}"
_INIT, _SET_VALUE, _SET_STATE = 3, 9, 10  # places in the table of ITaskbarList3's methods


class Taskbar(Protocol):
    """The two methods that are needed."""

    def set_state(self, window: int, state: int) -> None:
        """ITaskbarList3::SetProgressState."""

    def set_value(self, window: int, done: int, total: int) -> None:
        """ITaskbarList3::SetProgressValue."""


class ComTaskbar:
    """ITaskbarList3 through its table of methods.

    Raises:
        OSError: the taskbar does not offer it.
    """

    def __init__(self) -> None:
        windll = ctypes.windll  # type: ignore[attr-defined,unused-ignore]
        ole = windll.ole32
        ole.CoInitialize(None)
        clsid, iid = (ctypes.c_byte * 16)(), (ctypes.c_byte * 16)()
        for text, place in ((_TASKBAR_CLASS, clsid), (_TASKBAR_LIST_3, iid)):
            self._check(ole.CLSIDFromString(ctypes.c_wchar_p(text), ctypes.byref(place)))
        self._itself = ctypes.c_void_p()
        self._check(
            ole.CoCreateInstance(
                ctypes.byref(clsid), None, _IN_PROCESS_SERVER, ctypes.byref(iid), ctypes.byref(self._itself)
            )
        )
        self._check(self._method(_INIT)(self._itself))

    @staticmethod
    def _check(result: int) -> None:
        if result < 0:
            raise OSError(f"HRESULT {result & 0xFFFFFFFF:#x}")

    def _method(self, place: int, *arguments: Any) -> Any:
        functype = ctypes.WINFUNCTYPE  # type: ignore[attr-defined,unused-ignore]
        table = ctypes.cast(self._itself, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
        return functype(ctypes.c_long, ctypes.c_void_p, *arguments)(table[place])

    def set_state(self, window: int, state: int) -> None:
        """See `Taskbar`."""
        self._method(_SET_STATE, ctypes.c_void_p, ctypes.c_int)(self._itself, window, state)

    def set_value(self, window: int, done: int, total: int) -> None:
        """See `Taskbar`."""
        self._method(_SET_VALUE, ctypes.c_void_p, ctypes.c_ulonglong, ctypes.c_ulonglong)(
            self._itself, window, done, total
        )


def _execution_state(flags: int) -> None:
    ctypes.windll.kernel32.SetThreadExecutionState(ctypes.c_uint(flags))  # type: ignore[attr-defined,unused-ignore]


class WindowsDesk:
    """See `Desk`. Used from the window's own thread only, which `SetThreadExecutionState` is about.

    Args:
        window: Whose work it is.
        taskbar: Makes the taskbar's interface when it is first needed.
        execution_state: Sets the thread's execution state.
    """

    def __init__(
        self,
        window: QWidget,
        taskbar: Callable[[], Taskbar] = ComTaskbar,
        execution_state: Callable[[int], None] = _execution_state,
    ) -> None:
        self._window = window
        self._make = taskbar
        self._taskbar: Taskbar | None = None
        self._missing = False
        self._execution_state = execution_state

    def notify(self, title: str, text: str) -> None:
        """From the tray."""
        notify_from_tray(self._window, title, text)

    def show_progress(self, share: float | None) -> None:
        """On the window's button in the taskbar."""
        if self._taskbar is None and not self._missing:
            try:
                self._taskbar = self._make()
            except (OSError, AttributeError) as error:  # a shell of another kind, or none
                log.info("the taskbar shows no progress: %s", error)
                self._missing = True
        if self._taskbar is None:
            return
        window = int(self._window.winId())
        if share is None:
            self._taskbar.set_state(window, _NO_PROGRESS)
        else:
            self._taskbar.set_state(window, _NORMAL)
            self._taskbar.set_value(window, round(_THOUSAND * share), _THOUSAND)

    def stay_awake(self, why: str) -> None:
        """Tells the system that this thread needs it."""
        self._execution_state(_CONTINUOUS | _SYSTEM_REQUIRED)

    def may_sleep(self) -> None:
        """Tells it that it does not any more."""
        self._execution_state(_CONTINUOUS)

    def on_battery(self) -> bool:
        """By what the system tells."""
        return on_battery()
