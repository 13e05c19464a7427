"""Builds the wheel and the source distribution twice, compares them byte by byte, and writes them with their checksums.

Run it as: python packaging/distributions.py OUT        (needs nothing but what the tests need)

The dates inside are those of the last commit, so whoever builds the same commit gets the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from installer.project import ROOT, epoch


def main() -> int:
    """Builds, compares, writes; 1 where the two differ."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")
    with tempfile.TemporaryDirectory() as scratch:
        first, second = (built(Path(scratch, name)) for name in ("first", "second"))
        if first != second or len(first) != 2:
            print(f"The two builds differ: {first} and {second}", file=sys.stderr)
            return 1
        out.mkdir(parents=True, exist_ok=True)
        for name in first:
            shutil.copyfile(Path(scratch, "first", name), out / name)
    sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(first.items()))
    (out / "SHA256SUMS").write_text(sums, encoding="ascii")
    print(f"Built twice with the same bytes:\n{sums}", end="")
    return 0


def built(folder: Path) -> dict[str, str]:
    """Name and SHA-256 of what one build makes."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch())}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


if __name__ == "__main__":
    sys.exit(main())
