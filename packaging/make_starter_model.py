"""Make the bilingual starter model from nothing but package-registry data, on an ordinary computer.

Get the data first, in any folder::

    npm install @iconify/json emojibase-data

Then, with the development environment of this project::

    python packaging/make_starter_model.py prepare  --npm FOLDER/node_modules --work WORK
    python packaging/make_starter_model.py train    --npm FOLDER/node_modules --work WORK --hours 1.7
    python packaging/make_starter_model.py export   --npm FOLDER/node_modules --work WORK
    python packaging/make_starter_model.py evaluate --npm FOLDER/node_modules --work WORK

``prepare`` draws about 200,000 icons into WORK (two gigabytes, ten minutes). ``train`` runs at the lowest priority
and may be stopped at any time; with ``--resume`` it goes on from its last checkpoint, which it writes every five
minutes. It trains at a constant rate until ``--decay-at`` or ``--hours``, then lets the rate fall to zero; the model is
good only after that. ``export`` writes the model folder, ``evaluate`` measures it on styles that were kept out and writes
its report, the credits of all icon sets, and the probe drawings.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from dataclasses import astuple
from datetime import datetime, timedelta
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")

import torch
from transformers import AutoTokenizer, CLIPModel, PreTrainedTokenizerFast

from starter.architecture import build_model, train_tokenizer
from starter.batches import Batches
from starter.captions import Captioner, EmojiTable
from starter.catalogue import Catalogue, build_catalogue
from starter.drawings import Store, open_store, prepare_store
from starter.evaluation import STYLES, make_gallery, score, score_pairs
from starter.export import export_model, write_probe
from starter.report import TrainingFacts, write_credits, write_report
from starter.training import Recipe, Trainer, keep_memory

_HERE = Path(__file__).resolve().parent
_RESOURCES = _HERE.parent / "resources"


def main(arguments: list[str] | None = None) -> int:
    """Run one of the sub-commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("prepare", "train", "export", "evaluate"))
    parser.add_argument(
        "--npm", type=Path, required=True, help="node_modules with @iconify/json and emojibase-data"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for drawings and checkpoints")
    parser.add_argument("--target", type=Path, default=_RESOURCES / "models" / "starter")
    parser.add_argument("--probe", type=Path, default=_RESOURCES / "control-set")
    parser.add_argument("--dry-run", action="store_true", help="evaluate without writing the report")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--hours", type=float, default=1.5, help="hours from now until the decay begins")
    parser.add_argument(
        "--decay-at", metavar="HH:MM", help="clock time at which the decay begins, instead of --hours"
    )
    parser.add_argument("--decay-minutes", type=float, default=18.0, help="length of the decay")
    parser.add_argument("--note", default="", help="what the report should add about this training")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout
    )
    torch.set_num_threads(options.threads)
    if options.action == "prepare":
        prepare_store(options.npm / "@iconify" / "json", options.work / "data")
    elif options.action == "train":
        _train(options)
    elif options.action == "export":
        _export(options)
    else:
        _evaluate(options)
    return 0


def _train(options: argparse.Namespace) -> None:
    os.nice(19)
    keep_memory()
    store, catalogue = _data(options)
    logging.info(
        "%d drawings, %d captions, %d emoji, %d icons with Korean",
        len(store.drawings),
        len(catalogue.texts),
        len(catalogue.emoji),
        (catalogue.counts[1] > 0).sum(),
    )
    folder = options.work / "tokenizer"
    if options.resume:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    else:
        tokenizer = train_tokenizer(catalogue.texts)
        tokenizer.save_pretrained(folder)
    recipe = Recipe(decay_minutes=options.decay_minutes)
    trainer = Trainer(recipe, tokenizer, Batches(store, catalogue, recipe.batch, recipe.seed), options.work)
    if options.resume:
        trainer.resume(options.work / "checkpoint.pt")
    trainer.run(_decay_time(options))


def _export(options: argparse.Namespace) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(options.work / "tokenizer")
    model = build_model(len(tokenizer))
    state = torch.load(options.work / "checkpoint.pt", weights_only=True)
    model.load_state_dict(state["model"])
    export_model(model, tokenizer, options.target)
    size = sum(path.stat().st_size for path in options.target.iterdir())
    logging.info("step %d written to %s, %.1f MB", state["step"], options.target, size / 1e6)


def _evaluate(options: argparse.Namespace) -> None:
    icons, table = options.npm / "@iconify" / "json", EmojiTable(options.npm / "emojibase-data")
    model = CLIPModel.from_pretrained(options.target).eval()
    tokenizer = AutoTokenizer.from_pretrained(options.target)
    galleries = {style: make_gallery(icons, style, table) for style in STYLES}
    scores = [result for gallery in galleries.values() for result in score(model, tokenizer, gallery)]
    pairs = score_pairs(model, icons, galleries["fluent-emoji-high-contrast"], "fluent-emoji-flat")
    for result in (*scores, pairs):
        logging.info("%-28s %-5s R@1 %.3f  R@10 %.3f  of %d", *astuple(result))
    if options.dry_run:
        return
    state = torch.load(options.work / "checkpoint.pt", weights_only=True)
    store, catalogue = _data(options)
    facts = TrainingFacts(
        state["step"],
        state["seconds"] / 60,
        state["images"],
        len(store.drawings),
        len(catalogue.texts),
        len(catalogue.emoji),
        state["recipe"],
        options.note,
    )
    write_report(options.target / "REPORT.md", facts, scores, pairs)
    write_credits(options.target / "DATA_LICENCES.md", icons, store.drawings)
    logging.info("%d probe drawings", write_probe(icons, options.probe))


def _data(options: argparse.Namespace) -> tuple[Store, Catalogue]:
    """Open the drawings and caption them."""
    store = open_store(options.work / "data")
    captioner = Captioner(EmojiTable(options.npm / "emojibase-data"), _HERE / "starter" / "korean_words.tsv")
    return store, build_catalogue(store.drawings, captioner)


def _decay_time(options: argparse.Namespace) -> float:
    """Seconds since the epoch at which the decay begins."""
    if options.decay_at is None:
        return time.time() + 3600 * float(options.hours)
    now = datetime.now()
    hour, minute = (int(part) for part in options.decay_at.split(":"))
    moment = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (moment if moment > now else moment + timedelta(days=1)).timestamp()


if __name__ == "__main__":
    sys.exit(main())
