"""Captions changed by rule: words found and replaced, and sentences filled in from what is known of a drawing."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from clip_atelier.engine.core import UserError, _
from clip_atelier.engine.data.names import words

if TYPE_CHECKING:
    import regex

FIELDS: Final = ("file", "folder", "label", "number")
"""What a template may name in braces."""
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
PATIENCE: Final = 0.1
"""Seconds that an expression may take on one caption; one that repeats what repeats can take for ever."""


@dataclass(frozen=True)
class Replacement:
    """What is found in captions, and what takes its place.

    Args:
        find: Text, or a regular expression.
        by: Text; for an expression, groups as in Python's `re.sub`.
        expression: Whether `find` is a regular expression.
        case: Whether capital letters matter.
    """

    find: str
    by: str
    expression: bool = False
    case: bool = False

    def pattern(self) -> regex.Pattern[str]:
        """What is looked for, by a library whose search can be ended.

        Raises:
            UserError: the expression cannot be understood.
        """
        import regex

        try:
            return regex.compile(
                self.find if self.expression else regex.escape(self.find),
                0 if self.case else regex.IGNORECASE,
            )
        except (regex.error, OverflowError, RecursionError) as error:
            raise UserError(
                _("This expression cannot be understood: {reason}").format(reason=error),
                _("Letters such as ( [ * + ? . stand for themselves after a backslash."),
            ) from error

    def of(self, captions: Sequence[str]) -> tuple[str, ...]:
        """The captions afterwards; those that become empty are left out.

        Raises:
            UserError: as `pattern`, or the new text names a group that there is none of, or the search takes too long.
        """
        import regex

        pattern = self.pattern()
        if not self.find:
            return tuple(captions)
        try:
            new = self.by if self.expression else lambda _found: self.by
            told = [pattern.sub(new, caption, timeout=PATIENCE) for caption in captions]
        except TimeoutError as error:
            raise UserError(
                _("The expression takes too long on “{caption}”.").format(caption=captions[0]),
                _("Repeat nothing that repeats: “a+” instead of “(a+)+”."),
            ) from error
        except (regex.error, IndexError) as error:
            raise UserError(
                _("The new text cannot be understood: {reason}").format(reason=error),
                _("\\1 stands for what the first pair of brackets found."),
            ) from error
        same = [old if old == new else " ".join(new.split()) for old, new in zip(captions, told, strict=True)]
        return tuple(dict.fromkeys(filter(None, same)))


def fill_template(template: str, path: str, label: str, number: int) -> str:
    """A template with what is known of a drawing.

    Args:
        template: May name {file}, {folder}, {label} and {number}.
        path: The drawing, relative to its collection; its names are read as words.
        label: Its class, "" if none.
        number: Its place among those that are filled in, from 1.

    Raises:
        UserError: the template names something else.
    """
    values = {
        "file": words(path),
        "folder": words(posixpath.dirname(path) + ".") if posixpath.dirname(path) else "",
        "label": label,
        "number": str(number),
    }
    for name in _FIELD.findall(template):
        if name not in values:
            raise UserError(
                _("A template cannot name {field}.").format(field="{" + name + "}"),
                _("It may name {fields}.").format(fields=", ".join("{" + name + "}" for name in FIELDS)),
            )
    return " ".join(_FIELD.sub(lambda found: values[found[1]], template).split())
