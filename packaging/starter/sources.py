"""Which icon sets the starter model learns from, which are kept for evaluation, and why the rest are left out."""

from __future__ import annotations

from pathlib import Path

from iconify import IconSet, list_sets, load_set

#: Licences that allow use for any purpose with credit at most. Share-alike, non-commercial, font and copyleft licences
#: are left out, so that the weights can be given on under Apache-2.0.
PERMISSIVE = frozenset(
    {"MIT", "Apache-2.0", "ISC", "BSD-3-Clause", "CC0-1.0", "Unlicense", "CC-BY-3.0", "CC-BY-4.0"}
)

#: Trade marks, file-type badges and national flags: they teach names of companies and countries, not drawings.
_MARKS = frozenset(
    """academicons bitcoin-icons catppuccin cif circle-flags devicon devicon-plain fa-brands fa6-brands file-icons
    flag flagpack gcp ginetex k8s material-icon-theme skill-icons unjs vscode-icons""".split()
)
_MARK_CATEGORIES = frozenset({"Logos"})

#: Colour and line emoji that share their meaning through Unicode.
EMOJI = ("twemoji", "noto", "noto-v1", "emojione", "emojione-monotone", "fxemoji")

_HELD_OUT_PREFIXES = ("game-icons", "openmoji", "guidance", "fluent-emoji", "streamline")


def held_out(prefix: str) -> bool:
    """Whether the set is kept for evaluation and never trained on, in any of its styles."""
    return prefix.startswith(_HELD_OUT_PREFIXES)


def training_sets(root: Path) -> list[IconSet]:
    """Load every set the starter model may learn from, sorted by prefix."""
    chosen = []
    for prefix in list_sets(root):
        if held_out(prefix) or prefix in _MARKS:
            continue
        icon_set = load_set(root, prefix)
        if icon_set.license_spdx in PERMISSIVE and icon_set.category not in _MARK_CATEGORIES:
            chosen.append(icon_set)
    return chosen


def is_mark(name: str) -> bool:
    """Whether an icon's name says that it is a brand's logo inside an otherwise general set."""
    words = name.split("-")
    return not {"brand", "brands", "logo", "logos"}.isdisjoint(words)
