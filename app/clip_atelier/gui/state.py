"""What the window remembers: one object, passed through constructors, saved whole to HOME/window.json."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from clip_atelier.engine import settings
from clip_atelier.engine.core import WorkError, system_language, write_whole

log = logging.getLogger(__name__)

_RECENT = 8
_DEFAULTS: Mapping[str, Any] = {
    "language": "",
    "theme": "system",
    "geometry": "",
    "maximized": False,
    "page": "collection",
    "folder": "",
    "recent": [],
    "preset": "auto",
    "draft": {},
    "run": "",
    "view": {},
}


class WindowState(QObject):
    """The owner of everything the window remembers between starts.

    Args:
        home: HOME; runs, caches and models lie there too.
        language: The language of this session alone; the remembered one if not given. Choosing one in the window
            ends it.

    `draft` holds only what differs from the chosen preset; `values()` is the whole of it. A half-typed value is kept
    as it is: the form shows what is wrong with it.
    """

    changed = Signal(str)  # the name of what changed: a key above, or "draft"

    def __init__(self, home: Path, language: str | None = None) -> None:
        super().__init__()
        self.home = home
        self._for_now = {"language": language} if language else {}
        self._file = home / "window.json"
        self._values: dict[str, Any] = {**_DEFAULTS, **self._read()}
        if not self._values["language"]:
            self._values["language"] = system_language()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(500)
        self._timer.timeout.connect(self.save)

    # What is remembered

    def get(self, name: str) -> Any:
        """One remembered value, or what stands in for it in this session."""
        return self._for_now.get(name, self._values[name])

    def set(self, name: str, value: Any) -> None:
        """Remembers a value and tells, if it is another one."""
        if self.get(name) != value:
            self._for_now.pop(name, None)
            self._values[name] = value
            self._timer.start()
            self.changed.emit(name)

    def view(self, name: str, default: Any) -> Any:
        """A small choice of one page ("training.log", …)."""
        return self._values["view"].get(name, default)

    def set_view(self, name: str, value: Any) -> None:
        """Remembers a small choice of one page."""
        self.set("view", {**self._values["view"], name: value})

    @property
    def folder(self) -> str:
        """The collection's folder, or an empty text."""
        return str(self._values["folder"])

    def open_folder(self, folder: str) -> None:
        """Makes `folder` the collection and puts it first among the recent ones."""
        recent = [folder, *(f for f in self._values["recent"] if f != folder)][:_RECENT]
        self.set("recent", recent)
        self.set("folder", folder)

    # The draft of the settings

    def baseline(self, name: str) -> Any:
        """What a setting is in the chosen preset, else its default."""
        preset = settings.PRESETS.get(self._values["preset"])
        if preset is not None and name in preset.values:
            return preset.values[name]
        return settings.DECLARED[name].default

    def value(self, name: str) -> Any:
        """A setting's value in the draft; may be half-typed."""
        draft = self._values["draft"]
        return draft[name] if name in draft else self.baseline(name)

    def values(self) -> dict[str, Any]:
        """Every setting's value in the draft, by dotted name."""
        return {name: self.value(name) for name in settings.DECLARED}

    def is_modified(self, name: str) -> bool:
        """Whether the draft differs from the preset here."""
        return name in self._values["draft"]

    def set_value(self, name: str, value: Any) -> None:
        """Changes one setting in the draft."""
        draft = dict(self._values["draft"])
        if _same(value, self.baseline(name)):
            draft.pop(name, None)
        else:
            draft[name] = list(value) if isinstance(value, tuple) else value
        self.set("draft", draft)

    def reset_value(self, name: str) -> None:
        """Puts one setting back to the preset."""
        self.set_value(name, self.baseline(name))

    def choose_preset(self, name: str) -> None:
        """Starts from a preset: what any preset decides is taken from it; model, hardware and data stay as chosen."""
        decided = {key for preset in settings.PRESETS.values() for key in preset.values}
        draft = {
            key: value
            for key, value in self._values["draft"].items()
            if key not in decided and not key.startswith("lora.")
        }
        self._values["draft"] = draft
        self._values["preset"] = name
        self._timer.start()
        self.changed.emit("preset")
        self.changed.emit("draft")

    def adopt(self, values: Mapping[str, Any]) -> None:
        """Makes the draft equal to the settings of a run."""
        draft = {k: v for k, v in values.items() if k in settings.DECLARED and not _same(v, self.baseline(k))}
        self.set("draft", draft)

    # Disk

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("window.json could not be read and starts anew: %s", error)
            return {}
        if not isinstance(found, dict):
            return {}
        good = {k: v for k, v in found.items() if k in _DEFAULTS and isinstance(v, type(_DEFAULTS[k]))}
        good["draft"] = {
            k: v for k, v in settings.migrated(good.get("draft", {})).items() if k in settings.DECLARED
        }
        return good

    def save(self) -> None:
        """Writes HOME/window.json: the old file or the new one, never half of one."""
        self._timer.stop()
        text = json.dumps(self._values, ensure_ascii=True, indent=1)
        try:
            write_whole(self._file, text.encode("ascii"))
        except WorkError as error:
            log.warning("window.json could not be written: %s", error)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return list(one) == list(other)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
