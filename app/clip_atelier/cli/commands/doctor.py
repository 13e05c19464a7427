"""`doctor`: is everything here, does it work, and does it work with the network off."""

from __future__ import annotations

import argparse
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import clip_atelier
from clip_atelier.cli.command import DONE, FAILED, Command, Outcome, Session
from clip_atelier.cli.text import table, visible
from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, UserError, _, i18n, paths

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


def _python(_home: Path) -> str:
    return f"{platform.python_version()}, {platform.platform()}, clip-atelier {clip_atelier.__version__}"


def _packages(_home: Path) -> str:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise _Found(_("not installed: {names}").format(names=", ".join(missing)))
    return ", ".join(found)


def _device(_home: Path) -> str:
    from clip_atelier.engine.models import device

    chosen = device.choose(settings.HardwareSettings())
    return _("{device} ({kind}), training in {precision}").format(
        device=chosen.title(), kind=chosen.kind, precision=chosen.precision
    )


def _home_folder(home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=home) as probe:
        probe.write(b"probe")
    free = shutil.disk_usage(home).free
    text = _("{path}, {free:.1f} GB free").format(path=paths.shown(home), free=free / _GIGABYTE)
    if free < _FREE_WANTED:
        raise _Found(text + "; " + _("free some space, or choose another home folder"))
    return text


def _starter(home: Path) -> str:
    import numpy as np

    clip = _open_starter(home)
    one = _embed(clip)
    if not np.isfinite(one).all() or not np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-4):
        raise _Found(_("its embeddings are not finite, or not of length 1"))
    return _("{parameters:,} parameters, {size} px, embeddings of {dim} numbers").format(
        parameters=clip.parameters, size=clip.image_size, dim=clip.dim
    )


def _open_starter(home: Path) -> Any:
    from clip_atelier.engine.models import STARTER, Models

    return Models(home).open(STARTER, settings.HardwareSettings(device="cpu"))


def _embed(clip: Any) -> Any:
    """Embeddings [2, dim] of one drawing and one sentence."""
    import numpy as np

    from clip_atelier.engine.data import image_gate
    from clip_atelier.engine.models import features

    first = next(path for path in sorted(paths.sample_collection().rglob("*.png")))
    picture = image_gate.fit(image_gate.load(first, clip.image_size), clip.image_size)
    return np.concatenate([features.image_now(clip, picture), features.texts(clip, ["a drawing of a cat"])])


def _sample(_home: Path) -> str:
    folder = paths.sample_collection()
    count = sum(1 for path in folder.rglob("*") if path.suffix in (".png", ".webp", ".jpg"))
    if not count:
        raise _Found(_("“{folder}” holds no images").format(folder=paths.shown(folder)))
    return _("{count} images").format(count=count)


def _translations(_home: Path) -> str:
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


def _font(_home: Path) -> str:
    fonts = sorted((paths.resources() / "fonts").glob("*.[ot]tf"))
    if not fonts:
        raise _Found(_("the window's own font, which has Korean, is missing"))
    return ", ".join(font.stem for font in fonts)


def _network_off(home: Path) -> str:
    """Embeds and saves an adapter while every connection raises."""
    from clip_atelier.engine.models import adapters

    with no_network() as attempts, tempfile.TemporaryDirectory() as scratch:
        clip = _open_starter(home)
        _embed(clip)
        adapter = adapters.attach(clip, settings.Settings())
        adapter.save(Path(scratch) / "adapter")
        adapters.detach(clip)
    if attempts:
        raise _Found(_("a connection was tried: {address}").format(address=attempts[0]))
    return _("opened a model, embedded and saved an adapter without any connection")


@contextmanager
def no_network() -> Iterator[list[str]]:
    """While open, no socket connects and no name is looked up; yields what was tried."""
    attempts: list[str] = []

    def refuse(*args: object, **_options: object) -> NoReturn:
        attempts.append(", ".join(str(a) for a in args if not isinstance(a, socket.socket)))
        raise OSError("the network is off for this check")

    doors: tuple[tuple[object, str], ...] = (
        (socket.socket, "connect"),
        (socket.socket, "connect_ex"),
        (socket, "getaddrinfo"),
    )
    before = [getattr(owner, name) for owner, name in doors]
    for owner, name in doors:
        setattr(owner, name, refuse)
    try:
        yield attempts
    finally:
        for (owner, name), door in zip(doors, before, strict=True):
            setattr(owner, name, door)


CHECKS: tuple[tuple[str, Callable[[Path], str]], ...] = (
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


def examine(home: Path, name: str, check: Callable[[Path], str]) -> Check:
    """Makes one check; whatever goes wrong in it is its answer."""
    try:
        return Check(name, True, check(home))
    except _Found as answer:
        return Check(name, False, str(answer))
    except UserError as error:
        return Check(name, False, str(error))
    except Exception as error:  # noqa: BLE001 - a check that breaks is a finding, and the others still run
        return Check(name, False, f"{type(error).__name__}: {error}")


def _arguments(_parser: argparse.ArgumentParser) -> None:
    pass


def _run(_args: argparse.Namespace, session: Session) -> Outcome:
    checks = []
    for name, check in CHECKS:
        session.control.boundary()
        checks.append(examine(session.home, name, check))
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
