"""`models`: what weights are at hand and which suits; adds a folder; downloads only when asked to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_atelier.cli import models_text
from clip_atelier.cli.arguments import add_common
from clip_atelier.cli.command import Command, Outcome, Session
from clip_atelier.engine.core import N_, _

if TYPE_CHECKING:
    from clip_atelier.engine.models import ModelInfo, Models


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", title=_("commands"), metavar=_("COMMAND"))
    add_common(what.add_parser("list", help=_("list every model at hand (the default)")))
    add_common(
        what.add_parser("suggested", help=_("list models that can be downloaded, with what they are good at"))
    )
    show = what.add_parser(
        "show", help=_("tell all that is known of a model, the languages of its words among it")
    )
    add_common(show)
    show.add_argument("name", metavar=_("NAME"), help=_("its name, as `models` lists it, or a folder"))
    add = what.add_parser(
        "add", help=_("add a Hugging Face or open_clip folder or a model pack, so that it can be named")
    )
    add_common(add)
    add.add_argument("path", type=Path, metavar=_("PATH"))
    remove = what.add_parser("remove", help=_("put an added model into the trash"))
    add_common(remove)
    remove.add_argument("name", metavar=_("NAME"), help=_("its name, as `models` lists it"))
    add.add_argument("--name", metavar=_("NAME"), default="", help=_("what to call it"))
    compare = what.add_parser(
        "compare", help=_("ask every model at hand about a folder of drawings, and recommend one")
    )
    add_common(compare)
    compare.add_argument("folder", type=Path, metavar=_("FOLDER"), help=_("the folder of drawings"))
    compare.add_argument(
        "--models", nargs="+", metavar=_("NAME"), default=[], help=_("only these (every model at hand)")
    )
    compare.add_argument(
        "--images", type=int, metavar=_("COUNT"), help=_("ask about so many drawings at most (1,000)")
    )
    download = what.add_parser(
        "download", help=_("download a model from the Hugging Face hub; the only use of the network")
    )
    add_common(download)
    download.add_argument(
        "name", metavar=_("NAME"), help=_("its name on the hub, such as openai/clip-vit-base-patch32")
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    from clip_atelier.engine.models import Models, shelf

    models = Models(session.home)
    if args.what == "suggested":
        offered = shelf.suggested()
        return Outcome([model.as_json() for model in offered], models_text.suggested(offered))
    if args.what == "show":
        return _show(args.name, models, session)
    if args.what == "compare":
        return _compare(args, models, session)
    if args.what == "add":
        models.add(args.path, args.name)
    elif args.what == "remove":
        from clip_atelier.engine.runs import Runs, model_warning

        warning = model_warning(args.name, (run.summary() for run in Runs(session.home).list()))
        gone = models.remove(args.name)
        text = _("Model {name} is in the trash; “clip-atelier trash restore {number}” puts it back.")
        said = text.format(name=gone.name, number=gone.number)
        return Outcome({"removed": gone.name, "warning": warning}, f"{said}\n{warning}".rstrip())
    elif args.what == "download":
        _download(args.name, models, session)
    found = models.list()
    return Outcome([_as_json(info) for info in found], models_text.at_hand(found))


def _as_json(info: ModelInfo) -> dict[str, Any]:
    """A model with what the shelf tells of it; no languages and "" as its licence where it does not know the model."""
    from clip_atelier.engine.models import shelf

    known = shelf.known(info.name)
    return info.as_json() | {
        "languages": list(known.languages) if known else [],
        "licence": known.licence if known else "",
    }


def _download(name: str, models: Models, session: Session) -> None:
    from clip_atelier.engine.models import downloads

    folder = session.drive(downloads.download(name, session.home, session.control))
    models.add(folder, name.rpartition("/")[2])
    downloads.discard(folder)


def _show(name: str, models: Models, session: Session) -> Outcome:
    from clip_atelier.engine.models import languages, shelf
    from clip_atelier.engine.settings import HardwareSettings

    info, known = models.info(name), shelf.known(name)
    spoken = languages.told(name)
    if spoken is None:
        clip = models.open(name, HardwareSettings())
        spoken = session.drive(languages.languages(clip, session.home, session.control))
    document = _as_json(info) | {"languages": list(spoken), "known": known.as_json() if known else None}
    return Outcome(document, models_text.one(info, known, spoken))


def _compare(args: argparse.Namespace, models: Models, session: Session) -> Outcome:
    from clip_atelier.engine.evaluation import compare_models, model_comparison

    most = args.images or model_comparison.MOST
    result = session.drive(compare_models(args.folder, models, session.control, args.models, most))
    return Outcome(result.as_json(), models_text.comparison(result))


COMMAND = Command(
    "models", N_("list the models at hand, compare, add, remove or download them"), _arguments, _run
)
