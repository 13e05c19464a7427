"""Words that the user gave to drawings of a run, beside what the run learned: reading, changing, keeping.

RUN/taught.json says which drawings each word names, RUN/taught.safetensors how these drawings are embedded. Nothing of it
is trained: `FittedParts.read` solves for the words when it is read. How a word is taught is in `teaching`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import safetensors
import safetensors.numpy
from pydantic import Field

from clip_atelier.engine.core import (
    DamagedFile,
    Record,
    Text,
    UserError,
    _,
    cannot_write,
    read_document,
    write_document,
    write_whole,
)
from clip_atelier.engine.parts.arrays import FloatArray
from clip_atelier.engine.parts.learned_words import name_key
from clip_atelier.engine.parts.variants import Variant
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.storage import sealed_tensors

DOCUMENT: Final = "taught.json"
ARRAYS: Final = "taught.safetensors"

ENOUGH: Final = 3
"""From so many drawings on it can be told whether a word finds the others of its kind."""

Sure = Literal["yes", "unsure", "too few"]


class TaughtDrawing(Record):
    """A drawing that a word names: its path as it was given, and the SHA-256 of the file."""

    path: Text
    sha256: str


class KeptWord(Record):
    """One word in `taught.json`; see `TaughtWord`."""

    word: Text
    drawings: tuple[TaughtDrawing, ...]
    found: int | None = None
    sure: Sure = "too few"


class TaughtWord(Record):
    """A word that the user taught, and how sure it is.

    Attributes:
        word: As it was written.
        drawings: Paths of the drawings it names, as they were given.
        found: How many of them are found by the word learned from the others; None where that cannot be told.
        sure: Whether that is enough to rely on it; "too few" where there are fewer than three drawings.
    """

    word: Text
    drawings: tuple[Text, ...]
    found: int | None
    sure: Sure


class TaughtList(Record):
    """All words that a run was taught, in the order they were."""

    schema_version: int = Field(default=1, alias="schema")
    run: str
    words: tuple[TaughtWord, ...] = ()

    def get(self, word: str) -> TaughtWord | None:
        """A word, however its case and spacing are written."""
        return next((one for one in self.words if name_key(one.word) == name_key(word)), None)


class _EmbeddedVariant(Record):
    """An embedding that the drawings are kept in: `N.SHA256` in the tensor file, N being its place."""

    lora: float
    views: bool


class _Document(Record):
    schema_version: int = Field(default=1, alias="schema")
    variants: tuple[_EmbeddedVariant, ...] = ()
    words: tuple[KeptWord, ...] = ()


@dataclass(frozen=True)
class TaughtWords:
    """What a run was taught.

    Attributes:
        words: In the order they were taught.
        vectors: Embeddings -> SHA-256 of a drawing -> its unit embedding, shape [d].
    """

    words: tuple[KeptWord, ...]
    vectors: Mapping[Variant, Mapping[str, FloatArray]]

    @classmethod
    def read(cls, folder: Path) -> TaughtWords:
        """What `save` wrote into a run's folder; nothing where there is nothing.

        Raises:
            DamagedFile: a file is cut short, missing or not what `save` writes.
        """
        if not (folder / DOCUMENT).is_file():
            return cls((), {})
        try:
            document = read_document(folder / DOCUMENT, _Document)
            vectors = _read_vectors(folder / ARRAYS, document)
        except DamagedFile as error:
            error.hint = _(
                "Delete this file: the training stays as it is, and its words can be taught again."
            )
            raise
        return cls(document.words, vectors)

    def embeddings(self, variant: Variant) -> dict[str, FloatArray]:
        """Word -> unit embeddings [n, d] of those of its drawings that are known in a variant."""
        known = self.vectors.get(variant, {})
        found = {}
        for word in self.words:
            rows = [known[drawing.sha256] for drawing in word.drawings if drawing.sha256 in known]
            if rows:
                found[word.word] = np.stack(rows)
        return found

    def get(self, word: str) -> KeptWord | None:
        """A word, however its case and spacing are written."""
        return next((one for one in self.words if name_key(one.word) == name_key(word)), None)

    def with_word(self, word: KeptWord) -> TaughtWords:
        """With a word in the place of the one of the same name, or at the end."""
        if self.get(word.word) is None:
            return replace(self, words=(*self.words, word))
        return self._changed(word.word, lambda _old: (word,))

    def without(self, word: str) -> TaughtWords:
        """Without a word."""
        return self._changed(word, lambda _old: ())

    def renamed(self, old: str, new: str) -> TaughtWords:
        """With another name for a word."""
        return self._changed(old, lambda word: (word.model_copy(update={"word": new}),))

    def _changed(self, name: str, change: Callable[[KeptWord], tuple[KeptWord, ...]]) -> TaughtWords:
        key = name_key(name)
        words = [one for old in self.words for one in (change(old) if name_key(old.word) == key else (old,))]
        return replace(self, words=tuple(words))

    def save(self, folder: Path) -> None:
        """Writes both files; after a crash in between, the words are those of before or those of now.

        Raises:
            WorkError: they cannot be written.
        """
        if not self.words:
            _remove(folder / DOCUMENT)
            _remove(folder / ARRAYS)
            return
        used = {drawing.sha256 for word in self.words for drawing in word.drawings}
        try:
            before = TaughtWords.read(folder)
        except DamagedFile:
            before = TaughtWords((), {})
        # In the order that the document names them in now, so that it stays right until it is replaced.
        variants = tuple(dict.fromkeys((*before.vectors, *self.vectors)))
        both = {v: {**before.vectors.get(v, {}), **self.vectors.get(v, {})} for v in variants}
        named = {f"{n}.{sha}": row for n, v in enumerate(variants) for sha, row in both[v].items()}
        # First with the drawings that either document names; those that none names any more go last.
        _write_arrays(folder / ARRAYS, named)
        kept = tuple(_EmbeddedVariant(lora=v.strength, views=v.views) for v in variants)
        write_document(folder / DOCUMENT, _Document(variants=kept, words=self.words))
        pruned = {name: row for name, row in named.items() if name.partition(".")[2] in used}
        if len(pruned) < len(named):
            _write_arrays(folder / ARRAYS, pruned)

    def listed(self, run: str) -> TaughtList:
        """As commands and the window show it."""
        return TaughtList(
            run=run,
            words=tuple(
                TaughtWord(
                    word=word.word,
                    drawings=tuple(drawing.path for drawing in word.drawings),
                    found=word.found,
                    sure=word.sure,
                )
                for word in self.words
            ),
        )


def listed(home: Path, run_id: str) -> TaughtList:
    """What a run was taught.

    Raises:
        UserError: there is no such run.
        DamagedFile: what it was taught cannot be understood.
    """
    run = Runs(home).open(run_id)
    return TaughtWords.read(run.path).listed(run.id)


def rename(home: Path, run_id: str, old: str, new: str) -> TaughtList:
    """Gives a taught word another name; it finds what it found before.

    Raises:
        UserError: there is no such run or word, the new name is empty, or it is another word's.
        DamagedFile: what the run was taught cannot be understood.
    """
    run = Runs(home).open(run_id)
    name = checked_name(new)
    with run.hold():
        taught = TaughtWords.read(run.path)
        word = _known(taught, old)
        if name_key(name) != name_key(word.word) and taught.get(name) is not None:
            raise UserError(
                _("The word “{word}” is taught already.").format(word=name),
                _("Choose another name, or forget that word first."),
                "word",
            )
        taught = taught.renamed(word.word, name)
        taught.save(run.path)
    return taught.listed(run.id)


def forget(home: Path, run_id: str, word: str) -> TaughtList:
    """Takes a taught word away; the drawings themselves are not touched.

    Raises:
        UserError: there is no such run or word.
        DamagedFile: what the run was taught cannot be understood.
    """
    run = Runs(home).open(run_id)
    with run.hold():
        taught = TaughtWords.read(run.path)
        taught = taught.without(_known(taught, word).word)
        taught.save(run.path)
    return taught.listed(run.id)


def checked_name(word: str) -> str:
    """A name as it is kept, spaces around it taken away.

    Raises:
        UserError: there is no letter or digit in it.
    """
    name = " ".join(word.split())
    if not name_key(name):
        raise UserError(
            _("The word is empty.") if not name else _("“{word}” has no letter in it.").format(word=name),
            _("Give the word that is to find these drawings, a name for example."),
            "word",
        )
    return name


def _known(taught: TaughtWords, word: str) -> KeptWord:
    """A word that was taught.

    Raises:
        UserError: it was not; names those that were.
    """
    found = taught.get(word)
    if found is None:
        there = ", ".join(f"“{one.word}”" for one in taught.words)
        raise UserError(
            _("The word “{word}” was not taught.").format(word=word),
            _("These were: {words}.").format(words=there)
            if there
            else _("This training was taught no word yet."),
            "word",
        )
    return found


def _read_vectors(path: Path, document: _Document) -> dict[Variant, dict[str, FloatArray]]:
    try:
        arrays = safetensors.numpy.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise DamagedFile(path, str(error)) from error
    found: dict[Variant, dict[str, FloatArray]] = {}
    for place, variant in enumerate(document.variants):
        start = f"{place}."
        found[Variant(variant.lora, variant.views)] = {
            name.removeprefix(start): np.asarray(row, np.float64)
            for name, row in arrays.items()
            if name.startswith(start)
        }
    wanted = {drawing.sha256 for word in document.words for drawing in word.drawings}
    if lost := wanted - {sha for known_rows in found.values() for sha in known_rows}:
        raise DamagedFile(path, _("it lacks {name}.").format(name=min(lost)[:12]))
    return found


def _write_arrays(path: Path, arrays: Mapping[str, FloatArray]) -> None:
    tensors = {name: np.ascontiguousarray(row) for name, row in arrays.items()}
    write_whole(path, sealed_tensors(safetensors.numpy.save(tensors)))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def shas(words: Sequence[KeptWord]) -> dict[str, str]:
    """SHA-256 of every drawing that the words name -> its path."""
    return {drawing.sha256: drawing.path for word in words for drawing in word.drawings}
