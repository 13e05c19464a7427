"""Versions that decide a run's numbers."""

from __future__ import annotations

import contextlib

from clip_atelier import __version__


def versions() -> dict[str, str]:
    """Versions that decide a run's numbers, without importing the packages."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"clip_atelier": __version__}
    for package in ("torch", "transformers", "peft", "numpy", "pillow"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
