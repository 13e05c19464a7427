"""Long measurements of a run, as work for the compute lane; each result is kept below HOME until the next one."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QImage, QImageWriter

from clip_atelier.engine.core import Control, Work, WorkError, _, paths, plain
from clip_atelier.gui.work import at_once
from clip_atelier.gui.workers import Tools

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import StrengthSweep

log = logging.getLogger(__name__)

_VERSION = 3


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        kind: "dial", "words", "map" or "strengths" (single ones that were measured on the way).
        run: A run's id; empty for the base model.
        state: How far the run had come: a result of an earlier state is not shown for a later one. Without a run, the
            base model's name.
        folder: Of the map; empty elsewhere.
    """

    kind: str
    run: str
    state: str = ""
    folder: str = ""

    def file(self, home: Path) -> Path:
        """Where its last result is kept."""
        name = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:24]
        return home / "cache" / "measured" / f"{self.kind}-{name}.json"


def state_of(run: Mapping[str, Any] | None) -> str:
    """How far a run has come, from its summary."""
    result = (run or {}).get("result") or {}
    return "/".join(str(result.get(key, "")) for key in ("status", "steps", "best_step", "strength"))


def read_kept(subject: Subject, tools: Tools, _control: Control) -> Work[dict[str, Any] | None]:
    """The last result of a subject, with `measured_at`; None if there is none."""
    return at_once(lambda: _read(subject.file(tools.home)))


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("a kept measurement could not be read: %s", error)
        return None
    return found if isinstance(found, dict) and found.get("version") == _VERSION else None


def _keep(home: Path, subject: Subject, result: Mapping[str, Any]) -> dict[str, Any]:
    document = {**result, "version": _VERSION, "measured_at": time.time()}
    file = subject.file(home)
    fresh = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # ASCII: undecodable bytes of file names stay what they are, as escaped surrogates.
        fresh.write_text(json.dumps(document, ensure_ascii=True, allow_nan=False), encoding="ascii")
        fresh.replace(file)
    except OSError as error:
        log.warning("a measurement could not be kept: %s", error)
    return document


def read_readings(subject: Subject, tools: Tools, _control: Control) -> Work[list[Mapping[str, Any]]]:
    """What was measured of single strengths before, by the whole curve too (`engine.strengths.reading`)."""

    def read() -> list[Mapping[str, Any]]:
        curve = _read(replace(subject, kind="dial").file(tools.home)) or {}
        single = _read(subject.file(tools.home)) or {}
        return [point["held_out"] for point in curve.get("points", [])] + list(single.get("readings", []))

    return at_once(read)


def measure_strength(
    subject: Subject, strength: float, tools: Tools, control: Control
) -> Work[Mapping[str, Any]]:
    """Measures one strength of a run, and keeps it with the others."""
    from clip_atelier.engine.analysis import measure as measure_one

    found = yield from measure_one(tools.home, subject.run, strength, tools.models, control)
    kept = (_read(subject.file(tools.home)) or {}).get("readings", [])
    others = [one for one in kept if one["strength"] != found["strength"]]
    _keep(tools.home, subject, {"readings": [*others, found]})
    return found


def open_meter(run: str, tools: Tools, control: Control) -> Work[StrengthSweep | None]:
    """What answers a run's held-out questions at any strength at once, where that is possible."""
    from clip_atelier.engine.analysis import strength_sweep_of

    return strength_sweep_of(tools.home, run, tools.models, control)


def read_meter(
    strength_sweep_of: StrengthSweep, strength: float, _tools: Tools, _control: Control
) -> Work[Mapping[str, Any]]:
    """One strength, read from a meter: no model is needed."""
    return at_once(lambda: strength_sweep_of.at(strength))


def measure(
    subject: Subject, perplexity: float = 30.0, strength: float | None = None
) -> Callable[[Tools, Control], Work[dict[str, Any]]]:
    """The work that measures a subject, keeps its result and returns it.

    Args:
        subject: What is measured.
        perplexity: Of a map.
        strength: Of a map's run, or of the words'; the recommended one where left out.
    """
    return partial(_measure, subject, perplexity, strength)


def _measure(
    subject: Subject, perplexity: float, strength: float | None, tools: Tools, control: Control
) -> Work[dict[str, Any]]:
    if subject.kind == "dial":
        from clip_atelier.engine.analysis import curve

        result = yield from curve(tools.home, subject.run, tools.models, control)
    elif subject.kind == "words":
        from clip_atelier.engine.analysis import words

        result = yield from words(tools.home, subject.run, tools.models, control, strength=strength)
    else:
        result = yield from _map(subject, perplexity, strength, tools, control)
    return _keep(tools.home, subject, _finite(result))


def _map(
    subject: Subject, perplexity: float, strength: float | None, tools: Tools, control: Control
) -> Work[dict[str, Any]]:
    from clip_atelier.engine.analysis import map_folder, own_ranks
    from clip_atelier.engine.search import ModelRef

    folder, run = Path(subject.folder), subject.run or None
    model_ref = ModelRef(run, strength, None if run else subject.state)
    result = yield from map_folder(folder, model_ref, tools.models, control, perplexity=perplexity)
    places = yield from own_ranks(folder, model_ref, tools.models, control)
    points = [
        {**point, **asdict(places[point["path"]])} if point["path"] in places else point
        for point in result["points"]
    ]
    return {**result, "points": points, "folder": subject.folder}


def _finite(result: dict[str, Any]) -> dict[str, Any]:
    """The result with None for numbers that are none; paths keep their bytes."""

    def finite(value: Any) -> Any:
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            return {key: finite(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [finite(inner) for inner in value]
        return plain(value)

    cleaned: dict[str, Any] = finite(result)
    return cleaned


def write_map(result: Mapping[str, Any], out: Path, _tools: Tools, _control: Control) -> Work[Path]:
    """Writes a map's points as a table (.csv) that a spreadsheet can open safely."""
    from clip_atelier.engine.core import tables

    columns = ("label", "split", "caption", "motion", "control_motion", "before", "after")
    header = ("path", "base_x", "base_y", "adapted_x", "adapted_y", *columns)
    rows = [
        (paths.shown(p["path"]), *p["base"], *(p["adapted"] or ("", "")), *(p.get(key) for key in columns))
        for p in result["points"]
    ]

    def write() -> Path:
        tables.write(out, header, rows)
        return out

    return at_once(write)


def write_picture(image: QImage, out: Path, _tools: Tools, _control: Control) -> Work[Path]:
    """Writes a picture (.png).

    Raises:
        WorkError: it cannot be written.
    """

    def write() -> Path:
        # Encoded in memory and written by Python: Qt alters odd file names.
        data = QByteArray()
        buffer = QBuffer(data)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        QImageWriter(buffer, QByteArray(b"png")).write(image)
        try:
            out.write_bytes(data.data())
        except OSError as error:
            raise WorkError(
                _("“{path}” cannot be written: {reason}.").format(
                    path=paths.shown(out), reason=error.strerror or error
                ),
                _("Free some space, or choose another place."),
            ) from error
        return out

    return at_once(write)
