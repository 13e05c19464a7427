"""Learned words: what the captions of a collection mean in its drawings, solved in closed form.

A caption is described by three kinds of features: its embedding (whitened over the training captions, so that
what all captions share counts little), the words in it that several drawings share, and the whole caption where at
least three drawings share it (a class name, for example). Kernel ridge regression predicts these features from a
drawing. The inner product of the prediction with a caption's own features is linear in the drawing's kernel
features, so every caption, and every word, is one vector there; a centred feature space takes the place of a bias.
Repeated captions also get the votes of the drawings nearest to the one that is asked about, which are further features:
what a regression smooths away in folders of a hundred drawings, the nearest ones still tell (`docs/decisions/0023`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from clip_atelier.engine.parts.arrays import EPSILON, SAME, FloatArray, IntArray, spread, unit
from clip_atelier.engine.parts.embedded import Embedded, tokenize

MAX_LANDMARKS = 512
BANDWIDTH = 2.0
RIDGE = 0.7
TEXT_RIDGE = 1.0
COMMON = 0.7  # a word of more than this share of the drawings says nothing ("a drawing of")
MIN_WORD = 2
MIN_CAPTION = 3
TEMPERATURE = 0.03  # of the nearest drawings' votes for repeated captions
VOTES = 0.5  # spread of the votes beside that of all else that was learned
PARTICLES = frozenset(
    "은 는 이 가 을 를 의 에 에서 에게 에게서 께 께서 한테 로 으로 와 과 랑 이랑 하고 도 만 까지 부터 처럼 보다 마다 "
    "야 아 여 이여 나 이나 든 이든 라 이라 라는 이라는 네 이네".split()
)
"""What Korean puts behind a name, without a space: 미라가 names 미라."""


@dataclass(frozen=True)
class ImageFeatures:
    """Centred Nyström features of a Gaussian kernel; exact where the landmarks are all training drawings.

    Attributes:
        landmarks: Unit embeddings, shape [L, d].
        whitener: Shape [L, p].
        mean: Mean feature of the training drawings, shape [p].
        gamma: The kernel is exp(-gamma * squared distance / 2).
        temperature: Of the votes, 0 where none are taken.
        votes: Mean votes of the training drawings, shape [L]; of shape [0] where none are taken.
    """

    landmarks: FloatArray
    whitener: FloatArray
    mean: FloatArray
    gamma: float
    temperature: float = 0.0
    votes: FloatArray = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def fit(cls, images: FloatArray, limit: int = MAX_LANDMARKS, seed: int = 0) -> ImageFeatures:
        """Build features on training drawings of shape [N, d], with at most `limit` landmarks."""
        chosen = landmarks_of(len(images), limit, seed)
        variance = float(((images - images.mean(axis=0)) ** 2).sum(axis=1).mean())
        gamma = BANDWIDTH / max(variance, EPSILON)
        landmarks = images[chosen]
        values, vectors = np.linalg.eigh(_kernel(landmarks, landmarks, gamma))
        kept = values > 1e-6 * max(float(values[-1]), EPSILON)
        whitener = vectors[:, kept] / np.sqrt(values[kept])
        features = _kernel(images, landmarks, gamma) @ whitener
        scale = np.sqrt(variance / max(float(features.var(axis=0).sum()), EPSILON))
        return cls(landmarks, whitener * scale, features.mean(axis=0) * scale, gamma)

    def transform(self, images: FloatArray) -> FloatArray:
        """Features of unit embeddings of shape [n, d]: shape [n, p], or [n, p + L] where votes are taken."""
        features = np.asarray(_kernel(images, self.landmarks, self.gamma) @ self.whitener - self.mean)
        if not self.temperature:
            return features
        votes = _votes(images, self.landmarks, self.temperature) - self.votes
        return np.concatenate([features, votes], axis=1)


def landmarks_of(count: int, limit: int = MAX_LANDMARKS, seed: int = 0) -> IntArray:
    """Which of so many training drawings are landmarks."""
    if count <= limit:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


def _votes(images: FloatArray, landmarks: FloatArray, temperature: float) -> FloatArray:
    """What each landmark of shape [L, d] has to say about drawings of shape [n, d]: nearly all is said by the nearest.

    A drawing says nothing about itself: what it is called is what is to be found.

    Returns:
        Rows of sum 1, or of 0 where nothing else is there, shape [n, L].
    """
    alike = images @ landmarks.T
    alike[alike > 1.0 - SAME] = -np.inf
    found = np.exp((alike - np.maximum(alike.max(axis=1, keepdims=True), -1.0)) / temperature)
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), EPSILON))


def _kernel(a: FloatArray, b: FloatArray, gamma: float) -> FloatArray:
    """Gaussian kernel of shape [len(a), len(b)]."""
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * (a @ b.T)
    return np.asarray(np.exp(-0.5 * gamma * np.maximum(squared, 0.0)))


@dataclass(frozen=True)
class LearnedWords:
    """Caption and word vectors in the space of the image features.

    Attributes:
        features: The image features.
        meaning: Map from a caption embedding to its vector, shape [d, p].
        text_mean: Mean caption embedding that is taken away first, shape [d].
        words: The vocabulary; position in `word_vectors`.
        word_vectors: One vector for each word, shape [V, p]; its rarity weight is already in it.
        whole: Repeated captions by their telling words; position in `whole_vectors`.
        whole_vectors: One vector for each repeated caption, shape [R, p].
        ignored: Words that too many drawings share to tell anything.
        scales: Brings the learned score to the spread of the cosine: meaning alone, meaning and words.
        taught: Names that the user gave to drawings afterwards (`with_taught`), by their words: each one vector, of
            shape [p], that counts wherever a caption names it.
    """

    features: ImageFeatures
    meaning: FloatArray
    text_mean: FloatArray
    words: dict[str, int]
    word_vectors: FloatArray
    whole: dict[tuple[str, ...], int]
    whole_vectors: FloatArray
    ignored: frozenset[str]
    scales: tuple[float, float]
    taught: Mapping[tuple[str, ...], FloatArray] = field(default_factory=dict)

    @classmethod
    def fit(cls, collection: Embedded, images: FloatArray, train: IntArray) -> LearnedWords:
        """Solve for all vectors on the training drawings.

        Args:
            collection: The collection; only captions of `train` are used.
            images: Unit image embeddings of all drawings, shape [N, d].
            train: Positions of the training drawings.

        Returns:
            The learned words.
        """
        own = collection.captions_of(train)
        relevance = collection.relevance[np.ix_(own, train)].astype(np.float64)
        features = ImageFeatures.fit(images[train])
        phi = features.transform(images[train])
        solve = _ridge_operator(phi)
        captioned = relevance.sum(axis=0) > 0
        targets = unit(relevance.T @ collection.texts[own])
        mean = targets[captioned].mean(axis=0)
        centred = (targets - mean) * captioned[:, None]
        gram = centred.T @ centred + TEXT_RIDGE * np.eye(centred.shape[1])
        whitened = np.linalg.solve(gram, centred.T)
        kernel = (collection.texts[own] - mean) @ whitened
        meaning = whitened @ solve.T / max(float(np.sqrt((kernel**2).sum(axis=1).mean())), EPSILON)
        strings = [collection.strings[i] for i in own]
        words, word_vectors, ignored = _learn_words(strings, relevance, solve)
        named = _members(strings, relevance, ignored)
        whole, whole_vectors = _learn_whole(named, solve)
        model = cls(features, meaning, mean, words, word_vectors, whole, whole_vectors, ignored, (1.0, 1.0))
        if whole and 2 * len(whole) >= len(
            named
        ):  # a folder of classes, not of captions of which some are alike
            members = [named[key] for key in whole]
            model, phi = model._voting(collection.texts[own], strings, images[train], members, phi)
        by_meaning, by_words = model.vectors(collection.texts[own], strings)
        goal = spread(collection.texts[own] @ images[train].T)
        scales = (goal / spread(by_meaning @ phi.T), goal / spread((by_meaning + by_words) @ phi.T))
        return replace(model, scales=scales)

    def _voting(
        self,
        texts: FloatArray,
        strings: Sequence[str],
        images: FloatArray,
        members: Sequence[FloatArray],
        phi: FloatArray,
    ) -> tuple[LearnedWords, FloatArray]:
        """The same where the nearest drawings vote for the repeated captions.

        The more drawings a caption has, the more votes it gets; dividing by the root of their number was best between
        leaving that as it is and making all captions alike.

        Args:
            texts: Unit embeddings of the captions, shape [M, d].
            strings: They.
            images: Unit embeddings of the training drawings, shape [N, d].
            members: For each repeated caption, 1 for the training drawings that have it and 0 for the others, shape [N].
            phi: Features of the training drawings, shape [N, p].

        Returns:
            The words, and the features with the votes, shape [N, p + L].
        """
        by_meaning, by_words = self.vectors(texts, strings)
        votes = _votes(images, self.features.landmarks, TEMPERATURE)
        features = replace(self.features, temperature=TEMPERATURE, votes=votes.mean(axis=0))
        votes = votes - features.votes
        held = np.stack(members)
        held = held[:, landmarks_of(len(images))] / np.sqrt(held.sum(axis=1, keepdims=True))  # [R, L]
        held *= VOTES * spread((by_meaning + by_words) @ phi.T) / spread(held @ votes.T)

        def wide(vectors: FloatArray) -> FloatArray:
            return np.pad(vectors, ((0, 0), (0, held.shape[1])))

        found = replace(
            self,
            features=features,
            meaning=wide(self.meaning),
            word_vectors=wide(self.word_vectors),
            whole_vectors=np.concatenate([self.whole_vectors, held], axis=1),
        )
        return found, np.concatenate([phi, votes], axis=1)

    def vectors(self, texts: FloatArray, strings: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Vectors of captions, known or new: what the meaning and what the words contribute.

        Args:
            texts: Unit caption embeddings, shape [M, d].
            strings: The captions.

        Returns:
            Two arrays of shape [M, p].
        """
        by_meaning = (texts - self.text_mean) @ self.meaning
        by_words = np.zeros_like(by_meaning)
        for row, text in enumerate(strings):
            tokens = tokenize(text)
            known = [self.words[t] for t in tokens if t in self.words]
            if known:
                by_words[row] += self.word_vectors[known].sum(axis=0)
            place = self.whole.get(_key(tokens, self.ignored))
            if place is not None:
                by_words[row] += self.whole_vectors[place]
            said: set[str] = set()
            for key, vector in self.taught.items():
                if told := _naming(tokens, key):
                    by_words[row] += vector
                    said |= told
            if said:
                # What captions mean was learned without these names: an invented one means nothing, loudly.
                by_meaning[row] *= 1.0 - len(said) / len(tokens)
        return np.asarray(by_meaning), by_words

    def with_taught(self, phi: FloatArray, held: Mapping[str, FloatArray], loud: float) -> LearnedWords:
        """The same with names that the user gives to drawings, each learned as a repeated caption is.

        Args:
            phi: Kernel features of the drawings that the names are told apart on, shape [N, p].
            held: name -> 1 for each of these drawings that it names and 0 for the others, shape [N].
            loud: Spread of a name's scores on these drawings; that of a caption that was learned from.
        """
        own = self.features.whitener.shape[1]  # votes are taken for captions alone
        solve = np.zeros((phi.shape[1], len(phi)))
        solve[:own] = _ridge_operator(phi[:, :own])
        found = {}
        for name, members in held.items():
            vector = unit(members - members.mean()) @ solve.T
            found[name_key(name)] = vector * (loud / spread(phi @ vector))
        return replace(self, taught=found)

    def only_taught(self, meaning: bool) -> LearnedWords:
        """The same with no other words than the taught ones; without what captions mean, too, unless `meaning`."""
        kept = self.meaning if meaning else np.zeros_like(self.meaning)
        return replace(self, meaning=kept, words={}, whole={})

    def names_taught(self, text: str) -> bool:
        """Whether a caption names anything that was taught."""
        return any(_naming(tokenize(text), key) for key in self.taught)


def name_key(name: str) -> tuple[str, ...]:
    """What makes two names the same: their words, whatever their case and order; empty where there are none."""
    return tuple(sorted(tokenize(name)))


def _naming(tokens: Sequence[str], key: tuple[str, ...]) -> set[str]:
    """The words of a caption that say a name, if all of the name is there; a Korean one may have its particle."""
    said = [{t for t in tokens if t == part or _with_particle(t, part)} for part in key]
    return set().union(*said) if all(said) else set()


def _with_particle(token: str, name: str) -> bool:
    return token.startswith(name) and "가" <= name[-1] <= "힣" and token[len(name) :] in PARTICLES


def _key(tokens: tuple[str, ...], ignored: frozenset[str]) -> tuple[str, ...]:
    """The telling words of a caption, in alphabetical order."""
    return tuple(sorted(t for t in tokens if t not in ignored))


def _ridge_operator(phi: FloatArray) -> FloatArray:
    """(ΦᵀΦ + λI)⁻¹Φᵀ of features [N, p], shape [p, N]."""
    n, p = phi.shape
    if n < p:
        return np.asarray(np.linalg.solve(phi @ phi.T + RIDGE * np.eye(n), phi).T)
    return np.asarray(np.linalg.solve(phi.T @ phi + RIDGE * np.eye(p), phi.T))


def _learn_words(
    strings: Sequence[str], relevance: FloatArray, solve: FloatArray
) -> tuple[dict[str, int], FloatArray, frozenset[str]]:
    """Vectors of the words that several drawings share, each with its rarity weight.

    Args:
        strings: The M captions.
        relevance: Caption by drawing, shape [M, N].
        solve: Ridge operator, shape [p, N].

    Returns:
        Vocabulary, vectors of shape [V, p], and the words that are too common.
    """
    holders: dict[str, list[int]] = {}
    for row, text in enumerate(strings):
        for token in tokenize(text):
            holders.setdefault(token, []).append(row)
    n = relevance.shape[1]
    members = {token: relevance[rows].any(axis=0) for token, rows in holders.items()}
    ignored = frozenset(t for t, m in members.items() if m.sum() >= COMMON * n and n > MIN_CAPTION)
    kept = [t for t, m in members.items() if m.sum() >= MIN_WORD and t not in ignored]
    if not kept:
        return {}, np.zeros((0, len(solve))), ignored
    table = np.stack([members[t] for t in kept]).astype(np.float64)
    weights = 1.0 / table.sum(axis=1, keepdims=True)
    vectors = (weights * (table - table.mean(axis=1, keepdims=True))) @ solve.T
    return {t: i for i, t in enumerate(kept)}, vectors, ignored


def _members(
    strings: Sequence[str], relevance: FloatArray, ignored: frozenset[str]
) -> dict[tuple[str, ...], FloatArray]:
    """The drawings of each caption, told by its telling words: key -> 0 and 1, shape [N]."""
    drawings: dict[tuple[str, ...], FloatArray] = {}
    for row, text in enumerate(strings):
        key = _key(tokenize(text), ignored)
        if key:
            drawings[key] = np.maximum(drawings.get(key, np.zeros(relevance.shape[1])), relevance[row])
    return drawings


def _learn_whole(
    members: Mapping[tuple[str, ...], FloatArray], solve: FloatArray
) -> tuple[dict[tuple[str, ...], int], FloatArray]:
    """Vectors of whole captions that at least three drawings share (shapes as in `_learn_words`)."""
    kept = [k for k, m in members.items() if m.sum() >= MIN_CAPTION]
    if not kept:
        return {}, np.zeros((0, len(solve)))
    table = np.stack([members[k] for k in kept])
    table = table - table.mean(axis=1, keepdims=True)
    return {k: i for i, k in enumerate(kept)}, unit(table) @ solve.T
