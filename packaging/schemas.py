"""Writes docs/schemas/, the JSON schema of every document that is stored or shown by a command.

Run it after changing a record: `python packaging/schemas.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from clip_atelier.engine.analysis import FolderMap
from clip_atelier.engine.core import Record
from clip_atelier.engine.data import FurtherFolders, ImportedCaptions, ImportSummary, ScanSummary, SheetRecord
from clip_atelier.engine.evaluation import GainedForgotten, ModelComparison, WordChanges
from clip_atelier.engine.experiments import GridTable, Protocol, ProtocolRepeat, SweepResult, TrainingQueue
from clip_atelier.engine.intake import IntakeSummary
from clip_atelier.engine.parts import PartsRecord
from clip_atelier.engine.parts.taught import TaughtList
from clip_atelier.engine.runs import (
    CrossValidation,
    Curves,
    Evaluation,
    RunDifference,
    RunLabel,
    RunRecord,
    RunSummary,
    TrainResult,
)
from clip_atelier.engine.search import (
    BatchResult,
    ComparedResult,
    IndexSummary,
    KeptSearches,
    PackedSummary,
    SearchResult,
    ShardSummary,
    Suggestions,
    Watched,
)
from clip_atelier.engine.training import Estimate
from clip_atelier.engine.upkeep import Repaired, Verified

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "schemas"

DOCUMENTS: Mapping[str, type[Record]] = {
    "run": RunRecord,
    "train": TrainResult,
    "crossval": CrossValidation,
    "parts": PartsRecord,
    "teach": TaughtList,
    "runs": RunSummary,
    "label": RunLabel,
    "runs-diff": RunDifference,
    "runs-curves": Curves,
    "protocol": Protocol,
    "protocol-run": ProtocolRepeat,
    "scan": ScanSummary,
    "captions-suggest": Suggestions,
    "captions-import": ImportedCaptions,
    "import": ImportSummary,
    "intake": IntakeSummary,
    "page": SheetRecord,
    "collection-folders": FurtherFolders,
    "index": IndexSummary,
    "index-shard": ShardSummary,
    "index-packed": PackedSummary,
    "search": SearchResult,
    "search-compared": ComparedResult,
    "searches": KeptSearches,
    "search-batch": BatchResult,
    "watch": Watched,
    "estimate": Estimate,
    "evaluate": Evaluation,
    "grid": GridTable,
    "sweep": SweepResult,
    "queue": TrainingQueue,
    "map": FolderMap,
    "dial": GainedForgotten,
    "words": WordChanges,
    "models-compare": ModelComparison,
    "verify": Verified,
    "repair": Repaired,
}


def schema(name: str) -> str:
    """One document's schema as text."""
    found = DOCUMENTS[name].model_json_schema(by_alias=True, mode="serialization")
    return json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for document in DOCUMENTS:
        (FOLDER / f"{document}.json").write_text(schema(document), encoding="utf-8", newline="\n")
