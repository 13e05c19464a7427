"""Words learned and lost: which words find their images better or worse after the adaptation.

A word's place is where the first right image stands in its ranking (1 is best); how far it moved is measured in
octaves, log2(place before / place after), because going from 8 to 4 matters as much as from 2 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clip_atelier.engine import adapters, features, metrics
from clip_atelier.engine import retrieval as boards
from clip_atelier.engine.adapted import open_run
from clip_atelier.engine.collection import scan, split
from clip_atelier.engine.control import Control
from clip_atelier.engine.errors import UserError
from clip_atelier.engine.events import Phase, Work
from clip_atelier.engine.i18n import _
from clip_atelier.engine.models import Models
from clip_atelier.engine.pictures import Pictures
from clip_atelier.engine.retrieval import Board, Features
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.store import Store
from clip_atelier.engine.training import embed

TEMPLATES = (
    "{}", "a drawing of {}", "a sketch of {}", "a painting of {}", "a photo of {}", "an icon of {}", "{} 그림",
)  # fmt: skip


def words(
    home: Path,
    run_id: str,
    models: Models,
    control: Control,
    folder: Path | None = None,
    templates: Sequence[str] = TEMPLATES,
) -> Work[dict[str, Any]]:
    """The vocabulary of a collection ranked by how far its retrieval moved, and how much the wording matters.

    Args:
        home: Where runs and caches live.
        run_id: The run.
        models: Owner of loaded models.
        control: Stop and pause.
        folder: Another collection than the run's own. Of the run's own only held-out images are used.
        templates: Sentences a caption is put into; {} stands for it.

    Returns:
        `words[{word, before, after, moved}]`, most learned first; `templates[{template, base, adapted}]` with
        text → image R@1 for each wording; `images`.

    Raises:
        UserError: no such run or collection.
    """
    run = Runs(home).open(run_id)
    settings = run.settings
    yield Phase(name="scan", title=_("Reading the collection"))
    collection = yield from scan(folder or run.folder, settings.data, control, home / "cache" / "scan.sqlite")
    parts = split(collection, settings.data, settings.train.seed)
    own = run.record.get("data", {}).get("fingerprint") == collection.fingerprint
    indices = (parts.test or parts.validation) if own else tuple(range(len(collection.items)))
    yield Phase(name="load", title=_("Opening the model"))
    opened = open_run(run, models)
    clip, adapter = opened.clip, opened.adapter
    used = adapter.strength
    store = Store(home / "cache" / "features.sqlite", int(settings.hardware.cache_gb * 1e9))
    try:
        pictures = Pictures(
            collection.root, collection.items, clip.image_size, settings.data, settings.train.seed, store
        )
        yield Phase(name="encode", title=_("Preparing the images"))
        bad = set((yield from pictures.prepare(indices, control)))
        board = boards.board(collection.items, [i for i in indices if i not in bad], parts.groups)
        if not board.captions:
            raise UserError(_("This collection has no captions to look at."), "", "folder")
        yield Phase(name="evaluate", title=_("Asking for every word"))
        with adapter.at(0.0):
            base = yield from embed(clip, pictures, board, control)
            base_templates = [features.texts(clip, _worded(board, t)) for t in templates]
        adapted = base if used == 0 else (yield from embed(clip, pictures, board, control))
        adapted_templates = [features.texts(clip, _worded(board, t)) for t in templates]
    finally:
        store.close()
        adapters.detach(clip)
    before, after = _places(board, *base), _places(board, *adapted)
    moved = np.log2(before / after)
    order = np.argsort(-moved, kind="stable")
    return {
        "run": run.id,
        "images": len(board.indices),
        "strength": used,
        "words": [
            {
                "word": board.captions[n],
                "before": int(before[n]),
                "after": int(after[n]),
                "moved": float(moved[n]),
            }
            for n in order
        ],
        "templates": [
            {"template": t, "base": _first(board, base[0], b), "adapted": _first(board, adapted[0], a)}
            for t, b, a in zip(templates, base_templates, adapted_templates, strict=True)
        ],
    }


def _worded(board: Board, template: str) -> list[str]:
    return [template.replace("{}", caption) for caption in board.captions]


def _places(board: Board, images: Features, texts: Features) -> NDArray[np.float64]:
    """Place of each word's first right image."""
    task = board.task("text_to_image")
    return metrics.per_query(task.scores(images, texts), task.positives, names=("median_rank",))[
        "median_rank"
    ]


def _first(board: Board, images: Features, texts: Features) -> float:
    return float(np.mean(_places(board, images, texts) == 1))
