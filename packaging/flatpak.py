"""Prepares the Flatpak from the .deb that build.py made, and builds it where flatpak-builder is.

    python packaging/flatpak.py DIST             writes build/flatpak: the manifest with the package's checksum, and the package
    python packaging/flatpak.py DIST --build     the same, then builds DIST/clip-atelier-VERSION.flatpak

Building needs flatpak-builder and the runtime that the manifest names; it does not use the network.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from pathlib import Path

from installer.project import COMMAND, IDENTIFIER, PACKAGING, ROOT, BuildError, run, say, version

TEMPLATE = PACKAGING / "flatpak" / f"{IDENTIFIER}.yml"


def main() -> int:
    """Prepares, and builds if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dist", type=Path)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "flatpak")
    parser.add_argument("--build", action="store_true")
    args = parser.parse_args()
    try:
        manifest = prepared(args.dist, args.work)
        say(str(manifest))
        if args.build:
            say(str(build(manifest, args.dist)))
    except BuildError as error:
        say(f"The build stops: {error}")
        return 1
    return 0


def prepared(dist: Path, work: Path) -> Path:
    """Lays the package and the manifest that names it side by side.

    Raises:
        BuildError: there is not one .deb of this version.
    """
    package = dist / f"{COMMAND}_{version()}_amd64.deb"
    if not package.is_file():
        raise BuildError(f"{package} is missing; make it with: python3 packaging/build.py")
    work.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(package, work / package.name)
    with package.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    text = TEMPLATE.read_text("utf-8")
    filled = text.replace("path: PACKAGE", f"path: {package.name}").replace(
        "sha256: SHA256", f"sha256: {digest}"
    )
    manifest = work / TEMPLATE.name
    manifest.write_text(filled, encoding="utf-8")
    return manifest


def build(manifest: Path, dist: Path) -> Path:
    """Builds the application and packs it into one file."""
    work = manifest.parent
    bundle = dist.resolve() / f"{COMMAND}-{version()}.flatpak"
    run(
        [
            "flatpak-builder",
            "--user",
            "--force-clean",
            "--disable-download",
            "--repo=repo",
            "app",
            manifest.name,
        ],
        work,
    )
    run(["flatpak", "build-bundle", "repo", bundle, IDENTIFIER], work)
    return bundle


if __name__ == "__main__":
    sys.exit(main())
