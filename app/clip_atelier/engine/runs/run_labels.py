"""What the user says of a run: its name, a note, a colour, and whether it is out of the way.

It lies in label.json beside run.json: what was asked of the run and what came out stay as they were written, and versions
of the program that do not know the file open the run all the same.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import Field

from clip_atelier.engine.core import Record, Text, UserError, _, read_document, write_document

log = logging.getLogger(__name__)

LABEL: Final = "label.json"
Tag = Literal["", "red", "orange", "yellow", "green", "blue", "purple"]
TAGS: Final[tuple[str, ...]] = get_args(Tag)
_LONGEST_NAME, _LONGEST_NOTE = 120, 4000  # characters
SCHEMA: Final = 1


class RunLabel(Record):
    """What the user says of a run.

    Attributes:
        name: In place of the one the run was begun with; empty where that one stands.
        note: Free text.
        tag: A colour, to find it again by.
        archived: Kept, but left out of lists.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    name: Text = ""
    note: Text = ""
    tag: Tag = ""
    archived: bool = False


def label_of(run_folder: Path) -> RunLabel:
    """The label of a run; an empty one where there is none or it is damaged: the run itself is whole."""
    try:
        return read_document(run_folder / LABEL, RunLabel)
    except OSError:
        return RunLabel()
    except UserError as error:
        log.warning("%s", error)
        return RunLabel()


def relabel(run_folder: Path, **changes: Any) -> RunLabel:
    """Changes some of a run's label and keeps the rest; see `RunLabel` for what there is.

    Raises:
        UserError: the name or the note is too long, or there is no such colour.
        WorkError: it cannot be written.
    """
    for what, longest in (("name", _LONGEST_NAME), ("note", _LONGEST_NOTE)):
        changes[what] = str(changes[what]).strip() if what in changes else getattr(label_of(run_folder), what)
        if len(changes[what]) > longest:
            raise UserError(
                _("The {what} is longer than {count} characters.").format(
                    what=_("name") if what == "name" else _("note"), count=longest
                ),
                _("Shorten it."),
            )
    if changes.get("tag", "") not in TAGS:
        raise UserError(
            _("There is no colour “{tag}”.").format(tag=changes["tag"]),
            _("There are: {tags}.").format(tags=", ".join(TAGS[1:])),
        )
    label = label_of(run_folder).model_copy(update=changes)
    write_document(run_folder / LABEL, label)
    return label
