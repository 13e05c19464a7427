"""A screen that is looked at and worked on from outside: by pictures, the mouse, the keyboard and the accessibility bus.

The program is found on the screen as a screen reader finds it: it says the name and place of everything it shows. So
no position is written down here, and what cannot be found this way is a fault of the program. The hands are xdotool's:
what arrives at the program are the X server's own mouse and key events.

Needs Xvfb, openbox, xdotool, x11-utils, dbus-daemon, and Python's PIL and jeepney (python3-pil, python3-jeepney).
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jeepney import DBusAddress, MessageType, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from PIL import Image, ImageChops, ImageGrab

SIZE = (1400, 900)
_PATIENCE = 60.0  # seconds; a busy machine draws slowly
_LOOK = 0.1  # seconds between two looks
_ACCESSIBLE = "org.a11y.atspi.Accessible"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_TOP = "/org/a11y/atspi/accessible/root"
_NOTHING = "/org/a11y/atspi/null"
_ENABLED, _SHOWING = 8, 25  # bits of AT-SPI's states
_BUS = """<busconfig><type>accessibility</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>"""


def wait_for(holds: Callable[[], Any], what: str, seconds: float = _PATIENCE) -> Any:
    """What `holds` answers once that is true.

    Raises:
        SystemExit: it was not, for so many seconds.
    """
    until = time.monotonic() + seconds
    while not (answer := holds()):
        if time.monotonic() > until:
            raise SystemExit(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(_LOOK)
    return answer


@dataclass(frozen=True)
class Seen:
    """One thing that the program shows.

    Attributes:
        role: AT-SPI's name of its kind: "push button", "label", "text", "list item".
        name: What a screen reader would read out.
        box: Left, top, width and height on the screen, in pixels.
        enabled: Whether it can be used.
        address: Its name on the bus: program and path.
    """

    role: str
    name: str
    box: tuple[int, int, int, int]
    enabled: bool
    address: tuple[str, str]

    @property
    def middle(self) -> tuple[int, int]:
        """Where one clicks."""
        left, top, width, height = self.box
        return left + width // 2, top + height // 2


@contextmanager
def x_server() -> Iterator[str]:
    """An X server of our own, under a name that is free; the name, once it answers."""
    ready, tell = os.pipe()
    words = [
        "Xvfb",
        "-displayfd",
        str(tell),
        "-screen",
        "0",
        f"{SIZE[0]}x{SIZE[1]}x24",
        "-ac",
        "-nolisten",
        "tcp",
    ]
    with running(words, pass_fds=(tell,)), open(ready, encoding="ascii") as answer:
        os.close(tell)
        number = answer.readline().strip()
        if not number:
            raise SystemExit("Xvfb did not start")
        yield f":{number}"


@contextmanager
def running(words: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program beside us, ended when we are through."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


class Screen:
    """An X server with a window manager, and the bus on which one program says what it shows.

    Attributes:
        display: The X server's name.

    Args:
        socket: Where the bus listens; the program must be able to reach this file.
    """

    def __init__(self, socket: Path) -> None:
        self.display = ""
        self._socket = socket
        self._stack = ExitStack()
        self._environment: dict[str, str] = {}
        self._bus: DBusConnection | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.display = stack.enter_context(x_server())
            self._environment = {**os.environ, "DISPLAY": self.display}
            stack.enter_context(running(["openbox", "--sm-disable"], env=self._environment))
            wait_for(
                lambda: "window id" in self._ask("xprop", "-root", "_NET_SUPPORTING_WM_CHECK"), "openbox"
            )
            settings = self._socket.with_suffix(".conf")
            settings.write_text(_BUS.format(socket=self._socket), encoding="utf-8")
            self._socket.unlink(missing_ok=True)
            stack.enter_context(running(["dbus-daemon", "--nofork", f"--config-file={settings}"]))
            wait_for(self._socket.exists, "the accessibility bus")
            self._bus = stack.enter_context(open_dbus_connection(f"unix:path={self._socket}"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def _ask(self, *words: str) -> str:
        return subprocess.run(
            words, env=self._environment, capture_output=True, text=True, check=False
        ).stdout

    # Looking

    def all(self) -> list[Seen]:
        """Everything the program shows now, in the order of the page; nothing while there is no program."""
        assert self._bus is not None
        own = self._bus.unique_name
        try:
            names = self._call(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames"
            )
            return [s for n in names if n.startswith(":") and n != own for s in self._below(n, _TOP)]
        except _Gone:
            return []  # it changed while it was looked at; the next look sees what came of it

    def _below(self, bus_name: str, path: str) -> Iterator[Seen]:
        if path != _TOP:  # the program itself, which is nowhere on the screen
            state = self._call(bus_name, path, _ACCESSIBLE, "GetState")[0]
            if not state >> _SHOWING & 1:
                return
            role = self._call(bus_name, path, _ACCESSIBLE, "GetRoleName")
            name = self._call(bus_name, path, _PROPERTIES, "Get", "ss", _ACCESSIBLE, "Name")[1].strip()
            box = self._call(bus_name, path, "org.a11y.atspi.Component", "GetExtents", "u", 0)
            yield Seen(role, name, tuple(box), bool(state >> _ENABLED & 1), (bus_name, path))
        for child_bus, child in self._call(bus_name, path, _ACCESSIBLE, "GetChildren"):
            if child != _NOTHING:
                yield from self._below(child_bus, child)

    def _call(
        self, bus_name: str, path: str, interface: str, method: str, types: str = "", *values: Any
    ) -> Any:
        assert self._bus is not None
        address = DBusAddress(path, bus_name, interface)
        message = new_method_call(address, method, types or None, values)
        reply = self._bus.send_and_get_reply(message, timeout=_PATIENCE)
        if reply.header.message_type is MessageType.error:
            raise _Gone
        return reply.body[0]

    def find(self, name: str, role: str = "", seconds: float = _PATIENCE) -> Seen:
        """The first thing of this name, once it is there, may be used and no longer moves."""
        seen: list[Seen] = []

        def stands_still() -> Seen | None:
            fits = [s for s in self.all() if s.name == name and role in ("", s.role) and s.enabled]
            first = fits[0] if fits else None
            still = first is not None and first in seen
            seen[:] = fits[:1]
            return first if still else None

        found: Seen = wait_for(stands_still, f"{role or 'something'} called “{name}” on the screen", seconds)
        return found

    def shows(self, name: str) -> bool:
        """Whether something of this name is shown now."""
        return any(s.name == name for s in self.all())

    def written(self, name: str) -> str:
        """What stands in the field of this name."""
        address = self.find(name, "text").address
        return str(self._call(*address, "org.a11y.atspi.Text", "GetText", "ii", 0, -1))

    def look(self) -> Image.Image:
        """The screen as it is now."""
        return ImageGrab.grab(xdisplay=self.display)

    def picture(self, file: Path, *, still: bool = True) -> None:
        """Takes a picture of the screen; unless told otherwise, once two looks in a row show the same."""
        looks = [self.look()]

        def the_same() -> bool:
            looks.append(self.look())
            return ImageChops.difference(looks[-1], looks[-2]).getbbox() is None

        if still:
            wait_for(the_same, "the screen to stand still")
        looks[-1].save(file)

    # Doing

    def click(self, name: str, role: str = "") -> None:
        """Clicks in the middle of the first thing of this name."""
        self.click_at(*self.find(name, role).middle)

    def click_at(self, x: int, y: int) -> None:
        """Moves the mouse there and presses its left button."""
        self._do("mousemove", str(x), str(y), "click", "1")

    def press(self, *keys: str) -> None:
        """Presses keys, named as xdotool names them: "Return", "ctrl+a"."""
        self._do("key", "--clearmodifiers", *keys)

    def type(self, text: str) -> None:
        """Types a text, Hangul too."""
        # Hangul is on no key of the X server's: xdotool puts each letter on a spare one, and the program must see that.
        self._do("type", "--delay", "120", text)

    def _do(self, *words: str) -> None:
        subprocess.run(["xdotool", *words], env=self._environment, check=True)

    def close_window(self) -> None:
        """Clicks on the cross that the window manager draws at the end of the title bar."""
        window = self._ask("xdotool", "getactivewindow").strip()
        frame = self._ask("xprop", "-id", window, "_NET_FRAME_EXTENTS").rpartition("=")[2].split(",")
        _left, right, bar, _bottom = (int(part) for part in frame)
        left, top, width, _height = self.all()[0].box
        # The cross is as wide as the bar is high.
        self.click_at(left + width + right - bar // 2, top - bar // 2)


class _Gone(Exception):  # noqa: N818 - nothing went wrong
    """Something was asked that is no longer there."""
