"""The bill of materials names every package of the lock, with its hash, and comes out the same every time."""

from __future__ import annotations

import sys
from pathlib import Path

import pi_heif
import pytest
import resvg_py

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging"))

import sbom  # noqa: E402


@pytest.mark.parametrize("platform", sbom.PLATFORMS)
def test_every_locked_package_is_in_it_with_its_hash(platform: str) -> None:
    text = (ROOT / "packaging" / "lock" / f"{platform}-cpu.txt").read_text("utf-8")
    made = sbom.bill(platform)
    assert made == sbom.bill(platform)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.5")
    assert len(made["components"]) == text.count("==") > 50
    assert all(len(one["hashes"]) >= 1 for one in made["components"])
    names = {one["name"] for one in made["components"]}
    assert {"torch", "transformers", "peft", "pyside6-essentials", "pillow"} <= names
    inside = {
        part["name"]: part["version"] for one in made["components"] for part in one.get("components", ())
    }
    assert inside["libheif"] == pi_heif.libheif_version()
    assert inside["libde265"] in pi_heif.libheif_info()["decoders"]["libde265"]
    assert inside["resvg"] == resvg_py.__resvg_version__
    assert len({one["bom-ref"] for one in made["components"]}) == len(made["components"])
