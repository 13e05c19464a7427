"""Every reader of a file from anywhere, on damaged and on malicious files: it reads, or it says what is wrong.

Short by default. `CLIP_ATELIER_FUZZ=100000 pytest tests/faults/test_fuzz.py` tries so many examples of each.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from clip_atelier.engine import settings
from clip_atelier.engine.analysis import Subject, measured
from clip_atelier.engine.core import (
    Control,
    Step,
    UserError,
    drive,
    from_line,
    read_document,
    to_line,
    write_document,
)
from clip_atelier.engine.data import image_gate, scan
from clip_atelier.engine.evaluation import GainedForgotten, StrengthReading, SweepPoint
from clip_atelier.engine.experiments import (
    QueuedTraining,
    StoredGrid,
    TrainingQueue,
    read_queue,
    unfinished,
    write_queue,
)
from clip_atelier.engine.models import MODEL, Models, adapters, foreign_adapters, weights
from clip_atelier.engine.runs import RUN, Runs, TrainResult, checkpoints, relabel, run_packs
from clip_atelier.engine.search import KeptSearch, KeptSearches, read_searches, write_searches
from clip_atelier.engine.storage import folder_faults, packs, seal_folder, tensors_fault

COUNT = int(os.environ.get("CLIP_ATELIER_FUZZ", "25"))
fuzzed = examples(
    max_examples=COUNT,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)

#: What stands where something else was expected.
JUNK = st.sampled_from(
    [None, True, -1, 0, 10**400, 1e308, "", "x" * 70_000, "\ud800", [], {}, [[]], {"a": None}, "NaN", "../../x", "/etc", 2**63]
) | st.text(max_size=8)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with some of them flipped, cut out, doubled or replaced."""
    data = bytearray(content)
    for _edit in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        length = draw(st.integers(1, 40))
        match draw(st.sampled_from(["flip", "cut", "end", "double", "replace", "zero"])):
            case "flip":
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + length]
            case "end":
                del data[at:]
            case "double":
                data[at:at] = data[at : at + length]
            case "zero":
                data[at : at + length] = bytes(length)
            case _:
                data[at : at + length] = draw(st.binary(max_size=length))
    return bytes(data)


@st.composite
def twisted(draw: st.DrawFn, content: bytes) -> bytes:
    """A JSON document in which a value is another kind of value, a key is gone, or something is nested deeply."""
    value = json.loads(content)
    for _edit in range(draw(st.integers(1, 3))):
        node, key = value, None
        for _level in range(draw(st.integers(1, 4))):
            inner = node[key] if key is not None else node
            if not isinstance(inner, dict | list) or not inner:
                break
            node = inner
            key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
        if key is None:
            break
        if isinstance(node, dict) and draw(st.integers(0, 4)) == 0:
            del node[key]
        else:
            node[key] = copy.deepcopy(draw(JUNK))
    text = json.dumps(value)
    if draw(st.integers(0, 9)) == 0:
        text = text.replace(":", ":" + "[" * 100_000, 1)
    return text.encode("utf-8", "surrogatepass")


@cache
def png() -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((40, 30), 60).convert("RGB").save(stream, "png")
    return stream.getvalue()


SVG = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY red "#e02020">]>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 40 30">
<defs><g id="a"><path d="M2 2C9 1 9 9 2 9z" fill="&red;"/></g><filter id="f"><feGaussianBlur stdDeviation="1"/></filter></defs>
<style>text{font-size:9px}</style><use xlink:href="#a" x="4"/><g opacity=".5" transform="rotate(9)" filter="url(#f)"><rect
width="9" height="9" stroke="#000"/></g><text x="2" y="25">one</text></svg>"""


@cache
def image(suffix: str) -> bytes:
    stream = io.BytesIO()
    if suffix == "svg":
        return SVG
    if suffix == "heic":  # nothing here can write one
        return (Path(__file__).parents[1] / "data" / "heic" / "wide.heic").read_bytes()
    if suffix in ("ora", "kra"):
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("mergedimage.png", png())
        return stream.getvalue()
    Image.effect_noise((40, 30), 60).convert("RGB").save(stream, {"jpg": "jpeg"}.get(suffix, suffix))
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff", "ora", "heic", "svg"])
@fuzzed
@given(data=st.data())
def test_images(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    file = tmp_path / f"x.{suffix}"
    file.write_bytes(data.draw(damaged(image(suffix))))
    try:
        found = image_gate.load(file, 224)
    except UserError:
        return
    assert found.mode == "RGB"
    assert found.width * found.height <= 89_000_000


TABLES = {
    "metadata.csv": b'file_name,text,label,pair\na.png,"one, two",x,1\nb.png,"[""three"", ""four""]",y,1\n',
    "metadata.jsonl": b'{"file_name": "a.png", "text": ["one", "two"]}\n{"file_name": "b.png", "text": "three"}\n',
    "a.txt": "하나\n둘, a tag, another".encode(),
}


@pytest.mark.parametrize("name", TABLES)
@fuzzed
@given(data=st.data())
def test_captions(tmp_path: Path, name: str, data: st.DataObject) -> None:
    for stem in ("a", "b"):
        (tmp_path / f"{stem}.png").write_bytes(png())
    (tmp_path / name).write_bytes(data.draw(damaged(TABLES[name])))
    found = drive(scan(tmp_path, settings.build({}).data, Control()))
    assert len(found.items) == 2
    assert all(isinstance(caption, str) for item in found.items for caption in item.captions)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Path:
    """Files of every kind of document, as the engine writes them."""
    home = tmp_path_factory.mktemp("whole")
    run = Runs(home).create("a run", settings.build({"lora.r": 4}), home)
    result = TrainResult(run=run.id, path=str(run.path), status="done", steps=3, base={"a/R@1": 0.5})
    write_document(run.path / "evaluation.json", result)
    relabel(run.path, name="ink", tag="red")
    step = Step(step=1, epoch=0.1, loss=0.5, learning_rate=1e-3, images_per_second=3.0)
    (run.path / "events.jsonl").write_text((to_line(step) + "\n") * 3)
    tensors = {"a": torch.arange(6.0).view(2, 3)}
    checkpoints.save(run.path / "checkpoints", checkpoints.State(step=3), tensors, tensors)
    folder = run.path / "adapter"
    folder.mkdir()
    safetensors.torch.save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    described = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(described))
    seal_folder(folder)
    write_searches(home, KeptSearches().saving(KeptSearch(words="red"), "mine"))
    write_queue(home, TrainingQueue(entries=(QueuedTraining(id="1", folder="/x", settings={"lora.r": 8}),)))
    write_document(home / "grids" / "0123.json", StoredGrid(folder="/x", vary={"lora.r": (4, 8)}, entries=()))
    point = SweepPoint(strength=1.0, held_out=StrengthReading(strength=1.0))
    sweep = GainedForgotten(run=run.id, points=(point,), best=1.0, primary_metric="a/R@1", elsewhere="b")
    measured.keep(home, Subject("dial", run.id), sweep)
    (home / "window.json").write_text(
        '{"language": "ko", "recent": ["/a"], "draft": {"lora.r": 4}, "view": {"a": 1}}'
    )
    for name in ("config.json", "tokenizer.json"):
        (home / name).write_bytes((tiny_clip / name).read_bytes())
    run_packs.make(run, home / "a.cliprun")
    return home


def _window(path: Path) -> None:
    from clip_atelier.gui.state import WindowState

    state = WindowState(path.parent)
    state.values()
    state.open_folder("/x")


def _run(path: Path) -> None:
    rows = Runs(path.parents[2]).list()
    assert len(rows) == 1
    rows[0].summary()
    list(rows[0].events())
    if rows[0].summary().status != "damaged":
        rows[0].settings  # noqa: B018


def _checkpoint(path: Path) -> None:
    found, problems = checkpoints.newest(path.parents[1])
    assert found is not None or problems


def _measured(path: Path) -> None:
    measured.check_kept(path)


#: Where a document lies -> what reads it.
DOCUMENTS: dict[str, Callable[[Path], Any]] = {
    "runs/*/run.json": _run, "runs/*/label.json": _run, "runs/*/evaluation.json": _run, "runs/*/events.jsonl": _run,
    "runs/*/checkpoints/*/manifest.json": _checkpoint, "runs/*/checkpoints/*/state.json": _checkpoint,
    "runs/*/adapter/adapter_config.json": lambda path: (adapters.read(path.parent), foreign_adapters.described(path.parent)),
    "runs/*/adapter/hashes.json": lambda path: folder_faults(path.parent),
    "grids/*.json": lambda path: (unfinished(path.parents[1]), read_document(path, StoredGrid)),
    "queue.json": lambda path: read_queue(path.parent), "searches.json": lambda path: read_searches(path.parent),
    "cache/measured/*.json": _measured, "window.json": _window, "config.json": weights.read_json,
}  # fmt: skip


@pytest.mark.fault(49, 50)
@pytest.mark.parametrize("pattern", DOCUMENTS)
@fuzzed
@given(data=st.data())
def test_documents(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, pattern: str, data: st.DataObject
) -> None:
    path = next(whole.glob(pattern))
    content = path.read_bytes()
    kinds = [damaged(content)] if path.suffix == ".jsonl" else [damaged(content), twisted(content)]
    changed = data.draw(st.one_of(kinds))
    try:
        path.write_bytes(changed)
        DOCUMENTS[pattern](path)
    except (UserError, OSError):
        pass
    finally:
        path.write_bytes(content)


@pytest.mark.fault(51)
@fuzzed
@given(data=st.data())
def test_a_models_configuration(tiny_clip: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    for file in tiny_clip.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "config.json").write_bytes(data.draw(twisted((tiny_clip / "config.json").read_bytes())))
    models = Models(tmp_path / "home")
    try:
        models.add(folder)
    except UserError:
        assert not any((tmp_path / "home" / "models").glob("*"))
        return
    models.list()
    for file in (tmp_path / "home" / "models").rglob("*"):
        if file.is_file():
            file.unlink()
    (tmp_path / "home" / "models" / "model").rmdir()


@fuzzed
@given(data=st.data())
def test_tensor_files(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = next(whole.glob("runs/*/adapter/*.safetensors")).read_bytes()
    file = tmp_path / "x.safetensors"
    file.write_bytes(data.draw(damaged(content)))
    tensors_fault(file)
    try:
        weights.check_whole(file)
        weights.shapes_of(file)
    except UserError:
        return


@pytest.mark.fault(53, 55)
@fuzzed
@given(data=st.data())
def test_packs(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = (whole / "a.cliprun").read_bytes()
    path = tmp_path / "x.cliprun"
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged(content)))
    else:
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                inside = old.read(name)
                new.writestr(name, data.draw(twisted(inside)) if name == packs.MANIFEST else inside)
    home = tmp_path / "home"
    for kind in (RUN, MODEL):
        try:
            packs.check(packs.read(kind, path))
        except (UserError, OSError):
            continue
    try:
        run = run_packs.add(path, home)
    except UserError:
        assert not Runs(home).list()
    else:
        run.summary()
        Runs(home).delete(run.id)
    assert {p.name for p in tmp_path.iterdir()} <= {"x.cliprun", "home"}


@fuzzed
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("utf-8", "replace")))
def test_event_lines(line: str) -> None:
    try:
        from_line(line)
    except ValueError:
        return


@pytest.mark.fault(50)
@pytest.mark.parametrize("pattern", DOCUMENTS)
def test_deep_nesting_is_a_clear_error(whole: Path, pattern: str) -> None:
    path = next(whole.glob(pattern))
    content = path.read_bytes()
    try:
        for text in ("[" * 100_000, '{"a":' * 100_000, '{"schema": 1, "x": ' + "[" * 100_000):
            path.write_text(text)
            with contextlib.suppress(UserError, OSError):
                DOCUMENTS[pattern](path)
    finally:
        path.write_bytes(content)
