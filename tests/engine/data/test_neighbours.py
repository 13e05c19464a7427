"""Folders as other programs leave them: captions inside and beside images, masks, repeats, Eagle's library."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from clip_atelier.engine.core import UserError
from clip_atelier.engine.data import (
    Collection,
    embedded_texts,
    export_captions,
    parquet_tables,
    trainers,
)
from clip_atelier.engine.data.table_text import caption_cell
from clip_atelier.engine.settings import DataSettings

Scan = Callable[..., Collection]
Draw = Callable[..., Path]
KOREAN = "빨간 고양이"

XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/">{inner}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
SAID = XMP.format(
    inner='<dc:description><rdf:Alt><rdf:li xml:lang="ko">빨간 고양이</rdf:li>'
    '<rdf:li xml:lang="x-default">a red cat</rdf:li></rdf:Alt></dc:description>'
)
TAGS = XMP.format(
    inner="<dc:subject><rdf:Bag><rdf:li>cat</rdf:li><rdf:li>red</rdf:li></rdf:Bag></dc:subject>"
)


def said(collection: Collection) -> dict[str, tuple[str, ...]]:
    return {item.path: item.captions for item in collection.items}


def exif(**fields: object) -> Image.Exif:
    made = Image.Exif()
    made[0x0131] = "a painting program"
    for name, value in fields.items():
        if name == "UserComment":
            made.get_ifd(0x8769)[0x9286] = value
        else:
            made[{"ImageDescription": 0x010E, "XPTitle": 0x9C9B, "XPComment": 0x9C9C}[name]] = value
    return made


def iptc(text: str) -> bytes:
    """A Photoshop block as JPEG holds it, with IPTC's caption in UTF-8."""
    told = text.encode()
    record = b"\x1c\x02\x78" + len(told).to_bytes(2, "big") + told
    block = b"8BIM\x04\x04\0\0" + len(record).to_bytes(4, "big") + record + b"\0" * (len(record) % 2)
    body = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


EXIF = {
    "ImageDescription": KOREAN.encode(),
    "XPTitle": KOREAN.encode("utf-16-le"),
    "XPComment": KOREAN.encode("utf-16-le"),
    "UserComment": b"UNICODE\0" + KOREAN.encode("utf-16-le"),
}


@pytest.mark.parametrize("field", EXIF)
@pytest.mark.parametrize("kind", ["jpg", "webp", "png"])
def test_exif(field: str, kind: str, draw: Draw, scanned: Scan, tmp_path: Path) -> None:
    with Image.open(draw("x/a.png")) as image:
        image.save(tmp_path / f"a.{kind}", exif=exif(**{field: EXIF[field]}))
    shutil.rmtree(tmp_path / "x")
    found = scanned()
    assert said(found) == {f"a.{kind}": (KOREAN,)}
    assert (found.caption_source, found.problems) == ("embedded", ())


@pytest.mark.parametrize("kind", ["jpg", "webp", "png", "tif"])
def test_xmp_inside(kind: str, draw: Draw, scanned: Scan, tmp_path: Path) -> None:
    more: dict[str, object] = {"xmp": SAID.encode()}
    if kind == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", SAID)
        more = {"pnginfo": info}
    elif kind == "tif":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[700] = SAID.encode()
        more = {"tiffinfo": tags}
    with Image.open(draw("x/a.png")) as image:
        image.save(tmp_path / f"a.{kind}", **more)  # type: ignore[arg-type]
    shutil.rmtree(tmp_path / "x")
    assert said(scanned()) == {f"a.{kind}": ("a red cat", KOREAN)}


def test_words_behind_the_picture_of_a_png_are_found_without_decoding_it(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("Title", KOREAN)
    Image.linear_gradient("L").save(tmp_path / "a.png", pnginfo=info)
    whole, behind = (tmp_path / "a.png").read_bytes(), io.BytesIO()
    PngImagePlugin.putchunk(behind, b"tEXt", b"Description\0a red cat")
    end = whole.rindex(b"IEND") - 4
    whole = whole[:end] + behind.getvalue() + whole[end:]
    assert embedded_texts.captions(io.BytesIO(whole)) == ("a red cat", KOREAN)
    at = whole.index(b"IDAT") + 4
    broken = whole[:at] + bytes(byte ^ 0xFF for byte in whole[at : at + 20]) + whole[at + 20 :]
    assert embedded_texts.captions(io.BytesIO(broken)) == ("a red cat", KOREAN)


def test_iptc_inside(draw: Draw, scanned: Scan, tmp_path: Path) -> None:
    with Image.open(draw("x/a.png")) as image:
        image.save(tmp_path / "a.jpg")
    shutil.rmtree(tmp_path / "x")
    plain = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(plain[:2] + iptc(KOREAN) + plain[2:])
    assert said(scanned()) == {"a.jpg": (KOREAN,)}


@pytest.mark.parametrize(
    "told", ["OLYMPUS DIGITAL CAMERA", "Created with GIMP", '{"prompt": {}}', "   ", "1234"]
)
def test_what_programs_write_by_themselves_is_no_caption(
    told: str, draw: Draw, scanned: Scan, tmp_path: Path
) -> None:
    with Image.open(draw("red_cat.png")) as image:
        image.save(tmp_path / "red_cat.png", exif=exif(ImageDescription=told))
    assert said(scanned()) == {"red_cat.png": ("red cat",)}


def test_damaged_metadata_leaves_the_drawing(draw: Draw, scanned: Scan, tmp_path: Path) -> None:
    with Image.open(draw("x/red_cat.png")) as image:
        image.save(tmp_path / "red_cat.jpg", exif=exif(ImageDescription="a cat"), xmp=b"<x:xmpmeta")
    shutil.rmtree(tmp_path / "x")
    content = (tmp_path / "red_cat.jpg").read_bytes()
    assert said(scanned()) == {"red_cat.jpg": ("a cat",)}  # broken XMP does not hide EXIF
    (tmp_path / "red_cat.jpg").write_bytes(content.replace(b"MM\0*", b"MM\0?").replace(b"II*\0", b"II?\0"))
    assert said(scanned()) == {"red_cat.jpg": ("red cat",)}


def test_sidecars_of_photo_programs(draw: Draw, scanned: Scan, tmp_path: Path) -> None:
    """Lightroom writes NAME.xmp, darktable NAME.png.xmp."""
    for name in "abc":
        draw(f"{name}.png")
    (tmp_path / "a.xmp").write_text(SAID, encoding="utf-8")
    (tmp_path / "b.png.xmp").write_text(TAGS, encoding="utf-8")
    (tmp_path / "c.xmp").write_text('<!DOCTYPE x [<!ENTITY e "cat">]><x>&e;</x>', encoding="utf-8")
    found = scanned()
    assert said(found) == {"a.png": ("a red cat", KOREAN), "b.png": ("cat, red",), "c.png": ("c",)}
    (problem,) = found.problems
    assert (problem.path, "not XMP" in problem.reason) == ("c.xmp", True)


def test_the_order_of_sources_and_the_choice_of_one(draw: Draw, scanned: Scan, tmp_path: Path) -> None:
    with Image.open(draw("a.png", text="beside")) as image:
        image.save(tmp_path / "a.png", exif=exif(ImageDescription="inside"))
    assert said(scanned()) == {"a.png": ("beside",)}
    assert said(scanned(captions="embedded")) == {"a.png": ("inside",)}


def test_embedded_captions_are_remembered_with_the_drawing(draw: Draw, scanned: Scan, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with Image.open(draw("x/a.png")) as image:
        image.save(tmp_path / "set" / "a.jpg", exif=exif(ImageDescription="inside"))
    for _time in range(2):
        found = scanned(tmp_path / "set", cache=tmp_path / "scan.sqlite")
        assert said(found) == {"a.jpg": ("inside",)}


def test_masks_of_onetrainer_are_no_drawings(draw: Draw, scanned: Scan) -> None:
    for name in ("a.png", "a-masklabel.png", "b.png", "b-condlabel.png", "lonely-masklabel.png"):
        draw(name, text=f"this is {name}")
    found = scanned()
    assert set(said(found)) == {"a.png", "b.png", "lonely-masklabel.png"}
    assert found.notes == ("Masks of OneTrainer, which are no drawings and are left out: 2.",)


def test_kohyas_repeats_are_told_and_are_no_part_of_the_caption(draw: Draw, scanned: Scan) -> None:
    for name in ("10_red cat/1.png", "10_red cat/2.png", "3_dog/1.png"):
        draw(name, name)
    found = scanned()
    assert found.labels == ("dog", "red cat")
    (note,) = found.notes
    assert "10_red cat, 3_dog" in note
    assert trainers.times([item.path for item in found.items], DataSettings()) == [10, 10, 3]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["img/20_fox/a.png", "img/30_owl/a.png", "img/b.png"], [20, 30, 1]),
        (["20_fox/a.png", "30_owl/a.png"], [2, 3]),
        (["10_fox/a.png", "10_fox/b.png"], [1, 1]),
        (["0_fox/a.png", "4_owl/a.png"], [1, 4]),  # none is left out
        (["1_fox/a.png", "2_owl/a.png"], [1, 1]),  # in an order
        (["a.png"], [1]),
        ([], []),
    ],
)
def test_repeats_count_as_they_compare(paths: list[str], expected: list[int]) -> None:
    assert trainers.times(paths, DataSettings()) == expected
    assert trainers.times(paths, DataSettings(repeats=False)) == [1] * len(paths)


def test_numbered_folders_are_no_repeats(draw: Draw, scanned: Scan) -> None:
    for name in ("01_cats/1.png", "02_dogs/1.png"):
        draw(name, name)
    assert scanned().notes == ()


def test_a_file_name_with_train_in_it_is_no_split(draw: Draw, scanned: Scan) -> None:
    for name in ("train_1.png", "steam train.png", "test.png"):
        draw(name, name)
    assert {item.split for item in scanned().items} == {""}


def test_an_eagle_library(draw: Draw, scanned: Scan, tmp_path: Path) -> None:
    def about(folder: str, **told: object) -> None:
        place = tmp_path / "My.library" / "images" / f"{folder}.info"
        (place / "metadata.json").write_text(json.dumps({"id": folder, **told}), encoding="utf-8")

    for n, name in enumerate(("horse", "sea", "old_oak", "gone")):
        draw(f"My.library/images/K{n}.info/{name}.png", name)
        draw(f"My.library/images/K{n}.info/{name}_thumbnail.png", name)
    about("K0", name="horse", annotation="a red horse", tags=["ink"])
    about("K1", name="sea", annotation="", tags=["sea", "storm"])
    about("K2", name="old oak", tags=[])
    about("K3", name="gone", isDeleted=True)
    (tmp_path / "My.library" / "metadata.json").write_text('{"folders": []}')
    found = scanned()
    assert {Path(path).name: captions for path, captions in said(found).items()} == {
        "horse.png": ("a red horse",),
        "sea.png": ("sea, storm",),
        "old_oak.png": ("old oak",),
    }
    assert (found.labels, found.problems) == ((), ())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("imagefolder", "metadata.csv"),
        ("imagefolder", "metadata.jsonl"),
        ("imagefolder", "metadata.parquet"),
        ("open_clip", "train.csv"),
        ("coco", "captions.json"),
        ("kohya", "meta_cap.json"),
        ("sidecars", "texts"),
    ],
)
def test_what_is_exported_is_understood_again(
    kind: str, name: str, draw: Draw, scanned: Scan, tmp_path: Path
) -> None:
    draw("set/deep/a.png", text="a red cat\na kitten, asleep")
    draw("set/b 1.png", text=KOREAN)
    before = scanned(tmp_path / "set")
    files = export_captions(before, kind, tmp_path / "out" / name)
    for text in (tmp_path / "set").rglob("*.txt"):
        text.unlink()
    assert said(scanned(tmp_path / "set")) != said(before)
    shutil.copytree(
        files[0].parent if kind != "sidecars" else tmp_path / "out" / name,
        tmp_path / "set",
        dirs_exist_ok=True,
    )
    after = scanned(tmp_path / "set")
    assert said(after) == said(before)
    assert after.problems == ()
    with pytest.raises(UserError, match=r"exists|does not end"):
        export_captions(before, kind, tmp_path / "out" / name)
    if kind != "sidecars":
        with pytest.raises(UserError, match="does not end"):
            export_captions(before, kind, tmp_path / "captions.doc")


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
def test_a_table_of_an_export_keeps_labels_and_pairs(
    name: str, draw: Draw, scanned: Scan, tmp_path: Path
) -> None:
    for path in ("sketches/x.png", "artworks/x.png", "sketches/y.png", "artworks/y.png"):
        draw(f"set/{path}", path)
    before = scanned(tmp_path / "set")
    assert len(before.pairs) == 2
    export_captions(before, "imagefolder", tmp_path / "set" / name)
    assert scanned(tmp_path / "set").items == before.items


@pytest.mark.parametrize(
    ("kind", "name", "library"),
    [
        ("imagefolder", "metadata.csv", "imagefolder"),
        ("imagefolder", "metadata.jsonl", "imagefolder"),
        ("imagefolder", "metadata.parquet", "imagefolder"),
        ("open_clip", "train.csv", "open_clip_csv"),
        ("coco", "captions.json", "coco"),
    ],
)
def test_what_is_exported_is_read_by_the_library_it_is_for(
    kind: str,
    name: str,
    library: str,
    draw: Draw,
    scanned: Scan,
    tmp_path: Path,
    read_apart: Callable[..., Any],
) -> None:
    folder = tmp_path / "set"
    draw("set/deep/a.png", text="a red cat, asleep\na kitten", size=(60, 20))
    draw("set/b 1.png", text=KOREAN, size=(10, 30))
    file = folder / name
    collection = scanned(folder)
    export_captions(collection, kind, file)
    found = read_apart(library, folder if library == "imagefolder" else file)
    first, second = ["a red cat, asleep", "a kitten"], [KOREAN]
    if library != "imagefolder":
        assert found == {"deep/a.png": first, "b 1.png": second}
    elif name.endswith(".csv"):  # one cell holds all captions
        assert found == {"(60, 20)": caption_cell(tuple(first)), "(10, 30)": KOREAN}
    else:
        assert found == {"(60, 20)": first, "(10, 30)": second}


@pytest.mark.parametrize("column", ["text", "caption", "prompt"])
def test_a_parquet_table_beside_its_drawings(
    column: str, draw: Draw, scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow
    import pyarrow.parquet

    def write(path: str, **columns: list[object]) -> None:
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / path)

    draw("deep/a.png")
    draw("b.png")
    write("deep/metadata.parquet", file_name=["a.png", "gone.png"], **{column: ["a red cat", "a dog"]})
    write("others.parquet", file_name=["elsewhere.png"], text=["a house"])
    write("drawings.parquet", image=[b"PNG"], text=["a tree"])
    found = scanned(tmp_path)
    assert said(found) == {"b.png": ("b",), "deep/a.png": ("a red cat",)}
    told = {problem.path: problem.reason for problem in found.problems}
    assert "1 drawings that it names are not here, such as “gone.png”" in told["deep/metadata.parquet"]
    assert "names none of the drawings" in told["others.parquet"] or "more files" in told["others.parquet"]
    assert "clip-atelier import" in told["drawings.parquet"]

    monkeypatch.setattr(parquet_tables, "find_spec", lambda _name: None)
    told = {problem.path: problem.reason for problem in scanned(tmp_path).problems}
    assert "pip install pyarrow" in told["deep/metadata.parquet"]
