"""Where the command line writes: results to stdout, everything else to stderr, whatever those streams can take."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from clip_atelier.engine.core import plain


def write(stream: TextIO | None, text: str) -> None:
    """Writes what the stream's encoding can carry; does nothing without a stream (windowed Windows builds)."""
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    safe = str(plain(text)).encode(encoding, "backslashreplace").decode(encoding)
    stream.write(safe)
    stream.flush()


def out(text: str) -> None:
    """One or more lines of result on stdout."""
    write(sys.stdout, text + "\n")


def err(text: str) -> None:
    """One or more lines on stderr."""
    write(sys.stderr, text + "\n")


def document(value: Any) -> None:
    """One JSON document on stdout."""
    unicode_stream = sys.stdout is not None and (sys.stdout.encoding or "").lower().startswith("utf")
    out(json.dumps(plain(value), ensure_ascii=not unicode_stream, allow_nan=False, indent=2))


def from_list(words: Iterable[str]) -> list[str]:
    """The words, with “-” replaced by what standard input lists: one a line, or divided by NUL as `find -print0` does."""
    found: list[str] = []
    for word in words:
        if word != "-":
            found.append(word)
        elif sys.stdin is not None:
            text = sys.stdin.read()
            found += [
                line for line in (text.split("\0") if "\0" in text else text.splitlines()) if line.strip()
            ]
    return found


def silence_stdout() -> None:
    """After a broken pipe: keeps the interpreter from complaining once more when it flushes at exit."""
    if sys.stdout is not None:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal that a line can be redrawn on."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
