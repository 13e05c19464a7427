"""What people asked to be written overwrites nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from clip_atelier.cli.main import main
from clip_atelier.engine.core import UserError, must_be_free


def test_a_file_a_folder_and_a_link_that_leads_nowhere_are_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file.zip").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    for name in ("file.zip", "folder"):
        with pytest.raises(UserError, match=name):
            must_be_free(tmp_path / name)
    must_be_free(tmp_path / "new.zip")
    must_be_free(tmp_path / "folder", empty_folder=True)
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="folder"):
        must_be_free(tmp_path / "folder", empty_folder=True)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_commands_that_write_do_not_follow_a_link_that_leads_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "report.txt"
    link.symlink_to(tmp_path / "elsewhere.txt")
    assert main(["problem", "--home", str(tmp_path / "home"), "--out", str(link)]) == 2
    assert "report.txt" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere.txt").exists()
