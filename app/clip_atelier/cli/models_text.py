"""How models are shown in a terminal: those at hand, those that are suggested, one in full, all of them compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_atelier.cli.text import table
from clip_atelier.engine.core import _, measured, size_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_atelier.engine.evaluation import ModelComparison
    from clip_atelier.engine.models import ModelInfo, ShelfModel


def at_hand(found: Sequence[ModelInfo]) -> str:
    """One line a model."""
    from clip_atelier.engine.models import languages

    rows = [
        (
            i.name, i.family, i.image_size, i.dim, f"{i.parameters:,}", languages.named(languages.told(i.name) or ()),
            _("bundled") if i.bundled else i.path,
        )
        for i in found
    ]  # fmt: skip
    header = (
        _("model"), _("family"), _("image size"), _("embedding size"), _("parameters"), _("languages"), _("place"),
    )  # fmt: skip
    return table(header, rows, right=(2, 3, 4))


def suggested(found: Sequence[ShelfModel]) -> str:
    """What can be fetched if somebody asks for it, and how."""
    from clip_atelier.engine.models import languages

    rows = [
        (m.name, size_words(m.bytes), m.licence, languages.named(m.languages), m.image_size, m.use)
        for m in found
    ]
    header = (_("model"), _("size"), _("licence"), _("languages"), _("image size"), _("good at"))
    ask = _("Nothing is fetched by itself: clip-atelier models download MODEL")
    return f"{table(header, rows, right=(1, 4))}\n\n{ask}"


def one(info: ModelInfo, known: ShelfModel | None, spoken: Sequence[str]) -> str:
    """One model in full."""
    from clip_atelier.engine.models import languages

    rows = [
        (_("model"), info.name),
        (_("family"), info.family),
        (_("image size"), f"{info.image_size} px"),
        (_("embedding size"), str(info.dim)),
        (_("parameters"), f"{info.parameters:,}"),
        (_("languages"), languages.named(spoken)),
        (_("place"), info.path),
    ]
    if known is not None:
        rows += [(_("licence"), known.licence or _("see its model card")), (_("good at"), known.use)]
        if known.sketch is not None:
            rows.append(
                (
                    _("sketches"),
                    _("{percent} % on ImageNet-Sketch, without training").format(percent=known.sketch),
                )
            )
        if known.korean is not None:
            rows.append((_("Korean"), _("{percent} % R@1 on XM3600 in Korean").format(percent=known.korean)))
    return table(("", ""), rows).lstrip("\n ─")


def comparison(result: ModelComparison) -> str:
    """A line for each model and question, and the recommendation."""
    from clip_atelier.engine.evaluation import TASKS

    rows = []
    for model in result.models:
        if model.error:
            rows.append((model.name, _("could not be asked"), "", "", "", "", model.error))
        for name, answer in model.questions.items():
            rows.append(
                (
                    model.name, _(TASKS[name]), str(answer.queries), measured(answer.interval.value),
                    f"[{measured(answer.interval.low)}, {measured(answer.interval.high)}]",
                    measured(answer.metrics.get("R@1")), f"{model.seconds_per_1000 or 0:.1f} s",
                )
            )  # fmt: skip
    header = (_("model"), _("question"), _("asked"), "mAP", _("95 % interval"), "R@1", _("1,000 images"))
    lines = [table(header, rows, right=(2, 3, 4, 5, 6)), ""]
    lines += [model.warning for model in result.models if model.warning]
    if result.images < result.of:
        lines.append(
            _("Asked about {count} of {total} drawings; --images takes more.").format(
                count=result.images, total=result.of
            )
        )
    return "\n".join([*lines, result.reason]).rstrip()
