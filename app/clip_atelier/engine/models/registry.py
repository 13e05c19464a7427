"""Where weights come from, and the one owner of loaded models.

A model family is one file and one line in `FAMILIES`. Nothing heavy is imported before a model is opened, so that
listing models stays quick.
"""

from __future__ import annotations

import importlib
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clip_atelier.engine.core import UserError, _, paths
from clip_atelier.engine.models import hub_cache, model_packs, open_clip, weights
from clip_atelier.engine.models.families import FAMILIES
from clip_atelier.engine.settings import HardwareSettings
from clip_atelier.engine.storage import Trash, TrashEntry, packs, seal_folder

if TYPE_CHECKING:
    from clip_atelier.engine.data import Frame
    from clip_atelier.engine.models.clip import Clip
    from clip_atelier.engine.models.device import Device
    from clip_atelier.engine.models.family import Model


STARTER = "starter"


Source = Literal["starter", "added", "cache"]


@dataclass(frozen=True)
class ModelInfo:
    """What weights are at hand; as `models --json` shows it.

    Attributes:
        source: "starter", "added" to the home, or in the Hugging Face "cache", where it is used as it lies.
    """

    name: str
    family: str
    path: str
    bundled: bool
    image_size: int
    dim: int
    parameters: int
    source: Source = "added"

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ClosedModel:
    """A model as its files tell of it; `Models.open` loads it.

    Attributes:
        name: As the user asked for it.
        folder: Where its files are.
        family: The `model_type` of its configuration.
        fingerprint: Changes with its weights and preprocessing.
        device: Where it computes.
        frame: What it is shown: the side of a square in pixels, or patches.
    """

    name: str
    folder: Path
    family: str
    fingerprint: str
    device: Device
    frame: Frame


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


def _info(name: str, folder: Path, source: Source = "added") -> ModelInfo:
    config = weights.config_of(folder)
    family = str(config.get("model_type"))
    _must_be_known(family, folder)
    from clip_atelier.engine.models import shapes

    facts = FAMILIES[family].facts_of(folder)
    return ModelInfo(
        name=name,
        family=family,
        path=str(folder),
        bundled=source == "starter",
        image_size=facts.image_size,
        dim=facts.dim,
        parameters=shapes.parameters(folder),
        source=source,
    )


def _copy(source: Path, folder: Path) -> None:
    """Pickled weights, code and weights that are not the model's stay behind."""
    used = {file.name for file in weights.weight_files(source)} | {weights.OUTPUT_MATRIX}
    for file in source.iterdir():
        stray = file.suffix == ".safetensors" and file.name not in used
        if file.is_file() and file.suffix in model_packs.MODEL.kinds and not stray:
            shutil.copy2(file, folder / file.name)


def _is_name(name: str) -> bool:
    """Whether it is one step of a path, and no hidden one: never a way into somewhere else."""
    return bool(name) and Path(name).name == name and not name.startswith(".") and "\\" not in name


def _name_for(wanted: str, packed: str, source: Path) -> str:
    """What an added model is called. A folder given as "." has a name too; the name of a link is the user's choice.

    Raises:
        UserError: what is wanted cannot be the name of a folder.
    """
    if wanted and not _is_name(wanted):
        raise UserError(
            _("“{name}” cannot be the name of a model.").format(name=paths.shown(wanted)),
            _("Use letters, numbers, spaces and dashes."),
        )
    cached = hub_cache.name_of(source).rpartition("/")[2]
    return wanted or packed or cached or source.name or source.resolve().name


def family_class(folder: Path) -> type[Clip]:
    """The class of a model folder's family, which loads and saves its network.

    Raises:
        UserError: its family is not supported, or is none of the library's.
    """
    from clip_atelier.engine.models.clip import Clip

    family = str(weights.config_of(folder).get("model_type"))
    _must_be_known(family, folder)
    known = FAMILIES[family]
    found: type[Clip] = getattr(importlib.import_module(known.module), known.cls)
    if not issubclass(found, Clip):
        raise UserError(_("Models of the type “{kind}” cannot be merged.").format(kind=family), "")
    return found


class Models:
    """Finds models by name and owns the loaded one. Lives on the compute lane; not shared between threads."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._open: tuple[tuple[str, HardwareSettings], Model] | None = None
        self._closed: tuple[tuple[str, HardwareSettings], ClosedModel] | None = None

    @property
    def folder(self) -> Path:
        """Where added models are kept."""
        return self.home / "models"

    def resolve(self, name: str) -> Path:
        """The folder of a model: the starter, an added model's name, a path, or OWNER/MODEL of the Hugging Face cache.

        Raises:
            UserError: there is no such model; lists those at hand.
        """
        if name == STARTER:
            return paths.starter_model()
        # A name is never a path into somewhere else.
        if _is_name(name) and (self.folder / name).is_dir():
            return self.folder / name
        path = Path(name).expanduser()
        if not path.is_dir():
            path = hub_cache.cached().get(name, path)
        if (path / "config.json").is_file() and not open_clip.is_folder(path):
            return path.absolute()
        if open_clip.is_folder(path):
            raise UserError(
                _("“{folder}” is an open_clip folder.").format(folder=path),
                _("Add it first, which converts it: clip-atelier models add {folder}").format(folder=path),
                "model.name",
            )
        raise UserError(
            _("There is no model “{name}”.").format(name=name),
            _("Choose one of: {names}; or give the path of a Hugging Face CLIP folder.").format(
                names=", ".join(info.name for info in self.list())
            ),
            "model.name",
        )

    def list(self) -> list[ModelInfo]:
        """The starter, every added model that can be read, and those of the Hugging Face cache."""
        found = [_info(STARTER, paths.starter_model(), "starter")] if paths.starter_model().is_dir() else []
        if self.folder.is_dir():
            # Hidden folders are models that are being added or removed.
            for folder in sorted(f for f in self.folder.iterdir() if not f.name.startswith(".")):
                try:
                    found.append(_info(folder.name, folder))
                except UserError:
                    # A half-copied folder is not a model; `open` by its path says why.
                    continue
        for name, folder in hub_cache.cached().items():
            try:
                found.append(_info(name, folder, "cache"))
            except UserError:
                continue  # the cache is full of models that are no CLIP
        return found

    def info(self, name: str) -> ModelInfo:
        """What there is to know of one model.

        Raises:
            UserError: there is no such model, or it cannot be read.
        """
        folder = self.resolve(name)
        if name == STARTER:
            return _info(name, folder, "starter")
        return _info(name, folder, "cache" if hub_cache.name_of(folder) else "added")

    def add(self, source: Path, name: str = "") -> ModelInfo:
        """Copies a Hugging Face folder, or the model of a pack, into the home, whole or not at all.

        An open_clip folder is converted on the way.

        Args:
            source: The folder or pack, or OWNER/MODEL of a model in the Hugging Face cache.
            name: What to call it; as the folder, the pack or the cached model is called where left out.

        Raises:
            UserError: it is not a usable model folder or pack, or a model of this name is there already.
            WorkError: the disk has no room for it.
        """
        if not source.exists():
            source = hub_cache.cached().get(source.as_posix(), source)
        pack = packs.read(model_packs.MODEL, source) if model_packs.is_pack(source) else None
        name = _name_for(name, pack.name if pack else "", source)
        foreign = pack is None and open_clip.is_folder(source)
        if pack:
            _must_be_known(pack.about["family"], source)
        elif not foreign:
            _info(name, source)
            weights.weight_files(source)
        target = self.folder / name
        if target.exists() or name == STARTER:
            raise UserError(
                _("A model named “{name}” is there already.").format(name=name),
                _("Remove “{folder}” first if this one is to take its place.").format(folder=target)
                if pack
                else _("Give it another name: --name NAME."),
            )
        partial = self.folder / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            if pack:
                packs.extract(pack, partial)
                _info(name, partial)
                weights.weight_files(partial)
            elif foreign:
                open_clip.convert(source, partial)
                family_class(partial).load(partial)  # says so if weights and configuration do not fit
            else:
                _copy(source, partial)
            seal_folder(partial)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return _info(name, target)

    def remove(self, name: str) -> TrashEntry:
        """Puts an added model into the home's trash.

        Raises:
            UserError: it is no name of an added model: the starter stays, and a path is not the program's own.
            WorkError: it cannot be moved.
        """
        if name == STARTER:
            raise UserError(_("The starter model belongs to the program and stays."))
        if not _is_name(name) or not (self.folder / name).is_dir():
            added = [info.name for info in self.list() if info.source == "added"]
            raise UserError(
                _("There is no added model named “{name}”.").format(name=paths.shown(name)),
                _("Those there are: {names}.").format(names=", ".join(added)) if added else "",
                "model.name",
            )
        self._open = self._closed = None
        return Trash(self.home).put("model", name, self.folder / name)

    def closed(self, name: str, hardware: HardwareSettings) -> ClosedModel:
        """What there is to know of a model without loading it; the library that would is not imported.

        Raises:
            UserError: not there, not supported, not whole, or the device is not present.
        """
        from clip_atelier.engine.models import device

        folder = self.resolve(name)
        key = (str(folder), hardware)
        chosen = device.choose(hardware)
        if self._closed is None or self._closed[0] != key:
            family = _info(name, folder).family
            known = self._open[1].fingerprint if self._open and self._open[0] == key else None
            frame = FAMILIES[family].facts_of(folder).frame
            found = ClosedModel(name, folder, family, known or weights.fingerprint(folder), chosen, frame)
            self._closed = (key, found)
        return self._closed[1]

    def open(self, name: str, hardware: HardwareSettings) -> Model:
        """The loaded model, with no adapter attached; kept until another one is asked for.

        Raises:
            UserError: not there, not supported, not whole, or the device is not present.
        """
        from clip_atelier.engine.models import adapters, device, opening

        folder = self.resolve(name)
        key = (str(folder), hardware)
        if self._open is not None and self._open[0] == key:
            adapters.detach(self._open[1])
            device.choose(hardware)
            return self._open[1]
        self._open = None
        family = _info(name, folder).family
        known = FAMILIES[family]
        chosen = device.choose(hardware)
        clip: Model = getattr(importlib.import_module(known.module), known.cls)(folder, chosen, name)
        opening.check(clip)
        self._open = (key, clip)
        return clip
