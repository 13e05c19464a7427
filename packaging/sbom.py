"""Writes what an installer is made of, from its lock file, as a CycloneDX bill of materials.

Run it as: python packaging/sbom.py OUT_FOLDER [--platform linux|windows|macos]        (all three when left out)

The same lock gives the same bytes: no clock and no chance is in it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

from installer.project import PACKAGING, version

PLATFORMS = ("linux", "windows", "macos")

#: Libraries in others' files: what reads pictures from anywhere, by the versions that a fault would be reported of.
BUILT_IN = {
    "pi-heif": (("libheif", "1.23.0", "LGPL-3.0-or-later"), ("libde265", "1.1.0", "LGPL-3.0-or-later")),
    "resvg-py": (("resvg", "0.48.1", "Apache-2.0 OR MIT"), ("usvg", "0.48.1", "Apache-2.0 OR MIT"),
                 ("roxmltree", "0.21.1", "MIT OR Apache-2.0"), ("tiny-skia", "0.12.0", "BSD-3-Clause")),
}  # fmt: skip

_LINE = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?:\s*;.*)?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main() -> int:
    """Writes one document for each platform."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--platform", choices=PLATFORMS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for platform in (args.platform,) if args.platform else PLATFORMS:
        file = args.out / f"clip-atelier-{platform}.cdx.json"
        text = json.dumps(bill(platform), indent=1, sort_keys=True) + "\n"
        file.write_text(text, encoding="utf-8")
        print(file)
    return 0


def bill(platform: str) -> dict[str, Any]:
    """The document of a platform's processor edition."""
    lock = PACKAGING / "lock" / f"{platform}-cpu.txt"
    text = lock.read_text(encoding="utf-8")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "name": "clip-atelier", "version": version(), "bom-ref": "clip-atelier",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [
            {
                "type": "library", "name": name, "version": number, "bom-ref": f"pkg:pypi/{name}@{number}",
                "purl": f"pkg:pypi/{name}@{number.replace('+', '%2B')}",
                **_inside(name),
                "hashes": [{"alg": "SHA-256", "content": one} for one in hashes],
            }
            for name, number, hashes in locked(text)
        ],
    }  # fmt: skip


def _inside(name: str) -> dict[str, list[dict[str, Any]]]:
    """What is built into a package's file, where there is something to know of it."""
    parts = [
        {"type": "library", "name": part, "version": number, "licenses": [{"expression": licence}],
         "bom-ref": f"{name}/{part}@{number}"}
        for part, number, licence in BUILT_IN.get(name, ())
    ]  # fmt: skip
    return {"components": parts} if parts else {}


def locked(text: str) -> list[tuple[str, str, list[str]]]:
    """Name, version and hashes of every package in a lock file."""
    found: list[tuple[str, str, list[str]]] = []
    for line in text.splitlines():
        if start := _LINE.match(line.strip()):
            found.append((start[1].lower().replace("_", "-"), start[2], []))
        elif found:
            found[-1][2].extend(_HASH.findall(line))
    return found


if __name__ == "__main__":
    sys.exit(main())
