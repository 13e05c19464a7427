"""How a run's numbers are computed: written down when it begins, kept when it goes on.

Sums in another order are rounded otherwise. A run goes on bit for bit only with the same device, precision, kernel and
number of threads, so those that were chosen automatically are kept as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch

from clip_atelier.engine.core import _
from clip_atelier.engine.models import Model
from clip_atelier.engine.models import device as devices
from clip_atelier.engine.runs import NumericPath
from clip_atelier.engine.settings import HardwareSettings

OPTIMIZER: Final = "AdamW, flat; loss and derivative without a record"
"""Changes whenever loss or optimiser are rounded otherwise than by the version before."""


def hardware_of(
    chosen: HardwareSettings, begun: NumericPath | None, careful: bool = False
) -> HardwareSettings:
    """The hardware settings of a run that may have begun before.

    Args:
        chosen: The run's own settings.
        begun: How it was computed until now, if it was.
        careful: The last attempt failed or was cut off, perhaps by its recorded steps, which change no number.
    """
    if begun is None or begun.device != (devices.present()[0] if chosen.device == "auto" else chosen.device):
        return chosen
    found: dict[str, object] = {}
    if chosen.precision == "auto":
        found["precision"] = begun.precision
    if chosen.threads == 0:
        found["threads"] = begun.threads
    if careful and begun.device == "cuda":
        found["graphs"] = "off"
    return chosen.model_copy(update=found)


def numeric_path(clip: Model) -> NumericPath:
    """How this process computes."""
    device = clip.device
    return NumericPath(
        device=device.kind,
        precision=device.precision,
        attention=device.attention,
        threads=torch.get_num_threads() if device.kind == "cpu" else 0,
        optimizer=OPTIMIZER,
    )


def differences(begun: NumericPath | None, now: NumericPath, steps: int) -> Iterator[str]:
    """What a run that goes on is to be told.

    Args:
        begun: How it was computed until now; None in runs of earlier versions.
        now: How it is computed from here on.
        steps: That it has taken.
    """
    if not steps or begun == now:
        return
    if begun is None or begun.model_copy(update={"optimizer": now.optimizer}) == now:
        yield _(
            "The training was begun by an earlier version: it goes on with the same steps, rounded otherwise."
        )
        return
    yield _(
        "The training was begun on {before} and goes on on {now}: with the same steps, rounded otherwise."
    ).format(before=_spoken(begun), now=_spoken(now))


def _spoken(path: NumericPath) -> str:
    threads = _("threads: {count}").format(count=path.threads) if path.threads else ""
    return ", ".join(part for part in (path.device, path.precision, path.attention, threads) if part)
