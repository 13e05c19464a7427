"""Renews everything that is made from the code and kept in the repository: pages in docs/, schemas, translations.

Run it before a commit: `python packaging/generate.py`. Nothing changes where all is current, and the tests see to it that
it was run. Korean for new words is still to be written by hand, see translations.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACKAGING = Path(__file__).resolve().parent

#: Each is a script beside this one that can also be run alone.
SCRIPTS = (
    "translations",
    "glossary",
    "schemas",
    "settings_reference",
    "cli_reference",
    "man_page",
    "python_reference",
    "notebook",
    "architecture",
    "faults",
)


def main() -> int:
    """Runs all scripts, each in a process of its own; 1 if one failed."""
    failed = [name for name in SCRIPTS if subprocess.call([sys.executable, str(PACKAGING / f"{name}.py")])]
    for name in failed:
        print(f"packaging/{name}.py failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
