"""Downloading a model: the only use of the network, and only when the user asks for it by name.

Files come one after the other into HOME/downloads. What arrived before an interruption is kept, and the same call goes on
from there; each file is checked against the size and the SHA-256 that the hub tells before it counts.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import select
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from clip_atelier.engine.core import (
    Control,
    Countdown,
    Phase,
    UserError,
    Work,
    WorkError,
    _,
    bounded_json,
    size_words,
)
from clip_atelier.engine.models.model_packs import MODEL

_TRIES: Final = 3
"""So often a file is asked for in a row while nothing of it arrives."""
_LONGEST: Final = 16 << 20
"""Bytes of the answer about a model."""
_CHUNK: Final = 1 << 18
_SECONDS: Final = 30.0
"""Of silence, after which a connection counts as broken; a slow one that goes on is waited for."""
_LOOK: Final = 0.25
"""Seconds between looks whether a stop was asked for while nothing arrives."""
_ROOM: Final = 200 << 20  # bytes that stay free on the disk


@dataclass(frozen=True)
class RemoteFile:
    """A file of a model on the hub. `sha256` is "" for small ones, whose size alone is told."""

    name: str
    size: int
    sha256: str = ""


@dataclass(frozen=True)
class RemoteModel:
    """A model on the hub, as it is now.

    Attributes:
        name: OWNER/MODEL.
        revision: The commit that the files belong to.
        files: Those that would be fetched: weights as safetensors, configuration, tokenizer, licence and card.
    """

    name: str
    revision: str
    files: tuple[RemoteFile, ...]

    @property
    def bytes(self) -> int:
        """Size of them all."""
        return sum(file.size for file in self.files)


def check_name(name: str) -> None:
    """Raises a UserError for what is not of the form OWNER/MODEL."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name, flags=re.ASCII) or ".." in name:
        raise UserError(
            _("“{name}” is not a name on the hub.").format(name=name),
            _("It looks like owner/model, for example laion/CLIP-ViT-B-32-laion2B-s34B-b79K."),
        )


def download(name: str, home: Path, control: Control) -> Work[Path]:
    """Fetches a model from the Hugging Face hub, or from the mirror that HF_ENDPOINT names, into HOME/downloads.

    Returns:
        Its folder, to be added and then removed.

    Raises:
        UserError: the name is not of the form owner/model, or the model has no safetensors weights.
        WorkError: there is no network, no such model, a file arrives damaged, or the disk is full.
        Stopped: a stop was asked for; what arrived is kept.
    """
    check_name(name)
    yield Phase(name="download", title=_("Asking about {model}").format(model=name))
    try:
        return (yield from _downloaded(name, home, control))
    except UserError:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _failed(name, error) from error


def _downloaded(name: str, home: Path, control: Control) -> Work[Path]:
    model = _asked(name)
    above = home / "downloads" / name.replace("/", "--")
    folder = above / model.revision
    for old in above.iterdir() if above.is_dir() else ():
        if old.name != model.revision:
            shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    _must_have_room(folder, model)
    title = _("Downloading {model}, {size}").format(model=name, size=size_words(model.bytes))
    yield Phase(name="download", title=title)
    countdown, before = Countdown(model.bytes), 0
    for file in model.files:
        for arrived in _file(model, file, folder):
            control.boundary()
            yield countdown.at(before + arrived)
        before += file.size
    return folder


def discard(folder: Path) -> None:
    """Removes what `download` returned, once it was added."""
    shutil.rmtree(folder.parent, ignore_errors=True)


def _asked(name: str) -> RemoteModel:
    """What the hub has under a name."""
    with _answer(f"api/models/{quote(name)}?blobs=true", {}) as stream:
        told = bounded_json(stream.read(_LONGEST + 1))
    try:
        every = {file.name: file for file in map(_told, told["siblings"]) if _is_plain(file.name)}
        revision = str(told.get("sha") or "main")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(_("its answer cannot be understood")) from error
    if not re.fullmatch(r"[\w-]+", revision, flags=re.ASCII):
        raise ValueError(revision)
    weights = _weights(list(every))
    if not weights:
        raise UserError(
            _(
                "“{name}” has no safetensors weights on the hub; others can run any code, and are not fetched."
            ).format(name=name),
            _("“clip-atelier models suggested” lists models that have them."),
        )
    # The weights come last: what is wrong shows soonest in what is small.
    small = sorted(n for n in every if _is_wanted(n) and not n.endswith(".safetensors"))
    return RemoteModel(name, revision, tuple(every[n] for n in (*small, *weights)))


def _told(entry: Mapping[str, Any]) -> RemoteFile:
    large = entry.get("lfs") or {}
    return RemoteFile(str(entry["rfilename"]), int(entry.get("size") or 0), str(large.get("sha256") or ""))


def _is_plain(name: str) -> bool:
    return bool(re.fullmatch(r"\w[\w. -]*", name))


def _answer(path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    """The hub's answer, or that of the mirror that HF_ENDPOINT names, by the system's proxies."""
    from huggingface_hub import constants

    endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
    if not endpoint.startswith(("https://", "http://")):
        raise ValueError(endpoint)
    # Compressed on the way, a size would mean something else.
    asked = urllib.request.Request(f"{endpoint}/{path}", headers={"Accept-Encoding": "identity", **headers})
    if os.environ.get("HF_TOKEN"):
        # For models behind a licence; not for where the hub sends on to.
        asked.add_unredirected_header("Authorization", f"Bearer {os.environ['HF_TOKEN']}")
    # An opener of its own: the one that urllib keeps knows only the proxies there were when it was first used.
    answer: http.client.HTTPResponse = urllib.request.build_opener().open(asked, timeout=_SECONDS)
    return answer


def _weights(names: Sequence[str]) -> list[str]:
    """The safetensors files that the model is loaded from, and no copies of them in other forms."""
    shards = sorted(n for n in names if re.fullmatch(r"model-\d+-of-\d+\.safetensors", n))
    if "model.safetensors.index.json" in names and shards:
        return shards
    return next(([n] for n in ("model.safetensors", "open_clip_model.safetensors") if n in names), [])


def _is_wanted(name: str) -> bool:
    return Path(name).suffix in MODEL.kinds or name.upper().startswith(("LICENSE", "LICENCE"))


def _must_have_room(folder: Path, model: RemoteModel) -> None:
    there = sum(file.stat().st_size for file in folder.iterdir())
    # Twice: what was fetched is copied when it is added.
    wanted = 2 * model.bytes - there + _ROOM
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise WorkError(
            _("There is no room for “{name}”: it needs {wanted}, {free} are free.").format(
                name=model.name, wanted=size_words(wanted), free=size_words(free)
            ),
            _("Make room on the disk of {folder}, or choose another --home.").format(folder=folder),
        )


def _file(model: RemoteModel, file: RemoteFile, folder: Path) -> Iterator[int]:
    """Fetches the rest of one file; gives how many of its bytes are there, again and again."""
    whole, part = folder / file.name, folder / f"{file.name}.part"
    if whole.is_file():
        yield file.size
        return
    path = f"{quote(model.name)}/resolve/{model.revision}/{quote(file.name)}"
    left, arrived = _TRIES, _size(part)
    while left:
        try:
            yield from _rest(path, part)
        except urllib.error.HTTPError:
            raise  # an answer, and not a broken connection
        except (OSError, http.client.HTTPException):
            if left == 1 and _size(part) <= arrived:
                raise
        before, arrived = arrived, _size(part)
        if arrived >= file.size:
            break
        left = _TRIES if arrived > before else left - 1
        yield arrived  # a stop is seen here too
    _must_be_whole(model, file, part)
    part.replace(whole)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _rest(path: str, part: Path) -> Iterator[int]:
    there = _size(part)
    try:
        answer = _answer(path, {"Range": f"bytes={there}-"} if there else {})
    except urllib.error.HTTPError as error:
        if there and error.code == 416:  # nothing is left, or the file is another one by now
            return
        raise
    with answer:
        goes_on = answer.status == 206
        there = there if goes_on else 0
        with part.open("ab" if goes_on else "wb", buffering=0) as stream:
            while chunk := answer.read1(_CHUNK):  # what has arrived, however little: a slow server shows too
                stream.write(chunk)
                there += len(chunk)
                yield there
                yield from (there for _look in _silence(answer))


def _silence(answer: http.client.HTTPResponse) -> Iterator[None]:
    """Until something can be read: gives, again and again, the chance to stop.

    Raises:
        TimeoutError: it has lasted too long.
    """
    if answer.chunked or answer.isclosed():  # then what can be read may lie in its buffer already
        return
    until = time.monotonic() + _SECONDS
    while not select.select([answer], [], [], _LOOK)[0]:
        yield
        if time.monotonic() > until:
            raise TimeoutError(_("it timed out"))


def _must_be_whole(model: RemoteModel, file: RemoteFile, part: Path) -> None:
    """Raises a WorkError, and throws away what arrived, unless it is what the hub told."""
    size = _size(part)
    if size < file.size:
        raise WorkError(
            _("The connection broke off: {have} of {want} bytes of {file} arrived.").format(
                have=size, want=file.size, file=file.name
            ),
            _("What arrived is kept. Run the command again to go on from there."),
        )
    digest = hashlib.sha256()
    with part.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    if size != file.size or (file.sha256 and digest.hexdigest() != file.sha256):
        part.unlink()
        raise WorkError(
            _(
                "{file} of “{name}” is not the file that the hub tells of: its size or hash is another."
            ).format(file=file.name, name=model.name),
            _(
                "It was thrown away. Run the command again; if it happens twice, the mirror or a proxy changes files."
            ),
        )


def _failed(name: str, error: Exception) -> WorkError:
    # What urllib wraps is said without its wrapping: "Connection refused", not "<urlopen error [Errno 111] …>".
    inner = getattr(error, "reason", error)
    said = getattr(inner, "strerror", None) or str(inner) or str(error)
    reason = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
    return WorkError(
        _("“{name}” could not be downloaded: {reason}").format(name=name, reason=reason),
        _(
            "Check the name and the network; or copy the model's folder here and use “clip-atelier models add PATH”."
        ),
    )
