"""English and Korean captions for drawings, from icon names and from emojibase's labels and tags.

Emoji drawings are matched to emojibase by name, whatever naming their set follows. Other icons are captioned by their
name without the words that tell a style or size; a Korean caption is added where the name is an emoji's or can be
translated word by word with a small dictionary: `korean_words.tsv`, written for this model, and pairs of English and
Korean emojibase tags that occur on the same emoji.

Get the data with ``npm install emojibase-data`` and pass the folder ``node_modules/emojibase-data``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_STYLE_ENDS = frozenset(
    """outline outlined filled fill bold duotone thin light regular solid line linear broken rounded round sharp twotone
    duo alt sm xs o loop transition compact mirrored ltr rtl negative badged alerted stipple expressive active print
    small flat wght 24px 20px 16px 1x1 4x3 one two""".split()
)
_STYLE_STARTS = frozenset("outline baseline round sharp twotone bxs bx ios md filled solid".split())
_MIN_TAG_EMOJI = 2
_MIN_DICE = 0.6


@dataclass
class Concept:
    """What a drawing may be called.

    Attributes:
        key: Drawings with the same key mean the same.
        english: English captions, the main one first.
        korean: Korean captions, the main one first; empty where none is known.
        is_flag: True for country flags.
    """

    key: str
    english: list[str] = field(default_factory=list)
    korean: list[str] = field(default_factory=list)
    is_flag: bool = False


def slug(text: str) -> str:
    """Reduce a name to its letters and digits, so that naming habits do not matter."""
    plain = unicodedata.normalize("NFKD", text.lower())
    return re.sub(r"[^a-z0-9]", "", plain)


def name_words(name: str) -> str:
    """Turn an icon's name into words, without style and size words at its ends."""
    words = [word for word in re.split(r"[-_ ]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()) if word]
    while len(words) > 1 and (words[-1] in _STYLE_ENDS or words[-1].isdigit()):
        if words[-2:] == ["light", "bulb"]:
            break
        words.pop()
        if words[-1] == "two" and len(words) > 1:  # "two tone"
            words.pop()
    while len(words) > 1 and words[0] in _STYLE_STARTS:
        words.pop(0)
    return " ".join(words)


class EmojiTable:
    """emojibase's emoji by every name they go by."""

    def __init__(self, folder: Path) -> None:
        """Read labels, tags and shortcodes from the npm package ``emojibase-data``.

        Raises:
            FileNotFoundError: ``folder`` is not that package.
        """
        english = _read(folder / "en" / "data.json")
        korean = {row["hexcode"]: row for row in _read(folder / "ko" / "data.json")}
        self.by_hexcode: dict[str, Concept] = {}
        self._by_slug: dict[str, str] = {}
        self._pairs: list[tuple[list[str], list[str]]] = []
        for row in english:
            code = row["hexcode"]
            other = korean.get(code, {})
            concept = Concept(
                key=f"emoji {code}",
                english=_distinct([row["label"], *row.get("tags", [])]),
                korean=_distinct([other["label"], *other.get("tags", [])]) if other else [],
                is_flag=row["label"].startswith("flag:"),
            )
            if concept.is_flag:
                concept.english[0] = "flag of " + row["label"].removeprefix("flag: ")
                concept.korean[0] = concept.korean[0].removeprefix("깃발: ") + " 국기"
            self.by_hexcode[code] = concept
            self._pairs.append((concept.english, concept.korean))
            self._by_slug.setdefault(slug(row["label"]), code)
        for row in english:
            characters = [chr(int(part, 16)) for part in row["hexcode"].split("-")]
            characters = [character for character in characters if character not in "\ufe0f\u200d"]
            if len(characters) == 1:
                self._by_slug.setdefault(slug(unicodedata.name(characters[0], "")), row["hexcode"])
        for source in ("cldr", "emojibase", "joypixels", "iamcal", "github"):
            for code, names in _read(folder / "en" / "shortcodes" / f"{source}.json").items():
                if code in self.by_hexcode:
                    for name in [names] if isinstance(names, str) else names:
                        self._by_slug.setdefault(slug(name), code)

    def find(self, name: str) -> Concept | None:
        """Find the emoji a drawing's name stands for."""
        for candidate in (
            name,
            name.replace("flag-for-", "").replace("flag-", ""),
            re.sub(r"-\d+$", "", name),
        ):
            code = self._by_slug.get(slug(candidate))
            if code is not None:
                return self.by_hexcode[code]
        return None

    def find_label(self, words: str) -> Concept | None:
        """Find an emoji by its label or, as "dog" for "dog face", by the start of one."""
        for candidate in (words, f"{words} face"):
            code = self._by_slug.get(slug(candidate))
            if code is not None and self.by_hexcode[code].english[0] == candidate:
                return self.by_hexcode[code]
        return None

    def word_pairs(self) -> dict[str, str]:
        """Translate tags: those English and Korean ones that mostly occur on the same emoji (Dice coefficient)."""
        singles: Counter[str] = Counter()
        joint: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for english, korean in self._pairs:
            singles.update(english)
            singles.update(korean)
            for word in english:
                joint[word].update(korean)
        found: dict[str, str] = {}
        for word, others in joint.items():
            best, together = max(
                others.items(), key=lambda item: 2 * item[1] / (singles[word] + singles[item[0]])
            )
            dice = 2 * together / (singles[word] + singles[best])
            if together >= _MIN_TAG_EMOJI and dice >= _MIN_DICE:
                found[word.lower()] = best
        return found


class Captioner:
    """Gives every drawing its concept."""

    def __init__(self, table: EmojiTable, words_file: Path) -> None:
        """Prepare the dictionary; `words_file` holds "english<TAB>korean" lines and wins over emojibase's tags."""
        self._table = table
        self._words = table.word_pairs()
        for line in words_file.read_text(encoding="utf-8").splitlines():
            english, korean = line.split("\t")
            self._words[english] = korean

    def emoji(self, name: str) -> Concept | None:
        """Concept of a drawing in an emoji set, None when its name is unknown."""
        return self._table.find(name)

    def icon(self, name: str) -> Concept:
        """Concept of any other icon."""
        words = name_words(name)
        emoji = self._table.find_label(words)
        concept = Concept(key=" ".join(sorted(words.split())), english=[words])
        if emoji is not None:
            concept.korean = [emoji.korean[0]] if emoji.korean else []
        translated = self.translate(words)
        if translated is not None:
            concept.korean = _distinct([translated, *concept.korean])
        return concept

    def translate(self, words: str) -> str | None:
        """Translate a short name as a whole or word by word; None unless every word is known."""
        if words in self._words:
            return self._words[words]
        parts = words.split()
        for split in range(len(parts) - 1, 0, -1):
            head, tail = " ".join(parts[:split]), " ".join(parts[split:])
            if head in self._words:
                rest = self.translate(tail)
                return None if rest is None else f"{self._words[head]} {rest}"
        return None


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _distinct(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(text.lower().strip() for text in texts))
