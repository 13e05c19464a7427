"""What other programs may rely on: these command lines are understood, and these keys stand in the documents.

Nothing here may be taken away or renamed; what a newer version adds is added here too.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from clip_atelier.cli.commands import COMMANDS
from clip_atelier.cli.parsers import program

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"

LINES = """
scan FOLDER
train FOLDER --preset attention --model starter --lora.r 8 --train.epochs 2 --name N
train FOLDER --from-run RUN --settings FILE.toml
resume RUN
runs
runs show RUN
runs delete RUN
runs rename RUN NAME
runs note RUN NOTE
runs tag RUN red
runs diff RUN OTHER
evaluate RUN FOLDER
grid FOLDER --vary lora.r=8,16 --vary lora.lora_alpha=16,32 --vary lora.target_modules=q_proj+v_proj,visual_projection --out table.csv
index FOLDER --run RUN
search FOLDER --text T --run RUN --strength 1.5 --top 10
search FOLDER --image FILE
search FOLDER --batch FILE
search FOLDER --text T --run A --run B
map FOLDER --run RUN --out FILE.csv
export RUN --to adapter OUT
export RUN --to merged OUT
export RUN --to onnx OUT
export RUN --to code OUT
export RUN --to open_clip OUT
export RUN --to sentence-transformers OUT
export RUN --to embeddings OUT
models
models add PATH --name N
models download NAME
models show N
models remove N
models compare FOLDER
doctor
crossval FOLDER --preset auto --folds 5 --lora.r 4
teach RUN --word W IMAGE IMAGE
teach RUN --list
teach RUN --forget W
verify
verify --repair
captions export FOLDER --out FILE.jsonl
captions import FOLDER FILE
captions restore FOLDER
captions restore FOLDER 2026-11-27
trash list
trash restore NAME
watch FOLDER
protocol write FOLDER --out FILE
curves RUN
adapters add PATH
"""

KEYS = {
    "scan": "images captions labels pairs caption_source problems duplicates",
    "train": "run path status steps seconds trainable_parameters base adapted difference verdict questions",
    "runs": "run status settings",
    "evaluate": "base adapted difference verdict",
    "grid": "rows",
    "index": "images embedded reused skipped seconds",
    "search": "base adapted",
    "map": "points scores",
    "crossval": "folds seconds questions parts",
    "teach": "words",
    "verify": "checked problems",
    "repair": "checked problems",
    "captions-import": "files captions problems",
}


@pytest.mark.parametrize("line", LINES.split("\n")[1:-1])
def test_the_command_line_is_understood(line: str) -> None:
    for common in ("", " --json --home DIR --debug -q --language ko"):
        args = program(COMMANDS).parse_strictly(shlex.split(line + common))
        assert args.command.name == line.split(maxsplit=1)[0]


@pytest.mark.parametrize("document", KEYS)
def test_the_document_has_the_keys(document: str) -> None:
    schema = json.loads((SCHEMAS / f"{document}.json").read_text("utf-8"))
    assert schema["properties"].keys() >= set(KEYS[document].split())
