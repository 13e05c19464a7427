"""Captions in XMP, the XML that photo programs write into images and beside them (Adobe XMP 1, ISO 16684-1)."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

_RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_WRITTEN: Final = (f"{_DC}description", "{http://ns.adobe.com/exif/1.0/}UserComment", f"{_DC}title")
"""Where a caption may stand, the likeliest first."""
_DECLARED: Final = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class NoXmp(ValueError):  # noqa: N818 - says what the text is not
    """The text is no XMP."""


def captions(text: str) -> tuple[str, ...]:
    """The description in each of its languages, else the title, else the keywords as one caption; () if there is none.

    Raises:
        NoXmp: it is not XML, or declares what XMP never does (entities, which may unpack without bound).
    """
    if _DECLARED.search(text):
        raise NoXmp("it declares a document type")
    try:
        tree = ElementTree.fromstring(text.strip().strip("\0\ufeff"))
    except (ElementTree.ParseError, ValueError) as error:
        raise NoXmp(str(error)) from error
    for name in _WRITTEN:
        if found := _texts(tree, name):
            return found
    keywords = _texts(tree, f"{_DC}subject")
    return (", ".join(keywords),) if keywords else ()


def _texts(tree: ElementTree.Element, name: str) -> tuple[str, ...]:
    """The values of a property, those of a language after the default one; each once."""
    found: list[tuple[bool, str]] = []
    for element in tree.iter(name):
        items = list(element.iter(f"{_RDF}li"))
        found += [(item.get(_LANGUAGE, "x-default") != "x-default", item.text or "") for item in items]
        if not items:
            found.append((False, element.text or ""))
    for element in tree.iter(f"{_RDF}Description"):  # a short form: properties as attributes
        found.append((False, element.get(name, "")))
    found.sort(key=lambda one: one[0])
    return tuple(dict.fromkeys(text.strip() for _other, text in found if text.strip()))
