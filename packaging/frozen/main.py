"""Where the frozen program starts; the same program as `python -m clip_atelier`."""

import multiprocessing
import sys

if __name__ == "__main__":
    multiprocessing.freeze_support()

    from clip_atelier.cli.main import main

    sys.exit(main())
