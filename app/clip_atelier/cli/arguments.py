"""The parser, and the flags that come from the settings' declarations: `--lora.r 8` is the setting `lora.r`."""

from __future__ import annotations

import argparse
import difflib
import shutil
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from clip_atelier import library
from clip_atelier.cli.text import width as columns
from clip_atelier.cli.text import wrap
from clip_atelier.engine.core import N_, UserError, _
from clip_atelier.engine.search import ModelRef
from clip_atelier.engine.settings import DECLARED, GROUP_TITLES, PRESETS, Declared, build, written

# argparse's own words, so that its help and its errors speak the user's language too.
ARGPARSE_WORDS = (
    N_("usage: "),
    N_("positional arguments"),
    N_("options"),
    N_("show this help message and exit"),
    N_("show program's version number and exit"),
    N_("the following arguments are required: %s"),
    N_("unrecognized arguments: %s"),
    N_("expected one argument"),
    N_("expected at least one argument"),
    N_("argument %(argument_name)s: %(message)s"),
    N_("not allowed with argument %s"),
    N_("one of the arguments %s is required"),
    N_("invalid choice: %(value)r (choose from %(choices)s)"),
    N_("invalid %(type)s value: %(value)r"),
    N_("%(prog)s: error: %(message)s\n"),
)

MOST_STRENGTH = library.MOST_STRENGTH

_BOOLEAN_WORDS = {"true", "false", "yes", "no", "on", "off", "1", "0", "t", "f", "y", "n"}


def _words(message: str | None) -> str | None:
    return _(message) if message else message


class _Help(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        room = min(110, shutil.get_terminal_size().columns - 2)
        super().__init__(prog, max_help_position=28, width=max(40, room))

    def add_usage(
        self, usage: str | None, actions: Iterable[argparse.Action], groups: Any, prefix: str | None = None
    ) -> None:
        """The usage line, without the settings: there are dozens."""
        listed = [action for action in actions if "." not in action.dest]
        super().add_usage(usage, listed, groups, prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return [line for part in text.split("\n") for line in wrap(part, width)]

    def _format_action(self, action: argparse.Action) -> str:
        """Takes back what Korean words are wider than they are long: argparse pads by characters."""
        invocation = self._format_action_invocation(action)
        wider = columns(invocation) - len(invocation)
        return super()._format_action(action).replace(invocation + " " * wider, invocation, 1)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for part in text.split("\n") for line in wrap(part, width) or [""])


class Parser(argparse.ArgumentParser):
    """argparse with exact option names, translated words and help that counts Korean as two columns."""

    def __init__(self, **options: Any) -> None:
        # argparse looks its words up through this module-level name; it offers no other way.
        argparse._ = _words  # type: ignore[attr-defined]
        super().__init__(allow_abbrev=False, formatter_class=_Help, **options)

    def error(self, message: str) -> NoReturn:
        """Wrong arguments are reported like every other wrong input."""
        raise UserError(message, _("See “{command} --help”.").format(command=self.prog))

    def parse_strictly(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The arguments, all of them understood.

        Raises:
            UserError: names what was not understood, and the nearest flag that exists.
        """
        args, unknown = self.parse_known_args(with_bare_booleans(arguments))
        if not unknown:
            return args
        unknown = [argument for argument in unknown if argument.startswith("-")] or unknown
        message = _("unrecognized arguments: %s") % " ".join(unknown)
        names = [f"--{name}" for name in DECLARED]
        near = difflib.get_close_matches(unknown[0].partition("=")[0], names, n=3)
        raise UserError(message, _("Did you mean {names}?").format(names=", ".join(near)) if near else "")


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options that stand before or after every sub-command."""
    unset: dict[str, Any] = {"default": argparse.SUPPRESS}
    parser.add_argument(
        "--json", action="store_true", help=_("print one JSON document on standard output"), **unset
    )
    parser.add_argument(
        "--home",
        metavar=_("FOLDER"),
        help=_(
            "where trainings, caches and models are kept (or CLIP_ATELIER_HOME; else the platform's user-data folder)"
        ),
        **unset,
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help=_("show nothing but results and errors"), **unset
    )
    parser.add_argument("--language", choices=("en", "ko"), help=_("language of what is shown"), **unset)
    parser.add_argument(
        "--debug", action="store_true", help=_("show the technical details of an error"), **unset
    )


def add_settings(parser: argparse.ArgumentParser, groups: Iterable[str] = tuple(GROUP_TITLES)) -> None:
    """One flag for every declared setting of `groups`, with its explanation, range and default."""
    for group in groups:
        section = parser.add_argument_group(_(GROUP_TITLES[group]))
        if group == "model":
            section.add_argument(
                "--model",
                dest="model.name",
                metavar=_("MODEL"),
                default=argparse.SUPPRESS,
                help=_("short for --model.name"),
            )
        for declared in DECLARED.values():
            if declared.group == group:
                _add_setting(section, declared)


def add_preset(parser: argparse.ArgumentParser) -> None:
    """`--preset NAME`, listing the presets there are."""
    presets = [f"{name}: {_(preset.summary)}" for name, preset in PRESETS.items()]
    words = "\n".join([_("starting point for the settings:"), *presets])
    parser.add_argument("--preset", metavar=_("NAME"), help=_escape(words))


def add_strength(parser: argparse.ArgumentParser) -> None:
    """`--strength`: the dial that scales a run's update."""
    parser.add_argument(
        "--strength",
        type=float,
        metavar="0..1.5",
        help=_("scale of the update: 0 is the base; else the training's own choice"),
    )


def add_lens(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """`--run` (`several` times), `--strength`, `--model` and the hardware: which model looks at the images."""
    if several:
        parser.add_argument(
            "--run",
            action="append",
            metavar=_("RUN"),
            help=_(
                "compare the base with this training's adapted model; given again, several trainings with each other"
            ),
        )
    else:
        parser.add_argument(
            "--run", metavar=_("RUN"), help=_("compare the base with this training's adapted model")
        )
    add_strength(parser)
    parser.add_argument(
        "--model", metavar=_("MODEL"), help=_("the base model, where no training is given [starter]")
    )
    add_settings(parser, ("hardware",))


def model_ref(args: argparse.Namespace) -> ModelRef:
    """What `add_lens` read.

    Raises:
        UserError: a strength out of range or without a run, or both a run and a model.
    """
    if args.run is None and args.strength is not None:
        raise UserError(
            _("--strength needs a training: it scales the training's update."),
            _("Add --run RUN."),
            "strength",
        )
    if args.run is not None and args.model is not None:
        raise UserError(
            _("A training brings its own model; --run and --model exclude each other."), "", "model.name"
        )
    hardware = given(args)
    return ModelRef(args.run, strength(args), args.model, build(hardware).hardware if hardware else None)


def model_refs(args: argparse.Namespace) -> list[ModelRef]:
    """What `add_lens` read where `several` trainings may be given, at least one; each of them once.

    Raises:
        UserError: see `model_ref`.
    """
    runs = dict.fromkeys(args.run or [None])
    return [model_ref(argparse.Namespace(**vars(args) | {"run": run})) for run in runs]


def strength(args: argparse.Namespace) -> float | None:
    """`--strength`, if it was given.

    Raises:
        UserError: it is out of range.
    """
    value: float | None = args.strength
    if value is not None and not 0 <= value <= MOST_STRENGTH:
        raise UserError(
            _("--strength: must be from 0 to {most:g}").format(most=MOST_STRENGTH), "", "strength"
        )
    return value


def _add_setting(section: argparse._ArgumentGroup, declared: Declared) -> None:
    options: dict[str, Any] = {"nargs": "?", "const": "true"} if declared.kind == "bool" else {}
    default = f" [{written(declared.default)}]" if declared.default != "" else ""
    section.add_argument(
        f"--{declared.name}",
        dest=declared.name,
        metavar=_metavar(declared),
        default=argparse.SUPPRESS,
        help=_escape(f"{_(declared.title)}: {_(declared.summary)}{default}"),
        **options,
    )


def _metavar(declared: Declared) -> str:
    if declared.kind == "choice":
        return "|".join(declared.choices)
    if declared.kind == "choices":
        return "A+B"
    return {"bool": "true|false", "int": "N", "float": "X"}.get(declared.kind, _("TEXT"))


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were set on the command line: dotted name -> text, lists split at + or comma."""
    return {name: parsed(name, value) for name, value in vars(args).items() if name in DECLARED}


def parsed(name: str, text: str) -> Any:
    """The text of a flag as `settings.build` takes it; ranges and types are checked there, in one place."""
    if DECLARED[name].kind == "choices":
        return [part for part in text.replace(",", "+").split("+") if part]
    return text


def with_bare_booleans(argv: Sequence[str]) -> list[str]:
    """`--lora.use_rslora FOLDER` means the switch and a folder; argparse alone would take FOLDER as the value."""
    switches = {f"--{name}" for name, declared in DECLARED.items() if declared.kind == "bool"}
    arguments: list[str] = []
    for index, argument in enumerate(argv):
        following = argv[index + 1].lower() if index + 1 < len(argv) else ""
        bare = argument in switches and following not in _BOOLEAN_WORDS
        arguments.append(f"{argument}=true" if bare else argument)
    return arguments
