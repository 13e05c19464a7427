"""What `--selftest` tries once, in no language: all that can be opened, taught and written.

Any of it may be left behind when a program is frozen.
"""

from __future__ import annotations

import base64
import gzip
import io
import sqlite3
import struct
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clip_atelier.engine.core import Control, UserError, WorkError, drive

if TYPE_CHECKING:
    from PIL import Image

    from clip_atelier.engine.runs import RunFolder

_WRITTEN_BY_PILLOW: Final = ("png", "jpg", "webp", "gif", "bmp", "tif", "avif", "pdf")
_MERGED_PICTURE: Final = {
    "ora": "mergedimage.png",
    "kra": "mergedimage.png",
    "procreate": "QuickLook/Thumbnail.png",
}
#: The drawing below as HEIC: nothing here can write that.
_HEIC: Final = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAA"
    "AAAERAAAEAAQAAAAABegABAAAAAAAAAKoAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA1mlwcnAA"
    "AAC3aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkA"
    "AAAwAAAwAeoDCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABgAAAA"
    "QAAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQIDBAAAALJtZGF0AAAApigBrwng4cP4rK7x+JP1sg9JF/95Xb/24Oy9OsZ/g6"
    "Cl1iQL3K+S6z0nRTl2LDBcnXsp2btQ/kx+Pv7H+teLhYK64MNyH3Nb+gpS24QvcKHmTmEmyjGinE1WBM9cPWBvRoH1ZTtbDs1Ku6c/m7o/rN0c"
    "v6/Th/9PFuBQV3ywBVWu3QzCeD9AtgwMCu6fwo5sDk66inLf+UpzveAPfvg0egglgmukN+A="
)
_SVG: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 64"><rect width="96" height="64" fill="#fff"/>'
    '<rect x="16" y="8" width="64" height="48" fill="#e02020"/></svg>'
)
#: What tokenizer_config.json of the families' models names. A frozen program holds few of the library's hundreds.
_TOKENIZERS: Final = (
    "CLIPTokenizer", "SiglipTokenizer", "Siglip2Tokenizer", "GemmaTokenizer", "BertTokenizer", "XLMRobertaTokenizer",
)  # fmt: skip
#: Of exports that are one file.
_SUFFIXES: Final = {"code": ".py", "csv": ".csv"}
_WORD: Final = "벚꽃나무 atelier"


class NotSo(Exception):  # noqa: N818 - not an error of the program: an answer
    """A check did not hold; the text says which and why."""


def reads_every_format(folder: Path) -> str:
    """Makes a drawing in each format, and reads it behind the gate."""
    from clip_atelier.engine.data import image_gate

    folder.mkdir()
    made = _drawing()
    for suffix in _WRITTEN_BY_PILLOW:
        made.save(folder / f"그림.{suffix}")
    picture = io.BytesIO()
    made.save(picture, "PNG")
    for suffix, inside in _MERGED_PICTURE.items():
        with zipfile.ZipFile(folder / f"그림.{suffix}", "w") as archive:
            archive.writestr(inside, picture.getvalue())
    (folder / "그림.clip").write_bytes(_clip_studio(picture.getvalue()))
    (folder / "그림.psd").write_bytes(_photoshop(made))
    (folder / "그림.heic").write_bytes(base64.b64decode(_HEIC))
    (folder / "그림.svg").write_text(_SVG, encoding="utf-8")
    (folder / "그림.svgz").write_bytes(gzip.compress(_SVG.encode()))
    files = sorted(folder.iterdir())
    for file in files:
        red, green, blue = _pixel(image_gate.load(file))
        if not (red > 180 and green < 90 and blue < 90):
            raise NotSo(f"{file.name} was read with the colour {(red, green, blue)} instead of red")
    return ", ".join(file.suffix[1:] for file in files)


def _drawing() -> Image.Image:
    from PIL import Image

    made = Image.new("RGB", (96, 64), "white")
    made.paste((224, 32, 32), (16, 8, 80, 56))
    return made


def _pixel(image: Image.Image) -> tuple[int, int, int]:
    found: Any = image.getpixel((image.width // 2, image.height // 2))
    return found[0], found[1], found[2]


def _clip_studio(picture: bytes) -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE CanvasPreview (ImageData BLOB)")
        database.execute("INSERT INTO CanvasPreview VALUES (?)", (picture,))
        database.commit()
        content = database.serialize()
    body = struct.pack(">8sQ", b"CHNKSQLi", len(content)) + content
    return struct.pack(">8sQQ", b"CSFCHUNK", 24 + len(body), 24) + body


def _photoshop(image: Image.Image) -> bytes:
    """A file with nothing but its merged picture, which is stored without compression, plane by plane."""
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, image.height, image.width, 8, 3)
    planes = b"".join(plane.tobytes() for plane in image.split())
    return head + struct.pack(">III", 0, 0, 0) + struct.pack(">H", 0) + planes


def opens_every_family() -> str:
    """Imports the code of each family, and of the tokenizers that their models name."""
    from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

    from clip_atelier.engine.models import families

    for family in families.FAMILIES.values():
        getattr(import_module(family.module), family.cls)
    missing = [name for name in _TOKENIZERS if tokenizer_class_from_name(name) is None]
    if missing:
        raise NotSo(f"the library does not find {', '.join(missing)}")
    return ", ".join(families.FAMILIES)


def teaches_a_word(run: RunFolder, drawings: Path, home: Path) -> str:
    """Teaches three drawings a name of our own and looks for it."""
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.parts import teaching
    from clip_atelier.engine.search import ModelRef, parse_query, search

    models = Models(home)
    chosen = sorted(drawings.rglob("*.webp"))[:3] or sorted(drawings.rglob("*.png"))[:3]
    taught = drive(teaching.teach(home, run.id, _WORD, chosen, models, Control()), _unheard)
    if _WORD not in [word.word for word in taught.words]:
        raise NotSo(f"the training does not know “{_WORD}”")
    found = drive(
        search(drawings, parse_query(f'"{_WORD}"'), ModelRef(run=run.id), models, Control(), 9), _unheard
    )
    names = {file.name for file in chosen}
    hits = [Path(hit.path).name for hit in found.adapted or ()]
    if not names & set(hits):
        raise NotSo(f"“{_WORD}” finds none of its drawings, but {hits[:3]}")
    return (
        f"“{_WORD}” finds {len(names & set(hits))} of its {len(names)} drawings among the first {len(hits)}"
    )


def exports_everything(run: RunFolder, home: Path, out: Path) -> str:
    """Writes the run in every form. From source a form whose package is not installed is passed over; frozen, only Parquet is."""
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.reports import exports

    out.mkdir()
    written: list[str] = []
    places = [(target, target) for target in exports.TARGETS] + [("embeddings", "embeddings.parquet")]
    for target, name in places:
        # Two steps seldom help, so what is kept may be the base.
        place = out / f"{name}{_SUFFIXES.get(target, '')}"
        work = exports.export(run, target, place, Models(home), Control(), even_the_base=True)  # type: ignore[arg-type]
        try:
            files = drive(work, _unheard).files
        except WorkError as error:
            # Parquet's library is as large as a tenth of the program, and is left out of it.
            if getattr(sys, "frozen", False) and place.suffix != ".parquet":
                raise NotSo(f"{name}: {error}") from error
            continue
        except UserError as error:
            # The starter reads its texts as open_clip's models do not, and says so.
            if target != "open_clip":
                raise NotSo(f"{name}: {error}") from error
            continue
        empty = [file for file in files if not Path(file).stat().st_size]
        if empty or not files:
            raise NotSo(f"{name}: {empty or 'nothing'} was written")
        written.append(name)
    compile((out / "code.py").read_text(encoding="utf-8"), "code.py", "exec")
    # What was exported is a model like any other.
    info = Models(home).add(out / "merged")
    return f"{', '.join(written)}; the merged model is added as “{info.name}”"


def _unheard(_event: object) -> None:
    """What happens meanwhile is not told."""


Step = tuple[str, Callable[[], str]]


def steps(run: RunFolder, drawings: Path, home: Path, folder: Path) -> tuple[Step, ...]:
    """All of it, with a name for each."""
    return (
        ("every format is read", lambda: reads_every_format(folder / "형식 formats")),
        ("every family can be opened", opens_every_family),
        ("a word is taught", lambda: teaches_a_word(run, drawings, home)),
        ("every export is written", lambda: exports_everything(run, home, folder / "내보냄 exports")),
    )
