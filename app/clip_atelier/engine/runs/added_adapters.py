"""An adapter that was made elsewhere becomes a run of its own: to search with, to measure, to export."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from clip_atelier.engine import settings as declared
from clip_atelier.engine.core import Finished, WorkError, _, cannot_write, to_line, write_document
from clip_atelier.engine.models import Models, adapters, foreign_adapters
from clip_atelier.engine.runs.records import RunFolder, Runs
from clip_atelier.engine.runs.results import ModelRecord, TrainResult
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.engine.storage import seal_folder

_BESIDE: Final = ("README.md", "LICENSE", "LICENSE.txt")


def add_adapter(source: Path, model: str, home: Path, models: Models, name: str = "") -> RunFolder:
    """Makes a run of a PEFT adapter folder, whole or not at all.

    Args:
        source: The adapter's folder.
        model: The model it was made for: a name or a folder.
        home: Where runs are kept.
        models: Finds the model.
        name: What to call the run; the folder's name where empty.

    Raises:
        UserError: it is no adapter that can be opened, or not one of this model.
        WorkError: the home cannot be written.
    """
    config = foreign_adapters.described(source)
    start = declared.build({"model.name": model})
    clip = models.open(model, HardwareSettings(device="cpu", precision="fp32"))
    base = ModelRecord.of(clip)
    try:
        adapter = foreign_adapters.attach(clip, source, start)
        found = foreign_adapters.about(config, adapter, clip.layout)
        settings = declared.build({"model.name": model, **found})
        run = Runs(home).create(name or source.resolve().name, settings, source.resolve())
        try:
            _write(run, source, base, adapter.parameters)
        except OSError as error:
            shutil.rmtree(run.path, ignore_errors=True)
            raise cannot_write(run.path, error) from error
        except WorkError:
            shutil.rmtree(run.path, ignore_errors=True)
            raise
        return run
    finally:
        adapters.detach(clip)


def _write(run: RunFolder, source: Path, base: ModelRecord, parameters: int) -> None:
    folder = run.path / "adapter"
    folder.mkdir()
    for file in (*foreign_adapters.FILES, *_BESIDE):
        if (source / file).is_file():
            shutil.copyfile(source / file, folder / file)
    seal_folder(folder)
    # No collection belongs to it: the adapter's own folder stands there, in which no drawing lies.
    found = {"folder": str(folder), "model": base, "foreign": True}
    run.write_record(run.record.model_copy(update=found))
    result = TrainResult(
        run=run.id, path=str(run.path), status="done", trainable_parameters=parameters, strength=1.0,
        protocol=_("The adapter was made elsewhere; “evaluate” measures it on a folder."),
    )  # fmt: skip
    write_document(run.path / "evaluation.json", result)
    done = Finished(status="done", result=result.as_json())
    (run.path / "events.jsonl").write_text(to_line(done) + "\n", encoding="utf-8")
