"""What CONTRIBUTING promises a newcomer: a setting is one declaration. (A family: engine/models/test_second_family.py.)"""

from __future__ import annotations

import argparse

import pytest
from pydantic import ValidationError
from pytestqt.qtbot import QtBot

from clip_atelier.cli import arguments
from clip_atelier.engine.settings import DECLARED, Settings, TrainSettings
from clip_atelier.engine.settings.declare import declarations, setting
from clip_atelier.gui import form
from clip_atelier.gui.widgets.inputs import Number


class WithSpark(TrainSettings):
    """The training settings and one more, as a newcomer would add it."""

    spark: int = setting(
        3, affects=("learning",), title="Spark", summary="How much it sparks.", detail="More is brighter.", ge=1, le=9
    )  # fmt: skip


def test_a_setting_is_one_declaration(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    model = type("More", (Settings,), {"__annotations__": {"train": WithSpark}, "train": WithSpark()})
    found = {declared.name: declared for declared in declarations(model)}
    spark = found["train.spark"]
    assert (spark.kind, spark.default, spark.minimum, spark.maximum) == ("int", 3, 1, 9)
    assert spark.affects == {"learning"}
    # The form's field,
    field = form.make_input(spark)
    qtbot.addWidget(field)
    assert isinstance(field, Number)
    # the flag with its explanation,
    monkeypatch.setitem(DECLARED, "train.spark", spark)  # type: ignore[misc]
    parser = argparse.ArgumentParser()
    arguments.add_settings(parser, ["train"])
    assert vars(parser.parse_args(["--train.spark", "5"]))["train.spark"] == "5"
    assert "How much it sparks." in parser.format_help()
    # and validation.
    assert model.model_validate({"train": {"spark": 9}}).train.spark == 9
    with pytest.raises(ValidationError):
        model.model_validate({"train": {"spark": 10}})
