"""`doctor`: is everything here, does it work, and does it work with the network off."""

from __future__ import annotations

import argparse
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import clip_atelier
from clip_atelier.cli.command import DONE, FAILED, Command, Outcome, Session
from clip_atelier.cli.offline_proof import no_network, receipt, text_of
from clip_atelier.cli.text import table, visible
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, UserError, _, i18n, paths

if TYPE_CHECKING:
    from clip_atelier.engine.models import Features, Model

# Distribution names; the last is the only one that only the window needs.
PACKAGES = ("torch", "transformers", "peft", "numpy", "pillow", "pydantic", "PySide6-Essentials")
_GIGABYTE = 1 << 30
_FREE_WANTED = 2 * _GIGABYTE


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `detail` says what was found, or what is wrong."""

    name: str
    ok: bool
    detail: str


class _Found(Exception):  # noqa: N818 - carries a check's negative answer out of it
    pass


class Subject:
    """What the checks look at.

    Attributes:
        home: The home folder.
        attempts: Connections that were tried while the starter model was opened.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.attempts: list[str] = []

    @cached_property
    def starter(self) -> Model:
        """The starter model, opened once, with every connection refused."""
        from clip_atelier.engine.models import STARTER, Models

        with no_network() as attempts:
            try:
                return Models(self.home).open(STARTER, settings.HardwareSettings(device="cpu"))
            finally:
                self.attempts += attempts


def _python(_looked_at: Subject) -> str:
    return f"{platform.python_version()}, {platform.platform()}, clip-atelier {clip_atelier.__version__}"


def _packages(_looked_at: Subject) -> str:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise _Found(_("not installed: {names}").format(names=", ".join(missing)))
    return ", ".join(found)


def _device(_looked_at: Subject) -> str:
    from clip_atelier.engine.models import device

    chosen = device.choose(settings.HardwareSettings())
    return _("{device} ({kind}), training in {precision}: {why}").format(
        device=chosen.title(), kind=chosen.kind, precision=chosen.precision, why=device.reason(chosen)
    )


def _home_folder(looked_at: Subject) -> str:
    home = looked_at.home
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=home) as probe:
        probe.write(b"probe")
    free = shutil.disk_usage(home).free
    text = _("{path}, {free:.1f} GB free").format(path=paths.shown(home), free=free / _GIGABYTE)
    if free < _FREE_WANTED:
        raise _Found(text + "; " + _("free some space, or choose another home folder"))
    return text


def _starter(looked_at: Subject) -> str:
    import numpy as np

    clip = looked_at.starter
    one = _embed(clip)
    if not np.isfinite(one).all() or not np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-4):
        raise _Found(_("its embeddings are not finite, or not of length 1"))
    return _("{parameters:,} parameters, {size} px, embeddings of {dim} numbers").format(
        parameters=clip.parameters, size=clip.image_size, dim=clip.dim
    )


def _embed(clip: Model) -> Features:
    """Embeddings [2, dim] of one drawing and one sentence."""
    import numpy as np

    from clip_atelier.engine.data import image_gate
    from clip_atelier.engine.models import features

    first = next(path for path in sorted(paths.sample_collection().rglob("*.png")))
    picture = image_gate.fit(image_gate.load(first, clip.frame), clip.frame)
    return np.concatenate([features.image_now(clip, picture), features.texts(clip, ["a drawing of a cat"])])


def _sample(_looked_at: Subject) -> str:
    folder = paths.sample_collection()
    count = sum(1 for path in folder.rglob("*") if path.suffix in (".png", ".webp", ".jpg"))
    if not count:
        raise _Found(_("“{folder}” holds no images").format(folder=paths.shown(folder)))
    return _("{count} images").format(count=count)


def _translations(_looked_at: Subject) -> str:
    from clip_atelier.cli.commands import COMMANDS

    texts = [
        text
        for declared in settings.DECLARED.values()
        for text in (declared.title, declared.summary, declared.detail)
    ]
    texts += [command.title for command in COMMANDS]
    before = i18n.language()
    missing: list[str] = []
    try:
        for code in i18n.LANGUAGES:
            i18n.set_language(code)
            missing += [f"{code}: {text}" for text in texts if code != "en" and text and _(text) == text]
    finally:
        i18n.set_language(before)
    if missing:
        raise _Found(
            _("{count} texts are not translated, the first: {text}").format(
                count=len(missing), text=missing[0]
            )
        )
    return ", ".join(i18n.LANGUAGES.values())


def _font(_looked_at: Subject) -> str:
    fonts = sorted((paths.resources() / "fonts").glob("*.[ot]tf"))
    if not fonts:
        raise _Found(_("the window's own font, which has Korean, is missing"))
    return ", ".join(font.stem for font in fonts)


def _network_off(looked_at: Subject) -> str:
    """Embeds and saves an adapter while every connection raises, as it did when the model was opened."""
    from clip_atelier.engine.models import adapters

    clip = looked_at.starter
    with no_network() as attempts, tempfile.TemporaryDirectory() as scratch:
        _embed(clip)
        adapter = adapters.attach(clip, settings.Settings())
        adapter.save(Path(scratch) / "adapter")
        adapters.detach(clip)
    if attempts := [*looked_at.attempts, *attempts]:
        raise _Found(_("a connection was tried: {address}").format(address=attempts[0]))
    return _("opened a model, embedded and saved an adapter without any connection")


CHECKS: tuple[tuple[str, Callable[[Subject], str]], ...] = (
    (N_("Python"), _python),
    (N_("packages"), _packages),
    (N_("device"), _device),
    (N_("home folder"), _home_folder),
    (N_("starter model"), _starter),
    (N_("sample collection"), _sample),
    (N_("translations"), _translations),
    (N_("font"), _font),
    (N_("network off"), _network_off),
)


def examine(looked_at: Subject, name: str, check: Callable[[Subject], str]) -> Check:
    """Makes one check; whatever goes wrong in it is its answer."""
    try:
        return Check(name, True, check(looked_at))
    except _Found as answer:
        return Check(name, False, str(answer))
    except UserError as error:
        return Check(name, False, str(error))
    except Exception as error:  # noqa: BLE001 - a check that breaks is a finding, and the others still run
        return Check(name, False, f"{type(error).__name__}: {error}")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offline-proof",
        action="store_true",
        help=_("do the main job with every connection blocked, and print a receipt"),
    )


def _run(args: argparse.Namespace, session: Session) -> Outcome:
    if args.offline_proof:
        found = receipt(session)
        return Outcome(found.as_json(), text_of(found), DONE if found.proven else FAILED)
    checks, looked_at = [], Subject(session.home)
    for name, check in CHECKS:
        session.control.boundary()
        checks.append(examine(looked_at, name, check))
    ok = all(check.ok for check in checks)
    rows = [("✓" if check.ok else "✗", _(check.name), visible(check.detail)) for check in checks]
    verdict = _("Everything is in order.") if ok else _("Something is wrong; see the lines marked ✗.")
    text = table(("", _("check"), _("found")), rows) + f"\n\n{verdict}"
    return Outcome({"ok": ok, "checks": [asdict(check) for check in checks]}, text, DONE if ok else FAILED)


COMMAND = Command(
    "doctor",
    N_("check the installation: device, versions, home folder, and work with the network off"),
    _arguments,
    _run,
)
