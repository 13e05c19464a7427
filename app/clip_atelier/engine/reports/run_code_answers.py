"""The Python file that answers questions as a run does, its parts included, and the folder that it reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.numpy
import safetensors.torch

from clip_atelier.engine.core import must_be_free, write_whole
from clip_atelier.engine.models import families, family_class, statistics
from clip_atelier.engine.parts import ARRAYS, DESCRIPTION, PARTICLES, TAUGHT, FittedParts
from clip_atelier.engine.reports import run_code_answer_texts as texts
from clip_atelier.engine.reports import run_code_texts
from clip_atelier.engine.reports.code_export import Kind, adapted, imports
from clip_atelier.engine.runs import RunFolder, SavedUpdate, saved_update
from clip_atelier.engine.settings import Settings

_FITS: Final = {
    "letterbox": run_code_texts.LETTERBOX,
    "crop": run_code_texts.CROP,
    "squash": run_code_texts.SQUASH,
}


def places(run: RunFolder, out: Path) -> tuple[Path, Path] | None:
    """The file and the folder beside `out`; None where the run keeps no parts.

    Raises:
        UserError: one of them is taken.
    """
    if not (run.path / DESCRIPTION).is_file():
        return None
    stem = out.stem if out.suffix == ".py" else out.name
    found = out.with_name(f"{stem}_search.py"), out.with_name(f"{stem}-kept")
    for path in found:
        must_be_free(path)
    return found


def write(run: RunFolder, base: Path, kind: Kind, file: Path, folder: Path, hint: str) -> list[Path]:
    """Writes both: `parts.json` and `parts.safetensors` as the run has them, its update, and names that it was taught.

    Args:
        run: A run that keeps parts.
        base: Its model's folder.
        kind: Of the model.
        file: The Python file.
        folder: The folder that it reads.
        hint: The way out where something cannot be written.
    """
    parts = FittedParts.read(run.path)
    assert parts is not None
    saved = saved_update(run)
    folder.mkdir(parents=True)
    for name in (DESCRIPTION, ARRAYS):
        shutil.copyfile(run.path / name, folder / name)
    if saved.tensors:
        tensors = {name: tensor.contiguous() for name, tensor in saved.tensors.items()}
        write_whole(folder / "update.safetensors", safetensors.torch.save(tensors), hint)
    names = _taught(parts)
    if names:
        vectors = {
            f"words.{number}": np.ascontiguousarray([model.learned.taught[name] for name in names])
            for number, model in enumerate(parts.word_models.values())
        }
        write_whole(folder / "names.safetensors", safetensors.numpy.save(vectors), hint)
        write_whole(folder / "names.json", json.dumps(names, ensure_ascii=False).encode(), hint)
    text = "\n".join(_lines(run, base, kind, saved, bool(names), file.stem, folder.name)) + "\n"
    write_whole(file, text.encode("utf-8", "replace"), hint)
    return [file, *sorted(folder.iterdir())]


def _taught(parts: FittedParts) -> list[tuple[str, ...]]:
    """The names that the run was taught, each as its words; the same in all embeddings."""
    return next((list(model.learned.taught) for model in parts.word_models.values()), [])


def _lines(
    run: RunFolder, base: Path, kind: Kind, saved: SavedUpdate, named: bool, stem: str, kept: str
) -> Iterator[str]:
    settings = run.settings
    yield f'"""Answers questions as the run {run.id} does: with its update at the strengths that it chose, and its parts.'
    yield ""
    yield "Parts are what it keeps beside the update: learned words, hub correction, mean removal, several views of a drawing, and"
    yield f"a head by which sketches and artworks find each other. It reads {kept}, which lies beside it."
    yield ""
    yield f'    python {stem}.py "a red horse" FOLDER'
    yield f"    python {stem}.py SKETCH FOLDER sketch_to_artwork"
    yield ""
    yield "Drawings are read as Pillow reads them."
    yield '"""'
    yield ""
    yield from _imports(settings, kind, bool(saved.tensors))
    yield ""
    yield f"KEPT = Path(__file__).parent / {kept!r}"
    yield f'PARTS = json.loads((KEPT / "{DESCRIPTION}").read_text(encoding="utf-8"))'
    yield f'ARRAYS = load_file(KEPT / "{ARRAYS}")'
    yield 'DEVICE = "cpu"'
    yield f"SIZE = {families.FAMILIES[kind.family].facts_of(base).image_size}"
    for name, value in zip(("MEAN", "STD"), statistics(base, *family_class(base).statistics), strict=True):
        yield f"{name} = torch.tensor({value!r}, device=DEVICE).view(1, 3, 1, 1) * 255"
    yield ""
    if saved.tensors:
        yield from adapted(settings, str(base), kind, 'attn_implementation="eager"')
        yield "model.to(DEVICE).eval()"
    else:
        yield f"model = CLIPModel.from_pretrained({str(base)!r}, dtype=torch.float32).to(DEVICE).eval()"
        yield f"tokenizer = AutoTokenizer.from_pretrained({str(base)!r})"
    yield "CONTEXT = model.config.text_config.max_position_embeddings"
    yield "EOS = model.config.text_config.eos_token_id"
    yield (texts.UPDATE if saved.tensors else texts.NO_UPDATE).rstrip("\n")
    fit = settings.data.image_fit
    passages = [run_code_texts.LOADING, _FITS[fit], run_code_texts.TOKENS]
    passages += [texts.EMBEDDING.replace("@FIT", fit), texts.SETTINGS]
    if named:
        passages.append(texts.SAYS.replace("@PARTICLES", repr(" ".join(sorted(PARTICLES)))))
    passages += [_words(named), texts.PICTURES, texts.ASKING]
    for text in passages:
        yield from ("", "", text.rstrip("\n"))


def _words(named: bool) -> str:
    fill = {"@TAKE_NAMES": texts.TAKE_NAMES, "@ADD_NAMES": texts.ADD_NAMES, "@NAMED": texts.NAMED}
    text = texts.WORDS
    for mark, more in fill.items():
        text = text.replace(mark, more if named else "")
    return text.replace("@TAUGHT", repr(TAUGHT))


def _imports(settings: Settings, kind: Kind, updated: bool) -> Iterator[str]:
    own = {"import json", "import sys", "import unicodedata", "from pathlib import Path"}
    packages = {
        "import numpy as np",
        "from PIL import Image, ImageOps",
        "from safetensors.numpy import load_file",
    }
    if updated:
        packages.add("from safetensors.torch import load_file as load_torch")
        for line in imports(settings, kind, own, packages):
            if not line.endswith("LoraLayer"):  # for the size of an update, which only training weighs
                yield line
        return
    yield from sorted(own, key=lambda line: (line.startswith("from"), line))
    yield ""
    packages |= {"import torch", "from transformers import AutoTokenizer, CLIPModel"}
    yield from sorted(packages, key=lambda line: (line.startswith("from"), line.casefold()))
