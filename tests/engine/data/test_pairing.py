from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from clip_atelier.engine.core import UserError
from clip_atelier.engine.data import Collection

Scan = Callable[..., Collection]
Draw = Callable[..., Path]


def pairs(collection: Collection) -> set[tuple[str, ...]]:
    """Every pair as its sketches, a bar, and its artworks."""
    found = set()
    for members in collection.pairs.values():
        items = [collection.items[i] for i in members]
        sketches = [item.path for item in items if item.role == "sketch"]
        found.add((*sketches, "|", *(item.path for item in items if item.role == "artwork")))
    return found


@pytest.mark.parametrize(("sketches", "artworks"), [
    ("sketches", "artworks"), ("Sketch", "Photo"), ("line-art", "colour"), ("lineart", "color"), ("스케치", "완성"),
    ("선화", "채색"), (unicodedata.normalize("NFD", "스케치"), "그림"), ("drawings", "paintings"), ("ink", "사진"),
])  # fmt: skip
def test_folders_are_recognised_by_name(scanned: Scan, draw: Draw, sketches: str, artworks: str) -> None:
    for stem in ("a", "b"):
        draw(f"{sketches}/{stem}.png")
        draw(f"{artworks}/{stem}.jpg")
    found = pairs(scanned())
    assert found == {(f"{sketches}/{s}.png", "|", f"{artworks}/{s}.jpg") for s in "ab"}


def test_pairs_below_common_folders_and_in_deep_ones(scanned: Scan, draw: Draw) -> None:
    for path in (
        "train/sketches/x/1.png",
        "train/artworks/x/1.png",
        "val/sketches/x/1.png",
        "val/artworks/x/1.png",
    ):
        draw(path)
    collection = scanned()
    assert len(collection.pairs) == 2
    assert {item.split for item in collection.items} == {"train", "validation"}


def test_classes_inside_pair_folders(scanned: Scan, draw: Draw) -> None:
    for kind in ("cat", "dog"):
        draw(f"sketches/{kind}/1.png")
        draw(f"artworks/{kind}/1.png")
    collection = scanned()
    assert (collection.labels, len(collection.pairs)) == (("cat", "dog"), 2)


def test_several_sketches_of_one_artwork(scanned: Scan, draw: Draw) -> None:
    for name in ("sketches/cat-1.png", "sketches/cat-2.png", "sketches/cat (3).png", "artworks/cat.png"):
        draw(name)
    ((*sketches, bar, artwork),) = pairs(scanned())
    assert (len(sketches), bar, artwork) == (3, "|", "artworks/cat.png")


def test_images_without_partner_are_no_pair_and_are_counted(scanned: Scan, draw: Draw) -> None:
    for name in ("sketches/a.png", "artworks/a.png", "sketches/lonely.png", "other.png"):
        draw(name)
    collection = scanned()
    assert pairs(collection) == {("sketches/a.png", "|", "artworks/a.png")}
    assert {(item.pair, item.role) for item in collection.items if "a.png" not in item.path} == {("", "")}
    assert collection.notes == ("Images without a partner to make a pair: 1.",)


def test_one_folder_alone_makes_no_pairs(scanned: Scan, draw: Draw) -> None:
    draw("sketches/a.png")
    draw("else/a.png")
    collection = scanned()
    assert (len(collection.pairs), collection.notes) == (0, ())


def test_chosen_folders(scanned: Scan, draw: Draw) -> None:
    draw("2023/pen/a.png")
    draw("2024/gouache/a.png")
    draw("2024/artworks/a.png")
    found = pairs(scanned(sketches="2023/pen", artworks="2024/gouache/"))
    assert found == {("2023/pen/a.png", "|", "2024/gouache/a.png")}


def test_one_chosen_folder_finds_its_partner_beside_it(scanned: Scan, draw: Draw) -> None:
    draw("set/pen/a.png")
    draw("set/artworks/a.png")
    assert pairs(scanned(sketches="set/pen")) == {("set/pen/a.png", "|", "set/artworks/a.png")}


@pytest.mark.parametrize("name", ["sketches", "artworks"])
def test_a_chosen_folder_that_is_not_there(scanned: Scan, draw: Draw, name: str) -> None:
    draw("a.png")
    with pytest.raises(UserError, match="nowhere") as caught:
        scanned(**{name: "nowhere"})
    assert caught.value.setting == f"data.{name}"


def test_the_pair_column(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "b1.png", "b2.png", "sketches/c.png", "c.png", "alone.png"):
        draw(name)
    (tmp_path / "metadata.csv").write_text(
        "file_name,text,pair,role\na1.png,a,1,Photo\na2.png,a,1,\nb1.png,b,2,\nb2.png,b,2,\n"
        "sketches/c.png,c,3,\nc.png,c,3,\nalone.png,d,4,\n"
    )
    collection = scanned()
    assert pairs(collection) == {
        ("a2.png", "|", "a1.png"), ("b1.png", "|", "b2.png"), ("sketches/c.png", "|", "c.png"),
    }  # fmt: skip
    assert collection.notes == ("Images without a partner to make a pair: 1.",)


def test_partners_share_a_caption_that_one_of_them_has(scanned: Scan, draw: Draw) -> None:
    draw("sketches/001.png")
    draw("artworks/001.png", text="a red boat")
    assert {item.captions for item in scanned().items} == {("a red boat",)}


def test_names_in_either_unicode_form_pair(scanned: Scan, draw: Draw) -> None:
    draw("sketches/" + unicodedata.normalize("NFD", "나무.png"), 1)
    draw("artworks/" + unicodedata.normalize("NFC", "나무.png"), 2)
    assert len(scanned().pairs) == 1
