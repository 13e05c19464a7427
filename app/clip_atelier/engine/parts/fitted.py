"""The parts that a run keeps, learned from all its drawings: scores under the strength dial, saving and reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.numpy
from pydantic import Field

from clip_atelier.engine.core import Record, Text, read_document, write_document, write_whole
from clip_atelier.engine.parts.answers import Answer, switched_on
from clip_atelier.engine.parts.arrays import FloatArray
from clip_atelier.engine.parts.cross_fitting import FEWEST, Variants
from clip_atelier.engine.parts.learned_words import ImageFeatures, LearnedWords
from clip_atelier.engine.parts.nothing_fits import Threshold
from clip_atelier.engine.parts.picture_head import BASE_PICTURES, PictureHead, PictureSetting
from clip_atelier.engine.parts.questions import TEXT_TO_IMAGE, WORD_QUESTIONS
from clip_atelier.engine.parts.selection import Setting
from clip_atelier.engine.parts.taught import TaughtWords
from clip_atelier.engine.parts.variants import PLAIN, Variant
from clip_atelier.engine.parts.word_questions import (
    BASE_WORDS,
    Asked,
    Captions,
    Drawings,
    WordModel,
    WordSetting,
)
from clip_atelier.engine.storage import sealed_tensors

ARRAYS: Final = "parts.safetensors"
DESCRIPTION: Final = "parts.json"


class SettingRecord(Record):
    """What one question uses: weights of parts, and the embeddings they stand on.

    Attributes:
        learned: Weight of the learned words' score, in spreads of the cosine.
        words: Whether single words and repeated captions count, beside what captions mean.
        hub: Weight of the hub correction.
        mean: Share of the towers' means that is taken away.
        weight: Share of the picture head's score.
        shrink: Its shrinkage.
        cross: Weight of its regression from one side to the other.
        lora: Strength of the trained update in the embeddings; 0 is the untouched model.
        views: Whether embeddings are the mean of several views.
    """

    learned: float = 0.0
    words: bool = True
    hub: float = 0.0
    mean: float = 0.0
    weight: float = 0.0
    shrink: float = 0.0
    cross: float = 0.0
    lora: float = 0.0
    views: bool = False


class WordModelRecord(Record):
    """What a word model holds beside its arrays (`words.N.…` in the tensor file).

    Attributes:
        gamma: Of the Gaussian kernel of its features.
        temperature: Of the nearest drawings' votes, which are further features; 0 in runs that take none.
    """

    lora: float
    views: bool
    roles: tuple[str, ...]
    bank_strings: tuple[Text, ...]
    bank_roles: tuple[str, ...] | None
    gamma: float
    temperature: float = 0.0
    words: tuple[Text, ...]
    captions: tuple[tuple[Text, ...], ...]
    ignored: tuple[Text, ...]
    scales: tuple[float, float]


class HeadRecord(Record):
    """The embeddings that a picture head stands on (`head.N.…` in the tensor file)."""

    lora: float
    views: bool


class PartsRecord(Record):
    """`parts.json`: what is applied to which question; the numbers are in `parts.safetensors`.

    Attributes:
        strength: Strength of the trained update that the parts were learned with; what the dial's 1 means for them.
        questions: By name.
        threshold: z score below which a result is "closest, but probably not it"; None where it could not be told.
        strangers: How many captions it was calibrated on.
        learned_from: SHA-256 of the files that were learned from.
    """

    schema_version: int = Field(default=1, alias="schema")
    strength: float = 0.0
    questions: dict[str, SettingRecord] = Field(default_factory=dict)
    word_models: tuple[WordModelRecord, ...] = ()
    heads: tuple[HeadRecord, ...] = ()
    threshold: float | None = None
    strangers: int = 0
    learned_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class FittedParts:
    """What is applied to which question.

    Attributes:
        strength: Strength of the trained update that they were learned with; 0 where none is used.
        settings: Of each question; a question that is missing keeps the base.
        word_models: Embeddings -> the model of the word questions.
        heads: Embeddings -> the picture head.
        threshold: When nothing fits.
        learned_from: SHA-256 of the files of the drawings that were learned from.
    """

    strength: float
    settings: Mapping[str, Setting]
    word_models: Mapping[Variant, WordModel]
    heads: Mapping[Variant, PictureHead]
    threshold: Threshold
    learned_from: frozenset[str] = frozenset()

    @classmethod
    def fit(
        cls,
        variants: Variants,
        answers: Mapping[str, Answer],
        threshold: Threshold,
        strength: float,
        learned_from: Sequence[str],
    ) -> FittedParts:
        """Learns from all drawings, with the settings that the folds chose.

        Args:
            variants: The collection in the embeddings that `needed` names, all drawings of it.
            answers: What was measured and is kept.
            threshold: When nothing fits.
            strength: Of the trained update that is kept.
            learned_from: SHA-256 of the drawings' files.
        """
        settings = {question: answer.kept for question, answer in answers.items()}
        everything = np.arange(len(variants[PLAIN]), dtype=np.int64)
        captioned = sum(1 for c in variants[PLAIN].captions if c)
        words = needed(answers) if captioned >= FEWEST else ()
        heads = {s.variant for s in settings.values() if isinstance(s, PictureSetting) and s.weight}
        return cls(
            strength,
            settings,
            {v: WordModel.fit(variants[v], everything) for v in words},
            {v: PictureHead.fit(variants[v], everything) for v in sorted(heads)},
            threshold,
            frozenset(learned_from),
        )

    def setting(self, question: str, dial: float = 1.0) -> Setting:
        """What a question uses at a position of the dial: 0 the base, 1 as it was learned."""
        base = BASE_WORDS if question in WORD_QUESTIONS else BASE_PICTURES
        return self.settings.get(question, base).scaled(dial)

    def word_scores(
        self,
        question: str,
        texts: FloatArray,
        strings: Sequence[str],
        images: FloatArray,
        roles: Sequence[str] | None = None,
        dial: float = 1.0,
    ) -> FloatArray:
        """Scores of a word question.

        Args:
            question: "text_to_image" or "image_to_text".
            texts: Unit caption embeddings [M, d], by the model at the strength that `setting(question, dial)` names.
            strings: The captions.
            images: Unit image embeddings [N, d] in the variant that it names.
            roles: Roles of the drawings, or None.
            dial: 0 (the base, exactly) to 1.5.

        Returns:
            Query by gallery: [M, N] or [N, M].
        """
        setting = self.setting(question, dial)
        learned = self.settings.get(question, BASE_WORDS)
        model = self.word_models.get(learned.variant)
        if model is None or dial == 0.0 or not isinstance(setting, WordSetting):
            base = texts @ images.T
            return base if question == TEXT_TO_IMAGE else np.ascontiguousarray(base.T)
        drawings = Drawings(model, images, roles)
        scores = Asked(model, Captions(model, texts, strings), drawings).scores(question, setting)
        taught = setting.for_taught(dial)
        if question == TEXT_TO_IMAGE and taught != setting:
            rows = [row for row, text in enumerate(strings) if model.learned.names_taught(text)]
            if rows:
                naming = model.for_taught(setting)
                named = Captions(naming, texts[rows], [strings[row] for row in rows])
                scores = scores.copy()
                scores[rows] = Asked(naming, named, drawings).scores(question, taught)
        return scores

    def picture_scores(
        self, question: str, sketches: FloatArray, artworks: FloatArray, dial: float = 1.0
    ) -> FloatArray:
        """Scores of a picture question, query by gallery; as `word_scores`, with sketches [S, d] and artworks [A, d]."""
        setting = self.setting(question, dial)
        head = self.heads.get(self.settings.get(question, BASE_PICTURES).variant)
        if head is None or not isinstance(setting, PictureSetting):
            head, setting = PictureHead(sketches[:0], artworks[:0]), BASE_PICTURES
        return head.scores(question, setting, sketches, artworks)

    def save(self, folder: Path) -> None:
        """Writes `parts.safetensors` and `parts.json` into a run's folder, the description last."""
        arrays: dict[str, FloatArray] = {}
        words = tuple(
            _word_record(model, variant, f"words.{n}", arrays)
            for n, (variant, model) in enumerate(self.word_models.items())
        )
        for n, head in enumerate(self.heads.values()):
            arrays[f"head.{n}.sketches"], arrays[f"head.{n}.artworks"] = head.sketches, head.artworks
        tensors = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
        write_whole(folder / ARRAYS, sealed_tensors(safetensors.numpy.save(tensors)))
        record = PartsRecord(
            strength=self.strength,
            questions={q: _setting_record(s) for q, s in self.settings.items()},
            word_models=words,
            heads=tuple(HeadRecord(lora=v.strength, views=v.views) for v in self.heads),
            threshold=self.threshold.value,
            strangers=self.threshold.strangers,
            learned_from=tuple(sorted(self.learned_from)),
        )
        write_document(folder / DESCRIPTION, record)

    @classmethod
    def read(cls, folder: Path) -> FittedParts | None:
        """What `save` wrote, with the words that the user taught since; None where a run has no parts.

        Raises:
            DamagedFile: a file is cut short or is not what `save` writes.
        """
        parts = cls.read_untaught(folder)
        taught = TaughtWords.read(folder)
        return parts.with_taught(taught) if parts is not None and taught.words else parts

    def with_taught(self, taught: TaughtWords) -> FittedParts:
        """The same with the words that the user taught."""
        models = {v: model.with_taught(taught.embeddings(v)) for v, model in self.word_models.items()}
        return replace(self, word_models=models)

    @classmethod
    def read_untaught(cls, folder: Path) -> FittedParts | None:
        """As `read`, without the words that the user taught."""
        if not (folder / DESCRIPTION).is_file():
            return None
        record = read_document(folder / DESCRIPTION, PartsRecord)
        arrays = safetensors.numpy.load((folder / ARRAYS).read_bytes())
        return cls(
            record.strength,
            {q: _setting(q, s) for q, s in record.questions.items()},
            {
                Variant(w.lora, w.views): _word_model(arrays, f"words.{n}", w)
                for n, w in enumerate(record.word_models)
            },
            {
                Variant(h.lora, h.views): PictureHead(
                    arrays[f"head.{n}.sketches"], arrays[f"head.{n}.artworks"]
                )
                for n, h in enumerate(record.heads)
            },
            Threshold(record.threshold, record.strangers),
            frozenset(record.learned_from),
        )

    @property
    def used(self) -> frozenset[str]:
        """The parts that any question uses."""
        return frozenset().union(*(switched_on(s) for s in self.settings.values()))


def needed(answers: Mapping[str, Answer]) -> tuple[Variant, ...]:
    """The embeddings that the kept settings stand on, the untouched ones always among them."""
    return tuple(sorted({PLAIN, *(answer.kept.variant for answer in answers.values())}))


def _setting_record(setting: Setting) -> SettingRecord:
    lora, views = setting.variant
    return SettingRecord(
        **{name: getattr(setting, name) for name in _weights(setting)}, lora=lora, views=views
    )


def _setting(question: str, record: SettingRecord) -> Setting:
    base = BASE_WORDS if question in WORD_QUESTIONS else BASE_PICTURES
    weights = {name: getattr(record, name) for name in _weights(base)}
    return replace(base, **weights, variant=Variant(record.lora, record.views))


def _weights(setting: Setting) -> tuple[str, ...]:
    """Names of what a setting holds beside its embeddings: the record has them under the same names."""
    return tuple(field.name for field in fields(setting) if field.name != "variant")


_LEARNED = ("meaning", "text_mean", "word_vectors", "whole_vectors")
_FEATURES = ("landmarks", "whitener", "mean", "votes")
_BANK = ("mean", "text_mean", "bank_texts", "bank_images")


def _word_record(
    model: WordModel, variant: Variant, name: str, arrays: dict[str, FloatArray]
) -> WordModelRecord:
    """Puts a word model's arrays under `name.` and returns the rest."""
    arrays.update({f"{name}.{key}": getattr(model, key) for key in _BANK})
    arrays.update({f"{name}.learned.{key}": getattr(model.learned, key) for key in _LEARNED})
    arrays.update({f"{name}.features.{key}": getattr(model.learned.features, key) for key in _FEATURES})
    arrays.update({f"{name}.role.{role}": mean for role, mean in model.role_means.items()})
    return WordModelRecord(
        lora=variant.strength,
        views=variant.views,
        roles=tuple(model.role_means),
        bank_strings=model.bank_strings,
        bank_roles=model.bank_roles,
        gamma=model.learned.features.gamma,
        temperature=model.learned.features.temperature,
        words=tuple(model.learned.words),
        captions=tuple(model.learned.whole),
        ignored=tuple(sorted(model.learned.ignored)),
        scales=model.learned.scales,
    )


def _word_model(arrays: Mapping[str, Any], name: str, about: WordModelRecord) -> WordModel:
    """Reads what `_word_record` wrote."""
    stored = {key: arrays.get(f"{name}.features.{key}") for key in _FEATURES}  # older runs have no votes
    features = ImageFeatures(
        gamma=about.gamma,
        temperature=about.temperature,
        **{key: value for key, value in stored.items() if value is not None},
    )
    words = LearnedWords(
        features=features,
        words={word: i for i, word in enumerate(about.words)},
        whole={tuple(key): i for i, key in enumerate(about.captions)},
        ignored=frozenset(about.ignored),
        scales=about.scales,
        **{key: arrays[f"{name}.learned.{key}"] for key in _LEARNED},
    )
    return WordModel(
        role_means={role: arrays[f"{name}.role.{role}"] for role in about.roles},
        learned=words,
        bank_strings=tuple(about.bank_strings),
        bank_roles=about.bank_roles,
        **{key: arrays[f"{name}.{key}"] for key in _BANK},
    )
