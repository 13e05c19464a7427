"""Documents: what is stored as JSON or handed from room to room. One reader that validates at the door, one writer.

A document is a frozen record with a schema version. Keys that this version does not know are left out, so that a newer
version's file of the same schema can be read; keys that are missing take their defaults, so that an older one's can.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, ValidationError, WithJsonSchema

from clip_atelier.engine.core.errors import UserError
from clip_atelier.engine.core.events import plain
from clip_atelier.engine.core.files import cannot_write, write_whole
from clip_atelier.engine.core.i18n import _

MAX_BYTES = 64 << 20
"""A larger JSON file is none of ours."""

MAX_DEPTH = 32

D = TypeVar("D", bound="Record")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Score = Annotated[float | None, BeforeValidator(_finite)]
"""A number that may be missing; what is not finite counts as missing, since JSON cannot say it."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError("must be a text of bounded length")
    return value


MAX_TEXT = 1 << 20

Text = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]
"""A text that came from files: names of files may hold bytes that are no Unicode, as lone surrogates."""


class Record(BaseModel):
    """A frozen part of a document."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, populate_by_name=True)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON, keys as in files and commands."""
        found: dict[str, Any] = plain(self.model_dump(by_alias=True))
        return found


class DamagedFile(UserError):  # noqa: N818 - a fault of the file, told to people
    """A stored document that cannot be understood. `reason` names the key and leaves out the file.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            _("“{path}” is damaged: {reason}").format(path=path, reason=reason),
            _("Only what this file is about is affected."),
        )
        self.path = path
        self.reason = reason


def read_json(path: Path) -> Any:
    """The JSON value in a file.

    Raises:
        DamagedFile: too large, nested too deeply, no JSON, or with numbers that are not finite.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    try:
        return bounded_json(content)
    except ValueError as error:
        raise DamagedFile(path, str(error)) from error


def bounded_json(content: bytes | str) -> Any:
    """The JSON value of a text from anywhere: of bounded length and depth, with finite numbers only.

    Raises:
        ValueError: it is not such a text; says why.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(_("it is too large."))
    try:
        value = json.loads(content, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError(_("it is nested too deeply.")) from error
    except json.JSONDecodeError as error:  # says it in the words of the format
        raise ValueError(
            _("it cannot be read from line {line}, column {column} on.").format(
                line=error.lineno, column=error.colno
            )
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(_("its letters cannot be read.")) from error
    if _depth(value) > MAX_DEPTH:
        raise ValueError(_("it is nested too deeply."))
    return value


def read_document(path: Path, kind: type[D]) -> D:
    """A document of a file.

    Raises:
        DamagedFile: see `read_json`, or a key is missing or holds something else; names the key.
        OSError: it cannot be read.
    """
    return document_of(read_json(path), kind, path)


def document_of(value: Any, kind: type[D], path: Path) -> D:
    """A document of a JSON value that was read from `path`.

    Raises:
        DamagedFile: a key is missing or holds something else; names the key.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or kind.__name__
        raise DamagedFile(path, f"{key}: {first['msg']}.") from error


def read_kept(path: Path, kind: type[D]) -> D | None:
    """A document that is written with a copy beside it; None where there is none.

    A damaged one is set aside, not deleted; its copy is taken where that is whole.

    Raises:
        DamagedFile: neither can be understood; it lies beside its place then, named ".damaged".
    """
    try:
        return read_document(path, kind)
    except OSError:
        return None
    except DamagedFile as error:
        aside = path.with_suffix(".damaged")
        with contextlib.suppress(OSError):
            os.replace(path, aside)
        with contextlib.suppress(OSError, DamagedFile):
            return read_document(copy_of(path), kind)
        raise DamagedFile(aside, error.reason) from error


def remove_kept(path: Path) -> None:
    """Takes away a document and the copy beside it, where they are.

    Raises:
        WorkError: they cannot be taken away.
    """
    try:
        for one in (path, copy_of(path)):
            one.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def copy_of(path: Path) -> Path:
    """Where the copy of a document is kept that cannot be computed again."""
    return path.with_name(f".{path.name}")


def write_document(path: Path, document: Record, copy: bool = False, hint: str = "") -> None:
    """Writes a document whole or not at all, with a seal (see `sealed`).

    Names of files keep their bytes: what is no Unicode is written as an escape, and read back as it was.

    Args:
        path: The file.
        document: What is written.
        copy: Whether a copy is kept beside it, from which `repair` mends it.
        hint: The remedy that is told where it cannot be written; given where it is not below the home.

    Raises:
        WorkError: it cannot be written.
    """
    text = json.dumps(document.model_dump(by_alias=True), ensure_ascii=False, indent=1, allow_nan=False)
    escaped = re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
    content = sealed(escaped)
    write_whole(path, content, hint)
    if copy:
        write_whole(copy_of(path), content)


_SEAL = re.compile(rb',\n "sha256": "([0-9a-f]{64})"\n\}\Z')


def sealed(text: str) -> bytes:
    """A JSON object, written with an indent of 1, with the SHA-256 of all before it as its last key.

    Readers that know nothing of the key leave it out; `seal_fault` tells whether the file is still as it was written.
    """
    body = text.removesuffix("\n}").encode("utf-8")
    return body + f',\n "sha256": "{hashlib.sha256(body).hexdigest()}"\n}}'.encode()


def seal_fault(path: Path) -> str:
    """What is wrong with a sealed document, "" where it is as it was written, or was written without a seal.

    Raises:
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    found = _SEAL.search(content)
    if found is None or hashlib.sha256(content[: found.start()]).hexdigest().encode() == found[1]:
        return ""
    return _("it is not as it was written.")


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _depth(value: Any) -> int:
    """How deeply a JSON value is nested, counted only up to just beyond the limit."""
    deepest, level = 0, [value]
    while level and deepest <= MAX_DEPTH:
        deepest += 1
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return deepest
