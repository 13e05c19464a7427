"""Models known by name, models in the Hugging Face cache, and the languages of a model's words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clip_atelier.engine.core import Control, UserError, drive, i18n
from clip_atelier.engine.models import STARTER, Models, languages, shelf
from clip_atelier.engine.models.families import FAMILIES
from clip_atelier.engine.settings import HardwareSettings

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cached(home: Path, tmp_path: Path, tiny_clip: Path) -> Path:
    """A repository as the hub's client leaves it: blobs, and a snapshot of links to them."""
    repository = tmp_path / "hub" / "models--some-body--tiny.clip"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for number, file in enumerate(sorted(tiny_clip.iterdir())):
        shutil.copy(file, repository / "blobs" / str(number))
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / str(number))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return snapshot


def test_the_shelf_can_be_read_and_its_families_opened() -> None:
    assert {model.family for model in shelf.shelf()} <= set(FAMILIES)
    assert shelf.suggested()
    for model in shelf.shelf():
        assert model.bytes > 1_000_000
        assert model.languages
        assert set(model.languages) <= set(languages.NAMES)
        assert model.good_at.keys() == set(i18n.LANGUAGES)
    assert all(model.licence for model in shelf.suggested())


def test_a_model_is_known_by_its_whole_name_and_by_the_name_of_its_folder() -> None:
    for name in (
        "google/siglip2-base-patch16-224",
        "siglip2-base-patch16-224",
        "/a/b/SigLIP2-base-patch16-224",
    ):
        found = shelf.known(name)
        assert found is not None
        assert found.knows("ko")
        assert found.knows("sw")
    assert shelf.known("/home/me/starter") is None
    assert shelf.known("my own") is None


def test_a_cached_model_is_listed_opened_and_added_without_any_fetch(home: Path, cached: Path) -> None:
    models = Models(home)
    (info,) = (i for i in models.list() if i.source == "cache")
    assert (info.name, info.path, info.bundled) == ("some-body/tiny.clip", str(cached), False)
    assert models.resolve("some-body/tiny.clip") == cached
    assert models.open("some-body/tiny.clip", HardwareSettings()).dim == 24
    assert models.add(Path("some-body/tiny.clip")).name == "tiny.clip"
    assert models.add(cached, "mine").name == "mine"
    assert not any(file.is_symlink() for file in (home / "models" / "mine").iterdir())
    assert [i.name for i in models.list() if i.source == "added"] == ["mine", "tiny.clip"]


def test_the_snapshot_is_that_of_main_else_the_newest(home: Path, cached: Path) -> None:
    other = cached.with_name("f" * 40)
    shutil.copytree(cached, other)
    assert Models(home).resolve("some-body/tiny.clip") == cached
    (cached.parents[1] / "refs" / "main").write_text("f" * 40)
    assert Models(home).resolve("some-body/tiny.clip") == other
    (cached.parents[1] / "refs" / "main").write_text("../../../../somewhere")
    assert Models(home).resolve("some-body/tiny.clip").parent == cached.parent


def test_what_is_no_model_in_the_cache_is_left_out(home: Path, cached: Path, tmp_path: Path) -> None:
    for name, files in (("empty", ()), ("bert", ("config.json",))):
        folder = tmp_path / "hub" / f"models--x--{name}" / "snapshots" / COMMIT
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).write_text('{"model_type": "bert"}')
    (tmp_path / "hub" / "version.txt").write_text("1")
    (cached / "model.safetensors").unlink()
    assert [i.name for i in Models(home).list()] == [STARTER]


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "a\\b", ".."])
def test_a_name_that_would_lead_elsewhere_is_refused(home: Path, tiny_clip: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be the name"):
        Models(home).add(tiny_clip, name)


def test_letters_tell_the_language() -> None:
    told = {
        "a cat": "en", "고양이 cat": "ko", "ねこ 猫": "ja", "猫": "zh", "кот": "ru", "γάτα": "el", "12 !": "", "": "",
    }  # fmt: skip
    assert {text: languages.language_of(text) for text in told} == told


def test_captions_in_a_language_that_a_model_does_not_know_are_told(home: Path) -> None:
    captions = ["빨간 동그라미"] * 3 + ["a red circle"] * 5
    told = languages.warning(captions, ("en",), "mine")
    assert told.startswith("3 of 8 captions are in Korean, which “mine” does not know")
    assert "“starter”" in told
    assert "google/siglip2-base-patch16-224" in told
    for known in (("en", "ko"), ("*",), ()):
        assert languages.warning(captions, known, "mine") == ""
    one_of_many = ["a cat"] * 99 + ["고양이"]
    assert languages.warning(one_of_many, ("en",), "mine") == ""
    assert languages.warning(["cat"], ("zh",), "mine").startswith("“mine” does not know English")


def test_languages_are_measured_where_the_shelf_says_nothing_and_remembered(
    home: Path, tmp_path: Path
) -> None:
    """The starter under another name: what its card says of it is found by its own drawings and words."""
    models = Models(home)
    models.add(models.resolve(STARTER), "other")
    clip = models.open("other", HardwareSettings())
    events: list[object] = []
    assert drive(languages.languages(clip, home, Control()), events.append) == ("en", "ko")
    assert events
    again: list[object] = []
    assert drive(languages.languages(clip, home, Control()), again.append) == ("en", "ko")
    assert not again


def test_a_model_that_knows_neither_is_not_judged(home: Path, tiny_clip: Path) -> None:
    clip = Models(home).open(str(tiny_clip), HardwareSettings())
    assert drive(languages.languages(clip, home, Control())) == ()
