"""What packaging scripts make from the code is committed as they would make it: translations, schemas and pages."""

from __future__ import annotations

import argparse
import gettext
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

import clip_atelier
from clip_atelier.cli.commands import COMMANDS
from clip_atelier.engine import settings
from clip_atelier.engine.core import i18n
from clip_atelier.engine.evaluation import metrics, sets
from clip_atelier.engine.runs import TrainResult

ROOT = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    """A script of packaging/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "packaging" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


translations = script("translations")


@pytest.fixture(scope="module", params=translations.LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    code: str = request.param
    return code


def test_every_message_is_translated_with_its_placeholders(language: str) -> None:
    catalogue = translations.updated(language, translations.template())
    assert translations.faults(catalogue) == []
    assert len(catalogue) > 500


def test_the_committed_catalogues_are_those_of_the_code(language: str) -> None:
    catalogue = translations.updated(language, translations.template())
    path = translations.po_path(language)
    hint = "run: python packaging/translations.py"
    assert path.read_bytes() == translations.po_bytes(catalogue), hint
    assert path.with_suffix(".mo").read_bytes() == translations.mo_bytes(catalogue), hint


def test_the_program_finds_the_translations(language: str) -> None:
    i18n.set_language(language)
    for declared in settings.DECLARED.values():
        for text in (declared.title, declared.summary, declared.detail, *declared.choices.values()):
            assert not text or text in ("LoRA", "GB") or i18n._(text) != text, text
    for metric in metrics.METRICS.values():
        assert i18n._(metric.explanation) != metric.explanation
    for title in sets.TASKS.values():
        assert i18n._(title) != title


def test_korean_is_korean() -> None:
    """No translation is left in English, whatever names of things it has to keep."""
    with translations.po_path("ko").with_suffix(".mo").open("rb") as stream:
        catalogue = gettext.GNUTranslations(stream)._catalog  # type: ignore[attr-defined]
    for message, translation in catalogue.items():
        words = re.sub(r"\{[^}]*\}|%\(\w+\)\w|%\w", "", message)
        if message and re.search(r"[a-z]{4,} [a-z]{3,}", words):
            assert re.search("[가-힣]", translation), message


def test_names_and_formats_are_kept() -> None:
    assert translations.placeholders("{a} {b:,} %s %(c)r") == sorted(["{a:}", "{b:,}", "%s", "%(c)r"])
    assert translations.placeholders("95 % interval {{label}}") == []


def test_one_command_runs_every_script_that_is_checked_here() -> None:
    generate = script("generate")
    for name in generate.SCRIPTS:
        assert (ROOT / "packaging" / f"{name}.py").is_file()
    hints = "".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("*.py"))
    assert set(generate.SCRIPTS) == set(re.findall(r"run: python packaging/(\w+)\.py", hints))


def test_the_command_page_names_every_command_and_what_it_takes() -> None:
    page = script("cli_reference").page()
    for command in COMMANDS:
        parser = argparse.ArgumentParser(add_help=False)
        command.arguments(parser)
        section = page.split(f"\n## {command.name}\n")[1].split("\n## ")[0]
        for action in parser._actions:
            for option in action.option_strings:
                group, _dot, name = option.removeprefix("--").partition(".")
                assert (
                    (f"{option}" in section)
                    if not name
                    else f"`--{group}.NAME" in section or "--GROUP" in section
                )


def test_the_command_page_is_that_of_the_parsers() -> None:
    reference = script("cli_reference")
    assert reference.TARGET.read_text("utf-8") == reference.page(), "run: python packaging/cli_reference.py"


def test_the_manual_page_is_that_of_the_parsers_and_names_all_there_is() -> None:
    manual = script("man_page")
    page = manual.page()
    assert manual.TARGET.read_text("ascii") == page, "run: python packaging/man_page.py"
    for command in COMMANDS:
        assert f'.SS "{manual._escaped(command.name)}"' in page
    for name in settings.DECLARED:
        assert f"\\fB\\-\\-{manual._escaped(name)}\\fR" in page


def test_the_manual_page_can_be_read(tmp_path: Path) -> None:
    page = ROOT / "docs" / "clip-atelier.1"
    for tool, *strict in (("groff", "-man", "-ww", "-z"), ("mandoc", "-T", "lint", "-W", "error")):
        if shutil.which(tool):
            said = subprocess.run(
                [tool, *strict, page], capture_output=True, text=True, check=False, cwd=tmp_path
            )
            assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    # A line that begins with a full stop or a quote is a command to roff: all of ours are known ones.
    commands = {line.split()[0] for line in page.read_text("ascii").splitlines() if line[:1] in (".", "'")}
    assert commands <= {'.\\"', ".TH", ".SH", ".SS", ".B", ".I", ".RI", ".br", ".PP", ".TP", ".RS", ".RE"}


def test_the_python_reference_is_that_of_the_docstrings_and_tells_all_that_is_offered() -> None:
    reference = script("python_reference")
    page = reference.page()
    assert reference.TARGET.read_text("utf-8") == page, "run: python packaging/python_reference.py"
    for name in set(clip_atelier.__all__):
        assert f"\n## {name}\n" in page
    for name in TrainResult.model_fields.keys() - {"schema_version"}:
        assert f"\n- `{name}`: `" in page.split("### TrainResult")[1]


def test_the_glossary_page_is_that_of_the_window() -> None:
    glossary = script("glossary")
    assert glossary.TARGET.read_text("utf-8") == glossary.page(), "run: python packaging/glossary.py"


def test_the_page_of_faults_is_that_of_the_marked_tests() -> None:
    faults = script("faults")
    assert faults.TARGET.read_text("utf-8") == faults.page(), "run: python packaging/faults.py"


def test_the_schemas_are_those_of_the_records() -> None:
    schemas = script("schemas")
    assert sorted(p.stem for p in schemas.FOLDER.iterdir()) == sorted(schemas.DOCUMENTS)
    for name in schemas.DOCUMENTS:
        stored = (schemas.FOLDER / f"{name}.json").read_text("utf-8")
        assert stored == schemas.schema(name), "run: python packaging/schemas.py"


def test_the_settings_page_is_that_of_the_declarations() -> None:
    reference = script("settings_reference")
    hint = "run: python packaging/settings_reference.py"
    assert reference.TARGET.read_text("utf-8") == reference.page(), hint
    for name in settings.DECLARED:
        assert f"### `{name}`" in reference.page()
