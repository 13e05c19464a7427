"""One sitting at an installed program: started, worked at on a screen, and closed by its cross."""

from __future__ import annotations

import gettext
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proof.root import DATA, USER, Root
from proof.screen import Screen, wait_for

#: Where the accessibility bus listens, as the program sees it.
BUS = "/tmp/accessibility"


@dataclass
class Sitting:
    """What is at hand while the program runs.

    Attributes:
        root: Where it is installed.
        screen: Where it shows itself.
        say: What the program calls an English message in its language.
    """

    root: Root
    screen: Screen
    say: Callable[[str], str]
    _pictures: Path
    _count: int = 0

    def file(self, name: str) -> Path:
        """Where the next picture goes."""
        self._count += 1
        return self._pictures.with_name(f"{self._pictures.name}-{self._count}-{name}.png")


@contextmanager
def sitting(
    root: Root, program: str, language: str, pictures: Path,
    *, words: list[str] | None = None, home: str = DATA,
) -> Iterator[Sitting]:  # fmt: skip
    """Starts the program as its user; when the work is done, closes it by its cross and looks how it ended.

    Args:
        root: Where it is installed.
        program: The installed program.
        language: "en" or "ko"; the program is told so and keeps it.
        pictures: The beginning of the pictures' file names.
        words: What starts it, where it is not just its name.
        home: Where it keeps its work, where it is not the usual place.

    Raises:
        SystemExit: something did not come in time.
        AssertionError: something is not as it must be.
    """
    with Screen(root.at(BUS)) as screen:
        command = root.command(
            *(words or [program]), user=USER, DISPLAY=screen.display, CLIP_ATELIER_LANGUAGE=language,
            AT_SPI_BUS_ADDRESS=f"unix:path={BUS}", QT_LINUX_ACCESSIBILITY_ALWAYS_ON="1",
            **({} if home == DATA else {"CLIP_ATELIER_HOME": home}),
        )  # fmt: skip
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as running:
            now = Sitting(root, screen, _catalogue(root, program, language), pictures)
            try:
                yield now
                screen.close_window()
                wait_for(lambda: running.poll() is not None, "the program to end after its cross was clicked")
            finally:
                if running.poll() is None:
                    screen.picture(now.file("where-it-stuck"), still=False)
                    running.kill()
            assert running.stderr is not None
            assert running.returncode == 0, running.stderr.read()
    assert not _alive(root), f"still running: {_alive(root)}"
    log = root.at(f"{home}/log/window.log").read_text(encoding="utf-8")
    assert " ERROR " not in log, log


def _catalogue(root: Root, program: str, language: str) -> Callable[[str], str]:
    """What the installed program calls things in a language: its own catalogue says it."""
    if language == "en":
        return lambda text: text
    folder = root.at(program).parent / "program" / "resources" / "translations"
    return gettext.translation("clip_atelier", folder, [language]).gettext


def _alive(root: Root) -> list[str]:
    """Processes that still run inside the root."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.path.samefile(process / "root", root.folder):
                found.append((process / "cmdline").read_text(encoding="utf-8").replace("\0", " "))
        except OSError:
            continue  # it ended while it was looked at
    return found
