"""Starting and ending the window."""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, TracebackType

from filelock import FileLock, Timeout
from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QFileOpenEvent, QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication, QMessageBox

from clip_atelier.engine.core import PrivateFormatter, _, i18n, paths
from clip_atelier.gui import jobs
from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.desk import of_this_system
from clip_atelier.gui.long_work import LongWork
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.state import WindowState
from clip_atelier.gui.theme import Theme
from clip_atelier.gui.workers import Job, Lanes

log = logging.getLogger("clip_atelier.gui")


def main(home: Path | None = None, folder: Path | None = None, language: str | None = None) -> int:
    """Opens the window and returns the exit code when it is closed.

    Args:
        home: HOME; the platform's user-data folder if not given.
        folder: The collection, or the model pack, to open; the last collection if not given.
        language: The language of this session; the one chosen in the window if not given.
    """
    home = home or paths.default_home()
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication.instance() or QApplication([paths.APP_NAME])
    assert isinstance(app, QApplication)
    app.setApplicationName(paths.APP_NAME)
    app.setDesktopFileName("clip-atelier")
    app.setWindowIcon(QIcon(str(paths.resources() / "icons" / "clip-atelier.svg")))
    state = WindowState(home, language)
    i18n.set_language(state.get("language"))
    theme = Theme(app, state.get("theme"))
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / "window.lock")
        lock.acquire(timeout=0)
    except Timeout:
        _say(_("CLIP Atelier is already open on this home folder."), paths.shown(home))
        return 1
    except OSError as error:
        _say(_("The home folder cannot be written to."), f"{paths.shown(home)}\n{error.strerror or error}")
        return 2
    _log_to(home)
    lanes = Lanes(home, ahead=True)
    app_model = AppModel(state, lanes, theme)
    main_window = MainWindow(app_model)
    _catch_all(app_model)
    timer = _listen_to_signals(main_window)
    LongWork(app_model, main_window, main_window.compute.bar, of_this_system(main_window))
    main_window.show()
    if sys.platform == "darwin":  # a filter in Python sees every event, so only where it is needed
        app.installEventFilter(_Opener(main_window))
    if folder is not None:
        main_window.open_path(folder.absolute())
    elif state.folder:
        QTimer.singleShot(0, app_model.rescan)
    lanes.files.submit(Job("tidy", jobs.tidy, idle=True))
    code = app.exec()
    timer.stop()
    state.save()
    ended = lanes.close(0.5)
    lock.release()
    sys.excepthook = sys.__excepthook__
    if not ended:
        # A step of a large model can outlast our patience. Destroying its thread would abort; nothing is half-written,
        # because checkpoints are complete before they are named.
        logging.shutdown()
        os._exit(code)
    return code


class _Opener(QObject):
    """macOS hands over what is opened with the program as an event, not as an argument."""

    def __init__(self, main_window: MainWindow) -> None:
        super().__init__(main_window)
        self._main_window = main_window

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent) and event.file():
            self._main_window.open_path(Path(event.file()))
            return True
        return False


def _say(message: str, detail: str) -> None:
    box = QMessageBox()
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setWindowTitle(paths.APP_NAME)
    box.setText(message)
    box.setInformativeText(detail)
    box.exec()


def _log_to(home: Path) -> None:
    folder = home / "log"
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        folder / "window.log", maxBytes=1_000_000, backupCount=2, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(PrivateFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("clip_atelier")
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _catch_all(app_model: AppModel) -> None:
    """What nobody caught is logged and told in plain words; the window stays."""

    def told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            app_model.report(error.with_traceback(trace))
        else:
            sys.__excepthook__(kind, error, trace)

    def told_in_thread(args: threading.ExceptHookArgs) -> None:
        log.error("in thread %s", args.thread, exc_info=args.exc_value)

    sys.excepthook = told
    threading.excepthook = told_in_thread


def _listen_to_signals(main_window: MainWindow) -> QTimer:
    """SIGTERM and Ctrl+C close the window as its cross does."""

    def close(_number: int, _frame: FrameType | None) -> None:
        QTimer.singleShot(0, main_window.close)

    signal.signal(signal.SIGTERM, close)
    signal.signal(signal.SIGINT, close)
    # Python looks at signals only between its own instructions; Qt's loop may run none for minutes.
    timer = QTimer(main_window)
    timer.timeout.connect(lambda: None)
    timer.start(200)
    return timer
