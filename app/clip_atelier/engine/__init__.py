"""The engine: no Qt, no argparse, no print. Data flows one way through it.

folder -> Collection -> Split -> (cached) features -> training events -> run folder -> evaluation -> index -> search
"""

import os

# Read by huggingface_hub and transformers when they are first imported. Nothing in the engine may wait for a
# network: saving an adapter would otherwise ask the hub about its base model, and conversion threads would start.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
