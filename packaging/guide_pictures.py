"""The pictures of the user guide, in both languages, and of the README: a run on the sample is trained, and every page is taken.

Run it as: python packaging/guide_pictures.py        (a few minutes; writes docs/guide/images and docs/images/window.png)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "guide" / "images"
#: What the README begins with: the page on which base and adapted model are compared.
README = ROOT / "docs" / "images" / "window.png"
SAMPLE = ROOT / "resources" / "samples" / "emoji"
SKETCH = SAMPLE / "sketches" / "owl.png"
"""What is searched by."""
SHOWN = (1120, 700)
#: What is kept of what `screenshots.py` takes: page and view -> name in the guide.
KEPT = {
    "collection-pictures": "collection", "collection-captions": "captions", "settings-picture": "settings",
    "training-strips": "training", "search": "search", "table-run": "table", "map": "map", "learned-words": "learned",
    "models": "models",
}  # fmt: skip
#: Where the folder's path stands, which is nobody's business: left, top, right, bottom.
PATH = (226, 28, 900, 46)


def main() -> int:
    """Trains, takes and shrinks."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        home, taken = Path(scratch, "home"), Path(scratch, "taken")
        command = [sys.executable, "-m", "clip_atelier"]
        # The preset that gains measurably on the sample; "Find what helps" takes many times as long.
        train = [*command, "train", str(SAMPLE), "--preset", "attention", "--home", str(home), "--quiet"]
        subprocess.run(train, check=True)
        pages = dict.fromkeys(name.partition("-")[0] for name in KEPT)
        take = [
            sys.executable, str(ROOT / "packaging" / "screenshots.py"), str(taken), "--home", str(home), "--folder", str(SAMPLE),
            "--picture", str(SKETCH), "--measure", "--pages", ",".join(pages), "--themes", "light",
        ]  # fmt: skip
        subprocess.run(take, check=True)
        for shown, name in KEPT.items():
            for language in ("en", "ko"):
                with Image.open(taken / f"{shown}-{language}-light.png") as picture:
                    whole = picture.convert("RGB")
                whole.paste(whole.getpixel((PATH[2] + 20, PATH[1])), PATH)
                small = whole.resize(SHOWN, Image.Resampling.LANCZOS)
                small.save(OUT / f"{name}-{language}.webp", quality=82, method=6)
                if (name, language) == ("search", "en"):
                    small.save(README, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
