"""Settings that a training takes from a file or from an earlier run; flags come before both."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clip_atelier.engine.core import UserError, _, bounded_json, shown
from clip_atelier.engine.settings import flat


def stored(args: argparse.Namespace, home: Path) -> dict[str, Any]:
    """The dotted settings that `--settings` and `--from-run` name; the file's come before the run's.

    Raises:
        UserError: the file cannot be read, the run is not there, or a preset is given beside a run, whose settings are whole.
    """
    values: dict[str, Any] = {}
    if args.from_run:
        if args.preset:
            raise UserError(
                _(
                    "An earlier training brings all of its settings; --from-run and --preset exclude each other."
                ),
                _("Leave one out."),
                "preset",
            )
        from clip_atelier.engine.runs import Runs

        values |= flat(Runs(home).open(args.from_run).settings)
        if args.base:  # which model is adapted, the other run says
            values.pop("model.name", None)
    if args.settings:
        values |= _of_file(args.settings)
    return values


def _of_file(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text("utf-8-sig")
        value = tomllib.loads(text) if file.suffix.lower() == ".toml" else bounded_json(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(
            _("“{file}” cannot be read as settings: {reason}.").format(file=shown(file), reason=reason),
            _("Give a TOML file (ending in .toml) or a JSON file with names such as lora.r."),
            "settings",
        ) from error
    if isinstance(value, dict) and isinstance(value.get("settings"), dict):
        value = value["settings"]  # a run's run.json
    if not isinstance(value, dict):
        raise UserError(
            _("“{file}” holds no settings.").format(file=shown(file)),
            _("Give a TOML file (ending in .toml) or a JSON file with names such as lora.r."),
            "settings",
        )
    return dict(_dotted(value))


def _dotted(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Tables in tables as dotted names: `[lora] r = 8` is `lora.r`."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", tuple(value) if isinstance(value, list) else value
