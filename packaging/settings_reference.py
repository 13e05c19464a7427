"""Writes docs/settings.md, the reference of every setting, from the declarations in the code.

Run it after changing a setting: `python packaging/settings_reference.py`.
"""

from __future__ import annotations

from pathlib import Path

from clip_atelier.engine.settings import DECLARED, GROUP_TITLES, PRESETS, Declared, written

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "settings.md"

_HEAD = """\
# Settings

This page is made from the declarations below `app/clip_atelier/engine/settings/` by
`packaging/settings_reference.py`. The same declarations give the form in the window, the flags of the command line
(`--lora.r 8`; lists are joined with `+`: `--lora.target_modules q_proj+v_proj`) and the keys in a run's `run.json`.
"""


def page() -> str:
    """The whole reference page as Markdown."""
    parts = [_HEAD, _presets()]
    for group, title in GROUP_TITLES.items():
        parts.append(f"## {title}\n")
        parts += [_entry(declared) for declared in DECLARED.values() if declared.group == group]
    return "\n".join(parts)


def _presets() -> str:
    lines = ["## Presets\n", "A preset sets a few settings over the defaults (`--preset NAME`).\n"]
    for preset in PRESETS.values():
        values = ", ".join(f"`{name}={written(value)}`" for name, value in preset.values.items())
        source = f" Source: {preset.source}." if preset.source else ""
        lines.append(f"- **{preset.name}** ({preset.title}): {preset.summary}{source}\n  {values}")
    return "\n".join(lines) + "\n"


def _entry(declared: Declared) -> str:
    facts = [f"default `{written(declared.default)}`" if declared.default != "" else "default: empty"]
    if declared.unit:
        facts.append(f"in {declared.unit}")
    facts += _limits(declared)
    if declared.advanced:
        facts.append("advanced")
    lines = [f"### `{declared.name}`\n", f"**{declared.title}** ({'; '.join(facts)})\n", declared.summary]
    if declared.detail:
        lines.append(f"\n{declared.detail}")
    if declared.choices:
        lines.append("")
        lines += [
            f"- `{value}`: {text}" if text else f"- `{value}`" for value, text in declared.choices.items()
        ]
    if declared.source:
        lines.append(f"\nSource: {declared.source}")
    return "\n".join(lines) + "\n"


def _limits(declared: Declared) -> list[str]:
    low, high = declared.minimum, declared.maximum
    if low is None and high is None:
        return []
    if high is None:
        return [f"{'more than' if declared.open_minimum else 'at least'} {low:g}"]
    if low is None:
        return [f"at most {high:.10g}"]
    return [f"more than {low:g}, at most {high:.10g}" if declared.open_minimum else f"{low:g} to {high:.10g}"]


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(page(), encoding="utf-8", newline="\n")
