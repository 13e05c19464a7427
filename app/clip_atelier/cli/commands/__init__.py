"""The sub-commands, in the order of the help. A new one is one module here and one line below."""

from clip_atelier.cli.command import Command
from clip_atelier.cli.commands import (
    crossval,
    dial,
    doctor,
    estimate,
    evaluate,
    export,
    grid,
    index,
    mapping,
    models,
    report,
    resume,
    runs,
    scan,
    search,
    teach,
    train,
    words,
)

COMMANDS: tuple[Command, ...] = (
    scan.COMMAND,
    estimate.COMMAND,
    crossval.COMMAND,
    train.COMMAND,
    resume.COMMAND,
    runs.COMMAND,
    evaluate.COMMAND,
    grid.COMMAND,
    index.COMMAND,
    search.COMMAND,
    teach.COMMAND,
    mapping.COMMAND,
    dial.COMMAND,
    words.COMMAND,
    export.COMMAND,
    report.COMMAND,
    models.COMMAND,
    doctor.COMMAND,
)
