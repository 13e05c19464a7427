"""How a setting is declared once, and how everything else reads the declaration.

A declaration carries title, explanation, range, unit and source. The form's widget, its tooltip and side panel, the
command-line flag, the key in run.json, validation and the reference page all come from here.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Kind = Literal["int", "float", "bool", "choice", "choices", "text"]

Effect = Literal["scan", "split", "features", "speed", "length", "learning", "storage", "display", "process"]
"""What follows when a setting changes.

* scan: the folder is read anew, with other captions or pairs.
* split: other drawings are held out, so results of before and after cannot be compared.
* features: drawings are embedded anew.
* speed: a step takes another time or memory, so that earlier timings and estimates say nothing.
* length: a run has another number of steps.
* learning: another update comes out.
* storage: more or less is kept on disk.
* display: only what is shown.
* process: only which process does the work; the same comes out.
"""


def setting(
    default: Any,
    *,
    affects: tuple[Effect, ...],
    title: str,
    summary: str,
    detail: str = "",
    unit: str = "",
    source: str = "",
    choices: Mapping[str, str] | None = None,
    advanced: bool = False,
    step: float | None = None,
    **limits: Any,
) -> Any:
    """Declares one setting.

    Args:
        default: The value when nothing is said.
        affects: What follows when it changes; whoever needs to know asks `affecting`, and nobody keeps a list.
        title: Its name in words (marked with `N_`).
        summary: One or two sentences shown under the field (marked with `N_`).
        detail: The longer explanation with its effect, for the side panel (marked with `N_`).
        unit: Unit of the value, if it has one (marked with `N_`).
        source: Where the advice comes from: a paper or a piece of documentation.
        choices: Allowed values with a short explanation each (marked with `N_`), where the type alone does not say.
        advanced: Whether the form keeps it folded away at first.
        step: A sensible step of the form's arrows.
        **limits: pydantic's own ge, gt, le, lt, min_length, max_length, pattern.
    """
    extra: dict[str, Any] = {
        "affects": list(affects),
        "summary": summary,
        "detail": detail,
        "unit": unit,
        "source": source,
        "choices": dict(choices or {}),
        "advanced": advanced,
        "step": step,
    }
    return Field(default, title=title, description=summary, json_schema_extra=extra, **limits)


class Block(BaseModel):
    """A frozen group of settings; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Declared:
    """One setting as everything outside reads it. Texts are English; translate with `_` where shown.

    Attributes:
        name: Dotted name, e.g. "lora.r": the CLI flag is `--lora.r`, the key in run.json the same.
        kind: Which widget and which parser fit.
        affects: What follows when it changes.
        minimum: Smallest allowed value (inclusive unless `open_minimum`), None if there is none.
        choices: For "choice" and "choices": value -> explanation.
    """

    name: str
    kind: Kind
    affects: frozenset[str]
    default: Any
    title: str
    summary: str
    detail: str
    unit: str
    source: str
    choices: Mapping[str, str]
    advanced: bool
    step: float | None
    minimum: float | None
    maximum: float | None
    open_minimum: bool = False

    @property
    def group(self) -> str:
        """The block the setting belongs to: "lora" of "lora.r"."""
        return self.name.split(".", 1)[0]


def declarations(model: type[BaseModel]) -> tuple[Declared, ...]:
    """Every setting of a settings model, in order of declaration."""
    found = []
    for group, block in model.model_fields.items():
        inner = block.annotation
        if isinstance(inner, type) and issubclass(inner, Block):
            found += [_read(f"{group}.{name}", info) for name, info in inner.model_fields.items()]
    return tuple(found)


def _read(name: str, info: FieldInfo) -> Declared:
    extra = typing.cast(dict[str, Any], info.json_schema_extra or {})
    kind, values = _kind(info.annotation)
    choices = dict(extra.get("choices") or {}) or dict.fromkeys(values, "")
    minimum = maximum = None
    is_open = False
    for limit in info.metadata:
        if isinstance(limit, annotated_types.Ge):
            minimum = typing.cast(float, limit.ge)
        elif isinstance(limit, annotated_types.Gt):
            minimum, is_open = typing.cast(float, limit.gt), True
        elif isinstance(limit, annotated_types.Le):
            maximum = typing.cast(float, limit.le)
    return Declared(
        name=name,
        kind=kind,
        affects=frozenset(extra["affects"]),
        default=info.get_default(call_default_factory=True),
        title=info.title or name,
        summary=extra["summary"],
        detail=extra["detail"],
        unit=extra["unit"],
        source=extra["source"],
        choices=choices,
        advanced=extra["advanced"],
        step=extra["step"],
        minimum=minimum,
        maximum=maximum,
        open_minimum=is_open,
    )


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return "choice", tuple(str(v) for v in typing.get_args(annotation))
    if origin is tuple:
        inner = typing.get_args(annotation)[0]
        if typing.get_origin(inner) is Literal:
            return "choices", tuple(str(v) for v in typing.get_args(inner))
        raise TypeError("a setting of several values names its choices")
    if origin in (typing.Union, types.UnionType):
        raise TypeError("a setting has one type; use a value such as 0 or an empty text for 'automatic'")
    simple: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}
    return simple[annotation], ()
