"""The engine: no Qt, no argparse, no print. Data flows one way through it.

folder -> Collection -> Split -> (cached) features -> training events -> run folder -> evaluation -> index -> search

Importing it changes nothing in the process. It fetches nothing, whatever the environment says: models are opened from
folders with `local_files_only`.
"""

import os
from pathlib import Path


def keep_to_itself() -> None:
    """For a process that is this program's own: its libraries stay off the network and off the terminal too.

    huggingface_hub, transformers and tokenizers read these variables when they are first imported. A program that uses
    this package as a library keeps its own environment.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def keep_below(home: Path) -> None:
    """Has torch keep its own files below HOME; to be called before torch is first imported.

    Importing transformers or peft imports torch's compiler, which makes its cache folder then and there, in the
    temporary directory unless told otherwise. A home that cannot be written is left to whoever needs it, so that the
    complaint names what was asked for.
    """
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    if os.access(existing, os.W_OK):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(home / "cache" / "torch"))
