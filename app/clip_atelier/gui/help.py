"""Help (F1): the keys, what the program does and does not, what it is made of, and every licence."""

from __future__ import annotations

import platform
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QListWidget,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui import jobs, theme
from clip_atelier.gui.actions import ACTIONS
from clip_atelier.gui.pages import PAGES
from clip_atelier.gui.widgets.layout import column, row, scrolled
from clip_atelier.gui.widgets.tabs import Tabs
from clip_atelier.gui.widgets.text import Button, Label, SpokenName
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.gui.main_window import MainWindow

KEYS, DOES, ABOUT, LICENCES = "keys", "does", "about", "licences"

_DOES = (
    (N_("It looks and finds"), N_("It finds drawings by words, by pictures and by sketches, and learns from your captions to find them better.")),
    (N_("It cannot make pictures"), N_("The models here compare pictures and words. They cannot draw, copy a style or make images, and nothing that is trained here lets another program do so.")),
    (N_("It sends nothing"), N_("Everything is computed on this computer. Nothing is sent anywhere, and nothing is fetched unless you ask for a model.")),
    (N_("It changes no file unless asked"), N_("Drawings are only read. Captions are written when you save them, and what was there before is kept.")),
    (N_("It says how sure it is"), N_("Whether a training helped is measured on drawings that it did not learn from. With few drawings chance may decide, and then that is what it says.")),
)  # fmt: skip


def licence_files() -> dict[str, Path]:
    """Every licence text that travels with the program, by what it is of."""
    found: dict[str, Path] = {}
    resources = paths.resources()
    for file in sorted((resources.parent / "packaging" / "licences").glob("*.txt")):
        found[file.stem] = (
            file  # where the program is not installed, the notices of the installer are not there yet
        )
    for folder in (resources.parent, resources.parent.parent):
        for name, title in (("LICENSE", paths.APP_NAME), ("THIRD_PARTY_NOTICES.txt", "Qt, PyTorch, …")):
            if (folder / name).is_file():
                found.setdefault(title, folder / name)
    for file in sorted(resources.rglob("*")):
        if file.is_file() and file.suffix in ("", ".txt", ".md") and _is_licence(file.name):
            place = file.parent.relative_to(resources).as_posix()
            found[f"{place}: {file.name}"] = file
    return found


def package_licences() -> dict[str, list[Path | str]]:
    """The licence of each package the program stands on, by name and version: its texts, or what it is called."""
    from importlib.metadata import distributions

    found: dict[str, list[Path | str]] = {}
    for one in distributions():
        texts: list[Path | str] = [
            Path(str(file.locate())) for file in one.files or () if _is_licence(file.name)
        ]
        texts = [
            file
            for file in texts
            if isinstance(file, Path) and file.suffix not in (".py", ".pyc") and file.is_file()
        ]
        facts = one.metadata
        named = [
            f"{what}: {facts[what]}"
            for what in ("License-Expression", "License", "Home-page", "Project-URL")
            if facts[what]
        ]
        if texts or named:
            found.setdefault(f"{facts['Name']} {one.version}", texts or ["\n".join(named)])
    return dict(sorted(found.items(), key=lambda pair: pair[0].casefold()))


def _text(one: Path | str) -> str:
    """A text, or that of a file; a file that was there a moment ago may be gone."""
    try:
        return one if isinstance(one, str) else one.read_text("utf-8", errors="replace")
    except OSError as error:
        return f"{paths.shown(one)}: {error.strerror}"


def _is_licence(name: str) -> bool:
    return any(word in name.upper() for word in ("LICEN", "COPYING", "NOTICE", "CREDITS"))


class Help(QDialog):
    """Four views; `shown` says which is on top at first."""

    def __init__(self, window: MainWindow, shown: str = KEYS) -> None:
        super().__init__(window)
        self.setWindowTitle(_("Help"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(720, 640)
        self.licences = Licences()
        self.about = About(window)
        self.keys: dict[str, str] = {}
        self.tabs = Tabs()
        self.tabs.add(KEYS, N_("Keyboard shortcuts"), scrolled(self._keys()))
        self.tabs.add(DOES, N_("What this does and does not"), scrolled(_what_it_does()))
        self.tabs.add(ABOUT, N_("About"), scrolled(self.about))
        self.tabs.add(LICENCES, N_("Licences"), self.licences)
        self.tabs.changed.connect(self._on_tab)
        glossary = Button(N_("Glossary"), "plain", "type")
        glossary.clicked.connect(window.show_glossary)
        shut = Button(N_("Close"), "primary")
        shut.clicked.connect(self.reject)
        layout = column(self.tabs, row(glossary, None, shut), gap=theme.M)
        layout.setStretch(0, 1)
        layout.setContentsMargins(theme.XL, theme.L, theme.XL, theme.L)
        self.setLayout(layout)
        self.tabs.choose(shown)

    def _on_tab(self, name: str) -> None:
        if name == LICENCES:
            self.licences.fill()

    def _keys(self) -> QWidget:
        """All keys, those that work everywhere first, then those of each page."""
        lines = QVBoxLayout()
        lines.setSpacing(theme.XS)
        places = [("", N_("Everywhere")), *((page.name, page.title) for page in PAGES)]
        for place, title in places:
            here = [action for action in ACTIONS.values() if action.page == place and action.keys_shown]
            if not here:
                continue
            lines.addSpacing(theme.M)
            lines.addWidget(Label(title, "heading"))
            for action in here:
                keys = Label(role="strong")
                keys.show_literal(action.keys_shown)
                self.keys[action.name] = action.keys_shown
                what = Label(action.title, wrap=True)
                line = row(what, keys)
                line.setStretch(0, 1)
                lines.addLayout(line)
        lines.addSpacing(theme.M)
        lines.addWidget(
            Label(
                N_("Tab and Shift+Tab go from one control to the next, Space presses, Esc closes."),
                "muted",
                wrap=True,
            )
        )
        lines.addStretch(1)
        holder = QWidget()
        holder.setLayout(lines)
        return holder


def _what_it_does() -> QWidget:
    lines = QVBoxLayout()
    lines.setSpacing(theme.XS)
    for title, text in _DOES:
        lines.addSpacing(theme.M)
        lines.addWidget(Label(title, "strong"))
        lines.addWidget(Label(text, wrap=True))
    lines.addStretch(1)
    holder = QWidget()
    holder.setLayout(lines)
    return holder


class About(QWidget):
    """Versions and the device; the text can be copied."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__()
        from importlib.metadata import PackageNotFoundError, version

        import clip_atelier

        self.lines: dict[str, str] = {paths.APP_NAME: clip_atelier.__version__}
        for title, package in (
            ("PyTorch", "torch"), ("Qt (PySide6)", "PySide6-Essentials"), ("Transformers", "transformers"), ("PEFT", "peft"),
        ):  # fmt: skip
            try:
                self.lines[title] = version(package)
            except PackageNotFoundError:
                self.lines[title] = "–"
        self.lines["Python"] = f"{platform.python_version()}, {sys.platform}"
        name = Label(role="title")
        name.show_literal(paths.APP_NAME)
        form = QFormLayout()
        form.setHorizontalSpacing(theme.XL)
        form.setVerticalSpacing(theme.S)
        self.device = Label(N_("Looking…"))
        for title, value in self.lines.items():
            what, text = Label(role="muted"), Label()
            what.show_literal(title)
            text.show_literal(value)
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            form.addRow(what, text)
        form.addRow(Label(N_("Computes on"), "muted"), self.device)
        about = Label(N_("It adapts CLIP to your own drawings, on your own computer."), wrap=True)
        free = Label(N_("Free software under the Apache License 2.0."), "muted", wrap=True)
        self.setLayout(column(theme.M, name, about, free, theme.M, form, None))
        values = window.app_model.state.values()
        job = Job("device", partial(jobs.device_words, values))
        self._job = job
        job.done.connect(self._on_device)
        job.failed.connect(self._on_failed)
        self.destroyed.connect(partial(_let_go, job))
        window.app_model.lanes.files.submit(job)

    def _on_device(self, words: str) -> None:
        self.device.show_literal(words)

    def _on_failed(self, error: Exception) -> None:
        self.device.show_literal(str(error))


def _let_go(job: Job) -> None:
    """Nobody waits for it any more."""
    if not job.over:
        job.stop()


class Licences(QWidget):
    """A list of works, and beside it the licence of the one that is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.list = QListWidget()
        self.list.setFixedWidth(230)
        SpokenName(self.list, N_("Works"))
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setFont(theme.monospace())
        SpokenName(self.text, N_("The licence"))
        layout = QHBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addWidget(self.text, 1)
        self.setLayout(layout)
        self._files: list[list[Path | str]] = []
        self.list.currentRowChanged.connect(self._show)

    def fill(self) -> None:
        """Looks for the texts when they are first wanted."""
        if self._files:
            return
        works: dict[str, list[Path | str]] = {title: [file] for title, file in licence_files().items()}
        works |= package_licences()
        for title, files in works.items():
            self._files.append(files)
            self.list.addItem(title)
        self.list.setCurrentRow(0)

    def _show(self, number: int) -> None:
        if 0 <= number < len(self._files):
            texts = [_text(one) for one in self._files[number]]
            self.text.setPlainText("\n\n————\n\n".join(texts))
