"""An ordinary folder of drawings with metadata.csv, made of the stores of other programs.

Each kind of store is one file that yields `Sample`s: `webdataset`, `arrow_tables`. Nothing is overwritten, what was written
before is not written again, and after a stop or a crash the same call goes on.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import Field

from clip_atelier.engine.core import (
    Control,
    Phase,
    ProblemFound,
    Progress,
    Record,
    Text,
    UserError,
    Work,
    _,
    nothing_at,
    read_kept,
    shown,
    write_document,
    write_whole,
)
from clip_atelier.engine.data import arrow_tables, webdataset
from clip_atelier.engine.data.records import Problem, ScanProblem
from clip_atelier.engine.data.samples import Sample

SCHEMA = 1
MARK: Final = ".clip-atelier-import.json"
"""Lies in a folder that is made here and says of what, so that the same call goes on and no other writes into it."""

READERS: Final[Mapping[str, Callable[[Path, list[Problem], Control], Iterator[Sample]]]] = {
    ".tar": webdataset.samples, ".tgz": webdataset.samples, ".tar.gz": webdataset.samples,
    ".parquet": arrow_tables.samples, ".arrow": arrow_tables.samples,
}  # fmt: skip

_SIGNATURES: Final = (
    (b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".gif"), (b"BM", ".bmp"), (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"), (b"8BPS", ".psd"),
)  # fmt: skip


class ImportMark(Record):
    """Of what a folder is made."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    sources: tuple[Text, ...]


class ImportSummary(Record):
    """What `import` made.

    Attributes:
        drawings: Pictures in the folder, those of an earlier call with the same sources too.
        written: Of them, written now.
        captions: All of them together.
        problems: What could not be taken, by file and place.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    drawings: int
    written: int
    captions: int
    labels: int
    problems: tuple[ScanProblem, ...] = ()


def import_drawings(sources: Sequence[Path], out: Path, control: Control) -> Work[ImportSummary]:
    """Makes a folder of drawings of what other programs keep in one file for many.

    Args:
        sources: WebDataset shards, Parquet and Arrow files, or folders of them.
        out: The folder to make.
        control: Stop and pause; what was written stays, with its captions, and the same call goes on.

    Raises:
        UserError: a source is missing or of no known kind, or the folder holds something else.
        WorkError: the disk is full.
    """
    files = list(_files(sources))
    _claim(out, files)
    yield Phase(name="import", title=_("Importing"))
    problems: list[Problem] = []
    rows: list[tuple[str, Sample]] = []
    used: set[str] = set()
    written = told = 0
    try:
        for done, file in enumerate(files):
            for sample in READERS[_kind(file)](file, problems, control):
                for problem in problems[told:]:
                    yield ProblemFound(path=problem.path, reason=problem.reason)
                told = len(problems)
                suffix = _suffix(sample.image)
                if not suffix:
                    problems.append(
                        Problem(f"{file.name}/{sample.name}", _("It is no picture of a known kind."))
                    )
                    continue
                name = _free(_safe(sample.name), suffix, used)
                written += _put(out / name, sample.image)
                rows.append((name, sample._replace(image=b"")))
                if len(rows) % 64 == 0:
                    yield Progress(done=done, total=len(files), item=name)
            yield Progress(done=done + 1, total=len(files), item=file.name)
    finally:
        if rows:
            write_whole(
                out / "metadata.csv", _table(rows), _("Free some space there, or choose another folder.")
            )
    for problem in problems[told:]:
        yield ProblemFound(path=problem.path, reason=problem.reason)
    if not rows:
        raise UserError(
            _("There is no picture in “{name}”.").format(name=shown(sources[0])),
            problems[0].reason if problems else _("Choose another file or folder."),
        )
    return ImportSummary(
        folder=str(out), drawings=len(rows), written=written,
        captions=sum(len(sample.captions) for _name, sample in rows),
        labels=len({sample.label for _name, sample in rows if sample.label}),
        problems=tuple(ScanProblem(path=one.path, reason=one.reason) for one in problems),
    )  # fmt: skip


def _kind(file: Path) -> str:
    return next((suffix for suffix in READERS if file.name.lower().endswith(suffix)), "")


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    """Every file of a known kind, those of folders in the order of their names."""
    for source in sources:
        if source.is_dir():
            found = sorted(
                f for f in source.rglob("*") if f.is_file() and _kind(f) and not f.name.startswith(".")
            )
            if not found:
                raise UserError(_("“{name}” holds nothing to import.").format(name=shown(source)), _known())
            yield from found
        elif not source.exists():
            raise nothing_at(source)
        elif not _kind(source):
            raise UserError(
                _("“{name}” is of no kind that can be imported.").format(name=shown(source)), _known()
            )
        else:
            yield source


def _known() -> str:
    return _(
        "WebDataset (.tar), Parquet (.parquet) and the Arrow files of datasets (.arrow) can be imported."
    )


def _claim(out: Path, files: Sequence[Path]) -> None:
    """Marks the folder as ours.

    Raises:
        UserError: it holds something else.
    """
    mark = ImportMark(sources=tuple(str(file.resolve()) for file in files))
    if (
        out.exists()
        and (not out.is_dir() or any(out.iterdir()))
        and read_kept(out / MARK, ImportMark) != mark
    ):
        raise UserError(
            _("“{folder}” is there already and holds something else.").format(folder=shown(out)),
            _("Choose a folder that is empty or not there yet; nothing is overwritten."),
            "out",
        )
    write_document(out / MARK, mark)


def _suffix(image: bytes) -> str:
    """The suffix of a picture by its first bytes, "" for none that is read here."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return ".webp"
    if image[4:12] in (b"ftypavif", b"ftypavis"):
        return ".avif"
    return next((suffix for start, suffix in _SIGNATURES if image.startswith(start)), "")


def _safe(name: str) -> str:
    """A name that stays in its folder on every system; folders stay, as classes are often told by them."""
    parts = [
        re.sub(r"[^\w .,()+-]", "_", part).strip(" .")[:120] for part in name.replace("\\", "/").split("/")
    ]
    return posixpath.join(*([part for part in parts if part] or ["drawing"]))


def _free(name: str, suffix: str, used: set[str]) -> str:
    """The name with its suffix, numbered where another picture of this import has it (letters of either case alike)."""
    found, number = f"{name}{suffix}", 1
    while found.casefold() in used:
        number += 1
        found = f"{name} {number}{suffix}"
    used.add(found.casefold())
    return found


def _put(file: Path, content: bytes) -> bool:
    """Writes a picture, unless it is there; whether it was written."""
    try:
        there = file.stat().st_size == len(content) and file.read_bytes() == content
    except OSError:
        there = False
    if not there:
        write_whole(file, content, _("Free some space there, or choose another folder."))
    return not there


def _table(rows: Sequence[tuple[str, Sample]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    more = [name for name in ("label", "split") if any(getattr(sample, name) for _file, sample in rows)]
    writer.writerow(["file_name", "text", *more])
    for name, sample in rows:
        captions = sample.captions
        cell = (
            captions[0]
            if len(captions) == 1 and captions[0][:1] != "["
            else json.dumps(captions, ensure_ascii=False)
        )
        writer.writerow([name, cell if captions else "", *(getattr(sample, one) for one in more)])
    return text.getvalue().encode("utf-8", "replace")
