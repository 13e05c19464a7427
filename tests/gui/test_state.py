from __future__ import annotations

import json
import os
from pathlib import Path

from clip_atelier.engine import settings
from clip_atelier.gui.state import WindowState


def test_everything_comes_back(home: Path) -> None:
    state = WindowState(home)
    state.open_folder("/drawings")
    state.choose_preset("projection")
    state.set_value("lora.r", 12)
    state.set_value("train.learning_rate", "3e-")  # half-typed
    state.set_view("training.log", True)
    state.save()
    again = WindowState(home)
    assert again.folder == "/drawings"
    assert again.get("preset") == "projection"
    assert again.value("lora.r") == 12
    assert again.value("train.learning_rate") == "3e-"
    assert again.view("training.log", False) is True


def test_a_broken_file_starts_anew_and_is_no_error(home: Path) -> None:
    home.mkdir()
    (home / "window.json").write_text('{"theme": "dark", "fold')
    assert WindowState(home).get("theme") == "system"


def test_values_of_the_wrong_type_and_unknown_settings_are_left_out(home: Path) -> None:
    home.mkdir()
    (home / "window.json").write_text(
        json.dumps({"theme": 7, "recent": ["/a"], "draft": {"no.such": 1, "lora.r": 4}})
    )
    state = WindowState(home)
    assert state.get("theme") == "system"
    assert state.get("recent") == ["/a"]
    assert state.get("draft") == {"lora.r": 4}


def test_an_undecodable_folder_name_survives(home: Path) -> None:
    folder = os.fsdecode(b"/drawings/\xff")
    state = WindowState(home)
    state.open_folder(folder)
    state.save()
    assert os.fsencode(WindowState(home).folder) == b"/drawings/\xff"


def test_a_failed_save_keeps_the_old_file(home: Path) -> None:
    state = WindowState(home)
    state.open_folder("/one")
    state.save()
    (home / ".window.json.partial").mkdir()  # the fresh file cannot be written
    state.open_folder("/two")
    state.save()
    assert WindowState(home).folder == "/one"


def test_only_what_differs_from_the_preset_is_kept(home: Path) -> None:
    state = WindowState(home)
    state.choose_preset("projection")
    state.set_value("lora.lora_alpha", 16)
    assert state.is_modified("lora.lora_alpha")
    state.set_value("lora.lora_alpha", 32)
    assert not state.is_modified("lora.lora_alpha")
    state.set_value("lora.lora_alpha", 5)
    state.reset_value("lora.lora_alpha")
    assert state.value("lora.lora_alpha") == 32


def test_a_preset_leaves_model_hardware_and_data_alone(home: Path) -> None:
    state = WindowState(home)
    for name, value in (
        ("model.name", "mine"),
        ("hardware.threads", 1),
        ("data.validation", 0.3),
        ("lora.r", 99),
    ):
        state.set_value(name, value)
    state.choose_preset("clip-lora")
    assert state.value("model.name") == "mine"
    assert state.value("hardware.threads") == 1
    assert state.value("data.validation") == 0.3
    assert state.value("lora.r") == 2


def test_the_draft_of_every_preset_is_the_preset(home: Path) -> None:
    for name in settings.PRESETS:
        state = WindowState(home)
        state.choose_preset(name)
        assert settings.build(state.values()) == settings.build({}, name)


def test_a_runs_settings_can_be_taken_over(home: Path) -> None:
    state = WindowState(home)
    run = settings.flat(settings.build({"lora.r": 3, "train.epochs": 2}, "careful"))
    state.adopt(run)
    assert settings.flat(settings.build(state.values())) == run


def test_a_language_asked_for_holds_for_the_session_and_is_not_remembered(home: Path) -> None:
    state = WindowState(home)
    state.set("language", "en")
    state.save()
    asked = WindowState(home, "ko")
    assert asked.get("language") == "ko"
    asked.set("theme", "dark")
    asked.save()
    assert WindowState(home).get("language") == "en"


def test_a_language_chosen_in_the_window_ends_the_one_asked_for(home: Path) -> None:
    WindowState(home, "ko").save()
    state = WindowState(home, "ko")
    told: list[str] = []
    state.changed.connect(told.append)
    state.set("language", "en")
    assert told == ["language"]
    assert state.get("language") == "en"
    state.save()
    assert WindowState(home).get("language") == "en"
