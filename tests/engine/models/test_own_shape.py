"""SigLIP 2 with any number of patches sees drawings in their own shape, as transformers' own processor prepares them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from transformers import AutoModel, Siglip2ImageProcessorPil

import clip_atelier
import family_folders
from clip_atelier.engine import settings
from clip_atelier.engine.core import Control, UserError, drive
from clip_atelier.engine.data import ImageCache, Patches, framing, image_gate, pixels, scan
from clip_atelier.engine.models import Model, Models, features
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import Runs
from clip_atelier.engine.search import ModelRef, parse_query, search
from clip_atelier.engine.storage import BlobCache
from resumed import trained_and_resumed

CPU = settings.HardwareSettings(device="cpu", precision="fp32", threads=1)
SHAPES = [(300, 140), (140, 300), (64, 64), (512, 30), (17, 9), (1, 200), (333, 334)]


@pytest.fixture(scope="module")
def naflex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that takes up to 30 patches of 8 × 8, though it has places for 16."""
    folder = family_folders.make("siglip2", tmp_path_factory.mktemp("naflex") / "naflex")
    told = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8, "max_num_patches": 30}
    (folder / "preprocessor_config.json").write_text(json.dumps(told | {"image_mean": [0.4, 0.5, 0.6]}))
    return folder


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings of all shapes, some narrower than a patch."""
    folder = tmp_path_factory.mktemp("odd")
    for number, (width, height) in enumerate(SHAPES):
        image = Image.effect_noise((width, height), 90).convert("RGB")
        ImageDraw.Draw(image).line((0, height // 2, width, height // 3), fill=(200, 30 * number, 40))
        image.save(folder / f"drawing {number}.png")
    return folder


def librarys_own(folder: Path, files: list[Path]) -> torch.Tensor:
    """Unit embeddings of files by transformers' processor and model alone."""
    net: Any = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    processor = Siglip2ImageProcessorPil.from_pretrained(folder)
    inputs = processor([Image.open(file).convert("RGB") for file in files], return_tensors="pt")
    assert len(set(map(tuple, inputs["spatial_shapes"].tolist()))) > 4
    with torch.no_grad():
        return torch.nn.functional.normalize(net.get_image_features(**inputs).pooler_output)


def embedded(clip: Model, files: list[Path]) -> torch.Tensor:
    """Unit embeddings of files, each by itself, by this program."""
    shown = [framing.fit(image_gate.load(file, clip.frame), clip.frame) for file in files]
    return torch.from_numpy(np.concatenate([features.image_now(clip, one) for one in shown]))


def cached(clip: Model, folder: Path, home: Path, **data: Any) -> ImageCache:
    collection = drive(scan(folder, settings.DataSettings(), Control()))
    store = BlobCache.of_features(home, 1)
    return ImageCache(collection.root, collection.items, clip.frame, settings.DataSettings(**data), 0, store)


def test_files_embed_as_by_transformers_processor(naflex: Path, drawings: Path, home: Path) -> None:
    clip = Models(home).open(str(naflex), CPU)
    assert clip.frame == Patches(8, 30)
    files = [drawings / f"drawing {number}.png" for number in range(len(SHAPES))]
    theirs = librarys_own(naflex, files)
    torch.testing.assert_close(embedded(clip, files), theirs, rtol=1e-5, atol=1e-5)
    pictures = cached(clip, drawings, home)
    try:
        order = [files.index(drawings / item.path) for item in pictures.items]
        everything = range(len(files))
        assert drive(pictures.prepare(everything, Control())) == ()
        for cut in range(1, clip.last_cut("vision")):  # stored, and stored again from the disk
            for _again in range(2):
                stored = drive(features.image_prefix(clip, pictures, everything, cut, Control()))
                assert stored.shape[1:] == clip.cut_shape(cut)
                with torch.inference_mode():
                    found = torch.nn.functional.normalize(clip.image(torch.from_numpy(stored), cut))
                torch.testing.assert_close(found, theirs[order], rtol=1e-5, atol=1e-5)
        # What stands behind a picture's own patches, and which pictures it is computed with, is nothing to it.
        shown = torch.from_numpy(pictures.batch(everything))
        noisy = shown.clone()
        for row, (rows, columns) in enumerate(shown[:, 0, [0, 2]].tolist()):
            noisy[row, 1 + rows * columns :] = 77
        with torch.inference_mode():
            torch.testing.assert_close(clip.image(clip.pixels(noisy)), clip.image(clip.pixels(shown)))
    finally:
        assert pictures.store is not None
        pictures.store.close()


def test_a_prepared_drawing_tells_its_shape_and_can_be_changed() -> None:
    frame = Patches(8, 30)
    for width, height in SHAPES:
        image = Image.effect_noise((width, height), 90).convert("RGB")
        prepared = framing.fit(image, frame)
        assert prepared.shape == frame.shape
        rows, columns = frame.grid(width, height)
        assert rows * columns <= 30
        whole = framing.whole(prepared, frame)
        assert whole.shape == (8 * rows, 8 * columns, 3)
        assert np.array_equal(framing.patched(whole, frame), prepared)
        mirrored = framing.changed(prepared, frame, lambda picture: picture[:, ::-1])
        assert np.array_equal(framing.whole(mirrored, frame), whole[:, ::-1])
        smaller = framing.changed(prepared, frame, lambda picture: pixels.zoomed(picture, 0.85))
        assert framing.whole(smaller, frame).shape == whole.shape
        for how in ("crop", "squash"):
            square = framing.whole(framing.fit(image, frame, how), frame)
            assert np.array_equal(square, pixels.fit(image, 40, how))
        varied = [image_gate.view(image, frame, index=index, seed=3) for index in range(3)]
        assert np.array_equal(varied[0], prepared)
        assert np.array_equal(varied[1], image_gate.view(image, frame, index=1, seed=3))
        assert min(width, height) < 9 or not np.array_equal(varied[1], varied[2])


def test_it_learns_from_drawings_of_all_shapes_and_leaves_whole(
    naflex: Path,
    home: Path,
    tmp_path: Path,
    quick: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "drawings"
    folder.mkdir()
    chance = np.random.default_rng(1)
    for number in range(16):
        width, height = chance.integers(20, 200, 2).tolist()
        image = Image.new("RGB", (width, height), "white")
        ImageDraw.Draw(image).line((0, number * 3, width, height), fill=(9 * number, 80, 150), width=6)
        image.save(folder / f"{family_folders.WORDS[number]}.png")
    chosen = settings.build(
        quick(
            model__name=str(naflex), lora__target_modules="q_proj+v_proj", hardware__precision="fp32",
            train__epochs=4, train__choose_strength=False, data__views=2,
        )
    )  # fmt: skip
    models = Models(home)
    straight = trained_and_resumed(folder, chosen, home, models)
    found = drive(
        search(folder, parse_query("red ring"), ModelRef(run=straight.run), models, Control(), top=5)
    )
    assert len(found.base) == len(found.adapted or ()) == 5

    run = Runs(home).open(straight.run)
    file = folder / f"{family_folders.WORDS[0]}.png"
    with clip_atelier.load(str(run.path), home=home) as embedder:
        ours = torch.from_numpy(np.concatenate([embedder.images([file]), embedder.texts(["a horse"])]))
    drive(export(run, "merged", tmp_path / "merged", models, Control(), even_the_base=True))
    merged = Models(home).open(str(tmp_path / "merged"), CPU)
    again = torch.cat([embedded(merged, [file]), torch.from_numpy(features.texts(merged, ["a horse"]))])
    torch.testing.assert_close(again, ours, rtol=1e-5, atol=1e-5)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for to in ("merged", "adapter"):  # as its card says
        if to == "adapter":
            drive(export(run, to, tmp_path / to, models, Control(), even_the_base=True))
        card = (tmp_path / to / "README.md").read_text("utf-8")
        assert "keep their own shape" in card
        code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
        assert code is not None
        told = code[1].replace('FOLDER = "."', f"FOLDER = {str(tmp_path / to)!r}")
        left: dict[str, Any] = {}
        exec(told.replace('"drawing.png"', repr(str(file))), left)
        theirs = torch.nn.functional.normalize(torch.cat([left["image"], left["text"]]))
        torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "told", [{"max_num_patches": "many"}, {"max_num_patches": 1 << 20}, {"resample": 99}]
)
def test_patches_that_cannot_be_are_refused_by_name(naflex: Path, home: Path, told: dict[str, Any]) -> None:
    file = naflex / "preprocessor_config.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | told))
    try:
        with pytest.raises(UserError, match="naflex"):
            Models(home).open(str(naflex), CPU)
    finally:
        file.write_text(before)
