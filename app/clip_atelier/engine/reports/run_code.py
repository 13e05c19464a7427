"""The Python file that repeats a run with transformers and PEFT alone, and the table that it reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from clip_atelier.engine.core import (
    N_,
    Control,
    Notice,
    Phase,
    Started,
    Work,
    _,
    must_be_free,
    paths,
    write_whole,
)
from clip_atelier.engine.data import Item, image_gate, located, open_collection, scan, trainers
from clip_atelier.engine.evaluation import caption_key
from clip_atelier.engine.models import Models, families, family_class, statistics
from clip_atelier.engine.parts import DESCRIPTION
from clip_atelier.engine.reports import run_code_answers
from clip_atelier.engine.reports import run_code_texts as texts
from clip_atelier.engine.reports.code_export import Kind, python_code
from clip_atelier.engine.reports.run_code_lines import Described, constants, lines
from clip_atelier.engine.reports.written import WrittenFiles
from clip_atelier.engine.runs import RunFolder, curves
from clip_atelier.engine.settings import DataSettings

_CONTROL: Final = 256
"""Drawings of the control set that training looks at, the first ones."""


@dataclass(frozen=True)
class _Told:
    """What a run's record tells of its training.

    Attributes:
        total: Steps that the schedule was laid out for; 0 where none was begun.
        taken: Steps that were taken.
        losses: Number of a step and the mean loss since the one before.
        by_folds: Whether it was measured by folds, and learned from every drawing in the end.
    """

    total: int
    taken: int
    losses: tuple[tuple[int, float], ...]
    by_folds: bool

    @classmethod
    def of(cls, run: RunFolder) -> _Told:
        begun = [event.steps for event in run.events() if isinstance(event, Started)]
        losses = tuple((p.step, p.loss) for p in curves(run).points if p.loss is not None)
        return cls(max(begun, default=0), losses[-1][0] if losses else 0, losses, 0 in begun)


def write(run: RunFolder, base: Path, out: Path, models: Models, control: Control) -> Work[WrittenFiles]:
    """Writes the file, its table (the same name with .json), and drawings that Pillow alone does not read alike.

    Where the run keeps parts beside its update, a second file answers questions with them (see `run_code_answers`). Where a run cannot be repeated so, the file builds its model only, and says why.

    Args:
        run: The run.
        base: Its model's folder.
        out: The file to write.
        models: Where its home is.
        control: Stop and pause.

    Raises:
        UserError: the collection is gone, or the table's name is taken.
    """
    settings, kind = run.settings, Kind.of(base)
    reason = _only_the_model(run, kind)
    if reason:
        yield Notice(
            text=_("The code builds the model and does not train it: {reason}").format(reason=_(reason))
        )
        head = f"# This builds the model of the run and does not train it: {reason}\n"
        write_whole(out, (head + python_code(settings, str(base))).encode(), _hint())
        return WrittenFiles(files=(str(out),))
    answers = run_code_answers.places(run, out)
    stem = out.stem if out.suffix == ".py" else out.name
    table, beside = out.with_name(f"{stem}.json"), out.with_name(f"{stem}-drawings")
    for path in (table, beside):
        must_be_free(path)
    collection, split = yield from open_collection(run.folder, settings.data, models.home, control)
    told = _Told.of(run)
    chosen = range(len(collection.items)) if told.by_folds else split.train
    side = families.FAMILIES[kind.family].facts_of(base).image_size
    usual = _Usual(side, beside)
    yield Phase(name="encode", title=_("Preparing the images"))
    drawings = []
    numbers: dict[str, int] = {}
    times = trainers.times([item.path for item in collection.items], settings.data)
    for index in chosen:
        control.boundary()
        drawings.append(_described(collection.items[index], split.groups[index], numbers))
        if times[index] > 1:
            drawings[-1]["times"] = times[index]
        drawings[-1]["file"] = usual.file(collection.root, collection.items[index])
    content: dict[str, Any] = {"drawings": drawings, "control": [], "losses": told.losses}
    if settings.train.preservation:
        bundled = yield from scan(paths.control_collection(), DataSettings(), control)
        content["control"] = [
            {"file": usual.copied(bundled.root, item), "caption": item.captions[0]}
            for item in bundled.items[:_CONTROL]
        ]
    before = run.record.data
    changed = before is not None and before.fingerprint != collection.fingerprint
    limits = list(_limits(run, told, changed))
    for text in limits:
        yield Notice(text=_(text))
    mean, std = statistics(base, *family_class(base).statistics)
    filled = {"SIZE": side, "MEAN": mean, "STD": std} | constants(settings, told.total, told.taken)
    described = Described(
        run.id, run.record.versions, table.name, tuple(limits), any(d["role"] for d in drawings)
    )
    text = "\n".join(lines(settings, str(base), kind, filled, described)) + "\n"
    write_whole(table, json.dumps(content, indent=1).encode(), _hint())
    write_whole(out, text.encode("utf-8", "replace"), _hint())
    if usual.written:
        paths.share(beside)
    more = [] if answers is None else run_code_answers.write(run, base, kind, *answers, _hint())
    for path in answers or ():
        paths.share(path)
    return WrittenFiles(files=(str(out), str(table), *map(str, (*usual.written, *more))))


def _hint() -> str:
    return _("Free some disk space, or choose another place.")


def _only_the_model(run: RunFolder, kind: Kind) -> str:
    """Why a run cannot be repeated by such a file; "" where it can."""
    if run.record.foreign:
        return N_("its adapter was trained by another program.")
    if kind.family != "clip":
        return N_("the training loop is written for CLIP models only.")
    return ""


def _limits(run: RunFolder, told: _Told, changed: bool) -> Iterator[str]:
    """What the file does not do as the run did it."""
    settings, path = run.settings, run.record.numeric_path
    if (run.path / DESCRIPTION).is_file():
        yield N_(
            "What the training keeps beside LoRA (learned words, hub correction, several views, a head for pictures) is not learned "
            "again: the file whose name ends in _search.py answers questions with it as it was kept."
        )
    elif settings.evaluation.parts:
        yield N_("What “Find what helps” tries beside LoRA is not repeated; the training kept none of it.")
    if not told.losses:
        yield N_("The training kept no trained update, so there are no losses to compare with.")
    if changed:
        yield N_("The collection has changed since the training: its losses will not be reached.")
    if path is not None and (path.device != "cpu" or path.precision != "fp32"):
        yield N_(
            "The training was not computed in fp32 on the processor: its losses are reached roughly only."
        )
    if 0 < settings.train.chunk_size < settings.train.batch_size and settings.lora.lora_dropout:
        yield N_(
            "The training drew dropout chunk by chunk, the file draws it for whole batches: its losses are reached roughly only."
        )


class _Usual:
    """Decides whether the file's own few lines read a drawing as the program does; what they do not is written as PNG.

    Args:
        side: Of the picture that the model sees.
        beside: The folder for what is written; made when there is something.
    """

    def __init__(self, side: int, beside: Path) -> None:
        self._side = side
        self._beside = beside
        self._names: dict[str, Any] = {"Image": Image, "SIZE": side}
        exec("from PIL import ImageOps\n" + texts.LOADING, self._names)
        self.written: list[Path] = []

    def file(self, root: Path, item: Item) -> str:
        """The path that the file is to read, absolute or relative to the table."""
        source = located(root, item.path)
        mine = image_gate.load(source, self._side, item.digest)
        try:
            same = np.array_equal(np.asarray(self._names["load"](source)), np.asarray(mine))
        except image_gate.DAMAGE:
            same = False
        return str(source.absolute()) if same else self._put(mine, item)

    def copied(self, root: Path, item: Item) -> str:
        """The same of a plain drawing of this program, which may be gone one day."""
        path = self._beside / f"{item.digest[:32]}.png"
        self._beside.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / item.path, path)
        self.written.append(path)
        return f"{self._beside.name}/{path.name}"

    def _put(self, image: Image.Image, item: Item) -> str:
        path = self._beside / f"{item.digest[:32]}.png"
        if path not in self.written:
            self._beside.mkdir(parents=True, exist_ok=True)
            image.save(path)
            self.written.append(path)
        return f"{self._beside.name}/{path.name}"


def _described(item: Item, group: int, numbers: dict[str, int]) -> dict[str, Any]:
    role = item.role if item.pair else ""
    captions = [[numbers.setdefault(caption_key(text), len(numbers)), text] for text in item.captions]
    return {"file": "", "group": int(group), "pair": item.pair, "role": role, "captions": captions}
