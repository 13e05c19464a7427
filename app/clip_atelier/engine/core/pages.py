"""Pages of a document, named like files below it: "book.pdf/page 002" is the second page of "book.pdf"."""

from __future__ import annotations

import os
import re
from pathlib import Path

_PAGE = re.compile(r"(?P<document>.+\.pdf)[/\\]page (?P<number>\d{3})", re.IGNORECASE | re.DOTALL)


def page_name(document: str, number: int) -> str:
    """The path of one page, counted from 1."""
    return f"{document}/page {number:03}"


def document_of_page(path: str) -> str:
    """The document that a path names a page of; "" where it names none."""
    found = _PAGE.fullmatch(path)
    return found["document"] if found else ""


def page_number(path: str | os.PathLike[str]) -> int:
    """Which page a path names, counted from 1; 0 where it names none."""
    found = _PAGE.fullmatch(os.fspath(path))
    return int(found["number"]) if found else 0


def original(path: Path) -> Path:
    """The file that a path lies in: what is opened, dragged out or shown in the file manager."""
    document = document_of_page(os.fspath(path))
    # A folder may be called like this as well, and its files are files.
    return Path(document) if document and not os.path.isdir(document) else path
