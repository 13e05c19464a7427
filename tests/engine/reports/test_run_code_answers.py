"""The exported file that answers questions: its scores are the program's, for every part and every kind of update."""

from __future__ import annotations

import itertools
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clip_atelier.engine.core import Control, Notice, UserError, drive
from clip_atelier.engine.data import Collection, ImageCache, scan
from clip_atelier.engine.models import Models, adapters, features
from clip_atelier.engine.parts import (
    PLAIN,
    Embedded,
    FittedParts,
    Threshold,
    Variant,
    distinct_captions,
    embedded_variants,
    learned_words,
    teaching,
)
from clip_atelier.engine.parts.picture_head import PictureHead, PictureSetting
from clip_atelier.engine.parts.selection import Setting
from clip_atelier.engine.parts.word_questions import BASE_WORDS, WordModel, WordSetting
from clip_atelier.engine.reports import export
from clip_atelier.engine.runs import RunFolder, Runs, open_run
from clip_atelier.engine.settings import DataSettings, HardwareSettings

EXACT = HardwareSettings(device="cpu", threads=1, precision="fp32")
SEVERAL = Variant(0.5, True)
ALL: Mapping[str, Setting] = {
    "text_to_image": WordSetting(5.0, True, 0.5, 1.0, SEVERAL),
    "image_to_text": WordSetting(2.0, False, 0.3, 0.5, PLAIN),
    "sketch_to_artwork": PictureSetting(0.8, 3.0, 0.5, 0.5, SEVERAL),
    "artwork_to_sketch": PictureSetting(0.5, 1.0, 1.0, 0.3, Variant(1.0)),
}


@dataclass(frozen=True)
class Kept:
    """A run that keeps parts, and its collection in embeddings of the program."""

    run: RunFolder
    models: Models
    collection: Collection

    def seen(self, *variants: Variant, words: tuple[str, ...] = ()) -> dict[Variant, Embedded]:
        opened = open_run(self.run, self.models, hardware=EXACT)
        items = self.collection.items
        pictures = ImageCache(self.collection.root, items, opened.clip.frame, DataSettings())
        drive(pictures.prepare(range(len(items)), Control()))
        strings = (*distinct_captions(items), *words)
        work = embedded_variants(
            opened.clip, pictures, range(len(items)), strings, variants, Control(), opened.adapter
        )
        try:
            return dict(drive(work))
        finally:
            adapters.detach(opened.clip)

    @property
    def parts(self) -> FittedParts:
        found = FittedParts.read(self.run.path)
        assert found is not None
        return found

    @property
    def files(self) -> list[Path]:
        return [self.collection.root / item.path for item in self.collection.items]


@pytest.fixture
def kept(home: Path, tiny_pairs: Path, adapted_run: Callable[..., str]) -> Callable[..., Kept]:
    """Makes a run that learned parts from three of the four colours."""

    def make(questions: Mapping[str, Setting] = ALL, **changes: Any) -> Kept:
        models = Models(home)
        run = Runs(home).open(adapted_run(tiny_pairs, **changes))
        found = Kept(run, models, drive(scan(tiny_pairs, DataSettings(), Control())))
        items = found.collection.items
        train = np.array([n for n, item in enumerate(items) if "orange" not in item.path])
        variants = found.seen(*sorted({PLAIN, *(setting.variant for setting in questions.values())}))
        FittedParts(
            0.5,
            questions,
            {variant: WordModel.fit(seen, train) for variant, seen in variants.items()},
            {variant: PictureHead.fit(seen, train) for variant, seen in variants.items()},
            Threshold(None, 0),
        ).save(run.path)
        return found

    return make


def exported(kept: Kept, out: Path) -> tuple[list[Path], list[str]]:
    said: list[str] = []
    work = export(kept.run, "code", out, kept.models, Control())
    files = drive(work, lambda event: said.append(event.text) if isinstance(event, Notice) else None).files
    return [Path(file) for file in files], said


def by_file(found: list[tuple[float, Any]]) -> dict[Any, float]:
    assert [score for score, _answer in found] == sorted((score for score, _answer in found), reverse=True)
    return {answer: score for score, answer in found}


@pytest.mark.parametrize("voted", [False, True])
def test_the_exported_file_gives_the_programs_scores_for_every_question_of_a_run_with_all_parts(
    kept: Callable[..., Kept], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voted: bool
) -> None:
    if voted:
        monkeypatch.setattr(learned_words, "MIN_CAPTION", 2)  # a caption of a pair is a class
    one = kept()
    files, said = exported(one, tmp_path / "again.py")
    names = {"again_search.py", "update.safetensors", "parts.json", "parts.safetensors"}
    assert names <= {file.name for file in files}
    assert any("_search.py answers questions" in text for text in said)
    assert "clip_atelier" not in (tmp_path / "again_search.py").read_text("utf-8")
    code = runpy.run_path(str(tmp_path / "again_search.py"))

    parts, roles = one.parts, [item.role for item in one.collection.items]
    assert all(bool(model.learned.features.temperature) is voted for model in parts.word_models.values())
    sides = [[n for n, role in enumerate(roles) if role == side] for side in ("sketch", "artwork")]
    asked, dials = "a red ring", (1.0, 0.6, 0.0)
    every = one.seen(
        *{parts.setting(question, dial).variant for question in ALL for dial in dials}, words=(asked,)
    )
    for question, dial in itertools.product(ALL, dials):
        seen = every[parts.setting(question, dial).variant]
        if question == "text_to_image":
            wanted = parts.word_scores(question, seen.texts[-1:], [asked], seen.images, roles, dial)[0]
            found = code["pictures_for"](asked, one.files, roles, dial)
            answers: list[Any] = one.files
        elif question == "image_to_text":
            first = seen.images[:1]
            wanted = parts.word_scores(question, seen.texts, seen.strings, first, roles[:1], dial)[0]
            found = code["captions_for"](one.files[0], list(seen.strings), roles[0], dial)
            answers = list(seen.strings)
        else:
            asking, there = sides if question == "sketch_to_artwork" else sides[::-1]
            pair = [seen.images[asking[:1]], seen.images[there]]
            pair = pair if question == "sketch_to_artwork" else pair[::-1]
            wanted = parts.picture_scores(question, pair[0], pair[1], dial)[0]
            answers = [one.files[n] for n in there]
            found = code["other_side"](one.files[asking[0]], answers, question, dial)
        scores = by_file(found)
        assert [scores[answer] for answer in answers] == pytest.approx(list(wanted), abs=1e-5), question
        assert np.ptp(wanted) > 1e-2


@pytest.mark.parametrize("learned", [BASE_WORDS, WordSetting(1.0, False, 0.4, 0.5), ALL["text_to_image"]])
def test_names_that_a_run_was_taught_count_in_the_exported_file(
    learned: WordSetting, home: Path, kept: Callable[..., Kept], tmp_path: Path
) -> None:
    one = kept({"text_to_image": learned})
    named = [file for file in one.files if file.stem in ("red ring", "red cross", "red circle")]
    drive(teaching.teach(home, one.run.id, "미라", named, one.models, Control()))
    exported(one, tmp_path / "again.py")
    code = runpy.run_path(str(tmp_path / "again_search.py"))
    parts, roles = one.parts, [item.role for item in one.collection.items]
    variant = parts.setting("text_to_image").variant
    for asked in ("미라가 있는 그림", "a red ring"):
        seen = one.seen(variant, words=(asked,))[variant]
        wanted = parts.word_scores("text_to_image", seen.texts[-1:], [asked], seen.images, roles)[0]
        scores = by_file(code["pictures_for"](asked, one.files, roles))
        assert [scores[file] for file in one.files] == pytest.approx(list(wanted), abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"lora__use_dora": True, "lora__target_modules": "q_proj+visual_projection"},
        {"train__method": "layernorm"},
        {"lora__bias": "all", "lora__use_rslora": True, "data__image_fit": "squash"},
        {"train__last_layers": 1, "train__towers": "vision", "data__image_fit": "crop"},
    ],
    ids=["dora", "layernorm", "biases", "some"],
)
def test_every_kind_of_update_is_put_at_any_strength(
    changes: dict[str, Any], kept: Callable[..., Kept], tmp_path: Path
) -> None:
    one = kept({"text_to_image": BASE_WORDS}, **changes)
    exported(one, tmp_path / "again.py")
    code = runpy.run_path(str(tmp_path / "again_search.py"))
    items = one.collection.items
    for strength in (0.5, 1.0, 0.0, 1.5):
        opened = open_run(one.run, one.models, strength, EXACT)
        pictures = ImageCache(one.collection.root, items, opened.clip.frame, one.run.settings.data)
        drive(pictures.prepare(range(4), Control()))
        images = drive(features.fresh_images(opened.clip, pictures, range(4), Control()))
        texts = features.fresh_texts(opened.clip, ["a red ring", "빨간 동그라미 " * 9])
        adapters.detach(opened.clip)
        np.testing.assert_allclose(code["embed_images"](one.files[:4], strength), images, rtol=0, atol=1e-5)
        said = code["embed_texts"](["a red ring", "빨간 동그라미 " * 9], strength)
        np.testing.assert_allclose(said, texts, rtol=0, atol=1e-5)


def test_the_file_is_a_program_and_overwrites_nothing(
    kept: Callable[..., Kept],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = kept()
    (tmp_path / "again_search.py").write_text("mine")
    with pytest.raises(UserError, match="again_search"):
        exported(one, tmp_path / "again.py")
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("again")] == ["again_search.py"]
    exported(one, tmp_path / "other.py")
    sketch = one.collection.root / "sketches" / "red ring.png"
    for asked in (["a red ring"], [str(sketch), "sketch_to_artwork"]):
        question, *more = asked
        monkeypatch.setattr(
            "sys.argv", ["other_search.py", question, str(one.collection.root / "artworks"), *more]
        )
        runpy.run_path(str(tmp_path / "other_search.py"), run_name="__main__")
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 20
        assert all(line.endswith(".png") for line in lines)
