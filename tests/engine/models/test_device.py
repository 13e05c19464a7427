"""`doctor` says why a device and a precision are chosen."""

from __future__ import annotations

import pytest

from clip_atelier.engine.models import device
from clip_atelier.engine.models.device import Device
from clip_atelier.engine.settings import HardwareSettings


@pytest.mark.parametrize(
    ("kind", "precision", "words"),
    [
        ("cpu", "fp32", "no graphics card that this PyTorch can use was found; the processor has no instructions for bf16"),
        ("cpu", "bf16", "the processor has instructions for bf16"),
        ("cuda", "bf16", "the card computes bf16"),
        ("cuda", "fp16", "does not compute bf16, so fp16"),
        ("mps", "fp32", "gains little"),
    ],
)  # fmt: skip
def test_every_choice_has_its_reason(kind: str, precision: device.Precision, words: str) -> None:
    assert words in device.reason(Device(kind, precision, "eager"))


def test_the_reason_is_that_of_the_choice() -> None:
    chosen = device.choose(HardwareSettings(device="cpu", threads=1))
    assert ("has no instructions" in device.reason(chosen)) == (chosen.precision == "fp32")
