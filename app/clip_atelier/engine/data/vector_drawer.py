"""What the process does that draws SVG: takes a drawing, leaves out what leads out of it, and gives a PNG back.

Only `draw_vectors` runs there; `vectors` is who asks.
"""

from __future__ import annotations

import contextlib
import enum
import os
import queue
import struct
import threading
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from clip_atelier.engine.core import paths

ORDER: Final = struct.Struct(">IQ")
"""Side in pixels, and the bytes that follow."""
ANSWER: Final = struct.Struct(">BQ")
"""An `Answer`, and the bytes that follow: the PNG, or what is wrong."""
MAX_BYTES: Final = 32 * 1024 * 1024
"""Of a drawing, packed or not."""
MAX_LETTERS: Final = 2 * MAX_BYTES
"""Of a drawing whose entities are written out."""
MAX_DEPTH: Final = 256
MAX_PARTS: Final = 500_000
IDLE: Final = 20.0
"""Seconds after which it leaves, if nothing is asked."""

_STACK: Final = 128 * 1024 * 1024
_FACE: Final = "Pretendard"
_SVG: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"


class Answer(enum.IntEnum):
    """How a drawing went."""

    DRAWN = 0
    DAMAGED = 1
    NOT_SVG = 2
    LARGE = 3
    DEEP = 4
    MANY = 5
    NO_LIBRARY = 6
    GONE = 7
    SLOW = 8
    GREEDY = 9


class Refused(Exception):  # noqa: N818 - an answer
    """The drawing is not drawn."""

    def __init__(self, answer: Answer, said: str = "") -> None:
        super().__init__(said)
        self.answer = answer


def draw_vectors() -> int:
    """Draws what comes in until nothing more does, and ends the process."""
    # The default stack is too small for parts that lie in parts.
    threading.stack_size(_STACK)
    work = threading.Thread(target=_serve, daemon=True)
    work.start()
    work.join()
    # Whoever reads the orders still waits for one, and what it waits at could not be closed in good order.
    os._exit(0)


def _serve() -> None:
    # Not sys.stdout, which a process that does not lead others is without.
    orders = open(0, "rb", closefd=False)  # noqa: SIM115 - see `draw_vectors`
    with open(1, "wb", closefd=False) as answers:
        coming: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        threading.stack_size(0)
        threading.Thread(target=_read, args=(orders, coming), daemon=True).start()
        threading.stack_size(_STACK)
        with contextlib.suppress(queue.Empty, OSError):
            while (order := coming.get(timeout=IDLE)) is not None:
                answer, body = _answer(*order)
                answers.write(ANSWER.pack(answer, len(body)) + body)
                answers.flush()


def _read(orders: BinaryIO, coming: queue.SimpleQueue[tuple[int, bytes] | None]) -> None:
    while len(head := orders.read(ORDER.size)) == ORDER.size:
        side, length = ORDER.unpack(head)
        coming.put((side, orders.read(length)))
    coming.put(None)


def _answer(side: int, content: bytes) -> tuple[Answer, bytes]:
    try:
        return Answer.DRAWN, draw(cleaned(unpacked(content)), side)
    except Refused as refused:
        return refused.answer, str(refused).encode()
    except ImportError:
        return Answer.NO_LIBRARY, b""
    except BaseException as error:  # noqa: BLE001 - a panic inside the library is no Exception
        return Answer.DAMAGED, str(error).encode("utf-8", "replace")


def draw(drawing: str, side: int) -> bytes:
    """A PNG of the drawing, its longer side `side` pixels.

    Raises:
        ValueError: the library cannot draw it.
    """
    import resvg_py

    face = str(paths.resources() / "fonts" / f"{_FACE}-Regular.otf")
    families: Any = {
        f"{kind}_family": _FACE for kind in ("font", "serif", "sans_serif", "cursive", "fantasy", "monospace")
    }
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=drawing,
            width=side,
            height=side,
            skip_system_fonts=True,  # hundreds of files would be looked through, and no two machines have the same
            font_files=[face] if Path(face).is_file() else None,
            **families,
        )
    )


def unpacked(content: bytes) -> bytes:
    """The text of a drawing that may be packed by gzip.

    Raises:
        Refused: it is damaged, or larger than `MAX_BYTES`.
    """
    if not content.startswith(b"\x1f\x8b"):
        return content
    opened = zlib.decompressobj(wbits=31)
    try:
        text = opened.decompress(content, MAX_BYTES + 1)
    except zlib.error as error:
        raise Refused(Answer.DAMAGED, str(error)) from error
    if len(text) > MAX_BYTES:
        raise Refused(Answer.LARGE)
    if not opened.eof:
        raise Refused(Answer.DAMAGED, "packed, and cut short")
    return text


def cleaned(content: bytes) -> str:
    """The drawing written anew: entities written out, and every reference left out that leads out of it.

    The library reads any file that a picture inside names; a drawing from somebody else must not be able to show one.

    Raises:
        Refused: it is no well-formed SVG, or beyond a bound.
    """
    writer = _Writer()
    try:
        writer.parser.Parse(content, True)
    except expat.ExpatError as error:
        # A web page that was saved under a picture's name is no damaged drawing.
        raise Refused(Answer.DAMAGED if writer.parts else Answer.NOT_SVG, str(error)) from error
    except (ValueError, LookupError) as error:  # an encoding that is not known
        raise Refused(Answer.DAMAGED, str(error)) from error
    return "".join(writer.out)


class _Writer:
    """What a parser tells, as text again. Comments, instructions and the document type stay out."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.parts = 0
        self._depth = 0
        self._letters = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.ordered_attributes = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: list[str]) -> None:
        told = dict(zip(attributes[::2], attributes[1::2], strict=True))
        prefix, colon, kind = name.rpartition(":")
        if not self.parts:
            if kind != "svg":
                raise Refused(Answer.NOT_SVG)
            told.setdefault(f"xmlns{colon}{prefix}", _SVG)  # programs leave these out, browsers do not mind
            told.setdefault("xmlns:xlink", _XLINK)
        self.parts += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Refused(Answer.DEEP)
        if self.parts > MAX_PARTS:
            raise Refused(Answer.MANY)
        kept = "".join(f" {key}={quoteattr(value)}" for key, value in told.items() if _inside(key, value))
        self._say(f"<{name}{kept}>")

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._say(f"</{name}>")

    def _text(self, text: str) -> None:
        self._say(escape(text))

    def _say(self, text: str) -> None:
        self._letters += len(text)
        if self._letters > MAX_LETTERS:
            raise Refused(Answer.LARGE)
        self.out.append(text)


def _inside(key: str, value: str) -> bool:
    """Whether an attribute refers to nothing outside of the drawing."""
    if key.rpartition(":")[2].lower() not in ("href", "src", "base"):
        return True
    return value.strip().startswith(("#", "data:"))
