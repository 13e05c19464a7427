"""What leaves the program: adapters, merged models, ONNX, open_clip, sentence-transformers, embeddings, logs, and code.

Nothing heavy is imported before a model is exported, so that the window can show the code at any time.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from clip_atelier.engine.core import (
    Control,
    Phase,
    UserError,
    Work,
    WorkError,
    _,
    must_be_free,
    paths,
    write_whole,
)
from clip_atelier.engine.models import Models, family_class, weights, write_lineage, write_open_clip
from clip_atelier.engine.reports import model_card, sentence_folder
from clip_atelier.engine.reports.ancestry import trainings
from clip_atelier.engine.reports.written import WrittenFiles

if TYPE_CHECKING:
    from clip_atelier.engine.runs import RunFolder

Target = Literal[
    "adapter",
    "merged",
    "onnx",
    "open_clip",
    "sentence_transformers",
    "embeddings",
    "code",
    "tensorboard",
    "csv",
]
TARGETS: Final[tuple[str, ...]] = get_args(Target)

# What belongs to a Hugging Face CLIP folder besides config.json and the weights.
_BESIDE_WEIGHTS: Final = (
    "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json",
    "added_tokens.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
    "preprocessor_config.json", "processor_config.json",
)  # fmt: skip


def export(
    run: RunFolder, to: Target, out: Path, models: Models, control: Control, even_the_base: bool = False
) -> Work[WrittenFiles]:
    """Writes a run in a form that other programs take.

    Args:
        run: A run that has an adapter.
        to: "adapter" (PEFT folder), "merged" (Hugging Face CLIP folder), "onnx" (folder with two encoders), "open_clip"
            (open_clip folder), "sentence_transformers" (a folder for that library), "embeddings" (the run's collection, see
            `embeddings.write`), "code" (see `run_code.write`), "tensorboard" (its course, a folder of events) or "csv" (its
            course, a table).
        out: The folder or file to write; must not exist yet, or be an empty folder.
        models: Where the base model is found.
        control: Read between the pieces of work.
        even_the_base: Write it also where the run kept the untouched model.

    Returns:
        The paths written.

    Raises:
        UserError: `out` is taken or has a suffix that does not fit, the run has no adapter yet or recorded no step, or it
            kept the untouched base; or open_clip has no such model.
        WorkError: ONNX, Parquet or TensorBoard is wanted and its packages are missing.
    """
    yield Phase(name="export", title=_("Exporting training {run}").format(run=run.id))
    control.boundary()
    adapter = run.path / "adapter"
    if to not in ("code", "tensorboard", "csv") and not (adapter / "adapter_model.safetensors").is_file():
        raise UserError(
            _("Training “{run}” has no adapter yet.").format(run=run.id),
            _("Let it train until its first checkpoint: clip-atelier resume {run}").format(run=run.id),
        )
    must_be_free(out, empty_folder=True)
    if to == "tensorboard":
        from clip_atelier.engine.reports import tensorboard_log

        tensorboard_log.write(run, out)
        return _written(out)
    if to == "csv":
        _write_curves(run, out)
        return _written(out)
    base = models.resolve(run.settings.model.name)
    if to == "code":
        from clip_atelier.engine.reports import run_code

        return (yield from run_code.write(run, base, out, models, control))
    if to == "embeddings":
        from clip_atelier.engine.reports import embeddings
        from clip_atelier.engine.search import vector_files

        vector_files.must_be_possible(out)
        yield from embeddings.write(run, out, models, control)
        return _written(out)
    if not even_the_base:
        _must_change_something(run)
    kind: Literal["adapter", "merged", "other"] = "other"
    more = ""
    if to == "adapter":
        kind = "adapter"
        _write_adapter(base, adapter, out)
    elif to == "merged":
        kind = "merged"
        _write_merged(base, adapter, out)
    elif to == "open_clip":
        _write_open_clip(base, adapter, out)
    elif to == "sentence_transformers":
        sentence_folder.must_be_possible(base)
        more = sentence_folder.ON_THE_CARD
        _write_merged(base, adapter, out / sentence_folder.MODEL)
        sentence_folder.complete(out)
    else:
        _require_onnx()
        _write_onnx(base, adapter, out, control)
    if to != "adapter":
        write_lineage(out, trainings(run, base))
    parts = _copy_parts(run.path, out)
    write_whole(
        out / model_card.CARD, (model_card.text(run, base, kind, parts) + more).encode("utf-8", "replace")
    )
    return _written(out)


def _written(out: Path) -> WrittenFiles:
    paths.share(out)
    files = sorted(file for file in out.rglob("*") if file.is_file()) if out.is_dir() else [out]
    return WrittenFiles(files=tuple(str(file) for file in files))


def _write_curves(run: RunFolder, out: Path) -> None:
    """The course of the run, the very table of `runs curves --out`."""
    from clip_atelier.engine.runs import curves

    if out.suffix.lower() != ".csv":
        raise UserError(
            _("“{path}” is no name of a CSV file.").format(path=out),
            _("End its name in .csv, for example losses.csv."),
        )
    curves(run).write(out)


def _must_change_something(run: RunFolder) -> None:
    """Raises a UserError where what was kept is the untouched base, of which nothing is to be exported."""
    from clip_atelier.engine.parts import DESCRIPTION

    result = run.result
    if result is not None and result.strength == 0 and not (run.path / DESCRIPTION).is_file():
        raise UserError(
            _("There is nothing to export: training “{run}” kept the untouched model (strength 0).").format(
                run=run.id
            ),
            _(
                "Its update did not help on the drawings it was chosen by. Use the base model itself, or train anew."
            ),
            "run",
        )


def _copy_parts(run: Path, out: Path) -> str:
    """What the run keeps beside its adapter, and what its card says of it; other programs apply the adapter alone."""
    from clip_atelier.engine.parts import ARRAYS, DESCRIPTION, FittedParts, parts_text

    for name in (DESCRIPTION, ARRAYS):
        if (run / name).is_file():
            shutil.copyfile(run / name, out / name)
    parts = FittedParts.read(run)
    return parts_text(parts) if parts is not None else ""


def merged_model(base: Path, adapter: Path) -> Any:
    """The base with the adapter's update added to its weights: transformers' own model in fp32 on the processor.

    The strength chosen for the run is part of the stored adapter, so it is part of this too.
    """
    from peft import PeftModel

    from clip_atelier.engine.models import output_matrix

    weights.check_whole(adapter / "adapter_model.safetensors")
    family = family_class(base)
    model = family.load(base)
    merged = PeftModel.from_pretrained(model, str(adapter), local_files_only=True).merge_and_unload()
    if family.layout.added:
        beside = output_matrix.update(adapter, family.layout.added)
        if beside is not None:
            merged.get_submodule(family.layout.added).weight.data.add_(beside)
    trained = adapter / "logit_scale.json"
    if trained.is_file():
        for name, value in weights.read_json(trained).items():
            getattr(merged, name).data.fill_(float(value))
    return merged.eval().requires_grad_(False)


def _write_adapter(base: Path, adapter: Path, out: Path) -> None:
    """The run's PEFT files; the configuration names the base where it is now."""
    shutil.copytree(adapter, out, dirs_exist_ok=True)
    config = out / "adapter_config.json"
    told = weights.read_json(config) | {"base_model_name_or_path": str(base)}
    write_whole(config, json.dumps(told, indent=2, ensure_ascii=False, sort_keys=True).encode())


def _write_open_clip(base: Path, adapter: Path, out: Path) -> None:
    try:
        _write_merged(base, adapter, out)
        write_open_clip(out)
    except UserError:
        shutil.rmtree(out)
        raise


def _write_merged(base: Path, adapter: Path, out: Path) -> None:
    family_class(base).save(merged_model(base, adapter), out)
    _copy_beside_weights(base, out)


def _copy_beside_weights(base: Path, out: Path) -> None:
    for name in _BESIDE_WEIGHTS:
        if (base / name).is_file():
            shutil.copyfile(base / name, out / name)


def _require_onnx() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise WorkError(
            _("Exporting to ONNX needs packages that are not installed: {names}.").format(
                names=", ".join(missing)
            ),
            _("Install them with “pip install {names}”, or export a merged model instead.").format(
                names=" ".join(missing)
            ),
        )


def _write_onnx(base: Path, adapter: Path, out: Path, control: Control) -> None:
    """Two files: image_encoder.onnx (pixel_values -> image_embeds), text_encoder.onnx (input_ids, attention_mask -> text_embeds).

    Embeddings are L2-normalised; sizes of the batch and of the text are free.
    """
    import torch
    from torch import Tensor, nn

    family = family_class(base)
    if not family.exports_onnx:
        raise WorkError(
            _("Models of the type “{kind}” cannot be written as ONNX.").format(kind=family.family),
            _("Export a merged model instead."),
        )
    model = merged_model(base, adapter)
    model.set_attn_implementation("eager")

    class Images(nn.Module):
        def forward(self, pixel_values: Tensor) -> Tensor:
            return nn.functional.normalize(family.image_embeddings(model, pixel_values), dim=-1)

    class Texts(nn.Module):
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            found = family.text_embeddings(model, input_ids, attention_mask)
            return nn.functional.normalize(found, dim=-1)

    out.mkdir(parents=True, exist_ok=True)
    side = model.config.vision_config.image_size
    longest = model.config.text_config.max_position_embeddings
    # What looks at padding takes texts of full length only.
    ids = torch.ones((2, min(8, longest) if family.trims else longest), dtype=torch.long)
    batch = torch.export.Dim("batch")
    free_text = {0: batch} | ({1: torch.export.Dim("length")} if family.trims else {})
    encoders = (
        ("image_encoder.onnx", Images(), (torch.zeros(2, 3, side, side),), ("pixel_values",), "image_embeds", ({0: batch},)),
        (
            "text_encoder.onnx", Texts(), (ids, torch.ones_like(ids)), ("input_ids", "attention_mask"), "text_embeds",
            (free_text, free_text),
        ),
    )  # fmt: skip
    for name, encoder, example, inputs, output, free in encoders:
        control.boundary()
        # The exporter warns about its own internals, which nobody here can change.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                encoder.eval(), example, str(out / name), input_names=list(inputs), output_names=[output],
                dynamic_shapes=free, dynamo=True, external_data=False, verbose=False,
            )  # fmt: skip
    _copy_beside_weights(base, out)
