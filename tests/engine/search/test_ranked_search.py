"""Indexing and searching real folders with a tiny real model, base and adapted."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPModel

from clip_atelier.engine.core import Control, Event, Phase, ProblemFound, Progress, Stopped, UserError, drive
from clip_atelier.engine.data import Fitted, ImageCache, image_gate, scan
from clip_atelier.engine.data.image_facts import read
from clip_atelier.engine.data.pixels import Fit
from clip_atelier.engine.models import Models
from clip_atelier.engine.search import ModelRef, Query, open_search, parse_query, search
from clip_atelier.engine.search import gallery as gallery_module
from clip_atelier.engine.search.gallery import index
from clip_atelier.engine.settings import DataSettings, HardwareSettings
from clip_atelier.engine.storage import BlobCache

CPU = HardwareSettings(device="cpu", threads=1)
EXACT = HardwareSettings(device="cpu", threads=1, precision="fp32")
HALF = HardwareSettings(device="cpu", threads=1, precision="bf16")


@pytest.fixture
def do_index(home: Path, tiny_clip: Path) -> Callable[..., dict[str, Any]]:
    def go(folder: Path, on_event: Callable[[Event], object] | None = None, **options: Any) -> dict[str, Any]:
        options = {"model": str(tiny_clip)} | options if "run" not in options else options
        control = options.pop("control", None) or Control()
        return drive(
            index(folder, ModelRef(**options, hardware=CPU), Models(home), control), on_event
        ).as_json()

    return go


@pytest.fixture
def find(home: Path, tiny_clip: Path) -> Callable[..., dict[str, Any]]:
    def go(folder: Path, query: str | Query, **options: Any) -> dict[str, Any]:
        options = {"model": str(tiny_clip)} | options if "run" not in options else options
        query = parse_query(query) if isinstance(query, str) else query
        top = options.pop("top", 10)
        return drive(
            search(folder, query, ModelRef(**{"hardware": CPU} | options), Models(home), Control(), top)
        ).as_json()

    return go


def embeddings(tiny_clip: Path, paths: list[Path], text: str) -> tuple[np.ndarray, np.ndarray]:
    """Unit embeddings by plain transformers: images [N, dim] and one text [dim]."""
    model = CLIPModel.from_pretrained(tiny_clip).eval()
    tokens = AutoTokenizer.from_pretrained(tiny_clip)([text], return_tensors="pt")
    pixels = (
        np.stack([image_gate.fit(image_gate.load(path), 32) for path in paths]).transpose(0, 3, 1, 2) / 255
    )
    mean, std = (np.array(v).reshape(1, 3, 1, 1) for v in (
        (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)))  # fmt: skip
    with torch.no_grad():
        found = model.get_image_features(torch.tensor((pixels - mean) / std).float()).pooler_output.numpy()
        word = model.get_text_features(**tokens).pooler_output.numpy()[0]
    return found / np.linalg.norm(found, axis=1, keepdims=True), word / np.linalg.norm(word)


def test_only_what_changed_is_embedded(
    tiny_collection: Path, do_index: Callable[..., dict[str, Any]]
) -> None:
    first = do_index(tiny_collection)
    assert (first["images"], first["embedded"], first["reused"], first["skipped"]) == (24, 24, 0, 0)
    again = do_index(tiny_collection)
    assert (again["images"], again["embedded"], again["reused"]) == (24, 0, 24)

    (tiny_collection / "red-ring.png").rename(tiny_collection / "renamed.png")
    shutil.copy(tiny_collection / "red-line.png", tiny_collection / "copy.png")
    with Image.open(tiny_collection / "red-triangle.png") as picture:
        picture.rotate(90).save(tiny_collection / "new.png")
    (tiny_collection / "broken.png").write_bytes(b"no image")
    changed = do_index(tiny_collection)
    assert (changed["images"], changed["embedded"], changed["reused"], changed["skipped"]) == (26, 1, 25, 1)


def test_a_run_adds_its_own_embeddings_once(
    tiny_pairs: Path, adapted_run: Callable[..., str], do_index: Callable[..., dict[str, Any]]
) -> None:
    run = adapted_run(tiny_pairs)
    do_index(tiny_pairs, run=run, strength=0.0)
    assert do_index(tiny_pairs, run=run, strength=1.0)["embedded"] == 48
    assert do_index(tiny_pairs, run=run, strength=1.0004)["embedded"] == 0
    assert do_index(tiny_pairs, run=run, strength=0.5)["embedded"] == 48


def test_stopped_indexing_keeps_what_was_done(
    tiny_collection: Path, do_index: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_module, "BATCH", 5)
    control, phase = Control(), [""]

    def stop_in_the_second_batch(event: Event) -> None:
        if isinstance(event, Phase):
            phase[0] = event.name
        if isinstance(event, Progress) and phase[0] == "index" and event.done >= 10:
            control.stop()

    with pytest.raises(Stopped):
        do_index(tiny_collection, stop_in_the_second_batch, control=control)
    rest = do_index(tiny_collection)
    assert (rest["embedded"], rest["reused"]) == (14, 10)


def test_progress_counts_all_images_once(
    tiny_collection: Path, do_index: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_module, "BATCH", 10)
    seen: list[Event] = []
    do_index(tiny_collection, seen.append)
    start = max(i for i, event in enumerate(seen) if isinstance(event, Phase) and event.name == "index")
    done = [(event.done, event.total) for event in seen[start:] if isinstance(event, Progress)]
    assert done == [(10, 24), (20, 24), (24, 24)]


@pytest.mark.fault(18)
def test_an_image_that_disappears_meanwhile_is_named_and_left_out(
    home: Path, tiny_collection: Path, do_index: Callable[..., dict[str, Any]]
) -> None:
    seen: list[Event] = []
    # A folder that was only looked at before: no picture of it is prepared yet.
    drive(scan(tiny_collection, DataSettings(), Control(), home / "cache" / "scan.sqlite"))

    def remove(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Phase) and event.name == "index":
            (tiny_collection / "blue-ring.png").unlink()

    result = do_index(tiny_collection, remove)
    assert (result["images"], result["skipped"]) == (23, 1)
    assert [event.path for event in seen if isinstance(event, ProblemFound)] == ["blue-ring.png"]


def test_a_search_ranks_as_plain_transformers_does(
    tiny_collection: Path, tiny_clip: Path, find: Callable[..., dict[str, Any]]
) -> None:
    result = find(tiny_collection, "a red circle", top=24, hardware=EXACT)
    paths = sorted(tiny_collection.glob("*.png"))
    found, word = embeddings(tiny_clip, paths, "a red circle")
    scores = dict(zip((path.name for path in paths), found @ word, strict=True))
    assert [hit["path"] for hit in result["base"]] == sorted(scores, key=lambda name: -scores[name])
    np.testing.assert_allclose(
        [hit["score"] for hit in result["base"]], sorted(scores.values(), reverse=True), atol=1e-5
    )
    assert "adapted" not in result


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lora__target_modules": "visual_projection"},
        {"train__towers": "text"},
        {"train__method": "layernorm"},
    ],
)
def test_the_base_pane_is_the_untouched_model_and_the_adapted_one_is_not(
    home: Path,
    tiny_pairs: Path,
    adapted_run: Callable[..., str],
    find: Callable[..., dict[str, Any]],
    changes: dict[str, Any],
) -> None:
    untouched = find(tiny_pairs, "a red circle", top=48)["base"]
    for stored in ("index", "cache"):  # so that the base is computed again, with an update attached
        shutil.rmtree(home / stored)
    run = adapted_run(tiny_pairs, **changes)
    both = find(tiny_pairs, "a red circle", run=run, strength=1.0, top=48)
    assert both["base"] == untouched
    assert [hit["score"] for hit in both["adapted"]] != [hit["score"] for hit in both["base"]]
    places = {hit["path"]: place for place, hit in enumerate(both["base"], 1)}
    assert all(hit["base_rank"] == places[hit["path"]] for hit in both["adapted"])
    off = find(tiny_pairs, "a red circle", run=run, strength=0.0, top=48)
    assert [(hit["path"], hit["score"]) for hit in off["adapted"]] == [
        (hit["path"], hit["score"]) for hit in untouched
    ]
    assert off["base"] == untouched


def test_half_precision_moves_vectors_little_and_is_never_mixed_with_the_exact_ones(
    home: Path, tiny_pairs: Path, adapted_run: Callable[..., str]
) -> None:
    run, models = adapted_run(tiny_pairs), Models(home)
    found = {}
    for hardware in (HALF, EXACT):
        opened = gallery_module.load_model(ModelRef(run, 1.0, hardware=hardware), models)
        gallery = drive(gallery_module.open_gallery(tiny_pairs, opened, home, Control()))
        assert gallery.embedded == 48  # the other format's vectors are not taken
        found[hardware.precision] = gallery
    for exact, half in (
        (found["fp32"].base, found["bf16"].base),
        (found["fp32"].adapted, found["bf16"].adapted),
    ):
        cosines = np.sum(exact * half, axis=1)
        assert cosines.min() > 0.999
        assert cosines.min() < 1 - 1e-7  # it really was computed in half precision


def test_an_image_finds_others_but_not_itself_or_its_copies(
    tiny_collection: Path, find: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    shutil.copy(tiny_collection / "red-ring.png", tiny_collection / "zz-copy.png")
    outside = tmp_path / "query.png"
    shutil.copy(tiny_collection / "red-ring.png", outside)
    result = find(tiny_collection, Query.of(outside), top=100)
    names = [hit["path"] for hit in result["base"]]
    assert len(names) == result["images"] == 23
    assert "red-ring.png" not in names
    assert "zz-copy.png" not in names
    # Drawn, not opened: nothing is left out, and the same picture is found first.
    with Image.open(outside) as picture:
        drawn = find(tiny_collection, Query.of(picture.convert("RGBA")), top=3)
    assert [hit["path"] for hit in drawn["base"][:2]] == ["red-ring.png", "zz-copy.png"]
    # The index is computed in half precision where the device has it, the query is not.
    assert drawn["base"][0]["score"] == drawn["base"][1]["score"] == pytest.approx(1, abs=1e-3)


def test_arithmetic_is_that_of_unit_vectors(
    tiny_collection: Path, tiny_clip: Path, find: Callable[..., dict[str, Any]]
) -> None:
    picture = tiny_collection / "blue-cross.png"
    query = parse_query("a red circle - a line", [picture])
    result = find(tiny_collection, query, top=30, hardware=EXACT)["base"]
    paths = sorted(set(tiny_collection.glob("*.png")) - {picture})
    found, plus = embeddings(tiny_clip, [*paths, picture], "a red circle")
    _found, minus = embeddings(tiny_clip, [picture], "a line")
    wanted = plus - minus + found[-1]
    scores = found[:-1] @ (wanted / np.linalg.norm(wanted))
    assert [hit["path"] for hit in result] == [paths[i].name for i in np.argsort(-scores)]
    with pytest.raises(UserError, match="cancel"):
        find(tiny_collection, "a line - a line")


def test_a_broken_query_image_is_named(
    tiny_collection: Path, find: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    broken = tmp_path / "broken query.png"
    broken.write_bytes(b"")
    with pytest.raises(UserError, match="broken query"):
        find(tiny_collection, Query.of(broken))
    with pytest.raises(UserError, match="missing"):
        find(tiny_collection, Query.of(tmp_path / "missing.png"))


def test_a_search_leaves_the_model_untouched(
    home: Path, tiny_pairs: Path, adapted_run: Callable[..., str]
) -> None:
    run, models = adapted_run(tiny_pairs), Models(home)
    opened = drive(open_search(tiny_pairs, ModelRef(run, 1.0, hardware=CPU), models, Control()))
    clip = opened.loaded.clip
    assert clip.adapter is not None
    drawing = tiny_pairs / "artworks" / "red ring.png"
    drive(search(tiny_pairs, Query.of(drawing), ModelRef(run, hardware=CPU), models, Control()))
    assert clip.adapter is None


def test_an_open_search_survives_other_work_with_its_model(
    home: Path, tiny_clip: Path, tiny_pairs: Path, adapted_run: Callable[..., str]
) -> None:
    run, models = adapted_run(tiny_pairs), Models(home)
    opened = drive(open_search(tiny_pairs, ModelRef(run, 1.0, hardware=CPU), models, Control()))
    drawing = tiny_pairs / "artworks" / "red ring.png"
    queries = Query.of("a green ring"), Query.of(drawing)
    before = [opened.find(query) for query in queries]
    assert models.open(str(tiny_clip), CPU).adapter is None  # takes the update off
    assert [opened.find(query) for query in queries] == before
    shutil.rmtree(home / "runs" / run)
    models.open(str(tiny_clip), CPU)
    with pytest.raises(UserError):
        opened.find(Query.of("a green ring"))


@pytest.mark.parametrize("begin", [index, open_search])
def test_a_folder_that_is_not_there_is_said_before_the_model_is_opened(
    begin: Callable[..., Any], home: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    looked = ModelRef(model=str(tiny_clip), hardware=CPU)
    with pytest.raises(UserError, match="no folder"):
        drive(begin(tmp_path / "elsewhere", looked, Models(home), Control()), events.append)
    assert events == []


def test_a_folder_without_images_or_run_is_named(
    home: Path, tmp_path: Path, tiny_collection: Path, find: Callable[..., dict[str, Any]]
) -> None:
    empty = tmp_path / "nothing here"
    empty.mkdir()
    with pytest.raises(UserError, match="nothing here"):
        find(empty, "ring")
    with pytest.raises(UserError, match="no such run"):
        find(tiny_collection, "ring", run="no such run")


@pytest.mark.parametrize("how", ["letterbox", "crop", "squash"])
@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tiff", "bmp", "gif"])
@pytest.mark.parametrize("size", [32, 224, 336])
def test_what_a_scan_fits_is_what_would_be_decoded(tmp_path: Path, kind: str, size: int, how: Fit) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (41, 57, 3), np.uint8)
    path = tmp_path / f"drawing.{kind}"
    Image.fromarray(noise).resize((2280, 1640)).save(path)
    with contextlib.closing(BlobCache(tmp_path / "store.sqlite", 1 << 30)) as store:
        _reading, picture = read(path, Fitted(lambda: store, size, how))
    assert (picture is None) == (kind == "jpg" and size > image_gate.REDUCED)
    if picture is not None:
        assert np.array_equal(picture, image_gate.fit(image_gate.load(path, target=size), size, how))


def test_a_first_index_decodes_each_drawing_once(
    tiny_pairs: Path, do_index: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(self: ImageCache, index: int, view: int) -> None:
        raise AssertionError(f"decoded again: {self.items[index].path}")

    monkeypatch.setattr(ImageCache, "_decode", decode)
    assert do_index(tiny_pairs)["skipped"] == 0


def test_a_folder_that_is_known_needs_no_pictures(
    tiny_pairs: Path, do_index: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = do_index(tiny_pairs)

    def opened(home: Path, gigabytes: float) -> None:
        raise AssertionError("the store of pictures was opened")

    monkeypatch.setattr(BlobCache, "of_features", opened)
    again = do_index(tiny_pairs)
    assert (again["images"], again["embedded"]) == (first["images"], 0)
