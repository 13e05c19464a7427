"""The lines of the Python file that repeats a run: passages of `run_code_texts` and what the settings fill in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from clip_atelier.engine.reports import run_code_texts as texts
from clip_atelier.engine.reports.code_export import Kind, adapted, imports, optimizer, update_size
from clip_atelier.engine.settings import Settings

_RATES: Final = {
    "cosine": "0.5 * (1 + math.cos(math.pi * share))",
    "linear": "(1 - share)",
    "constant": "1.0",
}
_ENDS: Final = {"vision": "visual_projection", "text": "text_projection"}


@dataclass(frozen=True)
class Described:
    """What the file tells of its run.

    Attributes:
        run: Its id.
        versions: Of the packages it used.
        table: Name of the table beside the file.
        limits: What the file does not do as the run did it, in sentences.
        paired: Whether sketches and artworks are among the drawings.
    """

    run: str
    versions: Mapping[str, str]
    table: str
    limits: tuple[str, ...]
    paired: bool


def constants(settings: Settings, total: int, taken: int) -> dict[str, Any]:
    """The names at the file's top; `total` steps were asked for, `taken` were taken, 0 where that is not known."""
    train, data = settings.train, settings.data
    found: dict[str, Any] = {"SEED": train.seed, "BATCH_SIZE": train.batch_size, "VIEWS": data.views}
    if data.views > 1:
        found |= {"CROP_MIN": data.crop_min, "FLIP": data.flip}
    found |= {"TOTAL": total or train.steps, "STEPS": taken or total or train.steps}
    found |= {"LEARNING_RATE": train.learning_rate, "WARMUP": train.warmup}
    if train.text_weight:
        found["TEXT_WEIGHT"] = train.text_weight
    if train.pair_weight:
        found |= {"PAIR_WEIGHT": train.pair_weight, "PAIR_SCALE": train.pair_scale}
    for name in ("smoothing", "preservation", "size_penalty", "max_grad_norm"):
        if getattr(train, name) or name == "smoothing":
            found[name.upper()] = getattr(train, name)
    return found


def _depth(settings: Settings, tower: str) -> str:
    """What a step computes of a tower: its "layers", its "end" only, or "nothing"."""
    if settings.train.method == "lora" and settings.lora.bias == "all":
        return "layers"
    if settings.train.towers not in ("both", tower):
        return "nothing"
    targets = set(settings.lora.target_modules)
    if settings.train.method == "layernorm" or targets - set(_ENDS.values()):
        return "layers"
    return "end" if _ENDS[tower] in targets else "nothing"


def lines(
    settings: Settings, base: str, kind: Kind, filled: Mapping[str, Any], told: Described
) -> Iterator[str]:
    """The whole file.

    Args:
        settings: The run's.
        base: Its model's folder.
        kind: Of the model.
        filled: Values of the names in capitals.
        told: What its head says.
    """
    train, data = settings.train, settings.data
    stem = told.table.removesuffix(".json")
    yield (
        '"""'
        + f"Repeats the run {told.run}: its drawings, batches, dropout, losses and steps, with transformers and PEFT."
    )
    yield ""
    yield f"It reads {told.table}, which lies beside it, and the drawings named there: python {stem}.py"
    yield "At its end it tells how far its losses are from the run's own. It measures nothing and chooses no checkpoint or"
    yield "strength: what it saves is the update after the last step."
    for text in told.limits:
        yield ""
        yield text
    versions = told.versions
    known = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "transformers", "peft") if name in versions
    )
    if known:
        yield ""
        yield f"The run used {known}."
    yield '"""'
    yield ""
    own = {"import json", "import math", "from pathlib import Path"} | (
        {"import random"} if data.views > 1 else set()
    )
    packages = ("import numpy as np", "import torch.nn.functional as F", "from PIL import Image, ImageOps")
    yield from imports(settings, kind, own, packages)
    yield ""
    yield "HERE = Path(__file__).parent"
    yield f"TABLE = json.loads((HERE / {told.table!r}).read_text(encoding='utf-8'))"
    yield 'DRAWINGS, CONTROL = TABLE["drawings"], TABLE["control"]'
    yield 'DEVICE = "cpu"'
    for name, value in filled.items():
        if name in ("MEAN", "STD"):
            value = f"torch.tensor({value!r}, device=DEVICE).view(1, 3, 1, 1) * 255"
        yield f"{name} = {value if isinstance(value, str) else repr(value)}"
    yield ""
    yield from adapted(settings, base, kind, 'attn_implementation="eager"')
    yield "model.to(DEVICE).eval()"
    yield "CONTEXT = model.config.text_config.max_position_embeddings"
    yield "EOS = model.config.text_config.eos_token_id"
    fits = {data.image_fit, *(["letterbox"] if train.preservation or data.views > 1 else [])}
    passages = [texts.LOADING]
    passages += [
        text for fit, text in (("letterbox", texts.LETTERBOX), ("crop", texts.CROP), ("squash", texts.SQUASH)) if fit in fits
    ]  # fmt: skip
    if data.views > 1:
        view = {
            "letterbox": "letterbox(image, paper, chance.uniform(0.85, 1.0), chance.random(), chance.random())"
        }
        passages.append(
            texts.VIEWS.replace("@FIT", data.image_fit).replace("@VIEW", view.get(data.image_fit, f"{data.image_fit}(image)"))
        )  # fmt: skip
    for text in (*passages, texts.TOWERS, texts.TOKENS, texts.FROZEN):
        yield from ("", "", text.rstrip("\n"))
    yield from ("", "")
    yield from _inputs(settings)
    yield from ("", "", texts.BATCHES.rstrip("\n"))
    yield from _start(settings)
    yield from ("", "", texts.CONTRAST.rstrip("\n"))
    if train.smoothing and train.text_weight:
        yield from ("", "", texts.ALIKE.rstrip("\n"))
    if train.preservation:
        yield from ("", "", texts.DRIFT.rstrip("\n"))
        for tower, text in (("vision", texts.DRIFT_VISION), ("text", texts.DRIFT_TEXT)):
            if _depth(settings, tower) != "nothing":
                yield text.rstrip("\n")
        yield "    return total"
    if train.size_penalty:
        yield from ("", "")
        yield from update_size(settings)
    yield from ("", "")
    unlearned = '"text_model." in name or "text_projection." in name'
    yield from optimizer(settings, "" if train.text_weight or train.preservation else unlearned)
    yield from _training(settings, told.paired)
    yield f"model.save_pretrained(HERE / {stem + '-adapter'!r})"


def _inputs(settings: Settings) -> Iterator[str]:
    """What goes into the towers at each step, and the untouched model's own answers."""
    train, fit = settings.train, settings.data.image_fit
    yield "# What a step computes of a tower is what the update changes; all before that is computed once."
    for tower, call, values, first in (
        ("vision", "images(rows, drawings)", "drawings", "see(pictures)"),
        ("text", "texts(rows, *values)", "", "read(ids[:, : lengths.max()])"),
    ):
        name = call.partition("(")[0]
        end, depth = f"clip.{_ENDS[tower]}", _depth(settings, tower)
        given = "pictures" if tower == "vision" else "ids, lengths"
        yield ""
        yield ""
        yield f"def embed_{name}({given}):"
        yield f"    return F.normalize({end}({first}), dim=1)"
        yield ""
        yield ""
        if depth == "layers":
            if tower == "vision":
                yield "def images(rows, drawings):"
                yield f"    return {end}(see(drawings[rows]))"
            else:
                yield "def texts(rows, ids, lengths):"
                yield f"    return {end}(read(ids[rows][:, : lengths[rows].max()]))"
        else:
            values = values or "values"
            yield f"def {name}(rows, {values}):"
            yield f"    return {end}({values}[rows])" if depth == "end" else f"    return {values}[rows]"
    yield ""
    yield ""
    yield "def picture(drawing, view=0):"
    made = (
        'varied(load(HERE / drawing["file"]), view)'
        if settings.data.views > 1
        else f'{fit}(load(HERE / drawing["file"]))'
    )
    yield f"    return torch.from_numpy({made})"
    yield ""
    yield ""
    views = (
        "for view in range(VIEWS) for drawing in DRAWINGS"
        if settings.data.views > 1
        else "for drawing in DRAWINGS"
    )
    yield f"drawings = torch.stack([picture(drawing{', view' if settings.data.views > 1 else ''}) {views}])"
    yield 'written = list(dict.fromkeys(text for drawing in DRAWINGS for _number, text in drawing["captions"]))'
    yield "place = {text: n for n, text in enumerate(written)}"
    yield "words = tokens(written)"
    if train.preservation:
        yield "control_drawings = torch.stack("
        yield '    [torch.from_numpy(letterbox(load(HERE / drawing["file"]))) for drawing in CONTROL]'
        yield ")"
        yield 'control_words = tokens([drawing["caption"] for drawing in CONTROL])'
        yield "control_seen = frozen(embed_images, control_drawings, size=32)"
        yield "control_read = frozen(embed_texts, *control_words, size=256)"
    if train.smoothing and train.text_weight:
        yield "base_seen = frozen(embed_images, drawings[: len(DRAWINGS)], size=32)"
        yield "base_read = frozen(embed_texts, *words, size=256)"
    if settings.train.method == "lora" and (settings.starts_from_pairs or settings.starts_from_captions):
        yield "pooled = frozen(see, drawings[: len(DRAWINGS)], size=32).cpu().numpy()"
    for tower in ("vision", "text"):
        depth = _depth(settings, tower)
        if depth == "layers":
            continue
        first = "see(pictures)" if tower == "vision" else "read(ids[:, : lengths.max()])"
        value = first if depth == "end" else f"clip.{_ENDS[tower]}({first})"
        given = "pictures" if tower == "vision" else "ids, lengths"
        for name in ("drawings", "control_drawings") if tower == "vision" else ("words", "control_words"):
            if name.startswith("control") and not (train.preservation and depth != "nothing"):
                continue
            if tower == "vision":
                yield f"{name} = frozen(lambda {given}: {value}, {name}, size=32)"
            else:
                yield f"{name} = (frozen(lambda {given}: {value}, *{name}, size=256),)"


def _start(settings: Settings) -> Iterator[str]:
    """Where the update starts, where that is not at nothing."""
    if settings.train.method != "lora" or settings.train.towers == "text":
        return
    if settings.starts_from_pairs:
        text = texts.FROM_PAIRS
    elif settings.starts_from_captions:
        text = texts.FROM_CAPTIONS
    else:
        return
    yield from ("", "", text.rstrip("\n"), "", "", "start()")
    if settings.lora.use_dora:
        yield texts.SETTLE.rstrip("\n")


def _training(settings: Settings, paired: bool) -> Iterator[str]:
    """The steps."""
    train = settings.train
    beside = (
        train.size_penalty and train.method == "lora"
    )  # LayerNorm's own function counts everything trained
    if beside:
        yield "first = {"
        yield "    name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad and 'lora_' not in name"
        yield "}"
    if train.temperature != "trained":
        fixed = train.temperature == "fixed"
        yield "scale = 100.0" if fixed else "scale = min(float(clip.logit_scale.detach().exp()), 100.0)"
    # A number of epochs comes to as many steps as the batches of the drawings say.
    if not train.steps:
        yield f"TOTAL = TOTAL or per_epoch * {train.epochs}"
        yield "STEPS = STEPS or TOTAL"
    yield from _learning_rate(settings)
    yield from (
        "",
        "",
        "torch.manual_seed(SEED)  # dropout's draws follow from here",
        "model.train()",
        "losses = []",
    )
    yield "for step in range(STEPS):"
    yield "    rows, views, said = batch(step)"
    yield "    captions, right, same = relations(rows, said)"
    yield "    chosen = [place[caption] for caption in captions]"
    yield "    for group in optimizer.param_groups:"
    yield '        group["lr"] = learning_rate(step)'
    yield "    for parameter in trained:  # decay reaches what a batch gives no gradient, too"
    yield "        parameter.grad = torch.zeros_like(parameter)"
    yield "    seen = images(np.array(rows) + len(DRAWINGS) * views, drawings)"
    yield "    read_now = texts(chosen, *words)"
    yield from _objective(settings, paired)
    yield "    whole = loss"
    if train.preservation:
        yield "    whole = whole + PRESERVATION * drift(step)"
    if train.size_penalty:
        yield "    whole = whole + SIZE_PENALTY * update_size(model)"
    if beside:
        yield "    for name, p in model.named_parameters():"
        yield "        if name in first:  # biases and the temperature, where they are trained"
        yield "            whole = whole + SIZE_PENALTY * (p - first[name]).square().sum()"
    yield "    whole.backward()"
    if train.max_grad_norm:
        yield "    torch.nn.utils.clip_grad_norm_(trained, MAX_GRAD_NORM)"
    yield "    optimizer.step()"
    yield "    losses.append(loss.item())"
    yield '    print(f"step {step + 1} of {STEPS}: loss {losses[-1]:.5f}")'
    yield ""
    yield "model.eval()"
    yield "differences, before = [], 0"
    yield 'for step, loss in TABLE["losses"]:  # where a run is long, the mean of the steps since the one before'
    yield "    differences.append(abs(float(np.mean(losses[before:step])) - loss))"
    yield "    before = step"
    yield "if differences:"
    yield '    print(f"greatest difference from the losses of the run: {max(differences):.1e}")'


def _learning_rate(settings: Settings) -> Iterator[str]:
    train = settings.train
    yield from ("", "", "def learning_rate(step):")
    yield '    """Rises over the warm-up, then follows the schedule."""'
    yield "    warm = max(1, round(WARMUP * TOTAL))"
    yield "    if step < warm:"
    yield "        return LEARNING_RATE * (step + 1) / (warm + 1)"
    if train.schedule != "constant":
        yield "    share = (step - warm) / max(1, TOTAL - warm)"
    yield f"    return LEARNING_RATE * {_RATES[train.schedule]}"


def _objective(settings: Settings, paired: bool) -> Iterator[str]:
    """The loss of a step's batch."""
    train = settings.train
    if train.temperature == "trained":
        yield "    scale = clip.logit_scale.clamp(max=math.log(100)).exp()  # transformers itself sets no limit"
    if train.text_weight:
        soft = ", alike(rows, chosen, right)" if train.smoothing else ""
        yield f"    parts = [(TEXT_WEIGHT, contrast(seen, read_now, right, scale{soft}))]"
    else:
        yield "    parts = [(1e-12, 0 * seen.sum())]  # a batch may hold no pair"
    if train.pair_weight and paired:
        for role in ("sketch", "artwork"):
            name = "sketches" if role == "sketch" else "artworks"
            yield f'    {name} = [n for n, row in enumerate(rows) if DRAWINGS[row]["role"] == "{role}"]'
        yield "    if sketches and artworks:"
        yield "        together = same[sketches][:, artworks]"
        yield "        pairs = contrast(seen[sketches], seen[artworks], together, PAIR_SCALE or scale)"
        yield "        parts.append((PAIR_WEIGHT, pairs))"
    yield "    loss = sum(weight * part for weight, part in parts) / sum(weight for weight, _part in parts)"
