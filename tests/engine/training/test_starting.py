"""Training begins with the folder, not with seconds of imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = """
import json, sys
from pathlib import Path
from clip_atelier.engine import settings, training
from clip_atelier.engine.core import Control, Phase
from clip_atelier.engine.models import Models
folder, home, values = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
models = Models(home)
work = training.train(training.Plan(folder, settings.build(values), home), models, Control())
seen = {}
for event in work:
    if isinstance(event, Phase):
        seen[event.name] = sorted(set(sys.modules) & {"torch", "transformers", "peft", "scipy"})
        if event.name == "load":
            break
work.close()
print(json.dumps(seen))
"""


def test_the_folder_is_read_before_torch_is_imported(
    home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tiny_pairs), str(home), json.dumps(quick())],
        capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    seen = json.loads(done.stdout)
    assert len(seen) == 2, seen
    assert set(map(tuple, seen.values())) == {()}
