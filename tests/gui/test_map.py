"""The Map page: what is drawn is where it should be, and a real map from the button to the next start."""

from __future__ import annotations

import csv
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hands import LONG
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QPolygonF
from pytestqt.qtbot import QtBot

from clip_atelier.engine import settings
from clip_atelier.engine.analysis import FolderMap, Subject, map_folder, strength_sweep
from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import Models, adapters
from clip_atelier.engine.runs import Difference, Runs, checkpoints
from clip_atelier.engine.search import ModelRef
from clip_atelier.engine.training import Plan, train
from clip_atelier.gui import theme
from clip_atelier.gui.app_model import AppModel
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.map.page import MapPage
from clip_atelier.gui.pages.map.points import Entry, MapData
from clip_atelier.gui.pages.map.scatter import Scatter
from clip_atelier.gui.parts.pictures import PictureStore
from clip_atelier.gui.widgets.lasso import inside

LEFT = Qt.MouseButton.LeftButton
WINDOW = Callable[..., MainWindow]


def result_of(base: np.ndarray, adapted: np.ndarray | None, folder: Path, **more: list[Any]) -> FolderMap:
    points = [
        {"path": f"{n}.png", "base": list(base[n]), "adapted": None if adapted is None else list(adapted[n])}
        | {key: values[n] for key, values in more.items()}
        for n in range(len(base))
    ]
    return FolderMap.model_validate({"folder": str(folder), "points": points, "scores": {}})


def elsewhere(result: FolderMap, path: str) -> FolderMap:
    """The same map with its first image at another path."""
    first, *others = result.points
    return result.model_copy(update={"points": (first.model_copy(update={"path": path}), *others)})


@pytest.fixture
def scatter(app_model: AppModel, qtbot: QtBot) -> Scatter:
    made = Scatter(PictureStore(app_model.lanes.pictures))
    qtbot.addWidget(made)
    made.resize(600, 400)
    made.show()
    qtbot.waitExposed(made)
    return made


CORNERS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=12)


@given(CORNERS, st.integers(0, 2**32 - 1))
def test_inside_is_what_qt_says(corners: list[tuple[int, int]], seed: int) -> None:
    # Off the whole numbers, so that no point lies on the line itself, where the two may differ.
    points = np.random.default_rng(seed).integers(-60, 60, (40, 2)) + np.array([0.377, 0.613])
    polygon = QPolygonF([QPointF(x, y) for x, y in corners])
    wanted = [polygon.containsPoint(QPointF(x, y), Qt.FillRule.OddEvenFill) for x, y in points]
    assert inside(points, np.array(corners, float)).tolist() == wanted


def test_too_short_a_line_holds_nothing() -> None:
    assert not inside(np.zeros((3, 2)), np.array([[-1.0, -1.0], [1.0, 1.0]])).any()
    assert not inside(np.zeros((3, 2)), np.zeros((0, 2))).any()


def test_rare_labels_share_a_colour_and_unlabelled_images_have_their_own(tmp_path: Path) -> None:
    labels = [f"l{n:02}" for n in range(15) for _copy in range(20 - n)] + [""] * 3
    base = np.zeros((len(labels), 2))
    which, entries = MapData(result_of(base, None, tmp_path, label=labels)).coloured("label")
    assert [e.text for e in entries] == [*(f"l{n:02}" for n in range(12)), "3 others", "no label"]
    for label, number in zip(labels, which, strict=True):
        assert entries[number].text == (
            label if label in {f"l{n:02}" for n in range(12)} else "3 others" if label else "no label"
        )


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(8, 1, "4 times further up or more"), (4, 2, "further up"), (7, 2, "2 to 4 times further up"),
     (5, 5, "same place"), (5, 6, "further down"), (2, 5, "2 to 4 times further down"),
     (1, 4, "4 times further down or more")],
)  # fmt: skip
def test_changes_of_place_are_coloured_by_octaves(before: int, after: int, text: str, tmp_path: Path) -> None:
    base = np.zeros((1, 2))
    data = MapData(result_of(base, base, tmp_path, before=[before], after=[after]))
    which, entries = data.coloured("change")
    assert entries[which[0]].text == text
    assert f"place {before} → {after}" in data.told(0)


def test_only_colourings_that_tell_something_are_offered(tmp_path: Path) -> None:
    base = np.zeros((2, 2))
    assert list(MapData(result_of(base, None, tmp_path)).colourings) == ["none"]
    full = result_of(base, base, tmp_path, label=["a", "b"], split=["train", ""], before=[1, 2], after=[1, 1])
    full = elsewhere(full, "sub/0.png")
    assert list(MapData(full).colourings) == ["label", "folder", "split", "change", "none"]


@pytest.mark.parametrize("t", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_the_ends_of_a_change_have_the_colours_of_gain_and_loss(t: theme.Tokens) -> None:
    assert Entry("", part=1.0).resolved(t) == t.gain
    assert Entry("", part=-1.0).resolved(t) == t.loss
    assert Entry("", "accent").resolved(t) == t.accent
    assert Entry("", "#123456").resolved(t) == "#123456"


def test_points_move_with_the_slider_from_base_to_adapted(scatter: Scatter, tmp_path: Path) -> None:
    base = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    adapted = np.array([[10.0, 10.0], [10.0, 0.0], [0.0, 10.0]])
    scatter.show_data(MapData(result_of(base, adapted, tmp_path, label=["a", "b", "b"])))
    scatter.set_colours(np.array([0, 1, 1]), [Entry("a", "#ff0000"), Entry("b", "#0000ff")])
    scatter._store.get = lambda _path, _size: None  # type: ignore[method-assign]
    for amount, world in ((0.0, (0, 0)), (0.5, (5, 5)), (1.0, (10, 10))):
        scatter.set_amount(amount)
        (x, y), *_rest = scatter.to_screen(np.array([world], float))
        assert scatter.nearest(QPointF(x, y)) == 0
        assert scatter.nearest(QPointF(x + 60, y + 60)) != 0


def test_each_point_has_its_colour_on_the_screen(scatter: Scatter, tmp_path: Path) -> None:
    count = 200
    base = np.stack([np.arange(count) % 20, np.arange(count) // 20], axis=1).astype(float)
    scatter.show_data(MapData(result_of(base, None, tmp_path)))
    colours = ["#ff0000", "#00aa00", "#0000ff"]
    scatter.set_colours(np.arange(count) % 3, [Entry(c, c) for c in colours])
    image = scatter.grab().toImage()
    for n, (x, y) in enumerate(scatter.to_screen(base)):
        assert image.pixelColor(round(x), round(y)) == QColor(colours[n % 3]), n
    scatter.pick(1)
    image = scatter.grab().toImage()
    (x, y), (x1, y1) = scatter.to_screen(base[:2])
    assert image.pixelColor(round(x1), round(y1)) == QColor(colours[1])
    assert image.pixelColor(round(x), round(y)).lightness() > 200, "the others are faint"


def test_zooming_keeps_what_is_under_the_pointer(scatter: Scatter, tmp_path: Path) -> None:
    base = np.random.default_rng(0).normal(size=(300, 2))
    scatter.show_data(MapData(result_of(base, None, tmp_path)))
    assert len(scatter.in_view()) == 300
    at = QPointF(*scatter.to_screen(base[7:8])[0])
    before = scatter.to_world(at)
    scatter.zoom(40, at)
    assert scatter.to_world(at) == pytest.approx(before)
    assert 7 in scatter.in_view()
    assert len(scatter.in_view()) < 70
    scatter.fit()
    assert len(scatter.in_view()) == 300


def test_few_points_in_view_are_shown_as_pictures(scatter: Scatter, tmp_path: Path, qtbot: QtBot) -> None:
    for n in range(2):
        Image.new("RGB", (40, 40), "#cc2200").save(tmp_path / f"{n}.png")
    base = np.array([[0.0, 0.0], [10.0, 0.0]])
    scatter.show_data(MapData(result_of(base, None, tmp_path)))
    scatter.set_colours(np.zeros(2, np.int64), [Entry("", "#0000ff")])
    (x, y), *_rest = scatter.to_screen(base)

    def shown() -> None:
        colour = scatter.grab().toImage().pixelColor(round(x) + 10, round(y))
        assert colour.red() > 150
        assert colour.blue() < 60

    qtbot.waitUntil(lambda: _passes(shown), timeout=10_000)


def _passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except AssertionError:
        return False
    return True


def test_the_lasso_chooses_what_lies_inside(scatter: Scatter, tmp_path: Path, qtbot: QtBot) -> None:
    base = np.stack([np.arange(100) % 10, np.arange(100) // 10], axis=1).astype(float)
    scatter.show_data(MapData(result_of(base, None, tmp_path)))
    seen: list[Any] = []
    scatter.chosen.connect(seen.append)
    scatter.set_lasso(True)
    corners = scatter.to_screen(np.array([[1.5, 1.5], [4.5, 1.5], [4.5, 3.5], [1.5, 3.5]]))
    places = [QPoint(round(x), round(y)) for x, y in corners]
    qtbot.mousePress(scatter, LEFT, pos=places[0])
    for place in places[1:]:
        qtbot.mouseMove(scatter, place)
    qtbot.mouseRelease(scatter, LEFT, pos=places[-1])
    assert np.flatnonzero(seen[-1]).tolist() == [22, 23, 24, 32, 33, 34]
    qtbot.keyClick(scatter, Qt.Key.Key_Escape)
    assert seen[-1] is None


def test_dragging_and_keys_move_the_map(scatter: Scatter, tmp_path: Path, qtbot: QtBot) -> None:
    base = np.random.default_rng(0).normal(size=(300, 2))
    scatter.show_data(MapData(result_of(base, None, tmp_path)))
    before = scatter.to_screen(base)
    qtbot.mousePress(scatter, LEFT, pos=QPoint(300, 200))
    qtbot.mouseMove(scatter, QPoint(340, 190))
    qtbot.mouseRelease(scatter, LEFT, pos=QPoint(340, 190))
    assert scatter.to_screen(base) - before == pytest.approx(np.tile([40.0, -10.0], (300, 1)))
    qtbot.keyClick(scatter, Qt.Key.Key_Right)
    assert scatter.to_screen(base) - before == pytest.approx(np.tile([0.0, -10.0], (300, 1)))
    qtbot.keyClick(scatter, Qt.Key.Key_0)
    assert scatter.to_screen(base) == pytest.approx(before)


def test_five_thousand_points_stay_fluid(scatter: Scatter, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    base = random.normal(size=(5000, 2))
    data = MapData(result_of(base, base + 0.1 * random.normal(size=base.shape), tmp_path))
    scatter.show_data(data)
    scatter.set_colours(np.arange(5000) % 9, [Entry("", c) for c in theme.SERIES[:9]])
    times = []
    for step in range(15):
        began = time.perf_counter()
        scatter.set_amount(step / 15)
        scatter.repaint()
        times.append(time.perf_counter() - began)
    assert statistics.median(times) < 0.05  # 2 ms where the machine has nothing else to do


def test_hostile_names_are_shown_as_they_are(tmp_path: Path) -> None:
    result = result_of(np.zeros((1, 2)), None, tmp_path, caption=["<b>x</b>"], label=["a & b"])
    result = elsewhere(result, "\udcff<i>.png")
    data = MapData(result)
    assert data.title(0) == "<b>x</b>"
    assert data.told(0) == ["\\xff<i>.png", "a & b"]
    assert str(data.path(0)).endswith("\udcff<i>.png")


# A real map


@pytest.fixture
def trained(home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    chosen = settings.build(quick(train__epochs=3, train__learning_rate=5e-3))
    return drive(train(Plan(tiny_pairs, chosen, home), Models(home), Control())).as_json()


def shown_map(window: MainWindow, qtbot: QtBot) -> MapPage:
    window.show_page("map")
    page = window.page("map")
    assert isinstance(page, MapPage)
    qtbot.waitUntil(lambda: bool(window.app_model.runs) and page.subject is not None, timeout=10_000)
    return page


def test_a_map_from_the_button_to_the_next_start(
    open_window: WINDOW, trained: dict[str, Any], tiny_pairs: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    window = open_window(language="en", folder=str(tiny_pairs), run=trained["run"])
    page = shown_map(window, qtbot)
    assert page.stack.currentIndex() == 0
    page.perplexity.set_value(8)
    page.perplexity.edited.emit()
    qtbot.mouseClick(page.measurement.start, LEFT)
    assert page.measurement.busy
    qtbot.waitUntil(lambda: page.data is not None, timeout=LONG)
    qtbot.waitUntil(lambda: not page.measurement.busy, timeout=5000)
    data = page.data
    assert data is not None
    assert len(data.points) == 48
    assert data.adapted is not None
    assert page.result is not None
    assert page.result.strength == trained["strength"] == window.app_model.strength.value
    assert data.scores["perplexity"] == pytest.approx(8)
    said = [label.text() for label in page.reading.findChildren(type(page.count)) if label.text()]
    if trained["strength"]:
        assert any("of the motion shows up in the control too, where nothing was learned" in s for s in said)
    else:
        assert any("Nothing moved" in s for s in said)
    assert any("trustworthiness" in s for s in said)
    assert page.colour.value() == "folder"
    assert {e.text for e in page.legend._entries} == {"artworks", "sketches"}
    assert list(page.legend._counts) == [24, 24]
    # The slider shows both ends.
    page.bar.slider.setValue(0)
    assert page.scatter.at == pytest.approx(data.base)
    page.bar.slider.setValue(page.bar.slider.maximum())
    assert page.scatter.at == pytest.approx(data.adapted)
    # Chosen images are listed, and can be given up again.
    page.scatter.select(np.arange(48) < 5)
    assert page.list.tiles.rowCount() == 5
    assert page.side.selected.text() == "5 images chosen"
    qtbot.mouseClick(page.side.drop, LEFT)
    assert page.side.currentIndex() == 0
    # Saved as a table and as a picture.
    for name in ("map.csv", "map.png"):
        page.save(tmp_path / name)
        qtbot.waitUntil(lambda name=name: page.count.text() == f"Saved as {name}", timeout=10_000)
    text = (tmp_path / "map.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 48
    assert rows[0]["path"] == data.points[0].path
    assert float(rows[0]["adapted_x"]) == pytest.approx(data.adapted[0, 0])
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size == (2 * page.scatter.width(), 2 * page.scatter.height())
        assert len(picture.getcolors(1 << 24)) > 10
    window.close()
    # The next start shows it without drawing it again.
    again = shown_map(open_window(), qtbot)
    qtbot.waitUntil(lambda: again.data is not None, timeout=10_000)
    assert again.result == page.result
    assert again.perplexity.value() == 8
    assert not again.measurement.busy


def test_the_base_alone_can_be_mapped_and_a_stop_leaves_nothing(
    open_window: WINDOW, tiny_pairs: Path, quick: Callable[..., dict[str, Any]], qtbot: QtBot, home: Path
) -> None:
    window = open_window(language="en", folder=str(tiny_pairs), draft={"model.name": quick()["model.name"]})
    window.show_page("map")
    page = window.page("map")
    assert isinstance(page, MapPage)
    qtbot.waitUntil(page.measurement.start.isEnabled, timeout=10_000)
    page.draw_map()
    qtbot.mouseClick(page.measurement.stop, LEFT)
    qtbot.waitUntil(lambda: not page.measurement.busy, timeout=LONG)
    assert page.data is None
    assert not list((home / "cache").glob("measured/*"))
    page.draw_map()
    qtbot.waitUntil(lambda: page.data is not None, timeout=LONG)
    assert page.data is not None
    assert page.data.adapted is None
    assert not page.bar.way.isVisible()
    window.set_language("ko")
    assert "change" not in page.data.colourings


@pytest.fixture
def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few dozen images are drawn as tens of thousands are."""
    for module in ("coarse", "layouts"):
        monkeypatch.setattr(f"clip_atelier.engine.analysis.projection.{module}.SAMPLE", 20)


@pytest.mark.usefixtures("as_if_large")
def test_a_first_picture_is_shown_while_a_large_map_is_drawn(
    open_window: WINDOW, home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    run = changed_run(home, tiny_pairs, settings.build(quick()))
    window = open_window(language="en", folder=str(tiny_pairs), run=run)
    page = shown_map(window, qtbot)
    page.perplexity.set_value(5)
    seen: list[tuple[bool, bool, bool, str]] = []
    show = page._show

    def looked_at(result: FolderMap | None) -> None:
        show(result)
        if page.data is None:
            return
        said = " ".join(label.text() for label in page.reading.findChildren(type(page.count)))
        seen.append((page.data.finished, page.data.adapted is not None, page.export.isEnabled(), said))

    monkeypatch.setattr(page, "_show", looked_at)
    page.draw_map()
    qtbot.waitUntil(lambda: page.data is not None and page.data.finished, timeout=LONG)
    assert len(seen) >= 2
    assert all("first picture" in said for _done, _moved, _export, said in seen[:-1])
    assert {one[:3] for one in seen[:-1]} == {(False, False, False)}
    assert seen[-1][:3] == (True, True, True)
    assert "trustworthiness" in seen[-1][3]
    assert page.scatter.at == pytest.approx(page.data.adapted)


@pytest.mark.usefixtures("as_if_large")
def test_a_map_that_is_stopped_early_leaves_no_first_picture(
    open_window: WINDOW, tiny_pairs: Path, quick: Callable[..., dict[str, Any]], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    window = open_window(language="en", folder=str(tiny_pairs), draft={"model.name": quick()["model.name"]})
    window.show_page("map")
    page = window.page("map")
    assert isinstance(page, MapPage)
    qtbot.waitUntil(page.measurement.start.isEnabled, timeout=10_000)
    with monkeypatch.context() as patch:
        patch.setattr("clip_atelier.engine.analysis.projection.layouts.FRESH", ((10**6, 1.0),))
        page.draw_map()
        qtbot.waitUntil(lambda: page.data is not None, timeout=LONG)
        assert page.data is not None
        assert not page.data.finished
        qtbot.mouseClick(page.measurement.stop, LEFT)
        qtbot.waitUntil(lambda: not page.measurement.busy, timeout=LONG)
        assert page.data is None
    page.draw_map()
    qtbot.waitUntil(lambda: page.data is not None and page.data.finished, timeout=LONG)


# The dial


def turn(page: MapPage, to: float, qtbot: QtBot) -> None:
    """Drags the dial's handle with the mouse."""
    slider = page.dial.slider
    start, end = (
        QPoint(round(8 + v / 1.5 * (slider.width() - 16)), slider.height() // 2)
        for v in (slider.value() / 100, to)
    )
    qtbot.mousePress(slider, LEFT, pos=start)
    for part in (0.3, 0.7, 1.0):
        qtbot.mouseMove(slider, start + (end - start) * part)
    qtbot.mouseRelease(slider, LEFT, pos=end)
    assert slider.value() / 100 == pytest.approx(to, abs=0.03)


def told(page: MapPage) -> list[str]:
    return [label.text() for label in (page.worth.head, *page.worth.metrics.values())]


def changed_run(home: Path, folder: Path, chosen: settings.Settings) -> str:
    """A run whose update is random and large, so that it changes every embedding for sure."""
    run = Runs(home).create("", chosen, folder)
    adapter = adapters.attach(Models(home).open(chosen.model.name, chosen.hardware), chosen)
    random = torch.Generator().manual_seed(3)
    state = {k: v + 0.3 * torch.randn(v.shape, generator=random) for k, v in adapter.state().items()}
    checkpoints.save(run.path / "checkpoints", checkpoints.State(step=1, best_step=1), state, {})
    return run.id


@pytest.mark.parametrize("targets", [["visual_projection"], ["q_proj", "v_proj"]], ids=["behind", "inside"])
def test_the_dial_moves_points_and_metrics_on_every_page(
    open_window: WINDOW, home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]], qtbot: QtBot,
    targets: list[str],
) -> None:  # fmt: skip
    run = changed_run(home, tiny_pairs, settings.build(quick(lora__target_modules=targets)))
    window = open_window(language="en", folder=str(tiny_pairs), run=run)
    page = shown_map(window, qtbot)
    strength = window.app_model.strength
    assert strength.value == strength.recommended == 1.0
    page.perplexity.set_value(8)
    page.draw_map()
    qtbot.waitUntil(lambda: page.data is not None and not page.measurement.busy, timeout=LONG)
    assert page.data is not None
    base, first = page.data.base, page.data.adapted

    # By mouse: the points move, the metrics are those of that very strength, and the scores too.
    page.scatter.select(np.arange(48) < 5)
    page.scatter.zoom(2)
    view = page.scatter.scale
    turn(page, 1.4, qtbot)
    now = strength.value
    qtbot.waitUntil(lambda: page.result is not None and page.result.strength == now, timeout=LONG)
    qtbot.waitUntil(lambda: strength.reading is not None and strength.reading.strength == now, timeout=LONG)
    assert (strength.meter is not None) == (targets == ["visual_projection"])
    measured = drive(strength_sweep.measure(home, run, now, Models(home), Control())).as_json()
    assert strength.reading.as_json() == measured
    assert told(page)[0] == f"Sketch → artwork at strength {now:g}:"
    assert told(page)[1].startswith(
        f"R@1 {measured['metrics']['R@1']['base']:.3f} → {measured['metrics']['R@1']['value']:.3f}, "
    )
    assert page.data.adapted is not None
    assert not np.array_equal(page.data.adapted, first)
    np.testing.assert_array_equal(page.data.base, base)
    qtbot.waitUntil(lambda: np.allclose(page.scatter.at, page.data.adapted), timeout=10_000)
    assert page.scatter.scale == view, "where one looked stays"
    assert page.list.tiles.rowCount() == 5, "what was chosen stays"

    # The command line's map at that strength is the same one.
    lens = ModelRef(run, now)
    again = drive(map_folder(tiny_pairs, lens, Models(home), Control(), perplexity=8)).as_json()
    assert [list(p["adapted"]) for p in again["points"]] == page.data.adapted.tolist()
    assert {k: again["scores"][k] for k in again["scores"]} == dict(page.data.scores)

    # Strength 0 is the base itself, exactly.
    turn(page, 0.0, qtbot)
    page.dial.slider.setValue(0)
    qtbot.waitUntil(lambda: page.result is not None and page.result.strength == 0, timeout=LONG)
    np.testing.assert_array_equal(page.data.adapted, page.data.base)
    qtbot.waitUntil(lambda: strength.reading is not None and strength.reading.strength == 0, timeout=LONG)
    assert strength.reading is not None
    for name in ("R@1", "mAP"):
        assert (
            strength.reading.metrics[name].value
            == strength.reading.metrics[name].base
            == measured["metrics"][name]["base"]
        )
        assert strength.reading.metrics[name].difference == Difference(value=0.0, low=0.0, high=0.0)
    assert told(page)[1] == f"R@1 {measured['metrics']['R@1']['base']:.3f}, the untouched base"

    # One strength for the window, and a way back.
    for name in ("search", "learned"):
        window.show_page(name)
        other = window.page(name)
        qtbot.waitUntil(other.dial.slider.isVisible, timeout=10_000)  # type: ignore[attr-defined]
        assert other.dial.slider.value() == 0  # type: ignore[attr-defined]
    other.dial.slider.setValue(75)  # type: ignore[attr-defined]
    assert page.dial.number.text() == "0.75"
    assert page.result is not None
    assert page.result.strength == 0, "a page that is not seen does not work"
    window.show_page("map")
    qtbot.waitUntil(lambda: page.result is not None and page.result.strength == 0.75, timeout=LONG)
    page.dial.best.setEnabled(True)
    qtbot.mouseClick(page.dial.best, LEFT)
    assert strength.value == 1.0
    assert not strength.by_hand
    qtbot.waitUntil(lambda: page.result is not None and page.result.strength == 1.0, timeout=LONG)
    window.set_language("ko")


def test_what_is_not_measured_is_shown_as_the_nearest_that_is(
    open_window: WINDOW, home: Path, tiny_pairs: Path, trained: dict[str, Any], qtbot: QtBot
) -> None:
    window = open_window(language="en", folder=str(tiny_pairs), run=trained["run"])
    page = shown_map(window, qtbot)
    strength = window.app_model.strength
    qtbot.waitUntil(lambda: not window.app_model.lanes.files.busy, timeout=10_000)
    strength.resting.setInterval(10**6)
    strength.set(1.3)
    known = max({0.0, trained["strength"]})
    assert told(page)[0] == f"Sketch → artwork at the nearest measured strength, {known:g}:"
    strength.resting.timeout.emit()
    qtbot.waitUntil(lambda: strength.reading is not None and strength.reading.strength == 1.3, timeout=LONG)
    assert told(page)[0] == "Sketch → artwork at strength 1.3:"
    assert not page.worth.note.isVisible()
    window.close()
    # It is remembered.
    again = open_window(language="en")
    shown_map(again, qtbot)
    assert again.app_model.strength.value == 1.3
    qtbot.waitUntil(lambda: again.app_model.strength.reading.strength == 1.3, timeout=10_000)  # type: ignore[index]


def test_a_map_that_is_stopped_says_what_it_shows(
    open_window: WINDOW, home: Path, tiny_pairs: Path, quick: Callable[..., dict[str, Any]], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    run = changed_run(home, tiny_pairs, settings.build(quick()))
    window = open_window(language="en", folder=str(tiny_pairs), run=run)
    page = shown_map(window, qtbot)
    window.app_model.strength.set(1.0)
    page.draw_map()
    qtbot.waitUntil(lambda: page.data is not None and not page.measurement.busy, timeout=LONG)
    monkeypatch.setattr("clip_atelier.gui.pages.map.page._QUICK", 10)
    window.app_model.strength.set(0.5)
    assert page.job is None, "a large map waits until the dial rests"
    page.resting.timeout.emit()
    assert page.measurement.busy
    qtbot.mouseClick(page.measurement.stop, LEFT)
    qtbot.waitUntil(lambda: not page.measurement.busy, timeout=LONG)
    assert page.job is None
    assert not page.resting.isActive() or page._given_up
    assert page.result is not None
    assert page.result.strength == 1.0
    assert page.behind.text() == "The map still shows strength 1."
    window.app_model.strength.set(0.6)
    page.resting.timeout.emit()
    qtbot.waitUntil(lambda: page.result is not None and page.result.strength == 0.6, timeout=LONG)
    assert page.behind.text() == ""


def test_a_damaged_kept_map_is_as_none(
    open_window: WINDOW, tiny_pairs: Path, qtbot: QtBot, home: Path
) -> None:
    subject = Subject("map", "", "starter", str(tiny_pairs))
    file = subject.file(home)
    file.parent.mkdir(parents=True)
    for content in ("{", json.dumps([1]), json.dumps({"version": 99})):
        file.write_text(content)
        window = open_window(language="en", folder=str(tiny_pairs))
        window.show_page("map")
        page = window.page("map")
        assert isinstance(page, MapPage)
        qtbot.waitUntil(lambda w=window: not w.app_model.lanes.files.busy, timeout=10_000)
        assert page.subject == subject
        assert page.data is None
        window.close()


def test_a_group_leads_to_its_captions_and_to_what_it_has_in_common(
    open_window: WINDOW, tiny_pairs: Path, quick: Callable[..., dict[str, Any]], qtbot: QtBot
) -> None:
    window = open_window(language="en", folder=str(tiny_pairs), draft={"model.name": quick()["model.name"]})
    window.app_model.rescan()
    qtbot.waitUntil(lambda: window.app_model.collection is not None, timeout=LONG)
    window.show_page("map")
    page: Any = window.page("map")
    qtbot.waitUntil(page.measurement.start.isEnabled, timeout=LONG)
    qtbot.mouseClick(page.measurement.start, LEFT)
    qtbot.waitUntil(lambda: page.data is not None and page.data.finished, timeout=LONG)
    data = page.data
    assert data is not None
    assert len(data.groups) > 1
    page.colour.set_value("group")
    page.colour.edited.emit()
    which, entries = data.coloured("group")
    assert {entry.text for entry in entries} == set(data.groups)

    page.legend.pick(1)
    chosen = [data.points[int(n)].path for n in np.flatnonzero(which == 1)]
    assert [tile.path for tile in page.side._tiles] == [tiny_pairs / path for path in chosen]
    page.side.captions.click()
    collection: Any = window.page("collection")
    assert collection.tabs.current == "captions"
    assert sorted(collection.captions.table.captions.shown) == sorted(chosen)

    window.show_page("map")
    page.side.common.click()
    search: Any = window.page("search")
    qtbot.waitUntil(lambda: bool(search.picture.paths), timeout=LONG)
    assert len(search.picture.paths) == len(chosen)

    # What stands alone and what is nearly the same is a click away, where there is any.
    window.show_page("map")
    page.side.drop.click()
    for button, those in ((page.side.alone, data.alone), (page.side.twins, data.twins)):
        assert button.isHidden() is not bool(those)
        if those:
            button.click()
            assert {tile.data for tile in page.side._tiles} == set(those)
