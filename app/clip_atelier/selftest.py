"""`--selftest`: does this installation do the whole job, here, for this user, without the network, in both languages?

Made for installed programs, which have no test suite beside them: every build runs it, and anybody may. It opens the
real window without showing it, lets it train two steps on a part of the sample collection, opens the saved adapter
again, searches and exports. It works in a temporary folder with a space and Hangul in its name, which it removes;
nothing of the user's is read or changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clip_atelier
from clip_atelier import selftest_reach
from clip_atelier.cli import console
from clip_atelier.cli.offline_proof import no_network
from clip_atelier.cli.sample_part import part_of_sample
from clip_atelier.engine.core import _, drive, i18n, paths
from clip_atelier.selftest_reach import NotSo

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunFolder
    from clip_atelier.gui.main_window import MainWindow

_PATIENCE = 600.0  # seconds; a busy machine imports torch slowly
_QUERIES = {"en": "cherry blossom", "ko": "벚꽃"}
_HANGUL = "한글을 봅니다"


@dataclass
class Check:
    """One thing that was tried."""

    name: str
    language: str
    ok: bool = False
    detail: str = ""
    seconds: float = 0.0


@dataclass
class Report:
    """What was found. `facts` says where and as whom."""

    facts: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def attempt(self, name: str, language: str, action: Callable[[], str]) -> bool:
        """Does one thing, notes how it went and says whether it held."""
        check = Check(name, language)
        self.checks.append(check)
        began = time.monotonic()
        try:
            check.detail = action()
            check.ok = True
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is what is looked for
            check.detail = str(error) if isinstance(error, NotSo) else f"{type(error).__name__}: {error}"
        check.seconds = round(time.monotonic() - began, 2)
        mark = "ok " if check.ok else "NOT"
        console.err(f"{mark} [{language}] {name} ({check.seconds:.1f} s): {check.detail}")
        return check.ok


def main(arguments: Sequence[str]) -> int:
    """Runs the self-test; 0 when everything held.

    Args:
        arguments: `--selftest` and perhaps `--json` (the report on stdout) or `--report FILE` (in a file).
    """
    parser = argparse.ArgumentParser(prog="clip-atelier --selftest", add_help=False, allow_abbrev=False)
    parser.add_argument("--selftest", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--report", type=Path)
    args = parser.parse_args(list(arguments))
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    before = i18n.language()
    folder = Path(tempfile.mkdtemp(prefix="CLIP Atelier 자가 검사 "))
    # torch makes this folder when it is imported, used or not.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "torch"))
    report = Report(_facts(folder))
    try:
        with no_network() as tried:
            for language in i18n.LANGUAGES:
                i18n.set_language(language)
                run = _whole_job(report, language, folder)
            if run is not None:
                home, drawings = _places(folder, language)
                for name, step in selftest_reach.steps(run, drawings, home, folder):
                    report.attempt(name, "", step)
            report.attempt("nothing asked for the network", "", lambda: _none_of(tried))
    finally:
        i18n.set_language(before)
        shutil.rmtree(folder, ignore_errors=True)
    document = {"ok": report.ok, "facts": report.facts, "checks": [asdict(check) for check in report.checks]}
    if args.report is not None:
        import json

        args.report.write_text(json.dumps(document, ensure_ascii=False, indent=2), encoding="utf-8")
    if args.json:
        console.document(document)
    console.err("self-test passed" if report.ok else "self-test FAILED")
    return 0 if report.ok else 1


def _facts(folder: Path) -> dict[str, Any]:
    program = Path(sys.executable).resolve().parent
    return {
        "version": clip_atelier.__version__,
        "python": sys.version.split()[0],
        "platform": sys.platform,
        "frozen": bool(getattr(sys, "frozen", False)),
        "program": paths.shown(program),
        "program_can_be_written": os.access(program, os.W_OK),
        "user": getattr(os, "geteuid", lambda: -1)(),
        "folder": paths.shown(folder),
    }


def _none_of(attempts: list[str]) -> str:
    if attempts:
        raise NotSo(f"{len(attempts)} connections were tried, the first to {attempts[0]}")
    return "no connection was tried"


def _whole_job(report: Report, language: str, folder: Path) -> RunFolder | None:
    """The job once, in one language; stops at the first thing that the next one needs and that is not there. Returns the run."""
    home, drawings = _places(folder, language)
    with _window(home, language) as main_window:
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("the window opens", lambda: _opens(main_window)),
            ("the font has Hangul", _font_has_hangul),
            ("the sample is read", lambda: _reads(main_window, drawings)),
            ("every page is drawn", lambda: _draws_pages(main_window)),
            ("two steps are trained", lambda: _trains(main_window)),
        )
        if not all(report.attempt(name, language, step) for name, step in steps):
            return None
    run = _only_run(home)
    report.attempt("the saved adapter opens again", language, lambda: _reloads(run, home))
    report.attempt(
        "words find pictures", language, lambda: _searches(run, drawings, home, _QUERIES[language])
    )
    return run


def _places(folder: Path, language: str) -> tuple[Path, Path]:
    """The home and the drawings of the job in one language."""
    return folder / f"집 home {language}", folder / f"견본 sample {language}"


@contextmanager
def _window(home: Path, language: str) -> Iterator[MainWindow]:
    from PySide6.QtWidgets import QApplication

    from clip_atelier.gui.app_model import AppModel
    from clip_atelier.gui.main_window import MainWindow
    from clip_atelier.gui.state import WindowState
    from clip_atelier.gui.theme import Theme
    from clip_atelier.gui.workers import Lanes

    application = QApplication.instance() or QApplication([paths.APP_NAME])
    assert isinstance(application, QApplication)
    state = WindowState(home)
    state.set("language", language)
    lanes = Lanes(home)
    main_window = MainWindow(AppModel(state, lanes, Theme(application, "light")))
    try:
        yield main_window
    finally:
        lanes.leave()
        _until(lambda: not lanes.busy, "the work to end")
        main_window.close()
        state.save()
        lanes.close(60)


def _until(holds: Callable[[], bool], what: str) -> None:
    """Lets the window work until something holds."""
    from PySide6.QtCore import QEventLoop, QTimer

    if holds():
        return
    loop = QEventLoop()
    look, end = QTimer(), QTimer()
    look.timeout.connect(lambda: loop.quit() if holds() else None)
    look.start(20)
    end.setSingleShot(True)
    end.timeout.connect(loop.quit)
    end.start(round(1000 * _PATIENCE))
    loop.exec()
    if not holds():
        raise NotSo(f"waited {_PATIENCE:.0f} seconds for {what}")


def _opens(main_window: MainWindow) -> str:
    from clip_atelier.gui.pages import PAGES

    main_window.resize(1280, 800)
    main_window.show()
    _until(lambda: main_window.pages.currentWidget() is not None, "the first page")
    for page in PAGES:
        shown = main_window.rail.buttons[page.name].text().strip()
        if shown != _(page.title):
            raise NotSo(f"the page “{page.title}” is called “{shown}” here")
        if i18n.language() == "ko" and shown == page.title:
            raise NotSo(f"the page “{page.title}” has no Korean name")
    return f"{len(PAGES)} pages"


def _font_has_hangul() -> str:
    from PySide6.QtGui import QFontDatabase, QRawFont
    from PySide6.QtWidgets import QApplication

    font = QRawFont.fromFont(QApplication.font())
    missing = [letter for letter in _HANGUL if not font.supportsCharacter(ord(letter))]
    if missing:
        raise NotSo(f"{font.familyName()} lacks {''.join(missing)}; families: {QFontDatabase.families()[:5]}")
    return font.familyName()


def _reads(main_window: MainWindow, drawings: Path) -> str:
    count = part_of_sample(drawings)
    app_model = main_window.app_model
    app_model.open_folder(drawings)
    _until(
        lambda: (
            app_model.split is not None
            or app_model.scan_error is not None
            or app_model.split_error is not None
        ),
        "the folder",
    )
    if app_model.split is None or app_model.collection is None:
        raise NotSo(str(app_model.scan_error or app_model.split_error))
    if len(app_model.collection.items) != count:
        raise NotSo(
            f"{len(app_model.collection.items)} of {count} pictures were read: {app_model.collection.problems[:1]}"
        )
    return f"{count} pictures, {len(app_model.collection.pairs)} pairs"


def _draws_pages(main_window: MainWindow) -> str:
    from clip_atelier.gui.pages import PAGES

    for page in PAGES:
        main_window.show_page(page.name)
        _until(lambda: not main_window.app_model.lanes.busy, "the page")
        picture = main_window.grab().toImage()
        across, down = range(0, picture.width(), 37), range(0, picture.height(), 7)
        colours = {picture.pixel(x, y) for x in across for y in down}
        if len(colours) < 4:
            raise NotSo(f"the page “{page.name}” is blank")
    if not main_window.trouble.isHidden():
        raise NotSo(main_window.trouble.message.text())
    return ", ".join(page.name for page in PAGES)


def _trains(main_window: MainWindow) -> str:
    app_model = main_window.app_model
    app_model.state.choose_preset("attention")
    for name, value in (
        ("evaluation.folds", 0), ("train.steps", 0), ("train.preservation", 0.0), ("train.epochs", 1),
        ("train.batch_size", 16), ("train.checks", 1), ("train.warmup", 0.0), ("hardware.device", "cpu"),
        ("hardware.own_process", i18n.language() == "en"),  # in one language there, in the other where all is watched
    ):  # fmt: skip
        app_model.state.set_value(name, value)
    _until(lambda: not app_model.lanes.busy and app_model.split is not None, "the folder to be read again")
    main_window.show_page("training")
    page: Any = main_window.page("training")
    page.begin()
    _until(lambda: not page.training, "training")
    if not main_window.trouble.isHidden():
        raise NotSo(f"{main_window.trouble.message.text()} {main_window.trouble.hint.text()}")
    result = _only_run(app_model.home).result
    if result is None or result.status != "done":
        raise NotSo(f"the run ended as {result and result.status}")
    if not result.base_untouched:
        raise NotSo("the base model was changed")
    return f"{result.steps} steps, {result.trainable_parameters} parameters, {result.primary_metric}"


def _only_run(home: Path) -> RunFolder:
    from clip_atelier.engine.runs import Runs

    (run,) = Runs(home).list()
    return run


def _reloads(run: RunFolder, home: Path) -> str:
    import numpy as np

    from clip_atelier.engine.models import Models, adapters, features
    from clip_atelier.engine.runs import adapted_model

    models, caption = Models(home), ["a cat", "고양이"]
    opened = adapted_model.open_run(run, models, 1.0)
    try:
        with opened.adapter.at(0.0):
            base = features.texts(opened.clip, caption)
        moved = features.texts(opened.clip, caption)
    finally:
        adapters.detach(opened.clip)
    if not np.array_equal(base, features.texts(opened.clip, caption)):
        raise NotSo("with the adapter off, the model is not the base")
    if not np.isfinite(moved).all():
        raise NotSo("the adapted embeddings are not finite")
    saved = adapters.read(run.path / "adapter")
    return f"{len(saved)} tensors; off, it is the base bit for bit"


def _searches(run: RunFolder, drawings: Path, home: Path, words: str) -> str:
    from clip_atelier.engine.core import Control
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.search import ModelRef, parse_query, search

    work = search(drawings, parse_query(words), ModelRef(run=run.id), Models(home), Control(), top=5)
    found = drive(work, lambda _event: None)
    adapted = found.adapted or ()
    if not len(found.base) == len(adapted) == 5:
        raise NotSo(f"{len(found.base)} and {len(adapted)} results for “{words}”")
    return f"“{words}”: {found.base[0].path}"
