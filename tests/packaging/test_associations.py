"""The files that the program says are its own are the same on every system, and are those that its window takes."""

from __future__ import annotations

import configparser
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from clip_atelier.engine.models import MODEL
from clip_atelier.engine.runs import RUN

PACKAGING = Path(__file__).parents[2] / "packaging"
ENDINGS = {MODEL.suffix, RUN.suffix}
MIME = "{http://www.freedesktop.org/standards/shared-mime-info}"


def test_linux_knows_both_kinds_and_folders() -> None:
    types = {
        kind.attrib["type"]: {glob.attrib["pattern"].removeprefix("*") for glob in kind.iter(f"{MIME}glob")}
        for kind in ET.parse(PACKAGING / "linux" / "clip-atelier.xml").getroot()
    }
    assert set().union(*types.values()) == ENDINGS
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[assignment,method-assign]
    entry.read(PACKAGING / "linux" / "clip-atelier.desktop", encoding="utf-8")
    opened = set(entry["Desktop Entry"]["MimeType"].strip(";").split(";"))
    assert opened == {*types, "inode/directory"}
    assert entry["Desktop Entry"]["Exec"].endswith(" %f")


def test_windows_knows_both_kinds_and_folders_and_forgets_them() -> None:
    script = (PACKAGING / "windows" / "installer.nsi").read_text(encoding="utf-8")
    assert set(re.findall(r'insertmacro FILE_TYPE "(\.\w+)"', script)) == ENDINGS
    assert set(re.findall(r'insertmacro NO_FILE_TYPE "(\.\w+)"', script)) == ENDINGS
    assert r'WriteRegStr HKCU "Software\Classes\Directory\shell\ClipAtelier\command"' in script
    assert r'DeleteRegKey HKCU "Software\Classes\Directory\shell\ClipAtelier"' in script


def test_macos_knows_both_kinds_and_folders() -> None:
    info = json.loads((PACKAGING / "macos" / "info.json").read_text(encoding="utf-8"))
    exported = {
        kind["UTTypeIdentifier"]: f".{kind['UTTypeTagSpecification']['public.filename-extension'][0]}"
        for kind in info["UTExportedTypeDeclarations"]
    }
    assert set(exported.values()) == ENDINGS
    opened = {name for kind in info["CFBundleDocumentTypes"] for name in kind["LSItemContentTypes"]}
    assert opened == {*exported, "public.folder"}


def test_an_installer_over_its_limit_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PACKAGING))
    from installer.project import BuildError, within

    installer = tmp_path / "big.deb"
    installer.write_bytes(b"x" * 1025)
    assert within(1025, installer) == installer
    with pytest.raises(BuildError, match=r"big\.deb"):
        within(1024, installer)
