"""The macOS application: icon, signatures, notarisation, disk image. Runs on macOS only.

CODESIGN_IDENTITY names a "Developer ID Application" certificate and NOTARY_PROFILE a profile of `notarytool
store-credentials`; without them the application is signed ad hoc, and users must allow it once in the settings.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from installer import tree
from installer.project import COMMAND, LARGEST_FILE, NAME, PACKAGING, RESOURCES, run, version, within

_ENTITLEMENTS = PACKAGING / "macos" / "entitlements.plist"


def icon(work: Path) -> Path:
    """Makes the .icns of the program's picture."""
    icons = work / "clip-atelier.iconset"
    icons.mkdir(parents=True, exist_ok=True)
    picture = RESOURCES / "icons" / "clip-atelier.png"
    for size in (16, 32, 128, 256, 512):
        for scale, mark in ((1, ""), (2, "@2x")):
            out = icons / f"icon_{size}x{size}{mark}.png"
            run(["sips", "-z", str(size * scale), str(size * scale), picture, "--out", out])
    made = work / "clip-atelier.icns"
    run(["iconutil", "--convert", "icns", "--output", made, icons])
    return made


def build(application: Path, work: Path, out: Path) -> Path:
    """Signs the application, has it notarised where that is set up, and makes the disk image.

    Raises:
        BuildError: a tool fails, or the image is larger than release pages allow.
    """
    # The notices were written into the folder after PyInstaller made the bundle from it.
    notices = work / "frozen" / COMMAND / tree.INSIDE / "THIRD_PARTY_NOTICES.txt"
    shutil.copyfile(notices, application / "Contents" / "Resources" / "THIRD_PARTY_NOTICES.txt")
    identity = os.environ.get("CODESIGN_IDENTITY") or "-"
    sign(application, identity)
    out.mkdir(parents=True, exist_ok=True)
    image = out / f"{COMMAND}-{version()}-macos-arm64.dmg"
    image.unlink(missing_ok=True)
    run(["dmgbuild", "-s", PACKAGING / "macos" / "dmg.py", "-D", f"application={application}", NAME, image])
    run(["codesign", "--force", "--sign", identity, image])
    profile = os.environ.get("NOTARY_PROFILE")
    if profile:
        run(["xcrun", "notarytool", "submit", image, "--keychain-profile", profile, "--wait"])
        run(["xcrun", "stapler", "staple", image])
    return within(LARGEST_FILE, image)


def sign(application: Path, identity: str) -> None:
    """Signs from the inside out: every library first, the bundle last; `--deep` would miss what lies in Resources."""
    hardened = (
        [] if identity == "-" else ["--options", "runtime", "--timestamp", "--entitlements", _ENTITLEMENTS]
    )
    libraries = [f for f in tree.files(application) if not f.is_symlink() and f.suffix in (".so", ".dylib")]
    for library in libraries:
        run(["codesign", "--force", "--sign", identity, *hardened, library])
    run(["codesign", "--force", "--sign", identity, *hardened, application])
    run(["codesign", "--verify", "--deep", "--strict", application])
