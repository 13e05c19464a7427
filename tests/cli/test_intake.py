"""`intake` cuts pages into drawings, says what it did, and names what was wrong."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw
from test_commands import Call


def test_intake(tmp_path: Path, home: Path, call: Call, said: Call) -> None:
    page = Image.new("RGB", (200, 200), (235, 228, 210))
    ImageDraw.Draw(page).ellipse((30, 30, 90, 90), outline=(20, 20, 20), width=3)
    page.save(tmp_path / "page.png")
    out = tmp_path / "art" / "intake"
    found = call("intake", tmp_path / "page.png", "--into", out)
    assert (found["pages"], found["drawings"], found["files"]) == (1, 1, ["page-01.png", "page.page.json"])
    assert "before" in said("intake", tmp_path / "page.png", "--into", out)
    call("intake", tmp_path / "page.png", "--into", tmp_path / "kept", "--keep-paper", "--gap", "2")
    with Image.open(tmp_path / "kept" / "page-01.png") as cut:
        assert cut.convert("RGB").getpixel((0, 0)) == (235, 228, 210)
    said("intake", tmp_path / "page.png", "--into", out, "--gap", "99", code=2)
    said("intake", tmp_path / "nowhere.png", "--into", out, code=2)
