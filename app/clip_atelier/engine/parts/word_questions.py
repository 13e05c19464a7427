"""Words find pictures, pictures find words: learned words, hub correction and mean removal put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from clip_atelier.engine.parts.arrays import SAME, BoolArray, FloatArray, IntArray, spread, top_mean, unit
from clip_atelier.engine.parts.embedded import Embedded
from clip_atelier.engine.parts.learned_words import LearnedWords
from clip_atelier.engine.parts.questions import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from clip_atelier.engine.parts.variants import PLAIN, Variant

NEIGHBOURS = 10
MAX_BANK = 512
TAUGHT = 2.5
"""Weight of the learned score for a caption that names what the user taught, where a run keeps none otherwise."""


@dataclass(frozen=True)
class WordSetting:
    """What is applied to one word question; all zeros is the base.

    Attributes:
        learned: Weight of the learned words' score.
        words: Whether single words and repeated captions count, beside the embeddings' meaning.
        hub: Weight of the hub correction (CSLS).
        mean: Share of the towers' means that is taken away.
        variant: Which embeddings are compared.
    """

    learned: float = 0.0
    words: bool = True
    hub: float = 0.0
    mean: float = 0.0
    variant: Variant = PLAIN

    def scaled(self, strength: float) -> WordSetting:
        """Scales every part by the strength dial (0 to 1.5; 0 is the base, exactly)."""
        return replace(
            self,
            learned=self.learned * strength,
            hub=self.hub * strength,
            mean=min(1.0, self.mean * strength),
            variant=self.variant.scaled(strength),
        )

    def for_taught(self, strength: float) -> WordSetting:
        """The same for captions that name what the user taught: that counts, also where learned words were not kept."""
        return replace(self, learned=self.learned or TAUGHT * strength, words=True)


BASE_WORDS = WordSetting()


class Captions:
    """Embedded captions, with what the learned words make of them; computed once, used for every setting."""

    def __init__(self, model: WordModel, texts: FloatArray, strings: Sequence[str]) -> None:
        """Prepare captions of unit embeddings [M, d] for a fitted model."""
        self.texts = texts
        self.meaning, self.by_words = model.learned.vectors(texts, strings)


class Drawings:
    """Embedded drawings, with their kernel features."""

    def __init__(self, model: WordModel, images: FloatArray, roles: Sequence[str] | None) -> None:
        """Prepare drawings of unit embeddings [N, d] for a fitted model."""
        self.images = images
        self.means = model.means_for(roles, len(images))
        self.features = model.learned.features.transform(model.role_centred(images, self.means))


class Comparison:
    """Captions against drawings; the products that several settings share are computed once."""

    def __init__(self, model: WordModel, captions: Captions, drawings: Drawings) -> None:
        """Compare M captions with N drawings."""
        self._model, self._captions, self._drawings = model, captions, drawings
        self._cosines: dict[float, FloatArray] = {}
        self._products: dict[bool, FloatArray] = {}

    def plain(self, setting: WordSetting) -> FloatArray:
        """Cosines, after mean removal and with the learned score, before hub correction; shape [M, N]."""
        if setting.mean not in self._cosines:
            texts, images = self._captions.texts, self._drawings.images
            if setting.mean:
                texts = unit(texts - setting.mean * self._model.text_mean)
                images = unit(images - setting.mean * self._drawings.means)
            self._cosines[setting.mean] = texts @ images.T
        scores = self._cosines[setting.mean]
        return scores + setting.learned * self._learned(setting.words) if setting.learned else scores

    def _learned(self, words: bool) -> FloatArray:
        """The learned words' score, brought to the spread of the cosine; shape [M, N]."""
        if words not in self._products:
            captions, learned = self._captions, self._model.learned
            vectors = captions.meaning + captions.by_words if words else captions.meaning
            self._products[words] = learned.scales[int(words)] * (vectors @ self._drawings.features.T)
        return self._products[words]


class Asked:
    """Captions and drawings that are compared, with the banks of the hub correction."""

    def __init__(self, model: WordModel, captions: Captions, drawings: Drawings) -> None:
        """Prepare the comparisons of M captions and N drawings."""
        self._pair = Comparison(model, captions, drawings)
        self._captions = Comparison(model, captions, model.bank_drawings)
        self._drawings = Comparison(model, model.bank_captions, drawings)

    def scores(self, question: str, setting: WordSetting) -> FloatArray:
        """Scores of one word question.

        Args:
            question: `text_to_image` or `image_to_text`.
            setting: What is applied.

        Returns:
            Query by gallery: [M, N] for `text_to_image`, [N, M] for `image_to_text`.

        Raises:
            ValueError: If it is no word question.
        """
        scores = self._pair.plain(setting)
        if question == TEXT_TO_IMAGE:
            return scores - setting.hub * self.drawing_hubness(setting)[None] if setting.hub else scores
        if question != IMAGE_TO_TEXT:
            raise ValueError(f"not a word question: {question}")
        if setting.hub:
            scores = scores - setting.hub * self.caption_hubness(setting)[:, None]
        return np.ascontiguousarray(scores.T)

    def drawing_hubness(self, setting: WordSetting) -> FloatArray:
        """How near each drawing is to the learner's captions in general, shape [N]."""
        return top_mean(np.ascontiguousarray(self._drawings.plain(setting).T), NEIGHBOURS)

    def caption_hubness(self, setting: WordSetting) -> FloatArray:
        """How near each caption is to the learner's drawings in general, shape [M]."""
        return top_mean(self._captions.plain(setting), NEIGHBOURS)


@dataclass(frozen=True)
class WordModel:
    """Everything that is learned for the word questions from one set of training drawings.

    Attributes:
        mean: Mean image embedding, shape [d].
        text_mean: Mean caption embedding, shape [d].
        role_means: Mean image embedding of each role, where roles are known.
        learned: The learned words.
        bank_texts: Caption embeddings that the hub correction compares with, shape [B, d].
        bank_strings: The captions of the bank.
        bank_images: Image embeddings that it compares with, shape [C, d].
        bank_roles: Their roles, or None.
    """

    mean: FloatArray
    text_mean: FloatArray
    role_means: dict[str, FloatArray]
    learned: LearnedWords
    bank_texts: FloatArray
    bank_strings: tuple[str, ...]
    bank_images: FloatArray
    bank_roles: tuple[str, ...] | None

    @classmethod
    def fit(
        cls,
        collection: Embedded,
        train: IntArray,
        seed: int = 0,
    ) -> WordModel:
        """Fit on training drawings.

        Args:
            collection: The collection.
            train: Positions of the training drawings, at least two, with captions.
            seed: Chooses the bank of a large collection.

        Returns:
            The model.
        """
        mean = collection.images[train].mean(axis=0)
        roles = collection.roles
        role_means: dict[str, FloatArray] = {}
        if roles is not None:
            for role in sorted({roles[i] for i in train}):
                role_means[role] = collection.images[[i for i in train if roles[i] == role]].mean(axis=0)
        everyone = _means_for(mean, role_means, roles, len(collection))
        images = _role_centred(collection.images, everyone, mean, role_means)
        learned = LearnedWords.fit(collection, images, train)
        own = collection.captions_of(train)
        text_mean = collection.texts[own].mean(axis=0)
        rng = np.random.default_rng(seed)
        own = own if len(own) <= MAX_BANK else np.sort(rng.choice(own, MAX_BANK, replace=False))
        shown = train if len(train) <= MAX_BANK else np.sort(rng.choice(train, MAX_BANK, replace=False))
        return cls(
            mean,
            text_mean,
            role_means,
            learned,
            collection.texts[own],
            tuple(collection.strings[i] for i in own),
            collection.images[shown],
            None if roles is None else tuple(roles[i] for i in shown),
        )

    def with_taught(self, taught: Mapping[str, FloatArray], without: FloatArray | None = None) -> WordModel:
        """The same with names that the user gave to drawings, told apart on the bank and all taught drawings together.

        Args:
            taught: name -> unit embeddings of its drawings, shape [n, d].
            without: Embeddings of drawings that are left out, as if they were not there, shape [m, d].
        """
        if without is not None:
            taught = {name: images[~same(images, without).any(axis=1)] for name, images in taught.items()}
        taught = {name: images for name, images in taught.items() if len(images)}
        if not taught:
            return replace(self, learned=replace(self.learned, taught={}))
        pool, roles = self.bank_images, list(self.bank_roles) if self.bank_roles is not None else None
        if without is not None and len(without):
            kept = np.flatnonzero(~same(pool, without).any(axis=1))
            pool, roles = pool[kept], [roles[i] for i in kept] if roles is not None else None
        for images in taught.values():
            for image in images:
                if not same(pool, image[None]).any():
                    pool = np.concatenate([pool, image[None]])
                    if roles is not None:
                        roles.append(self.role_of(image))
        phi = self.learned.features.transform(self.role_centred(pool, self.means_for(roles, len(pool))))
        held = {name: np.where(same(pool, images).any(axis=1), 1.0, 0.0) for name, images in taught.items()}
        captions = replace(self, learned=replace(self.learned, taught={})).bank_captions
        loud = spread((captions.meaning + captions.by_words) @ self.bank_drawings.features.T)
        return replace(self, learned=self.learned.with_taught(phi, held, loud))

    def for_taught(self, setting: WordSetting) -> WordModel:
        """The model for captions that name what the user taught: of other learned words only what a setting keeps."""
        if setting.learned and setting.words:
            return self
        return replace(self, learned=self.learned.only_taught(meaning=setting.learned != 0))

    def role_of(self, image: FloatArray) -> str:
        """The role of a drawing of shape [d]: that of the bank's if it is one of them, else of those it resembles most."""
        there = np.flatnonzero(same(self.bank_images, image[None])[:, 0])
        if self.bank_roles is not None and len(there):
            return self.bank_roles[int(there[0])]
        means = self.role_means
        return min(means, key=lambda role: float(((means[role] - image) ** 2).sum()), default="")

    @cached_property
    def bank_captions(self) -> Captions:
        """The bank's captions, prepared."""
        return Captions(self, self.bank_texts, self.bank_strings)

    @cached_property
    def bank_drawings(self) -> Drawings:
        """The bank's drawings, prepared."""
        return Drawings(self, self.bank_images, self.bank_roles)

    def means_for(self, roles: Sequence[str] | None, count: int) -> FloatArray:
        """Mean embedding of each drawing's kind (its role's, where roles are known), shape [count, d]."""
        return _means_for(self.mean, self.role_means, roles, count)

    def role_centred(self, images: FloatArray, means: FloatArray) -> FloatArray:
        """Take away what distinguishes the roles' means, shape [n, d]."""
        return _role_centred(images, means, self.mean, self.role_means)


def same(a: FloatArray, b: FloatArray) -> BoolArray:
    """Which unit embeddings [n, d] and [m, d] are of the very same drawing, shape [n, m]."""
    return np.asarray(a @ b.T > 1.0 - SAME)


def _means_for(
    mean: FloatArray, role_means: Mapping[str, FloatArray], roles: Sequence[str] | None, count: int
) -> FloatArray:
    """Mean embedding of each drawing's kind, shape [count, d]."""
    if roles is None or not role_means or not count:
        return np.tile(mean, (count, 1))
    return np.stack([role_means.get(role, mean) for role in roles])


def _role_centred(
    images: FloatArray, means: FloatArray, mean: FloatArray, role_means: Mapping[str, FloatArray]
) -> FloatArray:
    """Take away what distinguishes the roles' means, shape [n, d]."""
    return unit(images - (means - mean)) if role_means else images
