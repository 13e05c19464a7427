"""Sketches in one folder and their artworks in another: one collection, the same as if both lay in one folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clip_atelier.cli.main import main
from clip_atelier.engine.core import UserError
from clip_atelier.engine.data import (
    Collection,
    add_folder,
    further_folders_of,
    new_collection,
    remove_folder,
    save_captions,
    split,
)
from clip_atelier.engine.data.further_folders import FILE
from clip_atelier.engine.settings import DataSettings

Scan = Callable[..., Collection]
Draw = Callable[..., Path]
NAMES = tuple(f"그림 {n}" for n in range(12))


@pytest.fixture
def whole(draw: Draw, tmp_path: Path) -> Path:
    """Sketches and their artworks in two sub-folders; the artworks have captions, and one of them lies deeper."""
    for name in NAMES:
        draw(f"whole/sketches/{name}.png")
        place = "artworks/2024" if name == NAMES[0] else "artworks"
        draw(f"whole/{place}/{name}.png", text=f"{name} in colour")
    return tmp_path / "whole"


@pytest.fixture
def apart(whole: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The same drawings, in two folders that lie far from each other."""
    sketches, artworks = tmp_path / "disk one" / "sketches", tmp_path / "다른 디스크" / "artworks"
    for folder in (sketches, artworks):
        shutil.copytree(whole / folder.name, folder)
    return sketches, artworks


def told(collection: Collection) -> dict[str, object]:
    """All that a training knows of a drawing, but for where it lies."""
    return {
        item.digest: (item.captions, item.label, item.pair, item.role, item.split, item.width, item.look)
        for item in collection.items
    }


def tree(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("first", ["sketches", "artworks"])
def test_a_folder_added_to_the_other_makes_the_same_pairs(
    whole: Path, apart: tuple[Path, Path], scanned: Scan, first: str
) -> None:
    root, other = apart if first == "sketches" else apart[::-1]
    add_folder(root, other)
    together, expected = scanned(root), scanned(whole)
    assert len(expected.pairs) == len(NAMES) - 1, "one lies in a sub-folder, and has no partner of its name"
    assert told(together) == told(expected)
    assert together.fingerprint == expected.fingerprint
    assert together.remarks == expected.remarks == ()


def test_a_new_collection_of_both_is_the_same_as_one_folder_and_touches_neither(
    whole: Path, apart: tuple[Path, Path], home: Path, scanned: Scan
) -> None:
    before = [tree(folder) for folder in apart]
    root = new_collection(home, "여우 책", apart)
    together, expected = scanned(root), scanned(whole)
    assert [item.path for item in together.items] == [item.path for item in expected.items]
    assert told(together) == told(expected)
    for seed in (0, 7):
        parts, as_one = (split(one, DataSettings(), seed) for one in (together, expected))
        assert (parts.train, parts.validation, parts.test) == (as_one.train, as_one.validation, as_one.test)
    assert [tree(folder) for folder in apart] == before
    assert root.is_relative_to(home)
    # Captions go to the drawings they are of, and nothing of them into the home's folder.
    save_captions(root, {f"artworks/{NAMES[1]}.png": ["붉은 여우"]}, home)
    assert "붉은 여우" in (apart[1] / "metadata.csv").read_text("utf-8-sig")
    assert [one.name for one in root.iterdir()] == [FILE]
    assert tree(apart[0]) == before[0]


def test_folders_whose_names_say_nothing_are_told_of_and_made_pairs_by_the_settings(
    apart: tuple[Path, Path], scanned: Scan, tmp_path: Path
) -> None:
    scans, portfolio = tmp_path / "2023 scans", tmp_path / "portfolio"
    shutil.copytree(apart[0], scans)
    shutil.copytree(apart[1], portfolio)
    add_folder(scans, portfolio)
    plain = scanned(scans)
    assert not plain.pairs
    (remark,) = plain.remarks
    assert "“2023 scans” and “portfolio” have 11 drawings of the same names" in remark
    chosen = scanned(scans, sketches="2023 Scans", artworks="portfolio")
    assert len(chosen.pairs) == len(NAMES) - 1
    assert not chosen.remarks
    assert {item.role for item in chosen.items if item.pair and "/" not in item.path} == {"sketch"}
    with pytest.raises(UserError, match="no images in a sub-folder “scans”"):
        scanned(scans, sketches="scans")
    # A sub-folder of that name is meant before the folder itself.
    inner = scans / "2023 scans"
    inner.mkdir()
    (scans / f"{NAMES[3]}.png").rename(inner / f"{NAMES[3]}.png")
    assert list(scanned(scans, sketches="2023 scans", artworks="portfolio").pairs) == [NAMES[3]]


def test_one_folder_by_itself_gets_no_role_from_its_own_name(apart: tuple[Path, Path], scanned: Scan) -> None:
    sketches, artworks = apart
    shutil.copytree(artworks, sketches / "finals")
    assert not scanned(sketches).pairs
    add_folder(sketches, artworks)
    remove_folder(sketches, "artworks")
    assert not scanned(sketches).pairs


def test_a_new_collection_is_made_whole_or_not_at_all(
    apart: tuple[Path, Path], home: Path, tmp_path: Path
) -> None:
    def made() -> list[str]:
        kept = home / "collections"
        return sorted(one.name for one in kept.iterdir()) if kept.is_dir() else []

    for name, folders, reason in (
        ("book", (apart[0], tmp_path / "nowhere"), "There is no folder"),
        ("book", (apart[0], apart[0]), "in the collection already"),
        ("book", (apart[0], apart[0].parent), "holds “sketches”"),
        ("book", (home.parent,), "own folder lies in"),
        ("book", (), "needs a folder"),
        ("a/b", apart, "cannot be called"),
        ("..", apart, "cannot be called"),
        ("  ", apart, "cannot be called"),
        ("con", apart, "cannot be called"),
        ("book.", apart, "cannot be called"),
    ):
        with pytest.raises(UserError, match=reason):
            new_collection(home, name, folders)
        assert made() == []
    root = new_collection(home, " book ", apart)
    assert (root.name, made()) == ("book", ["book"])
    with pytest.raises(UserError, match="called “book” already"):
        new_collection(home, "book", apart[:1])
    assert [one.name for one in further_folders_of(root)] == ["sketches", "artworks"]
    # One that was left empty, as by a kill in between, is in nobody's way.
    (home / "collections" / "left").mkdir()
    assert new_collection(home, "left", apart).is_dir()


def test_folders_that_are_all_gone_are_named_with_the_remedy(
    apart: tuple[Path, Path], home: Path, scanned: Scan, tmp_path: Path
) -> None:
    root = new_collection(home, "book", apart)
    scanned(root)
    for folder in apart:
        folder.rename(folder.with_name("away"))
    with pytest.raises(UserError, match=r"not there: sketches, artworks\.") as error:
        scanned(root)
    assert all(str(folder) in error.value.hint for folder in apart)
    for folder in apart:
        folder.with_name("away").rename(folder)
    assert len(scanned(root).pairs) == len(NAMES) - 1


def test_the_command_makes_one_and_the_others_take_it(
    apart: tuple[Path, Path], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answered(*words: object) -> dict[str, object]:
        assert main([*map(str, words), "--home", str(home), "--json"]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    made = answered("folders", "new", "여우 책", *apart)
    root = str(made["folder"])
    assert made["folders"] == [
        {"name": folder.name, "folder": str(folder), "there": True} for folder in apart
    ]
    assert answered("scan", root)["pairs"] == len(NAMES) - 1
    assert answered("folders", "list", root)["folders"] == made["folders"]
    # Deleted, the list is in the trash and the folders are as they were; put back, all is as before.
    assert answered("folders", "list")["collections"] == [{"name": "여우 책", "folder": root}]
    before = [tree(folder) for folder in apart]
    assert answered("folders", "delete", "여우 책")["collections"] == []
    assert main(["folders", "delete", "여우 책", "--home", str(home)]) == 2
    assert "folders new" in capsys.readouterr().err
    assert [tree(folder) for folder in apart] == before
    answered("trash", "restore", "여우 책")
    assert answered("folders", "list", root)["folders"] == made["folders"]
    verified = answered("verify")
    assert not verified["findings"]
    (Path(root) / FILE).write_text("{", encoding="utf-8")
    assert main(["verify", "--home", str(home)]) != 0
    assert FILE in capsys.readouterr().out
