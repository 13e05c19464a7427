"""What the window remembers: one object, passed through constructors, saved whole to HOME/window.json."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    WorkError,
    bounded_json,
    copy_of,
    seal_fault,
    sealed,
    system_language,
    write_whole,
)

log = logging.getLogger(__name__)

_RECENT = 8
_ALSO_KEPT = ("train.", "evaluation.")
"""Groups of which a preset of the user's keeps what was changed, beside what the program's presets decide."""
_DEFAULTS: Mapping[str, Any] = {
    "language": "",
    "theme": "system",
    "geometry": "",
    "maximized": False,
    "page": "collection",
    "folder": "",
    "recent": [],
    "preset": "auto",
    "presets": {},  # the user's own: name -> values
    "draft": {},
    "run": "",
    "view": {},
}


_OWN = "own:"


def own_preset(name: str) -> str:
    """What the user's preset of this name is called among all presets."""
    return f"{_OWN}{name}"


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
        self.offer_folder(folder)
        self.set("folder", folder)

    def offer_folder(self, folder: str) -> None:
        """Puts `folder` first among the recent ones, without opening it."""
        recent = [folder, *(f for f in self._values["recent"] if f != folder)][:_RECENT]
        self.set("recent", recent)

    def forget_folder(self, folder: str) -> None:
        """`folder` goes for good: it is not open, nor among the recent ones."""
        self.set("recent", [one for one in self._values["recent"] if one != folder])
        if self.folder == folder:
            self.set("folder", "")

    # The draft of the settings

    def baseline(self, name: str) -> Any:
        """What a setting is in the chosen preset, else its default."""
        values = self.preset_values(self._values["preset"])
        return values[name] if name in values else settings.DECLARED[name].default

    def preset_values(self, preset: str) -> Mapping[str, Any]:
        """What a preset decides, one of the user's own too; nothing where there is none of this name."""
        if preset.startswith(_OWN):
            found: Mapping[str, Any] = self._values["presets"].get(preset.removeprefix(_OWN), {})
            return found
        known = settings.PRESETS.get(preset)
        return known.values if known is not None else {}

    @property
    def own_presets(self) -> list[str]:
        """Names of the user's presets, in the order in which they were saved."""
        return list(self._values["presets"])

    @property
    def own_values(self) -> Mapping[str, Any]:
        """What the chosen preset decides, where it is the user's own."""
        chosen = str(self._values["preset"])
        return self.preset_values(chosen) if chosen.startswith(_OWN) else {}

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

    @property
    def changed_from_preset(self) -> list[str]:
        """Names of the settings that a preset decides and that are another now; model, hardware and data are not among them."""
        return [key for key in self._values["draft"] if key in self._decided]

    @property
    def _decided(self) -> frozenset[str]:
        """The settings that presets are about."""
        presets = [preset.values for preset in settings.PRESETS.values()]
        found = {key for values in (*presets, *self._values["presets"].values()) for key in values}
        return frozenset(found | {key for key in settings.DECLARED if key.startswith("lora.")})

    def choose_preset(self, name: str) -> None:
        """Starts from a preset: what any preset decides is taken from it; model, hardware and data stay as chosen."""
        changed = self.changed_from_preset
        draft = {key: value for key, value in self._values["draft"].items() if key not in changed}
        self._values["draft"] = draft
        self._values["preset"] = name
        self._timer.start()
        self.changed.emit("preset")
        self.changed.emit("draft")

    def with_preset(self, name: str) -> dict[str, Any]:
        """Every setting's value if a preset were chosen now."""
        decided, preset = self._decided, self.preset_values(name)
        return {
            key: preset.get(key, declared.default) if key in decided else self.value(key)
            for key, declared in settings.DECLARED.items()
        }

    def save_preset(self, name: str) -> None:
        """Keeps what a preset decides, as it is now, under a name of the user's, and chooses it.

        One of this name is replaced. Model, hardware and data are no part of it.
        """
        decided = self._decided | {
            key for key in self._values["draft"] if key.startswith(_ALSO_KEPT) and key != "train.seed"
        }
        values = {key: self.value(key) for key in settings.DECLARED if key in decided}
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        self.set("presets", {**self._values["presets"], name: values})
        self.choose_preset(own_preset(name))

    def rename_preset(self, before: str, name: str) -> None:
        """Gives one of the user's presets another name, in its place; one that is taken changes nothing."""
        known = self._values["presets"]
        if before not in known or name in known:
            return
        chosen = self._values["preset"] == own_preset(before)
        renamed = {name if key == before else key: values for key, values in known.items()}
        if chosen:
            self._values["preset"] = own_preset(name)
        self.set("presets", renamed)

    def delete_preset(self, name: str) -> None:
        """Forgets one of the user's presets. If it was chosen, the settings stay as they are."""
        values = self.values()
        chosen = self._values["preset"] == own_preset(name)
        if chosen:
            self._values["preset"] = str(_DEFAULTS["preset"])
        self.set("presets", {key: kept for key, kept in self._values["presets"].items() if key != name})
        if chosen:
            self.adopt(values)
            self.changed.emit("preset")

    def adopt(self, values: Mapping[str, Any]) -> None:
        """Makes the draft equal to the settings of a run."""
        draft = {k: v for k, v in values.items() if k in settings.DECLARED and not _same(v, self.baseline(k))}
        self.set("draft", draft)

    # Disk

    def _read(self) -> dict[str, Any]:
        found = self._first_whole()
        good = {k: v for k, v in found.items() if k in _DEFAULTS and isinstance(v, type(_DEFAULTS[k]))}
        good["presets"] = _usable_presets(good.get("presets", {}))
        good["draft"] = {
            k: v for k, v in settings.migrated(good.get("draft", {})).items() if k in settings.DECLARED
        }
        return good

    def _first_whole(self) -> dict[str, Any]:
        """What window.json says, or where it is damaged its copy."""
        for file in (self._file, copy_of(self._file)):
            try:
                found = bounded_json(file.read_bytes())
                if not isinstance(found, dict) or seal_fault(file):
                    raise ValueError("not as it was written")
                return found
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                log.warning("%s could not be read: %s", file.name, error)
        return {}

    def save(self) -> None:
        """Writes HOME/window.json: the old file or the new one, never half of one."""
        self._timer.stop()
        content = sealed(json.dumps(self._values, ensure_ascii=True, indent=1))
        try:
            write_whole(self._file, content)
            write_whole(copy_of(self._file), content)
        except WorkError as error:
            log.warning("window.json could not be written: %s", error)


def _usable_presets(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The user's presets, settings that are no more or cannot be left out."""
    usable = {}
    for name, values in found.items():
        if isinstance(values, dict):
            known = {
                key: value for key, value in settings.migrated(values).items() if key in settings.DECLARED
            }
            wrong = {issue.setting for issue in settings.check(known)}
            usable[name] = {key: value for key, value in known.items() if key not in wrong}
    return usable


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return list(one) == list(other)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
