# %% [markdown]
# # A first adaptation
#
# A folder of drawings is read, a model is adapted to it, and both are compared: in numbers, in a search, and in a picture. Nothing
# is fetched, and the folder is left as it is. [python-reference.md](../python-reference.md) tells the rest.

# %% tags=["parameters"]
folder = "drawings"  # a folder of pictures; captions come from tables, text files, folder names or file names
model = "starter"  # the bundled one, the name of one that was added, or a folder
query = "a red horse"
folds = 5  # 0: keep one part of the drawings aside instead, which is quicker and sees less
more = {}  # other settings, such as {"lora.r": 16, "train.steps": 400}

# %% [markdown]
# ## The drawings
#
# What was left out is told with its reason.

# %%
import clip_atelier

drawings = clip_atelier.Collection(folder)
print(drawings)
for problem in drawings.problems:
    print(f"{problem.path}: {problem.reason}")

# %%
from PIL import Image, ImageOps


def sheet(paths, side=128, across=8):
    """Pictures side by side, whole, on white."""
    rows = -(-len(paths) // across) or 1
    page = Image.new("RGB", (across * side, rows * side), "white")
    for number, path in enumerate(paths):
        with Image.open(path) as picture:
            tile = ImageOps.pad(picture.convert("RGB"), (side - 8, side - 8), color="white")
        page.paste(tile, (number % across * side + 4, number // across * side + 4))
    return page


sheet([drawings.folder / item.path for item in drawings.items[:16]])

# %% [markdown]
# ## The adaptation
#
# Settings go by dotted names. `on_event` hears of everything that happens; here only the losses are kept.

# %%
losses = []


def hear(event):
    if event.kind == "step":
        losses.append((event.step, event.loss))


settings = {"model.name": model, "evaluation.folds": folds, **more}
run = clip_atelier.train(drawings, preset="attention", settings=settings, on_event=hear)
print(run.run, run.status, f"{run.seconds:.0f} s")
print(run.verdict_text)

# %% [markdown]
# Each question is measured on drawings that the model has not learned from. An interval that holds 0 says that nothing measurable
# changed.

# %%
for name, question in run.questions.items() or [("all", run)]:
    for metric, base in question.base.items():
        change = question.difference[metric]
        if base is not None and change.value is not None:
            print(
                f"{name:>32} {metric:<28} {base:.3f} -> {question.adapted[metric]:.3f}"
                f"  ({change.value:+.3f}; 95 %: {change.low} to {change.high})"
            )

# %% [markdown]
# ## A search, before and after

# %%
found = clip_atelier.search(drawings, query, run=run, top=8)
for hit in found.adapted or ():
    print(f"{hit.score:.3f}  {hit.path}  (with the base: place {hit.base_rank})")
sheet([drawings.folder / hit.path for hit in found.base])

# %%
sheet([drawings.folder / hit.path for hit in found.adapted or ()])

# %% [markdown]
# ## Embeddings
#
# Unit rows as numpy arrays, for whatever comes next.

# %%
with clip_atelier.load(run) as embedder:
    pictures = embedder.images([drawings.folder / item.path for item in drawings.items[:8]])
    words = embedder.texts([query, *(item.captions[0] for item in drawings.items[:8])])
print(pictures.shape)
print((words @ pictures.T).round(2))
