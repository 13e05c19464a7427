"""Model packs carry a model whole, and what is not a whole pack is refused by name."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from clip_atelier.cli.main import main
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, UserError, drive, to_json
from clip_atelier.engine.models import Models, model_packs
from clip_atelier.engine.runs import Runs, run_packs
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.engine.storage import packs
from clip_atelier.engine.training import Plan, train

ROOT = Path(__file__).resolve().parents[2]
Change = Callable[[dict[str, bytes]], None]


@pytest.fixture
def pack(tiny_clip: Path, tmp_path: Path) -> Path:
    out = tmp_path / "작은 모델.clipmodel"
    model_packs.make(tiny_clip, out)
    return out


def changed(pack: Path, change: Change) -> Path:
    """The same pack with its members changed."""
    with zipfile.ZipFile(pack) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    out = pack.with_name("changed.zip")
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out


def manifest(members: dict[str, bytes], **values: object) -> None:
    """Writes values into the manifest."""
    members[packs.MANIFEST] = json.dumps({**json.loads(members[packs.MANIFEST]), **values}).encode()


def test_a_pack_brings_the_same_model(pack: Path, tiny_clip: Path, home: Path) -> None:
    info = Models(home).add(pack)
    assert info.name == tiny_clip.name
    assert not info.bundled
    carried = Models(home).open(info.name, HardwareSettings(device="cpu"))
    assert (
        carried.fingerprint == Models(home).open(str(tiny_clip), HardwareSettings(device="cpu")).fingerprint
    )
    assert [entry.name for entry in (home / "models").iterdir()] == [tiny_clip.name]


def test_the_same_folder_gives_the_same_bytes(pack: Path, tiny_clip: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.clipmodel"
    model_packs.make(tiny_clip, again)
    assert again.read_bytes() == pack.read_bytes()


def test_the_command_line_makes_and_takes_packs(
    tiny_clip: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "with space.zip"
    script = [sys.executable, str(ROOT / "packaging" / "make_model_pack.py"), str(tiny_clip), str(out)]
    made = subprocess.run(script, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert main(["models", "add", str(out), "--home", str(home), "--json"]) == 0
    names = [model["name"] for model in json.loads(capsys.readouterr().out)]
    assert tiny_clip.name in names
    assert main(["models", "add", str(out), "--home", str(home)]) == 2
    assert tiny_clip.name in capsys.readouterr().err


def flip(members: dict[str, bytes]) -> None:
    content = bytearray(members["model.safetensors"])
    content[-1] ^= 1
    members["model.safetensors"] = bytes(content)


def swap_file(members: dict[str, bytes]) -> None:
    members["config.json"] = members["config.json"] + b" "


def lose_file(members: dict[str, bytes]) -> None:
    del members["tokenizer.json"]


def add_code(members: dict[str, bytes]) -> None:
    members["modeling.py"] = b"print('hello')"


def list_code(members: dict[str, bytes]) -> None:
    files = json.loads(members[packs.MANIFEST])["files"]
    manifest(members, files={**files, "weights.bin": {"size": 1, "sha256": "0" * 64}})


def climb(members: dict[str, bytes]) -> None:
    files = json.loads(members[packs.MANIFEST])["files"]
    manifest(members, files={**files, "../../evil.json": {"size": 1, "sha256": "0" * 64}})
    members["../../evil.json"] = b"1"


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (flip, "model.safetensors"),
        (swap_file, "config.json"),
        (lose_file, "tokenizer.json"),
        (add_code, "modeling.py"),
        (list_code, "weights.bin"),
        (climb, "../../evil.json"),
        (lambda m: m.pop(packs.MANIFEST), "not a pack"),
        (lambda m: manifest(m, format="something else"), "not a pack"),
        (lambda m: manifest(m, version=2), "newer version"),
        (lambda m: manifest(m, name="../out"), "pack.json"),
        (lambda m: manifest(m, name=".."), "pack.json"),
        (lambda m: manifest(m, files={}), "pack.json"),
        (lambda m: manifest(m, files={"config.json": {"size": -1, "sha256": "0" * 64}}), "pack.json"),
        (lambda m: manifest(m, family="bert"), "bert"),
        (lambda m: m.__setitem__(packs.MANIFEST, b"{"), "pack.json"),
        (lambda m: m.__setitem__(packs.MANIFEST, b"[]"), "not a pack"),
    ],
)  # fmt: skip
def test_what_is_not_a_whole_pack_is_refused_by_name(
    pack: Path, home: Path, change: Change, named: str
) -> None:
    bad = changed(pack, change)
    with pytest.raises(UserError) as refusal:
        Models(home).add(bad)
    assert str(bad) in refusal.value.message
    assert named in refusal.value.message
    assert not any((home / "models").iterdir()) if (home / "models").is_dir() else True
    assert not list(home.parent.rglob("evil.json"))


@pytest.mark.fault(55)
def test_a_cut_file_is_refused_by_name(pack: Path, home: Path) -> None:
    pack.write_bytes(pack.read_bytes()[:-2000])
    with pytest.raises(UserError, match="작은 모델"):
        Models(home).add(pack)


@pytest.mark.fault(55)
def test_damage_inside_the_archive_is_refused_by_name(pack: Path, home: Path) -> None:
    content = bytearray(pack.read_bytes())
    with zipfile.ZipFile(pack) as archive:
        start = archive.getinfo("model.safetensors").header_offset
    content[start + 5000] ^= 0xFF
    pack.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"model\.safetensors"):
        Models(home).add(pack)
    assert not any((home / "models").iterdir())


def test_a_folder_that_is_no_model_makes_no_pack(tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "clip"}')
    (folder / "pytorch_model.bin").write_bytes(struct.pack("<Q", 1))
    with pytest.raises(UserError, match="pickle"):
        model_packs.make(folder, tmp_path / "out.clipmodel")
    assert not list(tmp_path.glob("out*"))


@pytest.fixture
def run_pack(tiny_pairs: Path, quick: Callable[..., dict[str, object]], home: Path, tmp_path: Path) -> Path:
    """A trained run in a pack."""
    drive(
        train(Plan(tiny_pairs, settings.build(quick()), home, "꽃"), Models(home), Control()),
        lambda _event: None,
    )
    out = tmp_path / "꽃 run.cliprun"
    assert main(["runs", "pack", "latest", str(out), "--home", str(home)]) == 0
    return out


def test_a_run_travels_whole(
    run_pack: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (first,) = Runs(home).list()
    other = tmp_path / "other home"
    capsys.readouterr()
    assert main(["runs", "add", str(run_pack), "--home", str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == first.id
    (second,) = Runs(other).list()
    assert second.status == "done"
    assert second.result == first.result
    assert [to_json(e) for e in second.events()] == [to_json(e) for e in first.events()]
    names = [
        sorted(f.relative_to(r.path).as_posix() for f in r.path.rglob("*") if f.name != ".lock")
        for r in (first, second)
    ]
    assert names[0] == names[1]
    assert main(["runs", "add", str(run_pack), "--home", str(other)]) == 2
    assert first.id in capsys.readouterr().err


def flip_adapter(members: dict[str, bytes]) -> None:
    name = "adapter/adapter_model.safetensors"
    members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])


@pytest.mark.fault(53, 55)
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (flip_adapter, "adapter/adapter_model.safetensors"),
        (lambda m: manifest(m, format="clip-atelier-model-pack"), "not a pack"),
        (lambda m: m.__setitem__("hook.py", b"1"), "hook.py"),
    ],
)
def test_what_is_not_a_whole_run_is_refused_by_name(
    run_pack: Path, tmp_path: Path, change: Change, named: str
) -> None:
    bad = changed(run_pack, change)
    other = tmp_path / "other home"
    with pytest.raises(UserError) as refusal:
        run_packs.add(bad, other)
    assert str(bad) in refusal.value.message
    assert named in refusal.value.message
    assert Runs(other).list() == []
    assert not (other / "runs").is_dir() or not any((other / "runs").iterdir())
