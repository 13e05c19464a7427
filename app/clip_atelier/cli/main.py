"""`clip-atelier`: finds the command, runs it, and turns every ending into a message and an exit code."""

from __future__ import annotations

import argparse
import difflib
import errno
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

from clip_atelier import engine
from clip_atelier.cli import console, window
from clip_atelier.cli.arguments import Parser, add_common
from clip_atelier.cli.command import FAILED, STOPPED, WRONG_INPUT, Outcome, Session, versioned
from clip_atelier.cli.commands import COMMANDS
from clip_atelier.cli.parsers import program
from clip_atelier.cli.progress import Reporter
from clip_atelier.cli.signals import stopping
from clip_atelier.engine.core import Control, Stopped, UserError, WorkError, _, i18n, launch, paths


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code: 0 done, 1 failed, 2 wrong input, 130 stopped by the user."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    common, rest = _common(arguments)
    # Deprecations inside libraries are no news for users; tests pass arguments and keep them.
    if argv is None and not sys.warnoptions and not common.debug:
        warnings.simplefilter("ignore")
    if argv is None:
        engine.keep_to_itself()
        paths.keep_private(Path(common.home).expanduser().absolute() if common.home else paths.default_home())
    if not launch.leads() and not common.debug:
        # One of several processes speaks; what fails in the others it is told.
        sys.stdout = sys.stderr = None
    i18n.set_language(common.language if common.language in i18n.LANGUAGES else i18n.system_language())
    try:
        return _run(arguments, rest, whole_process=argv is None)
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except UserError as error:
        code = FAILED if isinstance(error, WorkError) else WRONG_INPUT
        _complain(error, common, error.message, error.hint, error.setting)
    except (Stopped, KeyboardInterrupt):
        code = STOPPED
        console.err(_("Stopped. What was done is kept."))
        if common.json:
            console.document(versioned({"status": "stopped"}))
    except BrokenPipeError:
        code = FAILED
        console.silence_stdout()
    except OSError as error:
        code = FAILED
        _complain(error, common, *_system_words(error))
    except Exception as error:  # noqa: BLE001 - the last gate: no traceback reaches a user
        code = FAILED
        message = _("Something unexpected went wrong ({kind}: {text}).").format(
            kind=type(error).__name__, text=error
        )
        _complain(error, common, message, _("Run the same command with --debug to see the details."))
    return code


def _common(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """A first look at the common options, wherever they stand, and the arguments without them."""
    look = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--home", "--language"):
        look.add_argument(option, nargs="?")
    for option in ("--json", "--debug"):
        look.add_argument(option, action="store_true")
    look.add_argument("-q", "--quiet", action="store_true")
    return look.parse_known_args(list(arguments))


def _run(arguments: Sequence[str], rest: Sequence[str], whole_process: bool) -> int:
    if rest[:1] == ["--selftest"]:
        from clip_atelier import selftest

        return selftest.main(arguments)
    if rest[:1] == ["--trainer"]:  # started by a window, which speaks to it over pipes
        if whole_process:
            launch.collect_seldom()
        from clip_atelier.engine.training import obey

        engine.keep_below(Path(_common(arguments)[0].home or paths.default_home()))
        return obey()
    if rest[:1] == ["--svg-drawer"]:  # started by whoever reads drawings, and speaks to it over pipes
        from clip_atelier.engine.data import draw_vectors

        return draw_vectors()
    names = [command.name for command in COMMANDS]
    word = next((argument for argument in rest if argument != "--"), "")
    if not word or (not word.startswith("-") and word not in names):
        return _open_window(arguments, rest, names)
    if whole_process:
        launch.collect_seldom()
    args = program(COMMANDS).parse_strictly(arguments)
    control, home = Control(), _home(args)
    with stopping(control):
        outcome: Outcome = args.command.run(
            args, Session(home, control, Reporter.for_stderr("quiet" in args))
        )
    _show(outcome, as_json="json" in args)
    return outcome.code


def _open_window(arguments: Sequence[str], rest: Sequence[str], names: Sequence[str]) -> int:
    """`clip-atelier` and `clip-atelier FOLDER`: the window, or without a display the main job in the terminal."""
    parser = Parser(prog="clip-atelier")
    add_common(parser)
    parser.add_argument("folder", nargs="?", type=Path)
    args = parser.parse_strictly(arguments)
    if args.folder is not None and not args.folder.exists():
        near = difflib.get_close_matches(rest[0], names, n=2)
        raise UserError(
            _("There is no command and no folder named “{name}”.").format(name=paths.shown(args.folder)),
            _("Did you mean {names}?").format(names=", ".join(near))
            if near
            else _("The commands are: {names}.").format(names=", ".join(names)),
        )
    if window.has_display():
        return window.show(_home(args), args.folder, getattr(args, "language", None))
    if args.folder is not None:
        raise UserError(
            _("There is no display to open a window on."),
            _("In the terminal, use “clip-atelier train {folder}”.").format(folder=paths.shown(args.folder)),
        )
    control = Control()
    with stopping(control):
        outcome = window.main_job_in_terminal(
            Session(_home(args), control, Reporter.for_stderr("quiet" in args))
        )
    _show(outcome, as_json="json" in args)
    return outcome.code


def _home(args: argparse.Namespace) -> Path:
    """The home folder; from here on torch keeps its own files below it too."""
    home = Path(args.home).expanduser().absolute() if "home" in args else paths.default_home()
    engine.keep_below(home)
    return home


def _show(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        console.document(versioned(outcome.document))
    elif outcome.text:
        console.out(outcome.text)


def _system_words(error: OSError) -> tuple[str, str]:
    """What the operating system refused, and the way out where there is a usual one."""
    path = paths.shown(error.filename) if isinstance(error.filename, str) else ""
    where = f": {path}" if path else ""
    if error.errno == errno.ENOSPC:
        return _("The disk is full") + where, _("Free some space, or choose another place with --home.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _("This place cannot be written or read") + where, _(
            "Choose another place, or change its permissions."
        )
    return f"{error.strerror or error}{where}", ""


def _complain(
    error: BaseException, common: argparse.Namespace, message: str, hint: str = "", setting: str = ""
) -> None:
    console.err(_("Error: {message}").format(message=message) + (f"\n  {hint}" if hint else ""))
    if common.debug:
        console.err("".join(traceback.format_exception(error)))
    if common.json:
        console.document(versioned({"error": {"message": message, "hint": hint, "setting": setting}}))
