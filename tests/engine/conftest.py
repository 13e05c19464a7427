"""What tests of the engine share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def adapted_run(home: Path, quick: Callable[..., dict[str, Any]]) -> Callable[..., str]:
    """Makes a run with a real, large update (random, not learned, so that it differs for sure) and gives its id."""

    def make(folder: Path, **changes: Any) -> str:
        import torch

        from clip_atelier.engine import settings
        from clip_atelier.engine.models import Models, adapters
        from clip_atelier.engine.runs import Runs, checkpoints

        chosen = settings.build(quick(**changes))
        run = Runs(home).create("", chosen, folder)
        clip = Models(home).open(chosen.model.name, chosen.hardware)
        adapter = adapters.attach(clip, chosen)
        random = torch.Generator().manual_seed(3)
        state = {
            name: tensor + 0.3 * torch.randn(tensor.shape, generator=random)
            for name, tensor in adapter.state().items()
        }
        checkpoints.save(run.path / "checkpoints", checkpoints.State(step=1, best_step=1), state, {})
        return run.id

    return make
