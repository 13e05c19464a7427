"""The site of the documentation: all that pages lead to is in it, it is whole without a network, and mkdocs takes it as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging"))

import site_hooks  # noqa: E402

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    return read


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and mkdocs make it of plain words."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "").lower()).strip())


def test_every_page_is_found_from_the_menu(config: dict[str, Any]) -> None:
    named = list(site_hooks._named(config["nav"]))
    assert set(named) <= site_hooks.pages().keys() | site_hooks.lists().keys()
    assert len(set(named)) == len(named)
    # What the menu does not name comes under it by itself.
    forgotten = [one for one in config["nav"] if one != "index.md"]
    assert set(site_hooks.unnamed(forgotten)) == {"index.md", *site_hooks.unnamed(config["nav"])}
    assert not [place for place in site_hooks.unnamed([]) if place.startswith(("decisions/", "schemas/"))]


def test_every_link_leads_to_something_in_the_site() -> None:
    pages, lists, sources = site_hooks.pages(), site_hooks.lists(), site_hooks.sources()
    seen = 0
    for page, name in pages.items():
        headings = {
            one: {slug(h) for h in re.findall(r"^#+ (.+)$", (ROOT / file).read_text("utf-8"), re.MULTILINE)}
            for one, file in pages.items()
        }
        for target, place in site_hooks.targets(page, name):
            seen += 1
            assert place in pages or place in lists or place in sources or (DOCS / place).is_file(), target
            fragment = target.partition("#")[2]
            assert not fragment or fragment in headings[place], f"{name}: {target}"
    assert seen > 150
    for file in sources.values():
        file.read_text("utf-8")


def test_links_out_of_the_folder_lead_to_copies_and_drawings_need_no_script() -> None:
    text = (DOCS / "threats.md").read_text("utf-8")
    shown = site_hooks.as_shown(text, "threats.md", "docs/threats.md")
    assert "[SECURITY.md](security.md)" in shown
    shown = site_hooks.as_shown((DOCS / "faults.md").read_text("utf-8"), "faults.md", "docs/faults.md")
    assert "](source/tests/faults/test_kills.py.txt)" in shown
    assert "](../" not in shown
    shown = site_hooks.as_shown((ROOT / "README.md").read_text("utf-8"), "index.md", "README.md")
    assert "](images/window.png)" in shown
    assert "](changelog.md)" in shown
    text = (DOCS / "architecture.md").read_text("utf-8")
    shown = site_hooks.as_shown(text, "architecture.md", "docs/architecture.md")
    assert "```mermaid" not in shown
    assert '<details markdown="1">' in shown
    rooms = set(re.findall(r"^    (\w+) --> ", text, re.MULTILINE)) | {"storage"}
    assert set(re.findall(r">(\w+)</text>", shown)) == rooms


def test_an_arrow_is_drawn_where_it_follows_from_no_others() -> None:
    drawn = site_hooks.drawing("flowchart BT\n    a --> b\n    b --> c\n    a --> c\n    a --> d\n")
    assert drawn.count("<line") == 3
    assert drawn.count("<rect") == 4


def test_code_is_left_alone_and_lists_stand_apart() -> None:
    text = "Say `[x](y.md)`:\n- one\n- two\n  more\n\n```\ntext\n- no item\n[x](y.md)\n```\n"
    assert site_hooks.as_shown(text, "models.md", "docs/models.md") == text.replace(":\n- one", ":\n\n- one")
    with pytest.raises(FileNotFoundError, match=r"docs/models\.md links to gone\.md"):
        site_hooks.as_shown("[x](gone.md)", "models.md", "docs/models.md")


def test_nothing_comes_from_elsewhere(config: dict[str, Any]) -> None:
    assert config["theme"]["highlightjs"] is False
    assert "extra_javascript" not in config
    assert all((DOCS / style).is_file() for style in config["extra_css"])
    assert "http" not in yaml.safe_dump(config)


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs is not installed")
def test_mkdocs_builds_it_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for file in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img)[^>]+(?:src|href)=\"((?:https?:)?//[^\"]+)", file.read_text("utf-8")
        )
        assert loaded == [], file.name
    assert (tmp_path / "site" / "source" / "LICENSE.txt").read_bytes() == (ROOT / "LICENSE").read_bytes()
