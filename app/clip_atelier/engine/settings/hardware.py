"""Where and how the arithmetic is done."""

from __future__ import annotations

from typing import Literal

from clip_atelier.engine.core import N_
from clip_atelier.engine.settings.declare import Block, setting


class HardwareSettings(Block):
    """Where and how the arithmetic is done."""

    device: Literal["auto", "cuda", "mps", "xpu", "cpu"] = setting(
        "auto",
        affects=("speed",),
        title=N_("Device"),
        summary=N_(
            "Where to compute. Automatic takes the graphics card where there is one, else the processor."
        ),
        choices={
            "auto": N_("the fastest that is present"),
            "cuda": N_("NVIDIA or AMD graphics card"),
            "mps": N_("Apple graphics"),
            "xpu": N_("Intel graphics"),
            "cpu": N_("processor"),
        },
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        affects=("speed",),
        title=N_("Precision"),
        summary=N_(
            "Number format while training. Half precision is faster where the device supports it; results are measured in fp32."
        ),
        choices={
            "auto": N_("what the device does best"),
            "fp32": N_("32 bits"),
            "bf16": N_("16 bits, wide range"),
            "fp16": N_("16 bits, fine steps, with loss scaling"),
        },
        advanced=True,
    )
    threads: int = setting(
        0,
        affects=("speed",),
        title=N_("Processor threads"),
        summary=N_("Processor threads to compute with. 0: all."),
        ge=0,
        le=1024,
        advanced=True,
    )
    graphs: Literal["auto", "off"] = setting(
        "auto",
        affects=("speed",),
        title=N_("Recorded steps"),
        summary=N_(
            "On NVIDIA and AMD cards, steps that repeat are recorded once and told to the card in one go. Results stay the same, bit for bit."
        ),
        detail=N_(
            "A recording is used only where it was tried on the training’s own drawings and gave the same bits in less time; otherwise "
            "nothing changes. It needs the memory of a step once more and is not made where that is scarce. Turn it off if a driver "
            "misbehaves; a training that failed or was cut off goes on without it. Processors and Apple’s and Intel’s graphics take no notice of it."
        ),
        choices={
            "auto": N_("where it is found to be the same and faster"),
            "off": N_("never"),
        },
        advanced=True,
    )
    cache_gb: float = setting(
        4.0,
        affects=("storage",),
        title=N_("Disk for the cache"),
        summary=N_("Most disk space that stored pictures and features may take; the oldest go first."),
        unit=N_("GB"),
        ge=0,
        le=4096,
        step=1,
        advanced=True,
    )
    pause_on_battery: bool = setting(
        False,
        affects=("process",),
        title=N_("Pause on battery"),
        summary=N_(
            "The window pauses a training while the computer runs on battery, and goes on when it is plugged in."
        ),
        detail=N_(
            "Nothing is lost by a pause. “Go on” trains on battery all the same, until the computer was plugged in and out again. "
            "The command line does not pause."
        ),
    )
    own_process: bool = setting(
        True,
        affects=("process",),
        title=N_("Train in a process of its own"),
        summary=N_(
            "The window trains in a second process, so that nothing that goes wrong there takes the window along."
        ),
        detail=N_(
            "A crash, a lack of memory or a failure of the graphics card then ends the training alone: the window stays, and the "
            "training goes on from its last checkpoint. The result is the same bit for bit. It takes some seconds more to begin, and "
            "the memory of the learning libraries a second time. The command line trains in its own process anyway."
        ),
        advanced=True,
    )
