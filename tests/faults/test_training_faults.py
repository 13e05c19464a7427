"""Faults while a run trains: the device, the numbers, the pictures, the clock, the folder, the hub."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from clip_atelier.engine import settings
from clip_atelier.engine.core import (
    Control,
    Event,
    Finished,
    Notice,
    Phase,
    ProblemFound,
    Saved,
    Step,
    UserError,
    WorkError,
    drive,
)
from clip_atelier.engine.data import ImageCache, open_collection
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import RunFolder, Runs, checkpoints, open_run
from clip_atelier.engine.runs.checkpoints import State
from clip_atelier.engine.storage import BlobCache
from clip_atelier.engine.training import Plan, resume, train
from clip_atelier.engine.training.steps import TrainStep

Quick = Callable[..., dict[str, Any]]


class Killed(BaseException):
    """Stands for a process that is gone: nothing after it runs."""


def only(home: Path) -> RunFolder:
    (run,) = Runs(home).list()
    return run


@pytest.mark.fault(37, 62)
def test_a_device_that_fails_in_a_step_leaves_what_was_before_and_another_process_goes_on(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrainStep.step

    def failing(self: TrainStep, step: int, batch: Any) -> torch.Tensor:
        if step == 6:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return real(self, step, batch)

    monkeypatch.setattr(TrainStep, "step", failing)
    seen: list[Event] = []
    plan = Plan(tiny_pairs, settings.build(quick(train__epochs=4, train__checks=6, train__patience=0)), home)
    with pytest.raises(WorkError, match="illegal memory access"):
        drive(train(plan, Models(home), Control()), seen.append)
    assert isinstance(seen[-1], Finished)
    assert seen[-1].status == "failed"
    assert only(home).status == "failed"
    assert max(checkpoints.steps(only(home).path / "checkpoints")) < 7
    ended = subprocess.run(
        [sys.executable, "-m", "clip_atelier", "resume", only(home).id, "--home", str(home), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(ended.stdout)["status"] == "done"


@pytest.mark.fault(62)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_a_process_that_slept_goes_on(home: Path, tiny_pairs: Path, tiny_clip: Path, quick: Quick) -> None:
    flags = [f"--{name}={json.dumps(value) if isinstance(value, bool) else value}" for name, value in
             quick(train__epochs=6, train__patience=0).items()]  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", "clip_atelier", "train", str(tiny_pairs), "--home", str(home), "--json", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("check at step"):
            break
    child.send_signal(signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    child.send_signal(signal.SIGCONT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert json.loads(out)["status"] == "done"


@pytest.mark.fault(47)
def test_an_update_that_is_no_number_is_no_checkpoint(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrainStep.step

    def poisoned(self: TrainStep, step: int, batch: Any) -> torch.Tensor:
        loss = real(self, step, batch)
        if step == 5:
            with torch.no_grad():
                next(iter(self.adapter.trainable.values())).fill_(float("nan"))
        return loss

    monkeypatch.setattr(TrainStep, "step", poisoned)
    chosen = settings.build(quick(train__epochs=2, train__checks=6, train__patience=0))
    with pytest.raises(WorkError, match="no longer"):
        drive(train(Plan(tiny_pairs, chosen, home), Models(home), Control()))
    folder = only(home).path / "checkpoints"
    assert checkpoints.steps(folder)
    assert max(checkpoints.steps(folder)) < 6
    monkeypatch.setattr(TrainStep, "step", real)
    result = drive(resume(home, only(home).id, Models(home), Control()))
    assert result.status == "done"
    assert all(value is None or np.isfinite(value) for value in result.adapted.values())


@pytest.mark.fault(47)
def test_a_checkpoint_of_no_numbers_is_skipped_and_said(tmp_path: Path) -> None:
    import hashlib

    folder = tmp_path / "checkpoints"
    for step in (5, 10):
        checkpoints.save(folder, State(step=step), {"a": torch.ones(3)}, {})
    poisoned = safetensors.torch.save({"a": torch.tensor([1.0, float("nan")])})
    (folder / "00000010" / "adapter.safetensors").write_bytes(poisoned)
    manifest = json.loads((folder / "00000010" / "manifest.json").read_text())
    manifest["adapter.safetensors"] = hashlib.sha256(poisoned).hexdigest()
    (folder / "00000010" / "manifest.json").write_text(json.dumps(manifest))
    found, problems = checkpoints.newest(folder)
    assert found is not None
    assert found.state.step == 5
    assert len(problems) == 1
    assert "no number" in problems[0]


@pytest.mark.fault(44)
def test_results_of_an_earlier_state_do_not_speak_for_a_run_that_went_on(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    control = Control()
    chosen = settings.build(quick(train__epochs=6, train__checks=6, train__patience=0))
    stopped = drive(
        train(Plan(tiny_pairs, chosen, home), Models(home), control),
        lambda event: control.stop() if isinstance(event, Step) else None,
    )
    assert only(home).result == stopped

    def kill(event: Event) -> None:
        if isinstance(event, Saved) and event.step > stopped.steps:
            raise Killed

    with pytest.raises(Killed):
        drive(resume(home, only(home).id, Models(home), Control()), kill)
    assert (only(home).path / "evaluation.json").is_file()
    assert only(home).result is None
    assert only(home).summary().result is None
    opened = open_run(only(home), Models(home))
    assert opened.adapter.parameters > 0
    result = drive(resume(home, only(home).id, Models(home), Control()))
    assert only(home).result == result


@pytest.mark.fault(43, 18)
def test_an_image_that_is_replaced_after_the_scan_is_named_and_never_taken_for_the_old_one(
    home: Path, tiny_pairs: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings.build(quick(train__epochs=1))
    replaced = tiny_pairs / "artworks" / "red ring.png"

    def change(event: Event) -> None:
        if isinstance(event, Phase) and event.name == "load":
            Image.effect_noise((64, 64), 60).convert("RGB").save(replaced)
        if isinstance(event, ProblemFound):
            named.append(event.path)

    named: list[str] = []
    first, _parts = drive(open_collection(tiny_pairs, chosen.data, home, Control()))
    result = drive(train(Plan(tiny_pairs, chosen, home), Models(home), Control()), change)
    assert named == ["artworks/red ring.png"]
    assert sum(result.split.as_json().values()) == len(first.items) - 1
    store = BlobCache.of_features(home, 1)
    try:
        cache = ImageCache(first.root, first.items, 32, chosen.data, chosen.train.seed, store)
        row = next(n for n, item in enumerate(first.items) if item.path == "artworks/red ring.png")
        with pytest.raises(UserError, match="replaced"):
            cache.batch([row])
    finally:
        store.close()


@pytest.mark.fault(18)
def test_images_that_go_while_it_trains_cost_only_themselves(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    def remove(event: Event) -> None:
        if isinstance(event, Step) and tiny_pairs.is_dir():
            shutil.rmtree(tiny_pairs)

    plan = Plan(tiny_pairs, settings.build(quick(train__epochs=3)), home)
    assert drive(train(plan, Models(home), Control()), remove).status == "done"


@pytest.mark.fault(61)
def test_a_folder_that_is_gone_for_a_while_is_named_and_the_run_goes_on_when_it_is_back(
    home: Path, tiny_pairs: Path, quick: Quick
) -> None:
    control = Control()
    plan = Plan(tiny_pairs, settings.build(quick(train__epochs=3)), home)
    drive(
        train(plan, Models(home), control),
        lambda event: control.stop() if isinstance(event, Step) else None,
    )
    away = tiny_pairs.rename(tiny_pairs.with_name("unplugged"))
    with pytest.raises(UserError, match="pairs"):
        drive(resume(home, only(home).id, Models(home), Control()))
    assert checkpoints.steps(only(home).path / "checkpoints")
    away.rename(tiny_pairs)
    assert drive(resume(home, only(home).id, Models(home), Control())).status == "done"


@pytest.mark.fault(48)
@pytest.mark.parametrize("damage", ["no database", "cut", "tables gone", "locked", "a folder"])
def test_a_cache_is_never_in_the_way(home: Path, tiny_pairs: Path, quick: Quick, damage: str) -> None:
    plan = Plan(tiny_pairs, settings.build(quick(train__epochs=1)), home)
    straight = drive(train(plan, Models(home), Control()))
    file = home / "cache" / "features.sqlite"
    content = file.read_bytes()
    said: list[str] = []
    with closing(sqlite3.connect(home / "other.sqlite", isolation_level=None)) as other:
        if damage == "no database":
            file.write_bytes(b"not what its name says " * 99)
        elif damage == "cut":
            file.write_bytes(content[: len(content) // 2])
        elif damage == "a folder":
            file.unlink()
            file.mkdir()
        else:
            other = sqlite3.connect(file, isolation_level=None)
            other.execute("DROP TABLE blobs" if damage == "tables gone" else "BEGIN EXCLUSIVE")
        result = drive(
            train(plan, Models(home), Control()),
            lambda event: said.append(event.text) if isinstance(event, Notice) else None,
        )
        other.close()
    assert result.adapted == straight.adapted
    assert any("features" in text for text in said) or damage in ("cut", "locked")


@pytest.mark.fault(59)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_identical_copies_are_on_the_same_side(tiny_pairs: Path, home: Path, quick: Quick, seed: int) -> None:
    for number, file in enumerate(sorted((tiny_pairs / "sketches").iterdir())[::3]):
        shutil.copyfile(file, tiny_pairs / f"copy {number}.png")
        shutil.copyfile(file, tiny_pairs / f"another {number}.png")
    chosen = settings.build(quick(data__split_seed=seed))
    collection, parts = drive(open_collection(tiny_pairs, chosen.data, home, Control()))
    side = {index: name for name in ("train", "validation", "test") for index in getattr(parts, name)}
    sides: dict[str, set[str]] = {}
    for index, item in enumerate(collection.items):
        sides.setdefault(item.digest, set()).add(side[index])
    assert len(sides) < len(collection.items)
    assert all(len(of_digest) == 1 for of_digest in sides.values())


@pytest.mark.fault(63)
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_model_that_changed_after_the_run_is_refused_and_the_file_named(
    home: Path, tiny_pairs: Path, tiny_clip: Path, tmp_path: Path, quick: Quick, file: str
) -> None:
    model = Path(shutil.copytree(tiny_clip, tmp_path / "model"))
    control = Control()
    plan = Plan(tiny_pairs, settings.build(quick(model__name=str(model), train__epochs=3)), home)
    drive(train(plan, Models(home), control), lambda e: control.stop() if isinstance(e, Step) else None)
    if file == "model.safetensors":
        tensors = safetensors.torch.load_file(model / file)
        tensors["logit_scale"] = tensors["logit_scale"] + 0.1
        safetensors.torch.save_file(tensors, model / file, {"format": "pt"})
    else:
        (model / file).write_text((model / file).read_text().rstrip() + "\n\n")
    for use in (
        lambda: drive(resume(home, only(home).id, Models(home), Control())),
        lambda: open_run(only(home), Models(home)),
    ):
        with pytest.raises(UserError) as caught:
            use()
        assert caught.value.hint.startswith(f"Changed: {file}.")


@pytest.mark.fault(34)
def test_a_hub_that_never_answers_is_never_asked(
    home: Path, tiny_pairs: Path, quick: Quick, tmp_path: Path
) -> None:
    flags = [f"--{name}={json.dumps(value) if isinstance(value, bool) else value}" for name, value in
             quick(train__epochs=1).items()]  # fmt: skip
    results = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for number, more in enumerate(
            ({}, {"HF_ENDPOINT": address, "HTTPS_PROXY": address, "HTTP_PROXY": address})
        ):
            environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
            ended = subprocess.run(
                [sys.executable, "-m", "clip_atelier", "train", str(tiny_pairs), "--json", "--home",
                 str(home / str(number)), *flags],
                capture_output=True, text=True, check=True, env={**environment, **more},
            )  # fmt: skip
            results.append(json.loads(ended.stdout)["adapted"])
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert results[0] == results[1]


@pytest.mark.fault(34)
def test_a_model_that_is_not_at_hand_is_refused_without_asking_the_hub(
    home: Path, tiny_pairs: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "clip_atelier", "train", str(tiny_pairs), "--json", "--home", str(home),
             "--model.name", "someone/a-clip"],
            capture_output=True, text=True, check=False, timeout=60,
            env={k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
            | {"HF_ENDPOINT": address, "HTTPS_PROXY": address, "HTTP_PROXY": address, "HF_HUB_CACHE": str(tmp_path / "hub")},
        )  # fmt: skip
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["error"]["setting"] == "model.name"
