"""Training begins: folder -> collection -> split, and from there the work of a run.

`train` and `resume` are generators of events and return a `TrainResult`. Nothing here imports torch or what is built on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clip_atelier.engine.core import Control, Finished, Phase, Stopped, UserError, Work, WorkError, _
from clip_atelier.engine.data import open_collection
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import RunFolder, Runs, TrainResult
from clip_atelier.engine.settings import Settings
from clip_atelier.engine.training.distributed.group import Group, must_be_enough
from clip_atelier.engine.training.kept_work import begun


@dataclass(frozen=True)
class Plan:
    """What to train: frozen, and all that crosses into the engine.

    Attributes:
        folder: The collection.
        settings: Everything else.
        home: Where runs and caches live.
        name: The user's name for the run; may be empty.
    """

    folder: Path
    settings: Settings
    home: Path
    name: str = ""


def train(plan: Plan, models: Models, control: Control, group: Group | None = None) -> Work[TrainResult]:
    """Trains a new run; where `group` is given, this process leads it.

    Returns:
        What came out: the document of `train`.

    Raises:
        UserError: the folder, the model or a setting is at fault; nothing was started.
        WorkError: the work failed on the way; what was done is kept.
        Stopped: stopped by the user before the first step, and no run is left; later stops return with status "stopped".
            Also where the program is being left; then the run is kept from its first step on.
    """
    # Wrong settings and folders are found before a run folder is made.
    if not plan.folder.is_dir():
        raise UserError(
            _("There is no folder “{folder}”.").format(folder=plan.folder),
            _("Give the path of a folder with images."),
            "folder",
        )
    models.resolve(plan.settings.model.name)
    must_be_enough(group, plan.settings.train.batch_size)
    runs = Runs(plan.home)
    run = runs.create(plan.name, plan.settings, plan.folder.absolute())
    try:
        return (yield from _work(run, plan.home, models, control, group))
    except (Stopped, UserError) as error:
        # Without a single step there is nothing to keep or to go on with: no empty run stays in the list. What failed
        # while it worked stays, so that its message can be read and the run be resumed.
        if not isinstance(error, WorkError) and not begun(run.path):
            runs.discard(run)
        raise


def resume(
    home: Path, run_id: str, models: Models, control: Control, group: Group | None = None
) -> Work[TrainResult]:
    """Goes on exactly where a run stopped, with as many processes as there are now; see `train`.

    Raises:
        UserError: no such run, it is complete, running elsewhere, or made by a newer version.
    """
    run = Runs(home).open(run_id)
    _settings = run.settings  # refuses what a newer version made
    if run.record.foreign:
        raise UserError(
            _("The adapter of “{run}” was made elsewhere and cannot be trained on.").format(run=run.id),
            _("Export it merged and add that as a model: a new training can start from there."),
            "run",
        )
    if run.status == "done":
        raise UserError(
            _("The training “{run}” is complete; there is nothing to go on with.").format(run=run.id),
            _("Train again with more epochs if you want more."),
            "run",
        )
    must_be_enough(group, run.settings.train.batch_size)
    return (yield from _work(run, home, models, control, group, careful=run.status != "stopped"))


def _work(
    run: RunFolder, home: Path, models: Models, control: Control, group: Group | None, careful: bool = False
) -> Work[TrainResult]:
    with run.hold():
        return (yield from run.recording(_ended(run, _phases(run, home, models, control, group, careful))))


def _phases(
    run: RunFolder, home: Path, models: Models, control: Control, group: Group | None, careful: bool
) -> Work[TrainResult]:
    """Reads the collection, then imports what learns from it: seconds that are not waited for before anything happens."""
    collection, parts = yield from open_collection(run.folder, run.settings.data, home, control)
    yield Phase(name="load", title=_("Opening the model"))
    from clip_atelier.engine.training.run import Training

    return (yield from Training(run, home, models, control, group, careful).work(collection, parts))


def _ended(run: RunFolder, phases: Work[TrainResult]) -> Work[TrainResult]:
    """Runs the training and turns every way out into a `Finished` event."""
    try:
        result = yield from phases
    except Stopped:
        yield Finished(status="stopped", result={"run": run.id})
        raise
    except UserError as error:
        yield Finished(status="failed", message=error.message, hint=error.hint)
        raise
    except (RuntimeError, MemoryError) as error:
        failure = _explained(error, run.settings)
        yield Finished(status="failed", message=failure.message, hint=failure.hint)
        raise failure from error
    yield Finished(status=result.status, result=result.as_json())
    return result


def _explained(error: Exception, settings: Settings) -> WorkError:
    """A torch error as one for people."""
    from clip_atelier.engine.models import is_out_of_memory

    if is_out_of_memory(error):
        train = settings.train
        size = max(2, (train.chunk_size or train.batch_size) // 2)
        return WorkError(
            _("The memory of the device is not enough for this training."),
            _("Set the chunk size (train.chunk_size) to {size}: the same result in less memory; or the batch size.").format(size=size),
            "train.chunk_size",
        )  # fmt: skip
    return WorkError(
        _("The computation failed: {reason}").format(
            reason=str(error).splitlines()[0] if str(error) else error
        ),
        _(
            "The last checkpoint is kept: resume the training. If that fails too, start the program again first."
        ),
    )
