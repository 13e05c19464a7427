"""How often "nothing here fits" is right, on every collection of a folder.

For each collection, with the starter model and what a run would learn from all its drawings:

* strangers: captions of the other collections (those that this one has too are left out), and gibberish; a false alarm is
  one that still has a result which is shown as fitting;
* real ones: captions of drawings that nothing was learned from (five folds, threshold and words from the other four), all
  drawings in the gallery; a miss is one whose right drawings all stand below the line.

    python tests/benchmarks/nothing_fits.py FOLDER_OF_COLLECTIONS [--home FOLDER]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import ImageCache, open_collection
from clip_atelier.engine.evaluation import caption_key
from clip_atelier.engine.models import STARTER, Model, Models, features
from clip_atelier.engine.parts import (
    Embedded,
    Threshold,
    assign_folds,
    calibrate,
    distinct_captions,
    image_embeddings,
)
from clip_atelier.engine.parts.arrays import FloatArray
from clip_atelier.engine.parts.nothing_fits import calibrated_scores
from clip_atelier.engine.parts.word_questions import Captions, Drawings, WordModel
from clip_atelier.engine.settings import build
from clip_atelier.engine.storage import BlobCache

ASKED = 300
"""Strangers that each collection is asked for."""


def gibberish(count: int) -> list[str]:
    """Words that mean nothing."""
    chance = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [
        " ".join(
            "".join(chance.choices(letters, k=chance.randint(4, 9))) for _ in range(chance.randint(1, 3))
        )
        for _ in range(count)
    ]


@dataclass(frozen=True)
class Measured:
    """A collection's drawings and captions by the untouched model, dealt to five folds."""

    own: Embedded
    folds: NDArray[np.int64]

    @classmethod
    def of(cls, folder: Path, home: Path, clip: Model, store: BlobCache) -> Measured:
        """Reads and embeds a collection."""
        data = build({}).data
        collection, parts = drive(open_collection(folder, data, home, Control()))
        pictures = ImageCache(folder, collection.items, clip.frame, data, store=store)
        indices = range(len(collection.items))
        drive(pictures.prepare(indices, Control()))
        strings = distinct_captions(collection.items)
        images = drive(image_embeddings(clip, pictures, indices, False, Control()))
        own = Embedded.of(collection.items, strings, images, features.texts(clip, strings))
        return cls(own, assign_folds(collection.items, parts.groups))

    def part(self, rows: NDArray[np.int64]) -> Measured:
        """Some of the drawings, with all captions."""
        own = self.own
        taken = replace(
            own,
            images=own.images[rows],
            captions=tuple(own.captions[row] for row in rows),
            pairs=own.pairs and tuple(own.pairs[row] for row in rows),
            roles=own.roles and tuple(own.roles[row] for row in rows),
        )
        return Measured(taken, np.unique(self.folds[rows], return_inverse=True)[1])

    def line(self) -> Threshold:
        """Below it, nothing fits."""
        return calibrate(self.own, self.folds)


def alarms(own: Embedded, line: Threshold, strings: Sequence[str], texts: FloatArray) -> float:
    """Share of captions that have a result above the line."""
    everything = np.arange(len(own.images))
    model = WordModel.fit(own, everything)
    drawings = Drawings(model, own.images, own.roles)
    scores = calibrated_scores(model, Captions(model, texts, list(strings)), drawings)
    return float(line.fits(scores).any(axis=1).mean())


def misses(whole: Measured) -> tuple[int, int]:
    """Real captions that nothing was learned of: how many stand below the line, of how many."""
    missed = asked = 0
    own = whole.own
    for fold in np.unique(whole.folds):
        train, test = np.flatnonzero(whole.folds != fold), np.flatnonzero(whole.folds == fold)
        model = WordModel.fit(own, train)
        rows = np.setdiff1d(own.captions_of(test), own.captions_of(train))
        if not len(rows):
            continue
        captions = Captions(model, own.texts[rows], [own.strings[row] for row in rows])
        scores = calibrated_scores(model, captions, Drawings(model, own.images, own.roles))
        fits = whole.part(train).line().fits(scores)
        missed += int((~(fits & own.relevance[rows]).any(axis=1)).sum())
        asked += len(rows)
    return missed, asked


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--home", type=Path)
    args = arguments.parse_args()
    home = args.home or Path(tempfile.mkdtemp(prefix="nothing-fits-"))
    hardware = build({}).hardware
    clip = Models(home).open(STARTER, hardware)
    store = BlobCache.of_features(home, hardware.cache_gb)
    found = {
        folder.name: Measured.of(folder, home, clip, store)
        for folder in sorted(args.folder.iterdir())
        if folder.is_dir()
    }
    nonsense = gibberish(ASKED)
    nonsense_texts = features.texts(clip, nonsense)
    print(
        "| collection | drawings | line | strangers with a result | gibberish with a result | real ones missed |"
    )
    print("|---|---|---|---|---|---|")
    sums = np.zeros(4)
    for name, whole in found.items():
        own, line = whole.own, whole.line()
        known = {caption_key(text) for text in own.strings}
        others = [
            (text, other.own.texts[row])
            for other in found.values()
            for row, text in enumerate(other.own.strings)
            if other is not whole and caption_key(text) not in known
        ]
        strangers = random.Random(name).sample(others, min(ASKED, len(others)))
        false = alarms(
            own,
            line,
            [text for text, _vector in strangers],
            np.stack([vector for _text, vector in strangers]),
        )
        empty = alarms(own, line, nonsense, nonsense_texts)
        missed, asked = misses(whole)
        shown = f"{line.value:.2f}" if line.value is not None else "none"
        print(
            f"| {name} | {len(own.images)} | {shown} | {false:.1%} | {empty:.1%} | {missed} of {asked} |",
            flush=True,
        )
        if line.value is not None:
            sums += (false, empty, missed / max(1, asked), 1)
    print(f"| mean | | | {sums[0] / sums[3]:.1%} | {sums[1] / sums[3]:.1%} | {sums[2] / sums[3]:.1%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
