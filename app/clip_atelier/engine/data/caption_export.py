"""What a scan understood of a folder's captions, written as other programs take it: one row a drawing, or as they have it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from clip_atelier.engine.core import UserError, WorkError, _, must_be_free, shown, write_whole
from clip_atelier.engine.data.names import stem
from clip_atelier.engine.data.records import Collection
from clip_atelier.engine.data.table_text import caption_cell

KINDS: Final = ("imagefolder", "open_clip", "coco", "kohya", "sidecars")
"""Hugging Face's image folder (.csv, .jsonl or .parquet), open_clip's CSV, COCO captions, kohya's meta JSON, text files."""
COLUMNS: Final = ("file_name", "text", "label", "pair", "role", "split")


def export_captions(collection: Collection, kind: str, out: Path) -> list[Path]:
    """Writes the captions; file names are relative to the collection's folder.

    Args:
        collection: As it was scanned.
        kind: One of `KINDS`.
        out: The file; for "sidecars" a folder, which gets NAME.txt for each drawing.

    Returns:
        The files written.

    Raises:
        UserError: `out` is there already, or its name does not end as the kind asks.
        WorkError: it cannot be written, or pyarrow is missing.
    """
    must_be_free(out, empty_folder=kind == "sidecars")
    if kind == "sidecars":
        return [*_sidecars(collection, out)]
    suffix = out.suffix.lower()
    writers: Mapping[tuple[str, str], Callable[[Collection], bytes]] = {
        ("imagefolder", ".csv"): _csv,
        ("imagefolder", ".jsonl"): _jsonl,
        ("imagefolder", ".parquet"): _parquet,
        ("open_clip", ".csv"): _open_clip,
        ("coco", ".json"): _coco,
        ("kohya", ".json"): _kohya,
    }
    if (kind, suffix) not in writers:
        endings = ", ".join(end for name, end in writers if name == kind)
        raise UserError(
            _("A file of the kind {kind} does not end in “{suffix}”.").format(kind=kind, suffix=suffix),
            _("Give it a name that ends in {endings}.").format(endings=endings),
            "out",
        )
    content = writers[kind, suffix](collection)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, content)
    return [out]


def _rows(collection: Collection, *, elsewhere: bool = False) -> Iterator[dict[str, Any]]:
    """One row a drawing.

    Args:
        collection: Where they are from.
        elsewhere: Whether a drawing of a further folder goes by its whole path: programs that look for files below the
            collection's folder find it then.
    """
    apart = {one.name for one in collection.further} if elsewhere else ()
    for item in collection.items:
        whole = item.path.partition("/")[0] in apart
        yield {
            "file_name": shown(collection.absolute(item) if whole else item.path),
            "text": list(item.captions),
            "label": item.label,
            "pair": item.pair,
            "role": item.role,
            "split": item.split,
        }


def _csv(collection: Collection) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for row in _rows(collection):
        rows.writerow(_cells(row))
    return text.getvalue().encode("utf-8-sig")


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [caption_cell(row[name]) if name == "text" else str(row[name]) for name in COLUMNS]


def _jsonl(collection: Collection) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(collection)).encode()


def _parquet(collection: Collection) -> bytes:
    if find_spec("pyarrow") is None:
        raise WorkError(
            _("Writing Parquet needs a package that is not installed: {name}.").format(name="pyarrow"),
            _("Install it with “pip install {name}”, or give a name that ends in .jsonl or .csv.").format(
                name="pyarrow"
            ),
        )
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(_rows(collection))), sink)
    return bytes(sink.getvalue().to_pybytes())


def _open_clip(collection: Collection) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, delimiter="\t", lineterminator="\n")
    rows.writerow(("filepath", "title"))
    rows.writerows(
        (row["file_name"], caption) for row in _rows(collection, elsewhere=True) for caption in row["text"]
    )
    return text.getvalue().encode()


def _coco(collection: Collection) -> bytes:
    images, notes = [], []
    for number, (item, row) in enumerate(
        zip(collection.items, _rows(collection, elsewhere=True), strict=True), start=1
    ):
        images.append(
            {"id": number, "file_name": row["file_name"], "width": item.width, "height": item.height}
        )
        notes += [{"image_id": number, "caption": caption} for caption in item.captions]
    numbered = [{"id": number, **note} for number, note in enumerate(notes, start=1)]
    return json.dumps({"images": images, "annotations": numbered}, ensure_ascii=False).encode()


def _kohya(collection: Collection) -> bytes:
    # Several captions are lines of one, as sd-scripts' wildcards have them.
    meta = {
        stem(row["file_name"]): {"caption": "\n".join(row["text"])}
        for row in _rows(collection, elsewhere=True)
    }
    return json.dumps(meta, ensure_ascii=False, indent=1).encode()


def _sidecars(collection: Collection, out: Path) -> Iterator[Path]:
    for item in collection.items:
        file = out / f"{stem(item.path)}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, "".join(f"{caption}\n" for caption in item.captions).encode("utf-8", "replace"))
        yield file
