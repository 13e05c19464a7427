"""`import clip_atelier`: what it offers, and that it leaves the process that uses it alone."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clip_atelier
from clip_atelier.engine.core import Step, UserError
from clip_atelier.engine.runs import Runs

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "examples" / "adapt_and_search.py"

WATCHED = """\
import json, os, sys
before = dict(os.environ)
import clip_atelier, clip_atelier.engine
offered = [getattr(clip_atelier, name) for name in clip_atelier.__all__]
heavy = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "transformers", "peft", "numpy", "PySide6"})
from clip_atelier.cli.offline_proof import no_network
with no_network() as tried:
    if sys.argv[1:]:
        sys.argv.pop(0)
        exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"), {})
changed = sorted(name for name in before | dict(os.environ) if before.get(name) != os.environ.get(name))
print(json.dumps({"heavy": heavy, "changed": changed, "tried": tried}))
"""


def watched(home: Path, *arguments: str) -> tuple[list[str], dict[str, list[str]]]:
    """A process of its own, with nothing in its environment that tells the libraries to stay offline or quiet.

    Returns what it printed, and what it loaded, changed and tried to reach.
    """
    told = ("HF_", "TRANSFORMERS_", "DISABLE_SAFETENSORS", "TOKENIZERS_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(told)}
    environment |= {"CLIP_ATELIER_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WATCHED, *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    *said, last = ended.stdout.splitlines()
    return said, json.loads(last)


def test_the_import_is_light_and_leaves_the_environment_alone(tmp_path: Path) -> None:
    assert watched(tmp_path) == ([], {"heavy": [], "changed": [], "tried": []})


def test_the_example_runs_without_the_network_and_leaves_the_environment_alone(
    tiny_pairs: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    said, seen = watched(tmp_path / "home", str(EXAMPLE), str(tiny_pairs), str(tiny_clip))
    assert seen == {"heavy": [], "changed": [], "tried": []}
    assert said[0] == f"Collection({str(tiny_pairs)!r}: 48 drawings, 48 captions)"
    assert any(line.startswith("sketch_to_artwork/R@1: ") for line in said)
    assert sum("with the base" in line for line in said) == 3
    assert any(line.startswith("(4, 24) ") for line in said)


def test_what_is_offered_is_documented_and_typed() -> None:
    assert {"Collection", "train", "evaluate", "search", "load"} <= set(clip_atelier.__all__)
    for name in clip_atelier.__all__:
        offered = getattr(clip_atelier, name)
        assert inspect.getdoc(offered), name
        for member_name, member in vars(offered).items() if inspect.isclass(offered) else [(name, offered)]:
            function = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function) and not member_name.startswith("__"):
                assert function.__doc__, member_name
                assert "return" in function.__annotations__, member_name


def test_a_run_is_used_by_what_train_returned_by_its_name_and_as_the_base(
    tiny_collection: Path,
    tiny_clip: Path,
    home: Path,
    quick: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawings = clip_atelier.Collection(tiny_collection, settings={"data.captions": "filename"})
    assert {item.captions for item in drawings} >= {("red circle",)}
    events: list[Any] = []
    chosen = quick(train__epochs=1, train__choose_strength=False)
    run = clip_atelier.train(drawings, settings=chosen, name="mine", on_event=events.append)
    assert sum(isinstance(event, Step) for event in events) == run.steps
    assert Runs(home).open("mine").settings.data.captions == "filename"

    drawing = tmp_path / "wide.png"  # neither square nor in the collection
    Image.effect_noise((90, 40), 60).convert("RGB").save(drawing)
    with clip_atelier.load(run, strength=1.0) as adapted:
        seen = adapted.images([drawing])
        words = adapted.texts(["a circle", "빨강"])
    with clip_atelier.load("mine", strength=0.0) as base:
        before = base.images([Image.open(drawing)])
    assert seen.shape == (1, adapted.dim) == (1, 24)
    assert words.shape == (2, 24)
    assert np.linalg.norm(seen, axis=1) == pytest.approx(1.0)
    with clip_atelier.load(model=str(tiny_clip)) as plain:
        np.testing.assert_array_equal(plain.images([drawing]), before)
    # The run's own folder says where its home is.
    monkeypatch.setenv("CLIP_ATELIER_HOME", str(tmp_path / "elsewhere"))
    found = clip_atelier.search(drawings, image=drawing, run=run, top=4)
    assert found.adapted is not None
    assert len(found.base) == len(found.adapted) == 4
    assert not (tmp_path / "elsewhere").exists()


def test_what_does_not_go_together_is_refused(home: Path, tiny_collection: Path, tiny_clip: Path) -> None:
    for call in (
        lambda: clip_atelier.load(strength=0.5),
        lambda: clip_atelier.load("mine", model=str(tiny_clip)),
        lambda: clip_atelier.load("nobody's"),
        lambda: clip_atelier.load("mine", strength=2.0),
        lambda: clip_atelier.search(tiny_collection),
        lambda: clip_atelier.train(tiny_collection, settings={"lora.rank": 3}),
        lambda: clip_atelier.Collection(home / "missing"),
    ):
        with pytest.raises(UserError):
            call()
