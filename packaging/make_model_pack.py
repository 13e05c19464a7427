"""Makes a model pack: one file that brings a CLIP to machines without a network.

Run it as: python packaging/make_model_pack.py FOLDER [OUT]

FOLDER is any Hugging Face folder of a supported type with safetensors weights. OUT is NAME.clipmodel beside it where
left out. The pack is a zip; on the other machine drop it on the window, open it, or: clip-atelier models add PACK
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))

from clip_atelier.engine.core import UserError
from clip_atelier.engine.models import model_packs
from clip_atelier.engine.models.registry import FAMILIES


def main() -> int:
    """Makes the pack and says what is in it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    args = parser.parse_args()
    folder = args.folder.resolve()
    out = args.out or folder.with_name(folder.name + model_packs.MODEL.suffix)
    try:
        pack = model_packs.make(folder, out)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    family = pack.about["family"]
    if family not in FAMILIES:
        out.unlink()
        print(
            f"{folder} holds a model of the type {family}; supported: {', '.join(FAMILIES)}",
            file=sys.stderr,
        )
        return 2
    print(f"{out}: {pack.name}, {pack.size / 2**20:.0f} MB in {len(pack.entries)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
