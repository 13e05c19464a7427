"""AVIF, PDF pages, Procreate and Clip Studio files, made here for real: what is read of them, and how the broken ones are named."""

from __future__ import annotations

import io
import random
import sqlite3
import struct
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from clip_atelier.engine.core import UserError, document_of_page, original, page_name, page_number
from clip_atelier.engine.data import Collection, Split, documents, image_gate, split
from clip_atelier.engine.data.clip_studio import preview
from clip_atelier.engine.data.layered import NoPicture
from clip_atelier.engine.settings import DataSettings

Scan = Callable[..., Collection]
Draw = Callable[..., Path]


def drawing(number: int = 0, size: tuple[int, int] = (120, 80)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((10 + 5 * number, 10, 50 + 5 * number, 50), outline="black", width=4)
    pen.line((5, 70 - 9 * number, 110, 60), "black", 3)
    return image


def scribble(seed: str) -> Image.Image:
    """Lines by chance: resembles no other scribble, so that nothing but its document keeps it with others."""
    chance = random.Random(seed)
    image = Image.new("RGB", (96, 96), "white")
    pen = ImageDraw.Draw(image)
    for _line in range(5):
        pen.line([(chance.randrange(96), chance.randrange(96)) for _point in range(3)], "black", 5)
    return image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pdf(path: Path, pages: Sequence[Image.Image]) -> Path:
    """A PDF of these pages; always the same bytes, as the order of a split depends on them."""
    made = time.gmtime(0)
    pages[0].save(
        path,
        "PDF",
        save_all=True,
        append_images=list(pages[1:]),
        resolution=72,
        creationDate=made,
        modDate=made,
    )
    return path


def drawn_pdf(content: bytes, box: bytes = b"0 0 200 100") -> bytes:
    """A PDF of one page with these drawing commands, written by hand."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [" + box + b"] /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in offsets)
    return bytes(out + b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start)


def clip(path: Path, statements: Sequence[tuple[str, Sequence[object]]]) -> Path:
    """A Clip Studio file: chunks, one of which is a database that these statements made."""
    database = sqlite3.connect(":memory:")
    for statement, values in statements:
        database.execute(statement, values)
    database.commit()
    content = database.serialize()
    database.close()
    chunks = [
        (b"CHNKHead", b"\0" * 40),
        (b"CHNKExta", b"\0" * 100),
        (b"CHNKSQLi", content),
        (b"CHNKFoot", b""),
    ]
    body = b"".join(struct.pack(">8sQ", kind, len(data)) + data for kind, data in chunks)
    path.write_bytes(struct.pack(">8sQQ", b"CSFCHUNK", 24 + len(body), 24) + body)
    return path


TABLE = ("CREATE TABLE CanvasPreview (MainId INTEGER, ImageType INTEGER, ImageData BLOB)", ())


def close(found: Image.Image, expected: Image.Image) -> bool:
    """Whether two pictures look the same, at the size of the second."""
    small = np.asarray(found.resize(expected.size, Image.Resampling.BOX), dtype=float)
    return found.mode == "RGB" and float(np.abs(small - np.asarray(expected, dtype=float)).mean()) < 6


def reason(path: Path) -> str:
    with pytest.raises(image_gate.ImageProblem) as caught:
        image_gate.load(path)
    assert original(path).name in str(caught.value) or path.name in str(caught.value)
    return caught.value.reason


def test_avif(tmp_path: Path) -> None:
    drawing().save(tmp_path / "a.avif", quality=90)
    assert close(image_gate.load(tmp_path / "a.avif"), drawing())


def test_white_ink_in_avif_lies_on_a_ground_that_shows_it(tmp_path: Path) -> None:
    ink = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    ink.paste((255, 255, 255, 255), (16, 16, 32, 32))
    ink.save(tmp_path / "a.avif", quality=100)
    found = image_gate.load(tmp_path / "a.avif")
    assert found.getpixel((0, 0)) == (40, 40, 40)
    assert min(np.asarray(found)[24, 24]) > 250


def test_broken_avif(tmp_path: Path) -> None:
    content = encoded(drawing(), "AVIF")
    (tmp_path / "short.avif").write_bytes(content[: len(content) * 2 // 3])
    assert "Save or copy it again." in reason(tmp_path / "short.avif") or "known kind" in reason(
        tmp_path / "short.avif"
    )


def test_avif_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing().save(tmp_path / "a.avif")
    monkeypatch.setattr(image_gate, "MAX_PIXELS", 5_000)
    assert "more than are read" in reason(tmp_path / "a.avif")


def test_procreate(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.procreate", "w") as archive:
        archive.writestr("Document.archive", b"bplist00")
        archive.writestr("QuickLook/Thumbnail.png", encoded(drawing()))
    assert close(image_gate.load(tmp_path / "a.procreate"), drawing())


def test_procreate_without_its_picture(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.procreate", "w") as archive:
        archive.writestr("Document.archive", b"bplist00")
    assert "no merged picture" in reason(tmp_path / "a.procreate")


def test_clip_studio(tmp_path: Path) -> None:
    insert = ("INSERT INTO CanvasPreview VALUES (1, 1, ?)", (encoded(drawing()),))
    assert close(image_gate.load(clip(tmp_path / "a.clip", [TABLE, insert])), drawing())


def test_clip_studio_without_a_preview(tmp_path: Path) -> None:
    assert "no preview" in reason(clip(tmp_path / "empty.clip", [TABLE]))
    assert "damaged" in reason(clip(tmp_path / "other.clip", [("CREATE TABLE Layer (MainId)", ())]))
    number = ("INSERT INTO CanvasPreview VALUES (1, 1, 7)", ())
    assert "no preview" in reason(clip(tmp_path / "number.clip", [TABLE, number]))


def test_broken_clip_studio(tmp_path: Path) -> None:
    insert = ("INSERT INTO CanvasPreview VALUES (1, 1, ?)", (encoded(drawing()),))
    content = clip(tmp_path / "a.clip", [TABLE, insert]).read_bytes()
    at = content.index(b"CHNKSQLi")
    broken = {
        "short": content[: at + 1000],
        "header": content[:24],
        "noise": content[:40] + b"?" * (len(content) - 40),
        "database": content[: at + 16] + b"?" * 4000 + content[at + 4016 :],
        "long": content[: at + 8] + struct.pack(">Q", 1 << 40) + content[at + 16 :],
    }
    for name, damaged in broken.items():
        (tmp_path / f"{name}.clip").write_bytes(damaged)
        assert "PNG" in reason(tmp_path / f"{name}.clip"), name


def test_a_clip_studio_file_that_asks_without_end_is_given_up(tmp_path: Path) -> None:
    endless = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) AS ImageData FROM n"
    )
    made = clip(tmp_path / "a.clip", [(f"CREATE VIEW CanvasPreview AS {endless}", ())])
    with made.open("rb") as file, pytest.raises(NoPicture, match="interrupted"):
        preview(file)


def test_each_page_of_a_pdf_is_a_drawing(scanned: Scan, tmp_path: Path) -> None:
    pdf(tmp_path / "my-Book.pdf", [drawing(number) for number in range(3)])
    found = scanned()
    assert [item.path for item in found.items] == [f"my-Book.pdf/page {number:03}" for number in (1, 2, 3)]
    assert {item.captions for item in found.items} == {("my book",)}
    assert len({item.digest for item in found.items}) == 3
    assert found.problems == ()
    for number, item in enumerate(found.items):
        picture = image_gate.load(found.absolute(item), digest=item.digest)
        assert max(picture.size) == documents.SIDE
        assert picture.size == (item.width, item.height)
        assert close(picture, drawing(number))
        assert original(found.absolute(item)) == tmp_path / "my-Book.pdf"
        assert image_gate.digest_of(found.absolute(item)) == item.digest
        assert max(image_gate.thumbnail(found.absolute(item), 64).size) == 64


def test_unchanged_pages_are_known_again_and_changed_ones_are_read(
    scanned: Scan, tmp_path: Path, home: Path
) -> None:
    book = pdf(tmp_path / "book.pdf", [drawing(0), drawing(1)])
    first = scanned(cache=home / "scan.db")
    assert scanned(cache=home / "scan.db").fingerprint == first.fingerprint
    pdf(book, [drawing(0), drawing(2), drawing(3)])
    second = scanned(cache=home / "scan.db")
    assert len(second.items) == 3
    assert not {item.digest for item in first.items} & {item.digest for item in second.items}
    with pytest.raises(image_gate.ImageProblem, match="replaced"):
        image_gate.load(first.absolute(first.items[1]), digest=first.items[1].digest)


def test_a_document_of_one_page_goes_by_its_own_name(scanned: Scan, tmp_path: Path) -> None:
    pdf(tmp_path / "cat.pdf", [drawing()])
    (item,) = scanned().items
    assert (item.path, item.captions) == ("cat.pdf", ("cat",))


def test_a_table_gives_captions_to_pages(scanned: Scan, tmp_path: Path) -> None:
    pdf(tmp_path / "book.pdf", [drawing(0), drawing(1)])
    (tmp_path / "metadata.csv").write_text(
        "file_name,text\nbook.pdf/page 001,a round hill\nbook.pdf/page 002,a moon\n", encoding="utf-8"
    )
    assert [item.captions for item in scanned().items] == [("a round hill",), ("a moon",)]


def test_a_folder_of_pages_is_no_class(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("cats/a.png")
    draw("dogs/b.png")
    pdf(tmp_path / "dogs" / "c.pdf", [drawing(0), drawing(1)])
    labels = {item.path: item.label for item in scanned().items}
    assert labels == {"cats/a.png": "cats", "dogs/b.png": "dogs", "dogs/c.pdf/page 001": "dogs", "dogs/c.pdf/page 002": "dogs"}  # fmt: skip


def parts(found: Split) -> dict[int, str]:
    return {i: name for name in ("train", "validation", "test") for i in getattr(found, name)}


def test_pages_of_one_document_stay_on_one_side_of_the_split(
    scanned: Scan, draw: Draw, tmp_path: Path
) -> None:
    for number in range(20):
        draw(f"{number}.png", text=f"drawing {number}")
    rows = ["file_name,text"]
    for name in ("one", "two", "three"):
        pdf(tmp_path / f"{name}.pdf", [scribble(f"{name} {page}") for page in range(4)])
        rows += [f"{name}.pdf/page {page:03},{name} {page}" for page in range(1, 5)]
    (tmp_path / "metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    collection = scanned()
    assert len(collection.items) == 32
    assert collection.duplicates == ()
    seen = set()
    for seed in range(20):
        where = parts(split(collection, DataSettings(validation=0.3, test=0.2), seed))
        for name in ("one", "two", "three"):
            sides = {
                where[i] for i, item in enumerate(collection.items) if item.path.startswith(f"{name}.pdf/")
            }
            assert len(sides) == 1
            seen |= sides
    assert len(seen) > 1  # documents are not all in one part whatever the seed


def test_a_collection_that_is_one_document_says_why_it_cannot_be_split(scanned: Scan, tmp_path: Path) -> None:
    pdf(tmp_path / "book.pdf", [drawing(number) for number in range(6)])
    with pytest.raises(UserError) as caught:
        split(scanned(), DataSettings(), 0)
    assert "pages of one PDF stay together" in caught.value.hint


def test_pages_beyond_the_bound_are_named(
    scanned: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_PAGES", 2)
    pdf(tmp_path / "book.pdf", [drawing(number) for number in range(4)])
    found = scanned()
    assert len(found.items) == 2
    (problem,) = found.problems
    assert problem.path == "book.pdf"
    assert "has 4 pages; the first 2 are read" in problem.reason


def test_a_blank_page_is_named_and_the_others_are_read(scanned: Scan, tmp_path: Path) -> None:
    pdf(tmp_path / "book.pdf", [drawing(0), Image.new("RGB", (120, 80), "white"), drawing(1)])
    found = scanned()
    assert [item.path for item in found.items] == ["book.pdf/page 001", "book.pdf/page 003"]
    (problem,) = found.problems
    assert problem.path == "book.pdf/page 002"
    assert "Nothing is drawn" in problem.reason


def test_broken_documents_are_named(scanned: Scan, draw: Draw, tmp_path: Path) -> None:
    draw("a.png")
    content = pdf(tmp_path / "whole.pdf", [drawing()]).read_bytes()
    (tmp_path / "short.pdf").write_bytes(content[:60])
    (tmp_path / "noise.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)
    (tmp_path / "empty.pdf").write_bytes(b"")
    (tmp_path / "text.pdf").write_bytes(b"not a document")
    found = scanned()
    assert [item.path for item in found.items] == ["a.png", "whole.pdf"]
    reasons = {problem.path: problem.reason for problem in found.problems}
    assert "damaged" in reasons["short.pdf"]
    assert "damaged" in reasons["noise.pdf"]
    assert "empty" in reasons["empty.pdf"]
    assert "not an image of a known kind" in reasons["text.pdf"]


def test_vector_pages_are_drawn_on_white_at_the_bounded_size(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(drawn_pdf(b"1 0 0 rg 0 0 100 100 re f"))
    found = image_gate.load(tmp_path / "a.pdf")
    assert found.size == (1600, 800)
    assert (found.getpixel((400, 400)), found.getpixel((1200, 400))) == ((255, 0, 0), (255, 255, 255))
    (tmp_path / "huge.pdf").write_bytes(drawn_pdf(b"0 0 9 9 re f", b"0 0 1000000 1000000"))
    assert image_gate.load(tmp_path / "huge.pdf").size == (1600, 1600)
    (tmp_path / "thin.pdf").write_bytes(drawn_pdf(b"0 0 9 9 re f", b"0 0 14000 1"))
    assert image_gate.load(tmp_path / "thin.pdf").size == (1600, 1)


def test_a_page_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pdf").write_bytes(drawn_pdf(b"0 0 m 200 100 l S 200 0 m 0 100 l S\n" * 20_000))
    with (tmp_path / "a.pdf").open("rb") as file, pytest.raises(documents.NoPage, match="too long"):
        documents.page(file, 1, seconds=0.0)
    monkeypatch.setattr(documents, "MAX_BYTES", 1_000)
    assert "larger than what is read" in reason(tmp_path / "a.pdf")


def test_a_page_that_is_not_there(tmp_path: Path) -> None:
    pdf(tmp_path / "a.pdf", [drawing(0), drawing(1)])
    assert "no page 3" in reason(tmp_path / "a.pdf" / "page 003")


def test_names_of_pages(tmp_path: Path) -> None:
    assert page_name("x/b.PDF", 7) == "x/b.PDF/page 007"
    assert document_of_page("x/b.PDF/page 007") == "x/b.PDF"
    assert page_number("x/b.PDF/page 007") == 7
    for path in ("x/b.pdf", "x/page 007", "page 007", "b.pdf/page 7", "b.pdf/page 007.png"):
        assert (document_of_page(path), page_number(path)) == ("", 0)
        assert original(Path(path)) == Path(path)
    (tmp_path / "folder.pdf").mkdir()
    assert original(tmp_path / "folder.pdf" / "page 001") == tmp_path / "folder.pdf" / "page 001"
