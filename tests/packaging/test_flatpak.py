"""The Flatpak's manifest: what it builds from a package, what it may reach, and that nothing of it is fetched."""

from __future__ import annotations

import configparser
import hashlib
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging"))

import flatpak  # noqa: E402
from installer import debian, project  # noqa: E402
from installer.project import BuildError  # noqa: E402

ID = project.IDENTIFIER
#: What the sandbox lets out, and why, in the manifest's own remarks.
ALLOWED = {
    "--socket=x11", "--share=ipc", "--device=dri", "--filesystem=home", "--share=network",
    "--talk-name=org.freedesktop.Notifications", "--talk-name=org.freedesktop.FileManager1",
}  # fmt: skip

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package like that of build.py; the frozen program in it is a script here."""
    folder = tmp_path_factory.mktemp("dist")
    program = folder / "program"
    program.mkdir()
    (program / "clip-atelier").write_text("#!/bin/sh\necho started\n")
    (program / "clip-atelier").chmod(0o755)
    debian.build(program, folder, folder, quick=True)
    return folder


@pytest.fixture
def manifest(dist: Path, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    file = flatpak.prepared(dist, tmp_path / "work")
    return file, yaml.safe_load(file.read_text("utf-8"))


def test_it_names_the_package_by_checksum_and_fetches_nothing(
    manifest: tuple[Path, dict[str, Any]], dist: Path
) -> None:
    file, read = manifest
    assert file.stem == read["id"] == ID
    (module,) = read["modules"]
    (source,) = module["sources"]
    package = file.parent / source["path"]
    assert package.read_bytes() == (dist / package.name).read_bytes()
    assert source["sha256"] == hashlib.sha256(package.read_bytes()).hexdigest()
    assert "url" not in source
    assert "--share=network" not in read["build-options"].get("build-args", [])
    assert set(read["finish-args"]) == ALLOWED
    if shutil.which("flatpak-builder"):
        subprocess.run(
            ["flatpak-builder", "--show-manifest", file.name],
            cwd=file.parent,
            check=True,
            capture_output=True,
        )


def test_its_commands_lay_out_a_program_that_starts(
    manifest: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    if shutil.which("ar") is None or shutil.which("zstd") is None:
        pytest.skip("ar or zstd is not installed")
    file, read = manifest
    (module,) = read["modules"]
    (source,) = module["sources"]
    (file.parent / source["path"]).rename(file.parent / source["dest-filename"])
    app = tmp_path / "app"
    app.mkdir()
    environment = {**os.environ, "FLATPAK_DEST": str(app), "FLATPAK_ID": ID}
    for command in module["build-commands"]:
        subprocess.run(["sh", "-ec", command], cwd=file.parent, env=environment, check=True)
    said = subprocess.run(
        [app / "bin" / read["command"]], capture_output=True, text=True, check=True, env=environment
    )
    assert said.stdout == "started\n"
    share = app / "share"
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[assignment,method-assign]
    entry.read(share / "applications" / f"{ID}.desktop", encoding="utf-8")
    assert entry["Desktop Entry"]["Icon"] == ID
    assert (share / "icons" / "hicolor" / "scalable" / "apps" / f"{ID}.svg").is_file()
    about = ET.parse(share / "metainfo" / f"{ID}.metainfo.xml").getroot()
    assert about.findtext("id") == ID
    assert about.findtext("launchable") == f"{ID}.desktop"
    kinds = (share / "mime" / "packages" / f"{ID}.xml").read_text("utf-8")
    assert 'icon name="clip-atelier"' not in kinds
    assert kinds.count(f'icon name="{ID}"') == 2
    # Only what is called as the application is taken out of the sandbox.
    for folder in ("applications", "icons", "mime/packages", "metainfo"):
        assert all(one.name.startswith(ID) for one in (share / folder).rglob("*") if one.is_file())
    for tool, *words in (
        ("desktop-file-validate", share / "applications" / f"{ID}.desktop"),
        ("appstreamcli", "validate", "--no-net", share / "metainfo" / f"{ID}.metainfo.xml"),
    ):
        if shutil.which(tool):
            subprocess.run([tool, *words], check=True, capture_output=True)


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"_amd64\.deb is missing; make it with"):
        flatpak.prepared(tmp_path, tmp_path / "work")
