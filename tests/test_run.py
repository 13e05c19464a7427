"""The set-up script: what it decides, what it writes, and what it says when it cannot go on."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_script", ROOT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the files that the set-up reads, and no environment."""
    (tmp_path / "packaging").mkdir()
    for name in (
        "pyproject.toml",
        *(f"packaging/{file.name}" for file in ROOT.glob("packaging/requirements*.txt")),
    ):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


@pytest.fixture
def recorded(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands are recorded instead of run; making the environment leaves what venv leaves."""
    commands: list[list[str]] = []

    def record(command: list[str], folder: Path, *_: object, **__: object) -> int:
        commands.append(command)
        if "venv" in command:
            python = script.venv_python(folder)
            python.parent.mkdir(parents=True)
            python.touch()
            version = ".".join(map(str, sys.version_info[:3]))
            (folder / ".venv" / "pyvenv.cfg").write_text(
                f"home = /usr/bin\nversion = {version}\n", encoding="utf-8"
            )
        return 0

    monkeypatch.setattr(script, "run", record)
    monkeypatch.setattr(script, "missing_system_packages", lambda purpose: [])
    return commands


def test_it_uses_the_standard_library_only() -> None:
    imported = set(
        re.findall(r"^ *(?:import|from) (\w+)", (ROOT / "run.py").read_text(encoding="utf-8"), re.M)
    )
    assert imported <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("purpose", ["commands", "window", "tests"])
def test_prepared_once_then_left_alone(
    script: ModuleType, checkout: Path, recorded: list[list[str]], purpose: str
) -> None:
    script.prepare(purpose, checkout)
    apart = purpose in script.APART
    assert [command[2] for command in recorded] == ["venv", "pip", "pip"] + ["pip"] * apart
    assert str(checkout / script.REQUIREMENTS[purpose]) in recorded[1]
    recorded.clear()
    for served in script.SERVES[purpose]:
        script.prepare(served, checkout)
    assert recorded == []


def test_what_tests_need_apart_is_no_part_of_the_environment(
    script: ModuleType, checkout: Path, recorded: list[list[str]]
) -> None:
    script.prepare("tests", checkout)
    last = recorded[-1]
    assert last[last.index("--target") + 1] == str(checkout / ".venv" / "apart")
    assert "--no-deps" in last
    recorded.clear()
    with (checkout / script.APART["tests"]).open("a", encoding="utf-8") as file:
        file.write("\n# newer\n")
    script.prepare("commands", checkout)
    assert recorded == []
    script.prepare("tests", checkout)
    assert recorded[-1] == last


@pytest.mark.parametrize("changed", ["pyproject.toml", "packaging/requirements.txt"])
def test_a_changed_requirement_prepares_again(
    script: ModuleType, checkout: Path, recorded: list[list[str]], changed: str
) -> None:
    script.prepare("commands", checkout)
    recorded.clear()
    with (checkout / changed).open("a", encoding="utf-8") as file:
        file.write("\n# newer\n")
    script.prepare("commands", checkout)
    assert [command[2] for command in recorded] == ["pip", "pip"]  # The environment itself still fits.


def test_another_python_makes_the_environment_anew(
    script: ModuleType, checkout: Path, recorded: list[list[str]]
) -> None:
    script.prepare("commands", checkout)
    (checkout / ".venv" / "pyvenv.cfg").write_text("version = 3.9.2\n", encoding="utf-8")
    assert script.venv_version(checkout / ".venv" / "pyvenv.cfg") == (3, 9)
    script.venv_python(checkout).unlink()
    script.venv_python(checkout).parent.rmdir()
    recorded.clear()
    script.prepare("commands", checkout)
    assert "--clear" in recorded[0]


@pytest.mark.parametrize("failing", ["--requirement", "--editable"])
def test_a_failed_installation_leaves_no_stamp(
    script: ModuleType,
    checkout: Path,
    recorded: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    script.prepare("commands", checkout)
    assert script.stamp_of("commands", checkout).exists()
    (checkout / "packaging" / "requirements.txt").write_text("pillow==99\n", encoding="utf-8")
    monkeypatch.setattr(script, "run", lambda command, *_, **__: int(failing in command))
    with pytest.raises(script.SetupError, match="network connection"):
        script.prepare("commands", checkout)
    assert [stamp for stamp in script.stamps(checkout) if stamp.exists()] == []


def test_a_moved_checkout_is_prepared_again(
    script: ModuleType, checkout: Path, recorded: list[list[str]]
) -> None:
    script.prepare("commands", checkout)
    moved = checkout.with_name("moved")
    checkout.rename(moved)
    assert not script.is_ready("commands", script.key_of("commands", moved), moved)


def test_a_stranger_in_place_of_the_environment_is_kept(script: ModuleType, checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "diary.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(script.SetupError, match="Move it away"):
        script.make_venv(checkout)
    assert (checkout / ".venv" / "diary.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone takes Qt's libraries from the system")
def test_missing_libraries_are_named_by_their_packages(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "can_open", lambda library: library != "libEGL.so.1")
    assert script.missing_system_packages("tests") == ["libegl1"]
    assert script.missing_system_packages("commands") == []  # The command line draws nothing.
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: None)
    assert script.missing_system_packages("commands") == ["python3-venv"]


def test_without_permission_the_exact_line_is_shown(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.os.path, "exists", lambda path: True)
    monkeypatch.setattr(script.os, "geteuid", lambda: 1000, raising=False)
    with pytest.raises(script.SetupError) as caught:
        script.provide_system_packages(["python3-venv", "libegl1"])
    line = "sudo apt-get update && sudo apt-get install --yes --no-install-recommends python3-venv libegl1"
    assert line in str(caught.value)


def test_a_loader_that_cannot_find_a_library_says_no(script: ModuleType) -> None:
    assert not script.can_open("libno-such-thing-anywhere.so.9")


@pytest.mark.parametrize(
    ("arguments", "display", "purpose"),
    [
        ([], True, "window"),
        ([], False, "commands"),
        (["train", "drawings"], True, "commands"),
        (["."], True, "window"),
        (["."], False, "commands"),
    ],
)
def test_only_what_opens_a_window_needs_one(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str], display: bool, purpose: str
) -> None:
    monkeypatch.setattr(script, "has_display", lambda: display)
    assert script.purpose_of(arguments) == purpose


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="there is always a display")
def test_a_display_is_read_from_the_environment(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert not script.has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert script.has_display()


def test_arguments_reach_the_program_as_they_are(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[list[str]] = []
    monkeypatch.setattr(script, "prepare", lambda purpose: None)
    monkeypatch.setattr(script, "hand_over", lambda command: handed.append(command) or 7)
    assert script.main(["search", "그림", "--text", "a cat; $(ls)"]) == 7
    assert handed[0][-4:] == ["search", "그림", "--text", "a cat; $(ls)"]


def test_an_old_python_is_told_so(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "OLDEST_PYTHON", (99, 0))
    assert script.main([]) == 1
    captured = capsys.readouterr()
    assert "needs Python" in captured.err
    assert captured.out == ""


def test_checks_run_before_pytest_and_any_failure_counts(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def start(command: list[str], *_: object, **__: object) -> int:
        started.append(Path(command[0]).name if command[1:2] != ["-m"] else command[2])
        return int(started[-1] == "mypy")

    monkeypatch.setattr(script, "run", start)
    assert script.run_tests([]) == 1
    assert started == ["ruff", "ruff", "mypy", "lint-imports", "pytest"]
    started.clear()
    assert script.run_tests(["-k", "one"]) == 0
    assert started == ["pytest"]


def pins(name: str) -> dict[str, str]:
    """Return package → version of a requirements file, the ones it refers to included."""
    found: dict[str, str] = {}
    for line in (ROOT / "packaging" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found |= pins(line.removeprefix("-r ").strip())
        elif line and not line.startswith("#"):
            package, version = line.split("==")
            found[re.sub(r"[-_.]+", "-", package).lower()] = version
    return found


@pytest.mark.parametrize(("extra", "file"), [(None, "requirements.txt"), ("test", "requirements-test.txt")])
def test_everything_declared_is_pinned(extra: str | None, file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[<>=!~ \[]", line)[0]).lower() for line in declared}
    assert names <= set(pins(file))


def test_pins_hold_no_device_packages_and_no_addresses() -> None:
    text = "".join(
        (ROOT / "packaging" / name).read_text() for name in ("requirements.txt", "requirements-test.txt")
    )
    assert not re.search(r"nvidia|cuda|triton|torchvision|://|--index|--hash|\+cpu", text)
    assert pins("requirements.txt")["torch"] == "2.13.0"
    assert tuple(map(int, pins("requirements.txt")["pyside6-essentials"].split("."))) < (6, 12)


def test_the_fast_checks_also_run_before_a_commit(script: ModuleType) -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    for tool, *arguments in script.CHECKS:
        command = " ".join([tool, *(one for one in arguments if one.isalpha())])
        assert f"entry: .venv/bin/{command}" in hooks


def test_every_mark_is_explained_to_contributors() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for line in project["tool"]["pytest"]["ini_options"]["markers"]:
        assert f"| `{line.partition(':')[0].partition('(')[0]}` |" in page


def test_files_that_contributors_are_sent_to_are_there() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    package = ROOT / "app" / "clip_atelier"
    named = set(re.findall(r"`((?:\w+/)+[\w.]+\.\w+|(?:\w+/)+)`", page)) | set(
        re.findall(r"\]\(([\w./]+)\)", page)
    )
    named.discard("gui/pages/NAME/")
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists() and not (package / name).exists()] == []
