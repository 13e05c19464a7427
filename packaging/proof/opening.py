"""What is opened with the program by its menu entry, as a file manager does: a folder, and a packed run."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

from proof.root import DATA, USER, Root
from proof.screen import wait_for
from proof.sitting import sitting

_TYPES = {"inode/directory", "application/x-clip-atelier-model", "application/x-clip-atelier-run"}
_DRAWINGS = 12


def do(root: Root, program: str, entry: str, language: str, place: str, pictures: Path) -> dict[str, Any]:
    """Opens a folder of drawings and a packed run; returns what was seen.

    Args:
        root: Where the program is installed, and has trained a run.
        program: The installed program.
        entry: Its menu entry.
        language: "en" or "ko".
        place: A folder of the user's own.
        pictures: The beginning of the pictures' file names.

    Raises:
        SystemExit: something did not come in time.
        AssertionError: something is not as it must be.
    """
    lines = root.at(entry).read_text(encoding="utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    assert set(values["MimeType"].strip(";").split(";")) == _TYPES, values["MimeType"]
    start = shlex.split(values["Exec"])
    assert start[-1] == "%f", start

    drawings = f"{place}/내 그림 drawings"
    _copy_drawings(root, program, drawings)
    words = [*start[:-1], drawings]
    with sitting(root, program, language, pictures.with_name(f"{pictures.name}-folder"), words=words) as now:
        now.screen.find(Path(drawings).name, "label")
        wait_for(
            lambda: sum(s.role == "list item" for s in now.screen.all()) == _DRAWINGS, "the folder's drawings"
        )
        now.screen.picture(now.file("opened"))

    (run, *_others) = sorted(path.name for path in root.at(f"{DATA}/runs").iterdir())
    pack = f"{place}/꽃 flowers.cliprun"
    root.run(program, "runs", "pack", run, pack, user=USER)
    other = f"{place}/다른 집"
    words = [*start[:-1], pack]
    pictures = pictures.with_name(f"{pictures.name}-run-pack")
    with sitting(root, program, language, pictures, words=words, home=other) as now:
        now.screen.find(now.say("Search with it"), "push button")
        wait_for(
            root.at(f"{other}/runs/{run}/adapter/adapter_model.safetensors").is_file,
            "the run in the other home",
        )
        now.screen.picture(now.file("opened"))
    return {"folder": f"{_DRAWINGS} drawings", "packed run": run}


def _copy_drawings(root: Root, program: str, folder: str) -> None:
    """Makes a folder of the user's out of a part of the sample."""
    sample = root.at(program).parent / "program" / "resources" / "samples" / "emoji"
    root.run("mkdir", "-p", folder, user=USER)
    for picture in sorted(sample.rglob("*.png"))[:_DRAWINGS]:
        shutil.copyfile(picture, root.at(f"{folder}/{picture.name}"))
