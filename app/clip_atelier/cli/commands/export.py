"""`export`: writes a run for use in other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_, _


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar=_("RUN"), help=_("the training's name, as `runs` lists it"))
    parser.add_argument(
        "--to",
        required=True,
        type=lambda name: name.replace("-", "_"),  # sentence-transformers, as that library writes itself
        choices=(
            "adapter",
            "merged",
            "onnx",
            "open_clip",
            "sentence_transformers",
            "embeddings",
            "code",
            "tensorboard",
            "csv",
        ),
        help=_(
            "adapter: a PEFT folder; merged: a Hugging Face CLIP folder with the update added; onnx: a folder with two "
            "encoders; open_clip, sentence_transformers: a folder for that library; embeddings: the training's collection as .npy files, or as one Parquet "
            "file where OUT ends in .parquet, or a LanceDB database where it ends in .lancedb; code: a Python file that repeats "
            "the training with transformers and PEFT alone, "
            "beside it the table of drawings and losses that it reads, and, where the training keeps parts, a second file that "
            "answers questions with them; tensorboard: its losses and metrics by step; csv: the same "
            "as a table, as `runs curves` prints it"
        ),
    )
    parser.add_argument(
        "out", type=Path, metavar=_("OUT"), help=_("the folder or file to write; nothing is overwritten")
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.reports import exports
    from clip_atelier.engine.runs import Runs

    run = Runs(session.home).open(args.run)
    result = session.drive(exports.export(run, args.to, args.out, Models(session.home), session.control))
    return Outcome(result.as_json(), "\n".join([_("written:"), *(f"  {file}" for file in result.files)]))


COMMAND = Command("export", N_("write a training for use in other programs"), _arguments, _run)
