"""The Debian package as dpkg unpacks it; the frozen program in it is an empty file here."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging"))

from installer import debian  # noqa: E402


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_the_manual_page_and_the_completion_lie_where_man_and_the_shells_look(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.mkdir()
    (program / "clip-atelier").write_text("#!/bin/sh\n")
    package = debian.build(program, tmp_path, tmp_path / "out", quick=True)
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path / "root"], check=True)
    share = tmp_path / "root" / "usr" / "share"
    page = gzip.decompress((share / "man" / "man1" / "clip-atelier.1.gz").read_bytes())
    assert page == (ROOT / "docs" / "clip-atelier.1").read_bytes()
    for shell, place in (
        ("bash", "bash-completion/completions/clip-atelier"),
        ("zsh", "zsh/vendor-completions/_clip-atelier"),
        ("fish", "fish/vendor_completions.d/clip-atelier.fish"),
    ):
        script = (share / place).read_text("utf-8")
        assert "lora.lora_alpha" in script
        if shutil.which(shell):
            subprocess.run([shell, "-n", share / place], check=True)
