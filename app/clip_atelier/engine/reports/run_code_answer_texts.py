"""Passages of the Python file that answers questions as a run does. Each uses the names that `run_code_answers` writes at its top."""

from __future__ import annotations

from typing import Final

UPDATE: Final = '''\
clip = model.base_model.model
UPDATE = load_torch(KEPT / "update.safetensors")
PARAMETERS = {name: parameter for name, parameter in clip.named_parameters() if name in UPDATE}
# What is not a factor of LoRA (norms, biases, DoRA's lengths) goes from its first to its trained values.
FIRST = {
    name: parameter.detach().clone()
    for name, parameter in PARAMETERS.items()
    if "lora_A" not in name and "lora_B" not in name
}
SCALING = {layer: layer.scaling["default"] for layer in model.modules() if hasattr(layer, "lora_A")}
with torch.no_grad():
    for name, parameter in PARAMETERS.items():
        parameter.copy_(UPDATE[name])


def at(strength):
    """Puts the update at a strength: 0 is the untouched model, 1 the update as it was trained."""
    for layer, scaling in SCALING.items():
        layer.scaling["default"] = strength * scaling
    with torch.no_grad():
        for name, first in FIRST.items():
            PARAMETERS[name].copy_(first + strength * (UPDATE[name].to(first) - first))
'''

NO_UPDATE: Final = '''\
clip = model


def at(strength):
    """The run keeps no update: the model is the untouched one at any strength."""
'''

EMBEDDING: Final = '''\
def zoomed(picture, factor):
    """A drawing larger or smaller about its middle; new room has the corner's colour."""
    side = max(1, round(SIZE * factor))
    sheet = Image.new("RGB", (SIZE, SIZE), tuple(int(value) for value in picture[0, 0]))
    resized = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    sheet.paste(resized, ((SIZE - side) // 2, (SIZE - side) // 2))
    return np.asarray(sheet)


VIEWS = (
    lambda picture: picture,
    lambda picture: np.ascontiguousarray(picture[:, ::-1]),
    lambda picture: zoomed(picture, 0.85),
    lambda picture: zoomed(picture, 1.15),
)


def unit(x):
    """Vectors of length 1, in double precision."""
    x = np.asarray(x, np.float64)
    return x / np.maximum(1e-9, np.linalg.norm(x, axis=-1, keepdims=True))


def embed_images(files, strength=0.0, views=False):
    """Unit embeddings [N, d] of drawings at a strength of the update; with `views` the mean over several views of each."""
    at(strength)
    pictures = [@FIT(load(file)) for file in files]
    total = 0
    for view in VIEWS if views else VIEWS[:1]:
        found = []
        for start in range(0, len(pictures), 32):
            batch = np.stack([view(picture) for picture in pictures[start : start + 32]])
            with torch.no_grad():
                x = (torch.from_numpy(batch).to(DEVICE).permute(0, 3, 1, 2).float() - MEAN) / STD
                found.append(clip.visual_projection(clip.vision_model(x).pooler_output).cpu().numpy())
        total = total + unit(np.concatenate(found))
    return unit(total)


def embed_texts(captions, strength=0.0):
    """Unit embeddings [M, d] of captions at a strength of the update."""
    at(strength)
    found = []
    for start in range(0, len(captions), 256):
        with torch.no_grad():
            ids = tokens(captions[start : start + 256])[0]
            found.append(clip.text_projection(clip.text_model(input_ids=ids).pooler_output).cpu().numpy())
    return unit(np.concatenate(found))
'''

SETTINGS: Final = '''\
BASE = {"learned": 0.0, "words": True, "hub": 0.0, "mean": 0.0, "weight": 0.0, "shrink": 3.0, "cross": 0.0, "lora": 0.0, "views": False}


def kept_for(question):
    """What a question keeps; it is answered by the untouched model where that is nothing."""
    return BASE | PARTS["questions"].get(question, {})


def setting(question, dial=1.0):
    """The same at a position of the strength dial: 0 is the untouched model, 1 as it was learned."""
    found = kept_for(question)
    scaled = ("learned", "hub", "mean") if question in ("text_to_image", "image_to_text") else ("weight",)
    found |= {name: dial * found[name] for name in scaled}
    found["mean"] = min(1.0, found["mean"])
    return found | {"lora": round(dial * found["lora"], 6), "views": found["views"] and dial > 0}


def learned_in(question, kind):
    """The number of what was learned in a question's embeddings, among PARTS[kind]; None where there is nothing."""
    kept = kept_for(question)
    for number, one in enumerate(PARTS[kind]):
        if (one["lora"], one["views"]) == (kept["lora"], kept["views"]):
            return number
    return None


def arrays_of(name):
    """The arrays whose names begin so."""
    return {key[len(name) + 1 :]: value for key, value in ARRAYS.items() if key.startswith(name + ".")}


def top_mean(scores):
    """The mean of the ten largest values of each row."""
    return np.sort(scores, axis=1)[:, -10:].mean(axis=1)
'''

WORDS: Final = '''\
def words_of(text):
    """The distinct words of a caption, in any script."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return tuple(dict.fromkeys("".join(ch if ch.isalnum() else " " for ch in folded).split()))


class WordModel:
    """What captions mean in the drawings of the collection: learned words, means, and the banks of the hub correction."""

    def __init__(self, number):
        self.about, self.arrays = PARTS["word_models"][number], arrays_of(f"words.{number}")
        self.meaning = self.arrays["learned.meaning"]
        self.words = {word: row for row, word in enumerate(self.about["words"])}
        self.whole = {tuple(key): row for row, key in enumerate(self.about["captions"])}
@TAKE_NAMES
    def drawings(self, images, roles=None):
        """Drawings of unit embeddings [N, d]: these, the mean of each one's kind, and kernel features."""
        mean = self.arrays["mean"]
        means = np.stack([self.arrays.get(f"role.{role}", mean) for role in roles or [None] * len(images)])
        centred = unit(images - (means - mean)) if self.about["roles"] else images
        marks = self.arrays["features.landmarks"]
        apart = (centred**2).sum(axis=1)[:, None] + (marks**2).sum(axis=1) - 2 * centred @ marks.T
        kernel = np.exp(-0.5 * self.about["gamma"] * np.maximum(apart, 0.0))
        features = kernel @ self.arrays["features.whitener"] - self.arrays["features.mean"]
        if self.about["temperature"]:
            # The nearest drawings vote for captions that many have; a drawing says nothing about itself.
            alike = centred @ marks.T
            alike[alike > 1.0 - 1e-8] = -np.inf
            votes = np.exp((alike - np.maximum(alike.max(axis=1, keepdims=True), -1.0)) / self.about["temperature"])
            votes = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-9)
            features = np.concatenate([features, votes - self.arrays["features.votes"]], axis=1)
        return images, means, features

    def captions(self, texts, strings):
        """Captions of unit embeddings [M, d]: these, and what their meaning and their words are among kernel features."""
        meaning = (texts - self.arrays["learned.text_mean"]) @ self.meaning
        words = np.zeros_like(meaning)
        ignored = set(self.about["ignored"])
        for row, text in enumerate(strings):
            said = words_of(text)
            for word in said:
                if word in self.words:
                    words[row] += self.arrays["learned.word_vectors"][self.words[word]]
            whole = self.whole.get(tuple(sorted(word for word in said if word not in ignored)))
            if whole is not None:
                words[row] += self.arrays["learned.whole_vectors"][whole]
@ADD_NAMES        return texts, meaning, words

    def compared(self, captions, drawings, chosen):
        """Cosines after mean removal, with the learned words' score: [M, N]."""
        (texts, meaning, words), (images, means, features) = captions, drawings
        if chosen["mean"]:
            texts = unit(texts - chosen["mean"] * self.arrays["text_mean"])
            images = unit(images - chosen["mean"] * means)
        scores = texts @ images.T
        if chosen["learned"]:
            vectors = meaning + words if chosen["words"] else meaning
            scale = self.about["scales"][int(chosen["words"])]
            scores = scores + chosen["learned"] * scale * (vectors @ features.T)
        return scores

    def scores(self, question, captions, drawings, chosen):
        """Of every question by everything that may answer it, less what suits everything (hub correction)."""
        scores = self.compared(captions, drawings, chosen)
        if question == "text_to_image":
            if chosen["hub"]:
                bank = self.captions(self.arrays["bank_texts"], self.about["bank_strings"])
                scores = scores - chosen["hub"] * top_mean(self.compared(bank, drawings, chosen).T)
            return scores
        if chosen["hub"]:
            bank = self.drawings(self.arrays["bank_images"], self.about["bank_roles"])
            scores = scores - chosen["hub"] * top_mean(self.compared(captions, bank, chosen))[:, None]
        return scores.T


def word_scores(question, texts, captions, images, roles=None, dial=1.0):
    """Scores of "text_to_image" [M, N] or "image_to_text" [N, M].

    `texts` [M, d] and `images` [N, d] are unit embeddings at the strength, and of the views, that `setting` names;
    `roles` are "sketch", "artwork" or "" for each drawing.
    """
    chosen, number = setting(question, dial), learned_in(question, "word_models")
    if number is None or dial == 0:
        return texts @ images.T if question == "text_to_image" else images @ texts.T
    model = WordModel(number)
    scores = model.scores(question, model.captions(texts, captions), model.drawings(images, roles), chosen)
@NAMED    return scores
'''

# What the user taught the run afterwards: names for drawings.
TAKE_NAMES: Final = """\
        self.names = [tuple(name) for name in NAMES]
        self.name_vectors = NAME_VECTORS[f"words.{number}"]
"""

ADD_NAMES: Final = """\
            told = set()
            for name, vector in zip(self.names, self.name_vectors, strict=True):
                if naming := says(said, name):
                    words[row] += vector
                    told |= naming
            if told:  # what captions mean was learned without these names
                meaning[row] *= 1.0 - len(told) / len(said)
"""

NAMED: Final = """\
    named = [row for row, caption in enumerate(captions) if any(says(words_of(caption), name) for name in NAMES)]
    if question == "text_to_image" and named and not (chosen["learned"] and chosen["words"]):
        # Names count also where learned words were not kept, and of those only what was.
        if not chosen["learned"]:
            model.meaning = np.zeros_like(model.meaning)
        model.words, model.whole = {}, {}
        chosen |= {"learned": chosen["learned"] or @TAUGHT * dial, "words": True}
        asked = model.captions(texts[named], [captions[row] for row in named])
        scores[named] = model.scores(question, asked, model.drawings(images, roles), chosen)
"""

SAYS: Final = '''\
NAMES = json.loads((KEPT / "names.json").read_text(encoding="utf-8"))
NAME_VECTORS = load_file(KEPT / "names.safetensors")
PARTICLES = frozenset(@PARTICLES.split())


def says(said, name):
    """The words of a caption that say a name, if all of it is there; a Korean one may have its particle."""
    found = [
        {word for word in said if word == part or (word.startswith(part) and "가" <= part[-1] <= "힣" and word[len(part) :] in PARTICLES)}
        for part in name
    ]
    return set().union(*found) if all(found) else set()
'''

PICTURES: Final = '''\
class PictureHead:
    """Sketches find artworks by embeddings in which what the two sides differ in counts less."""

    def __init__(self, number, shrink):
        pairs = arrays_of(f"head.{number}")
        self.sides = {"sketch": pairs["sketches"], "artwork": pairs["artworks"]}
        self.means = {side: images.mean(axis=0) for side, images in self.sides.items()}
        left, right = (images - self.means[side] for side, images in self.sides.items())
        values, vectors = np.linalg.eigh((left - right).T @ (left - right) / len(left))
        values = np.maximum(values, 0.0)
        self.whitener = (vectors / np.sqrt(values + shrink * max(values.mean(), 1e-9))) @ vectors.T
        white = {"sketch": unit(left @ self.whitener), "artwork": unit(right @ self.whitener)}
        self.white_means = {side: images.mean(axis=0) for side, images in white.items()}
        self.across = {}  # ridge regression from each side to the other
        for side, other, centred in (("sketch", "artwork", left), ("artwork", "sketch", right)):
            gram = centred @ centred.T + np.eye(len(centred))
            self.across[side] = np.linalg.solve(gram, centred).T @ (white[other] - self.white_means[other])
        self.bank = {side: self.prepared(side, images) for side, images in self.sides.items()}

    def prepared(self, side, images):
        """Drawings of one side: whitened, and as the other side is expected to be."""
        centred = images - self.means[side]
        return unit(centred @ self.whitener), unit(centred @ self.across[side])

    def compared(self, sketches, artworks, cross):
        """[sketches, artworks]."""
        (left, forward), (right, backward) = sketches, artworks
        scores = left @ right.T
        if cross:
            scores = scores + 0.5 * cross * forward @ (right - self.white_means["artwork"]).T
            scores = scores + 0.5 * cross * (left - self.white_means["sketch"]) @ backward.T
        return scores


def picture_scores(question, sketches, artworks, dial=1.0):
    """Scores of "sketch_to_artwork" [S, A] or "artwork_to_sketch" [A, S] of unit embeddings [S, d] and [A, d]."""
    chosen, number = setting(question, dial), learned_in(question, "heads")
    turn = question == "artwork_to_sketch"
    plain = sketches @ artworks.T
    if number is None or not chosen["weight"] or len(ARRAYS[f"head.{number}.sketches"]) < 3:
        return plain.T if turn else plain
    head, cross = PictureHead(number, chosen["shrink"]), chosen["cross"]
    left, right = head.prepared("sketch", sketches), head.prepared("artwork", artworks)
    scores = head.compared(left, right, cross)
    # The head's scores get the spread that cosines have on the pairs that were learned from.
    known = head.compared(head.bank["sketch"], head.bank["artwork"], cross)
    scale = ((head.sides["sketch"] @ head.sides["artwork"].T).std() + 1e-9) / (known.std() + 1e-9)
    if chosen["hub"] and turn:
        scores = scores - chosen["hub"] * top_mean(head.compared(left, head.bank["artwork"], cross))[:, None]
    elif chosen["hub"]:
        scores = scores - chosen["hub"] * top_mean(head.compared(head.bank["sketch"], right, cross).T)
    blended = (1 - chosen["weight"]) * plain + chosen["weight"] * scale * scores
    return blended.T if turn else blended
'''

ASKING: Final = '''\
def pictures_for(words, files, roles=None, dial=1.0):
    """Drawings in the order in which words find them: (score, file), the best first."""
    chosen = setting("text_to_image", dial)
    texts, images = embed_texts([words], chosen["lora"]), embed_images(files, chosen["lora"], chosen["views"])
    return ranked(word_scores("text_to_image", texts, [words], images, roles, dial)[0], files)


def captions_for(file, captions, role="", dial=1.0):
    """Captions in the order in which a drawing finds them."""
    chosen = setting("image_to_text", dial)
    texts, images = embed_texts(captions, chosen["lora"]), embed_images([file], chosen["lora"], chosen["views"])
    return ranked(word_scores("image_to_text", texts, captions, images, [role], dial)[0], captions)


def other_side(file, files, question="sketch_to_artwork", dial=1.0):
    """Artworks in the order in which a sketch finds them; with "artwork_to_sketch" the other way round."""
    chosen = setting(question, dial)
    asked, side = (embed_images(some, chosen["lora"], chosen["views"]) for some in ([file], files))
    pair = (asked, side) if question == "sketch_to_artwork" else (side, asked)
    return ranked(picture_scores(question, *pair, dial)[0], files)


def ranked(scores, answers):
    """The best first."""
    return [(float(scores[row]), answers[row]) for row in np.argsort(-scores, kind="stable")]


if __name__ == "__main__":
    asked, folder, *question = sys.argv[1:]
    endings = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
    files = sorted(file for file in Path(folder).rglob("*") if file.suffix.lower() in endings)
    found = other_side(asked, files, *question) if question else pictures_for(asked, files)
    for score, file in found[:20]:
        print(f"{score:.4f}  {file}")
'''
