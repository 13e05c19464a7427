"""Where weights come from, and the one owner of loaded models.

A model family is one file and one line in `FAMILIES`. Nothing heavy is imported before a model is opened, so that
listing models stays quick.
"""

from __future__ import annotations

import importlib
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.engine.core import UserError, _, paths
from clip_atelier.engine.models import model_packs, weights
from clip_atelier.engine.models.families import FAMILIES
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.engine.storage import packs

if TYPE_CHECKING:
    from clip_atelier.engine.models.family import Model


STARTER = "starter"


@dataclass(frozen=True)
class ModelInfo:
    """What weights are at hand; as `models --json` shows it."""

    name: str
    family: str
    path: str
    bundled: bool
    image_size: int
    dim: int
    parameters: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def _must_be_known(family: str, where: Path) -> None:
    if family not in FAMILIES:
        raise UserError(
            _("“{folder}” holds a model of the type “{kind}”, which is not supported.").format(
                folder=where, kind=family
            ),
            _("Choose a Hugging Face folder of one of these types: {types}.").format(
                types=", ".join(FAMILIES)
            ),
            "model.name",
        )


def _info(name: str, folder: Path, bundled: bool) -> ModelInfo:
    config = weights.read_json(folder / "config.json")
    family = str(config.get("model_type"))
    _must_be_known(family, folder)
    from clip_atelier.engine.models import shapes

    return ModelInfo(
        name=name,
        family=family,
        path=str(folder),
        bundled=bundled,
        image_size=int(config["vision_config"].get("image_size", 224)),
        dim=int(config.get("projection_dim", 512)),
        parameters=shapes.parameters(folder),
    )


def _copy(source: Path, folder: Path) -> None:
    """Pickled weights and code stay behind."""
    for file in source.iterdir():
        if file.is_file() and file.suffix in model_packs.MODEL.kinds:
            shutil.copy2(file, folder / file.name)


class Models:
    """Finds models by name and owns the loaded one. Lives on the compute lane; not shared between threads."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._open: tuple[tuple[str, HardwareSettings], Model] | None = None

    @property
    def folder(self) -> Path:
        """Where added models are kept."""
        return self.home / "models"

    def resolve(self, name: str) -> Path:
        """The folder of a model: the starter, an added model's name, or a path.

        Raises:
            UserError: there is no such model; lists those at hand.
        """
        if name == STARTER:
            return paths.starter_model()
        # A name is never a path into somewhere else.
        added = self.folder / name
        if Path(name).name == name and added.is_dir():
            return added
        path = Path(name).expanduser()
        if (path / "config.json").is_file():
            return path.absolute()
        raise UserError(
            _("There is no model “{name}”.").format(name=name),
            _("Choose one of: {names}; or give the path of a Hugging Face CLIP folder.").format(
                names=", ".join(info.name for info in self.list())
            ),
            "model.name",
        )

    def list(self) -> list[ModelInfo]:
        """The starter and every added model that can be read."""
        found = [_info(STARTER, paths.starter_model(), True)] if paths.starter_model().is_dir() else []
        if self.folder.is_dir():
            for folder in sorted(self.folder.iterdir()):
                try:
                    found.append(_info(folder.name, folder, False))
                except UserError:
                    # A half-copied folder is not a model; `open` by its path says why.
                    continue
        return found

    def add(self, source: Path) -> ModelInfo:
        """Copies a Hugging Face folder, or the model of a pack, into the home, whole or not at all.

        Raises:
            UserError: it is not a usable model folder or pack, or a model of this name is there already.
            WorkError: the disk has no room for it.
        """
        pack = packs.read(model_packs.MODEL, source) if model_packs.is_pack(source) else None
        # A folder given as "." has a name too; the name of a link is the user's choice.
        name = pack.name if pack else source.name or source.resolve().name
        if pack:
            _must_be_known(pack.about["family"], source)
        else:
            _info(name, source, False)
            weights.weight_files(source)
        target = self.folder / name
        if target.exists() or name == STARTER:
            raise UserError(
                _("A model named “{name}” is there already.").format(name=name),
                _("Remove “{folder}” first if this one is to take its place.").format(folder=target)
                if pack
                else _("Rename the folder and add it again."),
            )
        partial = self.folder / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            if pack:
                packs.extract(pack, partial)
                _info(name, partial, False)
                weights.weight_files(partial)
            else:
                _copy(source, partial)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return _info(name, target, False)

    def open(self, name: str, hardware: HardwareSettings) -> Model:
        """The loaded model, with no adapter attached; kept until another one is asked for.

        Raises:
            UserError: not there, not supported, not whole, or the device is not present.
        """
        from clip_atelier.engine.models import adapters, device

        folder = self.resolve(name)
        key = (str(folder), hardware)
        if self._open is not None and self._open[0] == key:
            adapters.detach(self._open[1])
            device.choose(hardware)
            return self._open[1]
        self._open = None
        family = _info(name, folder, False).family
        known = FAMILIES[family]
        chosen = device.choose(hardware)
        clip: Model = getattr(importlib.import_module(known.module), known.cls)(folder, chosen, name)
        self._open = (key, clip)
        return clip
