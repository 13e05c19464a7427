"""Takes each row's defence out of the program and shows that a test of the row then fails.

    python tests/faults/defences.py             all rows, in about an hour on a busy machine
    python tests/faults/defences.py 3 12 47     these rows
    python tests/faults/defences.py --ordinary  with all defences taken out at once the program's ordinary work is still done

For each row the sources are copied, the defence is taken out of the copy, and the tests that are marked with the row run
there, the one that is expected to fail first. A test that does not end in time counts as failing. At the end the failing
tests run once more in an unchanged copy, where they must pass: a test that fails anyway has caught nothing. It ends with 1
where a row is not caught.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = "app/clip_atelier"
COPIED: Final = ("app", "tests", "packaging", "pyproject.toml")
LINKED: Final = ("resources", "docs", "run.py", "README.md", "CHANGELOG.md")
LIMIT: Final = 600.0
"""Seconds that the tests of a row may take on a busy machine."""
_HANGS: Final = ", which hangs"
_ENDS: Final = ", which is ended with its process"


@dataclass(frozen=True)
class Edit:
    """`old` becomes `new` in a file below app/clip_atelier. `old` occurs there once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Defence:
    """What keeps a row of `rows.py`, and how it is taken out; the program still does its ordinary work without it.

    Attributes:
        why: What is gone.
        test: The test, marked with the row, that fails then.
        edits: Several where one lies behind the other.
        limit: Seconds after which a test counts as one that hangs.
    """

    why: str
    test: str
    edits: tuple[Edit, ...]
    limit: float = LIMIT


def _one(file: str, old: str, new: str, why: str, test: str, limit: float = LIMIT) -> Defence:
    return Defence(why, test, (Edit(file, old, new),), limit)


RECORDS, FILES, CHECKPOINTS = "engine/runs/records.py", "engine/core/files.py", "engine/runs/checkpoints.py"
GATE, WALK, DOCUMENTS = "engine/data/image_gate.py", "engine/data/walk.py", "engine/core/documents.py"

_WHOLE = """\
    with replacing(path, hint) as partial:
        partial.write_bytes(content)
"""
_IN_PLACE = """\
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
"""
_WRITTEN_IN_PLACE = Edit(FILES, _WHOLE, _IN_PLACE)

DEFENCES: Final[dict[int, Defence]] = {
    1: _one(RECORDS, "                    stream.flush()\n", "",
            "an event is told before it is on disk", "test_killed_at_any_event_a_run_opens_and_goes_on"),
    2: Defence("a checkpoint is written in its place, and offered without its manifest",
        "test_killed_at_checkpoint_writes_no_torn_one_is_offered", (
            Edit(CHECKPOINTS, 'partial = folder / f".{target.name}.partial"', "partial = target"),
            Edit(CHECKPOINTS, "        if target.exists():\n            _remove(target)\n        os.rename(partial, target)\n", ""),
            Edit(CHECKPOINTS, 'if p.name.isdigit() and (p / "manifest.json").is_file()', "if p.name.isdigit()"),
        )),
    3: Defence("settings are written over the old ones, and no copy is read",
        "test_killed_at_settings_saves_they_are_the_old_or_the_new_ones", (
            _WRITTEN_IN_PLACE,
            Edit("gui/state.py", "for file in (self._file, copy_of(self._file)):", "for file in (self._file,):"),
        )),
    4: _one("engine/storage/database.py", '"PRAGMA journal_mode = WAL"', '"PRAGMA journal_mode = OFF"',
            "SQLite keeps no journal", "test_killed_within_a_batch_the_old_index_works"),
    5: _one(FILES, 'partial = path.with_name(f".{path.name}.partial")', "partial = path",
            "a file is written in its place", "test_whichever_operation_of_a_save_fails_the_old_state_is_whole"),
    6: Defence("a file is written in its place, and the error does not name it",
        "test_on_a_small_disk_what_does_not_fit_is_told_and_what_was_there_stays", (_WRITTEN_IN_PLACE,)),
    7: _one("engine/search/embedding_store.py",
            "        except sqlite3.Error as error:\n            raise self._failure(error) from error",
            "        except sqlite3.Error:\n            raise",
            "SQLite's own error comes through", "test_a_full_disk_is_named_and_the_old_index_stays"),
    8: _one(CHECKPOINTS, "        raise cannot_write(target, error) from error", "        raise",
            "the system's own error comes through", "test_a_full_disk_is_an_error_with_the_path_and_keeps_the_old_file"),
    9: _one(RECORDS, "            raise cannot_write(self.folder, error) from error", "            raise",
            "the system's own error comes through", "test_a_home_that_cannot_be_written_is_refused_before_training"),
    10: _one(RECORDS, "                    if not file.exists():\n", "                    if False:\n",
             "events go on into a file that is gone", "test_a_run_deleted_while_it_trains_ends_cleanly"),
    11: _one(CHECKPOINTS, "        except UserError as error:\n            problems.append(error.message)",
             "        except UserError:\n            raise",
             "only the newest checkpoint is tried", "test_a_damaged_checkpoint_falls_back_to_the_one_before"),
    12: _one(CHECKPOINTS, "if manifest[name] != hashlib.sha256(content).hexdigest():", "if name not in manifest:",
             "hashes are not compared", "test_a_damaged_checkpoint_falls_back_to_the_one_before"),
    13: _one(CHECKPOINTS, 'if p.name.isdigit() and (p / "manifest.json").is_file()', "if p.name.isdigit()",
             "a checkpoint needs no manifest", "test_without_its_manifest_a_checkpoint_is_not_offered"),
    14: _one(RECORDS, "                except ValueError:\n                    self.bad_lines += 1",
             "                except ValueError:\n                    raise",
             "a bad line ends the reading", "test_garbage_among_the_events_is_skipped_and_counted"),
    15: _one(RECORDS, "return self.record.schema_version > SCHEMA", "return False",
             "versions are not compared", "test_a_run_of_a_newer_version_is_read_only"),
    16: _one("engine/training/steps.py",
             '        set_random_state({k.removeprefix("random/"): v for k, v in state.items() if k.startswith("random/")})',
             "", "the random numbers begin anew", "test_a_resumed_run_is_bit_equal_to_a_straight_one"),
    17: _one("engine/training/run.py",
             "if before.data is not None and before.data.fingerprint != collection.fingerprint:", "if False:",
             "what a run was trained on is not compared", "test_resuming_after_an_image_changed_says_so"),
    18: _one("engine/data/image_cache.py",
             "                    except UserError as error:\n                        yield pair, error",
             "                    except UserError:\n                        raise",
             "one image ends the work", "test_an_image_that_is_replaced_after_the_scan_is_named_and_never_taken_for_the_old_one"),
    19: _one(GATE, 'os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) |', "os.O_RDONLY |",
             "files are opened as they come", "test_a_file_that_becomes_a_pipe_does_not_block", limit=60.0),
    20: _one(WALK, "        if (status.st_dev, status.st_ino) in seen:\n            continue\n        if stat.S_ISDIR",
             "        if stat.S_ISDIR", "links are followed without looking where they lead", "test_link_loops_show_each_file_once"),
    21: _one(WALK, '            found.unreadable.append(folder or ".")', "            continue",
             "a folder that may not be read is passed over", "test_unreadable_folders_are_noted"),
    22: _one("engine/data/names.py", 'return unicodedata.normalize("NFC", text)', "return text",
             "names are compared byte by byte", "test_nfc_image_with_nfd_caption"),
    23: _one("engine/data/names.py", '    raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "ignore")\n', "",
             "a name's odd bytes go into the caption", "test_odd_names"),
    24: _one("engine/data/text_encoding.py",
             '    if _decodes(content, "cp949") and _is_korean(content):\n        return Encoding("cp949")\n', "",
             "Korean text is read as UTF-8 or Western", "test_sidecars_are_decoded"),
    25: _one("engine/reports/page.py", "Markup(text(value))", "Markup(str(value))",
             "names go into the page as they are", "test_the_page_stands_alone_and_takes_names_literally"),
    26: _one("engine/core/tables.py", """        return "'" + text\n""", "        return text\n",
             "cells begin as they are written", "test_no_cell_of_a_csv_table_is_a_formula_and_none_loses_its_text"),
    27: _one(GATE, "if image.width * image.height > MAX_PIXELS or full > MAX_REDUCED_PIXELS:", "if full < 0:",
             "any size is decoded", "test_too_many_pixels_are_refused_before_they_are_decoded"),
    28: _one(GATE, "    except DAMAGE as error:\n        if", "    except SyntaxError as error:\n        if",
             "what decoders raise comes through", "test_the_first_three_are_named_and_the_good_one_is_read"),
    29: _one("engine/data/pixels.py",
             '    if image.mode in _DEEP:\n        return _from_deep(image, zero_is_white)\n    if image.mode == "LAB"',
             '    if image.mode == "LAB"', "Pillow's own conversion cuts 16 bits off", "test_sixteen_bits_are_scaled_by_their_range"),
    30: Defence("PostScript is opened like any other file", "test_postscript_is_never_opened", (
            Edit(GATE, r'if start.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):', "if not start:"),
            Edit(GATE, '("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PSD")',
                 '("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PSD", "EPS")'),
        )),
    31: _one("engine/data/layered.py", "stream.read(MAX_BYTES + 1)", "stream.read()",
             "the picture inside is unpacked whole, whatever its size", "test_a_zip_bomb_is_read_with_a_bound"),
    32: _one("engine/models/adapters.py", "    if not file.is_file():\n        raise UserError(",
             '    if (old := folder / "adapter_model.bin").is_file():\n'
             "        return dict(torch.load(old, weights_only=False))\n"
             "    if not file.is_file():\n        raise UserError(",
             "pickled weights are opened", "test_an_adapter_that_would_run_code_is_refused_by_name"),
    33: _one("engine/models/adapters.py", "    if not fits:\n", "    if False:\n",
             "an adapter's description is believed", "test_pickles_and_expressions_are_refused"),
    34: Defence("a model that is not at hand is fetched, and the libraries may go to the network",
        "test_a_model_that_is_not_at_hand_is_refused_without_asking_the_hub", (
            Edit("engine/models/registry.py", '        raise UserError(\n            _("There is no model “{name}”."',
                 "        from huggingface_hub import snapshot_download\n\n        return Path(snapshot_download(name))\n"
                 '        raise UserError(\n            _("There is no model “{name}”."'),
            Edit("engine/__init__.py", '    os.environ.setdefault("HF_HUB_OFFLINE", "1")\n', ""),
        )),
    35: _one("engine/training/loop.py", "        if not math.isfinite(loss):\n", "        if False:\n",
             "it trains on whatever the loss is", "test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint"),
    36: _one("engine/training/steps.py", "        if found is None or self._drops:\n", "        if found is None:\n",
             "a smaller chunk is taken without asking, though dropout is drawn otherwise",
             "test_a_run_that_does_not_fit_is_told_what_does"),
    37: _one("engine/training/starting.py", "    except (RuntimeError, MemoryError) as error:\n",
             "    except MemoryError as error:\n", "a device's error comes through",
             "test_a_device_that_fails_in_a_step_leaves_what_was_before_and_another_process_goes_on"),
    38: _one("engine/training/loop.py",
             "                yield from self._save()\n                if control.leaving:", "                if control.leaving:",
             "a stop keeps nothing", "test_leaving_keeps_a_checkpoint_and_skips_the_comparison"),
    39: _one("gui/app.py", "        lock.acquire(timeout=0)\n", "", "two windows may open on one home",
             "test_a_second_window_on_the_same_home_is_refused_until_the_first_is_gone", limit=90.0),
    40: _one("gui/run_progress.py", "        if len(self.notes) < _MOST_NOTES:\n            self.notes.append(event.text)",
             "        self.notes.append(event.text)", "every note of a run is held",
             "test_the_memory_of_a_replay_is_bounded"),
    41: _one(RECORDS, "[run for run in runs if run_id and _named(run, run_id)]", "[run for run in runs if _named(run, run_id)]",
             "an empty name is that of a run without one", "test_what_is_no_name_deletes_nothing"),
    42: _one("engine/runs/run_removal.py",
             '    _must_be_own(folder, run)\n    return Trash(folder.parent).put("run", run.id, run.path)',
             '    return Trash(folder.parent).put("run", run.id, folder / run.id)', "only the last part of a path counts",
             "test_a_path_outside_the_home_deletes_neither_that_nor_the_homes_run_of_the_same_name"),
    43: _one(GATE, "            _must_be(path, digest_in(path, file) == digest)\n", "", "the bytes that are decoded are not looked at",
             "test_an_image_that_is_replaced_after_the_scan_is_named_and_never_taken_for_the_old_one"),
    44: _one(RECORDS, "return result if self._newest_step() <= result.steps else None", "return result",
             "a result speaks for whatever came after it",
             "test_results_of_an_earlier_state_do_not_speak_for_a_run_that_went_on"),
    45: _one("engine/data/caption_saving.py", "return cls(file, encoding.encode(text), False, backups)", "return cls(file, NEW.encode(text), False, backups)",
             "a table is written back as UTF-8 with a mark", "test_a_saved_table_differs_in_its_edited_cell_only"),
    46: _one(RECORDS, "        if newest < now:\n", "        if True:\n", "the clock alone orders the runs",
             "test_with_the_clock_set_back_the_latest_run_is_the_one_made_last"),
    47: Defence("a state is saved and read whatever its numbers", "test_an_update_that_is_no_number_is_no_checkpoint", (
            Edit(CHECKPOINTS, "    if not _finite(adapter) or not _finite(optimizer):\n", "    if False:\n"),
            Edit(CHECKPOINTS, "        if not _finite(found.adapter) or not _finite(found.optimizer):\n", "        if False:\n"),
        )),
    48: _one("engine/storage/blob_cache.py",
             "            if not is_damage(error) and not isinstance(error, NewerDatabase):\n                return self._without(error)\n",
             "            raise\n", "a cache that cannot be opened ends the work", "test_a_cache_is_never_in_the_way"),
    49: _one(RECORDS, '        except UserError as error:\n            told = f"{error.path.name}',
             '        except ZeroDivisionError as error:\n            told = f"{error.path.name}', "one damaged run ends the list",
             "test_a_damaged_run_is_listed_with_the_reason_and_harms_no_other"),
    50: _one(DOCUMENTS, "    except RecursionError as error:\n", "    except ZeroDivisionError as error:\n",
             "Python's own error comes through", "test_deep_nesting_is_a_clear_error"),
    51: _one("engine/models/weights.py", "not (type(value) is int and 0 < value <= most)", "not 0 < value <= most",
             "a configuration's numbers are taken for numbers", "test_a_models_wrong_configuration_is_refused_at_once"),
    52: _one(RECORDS, '(path for path in self.folder.iterdir() if not path.name.startswith("."))', "self.folder.iterdir()",
             "what is hidden is listed", "test_what_a_killed_process_left_half_copied_is_not_listed"),
    53: _one("engine/storage/packs.py", "if member.file_size > _MOST_EXPANSION * max(member.compress_size, 1024):", "if False:",
             "a pack may unpack to many times its size", "test_a_pack_that_is_made_to_harm_is_refused"),
    54: _one("engine/settings/data.py", 'if set("{}") & set(value.replace("{label}", "")):', "if False:",
             "any field may stand in a template", "test_a_template_knows_the_label_and_nothing_else"),
    55: _one("engine/storage/packs.py", "    except _BROKEN as error:\n        raise damaged(pack.path, entry.name) from error",
             "    except _BROKEN:\n        raise", "zipfile's own errors come through", "test_damage_inside_the_archive_is_refused_by_name"),
    56: _one("engine/core/paths.py", "mask = os.umask(0o077)", "mask = os.umask(0o022)", "files are made as others make them",
             "test_nobody_else_reads_the_home"),
    57: _one("cli/signals.py", "            patience.start()\n", "", "after Ctrl-C it measures for as long as it takes",
             "test_after_ctrl_c_there_are_seconds_for_the_comparison_and_no_more"),
    58: _one("gui/pages/collection/caption_model.py",
             "            caption_drafts.write_draft(home, self.root, self.draft)\n", "", "drafts are not written",
             "test_another_folder_takes_over_nothing_and_the_draft_is_offered_again"),
    59: _one("engine/data/splitting.py", "        for path in alike[1:]:\n", "        for path in ():\n",
             "copies are drawings of their own", "test_identical_copies_are_on_the_same_side"),
    60: _one("engine/data/caption_backups.py",
             "    with replacing(real, hint()) as partial:\n        partial.write_bytes(content)\n"
             "        if real.exists():\n            shutil.copymode(real, partial)\n",
             "    real.write_bytes(content)\n", "a table is written in its place",
             "test_a_disk_that_fills_keeps_the_table_whichever_step_fails"),
    61: _one("engine/training/apart.py", "            if not order.run or not saved or deleted:\n", "            if True:\n",
             "a drive that is gone ends the training", "test_a_training_waits_for_a_drive_that_is_gone_and_goes_on_when_it_is_back"),
    62: _one("gui/pages/training/page.py", 'status in ("interrupted", "stopped", "failed")', 'status == "stopped"',
             "only a run that was stopped is offered", "test_a_run_whose_device_was_lost_is_offered_and_goes_on"),
    63: _one("engine/training/run.py", "        if before.model is not None and not weights.is_same(\n            before.model.fingerprint, clip.fingerprint, clip.folder\n        ):",
             "        if False:", "the model is not compared", "test_a_model_that_changed_after_the_run_is_refused_and_the_file_named"),
    64: _one(DOCUMENTS, '    return _("it is not as it was written.")', '    return ""', "seals are not looked at",
             "test_one_flipped_byte_is_found_by_name_and_repaired"),
    65: _one("engine/data/vector_drawer.py", '    return value.strip().startswith(("#", "data:"))', "    return True",
             "pictures inside may be any file", "test_nothing_outside_of_a_drawing_is_shown"),
}  # fmt: skip


ORDINARY: Final = (
    "test_library.py",
    "engine/training/test_training.py::test_a_run_ends_with_base_and_adapted",
    "engine/training/test_training.py::test_the_adapter_loads_with_plain_peft",
    "engine/search/test_ranked_search.py::test_a_search_ranks_as_plain_transformers_does",
    "faults/test_caption_tables.py::test_restore_brings_back_the_bytes_by_date_and_can_be_undone",
    "faults/test_trash.py::test_a_run_goes_to_the_trash_and_comes_back_byte_for_byte",
    "packaging/test_packs.py::test_a_pack_brings_the_same_model",
    "packaging/test_packs.py::test_a_run_travels_whole",
    "gui/test_main_job.py::test_from_a_dropped_folder_to_a_search",
    "gui/test_main_job.py::test_a_run_can_be_taken_over_exported_and_deleted",
)
"""Tests of ordinary work: training, resuming, searching, captions, packs, the trash, the window."""


def marked() -> dict[int, list[str]]:
    """Row -> the tests that are marked with it, as FILE::NAME below tests/."""
    faults = runpy.run_path(str(ROOT / "packaging" / "faults.py"))
    found: dict[int, list[str]] = faults["marked"]()
    return found


def copied(target: Path, edits: Sequence[Edit]) -> None:
    """Puts a copy of the program and its tests into an empty folder, with some edits."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, target / name)
    for name in LINKED:
        (target / name).symlink_to(ROOT / name)
    for edit in edits:
        file = target / SOURCES / edit.file
        text = file.read_text("utf-8")
        if text.count(edit.old) != 1:
            raise SystemExit(f"{edit.file}: this is not there once: {edit.old}")
        file.write_text(text.replace(edit.old, edit.new), "utf-8")


def everything() -> list[Edit]:
    """The edits of all rows, those that several rows share once."""
    edits = dict.fromkeys(edit for defence in DEFENCES.values() for edit in defence.edits)
    return list({(edit.file, edit.old): edit for edit in edits}.values())


def failing(folder: Path, tests: Sequence[str], limit: float) -> tuple[str, str]:
    """The first of the tests that fails in a copy, or does not end, and what was said; "" where all pass."""
    environment: dict[str, Any] = os.environ | {
        "PYTHONPATH": str(folder / "app"), "PYTHONUNBUFFERED": "1", "QT_QPA_PLATFORM": "offscreen",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-x", "-v", "-p", "no:cacheprovider", "--tb=short"]
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [*command, f"--basetemp={folder / 'tmp'}", *(f"tests/{test}" for test in tests)],
            cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            code: int | None = child.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):  # also what its tests have started
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    if code == 0:
        return "", text
    begun = re.findall(r"^tests/(\S+?::\w+)", text, re.MULTILINE)
    if code is None and begun:
        return f"{begun[-1]}{_HANGS}", text
    if begun and (code or 0) not in range(6):  # pytest's own codes
        return f"{begun[-1]}{_ENDS}", text
    failed = re.findall(r"^(?:FAILED|ERROR) tests/(\S+?::\w+)", text, re.MULTILINE)
    if code != 1 or not failed:
        raise SystemExit(f"pytest ended with {code}:\n{text}")
    return failed[0], text


def proven(row: int, tests: Sequence[str], told: bool) -> str:
    """The test that fails without the row's defence, "" if none does."""
    defence = DEFENCES[row]
    first = [test for test in tests if test.partition("::")[2] == defence.test]
    with tempfile.TemporaryDirectory(prefix=f"without-{row}-") as folder:
        copied(Path(folder), defence.edits)
        for some in (first, [test for test in tests if test not in first]):
            if some:
                found, said = failing(Path(folder), some, defence.limit)
                if told:
                    tell(said)
                if found:
                    return found
    return ""


def tell(text: str) -> None:
    """Writes a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def does_ordinary_work() -> bool:
    """Whether the program without any of its defences passes tests of what it does where nothing goes wrong."""
    with tempfile.TemporaryDirectory(prefix="without-all-") as folder:
        copied(Path(folder), everything())
        found, said = failing(Path(folder), ORDINARY, LIMIT * 2)
    tell(
        f"{said}\nOrdinary work fails without the defences: {found}"
        if found
        else "Ordinary work is done without any of them."
    )
    return not found


def main() -> int:
    """Runs what was asked for; 1 where a row is not caught."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "rows", nargs="*", type=int, metavar="ROW", help="rows of rows.py; all where left out"
    )
    parser.add_argument("--verbose", action="store_true", help="print what the tests say")
    parser.add_argument(
        "--ordinary", action="store_true", help="look whether ordinary work is done without all of them"
    )
    asked = parser.parse_args()
    if asked.ordinary:
        return int(not does_ordinary_work())
    rows, of_row = asked.rows or sorted(DEFENCES), marked()
    caught: dict[int, str] = {}
    for row in rows:
        began = time.monotonic()
        found = proven(row, of_row[row], asked.verbose)
        caught |= {row: found} if found else {}
        result = f"caught by {found}" if found else "NOT CAUGHT"
        tell(f"{row:>2}  {result}  ({DEFENCES[row].why}; {time.monotonic() - began:.0f} s)")
    tests = sorted({found.removesuffix(_HANGS).removesuffix(_ENDS) for found in caught.values()})
    with tempfile.TemporaryDirectory(prefix="unchanged-") as folder:
        copied(Path(folder), ())
        broken, said = failing(Path(folder), tests, LIMIT * len(tests)) if tests else ("", "")
    if broken:
        tell(f"{said}\nIn the unchanged program fails as well: {broken}")
    tell(f"{len(caught)} of {len(rows)} rows are caught.")
    return int(bool(broken) or len(caught) < len(rows))


if __name__ == "__main__":
    sys.exit(main())
