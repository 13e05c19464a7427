"""Passages of the Python file that repeats a run. Each uses the names in capitals that `run_code` writes at its top."""

from __future__ import annotations

from typing import Final

LOADING: Final = '''\
def load(path):
    """A drawing upright, as RGB on white paper."""
    with Image.open(path) as image:
        image.draft(None, (2 * max(SIZE, 224),) * 2)  # a large JPEG is decoded smaller
        image = ImageOps.exif_transpose(image)
        if not image.has_transparency_data:
            return image.convert("RGB")
        image = image.convert("RGBA")
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        return paper
'''

LETTERBOX: Final = '''\
def paper_colour(image):
    """The median of the pixels along the border."""
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return tuple(int(value) for value in np.sort(border, axis=0)[len(border) // 2])


def letterbox(image, paper=None, scale=1.0, across=0.5, down=0.5):
    """The whole drawing in a square, the rest filled with its paper's colour."""
    ratio = scale * SIZE / max(image.size)
    width, height = (max(1, min(SIZE, round(side * ratio))) for side in image.size)
    sheet = Image.new("RGB", (SIZE, SIZE), paper or paper_colour(image))
    drawing = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    sheet.paste(drawing, (int(across * (SIZE - width)), int(down * (SIZE - height))))
    return np.array(sheet)
'''

CROP: Final = '''\
def crop(image):
    """The middle of the drawing, as a square."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.array(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0))
'''

SQUASH: Final = '''\
def squash(image):
    """The whole drawing as a square, not in its own shape."""
    return np.array(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, reducing_gap=3.0))
'''

VIEWS: Final = '''\
def varied(image, view):
    """A slightly shifted and scaled view of a drawing; view 0 is the drawing as it is."""
    if view == 0:
        return @FIT(image)
    chance = random.Random(f"{SEED}/{view}")
    paper = paper_colour(image)
    share = chance.uniform(CROP_MIN, 1.0)
    stretch = math.sqrt(share) ** chance.uniform(-0.5, 0.5)
    wide, high = min(1.0, math.sqrt(share) * stretch), min(1.0, math.sqrt(share) / stretch)
    width, height = max(1, round(image.width * wide)), max(1, round(image.height * high))
    left = round(chance.random() * (image.width - width))
    top = round(chance.random() * (image.height - height))
    image = image.crop((left, top, left + width, top + height))
    if FLIP and chance.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return @VIEW
'''

TOWERS: Final = '''\
clip = model.base_model.model
for tower in (clip.vision_model, clip.text_model):  # only the update drops anything
    for layer in tower.encoder.layers:
        layer.self_attn.dropout = 0.0


def last_layer(layer, x, rows, mask):
    """A tower's last layer, for the one position [B] of each sample that is pooled: [B, T, D] -> [B, D]."""
    each = torch.arange(len(x), device=x.device)
    if not model.training:
        return layer(x, mask)[each, rows]
    # A step computes no other position, and draws dropout for no other.
    attention = layer.self_attn
    h = layer.layer_norm1(x)
    x, asking = x[each, rows][:, None], h[each, rows][:, None]
    query, key, value = (
        module(part).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for module, part in ((attention.q_proj, asking), (attention.k_proj, h), (attention.v_proj, h))
    )
    scores = (query * attention.scale) @ key.transpose(2, 3)
    if mask is not None:
        scores = scores + mask[0, 0, rows][:, None, None]
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
    x = x + attention.out_proj(mixed)
    return (x + layer.mlp(layer.layer_norm2(x)))[:, 0]


def see(pictures):
    """What the image tower hands to its projection: uint8 [B, SIZE, SIZE, 3] -> [B, width]."""
    x = (pictures.to(DEVICE).permute(0, 3, 1, 2).float() - MEAN) / STD
    tower = clip.vision_model
    x = tower.pre_layrnorm(tower.embeddings(x))
    for layer in tower.encoder.layers[:-1]:
        x = layer(x, None)
    first = torch.zeros(len(x), dtype=torch.long, device=x.device)  # the class token
    return tower.post_layernorm(last_layer(tower.encoder.layers[-1], x, first, None))


def read(ids):
    """What the text tower hands to its projection: token ids [M, T] -> [M, width]."""
    tower = clip.text_model
    x = tower.embeddings(input_ids=ids)
    length = ids.shape[1]
    mask = torch.full((length, length), torch.finfo(x.dtype).min, device=x.device).triu(1)
    for layer in tower.encoder.layers[:-1]:
        x = layer(x, mask[None, None])
    ends = ids.argmax(dim=-1) if EOS == 2 else (ids == EOS).int().argmax(dim=-1)
    return tower.final_layer_norm(last_layer(tower.encoder.layers[-1], x, ends, mask[None, None]))
'''

TOKENS: Final = '''\
def tokens(captions):
    """Token ids, every caption by itself and then filled up to the longest: [M, T]."""
    found = []
    for caption in captions:
        ids = tokenizer(caption, truncation=True, max_length=CONTEXT, return_tensors="pt")["input_ids"][0]
        if EOS != 2 and not (ids == EOS).any():
            ids[-1] = EOS
        found.append(ids)
    padding = tokenizer.pad_token_id or 0
    lengths = torch.tensor([len(ids) for ids in found])
    return torch.nn.utils.rnn.pad_sequence(found, batch_first=True, padding_value=padding).to(DEVICE), lengths
'''

FROZEN: Final = '''\
def frozen(compute, *parts, size):
    """What training does not change, by the untouched model, so many at a time."""
    with torch.no_grad(), model.disable_adapter():
        return torch.cat([compute(*piece) for piece in zip(*(part.split(size) for part in parts), strict=True)])
'''

BATCHES: Final = '''\
# What must be seen together, the sketches and artworks of a pair, is one unit and never torn apart.
units = {}
for row, drawing in enumerate(DRAWINGS):
    units.setdefault(("pair", drawing["group"]) if drawing["pair"] else row, []).append(row)
units = [unit for unit in units.values() for _time in range(max(DRAWINGS[row].get("times", 1) for row in unit))]
per_epoch = min(max(1, round(sum(map(len, units)) / BATCH_SIZE)), max(1, len(units) // 2))


def batch(step):
    """Drawings, views and captions of a step, counted from 0: all of it follows from the seed."""
    epoch, position = divmod(step, per_epoch)
    order = np.random.default_rng([SEED, epoch]).permutation(len(units))
    rows = [row for unit in np.array_split(order, per_epoch)[position] for row in units[unit]]
    draw = np.random.default_rng([SEED, epoch, position])
    said = [DRAWINGS[row]["captions"] for row in rows]
    captions = [one[0] if len(one) == 1 else one[int(draw.integers(len(one)))] for one in said]
    return rows, draw.integers(VIEWS, size=len(rows)), captions


carried = [{number for number, _text in drawing["captions"]} for drawing in DRAWINGS]


def relations(rows, captions):
    """Distinct captions [M] of a batch, which of them are right for which drawing [N, M], and who shares a group [N, N].

    A caption is right for whoever carries it, and for all of the same group: the other half of a pair, a near-duplicate.
    """
    distinct = dict(captions)
    own = np.array([[number in carried[row] for number in distinct] for row in rows])
    group = np.array([DRAWINGS[row]["group"] for row in rows])
    same = group[:, None] == group
    right, same = (torch.from_numpy(part).to(DEVICE) for part in (same @ own, same))
    return list(distinct.values()), right, same
'''

CONTRAST: Final = '''\
def one_way(logits, right, alike=None):
    """Cross entropy of rows; several right columns share the target evenly, and rows without any are left out."""
    target = right.float() / right.sum(dim=1, keepdim=True).clamp(min=1)
    if alike is not None:
        target = (1 - SMOOTHING) * target + SMOOTHING * F.softmax(alike / 0.1, dim=1)
    counted = right.any(dim=1).float()
    rows = (target * F.log_softmax(logits, dim=1)).sum(dim=1)
    return -(rows * counted).sum() / counted.sum().clamp(min=1)


def contrast(a, b, right, scale, alike=(None, None)):
    """CLIP's loss, from both sides."""
    logits = scale * F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    return (one_way(logits, right, alike[0]) + one_way(logits.T, right.T, alike[1])) / 2
'''

DRIFT: Final = '''\
def drift(step):
    """How far some of the control set went from where the untouched model had it: 1 - cosine."""
    rows = np.random.default_rng([SEED, step, 16]).integers(len(CONTROL), size=16)
    total = 0
'''

DRIFT_VISION: Final = """\
    now = F.normalize(images(rows, control_drawings), dim=1)
    total = total + (1 - (now * control_seen[rows]).sum(dim=1)).mean()
"""

DRIFT_TEXT: Final = """\
    now = F.normalize(texts(rows, *control_words), dim=1)
    total = total + (1 - (now * control_read[rows]).sum(dim=1)).mean()
"""

ALIKE: Final = '''\
def alike(rows, words, right):
    """How alike captions and drawings are to each other's own ones, by the untouched model: [N, M] and [M, N]."""
    right = right.float()
    seen, said = base_seen[rows], base_read[words]
    own, back = right.sum(dim=1, keepdim=True).clamp(min=1), right.sum(dim=0)[:, None].clamp(min=1)
    return right @ (said @ said.T) / own, right.T @ (seen @ seen.T) / back
'''

FROM_PAIRS: Final = '''\
def start():
    """Halves what the sketch and the artwork of one thing differ in, before the first step."""
    sides = {}
    for row, drawing in enumerate(DRAWINGS):
        if drawing["role"]:
            sides.setdefault(drawing["pair"], {}).setdefault(drawing["role"], []).append(row)
    pairs = [(one["sketch"], one["artwork"]) for one in sides.values() if len(one) == 2]
    if not pairs:
        return
    chosen = [pairs[n] for n in np.linspace(0, len(pairs) - 1, min(1000, len(pairs))).astype(int)]
    layer = clip.visual_projection
    weight = layer.get_base_layer().weight
    apart = np.stack([pooled[one].mean(axis=0) - pooled[other].mean(axis=0) for one, other in chosen])
    apart = apart @ weight.detach().cpu().numpy().T
    energy, vectors = np.linalg.eigh(apart.T.astype(np.float64) @ apart)
    energy, vectors = energy[::-1][: config.r], vectors[:, ::-1][:, : config.r]
    across = torch.from_numpy(vectors[:, energy > 1e-9 * energy[0]].T.astype(np.float32)).to(weight)
    with torch.no_grad():
        layer.lora_A["default"].weight[: len(across)] = across @ weight
        layer.lora_B["default"].weight[:, : len(across)] = -0.5 / layer.scaling["default"] * across.T
'''

FROM_CAPTIONS: Final = '''\
def unit(x):
    return x / np.maximum(1e-9, np.linalg.norm(x, axis=-1, keepdims=True))


def average_precision(scores, right):
    """Of every row that has something right to find."""
    scores, right = scores[right.any(axis=1)], right[right.any(axis=1)]
    hits = np.take_along_axis(right, np.argsort(-scores, axis=1, kind="stable"), axis=1)
    precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return (precision * hits).sum(axis=1) / np.maximum(1, right.sum(axis=1))


def ridge(seen, said, right):
    """Ridge regression from drawings [N, d] to their captions; gives a function of its strength and step."""
    targets = unit(right.T.astype(float) @ said)
    mean = seen.mean(axis=0)
    centred = seen - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    cross = vectors.T @ (centred.T @ (targets - targets.mean(axis=0)))

    def fit(strength, step):
        solution = vectors @ (cross / (np.maximum(values, 0) + strength)[:, None])
        solution = solution - np.outer(unit(mean), unit(mean) @ solution)
        squared, axes = np.linalg.eigh(solution.T @ solution)
        kept = np.argsort(-squared, kind="stable")[: min(config.r, int((squared > 1e-18).sum()))]
        left, axes = solution @ axes[:, kept], axes[:, kept].T
        size = np.sqrt((((seen @ left) @ axes) ** 2).sum(axis=1).mean())
        return left, axes * (step / max(size, 1e-9))

    return fit


def start():
    """Fits drawings to their captions by a formula, as far as that helps on drawings that it was not fitted to."""
    layer = clip.visual_projection
    weight = layer.get_base_layer().weight.detach().double().cpu().numpy()
    written = {number: text for drawing in DRAWINGS for number, text in drawing["captions"]}
    seen = unit(pooled @ weight.T)
    said = unit(frozen(embed_texts, *tokens(written.values()), size=256).double().cpu().numpy())
    right = np.array([[number in own for own in carried] for number in written])
    role = np.array([drawing["role"] for drawing in DRAWINGS])
    pair = np.array([drawing["pair"] for drawing in DRAWINGS])
    if len(DRAWINGS) < 12:
        return

    def precision(images, asked):
        """Of each question that the drawings asked about allow."""
        words = right[:, asked].any(axis=1)
        scores, correct = said[words] @ images.T, right[words][:, asked]
        found = [(scores, correct), (scores.T, correct.T)]
        sketches, artworks = (np.flatnonzero(role[asked] == name) for name in ("sketch", "artwork"))
        if role.any():
            scores = images[sketches] @ images[artworks].T
            correct = pair[asked][sketches][:, None] == pair[asked][artworks]
            found += [(scores, correct), (scores.T, correct.T)]
        return [average_precision(*one) for one in found]

    group = np.unique([drawing["group"] for drawing in DRAWINGS], return_inverse=True)[1]
    fold = np.random.default_rng(0).permutation(group.max() + 1)[group] % 4
    grid = [(strength, step) for strength in (1.0, 4.0, 16.0) for step in (0.125, 0.25, 0.5, 1.0, 2.0)]
    gains = [[] for _setting in grid]
    for number in range(4):
        inner, asked = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if len(inner) < 2 or len(asked) < 2:
            continue
        fit, base = ridge(seen[inner], said, right[:, inner]), precision(seen[asked], asked)
        for gain, setting in zip(gains, grid, strict=True):
            left, axes = fit(*setting)
            moved = unit(seen[asked] + (seen[asked] @ left) @ axes)
            gain.append([a - b for a, b in zip(precision(moved, asked), base, strict=True)])
    best, most = None, 0.0
    for setting, of_folds in zip(grid, gains, strict=True):
        of_questions = [np.concatenate(values) for values in zip(*of_folds, strict=True)]
        errors = [d.std(ddof=1) / np.sqrt(len(d)) if len(d) > 1 else np.inf for d in of_questions]
        if of_questions and all(d.mean() >= -0.5 * e for d, e in zip(of_questions, errors, strict=True)):
            gain = np.mean([d.mean() - 0.5 * e for d, e in zip(of_questions, errors, strict=True)])
            if gain > most:
                best, most = setting, gain
    if best is None:
        return
    left, axes = ridge(seen, said, right)(*best)
    with torch.no_grad():
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        a[: left.shape[1]] = torch.from_numpy(left.T @ weight).to(a)
        b.zero_()
        b[:, : left.shape[1]] = torch.from_numpy(axes.T / layer.scaling["default"]).to(b)
'''

SETTLE: Final = """\
with torch.no_grad():  # the lengths of DoRA's rows are those of the rows as they are now
    for layer in (module for module in model.modules() if isinstance(module, LoraLayer)):
        rows = layer.get_base_layer().weight + layer.get_delta_weight("default")
        layer.lora_magnitude_vector["default"].weight.copy_(rows.norm(dim=1))
"""
