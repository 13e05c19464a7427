"""Boards of questions and their embeddings as the model is now, its adapter and strength included."""

from __future__ import annotations

from collections.abc import Sequence

from clip_atelier.engine import features, paths, retrieval
from clip_atelier.engine.control import Control
from clip_atelier.engine.errors import UserError
from clip_atelier.engine.events import Work
from clip_atelier.engine.i18n import _
from clip_atelier.engine.models.clip import Clip
from clip_atelier.engine.pictures import Pictures
from clip_atelier.engine.retrieval import Board, Features
from clip_atelier.engine.strengths import CHOOSES


def select_by(board: Board) -> str:
    """The direction and metric that choose checkpoints and strength."""
    return f"{board.headline}/{CHOOSES}"


def embed(clip: Clip, pictures: Pictures, board: Board, control: Control) -> Work[tuple[Features, Features]]:
    """Embeddings of a board's images and captions as the model is now."""
    images = yield from features.images(clip, pictures, board.indices, control)
    return images, features.texts(clip, board.captions)


def probe(clip: Clip, pictures: Pictures, board: Board, control: Control) -> Work[tuple[Features, Features]]:
    """Embeddings of one batch of a board, nothing stored or remembered."""
    images = yield from features.fresh_images(clip, pictures, board.indices[: features.BATCH], control)
    return images, features.fresh_texts(clip, board.captions[: features.TEXT_BATCH])


def board_of(
    pictures: Pictures, indices: Sequence[int], groups: Sequence[int], control: Control
) -> Work[Board]:
    """The questions that those of the items allow whose images are still readable.

    Raises:
        UserError: fewer than two are.
    """
    bad = set((yield from pictures.prepare(indices, control)))
    kept = [i for i in indices if i not in bad]
    if len(kept) < 2:
        raise UserError(
            _("“{folder}” holds too few images to measure on.").format(folder=paths.shown(pictures.root)),
            "",
            "folder",
        )
    return retrieval.board(pictures.items, kept, groups)
