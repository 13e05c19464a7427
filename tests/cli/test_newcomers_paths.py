"""Who comes from another program opens its folder as it is and trains: every caption is understood, nothing in it changes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from test_commands import Call

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import scan
from clip_atelier.engine.runs import Runs
from tiny import draw

SHAPES = ("circle", "square", "ring", "cross")
COLOURS = ("red", "green", "blue")
DRAWINGS = [(f"{colour}-{shape}", f"a {colour} {shape}") for shape in SHAPES for colour in COLOURS]


def draw_into(folder: Path, name: str, suffix: str = ".png") -> Path:
    colour, shape = name.split("-")
    folder.mkdir(parents=True, exist_ok=True)
    draw(shape, colour).convert("RGB").save(folder / f"{name}{suffix}")
    return folder / f"{name}{suffix}"


def kohya(folder: Path) -> Path:
    for name, caption in DRAWINGS:
        file = draw_into(folder / f"10_{name.split('-')[1]}", name)
        file.with_suffix(".caption").write_text(caption)
    (folder / "meta.json").write_text(json.dumps({"unused": {"caption": "nobody"}}))
    return folder


def one_trainer(folder: Path) -> Path:
    for name, caption in DRAWINGS:
        file = draw_into(folder, name, ".jpg")
        file.with_suffix(".txt").write_text(caption + "\n")
        draw(name.split("-")[1], "white").convert("L").save(folder / f"{name}-masklabel.png")
    return folder


def open_clip(folder: Path) -> Path:
    rows = [(str(draw_into(folder / "images", name)), caption) for name, caption in DRAWINGS]
    with (folder / "train.csv").open("w", newline="") as stream:
        csv.writer(stream, delimiter="\t").writerows([("filepath", "title"), *rows])
    return folder


def tao(folder: Path) -> Path:
    (folder / "train" / "captions").mkdir(parents=True)
    for name, caption in DRAWINGS:
        draw_into(folder / "train" / "images", name, ".jpg")
        (folder / "train" / "captions" / f"{name}.txt").write_text(caption + "\n")
    return folder


def coco(folder: Path) -> Path:
    images = [
        {"id": n, "file_name": draw_into(folder / "images", name, ".jpg").name}
        for n, (name, _c) in enumerate(DRAWINGS)
    ]
    told = [{"id": n, "image_id": n, "caption": caption} for n, (_name, caption) in enumerate(DRAWINGS)]
    (folder / "captions_train.json").write_text(json.dumps({"images": images, "annotations": told}))
    return folder


def web_dataset(folder: Path) -> Path:
    folder.mkdir()
    with tarfile.open(folder / "000.tar", "w") as shard:
        for n, (name, caption) in enumerate(DRAWINGS):
            image = io.BytesIO()
            colour, shape = name.split("-")
            draw(shape, colour).convert("RGB").save(image, "PNG")
            for suffix, content in ((".png", image.getvalue()), (".txt", caption.encode())):
                member = tarfile.TarInfo(f"{n:06d}{suffix}")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    return folder


def contents(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


@pytest.mark.parametrize(
    "made", [kohya, one_trainer, open_clip, tao, coco, web_dataset], ids=lambda made: made.__name__
)
def test_the_folder_of_another_program_is_trained_on_as_it_is(
    made: Callable[[Path], Path], tmp_path: Path, home: Path, tiny_clip: Path, call: Call
) -> None:
    folder = made(tmp_path / "theirs")
    before = contents(folder)
    if made is web_dataset:
        call("import", folder, "--out", tmp_path / "ours")
        trained_on = tmp_path / "ours"
    else:
        trained_on = folder
    found = call("scan", trained_on)
    assert (found["images"], found["captions"]) == (len(DRAWINGS), len(DRAWINGS))
    result = call(
        "train", trained_on, "--model", tiny_clip, "--train.steps", 2, "--train.batch_size", 4, "--train.checks", 1,
        "--evaluation.folds", 0, "--hardware.device", "cpu", "--lora.target_modules", "visual_projection",
    )  # fmt: skip
    assert result["status"] == "done"
    run = Runs(home).open(result["run"])
    assert run.record.data is not None
    assert run.record.data.images == len(DRAWINGS)
    read = drive(scan(trained_on, run.settings.data, Control()))
    assert {item.captions for item in read.items} == {(caption,) for _name, caption in DRAWINGS}
    assert contents(folder) == before, "nothing in it was changed"
    hits = call("search", trained_on, "--text", "a red ring", "--run", result["run"], "--top", 3)
    assert len(hits["base"]) == 3
