"""WebDataset shards are embedded as they are, each into a file of its own, by one process or shared by several."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from clip_atelier.cli.main import main
from clip_atelier.engine.core import Control, UserError, drive
from clip_atelier.engine.data import Part
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import ModelRef, PackedSummary, embed_packed, load_model, open_gallery
from clip_atelier.engine.settings import HardwareSettings

CPU = HardwareSettings(device="cpu", threads=1)
LIMITS = ("--hardware.device", "cpu", "--hardware.threads", "1")


def tar(file: Path, samples: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as packed:
        for name, content in samples.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))


@pytest.fixture
def shards(tmp_path: Path, tiny_collection: Path) -> Path:
    """Three shards of the tiny collection's 24 drawings, the last also with a broken picture."""
    folder = tmp_path / "shards"
    folder.mkdir()
    drawings = sorted(tiny_collection.glob("*.png"))
    for number in range(3):
        samples: dict[str, bytes] = {}
        for file in drawings[number::3]:
            samples[file.name] = file.read_bytes()
            samples[f"{file.stem}.txt"] = f"a {file.stem.replace('-', ' ')}".encode()
        if number == 2:
            samples["broken.png"] = b"\x89PNG no picture"
        tar(folder / f"draw-{number:04d}.tar", samples)
    return folder


@pytest.fixture
def embedded(shards: Path, home: Path, tiny_clip: Path) -> Callable[..., PackedSummary]:
    def embed(out: Path, part: Part | None = None) -> PackedSummary:
        ref = ModelRef(model=str(tiny_clip), hardware=CPU)
        return drive(embed_packed(shards, out, ref, Models(home), Control(), part))

    return embed


def test_each_shard_gives_the_embeddings_of_its_drawings_and_is_not_made_again(
    embedded: Callable[..., PackedSummary], tiny_collection: Path, tmp_path: Path, home: Path, tiny_clip: Path,
    shards: Path,
) -> None:  # fmt: skip
    out = tmp_path / "vectors"
    first = embedded(out, Part(1, 2))
    assert (first.files, first.embedded, first.missing) == (2, 16, ("draw-0001.tar",))
    assert [one.path for one in first.problems] == ["draw-0002.tar/broken"]
    second = embedded(out, Part(2, 2))
    assert (second.files, second.embedded, second.missing) == (1, 8, ())
    loaded = load_model(ModelRef(model=str(tiny_clip), hardware=CPU), Models(home))
    gallery = drive(open_gallery(tiny_collection, loaded, home, Control()))
    wanted = {item.digest: vector for item, vector in zip(gallery.items, gallery.base, strict=True)}
    seen = 0
    for folder in sorted(out.glob("draw-*")):
        rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text("utf-8").splitlines()]
        found = np.load(folder / "base.npy")
        assert not (folder / "adapted.npy").exists()
        np.testing.assert_allclose(found, [wanted[row["id"]] for row in rows], atol=1e-6)
        assert all(
            row["text"] == ["a " + row["file_name"].partition("/")[2].replace("-", " ")] for row in rows
        )
        seen += len(rows)
    assert seen == 24
    again = embedded(out)
    assert (again.embedded, again.reused, again.skipped) == (0, 24, 1)
    # One that changed, and one whose embeddings were lost, are made again; no other.
    tar(shards / "draw-0001.tar", {"new.png": (tiny_collection / "red-ring.png").read_bytes()})
    (out / "done" / "draw-0002.json").unlink()
    assert (found_now := embedded(out)).embedded == 9
    assert found_now.images == 17


def test_a_kill_while_a_shard_is_written_costs_that_shard_only(
    embedded: Callable[..., PackedSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_atelier.engine.search import packed_drawings

    out, written = tmp_path / "vectors", packed_drawings.write_document

    def killed(path: Path, document: Any) -> None:
        if path.stem == "draw-0001":
            raise KeyboardInterrupt
        written(path, document)

    with monkeypatch.context() as patch:
        patch.setattr(packed_drawings, "write_document", killed)
        with pytest.raises(KeyboardInterrupt):
            embedded(out)
    found = embedded(out)
    assert (found.embedded, found.reused, found.missing) == (16, 8, ())


def test_parquet_and_what_is_refused(
    embedded: Callable[..., PackedSummary], tmp_path: Path, shards: Path, home: Path, tiny_clip: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    parquet = pytest.importorskip("pyarrow.parquet")
    call = ["index", str(shards), "--model", str(tiny_clip), "--home", str(home), *LIMITS, "--json"]
    assert main([*call, "--to", str(tmp_path / "vectors.parquet")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["images"], told["skipped"], told["missing"]) == (24, 1, [])
    tables = [parquet.read_table(file) for file in sorted((tmp_path / "vectors.parquet").glob("*.parquet"))]
    assert sum(map(len, tables)) == 24
    assert tables[0].column_names == ["id", "file_name", "text", "base"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        embedded(other)
    assert main([*call, "--to", str(tmp_path / "v"), "--join"]) == 2
    assert "nothing to join" in capsys.readouterr().err


def test_the_index_of_a_folder_is_written_beside(
    tiny_collection: Path, tmp_path: Path, home: Path, tiny_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call = ["index", str(tiny_collection), "--model", str(tiny_clip), "--home", str(home), *LIMITS]
    assert main([*call, "--shard", "1/2", "--to", str(out)]) == 0
    assert not out.exists(), "the index is not whole yet"
    assert main([*call, "--shard", "2/2", "--to", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    rows = (out / "rows.jsonl").read_text("utf-8").splitlines()
    assert np.load(out / "base.npy").shape == (len(rows), 24) == (24, 24)
    assert main([*call, "--to", str(out)]) == 2
    assert tiny.COLOURS.keys() == {json.loads(row)["text"][0].split()[1] for row in rows}
