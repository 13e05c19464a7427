"""What every room uses: errors, events, stop and pause, language, paths, tables."""

from clip_atelier.engine.core import events, i18n, launch, paths, tables
from clip_atelier.engine.core.control import Control
from clip_atelier.engine.core.errors import Stopped, UserError, WorkError
from clip_atelier.engine.core.events import (
    Cell,
    Check,
    Event,
    Finished,
    Notice,
    Phase,
    ProblemFound,
    Progress,
    Ranking,
    Saved,
    Scanned,
    Started,
    Step,
    Strength,
    T,
    Work,
    drive,
    from_json,
    plain,
    to_json,
)
from clip_atelier.engine.core.i18n import LANGUAGES, N_, _, system_language
from clip_atelier.engine.core.paths import shown
from clip_atelier.engine.core.progress import Whole
from clip_atelier.engine.core.tables import csv_table

__all__ = [
    "LANGUAGES",
    "N_",
    "Cell",
    "Check",
    "Control",
    "Event",
    "Finished",
    "Notice",
    "Phase",
    "ProblemFound",
    "Progress",
    "Ranking",
    "Saved",
    "Scanned",
    "Started",
    "Step",
    "Stopped",
    "Strength",
    "T",
    "UserError",
    "Whole",
    "Work",
    "WorkError",
    "_",
    "csv_table",
    "drive",
    "events",
    "from_json",
    "i18n",
    "launch",
    "paths",
    "plain",
    "shown",
    "system_language",
    "tables",
    "to_json",
]
