"""What comes from a stranger: packs, models, adapters."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from clip_atelier.engine import settings
from clip_atelier.engine.core import UserError
from clip_atelier.engine.models import Models, adapters
from clip_atelier.engine.runs import RUN, Runs, run_packs


def pack(
    path: Path, files: Mapping[str, bytes], name: str = "a run", changed: Mapping[str, Any] = {}
) -> Path:
    """A run pack with true hashes, whatever its names; `changed` entries of the manifest replace what is true."""
    listed = {n: {"size": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()}
    manifest = {"format": RUN.format, "version": 1, "name": name, "files": listed, **changed}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pack.json", json.dumps(manifest))
        for member, content in files.items():
            archive.writestr(member, content)
    return path


@pytest.fixture
def record(home: Path) -> bytes:
    return (Runs(home).create("", settings.build({}), home).path / "run.json").read_bytes()


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"adapter/a.json": b"{}", "adapter/A.json": b"{}"}, "case only"),
        ({"adapter/é.json": b"{}", "adapter/e\u0301.json": b"{}"}, "case only"),
        ({"evaluation.json": b" " * 50_000_000}, "many times its size"),
        ({"../run.json": b"{}"}, "no place"), ({"adapter/con.json": b"{}"}, "no place"),
        ({"a/b/c/d.json": b"{}"}, "no place"), ({"adapter/x.py": b"{}"}, "no place"),
    ],
)  # fmt: skip
def test_a_pack_that_is_made_to_harm_is_refused(
    home: Path, tmp_path: Path, record: bytes, more: dict[str, bytes], said: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    path = pack(tmp_path / "x.cliprun", {"run.json": record, **more})
    with pytest.raises(UserError, match=said):
        run_packs.add(path, home)
    path.unlink()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.fault(53)
def test_a_pack_that_says_it_holds_terabytes_is_refused_before_anything_is_written(
    home: Path, tmp_path: Path, record: bytes
) -> None:
    lie = {"run.json": {"size": 1 << 42, "sha256": hashlib.sha256(record).hexdigest()}}
    with pytest.raises(UserError):
        run_packs.add(pack(tmp_path / "x.cliprun", {"run.json": record}, changed={"files": lie}), home)
    assert len(Runs(home).list()) == 1


@pytest.mark.fault(53)
@pytest.mark.parametrize("name", ["\ud800", "..", "a/b", ".hidden", "NUL", "x" * 101, "", "tab\t", 5])
def test_a_pack_with_a_name_that_is_none_is_refused(
    home: Path, tmp_path: Path, record: bytes, name: Any
) -> None:
    with pytest.raises(UserError):
        run_packs.add(pack(tmp_path / "x.cliprun", {"run.json": record}, name), home)


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.fault(51)
@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("vision_config"), lambda config: config.pop("text_config"),
        lambda config: config.update(vision_config="large"), lambda config: config.pop("model_type"),
        lambda config: config["vision_config"].update(image_size="big"),
        lambda config: config["vision_config"].update(hidden_size="32"),
        lambda config: config["vision_config"].update(num_hidden_layers=1_000_000),
        lambda config: config["text_config"].update(num_hidden_layers=1_000_000),
        lambda config: config["text_config"].update(vocab_size=10**12),
        lambda config: config["vision_config"].update(patch_size=0),
        lambda config: config["vision_config"].update(image_size=10**9),
        lambda config: config.update(projection_dim=-1), lambda config: config.update(projection_dim=[24]),
    ],
)  # fmt: skip
def test_a_models_wrong_configuration_is_refused_at_once(
    home: Path, tiny_clip: Path, tmp_path: Path, change: Change
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in tiny_clip.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    cpu = settings.HardwareSettings(device="cpu")
    models = Models(home)
    models.open(str(tiny_clip), cpu)  # so that importing is not counted
    began = time.process_time()  # not the clock's: other tests run beside this one
    with pytest.raises(UserError) as caught:
        models.open(str(folder), cpu)
    assert time.process_time() - began < 5
    assert str(folder) in str(caught.value)


@pytest.mark.fault(32)
def test_an_adapter_that_would_run_code_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "target_modules": ["q_proj"]}')
    never = tmp_path / "never"
    (tmp_path / "adapter_model.bin").write_bytes(f"cos\nmkdir\n(S{str(never)!r}\ntR.".encode())
    with pytest.raises(UserError, match="adapter_model.safetensors"):
        adapters.read(tmp_path)
    assert not never.exists()
