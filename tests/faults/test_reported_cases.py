"""What people report of programs like this one: each small input as they made it, and the result that is right."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import Collection, image_gate, scan
from clip_atelier.engine.data.caption_text import as_words
from clip_atelier.engine.settings import DataSettings

Make = Callable[[str], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Draws something different under each name."""

    def draw(name: str) -> Path:
        seed = sum(map(ord, name))
        image = Image.new("RGB", (120, 120), "white")
        ImageDraw.Draw(image).rectangle((seed % 40, seed % 31, 60 + seed % 50, 50 + seed % 60), "black")
        image.save(tmp_path / name)
        return tmp_path / name

    return draw


def scanned(folder: Path, **data: object) -> Collection:
    return drive(scan(folder, DataSettings.model_validate(data), Control()))


def said(folder: Path, **data: object) -> dict[str, tuple[str, ...]]:
    return {item.path: item.captions for item in scanned(folder, **data).items}


# Tags broken over lines

TAGS = "fox,\nred scarf,\nsnow, night,\nfull body"


@pytest.mark.parametrize(("text", "expected"), [
    (TAGS, ["fox, red scarf, snow, night, full body"]),
    (TAGS.replace("\n", "\r\n") + ",\r\n", ["fox, red scarf, snow, night, full body"]),
    ("여우，\n빨간 목도리、\n눈", ["여우， 빨간 목도리、 눈"]),
    ("fox,\n\nred scarf\na second one", ["fox, red scarf", "a second one"]),
    ("a fox, sitting\na red fox", ["a fox, sitting", "a red fox"]),
    ("one,", ["one,"]),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["sidecar", "table"])
def test_a_line_that_ends_in_a_comma_goes_on(
    make: Make, tmp_path: Path, text: str, expected: list[str], kind: str
) -> None:
    make("a.png")
    if kind == "sidecar":
        (tmp_path / "a.txt").write_bytes(text.encode())
    else:
        (tmp_path / "metadata.csv").write_bytes(f'file_name,text\na.png,"{text}"\n'.encode())
    assert said(tmp_path)["a.png"] == tuple(expected)


def test_it_is_told_which_it_was_taken_for_and_can_be_had_otherwise(make: Make, tmp_path: Path) -> None:
    make("a.png")
    (tmp_path / "a.txt").write_text(TAGS)
    assert scanned(tmp_path).remarks[0].startswith("Captions put together from several lines: 1.")
    each = scanned(tmp_path, caption_lines="each")
    assert each.items[0].captions == ("fox,", "red scarf,", "snow, night,", "full body")
    assert each.remarks == ()
    (tmp_path / "a.txt").write_text("a fox that\nsits in snow")
    assert said(tmp_path, caption_lines="one")["a.png"] == ("a fox that sits in snow",)
    assert said(tmp_path)["a.png"] == ("a fox that", "sits in snow")


def test_a_json_list_is_taken_as_it_is(make: Make, tmp_path: Path) -> None:
    make("a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "text": ["fox,", "red scarf"]}')
    assert said(tmp_path)["a.png"] == ("fox,", "red scarf")


# Caption files named after the whole file


def test_a_caption_file_named_after_the_whole_file_is_read(make: Make, tmp_path: Path) -> None:
    for name in ("b.jpg", "C.PNG", "d.jpg", "d.png", "e.png", "f.png"):
        make(name)
    files = {
        "b.jpg.txt": "a blue heron at dawn", "C.TXT": "a copper kettle", "d.txt": "two files one caption",
        "e.png.caption": "by another suffix", "f.png.txt": "", "f.txt": "the other is empty",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = scanned(tmp_path)
    assert {item.path: item.captions[0] for item in found.items} == {
        "b.jpg": "a blue heron at dawn", "C.PNG": "a copper kettle", "d.jpg": "two files one caption",
        "d.png": "two files one caption", "e.png": "by another suffix", "f.png": "the other is empty",
    }  # fmt: skip
    assert found.problems == ()


def test_where_two_caption_files_are_about_one_image_it_is_said_which_wins(
    make: Make, tmp_path: Path
) -> None:
    make("d.jpg")
    make("d.png")
    (tmp_path / "d.jpg.txt").write_text("its own")
    (tmp_path / "d.txt").write_text("of both")
    found = scanned(tmp_path)
    assert [item.captions for item in found.items] == [("its own",), ("of both",)]
    assert [(p.path, p.reason) for p in found.problems] == [
        ("d.jpg", "Two caption files are about this image; “d.jpg.txt” is used, “d.txt” is not.")
    ]
    (tmp_path / "d.txt").write_text("its own")
    assert scanned(tmp_path).problems == ()  # they say the same


# Tags as image boards and their tools write them


@pytest.mark.parametrize(("written", "words"), [
    ("1girl, long_hair, hatsune_miku_\\(cosplay\\), (masterpiece:1.2), <lora:foo:0.8>, looking_at_viewer",
     "1girl, long hair, hatsune miku (cosplay), masterpiece, looking at viewer"),
    ("((red fox:1.1) in snow:0.9)", "red fox in snow"), ("^_^, >_<, o_o, 0_0, blue_sky", "^_^, >_<, o_o, 0_0, blue sky"),
    ("a fox (drawn in ink), 5:30 pm", "a fox (drawn in ink), 5:30 pm"), ("파란_하늘, 긴_머리", "파란 하늘, 긴 머리"),
    ("<lora:a:1><hypernet:b:0.5>", ""), ("plain words ,  stay", "plain words ,  stay"), ("C:\\art\\fox", "C:\\art\\fox"),
    ("fate_(series), saber_(fate)", "fate (series), saber (fate)"), ("re:zero, __init__", "re:zero, __init__"),
])  # fmt: skip
def test_tags_as_words(written: str, words: str) -> None:
    assert as_words(written) == words


def test_tags_reach_the_model_as_words_and_the_file_stays(make: Make, tmp_path: Path) -> None:
    make("a.png")
    make("b.png")
    text = "long_hair, (night:1.2)"
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "metadata.csv").write_text('file_name,text,label\nb.png,"<lora:x:1>, snow_fox",arctic_fox\n')
    found = scanned(tmp_path)
    assert [item.captions for item in found.items] == [("long hair, night",), ("snow fox",)]
    assert found.items[1].label == "arctic_fox"
    assert "read as words: 2." in found.remarks[0]
    assert (tmp_path / "a.txt").read_text() == text
    kept = scanned(tmp_path, tags="as_written")
    assert [item.captions for item in kept.items] == [(text,), ("<lora:x:1>, snow_fox",)]
    assert kept.remarks == ()


# Layered files without a merged picture


def layered(
    *layers: tuple[tuple[int, int], Image.Image, dict[str, object]],
    size: tuple[int, int] = (64, 48),
    merged: object = "white",
    says: int | None = None,
) -> bytes:
    """A Photoshop file of RGB layers (the lowest first, RGBA pictures at a place), its merged picture of one colour."""
    records, pixels = b"", b""
    for (left, top), picture, how in layers:
        channels = b""
        for kind, band in zip((0, 1, 2, -1), picture.split(), strict=True):
            if how.get("packed"):
                rows = [
                    b"".join(bytes((0, value)) for value in band.crop((0, y, band.width, y + 1)).tobytes())
                    for y in range(band.height)
                ]
                data = (
                    struct.pack(">H", 1)
                    + b"".join(struct.pack(">H", len(row)) for row in rows)
                    + b"".join(rows)
                )
            else:
                data = struct.pack(">H", 0) + band.tobytes()
            channels += struct.pack(">hI", kind, len(data))
            pixels += data
        name = b"\x01a\x00\x00"
        extra = struct.pack(">II", 0, 0) + name
        for key, value in how.get("blocks", {}).items():  # type: ignore[attr-defined]
            extra += b"8BIM" + key + struct.pack(">I", len(value)) + value
        records += struct.pack(">iiiiH", top, left, top + picture.height, left + picture.width, 4) + channels
        records += b"8BIM" + bytes(how.get("mode", b"norm"))  # type: ignore[call-overload]
        records += (
            struct.pack(
                ">BBBxI", how.get("opacity", 255), how.get("clipping", 0), how.get("flags", 0), len(extra)
            )
            + extra
        )
    info = struct.pack(">h", len(layers)) + records + pixels
    info += b"\0" * (len(info) % 2)
    resource = (
        b"" if says is None else b"8BIM" + struct.pack(">HHI", 1057, 0, 6) + struct.pack(">IBx", 1, says)
    )
    whole = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, size[1], size[0], 8, 3) + struct.pack(">I", 0)
    whole += struct.pack(">I", len(resource)) + resource
    whole += struct.pack(">II", len(info) + 4, len(info)) + info
    flat = Image.new("RGB", size, merged)  # type: ignore[arg-type]
    return whole + struct.pack(">H", 0) + b"".join(band.tobytes() for band in flat.split())


RED = Image.new("RGBA", (20, 10), (200, 0, 0, 255))
BLUE = Image.new("RGBA", (30, 30), (0, 0, 250, 255))


def test_plain_layers_are_laid_over_each_other(tmp_path: Path) -> None:
    ink = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    ImageDraw.Draw(ink).line((0, 0, 15, 15), (10, 20, 30, 255))
    file = tmp_path / "layers.psd"
    file.write_bytes(layered(
        ((-5, -5), BLUE, {"packed": True}), ((10, 8), RED, {"opacity": 128}), ((0, 0), BLUE, {"flags": 2}), ((40, 20), ink, {}),
    ))  # fmt: skip
    expected = Image.new("RGBA", (64, 48), "white")
    expected.paste(BLUE, (-5, -5))
    half = RED.copy()
    half.putalpha(128)
    expected.alpha_composite(half, (10, 8))
    expected.alpha_composite(ink, (40, 20))
    found = image_gate.load(file)
    worst = max(abs(a - b) for a, b in zip(found.tobytes(), expected.convert("RGB").tobytes(), strict=True))
    assert worst <= 1
    collection = scanned(tmp_path)
    assert [item.path for item in collection.items] == ["layers.psd"]
    assert collection.problems == ()


def test_a_layer_that_fills_the_page_with_one_colour_is_something(tmp_path: Path) -> None:
    (tmp_path / "layers.psd").write_bytes(layered(((0, 0), RED.resize((64, 48)), {})))
    (item,) = scanned(tmp_path).items
    assert image_gate.load(tmp_path / item.path).getpixel((3, 3)) == (200, 0, 0)


GROUP = Image.new("RGBA", (0, 0))
LSCT = b"lsct"


def test_groups_that_are_shown_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.psd").write_bytes(layered(
        ((0, 0), GROUP, {"blocks": {LSCT: struct.pack(">I", 3)}}), ((4, 4), RED, {}),
        ((0, 0), GROUP, {"mode": b"pass", "blocks": {LSCT: struct.pack(">I", 1)}}),
    ))  # fmt: skip
    assert image_gate.load(tmp_path / "a.psd").getpixel((5, 5)) == (200, 0, 0)


@pytest.mark.parametrize("how", [
    {"mode": b"mul "}, {"clipping": 1}, {"blocks": {b"curv": b"\0\0"}}, {"blocks": {b"lfx2": b"\0" * 4}}, {"blocks": {b"vmsk": b""}},
])  # fmt: skip
def test_layers_that_are_not_plain_are_told_with_the_way_out(tmp_path: Path, how: dict[str, object]) -> None:
    (tmp_path / "a.psd").write_bytes(layered(((4, 4), RED, {}), ((8, 8), BLUE, how)))
    with pytest.raises(image_gate.ImageProblem, match="without its merged picture.*maximised compatibility"):
        image_gate.load(tmp_path / "a.psd")


@pytest.mark.parametrize("flags", [2, 0])
def test_hidden_groups_are_not_guessed_at(tmp_path: Path, flags: int) -> None:
    (tmp_path / "a.psd").write_bytes(layered(
        ((0, 0), GROUP, {"blocks": {LSCT: struct.pack(">I", 3)}}), ((4, 4), RED, {}),
        ((0, 0), GROUP, {"mode": b"pass", "flags": flags, "opacity": 100, "blocks": {LSCT: struct.pack(">I", 1)}}),
    ))  # fmt: skip
    with pytest.raises(image_gate.ImageProblem, match="maximised"):
        image_gate.load(tmp_path / "a.psd")


@pytest.mark.parametrize(("content", "pixel"), [
    (layered(((4, 4), RED, {}), merged="lime", says=1), (0, 255, 0)),  # a page of one colour that is real
    (layered(((4, 4), RED, {"flags": 2})), (255, 255, 255)),
])  # fmt: skip
def test_a_merged_picture_that_is_really_of_one_colour_stays(
    tmp_path: Path, content: bytes, pixel: object
) -> None:
    (tmp_path / "a.psd").write_bytes(content)
    assert image_gate.load(tmp_path / "a.psd").getpixel((6, 6)) == pixel


def test_a_damaged_layered_file_is_a_named_problem_at_every_cut_and_flip(tmp_path: Path) -> None:
    content = layered(((4, 4), RED, {"packed": True}), ((8, 8), BLUE, {}))
    start = content.index(b"8BIM") - 60
    file = tmp_path / "a.psd"
    for place in [*range(20, 400, 7), *range(start, start + 80)]:
        for damaged in (
            content[:place],
            content[:place] + bytes((content[place] ^ 0x81,)) + content[place + 1 :],
        ):
            file.write_bytes(damaged)
            with contextlib.suppress(image_gate.ImageProblem):
                assert image_gate.load(file).mode == "RGB"
