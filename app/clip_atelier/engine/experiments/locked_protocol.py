"""A protocol: a comparison of base and adapted written down so that others can repeat it and tell whether it came out the same.

It holds what decides the numbers (drawings, split, model, settings, seeds, versions) as fingerprints and values, no names of
files, and the table that came out.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, Record, Score, Stopped, Text, UserError, Work, WorkError, _
from clip_atelier.engine.data import Collection, Split, scan, scan_cache_file, split
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs, TrainResult, versions

SAME: Final = 1e-4
"""Metrics that differ by less are the same: other processors round otherwise, and a rank is a rank."""

_OWN: Final = ("hardware.", "model.name")
"""Settings that are a machine's own business; the model is told by its fingerprint."""


class ProtocolRow(Record):
    """One metric, as the mean over the seeds.

    Attributes:
        spread: Standard deviation of `adapted` over the seeds; None for one seed.
        by_seed: `adapted` for each seed, in the order of the seeds.
    """

    metric: str
    base: Score = None
    adapted: Score = None
    spread: Score = None
    by_seed: tuple[Score, ...] = ()


class Protocol(Record):
    """The locked file.

    Attributes:
        collection: Fingerprint of drawings, words and pairs; names of files and folders do not matter.
        split: SHA-256 of which drawing is in which part.
        questions: What was asked, such as text_to_image.
        model: The base model's name where it was made; for people.
        model_fingerprint: Changes with its weights and preprocessing.
        settings: All but those of the machine.
    """

    schema_version: int = Field(default=1, alias="schema")
    drawings: int = 0
    collection: str
    split: str
    questions: tuple[str, ...] = ()
    seeds: tuple[int, ...]
    model: Text
    model_fingerprint: str
    versions: Mapping[str, str] = Field(default_factory=dict)
    settings: dict[str, Any]
    primary_metric: str = ""
    table: tuple[ProtocolRow, ...]


class ProtocolChange(Record):
    """Something that is another now: what, as it is written in the file, and as it was found."""

    what: Text
    written: Text
    found: Text


class ProtocolRepeat(Record):
    """What came out when a protocol was repeated.

    Attributes:
        same_split: Whether the drawings are the same and fell into the same parts.
        same_table: Whether every metric is the same to `tolerance`.
        changes: Metrics that differ.
        versions: Versions that differ; they need not matter.
    """

    schema_version: int = Field(default=1, alias="schema")
    same_split: bool
    same_table: bool
    tolerance: float = SAME
    changes: tuple[ProtocolChange, ...] = ()
    versions: tuple[ProtocolChange, ...] = ()
    found: Protocol


def split_hash(collection: Collection, parts: Split) -> str:
    """SHA-256 (hex) of which drawing is in which part; names of files and their order do not matter."""
    lines = sorted(
        f"{part} {collection.items[index].digest}"
        for part, indices in (("train", parts.train), ("validation", parts.validation), ("test", parts.test))
        for index in indices
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def lock_protocol(
    folder: Path,
    values: Mapping[str, object],
    preset: str,
    seeds: Sequence[int],
    home: Path,
    models: Models,
    control: Control,
) -> Work[Protocol]:
    """Trains once for each seed and writes down what was done and what came out.

    Args:
        folder: The collection.
        values: Dotted settings over the preset.
        preset: Name of the preset, "" for none.
        seeds: At least one.
        home: HOME; the trainings become runs there.
        models: Where models come from.
        control: Stops between steps.

    Raises:
        UserError: the folder or a setting is wrong.
        WorkError: a training failed.
        Stopped: it was stopped before all seeds were trained.
    """
    chosen = settings.build(values, preset or None)
    collection = yield from scan(folder, chosen.data, control, scan_cache_file(home))
    parts = split(collection, chosen.data, chosen.data.split_seed)
    results = yield from _trained(folder, values, preset, seeds, home, models, control)
    first = results[0]
    model = Runs(home).open(first.run).record.model
    if model is None or not first.measured:
        raise WorkError(_("The training “{run}” was not measured.").format(run=first.run))
    return Protocol(
        drawings=len(collection.items),
        collection=collection.fingerprint,
        split=split_hash(collection, parts),
        questions=tuple(dict.fromkeys(name.partition("/")[0] for name in first.base)),
        seeds=tuple(seeds),
        model=Path(model.name).name,
        model_fingerprint=model.fingerprint,
        versions=versions(),
        settings={
            k: v for k, v in settings.flat(chosen).items() if not k.startswith(_OWN) and k != "train.seed"
        },
        primary_metric=first.primary_metric,
        table=_rows(results),
    )


def repeat_protocol(
    protocol: Protocol, folder: Path, own: Mapping[str, object], home: Path, models: Models, control: Control
) -> Work[ProtocolRepeat]:
    """Does what a protocol says on this machine, and compares.

    Args:
        protocol: As it was written.
        folder: The same collection, wherever it lies here.
        own: What a protocol leaves to the machine: `model.name` and hardware settings.
        home: HOME.
        models: Where models come from.
        control: Stops between steps.

    Raises:
        UserError: the model here is another one, or the folder is wrong.
        WorkError: a training failed.
    """
    values: dict[str, object] = dict(protocol.settings) | {"model.name": protocol.model} | dict(own)
    chosen = settings.build(values)
    here = models.closed(chosen.model.name, chosen.hardware).fingerprint
    if here != protocol.model_fingerprint:
        raise UserError(
            _("“{model}” is not the model of the protocol: its files are others.").format(
                model=chosen.model.name
            ),
            _("Add the model that the protocol was made with, and name it with --model."),
            "model.name",
        )
    found = yield from lock_protocol(folder, values, "", protocol.seeds, home, models, control)
    written = {row.metric: row for row in protocol.table}
    changes = [
        ProtocolChange(what=f"{metric} (seed {seed})", written=_shown(one), found=_shown(other))
        for metric, row in written.items()
        for seed, one, other in zip(protocol.seeds, row.by_seed, _by_seed(found, metric), strict=True)
        if not _same(one, other)
    ]
    changes += [
        ProtocolChange(
            what=f"{row.metric} (base)", written=_shown(row.base), found=_shown(_base(found, row.metric))
        )
        for row in protocol.table
        if not _same(row.base, _base(found, row.metric))
    ]
    names = sorted(protocol.versions.keys() | found.versions.keys())
    return ProtocolRepeat(
        same_split=(protocol.collection, protocol.split) == (found.collection, found.split),
        same_table=not changes and written.keys() == {row.metric for row in found.table},
        changes=tuple(changes),
        versions=tuple(
            ProtocolChange(
                what=name, written=protocol.versions.get(name, "–"), found=found.versions.get(name, "–")
            )
            for name in names
            if protocol.versions.get(name) != found.versions.get(name)
        ),
        found=found,
    )


def _trained(
    folder: Path,
    values: Mapping[str, object],
    preset: str,
    seeds: Sequence[int],
    home: Path,
    models: Models,
    control: Control,
) -> Work[list[TrainResult]]:
    """One training for each seed, always from the beginning: what an earlier one gave is no repetition.

    Raises:
        Stopped: not all were trained; those that were stay in the list of runs.
    """
    from clip_atelier.engine import training

    results = []
    for seed in seeds:
        chosen = settings.build({**values, "train.seed": seed}, preset or None)
        plan = training.Plan(folder, chosen, home, _("protocol, seed {seed}").format(seed=seed))
        result = yield from training.train(plan, models, control)
        if result.status == "stopped":
            raise Stopped
        results.append(result)
    return results


def _rows(results: Sequence[TrainResult]) -> tuple[ProtocolRow, ...]:
    rows = []
    for metric, base in results[0].base.items():
        adapted = [result.adapted.get(metric) for result in results]
        known = [value for value in adapted if value is not None]
        rows.append(
            ProtocolRow(
                metric=metric,
                base=base,
                adapted=statistics.fmean(known) if known else None,
                spread=statistics.stdev(known) if len(known) > 1 else None,
                by_seed=tuple(adapted),
            )
        )
    return tuple(rows)


def _by_seed(protocol: Protocol, metric: str) -> tuple[Score, ...]:
    found = next((row.by_seed for row in protocol.table if row.metric == metric), ())
    return found or (None,) * len(protocol.seeds)


def _base(protocol: Protocol, metric: str) -> Score:
    return next((row.base for row in protocol.table if row.metric == metric), None)


def _same(one: Score, other: Score) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < SAME


def _shown(value: Score) -> str:
    return "–" if value is None else f"{value:.6g}"
