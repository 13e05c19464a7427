"""Make the sample collection: line drawings and colour artworks of the same things, captioned in English and Korean.

The drawings are Microsoft's Fluent emoji, whose high-contrast and flat styles were drawn by illustrators as two
separate sets under the same names; the captions are the labels of the Unicode CLDR as ``emojibase-data`` carries
them. Both come from npm (``npm install @iconify/json emojibase-data``); no network is used here. Run it as

    python packaging/make_sample_collection.py --npm NODE_MODULES [--out resources/samples/emoji]

The same input gives the same bytes. What is drawn is decided by the declarations below; which split each pair belongs to
follows from a hash of its name.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

import iconify

SKETCH_SET, ARTWORK_SET = "fluent-emoji-high-contrast", "fluent-emoji-flat"
SIZE = 192
SUFFIX = {"sketches": ".png", "artworks": ".webp"}
#: How many pairs are learned from and chosen on, drawn from all alike. All others are the test: the more questions and the
#: larger the gallery, the smaller the gain that can be told from luck.
SPLITS = {"train": 300, "validation": 200}

#: Emojibase sub-groups that are left out: signs and lettering, faces of clocks.
UNWANTED_SUBGROUPS = frozenset(
    "arrow keycap alphanum geometric av-symbol punctuation currency gender math zodiac warning transport-sign "
    "other-symbol religion flag country-flag subdivision-flag".split()
)
#: Words in an icon's name that mark a variant of another drawing.
UNWANTED_WORDS = frozenset(
    "oclock thirty facing leftwards rightwards left right gibbous quarter oncoming".split()
)
#: Hearts that differ by colour alone, the second of two umbrellas, what a class room does not need, and a word that is
#: the same in both languages.
UNWANTED = frozenset(
    "orange-heart yellow-heart green-heart blue-heart light-blue-heart purple-heart pink-heart brown-heart "
    "black-heart grey-heart white-heart middle-finger love-hotel dna umbrella-on-ground".split()
)
#: Kept although a rule above leaves them out: each is the only drawing of its kind.
WANTED = frozenset(
    "baby older-person person-beard person-shrugging person-bowing recycling-symbol warning biohazard "
    "medical-symbol yin-yang menorah pirate-flag chequered-flag triangular-flag three-oclock peace-symbol "
    "magnifying-glass-tilted-right trident-emblem fleur-de-lis cinema".split()
)
#: Pairs of pictures at least this alike (correlation of blurred thumbnails) count as near-duplicates. Characters and faces
#: are what illustrators draw most and are meant to be alike: of them only what is all but the same drawing does.
CHARACTERS = frozenset(["people & body", "smileys & emotion"])
SKETCH_LIKENESS, ARTWORK_LIKENESS = 0.84, 0.93
SAME_SKETCH, SAME_ARTWORK = 0.97, 0.985
THUMBNAIL = 24


@dataclass(frozen=True)
class Pair:
    """One thing, drawn twice."""

    name: str
    label: str
    captions: tuple[str, str]
    sketch: Image.Image
    artwork: Image.Image

    @property
    def family(self) -> str:
        """What a drawing is a version of: a woman, a man and a person who cook are one family."""
        return re.sub("^(man|woman|person|men|women|people)-", "", self.name)

    @property
    def split_order(self) -> str:
        """A fixed pseudo-random key, the same for a whole family."""
        return hashlib.sha256(f"split/{self.family}".encode()).hexdigest()


def candidates(npm: Path) -> Iterator[Pair]:
    """Yield every pair that the declarations above allow, in emojibase's own order."""
    english, korean = (_read(npm / "emojibase-data" / code / "data.json") for code in ("en", "ko"))
    messages = _read(npm / "emojibase-data" / "en" / "messages.json")
    groups = {group["order"]: group["message"] for group in messages["groups"]}
    subgroups = {group["order"]: group["key"] for group in messages["subgroups"]}
    korean_label = {entry["hexcode"]: entry["label"] for entry in korean}
    package = npm / "@iconify" / "json"
    names = _read(package / "json" / f"{SKETCH_SET}.json")["chars"]
    sketches, artworks = (iconify.load_set(package, prefix).icons for prefix in (SKETCH_SET, ARTWORK_SET))

    for entry in english:
        name = names.get(entry["hexcode"].lower().replace("-fe0f", ""))
        if name is None or "group" not in entry or name not in sketches or name not in artworks:
            continue
        if name in UNWANTED or (name not in WANTED and _is_variant(name, subgroups[entry["subgroup"]])):
            continue
        yield Pair(
            name=name,
            label=groups[entry["group"]],
            captions=(entry["label"], korean_label[entry["hexcode"]]),
            sketch=iconify.render(sketches[name], SIZE),
            artwork=iconify.render(artworks[name], SIZE),
        )


def select(pairs: list[Pair]) -> list[Pair]:
    """Return the pairs that differ from each other.

    Of two pictures that look alike the one earlier in emojibase's order stays: the plain one, before its variants.
    """
    distinct: list[Pair] = []
    sketch_prints: list[NDArray[np.float64]] = []
    artwork_prints: list[NDArray[np.float64]] = []
    captions: set[str] = set()
    for pair in pairs:
        sketch, artwork = _fingerprint(pair.sketch), _fingerprint(pair.artwork)
        alike, same = (SKETCH_LIKENESS, ARTWORK_LIKENESS), (SAME_SKETCH, SAME_ARTWORK)
        most = same if pair.label in CHARACTERS else alike
        twin = any(float(sketch @ other) >= most[0] for other in sketch_prints) or any(
            float(artwork @ other) >= most[1] for other in artwork_prints
        )
        if twin or captions.intersection(pair.captions):
            continue
        distinct.append(pair)
        sketch_prints.append(sketch)
        artwork_prints.append(artwork)
        captions.update(pair.captions)

    return distinct


def write(pairs: list[Pair], out: Path) -> None:
    """Write the pictures and ``metadata.csv`` below ``out``; pictures of an earlier collection there are removed.

    A family is never torn apart by the split, so the parts are about as large as declared.
    """
    split_of = _split(pairs)
    for folder in SUFFIX:
        shutil.rmtree(out / folder, ignore_errors=True)
        (out / folder).mkdir(parents=True)
    with (out / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file_name", "text", "label", "pair", "split"])
        for folder, suffix in SUFFIX.items():
            for pair in sorted(pairs, key=lambda pair: pair.name):
                text = json.dumps(pair.captions, ensure_ascii=False)
                name = f"{folder}/{pair.name}{suffix}"
                table.writerow([name, text, pair.label, pair.name, split_of[pair.name]])
                if folder == "sketches":  # Black ink on transparency needs no colour channels.
                    pair.sketch.convert("LA").save(out / name, optimize=True)
                else:  # Flat colours take less than half of a PNG's bytes.
                    pair.artwork.save(out / name, lossless=True, quality=100, method=6)


def _split(pairs: list[Pair]) -> dict[str, str]:
    """The part of each pair by name: whole families, in pseudo-random order, until each part is full; the test is the rest."""
    found: dict[str, str] = {}
    parts = iter(SPLITS.items())
    part, left = next(parts)
    family = ""
    for pair in sorted(pairs, key=lambda pair: (pair.split_order, pair.name)):
        if left <= 0 and pair.family != family:
            part, left = next(parts, ("test", len(pairs)))
        found[pair.name] = part
        family, left = pair.family, left - 1
    return found


def _is_variant(name: str, subgroup: str) -> bool:
    """True for signs, and for a turned version of a drawing that exists without."""
    words = set(name.split("-"))
    return subgroup in UNWANTED_SUBGROUPS or bool(words & UNWANTED_WORDS) or name.endswith("-claus")


def _fingerprint(picture: Image.Image) -> NDArray[np.float64]:
    """Return a blurred thumbnail over white as a zero-mean unit vector, so that a dot product is a correlation."""
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture)
    blurred = paper.convert("RGB").filter(ImageFilter.GaussianBlur(SIZE / THUMBNAIL / 2))
    pixels = np.asarray(
        blurred.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), dtype=np.float64
    ).ravel()
    pixels -= pixels.mean()
    return pixels / max(float(np.linalg.norm(pixels)), 1e-9)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Read the arguments and make the collection."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Make the sample collection from two npm packages.")
    parser.add_argument(
        "--npm", type=Path, required=True, help="node_modules with @iconify/json, emojibase-data"
    )
    parser.add_argument("--out", type=Path, default=root / "resources" / "samples" / "emoji")
    arguments = parser.parse_args()
    allowed = list(candidates(arguments.npm))
    pairs = select(allowed)
    write(pairs, arguments.out)
    print(f"{len(pairs)} pairs of {len(allowed)} allowed, in {arguments.out}")


if __name__ == "__main__":
    main()
