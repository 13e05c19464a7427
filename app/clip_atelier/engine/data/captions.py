"""Where each image's words come from."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from clip_atelier.engine.core import N_, UserError, _, document_of_page, shown
from clip_atelier.engine.data import caption_folders, caption_tables, eagle, image_gate, trainers, xmp
from clip_atelier.engine.data.caption_tables import CaptionRow
from clip_atelier.engine.data.caption_text import CaptionReader, clean
from clip_atelier.engine.data.further_folders import located
from clip_atelier.engine.data.names import Lookup, nfc, stem, words
from clip_atelier.engine.data.pairs import PairSide, is_role_folder
from clip_atelier.engine.data.records import Problem, Source
from clip_atelier.engine.data.text_encoding import SURROGATE, UnreadableText, decoded
from clip_atelier.engine.settings import DataSettings

SIDECAR_SUFFIXES: Final = (".txt", ".caption", ".xmp")
MAX_SIDECAR_BYTES: Final = 1024 * 1024
_OWN: Final[tuple[Source, ...]] = ("metadata", "sidecar", "embedded")
"""Sources that speak of one image, not of its folder or name."""
_ORDER: Final[tuple[Source, ...]] = ("metadata", "sidecar", "embedded", "folder", "filename")


@dataclass(frozen=True)
class Words:
    """The captions and label of one image, and where the captions came from."""

    captions: tuple[str, ...]
    label: str
    source: Source


def find_words(
    root: Path,
    paths: Sequence[str],
    side_files: set[str],
    entries: Mapping[str, CaptionRow],
    places: Mapping[str, PairSide],
    reader: CaptionReader,
    problems: list[Problem],
    inside: Mapping[str, tuple[str, ...]],
    classless: Set[str] = frozenset(),
) -> dict[str, Words]:
    """The words of every image: from the chosen source, else from the sources after it, at last from the file's name.

    Args:
        root: The collection's folder.
        paths: All images, relative, sorted.
        side_files: Files that may be captions, relative.
        entries: What the tables say.
        places: The pairs; partners share what a table or a text file says about one of them.
        reader: Takes captions out of text files; its settings say which source is chosen, and the template for class
            folders.
        problems: Gets caption files that cannot be read.
        inside: What the image files themselves say.
        classless: Folders that are no class, whatever their name: drawings cut out of pages lie in them, or they are folders
            of a collection as its own one is.

    Raises:
        UserError: the chosen source is not present.
    """
    data = reader.data
    found: dict[Source, dict[str, tuple[str, ...]]] = {
        "metadata": _from_tables(entries, data),
        "sidecar": _from_sidecars(root, paths, side_files, reader, problems),
        "embedded": _from_files(inside, reader),
        "folder": {},
        "filename": {},
    }
    order = _ORDER if data.captions == "auto" else _ORDER[_ORDER.index(data.captions) :]
    own: dict[str, tuple[Source, tuple[str, ...]]] = {}
    for path in paths:
        for source in order:
            if source in _OWN and path in found[source]:
                own.setdefault(path, (source, found[source][path]))
    _share_in_pairs(own, places)
    classes = class_folders(
        [p for p in paths if posixpath.dirname(document_of_page(p) or p) not in classless],
        data if places else None,
    )
    sentences = {label: _sentence(data, label) for label in set(classes.values())}
    found["folder"] = {path: (sentences[label],) for path, label in classes.items()}
    found["filename"] = {path: (words(path),) for path in paths if path not in own}
    chosen = data.captions
    if chosen != "auto" and chosen != "filename" and not found[chosen]:
        raise UserError(
            _(_ABSENT[chosen]).format(folder=shown(root)),
            _("Choose another source of captions, or “automatic”."),
            "data.captions",
        )
    for path in paths:
        if path not in own:
            source = next(s for s in order if s in ("folder", "filename") and path in found[s])
            own[path] = source, found[source][path]
    tally = Counter(source for source, _captions in own.values())
    by_class = tally["folder"] * 2 >= len(paths)
    result = {}
    for path in paths:
        source, captions = own[path]
        label = entries[path].label if path in entries else ""
        if not label and (source == "folder" or by_class):
            label = classes.get(path, "")
        result[path] = Words(captions, label, source)
    return result


_ABSENT: Final[Mapping[str, str]] = {
    "metadata": N_("“{folder}” has no metadata.csv or metadata.jsonl with captions."),
    "sidecar": N_("“{folder}” has no text files beside its images."),
    "embedded": N_("No image in “{folder}” holds a caption (XMP, IPTC or EXIF)."),
    "folder": N_("“{folder}” has no two sub-folders with images that could be classes."),
}


def overall(found: Mapping[str, Words]) -> Source:
    """The one source of all captions, or "mixed"."""
    sources = {word.source for word in found.values()}
    return sources.pop() if len(sources) == 1 else "mixed"


def _sentence(data: DataSettings, label: str) -> str:
    return clean(data.template.replace("{label}", label))


def _from_tables(entries: Mapping[str, CaptionRow], data: DataSettings) -> dict[str, tuple[str, ...]]:
    found = {}
    for path, entry in entries.items():
        captions = tuple(entry.captions) or ((_sentence(data, entry.label),) if entry.label else ())
        if captions:
            found[path] = captions
    return found


def _from_sidecars(
    root: Path, paths: Sequence[str], side_files: set[str], reader: CaptionReader, problems: list[Problem]
) -> dict[str, tuple[str, ...]]:
    texts = [path for path in side_files if path.lower().endswith(SIDECAR_SUFFIXES)]
    found: dict[str, tuple[str, ...]] = {}
    if not texts:
        return found
    lookup = Lookup(texts)
    read: dict[str, tuple[str, ...]] = {}
    for path in paths:
        told = ""
        for name in _sidecar_names(path):
            matches = lookup.find(name)
            if not matches:
                continue
            if len(matches) > 1:
                reason = _(
                    "More than one caption file is spelled like this; “{name}” is used. Rename the others."
                )
                problems.append(Problem(path, reason.format(name=shown(matches[0]))))
            if matches[0] not in read:
                read[matches[0]] = _sidecar(root, matches[0], reader, problems)
            if not read[matches[0]] or (told and read[matches[0]] == read[told]):
                continue
            if told:
                reason = _("Two caption files are about this image; “{name}” is used, “{other}” is not.")
                problems.append(Problem(path, reason.format(name=shown(told), other=shown(matches[0]))))
                break
            told, found[path] = matches[0], read[matches[0]]
    holding = {posixpath.dirname(document_of_page(path) or path) for path in paths}
    for path, text in caption_folders.matched(paths, texts, holding, problems).items():
        if path not in found and (captions := _sidecar(root, text, reader, problems)):
            found[path] = captions
    return found


def _sidecar_names(path: str) -> tuple[str, ...]:
    """Files that may caption an image, the more exact name first: other programs write "b.jpg.txt" for "b.jpg"."""
    return tuple(start + suffix for suffix in SIDECAR_SUFFIXES for start in dict.fromkeys((path, stem(path))))


def _sidecar(root: Path, path: str, reader: CaptionReader, problems: list[Problem]) -> tuple[str, ...]:
    try:
        text, _encoding = decoded(caption_tables.content_of(located(root, path), MAX_SIDECAR_BYTES))
    except image_gate.ImageProblem as problem:
        problems.append(Problem(path, problem.reason))
        return ()
    except UnreadableText as problem:
        problems.append(Problem(path, str(problem)))
        return ()
    if "\0" in text:
        reason = _("This is not a text file, so it gives no caption. Save it as plain text.")
        problems.append(Problem(path, reason))
        return ()
    if SURROGATE.search(text):
        reason = _("Some letters cannot be read, so it gives no caption. Save it as UTF-8.")
        problems.append(Problem(path, reason))
        return ()
    if path.lower().endswith(".xmp"):
        try:
            return _read(xmp.captions(text), reader)
        except xmp.NoXmp as error:
            problems.append(Problem(path, _("It is not XMP: {reason}").format(reason=error)))
            return ()
    return tuple(reader.captions(text))


def _from_files(inside: Mapping[str, tuple[str, ...]], reader: CaptionReader) -> dict[str, tuple[str, ...]]:
    found = {path: _read(told, reader) for path, told in inside.items() if told}
    return {path: captions for path, captions in found.items() if captions}


def _read(texts: Sequence[str], reader: CaptionReader) -> tuple[str, ...]:
    """Captions of texts that are whole by themselves."""
    return tuple(dict.fromkeys(caption for text in texts for caption in reader.captions([text])))


def _share_in_pairs(own: dict[str, tuple[Source, tuple[str, ...]]], places: Mapping[str, PairSide]) -> None:
    members: dict[str, list[str]] = defaultdict(list)
    for path, place in places.items():
        members[place.pair].append(path)
    for group in members.values():
        told = next((own[path] for path in group if path in own), None)
        if told is not None:
            for path in group:
                own.setdefault(path, told)


def class_folders(paths: Sequence[str], paired: DataSettings | None = None) -> dict[str, str]:
    """The class of each image, where images lie in at least two sub-folders; the folder's name in words is the class.

    Folders named train, validation or test are parts of a split and no classes; the folders of sketches and artworks of
    a `paired` collection are none either.
    """

    @cache
    def class_of(folder: str) -> str:
        parent = posixpath.basename(folder)
        if paired is not None and is_role_folder(folder, paired):
            return ""
        if not parent or caption_tables.split_name(parent) or parent.endswith(eagle.INFO):
            return ""
        return clean(nfc(trainers.without_repeats(parent)).replace("_", " ")) or parent

    found = {path: class_of(posixpath.dirname(document_of_page(path) or path)) for path in paths}
    found = {path: label for path, label in found.items() if label}
    return found if len(set(found.values())) >= 2 else {}
