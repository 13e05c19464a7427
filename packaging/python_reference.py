"""Writes docs/python-reference.md, what `import clip_atelier` offers, from signatures and docstrings in the code.

Run it after changing the library or a record that it returns: `python packaging/python_reference.py`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import clip_atelier
from clip_atelier import library
from clip_atelier.engine import data, models, runs, search
from clip_atelier.engine.core import Record

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "python-reference.md"

_HEAD = """\
# Python reference

This page is made by `packaging/python_reference.py` from the docstrings of `import clip_atelier`. [python.md](python.md) begins with
examples; `clip_atelier.engine.core` names the events that `on_event` gets, and its `UserError` and `WorkError`.

`PathLike` is a `str` or an `os.PathLike[str]`.
"""
_RECORDS = """\
## Records

What is returned. They are frozen, and those with a schema have `as_json()`. A `Score` is a `float`, or None where nothing was measured; a
`Text` is a `str`.
"""
#: Made by a function of the library and never by hand.
_HANDED_OUT = ("Embedder",)

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$", re.MULTILINE)
_ENTRY = re.compile(r"^    (?=\S)", re.MULTILINE)


def page() -> str:
    """The whole page as Markdown."""
    # In the order in which they are written, which is that of their use.
    offered = [name for name in vars(library) if name in clip_atelier.__all__]
    parts = [_HEAD, *(_part(name, getattr(library, name)) for name in offered)]
    found = records(offered)
    parts.append(_RECORDS)
    parts += [_record(found[name]) for name in sorted(found)]
    return "\n".join(parts)


def _part(name: str, thing: Any) -> str:
    if not inspect.isclass(thing):
        return "\n".join([f"## {name}\n", *_described(name, thing)])
    lines = [f"## {name}\n", *_described(name, thing)]
    for inner, member in vars(thing).items():
        if inner.startswith("_") or not (callable(member) or isinstance(member, property)):
            continue
        lines.append(f"### {name}.{inner}\n")
        if isinstance(member, property):
            assert member.fget is not None
            kind = member.fget.__annotations__["return"]
            lines += [f"`{kind}`: {_text(member.fget)[0]}\n"]
        else:
            lines += _described(f"{name}.{inner}", member)
    return "\n".join(lines)


def _described(name: str, thing: Callable[..., Any]) -> Iterator[str]:
    """The call and its docstring in Markdown."""
    if name not in _HANDED_OUT:
        yield f"```python\n{name}{_signature(thing)}\n```\n"
    text, sections = _text(thing)
    yield text + "\n"
    for title, body in sections.items():
        if title in ("Returns", "Yields"):
            yield f"**{title}** {_joined(body)}\n"
        else:
            yield f"**{title}**\n"
            yield "\n".join(f"- {_entry(entry)}" for entry in entries(body)) + "\n"


def _signature(thing: Callable[..., Any]) -> str:
    """As it is written, a line for each parameter where there are several."""
    signature = inspect.signature(thing)
    kept = [one for one in signature.parameters.values() if one.name != "self"]
    told = str(signature.replace(parameters=kept)).replace("'", "").replace("-> None", "").strip()
    if len(kept) < 3:
        return told
    words = [str(one).replace("'", "") for one in kept]
    first = next((i for i, one in enumerate(kept) if one.kind is one.KEYWORD_ONLY), None)
    if first is not None:
        words.insert(first, "*")
    end = told.rpartition(")")[2]
    # An empty default is written with the quotes that are taken away from annotations.
    lines = [f"    {word}," if not word.endswith("= ") else f'    {word}"",' for word in words]
    return "(\n" + "\n".join(lines) + f"\n){end}"


def _text(thing: Any) -> tuple[str, dict[str, str]]:
    """What a docstring says, and its sections by title."""
    before, *rest = _SECTION.split(inspect.getdoc(thing) or "")
    text = "\n\n".join(_joined(one) for one in before.strip().split("\n\n"))
    return text, dict(zip(rest[::2], rest[1::2], strict=True))


def entries(body: str) -> list[str]:
    """The entries of a section, each in one line."""
    return [_joined(one) for one in _ENTRY.split(body) if one.strip()]


def _joined(text: str) -> str:
    return " ".join(text.split())


def _entry(text: str) -> str:
    name, _colon, told = text.partition(": ")
    return f"`{name}`: {told}"


def records(offered: list[str]) -> dict[str, type]:
    """The records that the library hands out, by name: those that it names and those inside them."""
    found: dict[str, type] = {}
    waiting = [_rooms(word) for name in offered for word in _annotations(getattr(library, name, None))]
    while waiting:
        one = waiting.pop()
        if one is None or one.__name__ in found or not _is_record(one):
            continue
        found[one.__name__] = one
        for _name, kind, module in _fields(one):
            waiting += [getattr(sys.modules[module], word, None) for word in re.findall(r"\w+", kind)]
    return found


def _is_record(thing: Any) -> bool:
    return (
        inspect.isclass(thing) and (issubclass(thing, Record) or is_dataclass(thing)) and thing is not Record
    )


def _rooms(word: str) -> Any:
    for room in (runs, search, data, models):
        if word in room.__all__:
            return getattr(room, word)
    return None


def _annotations(thing: Any) -> list[str]:
    """The words in what a function or the members of a class return."""
    if not inspect.isclass(thing):
        return re.findall(r"\w+", str(getattr(thing, "__annotations__", {}).get("return", "")))
    members = [getattr(member, "fget", None) or member for member in vars(thing).values()]
    return [word for member in members if inspect.isfunction(member) for word in _annotations(member)]


def _fields(record: type) -> Iterator[tuple[str, str, str]]:
    """Name, annotation and module of each field, those of the bases first."""
    for one in reversed(record.__mro__):
        if one.__module__.startswith("clip_atelier"):
            for name, kind in vars(one).get("__annotations__", {}).items():
                if not name.startswith("_") and name != "model_config" and "ClassVar" not in str(kind):
                    yield name, str(kind), one.__module__


def _record(record: type) -> str:
    told: dict[str, str] = {}
    for one in reversed(record.__mro__):
        if one.__module__.startswith("clip_atelier") and one.__doc__:
            for entry in entries(_text(one)[1].get("Attributes", "")):
                name, _colon, text = entry.partition(": ")
                told |= dict.fromkeys(name.split(", "), text)
    lines = [f"### {record.__name__}\n", _text(record)[0] + "\n"]
    for name, kind, _module in _fields(record):
        if name != "schema_version":
            lines.append(f"- `{name}`: `{kind}`" + (f". {told[name]}" if name in told else ""))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8", newline="\n")
