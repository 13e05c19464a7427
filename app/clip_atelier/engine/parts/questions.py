"""Names of the four questions, as metrics, records and commands write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clip_atelier.engine.evaluation import Task
    from clip_atelier.engine.parts.arrays import IntArray

TEXT_TO_IMAGE: Final = "text_to_image"
IMAGE_TO_TEXT: Final = "image_to_text"
SKETCH_TO_ARTWORK: Final = "sketch_to_artwork"
ARTWORK_TO_SKETCH: Final = "artwork_to_sketch"
WORD_QUESTIONS: Final = (TEXT_TO_IMAGE, IMAGE_TO_TEXT)
PICTURE_QUESTIONS: Final = (SKETCH_TO_ARTWORK, ARTWORK_TO_SKETCH)


def sketches_and_artworks(task: Task) -> tuple[IntArray, IntArray]:
    """Rows of the sketches and of the artworks of a picture question, whichever of them asks."""
    sides = (task.queries, task.gallery)
    return sides if task.name == SKETCH_TO_ARTWORK else sides[::-1]
