"""Writes the drawings of pages as files, and takes them back."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image
from pydantic import Field

from clip_atelier.engine.core import (
    Control,
    Countdown,
    DamagedFile,
    Phase,
    ProblemFound,
    Progress,
    Record,
    Text,
    UserError,
    Work,
    WorkError,
    _,
    document_of_page,
    page_number,
    read_document,
    shown,
    write_document,
    write_whole,
)
from clip_atelier.engine.data import SHEET_SUFFIX, CutDrawing, ScanProblem, SheetRecord, image_gate
from clip_atelier.engine.intake import flattening, paper
from clip_atelier.engine.intake.drawings import GAP
from clip_atelier.engine.intake.pages import Page, find_pages, look_at, margin_of
from clip_atelier.engine.storage import Trash, TrashEntry

SCHEMA = 1
_LONGEST: Final = 120
_MOST_OF_A_NAME: Final = 10_000


class IntakeSummary(Record):
    """What was taken in.

    Attributes:
        folder: Where the drawings are.
        pages: Pages that drawings were written of.
        drawings: Files that were written now.
        files: Their names, and those of the documents that tell which page they come from.
        already: Pages that were taken in before; nothing was written for them.
        problems: Pages that could not be used, by file.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    folder: Text
    pages: int = 0
    drawings: int = 0
    files: tuple[Text, ...] = ()
    already: tuple[Text, ...] = ()
    problems: tuple[ScanProblem, ...] = ()


def take_in(
    pages: Sequence[Page], into: Path, control: Control, *, again: bool = False
) -> Work[IntakeSummary]:
    """Writes every drawing of some pages as a PNG file, and for each page a document that tells where they come from.

    Nothing is overwritten. After a stop or a crash the same call goes on: what a page's document names is written again
    as it was decided then.

    Args:
        pages: With the boxes of their drawings.
        into: The folder for the drawings; made where it is missing.
        control: Stop and pause between two drawings; what was written stays.
        again: Whether pages that were taken in before are taken in once more, under other names.

    Raises:
        WorkError: the folder cannot be written.
    """
    yield Phase(name="intake", title=_("Cutting out drawings"))
    if into.exists() and not into.is_dir():
        raise UserError(
            _("“{folder}” is a file, not a folder.").format(folder=shown(into)),
            _("Choose another folder."),
            "into",
        )
    known = _Known(into)
    files: list[str] = []
    already: list[str] = []
    problems: list[ScanProblem] = []
    total = max(sum(len(page.boxes) for page in pages), 1)
    countdown = Countdown(total)
    done = used = written = 0
    for page in pages:
        control.boundary()
        expected = done + len(page.boxes)
        try:
            found = _opened(page, into, known, again)
        except image_gate.ImageProblem as problem:
            problems.append(ScanProblem(path=str(page.path), reason=problem.reason))
            yield ProblemFound(path=str(page.path), reason=problem.reason)
            found = None
        if isinstance(found, str):
            already.append(found)
        elif found is not None:
            name, sheet, cuts = found
            document = into / f"{name}{SHEET_SUFFIX}"
            write_document(
                document, sheet, hint=_remedy()
            )  # before its drawings: they are known to be of one page
            for drawing, content in zip(sheet.drawings, cuts, strict=True):
                control.boundary()
                if not (into / drawing.file).exists():
                    write_whole(into / drawing.file, content, _remedy())
                    written += 1
                files.append(drawing.file)
                done = min(done + 1, total)
                yield Progress(done=done, total=total, seconds_left=countdown.left(done), item=page.path.name)
            sheet = sheet.model_copy(update={"whole": True})
            write_document(document, sheet, hint=_remedy())
            known.add(name, sheet)
            files.append(document.name)
            used += 1
        done = expected
    return IntakeSummary(
        folder=str(into), pages=used, drawings=written, files=tuple(files), already=tuple(already),
        problems=tuple(problems),
    )  # fmt: skip


def _opened(page: Page, into: Path, known: _Known, again: bool) -> tuple[str, SheetRecord, list[bytes]] | str:
    """The name of a page, its document and the content of its drawings' files; only its path where it was taken in before.

    Raises:
        ImageProblem: the picture cannot be read, or it has no drawings.
    """
    digest = image_gate.digest_of(page.path)
    before = known.of(digest)
    if before is not None and before[1].whole and not again:
        return str(page.path)
    if before is not None and not before[1].whole:
        name, sheet = before
    elif page.boxes:
        name = _free_name(into, page.path)
        sheet = _sheet(name, page, digest)
    else:
        raise image_gate.ImageProblem(
            page.path, _("No drawing was found on this page."), _("Mark its drawings in the window.")
        )
    flat = flattening.flatten(image_gate.load(page.path, digest=digest), sheet.corners)
    if sheet.evened:
        flat = paper.even_white(flat)
    cuts = [_cut(flat, drawing) for drawing in sheet.drawings]
    drawings = tuple(
        drawing.model_copy(update={"digest": hashlib.sha256(content).hexdigest()})
        for drawing, content in zip(sheet.drawings, cuts, strict=True)
    )
    return name, sheet.model_copy(update={"drawings": drawings}), cuts


def take_pages(
    sources: Sequence[Path], into: Path, control: Control, *, gap: float = GAP, even: bool = True
) -> Work[IntakeSummary]:
    """Finds the drawings on the pages of some sources and writes them, as nobody looks at them in between.

    Args:
        sources: Photographs, scans, documents, or folders of them.
        into: See `take_in`.
        control: See `take_in`.
        gap: See `drawings.find_drawings`.
        even: Whether the paper is made even white.

    Raises:
        UserError: a source is not there.
        WorkError: the folder cannot be written.
    """
    pages: list[Page] = []
    problems: list[ScanProblem] = []
    paths = find_pages(sources)
    yield Phase(name="intake", title=_("Looking for drawings"))
    countdown = Countdown(len(paths))
    for done, path in enumerate(paths, start=1):
        control.boundary()
        try:
            pages.append(look_at(path, gap, even).page)
        except image_gate.ImageProblem as problem:
            problems.append(ScanProblem(path=str(path), reason=problem.reason))
            yield ProblemFound(path=str(path), reason=problem.reason)
        yield Progress(done=done, total=len(paths), seconds_left=countdown.left(done), item=path.name)
    found = yield from take_in(pages, into, control)
    return found.model_copy(update={"problems": (*problems, *found.problems)})


def put_back(home: Path, summary: IntakeSummary) -> TrashEntry:
    """Takes back what was taken in: the files go into the trash, from where they can be restored.

    Raises:
        UserError: none of them is there any more.
        WorkError: they cannot be moved.
    """
    folder = Path(summary.folder)
    files = [folder / name for name in summary.files]
    return Trash(home).put_files("drawings", folder.name, folder, [file for file in files if file.is_file()])


class _Known:
    """The pages that a folder has the drawings of."""

    def __init__(self, into: Path) -> None:
        self._by_digest: dict[str, tuple[str, SheetRecord]] = {}
        for file in sorted(into.glob(f"*{SHEET_SUFFIX}")) if into.is_dir() else ():
            try:
                sheet = read_document(file, SheetRecord)
            except (DamagedFile, OSError):
                continue  # named when the folder is read as a collection
            if _is_ours(sheet):
                self.add(file.name.removesuffix(SHEET_SUFFIX), sheet)

    def of(self, digest: str) -> tuple[str, SheetRecord] | None:
        """Name and document of a page; one that is not finished before others."""
        return self._by_digest.get(digest)

    def add(self, name: str, sheet: SheetRecord) -> None:
        before = self._by_digest.get(sheet.page_digest)
        if before is None or before[1].whole:
            self._by_digest[sheet.page_digest] = name, sheet


def _is_ours(sheet: SheetRecord) -> bool:
    """Whether its names stay in their folder: somebody else may have written it."""
    return all(re.fullmatch(r"[^/\\:]+\.png", drawing.file) for drawing in sheet.drawings)


def _remedy() -> str:
    return _("Free some space there, or choose another folder.")


def _free_name(into: Path, page: Path) -> str:
    """What the drawings of a page are called, so that none of their files is there yet."""
    document, number = document_of_page(str(page)), page_number(page)
    stem = f"{Path(document).stem}-p{number:03}" if document else page.stem
    stem = re.sub(r"[^\w .,()+-]", "_", stem)[:_LONGEST].strip(" .") or "page"
    for count in range(1, _MOST_OF_A_NAME):
        name = stem if count == 1 else f"{stem}-{count}"
        if not (into / f"{name}{SHEET_SUFFIX}").exists() and not any(
            into.glob(f"{_literal(name)}-[0-9]*.png")
        ):
            return name
    raise WorkError(_("“{folder}” has too many pages called “{name}”.").format(folder=shown(into), name=stem))


def _literal(name: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", name)


def _sheet(name: str, page: Page, digest: str) -> SheetRecord:
    digits = max(len(str(len(page.boxes))), 2)
    upper_left, upper_right, lower_right, lower_left = page.corners
    return SheetRecord(
        page=page.path.name if not document_of_page(str(page.path)) else "/".join(page.path.parts[-2:]),
        page_digest=digest,
        corners=(upper_left, upper_right, lower_right, lower_left),
        evened=page.even,
        drawings=tuple(
            CutDrawing(file=f"{name}-{number:0{digits}}.png", box=box)
            for number, box in enumerate(page.boxes, start=1)
        ),
    )


def _cut(page: Image.Image, drawing: CutDrawing) -> bytes:
    stream = io.BytesIO()
    page.crop(margin_of(page.size, drawing.box)).save(stream, "PNG")
    return stream.getvalue()
