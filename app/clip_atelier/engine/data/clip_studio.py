"""Clip Studio Paint's files (.clip): the preview picture inside, read with bounds and never written out.

The file is a row of chunks. One of them is an SQLite database, whose table CanvasPreview holds the picture as PNG.
"""

from __future__ import annotations

import io
import sqlite3
import struct
from contextlib import closing
from typing import BinaryIO, Final

from clip_atelier.engine.core import _
from clip_atelier.engine.data.layered import MAX_BYTES, NoPicture

SIGNATURE: Final = b"CSFCHUNK"
_HEADER: Final = 24
_DATABASE: Final = b"CHNKSQLi"
_MAX_CHUNKS: Final = 100_000
_MAX_STEPS: Final = 2_000
"""Thousands of instructions of SQLite for one look; a plain one takes a few. A made-up file could ask without end."""


def preview(file: BinaryIO) -> BinaryIO:
    """The PNG inside a .clip file, in memory.

    Raises:
        NoPicture: the file is damaged, has no preview, or holds more than `MAX_BYTES`.
    """
    content = _database(file)
    steps = 0

    def too_long() -> bool:
        nonlocal steps
        steps += 1
        return steps > _MAX_STEPS

    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(content)
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES)
            database.set_progress_handler(too_long, 1_000)
            row = database.execute("SELECT ImageData FROM CanvasPreview LIMIT 1").fetchone()
    except (sqlite3.Error, OverflowError) as error:
        raise NoPicture(_("The file is damaged ({error}).").format(error=error)) from error
    if row is None or not isinstance(row[0], bytes) or not row[0]:
        raise NoPicture(_("There is no preview picture inside."))
    return io.BytesIO(row[0])


def _database(file: BinaryIO) -> bytes:
    file.seek(_HEADER)
    for _number in range(_MAX_CHUNKS):
        head = file.read(16)
        if len(head) < 16:
            break
        kind, size = struct.unpack(">8sQ", head)
        if kind == _DATABASE:
            if size > MAX_BYTES:
                raise NoPicture(_("The picture inside unpacks to more than is read."))
            content = file.read(size)
            if len(content) < size:
                raise NoPicture(_("The file ends too early."))
            return content
        if not kind.startswith(b"CHNK") or size >= 1 << 62:
            break
        file.seek(size, io.SEEK_CUR)
    raise NoPicture(_("There is no preview picture inside."))
