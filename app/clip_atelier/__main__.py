"""`python -m clip_atelier` is the same program as `clip-atelier`."""

import sys

from clip_atelier.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
