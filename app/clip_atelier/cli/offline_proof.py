"""`doctor --offline-proof`: the main job on a part of the sample while nothing can connect, with a receipt."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import clip_atelier
from clip_atelier.cli.command import Session
from clip_atelier.cli.sample_part import part_of_sample
from clip_atelier.cli.text import table
from clip_atelier.engine import settings
from clip_atelier.engine.core import Record, Text, _, i18n

_DOORS: tuple[tuple[object, str], ...] = (
    (socket.socket, "connect"),
    (socket.socket, "connect_ex"),
    (socket.socket, "sendto"),
    (socket.socket, "bind"),
    (socket, "getaddrinfo"),
)


@contextlib.contextmanager
def no_network() -> Iterator[list[str]]:
    """While open, no socket connects, listens or sends and no name is looked up; yields what was tried."""
    attempts: list[str] = []

    def refuse(*args: object, **_options: object) -> NoReturn:
        attempts.append(", ".join(str(a) for a in args if not isinstance(a, socket.socket)))
        raise OSError("the network is off for this check")

    before = [getattr(owner, name) for owner, name in _DOORS]
    for owner, name in _DOORS:
        setattr(owner, name, refuse)
    try:
        yield attempts
    finally:
        for (owner, name), door in zip(_DOORS, before, strict=True):
            setattr(owner, name, door)


class Receipt(Record):
    """What was done without the network.

    Attributes:
        made: When, in UTC.
        program: Version of this program.
        system: Python and operating system.
        images: How many pictures of the bundled sample were learned from and measured on.
        model: SHA-256 of the starter model.
        steps: Optimiser steps taken.
        update: SHA-256 of the trained update.
        base_untouched: Whether the base model came out bit-equal.
        found: The first picture for a word, by the adapted model.
        tried: Connections that were tried, each refused; none is the proof.
        open_connections: Connections of the process, as the operating system counts them, that were not there before.
        sha256: Of all of the above, as JSON with sorted keys.
    """

    made: str
    program: str
    system: str
    images: int
    model: str
    steps: int
    update: str
    base_untouched: bool
    found: Text
    tried: tuple[str, ...]
    open_connections: int
    sha256: str = ""

    @property
    def proven(self) -> bool:
        """Whether the job was done without a single try."""
        return not self.tried and not self.open_connections and self.base_untouched and self.steps > 0


def receipt(session: Session) -> Receipt:
    """Trains on a part of the sample, reads the update back, searches and saves, while every connection raises.

    Raises:
        UserError: a part of the job failed; it is named.
    """
    before = _connections()
    with no_network() as tried, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        made = _job(Path(scratch), session)
    found = made.model_copy(update={"tried": tuple(tried), "open_connections": len(_connections() - before)})
    text = json.dumps(found.model_dump(exclude={"sha256"}), sort_keys=True, ensure_ascii=False)
    return found.model_copy(update={"sha256": hashlib.sha256(text.encode()).hexdigest()})


def _job(scratch: Path, session: Session) -> Receipt:
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.runs import Runs, checkpoints
    from clip_atelier.engine.search import ModelRef, parse_query, search
    from clip_atelier.engine.storage import digest_of
    from clip_atelier.engine.training import Plan, train

    drawings, home = scratch / "drawings", scratch / "home"
    images = part_of_sample(drawings)
    models = Models(home)
    chosen = settings.build(
        {
            "evaluation.folds": 0, "train.steps": 0, "train.epochs": 1, "train.batch_size": 16, "train.checks": 1,
            "train.preservation": 0.0, "hardware.device": "cpu",
        },
        "attention",
    )  # fmt: skip
    result = session.drive(train(Plan(drawings, chosen, home), models, session.control))
    run = Runs(home).open(result.run)
    words = parse_query("벚꽃" if i18n.language() == "ko" else "cherry blossom")
    hits = session.drive(search(drawings, words, ModelRef(run=run.id), models, session.control, top=1))
    step = checkpoints.steps(run.path / "checkpoints")[-1]
    update = run.path / "checkpoints" / f"{step:08d}" / "adapter.safetensors"
    record = run.record.model
    return Receipt(
        made=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        program=clip_atelier.__version__,
        system=f"Python {platform.python_version()}, {platform.platform()}",
        images=images,
        model=record.fingerprint if record else "",
        steps=result.steps,
        update=digest_of(update),
        base_untouched=bool(result.base_untouched),
        found=(hits.adapted or hits.base)[0].path,
        tried=(),
        open_connections=0,
    )


def _connections() -> set[tuple[object, ...]]:
    import psutil

    return {tuple(one) for one in psutil.Process().net_connections("inet")}


def text_of(found: Receipt) -> str:
    """The receipt for people."""
    untouched = _("bit for bit as before") if found.base_untouched else _("changed")
    rows = (
        (_("made"), f"{found.made} UTC"),
        (_("program"), f"CLIP Atelier {found.program}, {found.system}"),
        (_("learned from"), _("{count} pictures of the bundled sample").format(count=found.images)),
        (_("starter model"), f"sha256 {found.model}"),
        (_("trained"), _("{steps} steps, update sha256 {sha}").format(steps=found.steps, sha=found.update)),
        (_("base model afterwards"), untouched),
        (_("first picture found"), found.found),
        (_("connections tried"), ", ".join(found.tried) or "0"),
        (_("connections open"), str(found.open_connections)),
        ("sha256", found.sha256),
    )
    return table((_("Receipt of work without the network"), ""), rows)
