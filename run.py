#!/usr/bin/env python3
"""Set CLIP Atelier up once and start it, or test it. Needs nothing but Python 3.11 or newer.

    python3 run.py               start the window; without a display, the main job on the sample collection
    python3 run.py ARGS...       the command line, for example: python3 run.py train FOLDER
    python3 run.py setup         only prepare
    python3 run.py test [ARGS]   all checks and tests; with ARGS only pytest with these ARGS

Packages go into the folder .venv beside this file. Everything this script itself says goes to stderr, so the
program's own output stays clean.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST_PYTHON = (3, 11)

#: What each purpose installs, and which other purposes are then served as well.
REQUIREMENTS = {
    "commands": "packaging/requirements.txt",
    "window": "packaging/requirements.txt",
    "tests": "packaging/requirements-test.txt",
}
#: What a purpose needs in a folder of its own, `.venv/apart`; the file says why.
APART = {"tests": "packaging/requirements-apart.txt"}
SERVES = {"commands": ("commands",), "window": ("window", "commands"), "tests": ("tests", "commands")}

#: Shared libraries that Qt opens, and the Debian package of each. Other systems bring them or bundle them.
OFFSCREEN_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
}
WINDOW_LIBRARIES = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
}
LIBRARIES = {
    "commands": {},
    "window": {**OFFSCREEN_LIBRARIES, **WINDOW_LIBRARIES},
    "tests": OFFSCREEN_LIBRARIES,
}

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)

#: Tests are shared among as many processes as help. What times out because others keep the machine busy is tried once
#: more, and counted as such in the closing line; what fails for any other reason has failed.
WHOLE_SUITE = (
    *("-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile"),
    *("--reruns", "1", "--only-rerun", r"pytestqt\.exceptions\.TimeoutError|TimeoutExpired"),
)


class SetupError(Exception):
    """The set-up cannot go on; the message says why and what to do."""


def main(arguments: list[str]) -> int:
    """Prepare what the arguments need and run it."""
    try:
        if sys.version_info < OLDEST_PYTHON:
            raise SetupError(
                f"CLIP Atelier needs Python 3.11 or newer; this is {sys.version.split()[0]}. "
                "Start run.py with a newer one, for example: python3.11 run.py"
            )
        if arguments[:1] == ["setup"]:
            prepare("window" if has_display() else "commands")
            say("Ready. Start with: python3 run.py")
            return 0
        if arguments[:1] == ["test"]:
            prepare("tests")
            return run_tests(arguments[1:])
        prepare(purpose_of(arguments))
        # -P: a file named like a module, in the folder the user is in, must not be imported in its place.
        return hand_over([str(venv_python()), "-P", "-m", "clip_atelier", *arguments])
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped. Run the same command again to go on.")
        return 130


def purpose_of(arguments: list[str]) -> str:
    """Return "window" for arguments that open it where there is a display, else "commands"."""
    opens_window = not arguments or Path(arguments[0]).is_dir()
    return "window" if opens_window and has_display() else "commands"


def has_display() -> bool:
    """True where a window can open; only Unix desktops say so in the environment."""
    if os.name == "nt" or sys.platform == "darwin":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def prepare(purpose: str, root: Path = ROOT) -> None:
    """Make the environment for a purpose, unless it stands already.

    Raises:
        SetupError: Something is missing that only the user can provide, or the installation failed.
    """
    key = key_of(purpose, root)
    if is_ready(purpose, key, root):
        return
    provide_system_packages(missing_system_packages(purpose))
    for stamp in stamps(root):
        stamp.unlink(missing_ok=True)
    make_venv(root)
    say("Installing what CLIP Atelier needs into .venv. This is done once and takes one to a few minutes.")
    python = str(venv_python(root))
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", *quiet]
    packages = [
        [*pip, "--requirement", str(root / REQUIREMENTS[purpose])],
        [*pip, "--no-deps", "--no-build-isolation", "--editable", str(root)],
    ]
    if purpose in APART:
        apart = ["--no-deps", "--upgrade", "--target", str(root / ".venv" / "apart")]
        packages.append([*pip, *apart, "--requirement", str(root / APART[purpose])])
    for command in packages:
        if run(command, root) != 0:
            raise SetupError(
                "The installation stopped; the lines above say where. It needs a network connection, about 2 GB of "
                "free space and a 64-bit Python 3.11 to 3.13. Then run the same command again."
            )
    for served in SERVES[purpose]:
        write_stamp(stamp_of(served, root), key_of(served, root))


def key_of(purpose: str, root: Path = ROOT) -> str:
    """Return a hash of all that an environment depends on: requirements, project, Python and place."""
    digest = hashlib.sha256(f"{sys.version_info[:3]}\n{root}\n".encode("utf-8", "surrogateescape"))
    needed = {"pyproject.toml", REQUIREMENTS["commands"], REQUIREMENTS[purpose]}
    for name in sorted(needed | {APART[purpose]} if purpose in APART else needed):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def stamp_of(purpose: str, root: Path = ROOT) -> Path:
    """Return the file that says the environment is complete for a purpose."""
    return root / ".venv" / f"ready-for-{purpose}"


def stamps(root: Path = ROOT) -> list[Path]:
    """Return the stamp files of all purposes."""
    return [stamp_of(purpose, root) for purpose in REQUIREMENTS]


def is_ready(purpose: str, key: str, root: Path = ROOT) -> bool:
    """True when the environment was completed with the same key and its Python is still there."""
    try:
        return stamp_of(purpose, root).read_text(encoding="ascii") == key and venv_python(root).exists()
    except (OSError, UnicodeError):
        return False


def write_stamp(stamp: Path, key: str) -> None:
    """Write a stamp in one step, so that it is either whole or not there."""
    unfinished = stamp.with_suffix(".part")
    unfinished.write_text(key, encoding="ascii")
    os.replace(unfinished, stamp)


def venv_python(root: Path = ROOT) -> Path:
    """Return the environment's own interpreter."""
    return root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv(root: Path = ROOT) -> None:
    """Make the virtual environment, anew if the one there belongs to another Python.

    Raises:
        SetupError: ``.venv`` is something else, or cannot be made.
    """
    folder = root / ".venv"
    configuration = folder / "pyvenv.cfg"
    if folder.exists() and not configuration.exists() and any(folder.iterdir()):
        raise SetupError(
            f"{folder} is not a virtual environment. Move it away and run the same command again."
        )
    if venv_python(root).exists() and venv_version(configuration) == sys.version_info[:2]:
        return
    say(f"Making the virtual environment {folder}")
    if run([sys.executable, "-m", "venv", "--clear", str(folder)], root) != 0:
        raise SetupError(
            f"The virtual environment could not be made in {folder}. Check that this folder can be written to, "
            "remove .venv if it is there, and run the same command again."
        )


def venv_version(configuration: Path) -> tuple[int, ...]:
    """Return (major, minor) of the Python that made an environment; empty when that is not written there."""
    if not configuration.exists():
        return ()
    for line in configuration.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip() in {"version", "version_info"}:
            return tuple(int(part) for part in value.strip().split(".")[:2])
    return ()


def missing_system_packages(purpose: str) -> list[str]:
    """Return the Debian packages of what is missing here for a purpose."""
    missing = [] if importlib.util.find_spec("ensurepip") else ["python3-venv"]
    if sys.platform == "linux":
        missing += [package for library, package in LIBRARIES[purpose].items() if not can_open(library)]
    return missing


def can_open(library: str) -> bool:
    """True when the system's loader finds a shared library."""
    import ctypes

    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def provide_system_packages(packages: list[str]) -> None:
    """Install missing system packages where that is allowed.

    Raises:
        SetupError: It is not allowed, or failed; the message has the exact line to type.
    """
    if not packages:
        return
    line = f"apt-get install --yes --no-install-recommends {' '.join(packages)}"
    if not os.path.exists("/usr/bin/apt-get"):
        raise SetupError(
            "Parts of the system are missing. Install what your system calls these Debian packages, then run the same "
            f"command again: {' '.join(packages)}"
        )
    if os.geteuid() != 0:
        raise SetupError(
            "Parts of the system are missing. Run this line, then the same command again:\n"
            f"  sudo apt-get update && sudo {line}"
        )
    say(f"Installing system packages: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A machine whose package lists are fresh but offline still installs, so only the second step must succeed.
    run(["apt-get", "update", "--quiet=2"], ROOT, environment)
    if run(["apt-get", "--quiet=2", *line.split()[1:]], ROOT, environment) != 0:
        raise SetupError(f"System packages could not be installed. Run this line to see why:\n  {line}")


def run_tests(arguments: list[str]) -> int:
    """Run the checks and the tests, or only pytest with these arguments; pytest has the last word on the screen."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    folder = venv_python().parent
    statuses = []
    for check in () if arguments else CHECKS:
        say(f"{' '.join(check)}:")
        statuses.append(run([str(folder / check[0]), *check[1:]], ROOT, environment))
        if statuses[-1] != 0:
            say(f"{' '.join(check)} failed")
    tests = [str(venv_python()), "-m", "pytest", *(arguments or WHOLE_SUITE)]
    statuses.append(run(tests, ROOT, environment, to_stdout=True))
    return next((status for status in statuses if status != 0), 0)


def run(
    command: list[str], folder: Path, environment: dict[str, str] | None = None, *, to_stdout: bool = False
) -> int:
    """Run a command in a folder and return its exit status; its output goes to stderr unless asked otherwise."""
    import subprocess

    try:
        output = None if to_stdout else sys.stderr.fileno()
        return subprocess.run(command, cwd=folder, env=environment, stdout=output, check=False).returncode
    except OSError as error:
        say(f"{command[0]} could not be started: {error}")
        return 1


def hand_over(command: list[str]) -> int:
    """Become the program; on Windows, where that is not possible, wait for it."""
    if os.name != "nt":
        sys.stdout.flush()
        os.execv(command[0], command)
    import subprocess

    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:  # The program got it too and has answered; its own message stands above.
        return 130


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
