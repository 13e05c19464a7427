"""Adapts a model to a folder of drawings, measures it, searches with it, and takes embeddings out.

python docs/examples/adapt_and_search.py FOLDER [MODEL]
"""

import sys

import clip_atelier

folder, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "starter"

drawings = clip_atelier.Collection(folder)
print(drawings)
for problem in drawings.problems:
    print(f"  left out or in doubt: {problem.path}: {problem.reason}")

# Settings by dotted name; docs/settings.md lists them. Twenty steps and one part of the drawings kept aside show that it
# works; leave both out and each drawing is measured by a model that has not learned from it.
run = clip_atelier.train(
    drawings, preset="attention", settings={"model.name": model, "train.steps": 20, "evaluation.folds": 0}
)
for metric, adapted in run.adapted.items():
    change = run.difference[metric]
    print(
        f"{metric}: {run.base[metric]} -> {adapted} (95 % interval of the gain: {change.low} to {change.high})"
    )
print(run.verdict_text)

# Search with base and adapted side by side, by words or by a picture.
found = clip_atelier.search(drawings, drawings.items[0].captions[0], run=run, top=3)
for hit in found.adapted or ():
    print(f"{hit.score:.3f} {hit.path} (with the base: {hit.base_rank})")

# Measure on any collection, here at full strength.
print(clip_atelier.evaluate(run, drawings, strength=1.0).verdict)

# Embeddings [N, dim] of length 1, as numpy arrays.
with clip_atelier.load(run) as embedder:
    pictures = embedder.images([drawings.folder / item.path for item in drawings.items[:4]])
    words = embedder.texts(["a horse", "말"])
    print(pictures.shape, (words @ pictures.T).round(3))
