"""The proof of the installers removes no folder in which something of this machine is mounted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging"))

from proof import root

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="proofs are for Linux")


def test_a_root_with_something_mounted_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "증명 deb"
    (folder / "dev").mkdir(parents=True)
    (folder / "dev" / "null").touch()
    mounts = tmp_path / "mounts"
    written = str(folder).replace(" ", "\\040")
    mounts.write_text(f"devtmpfs {written}/dev devtmpfs rw 0 0\nproc /proc proc rw 0 0\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="still mounted"):
        root.remove(folder, mounts)
    assert (folder / "dev" / "null").exists()
    mounts.write_text("proc /proc proc rw 0 0\n")
    root.remove(folder, mounts)
    assert not folder.exists()
