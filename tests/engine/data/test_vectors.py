"""SVG drawings: drawn by a process of its own, with nothing from outside of them, and within every bound."""

from __future__ import annotations

import base64
import gzip
import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from clip_atelier.engine.core import Control, Stopped, drive
from clip_atelier.engine.data import Collection, image_gate, scan, vector_drawer, vectors
from clip_atelier.engine.settings import DataSettings

Scan = Callable[..., Collection]
HEAD = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
RED = f'<svg {HEAD} viewBox="0 0 40 20"><rect width="20" height="20" fill="#e02020"/></svg>'
#: Seconds to draw: each group is a picture of its own.
LONG = (
    f'<svg {HEAD} viewBox="0 0 1 1">'
    + '<g opacity=".9">' * 250
    + '<rect width="1" height="1"/>'
    + "</g>" * 250
    + "</svg>"
)


@pytest.fixture(scope="module", autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    vectors.close()
    assert drawers() == []


def drawers() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "--svg-drawer" in p.cmdline()]


@pytest.fixture
def svg(tmp_path: Path) -> Callable[..., Image.Image]:
    """Reads a drawing of this text as a model would."""

    def read(text: str | bytes, name: str = "a.svg") -> Image.Image:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return image_gate.load(tmp_path / name, 224)

    return read


def reason(of: Callable[[], object]) -> str:
    with pytest.raises(image_gate.ImageProblem) as caught:
        of()
    assert "“a.svg”" in str(caught.value)
    return caught.value.reason


def colours(image: Image.Image) -> set[Any]:
    return {colour for _count, colour in image.getcolors(1 << 22) or ()}


def test_drawings_of_a_folder(scanned: Scan, tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(RED, encoding="utf-8")
    (tmp_path / "b.svgz").write_bytes(gzip.compress(RED.replace("40 20", "80 20").encode()))
    (tmp_path / "c.svg").write_bytes(('<?xml version="1.0" encoding="UTF-16"?>' + RED).encode("utf-16"))
    (tmp_path / "d").write_text(RED.replace("#e02020", "blue"), encoding="utf-8")
    (tmp_path / "e.png").write_text("\n" + RED.replace(HEAD, ""), encoding="utf-8")
    found = scanned()
    assert [item.path for item in found.items] == ["a.svg", "b.svgz", "c.svg", "d", "e.png"]
    assert found.problems == ()
    assert {(item.width, item.height) for item in found.items} == {(1024, 512), (1024, 256)}
    for item in found.items:
        image = image_gate.load(found.absolute(item), 224, item.digest)
        assert image.size == (item.width, item.height)
        assert image.getpixel((900, 100)) == (255, 255, 255)
        assert image.getpixel((9, 9)) in ((224, 32, 32), (0, 0, 255))
    assert max(image_gate.thumbnail(tmp_path / "a.svg", 64).size) == 64


def test_it_is_larger_for_whoever_looks_closely(svg: Callable[..., Image.Image], tmp_path: Path) -> None:
    svg(RED)
    assert image_gate.load(tmp_path / "a.svg").size == (2048, 1024)
    assert image_gate.load(tmp_path / "a.svg", vectors.CLOSE).size == (1024, 512)


def test_white_ink_lies_on_a_ground_that_shows_it(svg: Callable[..., Image.Image]) -> None:
    found = svg(RED.replace("#e02020", "white"))
    assert colours(found) == {(40, 40, 40), (255, 255, 255)}


def test_letters_are_drawn_without_the_systems_typefaces(svg: Callable[..., Image.Image]) -> None:
    text = f'<svg {HEAD} viewBox="0 0 40 20"><text x="2" y="15" font-size="14" font-family="Arial">{{}}</text></svg>'
    latin, korean = (np.asarray(svg(text.format(word))) for word in ("ab", "한글"))
    assert latin.min() == korean.min() == 0
    assert (latin != korean).any()


@pytest.mark.fault(65)
@pytest.mark.parametrize("part", [
    "<image href='{}' width='40' height='20'/>", "<image xlink:href='{}' width='40' height='20'/>",
    "<image href=' {}' width='40' height='20'/>", "<image width='40' height='20' style='href:{}'/>",
    "<filter id='f'><feImage href='{}'/></filter><g filter='url(#f)'><rect width='9' height='9' fill='none'/></g>",
    "<use href='{}#a'/>", "<style>@import url({}); rect {{ fill: url({}) }}</style>",
])  # fmt: skip
def test_nothing_outside_of_a_drawing_is_shown(
    svg: Callable[..., Image.Image], tmp_path: Path, part: str
) -> None:
    Image.new("RGB", (40, 20), "blue").save(tmp_path / "beside.png")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        web = f"http://127.0.0.1:{server.getsockname()[1]}/x.png"
        file = tmp_path / "beside.png"
        for place in ("beside.png", file.as_posix(), file.as_uri(), web):
            inside = part.format(place, place)
            assert colours(svg(f'<svg {HEAD} viewBox="0 0 40 20">{inside}</svg>')) == {(255, 255, 255)}, place
        entity = f'<!DOCTYPE svg [<!ENTITY e "{file.as_posix()}">]>'
        inside = part.format("&e;", "&e;")
        assert colours(svg(f'{entity}<svg {HEAD} viewBox="0 0 40 20">{inside}</svg>')) == {(255, 255, 255)}
        with pytest.raises(BlockingIOError):
            server.accept()  # nobody called


def test_a_picture_inside_is_drawn_and_what_it_names_is_not(
    svg: Callable[..., Image.Image], tmp_path: Path
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (4, 2), (0, 0, 255)).save(picture, "PNG")
    Image.new("RGB", (40, 20), "blue").save(tmp_path / "beside.png")
    nested = f'<svg {HEAD} viewBox="0 0 40 20"><image href="{tmp_path / "beside.png"}" width="40" height="20"/></svg>'
    text = '<svg {} viewBox="0 0 40 20"><image href="data:{};base64,{}" width="40" height="20"/></svg>'
    inside = base64.b64encode(picture.getvalue()).decode()
    assert svg(text.format(HEAD, "image/png", inside)).getpixel((500, 250)) == (0, 0, 255)
    inside = base64.b64encode(nested.encode()).decode()
    assert colours(svg(text.format(HEAD, "image/svg+xml", inside))) == {(255, 255, 255)}


@pytest.mark.fault(65)
def test_bounds_of_parts_and_bytes(svg: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "<g>" * 9_000 + "</g>" * 9_000
    assert "too deep" in reason(lambda: svg(f"<svg {HEAD}>{deep}</svg>"))
    uses = "".join(f'<g id="a{i + 1}">' + f'<use href="#a{i}"/>' * 10 + "</g>" for i in range(9))
    bomb = f'<svg {HEAD} viewBox="0 0 9 9"><g id="a0"><rect width="1" height="1"/></g>{uses}</svg>'
    assert "limit reached" in reason(lambda: svg(bomb))
    names = "abcdefghi"
    laughs = "".join(f'<!ENTITY {more} "' + f"&{name};" * 20 + '">' for name, more in pairwise(names))
    bomb = f'<!DOCTYPE svg [<!ENTITY a "{"x" * 1000}">{laughs}]><svg {HEAD}><text>&i;</text></svg>'
    assert "damaged" in reason(lambda: svg(bomb))
    assert "larger than what is read" in reason(
        lambda: svg(gzip.compress(b"<svg>" + b" " * vectors.MAX_BYTES))
    )
    assert svg(f'<svg {HEAD} viewBox="0 0 1 1000000"><rect width="1" height="9"/></svg>').size == (1, 1024)
    monkeypatch.setattr(vectors, "MAX_BYTES", 10)
    assert "larger than what is read" in reason(lambda: svg(RED))
    monkeypatch.setattr(vector_drawer, "MAX_PARTS", 1)
    with pytest.raises(vector_drawer.Refused) as refused:
        vector_drawer.cleaned(RED.encode())
    assert refused.value.answer is vector_drawer.Answer.MANY


@pytest.mark.fault(65)
def test_what_takes_too_long_or_too_much_is_ended_and_others_are_drawn(
    svg: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    svg(RED)
    with pytest.raises(vectors.NoDrawing, match="too long"):
        vectors.drawn(io.BytesIO(LONG.encode()), 224, seconds=0.1)
    assert svg(RED).size == (1024, 512)
    with monkeypatch.context() as patched:
        patched.setattr(vectors, "MAX_MEMORY", 1)
        assert "too much memory" in reason(lambda: svg(LONG))
    (drawer,) = (svg(RED), drawers())[1]
    drawer.kill()
    drawer.wait()
    assert svg(RED).size == (1024, 512)


def test_the_process_leaves_when_nothing_is_asked() -> None:
    code = "from clip_atelier.engine.data import vector_drawer as it; it.IDLE = 0.01; it.draw_vectors()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as waiting:
        assert waiting.wait(60) == 0


@pytest.mark.fault(38)
def test_a_stop_does_not_wait_for_a_drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.svg").write_text(LONG, encoding="utf-8")
    (tmp_path / "b.svg").write_text(RED, encoding="utf-8")
    control, begun = Control(), threading.Event()
    ask = vectors._Drawer.ask

    def told(self: vectors._Drawer, content: bytes, side: int, seconds: float) -> object:
        if content == LONG.encode():
            begun.set()
        return ask(self, content, side, 10 * seconds)

    monkeypatch.setattr(vectors._Drawer, "ask", told)
    stopper = threading.Thread(target=lambda: begun.wait() and control.stop())
    stopper.start()
    with pytest.raises(Stopped):
        drive(scan(tmp_path, DataSettings(), control), lambda _event: None)
    stopper.join()
    assert vectors._busy == set()


def test_what_is_no_drawing_is_named(svg: Callable[..., Image.Image]) -> None:
    for text in (
        "<!DOCTYPE html><html lang=en><body>",
        "<html><svg/></html>",
        "<x",
        "<?xml version='1.0'?><a/>",
    ):
        assert "known kind" in reason(lambda text=text: svg(text)), text
    assert "unclosed token" in reason(lambda: svg(RED[:-20]))
    assert "cut short" in reason(lambda: svg(gzip.compress(RED.encode())[:-9]))
    assert "invalid size" in reason(lambda: svg(f'<svg {HEAD} width="0" height="9"/>'))
    assert "unknown encoding" in reason(lambda: svg('<?xml version="1.0" encoding="nothing"?>' + RED))


def test_where_the_library_is_missing_it_is_named(
    svg: Callable[..., Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors.close()
    (tmp_path / "resvg_py.py").write_text("raise ImportError", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert "“resvg-py”" in reason(lambda: svg(RED))
    vectors.close()
