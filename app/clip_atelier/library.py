"""The program as a Python library: read a collection, train, evaluate, search, and embed with what was trained.

Functions return when they are done. What happens meanwhile goes to `on_event`, as the window and the command line get it
(`clip_atelier.engine.core.events`). Wrong input raises `UserError`, with a remedy in its `hint`; failed work raises
`WorkError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from clip_atelier.engine.core import Control, Event, UserError, _, drive, paths

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from clip_atelier.engine.data import Item, Problem, ScanSummary
    from clip_atelier.engine.models import Models
    from clip_atelier.engine.runs import Evaluation, TrainResult
    from clip_atelier.engine.search import ModelRef, SearchResult

PathLike: TypeAlias = "str | os.PathLike[str]"
OnEvent: TypeAlias = Callable[[Event], object]

MOST_STRENGTH: Final = 1.5


class Collection:
    """A folder of drawings as it was read: what `train` would learn from, and what it would leave out.

    Args:
        folder: The folder.
        settings: Settings by dotted name that say how captions and pairs are found, such as `data.captions`.
        home: Where unchanged images are remembered; CLIP_ATELIER_HOME, else the platform's user-data folder.
        on_event: Gets every event.

    Raises:
        UserError: the folder is missing or holds no readable image, or a setting is wrong.
    """

    def __init__(
        self,
        folder: PathLike,
        *,
        settings: Mapping[str, Any] | None = None,
        home: PathLike | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        from clip_atelier.engine import settings as declared
        from clip_atelier.engine.data import scan, scan_cache_file

        self.settings: Mapping[str, Any] = dict(settings or {})
        data = declared.build(self.settings).data
        cache = scan_cache_file(_home(home))
        self._read = drive(scan(Path(folder).expanduser(), data, Control(), cache), on_event)

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._read.root

    @property
    def items(self) -> tuple[Item, ...]:
        """The drawings with their captions, labels and pairs, ordered by path."""
        return self._read.items

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was left out or is in doubt, each with its reason."""
        return self._read.problems

    @property
    def summary(self) -> ScanSummary:
        """The collection in numbers; `summary.as_json()` is the document of `clip-atelier scan --json`."""
        return self._read.summary()

    def file(self, item: Item) -> Path:
        """Where a drawing's file is; that of a further folder (`clip-atelier folders`) is not below `folder`."""
        return self._read.absolute(item)

    def __len__(self) -> int:
        return len(self._read.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._read.items)

    def __repr__(self) -> str:
        return f"Collection({str(self.folder)!r}: {len(self)} drawings, {self._read.caption_count} captions)"


def train(
    drawings: Collection | PathLike,
    *,
    settings: Mapping[str, Any] | None = None,
    preset: str | None = None,
    name: str = "",
    home: PathLike | None = None,
    on_event: OnEvent | None = None,
) -> TrainResult:
    """Adapts a model to a collection and measures what it gained; the base is left as it is.

    Args:
        drawings: A collection or its folder.
        settings: By dotted name, such as `{"lora.r": 8}`; docs/settings.md lists them. They come before the preset, and
            the collection's own before the defaults.
        preset: Where the other settings come from: "auto", "attention" or "projection".
        name: A name for the run.
        home: Where runs and caches are kept; CLIP_ATELIER_HOME, else the platform's user-data folder.
        on_event: Gets every event, such as each step's loss.

    Returns:
        Each metric of base and adapted with the interval of its difference, the verdict, the run's id and its folder.

    Raises:
        UserError: the folder, the model or a setting is at fault; nothing was started.
        WorkError: the work failed on the way; what was done is kept.
    """
    from clip_atelier.engine import settings as declared
    from clip_atelier.engine import training

    own = drawings.settings if isinstance(drawings, Collection) else {}
    chosen = declared.build({**own, **(settings or {})}, preset)
    plan = training.Plan(_folder(drawings), chosen, _home(home), name)
    return drive(training.train(plan, _models(plan.home), Control()), on_event)


def evaluate(
    run: TrainResult | str,
    drawings: Collection | PathLike,
    *,
    strength: float | None = None,
    home: PathLike | None = None,
    on_event: OnEvent | None = None,
) -> Evaluation:
    """Measures a run on a collection against its base, on its held-out drawings if it is the run's own.

    Args:
        run: What `train` returned, a run's id or name, or "latest".
        drawings: A collection or its folder.
        strength: Of the update: 0 is the base, 1 as trained; the run's own choice where left out.
        home: As for `train`; that of the run where `run` is what `train` returned.
        on_event: Gets every event.

    Raises:
        UserError: no such run or folder, or too few images.
    """
    from clip_atelier.engine.parts import run_evaluation

    _must_be_a_strength(strength)
    place, run_id = _run(run, home)
    work = run_evaluation.evaluate(place, run_id, _folder(drawings), _models(place), Control(), strength)
    return drive(work, on_event)


def search(
    drawings: Collection | PathLike,
    text: str = "",
    *,
    image: PathLike | Image.Image | None = None,
    run: TrainResult | str | None = None,
    strength: float | None = None,
    model: str | None = None,
    top: int = 10,
    home: PathLike | None = None,
    on_event: OnEvent | None = None,
) -> SearchResult:
    """The drawings of a folder that are closest to words, to a picture, or to both; exact.

    Embeddings are kept in the home: only what is new or changed is embedded.

    Args:
        drawings: A collection or any folder of images.
        text: Words; `horse + stripes` and `apple - fruit` add and take away.
        image: A picture.
        run: Search with this run too, as for `evaluate`; then `adapted` stands beside `base`.
        strength: As for `evaluate`.
        model: A base model where there is no run; the starter model where left out.
        top: How many results.
        home: As for `evaluate`.
        on_event: Gets every event.

    Raises:
        UserError: nothing to search for, no such folder, run or model, or no readable image.
    """
    from clip_atelier.engine.search import parse_query
    from clip_atelier.engine.search import search as find

    picture = Path(image) if isinstance(image, str | os.PathLike) else image
    query = parse_query(text, [] if picture is None else [picture])
    place, looked = _looked(run, strength, model, home)
    return drive(find(_folder(drawings), query, looked, _models(place), Control(), top), on_event)


def load(
    run: TrainResult | str | None = None,
    *,
    strength: float | None = None,
    model: str | None = None,
    home: PathLike | None = None,
) -> Embedder:
    """A run's model with its update, or a base model alone, to embed words and pictures with. Arguments as for `search`.

    Raises:
        UserError: no such run or model, or the model is not the one that the run was trained on.
    """
    place, looked = _looked(run, strength, model, home)
    return Embedder(looked, _models(place))


class Embedder:
    """A model with a run's update, from `load`. Its cosines are the plain model's: a run's further parts are for `search`.

    Attributes:
        strength: What the update is multiplied by; 0 without one.
    """

    def __init__(self, model_ref: ModelRef, models: Models) -> None:
        from clip_atelier.engine.search import load_model

        self._loaded = load_model(model_ref, models)
        self.strength = self._loaded.strength

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._loaded.dim

    def texts(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings [N, dim] of texts, each of length 1."""
        return self._loaded.texts(captions, self.strength)

    def images(self, pictures: Sequence[PathLike | Image.Image]) -> NDArray[np.float32]:
        """Embeddings [N, dim] of pictures, each of length 1.

        Pictures are prepared as in training: upright, on white, and fitted whole into the square unless the run says
        otherwise.

        Raises:
            UserError: a picture cannot be read.
        """
        import numpy as np

        from clip_atelier.engine.data import image_gate, pixels
        from clip_atelier.engine.models import features

        frame, fit = self._loaded.model.frame, self._loaded.data.image_fit
        rows = []
        adapter = self._loaded.adapter
        with adapter.at(self.strength) if adapter is not None else nullcontext():
            for one in pictures:
                if isinstance(one, str | os.PathLike):
                    picture = image_gate.load(one, target=frame)
                else:
                    picture = pixels.to_rgb(one)
                rows.append(features.image_now(self._loaded.clip, image_gate.fit(picture, frame, fit))[0])
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)

    def close(self) -> None:
        """Lets go of the model."""
        self._loaded.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _home(home: PathLike | None) -> Path:
    return paths.default_home() if home is None else Path(home).expanduser().absolute()


def _models(home: Path) -> Models:
    from clip_atelier.engine.models import Models

    return Models(home)


def _folder(drawings: Collection | PathLike) -> Path:
    return drawings.folder if isinstance(drawings, Collection) else Path(drawings).expanduser()


def _run(run: TrainResult | str, home: PathLike | None) -> tuple[Path, str]:
    """The home and the id of a run."""
    if isinstance(run, str):
        return _home(home), run
    return (Path(run.path).parents[1] if home is None else _home(home)), run.run


def _looked(
    run: TrainResult | str | None, strength: float | None, model: str | None, home: PathLike | None
) -> tuple[Path, ModelRef]:
    from clip_atelier.engine.search import ModelRef

    _must_be_a_strength(strength)
    if run is None:
        if strength is not None:
            raise UserError(
                _("A strength scales a training's update, and no training is given."), "", "strength"
            )
        return _home(home), ModelRef(model=model)
    if model is not None:
        raise UserError(_("A training brings its own model: give one of the two."), "", "model.name")
    place, run_id = _run(run, home)
    return place, ModelRef(run=run_id, strength=strength)


def _must_be_a_strength(strength: float | None) -> None:
    if strength is not None and not 0 <= strength <= MOST_STRENGTH:
        raise UserError(
            _("The strength must be from 0 to {most:g}.").format(most=MOST_STRENGTH), "", "strength"
        )
