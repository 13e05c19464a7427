"""Suggested captions on collections whose captions are known: half of the drawings lose theirs and are asked.

    python tests/benchmarks/suggestions.py FOLDER_OF_COLLECTIONS [--only PART_OF_NAME] [--home FOLDER]

Of each collection the drawings at odd places are copied under a camera's names and without captions; the others keep theirs.
For each: how many of those asked had a caption that another drawing or the list of words has too (`known`; nothing else can be
found), how often the first suggestion, and any of five, is a caption the drawing had, the same in the folder's own trial, and
how often suggestions that count as sure, as possible and as a guess were right. `zero-shot` is the plain nearest word without hub correction.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.data import scan
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import ModelRef, load_model, open_gallery, suggest, suggestions
from clip_atelier.engine.settings import DataSettings


def main() -> int:
    """Prints a line for each collection."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--home", type=Path)
    args = arguments.parse_args()
    home = args.home or Path(tempfile.mkdtemp(prefix="suggestions-"))
    print(
        "| collection | asked | known | way | R@1 | R@5 | own trial R@1 / R@5 | sure, right | possible: right, guesses: right | zero-shot R@1 / R@5 |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for collection in sorted(p for p in args.folder.iterdir() if p.is_dir() and args.only in p.name):
        print(line(collection, home), flush=True)
    return 0


def line(collection: Path, home: Path) -> str:
    """One collection's row."""
    found = drive(scan(collection, DataSettings(), Control()))
    with tempfile.TemporaryDirectory() as scratch:
        folder, hidden, rows = Path(scratch), {}, []
        for n, item in enumerate(found.items):
            name = f"IMG_{n:04d}{Path(item.path).suffix}"
            shutil.copyfile(collection / item.path, folder / name)
            if n % 2:
                hidden[name] = set(item.captions)
            else:
                rows.append((name, json.dumps(item.captions, ensure_ascii=False)))
        with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("file_name", "text"), *rows])
        models = Models(home)
        told = drive(suggest(folder, ModelRef(), models, Control()))
        loaded = load_model(ModelRef(), models)
        gallery = drive(open_gallery(folder, loaded, home, Control()))
    words = suggestions._candidates([json.loads(text) for _name, text in rows], loaded.model.name)
    plain = gallery.base @ loaded.texts(words, 0.0).T
    top = {
        item.path: [words[m] for m in np.argsort(-plain[n], kind="stable")[:5]]
        for n, item in enumerate(gallery.items)
    }
    known = [path for path, captions in hidden.items() if captions & set(words)]
    by_path = {one.path: one for one in told.drawings}
    first = sum(by_path[p].captions[0] in hidden[p] for p in hidden) / len(hidden)
    among = sum(bool(set(by_path[p].captions) & hidden[p]) for p in hidden) / len(hidden)
    sure = [one for one in told.drawings if one.sure]
    right = sum(one.captions[0] in hidden[one.path] for one in sure)
    guesses = [one for one in told.drawings if one.grade == "guess"]
    possible = [one for one in told.drawings if one.grade == "possible"]
    grades = ", ".join(
        f"{len(some)}: {sum(one.captions[0] in hidden[one.path] for one in some)}"
        for some in (possible, guesses)
    )
    zero = [sum(bool(set(top[p][:k]) & hidden[p]) for p in hidden) / len(hidden) for k in (1, 5)]
    own = [count / max(told.tried, 1) for count in (told.first, told.among)]
    return (
        f"| {collection.name} | {len(hidden)} | {len(known)} | {told.way} | {first:.3f} | {among:.3f} | {own[0]:.3f} / {own[1]:.3f} "
        f"| {len(sure)}, {right} | {grades} | {zero[0]:.3f} / {zero[1]:.3f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
