"""What every test may use: a tiny real CLIP, tiny real collections, and a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["CLIP_ATELIER_LANGUAGE"] = "en"
if "PYTEST_XDIST_WORKER" in os.environ:  # the other processes have the other cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

import tiny
from clip_atelier import engine
from clip_atelier.engine.core import i18n

engine.keep_to_itself()  # as the program does; tests of the Python interface have processes of their own

# What an example proves does not depend on how busy the machine is; the first one may also import or warm up torch.
hypothesis_settings.register_profile("any-speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any-speed")

TESTS = Path(__file__).parent

SLOW = {
    "faults/test_foreign_faults.py", "faults/test_fuzz.py", "faults/test_home_faults.py", "faults/test_kills.py", "faults/test_small_disk.py", "faults/test_stopping_faults.py", "faults/test_training_faults.py", "test_former_home.py", "test_library.py", "cli/test_commands.py", "cli/test_lineage.py", "cli/test_main.py", "cli/test_newcomers_paths.py", "cli/test_completion.py", "cli/test_protocol.py",
    "packaging/test_debian.py", "packaging/test_flatpak.py", "packaging/test_notebook.py", "packaging/test_selftest.py", "packaging/test_site.py",
    "packaging/test_starter_model.py", "engine/analysis/test_map_of_parts.py", "engine/analysis/test_projection.py", "engine/analysis/test_strength_sweep.py",
    "engine/experiments/test_grid.py", "engine/data/test_vectors.py", "engine/intake/test_pages.py", "engine/intake/test_taking.py", "gui/test_photographed_pages.py", "engine/models/test_families.py", "engine/models/test_foreign_adapters.py",
    "engine/models/test_foreign_models.py", "engine/models/test_open_clip.py", "engine/models/test_korean_captions.py", "engine/models/test_opening.py", "engine/models/test_own_shape.py",
    "engine/models/test_second_family.py", "engine/models/test_shelf.py", "engine/evaluation/test_model_comparison.py", "engine/models/test_update_kinds.py",
    "engine/parts/test_teaching.py",
    "engine/experiments/test_sweep.py", "engine/reports/test_run_code_answers.py",
    "engine/reports/test_exports.py", "engine/reports/test_page.py", "engine/reports/test_run_code.py", "engine/search/test_imported_for_search.py", "engine/search/test_large_gallery.py", "engine/search/test_ranked_search.py", "engine/search/test_packed_drawings.py", "engine/search/test_sharded_index.py", "engine/search/test_watching.py",
    "engine/training/test_apart.py", "engine/training/test_captured.py", "engine/training/test_two_folders.py", "engine/training/test_distributed.py", "engine/training/test_launched_alone.py", "engine/training/test_strange_words.py", "engine/training/test_training.py", "engine/upkeep/test_verify.py", "gui/test_keyboard.py", "gui/test_long_use.py", "gui/test_first_run.py", "gui/test_no_other_window.py", "gui/test_own_process.py", "gui/test_palette.py", "gui/test_training_queue.py", "gui/test_searches_kept.py",
    "gui/test_device_lost.py",
}  # fmt: skip
"""Files whose tests train, export or index for real, or start processes: measured, they are most of the time. A file that
takes more than five seconds of a processor belongs here; `--durations=50` tells."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test by where it lies and how long it takes, so that a part can be chosen with -m."""
    if gone := sorted(name for name in SLOW if not (TESTS / name).is_file()):
        raise pytest.UsageError(
            f"SLOW in tests/conftest.py names files that are not there: {', '.join(gone)}"
        )
    for item in items:
        place = item.path.relative_to(TESTS)
        marks = {"gui", "faults"} & set(place.parts)
        marks |= {"slow"} if place.as_posix() in SLOW else set()
        for mark in marks or {"quick"}:
            item.add_marker(mark)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    i18n.set_language("en")
    yield
    i18n.set_language("en")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("CLIP_ATELIER_HOME", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))  # not that of whoever runs the tests
    return folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `tiny.clip`."""
    return tiny.clip(tmp_path_factory.mktemp("models") / "tiny-clip")


@pytest.fixture
def tiny_collection(tmp_path: Path) -> Path:
    """See `tiny.collection`."""
    return tiny.collection(tmp_path / "shapes")


@pytest.fixture
def tiny_pairs(tmp_path: Path) -> Path:
    """See `tiny.pairs`."""
    return tiny.pairs(tmp_path / "pairs")


@pytest.fixture
def quick(tiny_clip: Path) -> Callable[..., dict[str, object]]:
    """See `tiny.quick`."""
    return partial(tiny.quick, tiny_clip)


@pytest.fixture
def read_apart() -> Callable[..., Any]:
    """Has another program's library read an export, see `read_apart.py`; what it printed."""

    def read(what: str, *arguments: str | Path) -> Any:
        apart = Path(sys.prefix) / "apart"
        if not apart.is_dir():
            pytest.skip(
                "there are no other programs' libraries in .venv/apart: python3 run.py test puts them there"
            )
        script = Path(__file__).with_name("read_apart.py")
        done = subprocess.run(
            [sys.executable, str(script), str(apart), what, *map(str, arguments)],
            capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return read
