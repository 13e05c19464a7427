"""The one place that chooses device, precision and attention kernel."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import psutil
import torch
from torch import Tensor

from clip_atelier.engine.core import UserError, _, launch
from clip_atelier.engine.settings import HardwareSettings

Precision = Literal["fp32", "bf16", "fp16"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Device:
    """Where and how to compute.

    Attributes:
        kind: Torch's name of such devices.
        precision: That of training; measuring is always fp32.
        attention: The kernel.
        graphs: Whether steps may be repeated from recordings, where that is found to be the same.
    """

    kind: str
    precision: Precision
    attention: Literal["eager", "sdpa"]
    graphs: bool = True

    @property
    def place(self) -> torch.device:
        """Torch's own name for it."""
        return torch.device(self.kind)

    @property
    def dtype(self) -> torch.dtype:
        """The number format of training's matrix products."""
        return _DTYPES[self.precision]

    def autocast(self, enabled: bool = True) -> AbstractContextManager[object]:
        """Half-precision matrix products inside the block, where the device has them."""
        if not enabled or self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.kind, dtype=self.dtype)

    @property
    def batch(self) -> int:
        """Images that are encoded at once: as many as keep a graphics card busy, few enough for a processor's caches."""
        return 256 if self.kind == "cuda" else 32

    def memory(self) -> int:
        """Bytes in use: of the graphics card where there is one, else of this process."""
        if self.kind == "cuda":
            return int(torch.cuda.memory_allocated())
        if self.kind == "mps":
            return int(torch.mps.current_allocated_memory())
        if self.kind == "xpu":
            return int(torch.xpu.memory_allocated())
        return process_memory()

    def free_memory(self) -> int:
        """Bytes free on a graphics card with memory of its own; 0 on everything else."""
        return int(torch.cuda.mem_get_info()[0]) if self.kind == "cuda" else 0

    def title(self) -> str:
        """The device's name for people."""
        if self.kind == "cuda":
            return str(torch.cuda.get_device_name())
        return {"mps": "Apple GPU", "xpu": "Intel GPU"}.get(self.kind, _("processor"))


def reason(device: Device) -> str:
    """Why automatic settings come to this device and precision, in a sentence."""
    if device.kind != "cpu":
        if device.precision == "fp32":
            return _("half precision gains little on this card and loses range")
        return (
            _("the card computes bf16, which is fast and keeps the range of fp32")
            if device.precision == "bf16"
            else _("the card does not compute bf16, so fp16 with scaled losses is used")
        )
    half = (
        _("the processor has instructions for bf16")
        if device.precision == "bf16"
        else _("the processor has no instructions for bf16, which would be emulated and slower")
    )
    return _("no graphics card that this PyTorch can use was found; {half}").format(half=half)


def process_memory() -> int:
    """Bytes of memory this process holds."""
    return int(psutil.Process().memory_info().rss)


def present() -> tuple[str, ...]:
    """Devices that can be used here, the fastest first; the processor is always the last."""
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        found.append("xpu")
    return (*found, "cpu")


def _auto_precision(kind: str) -> Precision:
    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if kind == "xpu":
        return "bf16"
    if kind == "cpu":
        # Without the instructions bf16 is emulated and far slower than fp32.
        has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return "bf16" if has_bf16 else "fp32"
    return "fp32"  # MPS: autocast to half gains little there and loses range


def choose(hardware: HardwareSettings) -> Device:
    """The device to use under these settings.

    Raises:
        UserError: the wanted device is not present, or cannot compute in the wanted precision.
    """
    devices = present()
    kind = devices[0] if hardware.device == "auto" else hardware.device
    if kind not in devices:
        raise UserError(
            _("The device “{device}” is not present on this machine.").format(device=kind),
            _("Choose “auto” or one of: {devices}.").format(devices=", ".join(devices)),
            "hardware.device",
        )
    precision = _auto_precision(kind) if hardware.precision == "auto" else hardware.precision
    if kind == "cpu" and precision == "fp16":
        raise UserError(
            _("The processor does not train in fp16."),
            _("Choose “auto”, fp32 or bf16."),
            "hardware.precision",
        )
    if kind == "cpu":
        torch.set_num_threads(hardware.threads or launch.cores())
    if kind == "cuda":
        # What is measured in fp32 is fp32: convolutions would otherwise round to ten bits.
        torch.backends.cudnn.allow_tf32 = False
    # On the processor the backward pass of the fused kernel is the slow part of a step; on graphics cards it is the
    # other way round.
    return Device(kind, precision, "eager" if kind == "cpu" else "sdpa", hardware.graphs == "auto")


_OUT_OF_MEMORY = (
    "not enough memory", "out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` is a device or process running out of memory."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
    )


def random_state(kind: str) -> dict[str, Tensor]:
    """Torch's random states: of the processor and, where it is used, of the graphics card."""
    found = {"cpu": torch.get_rng_state()}
    if kind == "cuda":
        found["cuda"] = torch.cuda.get_rng_state()
    elif kind == "mps":
        found["mps"] = torch.mps.get_rng_state()
    elif kind == "xpu":
        found["xpu"] = torch.xpu.get_rng_state()
    return found


def set_random_state(state: Mapping[str, Tensor]) -> None:
    """Puts a `random_state` back."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state:
        torch.mps.set_rng_state(state["mps"])
    if "xpu" in state:
        torch.xpu.set_rng_state(state["xpu"])
