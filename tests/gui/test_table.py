"""The Table page on real runs: reading, sorting, marking, filling, going on, exporting."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hands import LONG
from PIL import Image
from PySide6.QtCore import QPointF, Qt, QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QMenu, QMessageBox
from pytestqt.qtbot import QtBot

from clip_atelier.engine import experiments, settings, training
from clip_atelier.engine.core import Cell, Control, Started, Step, Work, drive, i18n
from clip_atelier.engine.evaluation import comparison
from clip_atelier.engine.models import Models
from clip_atelier.engine.runs import Runs, TrainResult, relabel
from clip_atelier.gui import theme
from clip_atelier.gui.main_window import MainWindow
from clip_atelier.gui.pages.table import heatmap, pdf
from clip_atelier.gui.pages.table.fill import brief, read_values
from clip_atelier.gui.pages.table.heatmap import Heat, HeatMap, Panel
from clip_atelier.gui.pages.table.overlay import MOST, Curve, Overlay
from clip_atelier.gui.pages.table.queue import GridRecord
from clip_atelier.gui.parts.table_model import RunTable
from clip_atelier.gui.workers import Tools

LEFT = Qt.MouseButton.LeftButton
Open = Callable[..., MainWindow]
Quick = Callable[..., dict[str, object]]


@pytest.fixture(scope="module")
def made(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home with a filled table of four cells, and its collection."""
    folder, home = tmp_path_factory.mktemp("drawings"), tmp_path_factory.mktemp("home")
    for index in range(32):
        colour = ("red", "blue", "green", "gray")[index % 4]
        (folder / colour).mkdir(exist_ok=True)
        image = Image.effect_noise((40, 40), 30 + index).convert("RGB")
        image.paste(colour, (index % 8, 4, 30, 36))
        image.save(folder / colour / f"{index}.png")
    values = {
        "model.name": str(tiny_clip), "train.epochs": 2, "train.batch_size": 8, "train.checks": 2,
        "train.learning_rate": 5e-3, "hardware.device": "cpu", "hardware.threads": 1, "data.validation": 0.25,
        "data.test": 0.25,
    }  # fmt: skip
    vary = {"lora.r": (2, 4), "lora.target_modules": (("q_proj", "v_proj"), ("visual_projection",))}
    drive(experiments.fill(experiments.Grid(folder, values, vary), home, Models(home), Control()))
    return home, folder


@pytest.fixture
def filled(made: tuple[Path, Path], home: Path, open_window: Open, qtbot: QtBot) -> Any:
    """The Table page of a window on a copy of that home."""
    for name in ("runs", "grids"):
        shutil.copytree(made[0] / name, home / name)
    window = open_window(language="en", theme="light", page="table")
    page = window.page("table")
    settle(page, qtbot)
    return page


def settle(page: Any, qtbot: QtBot) -> None:
    """Waits until all that was read is shown."""
    qtbot.waitUntil(lambda: page._known and not page.app_model.lanes.files.busy, timeout=30_000)


def names(page: Any) -> list[str]:
    return [row.name for row in page.view.table.rows]


def titles(page: Any) -> list[str]:
    return [column.title for column in page.view.table.columns]


def click_head(page: Any, title: str) -> None:
    page.view.horizontalHeader().sectionClicked.emit(titles(page).index(title))


# Reading


def test_every_run_stands_in_the_table_with_its_numbers(filled: Any) -> None:
    assert len(names(filled)) == 4
    assert {"r", "lora_alpha", "target_modules", "R@1", "mAP", "Parameters", "Time", "Verdict"} <= set(
        titles(filled)
    )
    table = filled.view.table
    for place, row in enumerate(table.rows):
        key = f"{filled.task.value()}/mAP"
        cell = table.cell(row, table.columns[titles(filled).index("mAP")])
        assert cell.first == f"{row.value(key, 'base'):.3f} → {row.value(key):.3f}"
        assert cell.second == comparison.spoken(row.difference(key), key)
        assert table.index(place, titles(filled).index("r")).data() == str(row.settings["lora.r"])


def test_a_click_on_a_head_sorts_and_what_is_missing_stays_last(
    filled: Any, home: Path, qtbot: QtBot
) -> None:
    Runs(home).create("begun", settings.build({}), home)
    filled.read()
    settle(filled, qtbot)
    key = f"{filled.task.value()}/R@1"
    click_head(filled, "R@1")
    values = [row.value(key) for row in filled.view.table.rows[:4]]
    assert values == sorted(values, reverse=True)
    assert names(filled)[4] == "begun"
    click_head(filled, "R@1")
    assert [row.value(key) for row in filled.view.table.rows[:4]] == sorted(values)
    assert names(filled)[4] == "begun"


def test_columns_share_the_room_of_a_wide_window(filled: Any) -> None:
    view = filled.view

    def widths(room: int) -> list[int]:
        view.resize(room, view.height())
        return [view.columnWidth(place) for place in range(view.model().columnCount())]

    before = widths(3000)
    after = widths(3000 + 40 * len(before))
    assert after == [width + 40 for width in before]
    assert view.viewport().width() - sum(after) <= len(after), "nothing is left empty beside the last one"


def test_the_chosen_run_stays_chosen_when_the_order_changes(filled: Any) -> None:
    run = filled.view.table.rows[2].run
    filled.view.choose([run])
    click_head(filled, "target_modules")
    assert filled.view.runs() == [run]
    assert filled.run.name.full_text() == filled.view.table.rows[filled.view.table.place_of(run)].name


def test_order_columns_and_measure_survive_a_restart(filled: Any, open_window: Open, qtbot: QtBot) -> None:
    menu = QMenu()
    filled.view.fill_columns_menu(menu)
    actions = {action.text(): action for action in menu.actions()}
    actions["MRR"].trigger()
    actions["Time"].trigger()
    click_head(filled, "MRR")
    order = names(filled)
    filled.measure.set_value("MRR")
    filled.measure.edited.emit()
    filled.app_model.state.save()

    again = open_window(page="table").page("table")
    settle(again, qtbot)
    assert "MRR" in titles(again)
    assert "Time" not in titles(again)
    assert names(again) == order
    assert again.measure.value() == "MRR"


def test_another_direction_shows_its_own_numbers(filled: Any, qtbot: QtBot) -> None:
    assert filled.task.count() == 2  # no pairs in this collection
    other = next(d for d in ("text_to_image", "image_to_text") if d != filled.task.value())
    filled.task.set_value(other)
    filled.task.edited.emit()
    settle(filled, qtbot)
    row = filled.view.table.rows[0]
    cell = filled.view.table.cell(row, filled.view.table.columns[titles(filled).index("R@1")])
    assert cell.first.endswith(f"{row.value(f'{other}/R@1'):.3f}")


def test_marks_and_the_sentence_are_what_the_engine_allows(filled: Any, home: Path) -> None:
    rows = comparison.rows(home)
    shown = [column.name for column in filled.view.table.columns if column.kind == "metric"]
    assert len(shown) == 2
    for key in shown:
        expected = comparison.marks(rows, key)
        assert {row.run: filled.view.table.mark(row, key) for row in rows if row.run in expected} == expected
    best = [run for run, mark in comparison.marks(rows, filled.key).items() if mark == "best"]
    said = filled.summary.text()
    assert ("best is" in said) == bool(best)
    assert ("no training is measurably better" in said) == (not best)


def test_names_are_shown_as_they_are(filled: Any, home: Path, qtbot: QtBot) -> None:
    run = Runs(home).list()[0]
    relabel(run.path, name="<b>bold</b> & <img src=x>")
    filled.read()
    settle(filled, qtbot)
    assert "<b>bold</b> & <img src=x>" in names(filled)
    filled.view.choose([run.id])
    assert filled.run.name.full_text() == "<b>bold</b> & <img src=x>"
    table = filled.view.table
    tip = table.index(table.place_of(run.id), titles(filled).index("R@1")).data(Qt.ItemDataRole.ToolTipRole)
    assert "<img" not in tip


def test_the_page_speaks_korean_at_once(filled: Any, qtbot: QtBot) -> None:
    window = filled.window()
    window.set_language("ko")
    settle(filled, qtbot)
    assert "학습 기록" in titles(filled)
    assert any("가" <= letter <= "힣" for letter in filled.fill.text())
    window.resize(1280, 800)
    filled.refresh()
    assert filled.view.horizontalScrollBar().maximum() == 0  # Names give way, no number is cut off.
    window.set_language("en")
    assert "Trainings" in titles(filled)


def test_runs_of_several_collections_are_told_apart(
    filled: Any, home: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    assert "Collection" not in titles(filled)
    first = Runs(home).list()[0]
    record = first.record
    shutil.copytree(record.folder, tmp_path / "others")
    first.write_record(record.model_copy(update={"folder": str(tmp_path / "others")}))
    filled.read()
    qtbot.waitUntil(lambda: "Collection" in titles(filled), timeout=30_000)


# The parts below the table


def test_a_click_in_the_heat_map_chooses_the_run(filled: Any, qtbot: QtBot) -> None:
    filled.tabs.choose("heat")
    run = filled.view.table.rows[3].run
    filled.view.choose([filled.view.table.rows[0].run])
    qtbot.waitUntil(lambda: not filled.heat.rect_of(run).isEmpty(), timeout=5000)
    qtbot.mouseClick(filled.heat, LEFT, pos=filled.heat.rect_of(run).center().toPoint())
    assert filled.view.runs() == [run]
    heat = filled.heat.heat_at(QPointF(filled.heat.rect_of(run).center()))
    row = next(row for row in filled.stand.rows if row.run == run)
    assert heat.value == f"{row.value(filled.key):.3f}"


def test_the_heat_map_averages_what_differs_otherwise_and_has_a_field_for_each_target(home: Path) -> None:
    def row(run: str, r: int, alpha: float, target: str, gain: float) -> comparison.Row:
        change = {"value": gain, "low": gain - 0.1, "high": gain + 0.1}
        return comparison.Row(
            run, run, "done", 0.0, "f", home,
            {"train.method": "lora", "lora.r": r, "lora.lora_alpha": alpha, "lora.target_modules": [target]},
            TrainResult.model_validate(
                {"base": {"a/R@1": 0.2}, "adapted": {"a/R@1": 0.2 + gain}, "difference": {"a/R@1": change}}
            ),
        )  # fmt: skip

    rows = [row("1", 8, 16, "q_proj", 0.2), row("2", 8, 16, "q_proj", 0.4), row("3", 16, 32, "k_proj", -0.05)]
    shown = heatmap.panels(rows, "a/R@1", {"2"})
    assert [panel.title for panel in shown] == ["q_proj", "k_proj"]
    assert shown[0].ranks == shown[1].ranks == (8, 16)
    both = shown[0].cells[(8, 16.0)]
    assert both.shown == "+0.300"
    assert both.runs == ("1", "2")
    assert "differ by 0.141" in both.tip  # 0.4 and 0.6
    assert both.sure
    assert both.marked
    assert not shown[1].cells[(16, 32.0)].sure


def test_the_heat_map_never_averages_unlike_runs_and_says_what_is_held_equal(
    filled: Any, home: Path, qtbot: QtBot
) -> None:
    filled.tabs.choose("heat")
    rows = filled.view.table.rows
    assert "left out because they differ: 0" in filled.heat_note.text()
    folder = next(run for run in Runs(home).list() if run.id == rows[0].run)
    record = folder.record
    folder.write_record(
        record.model_copy(update={"settings": {**record.settings, "train.learning_rate": 1e-5}})
    )
    filled.view.choose([rows[1].run])
    filled.read()
    qtbot.waitUntil(lambda: "differ: 1" in filled.heat_note.text(), timeout=30_000)
    drawn = {run for panel in filled.heat._panels for heat in panel.cells.values() for run in heat.runs}
    assert drawn == {row.run for row in rows[1:]}
    filled.view.choose([rows[0].run])
    assert filled.heat.rect_of(rows[1].run).isEmpty()


def luminance(colour: QColor) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: QColor, other: QColor) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_every_number_in_the_heat_map_can_be_read(tokens: theme.Tokens) -> None:
    for full in (tokens.accent, tokens.warning):
        for level in range(101):
            fill = heatmap._mixed(
                QColor(tokens.surface), QColor(full), heatmap.DEEPEST[tokens.dark] * level / 100
            )
            assert contrast(fill, QColor(tokens.text)) >= 4.5, (full, level)


def test_gain_and_harm_differ_in_blue_against_yellow_not_in_red_against_green() -> None:
    for tokens in (theme.LIGHT, theme.DARK):
        gain, harm = QColor(tokens.accent), QColor(tokens.warning)
        assert gain.blueF() - gain.redF() > 0.25
        assert harm.redF() - harm.blueF() > 0.25


def test_a_heat_map_without_room_goes_on_below(qtbot: QtBot) -> None:
    heat = Heat(0.1, "+0.100", "0.300", True, False, ("a",), "")
    panels = [Panel(name, (8, 16), (16.0, 32.0), {(8, 16.0): heat}) for name in ("one", "two")]
    widget = HeatMap()
    qtbot.addWidget(widget)
    widget.show_panels(panels)
    assert widget.heightForWidth(320) > widget.heightForWidth(1000)


def test_curves_of_the_chosen_runs_lie_over_each_other(filled: Any, home: Path, qtbot: QtBot) -> None:
    filled.tabs.choose("curves")
    runs = [row.run for row in filled.view.table.rows[:3]]
    filled.view.choose(runs)
    settle(filled, qtbot)
    plot = filled.overlay.plot
    for number, run in enumerate(filled.view.runs()):
        recorded = {
            event.step: event.metrics[filled.key]
            for event in Runs(home).open(run).events()
            if event.kind == "check"
        }
        x, y = plot._curves[str(number)][0].getData()
        assert list(y) == [recorded[step] for step in sorted(recorded)]
        assert len(x) == len(recorded)
    assert [entry.isHidden() for entry in filled.overlay._entries] == [False] * 3 + [True] * (MOST - 3)


def test_more_curves_than_can_be_told_apart_are_not_drawn(qtbot: QtBot) -> None:
    overlay = Overlay()
    qtbot.addWidget(overlay)
    overlay.show_curves([Curve(str(n), (0.0, 1.0), (0.1, 0.2)) for n in range(MOST + 3)], 0.1)
    assert str(MOST) in overlay.note.text()


# What can be done with a run


def test_open_in_training_and_search(filled: Any) -> None:
    window = filled.window()
    run = filled.view.table.rows[1].run
    filled.view.choose([run])
    filled.run.to_training.click()
    assert window.app_model.state.get("run") == run
    assert window.app_model.state.get("page") == "training"
    window.show_page("table")
    filled.run.to_search.click()
    assert window.app_model.state.get("page") == "search"


def test_deleting_asks_first(filled: Any, home: Path, qtbot: QtBot) -> None:
    run = filled.view.table.rows[0].run

    def answer(word: str) -> None:
        box = filled.findChild(QMessageBox)
        next(button for button in box.buttons() if button.text() == word).click()

    for word, left in (("Keep", 4), ("Delete", 3)):
        QTimer.singleShot(200, lambda word=word: answer(word))
        filled.run.delete.emit([run])
        settle(filled, qtbot)
        qtbot.waitUntil(lambda left=left: len(names(filled)) == left, timeout=10_000)
        assert len(Runs(home).list()) == left
        assert filled.findChild(QMessageBox).isHidden()
        filled.findChild(QMessageBox).setParent(None)


def test_the_delete_key_asks_too(filled: Any, home: Path, qtbot: QtBot) -> None:
    filled.view.choose([row.run for row in filled.view.table.rows[:2]])

    def answer() -> None:
        box = filled.findChild(QMessageBox)
        asked.append(box.text())
        next(button for button in box.buttons() if button.text() == "Delete").click()

    asked: list[str] = []
    QTimer.singleShot(200, answer)
    qtbot.keyClick(filled.view, Qt.Key.Key_Delete)
    assert asked == ["Delete 2 trainings?"]
    qtbot.waitUntil(lambda: len(names(filled)) == 2, timeout=10_000)
    assert len(Runs(home).list()) == 2


def test_every_form_of_export_is_written(filled: Any, tmp_path: Path, qtbot: QtBot, home: Path) -> None:
    relabel(Runs(home).list()[0].path, name="=1+1")
    filled.read()
    settle(filled, qtbot)
    for suffix, start in (
        ("csv", b"\xef\xbb\xbf"), ("md", b"| run"), ("tex", rb"\begin{tabular}"), ("html", b"<!doctype html>"),
        ("pdf", b"%PDF"),
    ):  # fmt: skip
        out = tmp_path / f"표.{suffix}"
        filled.export.write(out)
        settle(filled, qtbot)
        assert out.read_bytes().startswith(start), suffix
        assert not filled.written.isHidden()
        assert out.name in filled.written.words.full_text()
    assert not list(tmp_path.glob(".*"))
    lines = (tmp_path / "표.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == 5
    assert any(",'=1+1," in line for line in lines)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_table_of_eight_runs_is_one_page_of_pdf(
    filled: Any, tmp_path: Path, home: Path, language: str
) -> None:
    i18n.set_language(language)
    runs = [run.id for run in Runs(home).list()] * 2
    assert len(runs) == 8
    drive(pdf.write(runs, tmp_path / "one.pdf", Tools(home), Control()))
    assert (tmp_path / "one.pdf").read_bytes().count(b"/Type /Page\n") == 1
    # What nobody could read on one page is not made smaller still.
    drive(pdf.write(runs * 8, tmp_path / "many.pdf", Tools(home), Control()))
    assert (tmp_path / "many.pdf").read_bytes().count(b"/Type /Page\n") > 1


def test_only_the_chosen_runs_are_exported_where_several_are(
    filled: Any, tmp_path: Path, qtbot: QtBot
) -> None:
    filled.view.choose([row.run for row in filled.view.table.rows[:2]])
    filled.export.write(tmp_path / "two.md")
    settle(filled, qtbot)
    assert len((tmp_path / "two.md").read_text("utf-8").splitlines()) == 4


def test_an_export_that_cannot_be_written_is_told(filled: Any, tmp_path: Path, qtbot: QtBot) -> None:
    (tmp_path / "file").write_text("")
    for name in ("report.html", "report.pdf"):
        filled.window().trouble.hide()
        filled.export.write(tmp_path / "file" / name)
        settle(filled, qtbot)
        assert "cannot be written" in filled.window().trouble.message.text(), name
    assert filled.written.isHidden()


# Filling


@pytest.fixture
def ready(open_window: Open, quick: Quick, tiny_pairs: Path, qtbot: QtBot) -> Any:
    """The Table page with nothing in it, the tiny pairs open and the tiny model chosen."""
    window = open_window(
        language="en", theme="light", page="table", draft=quick(train__epochs=1), folder=str(tiny_pairs)
    )
    window.app_model.rescan()
    qtbot.waitUntil(lambda: window.app_model.split is not None, timeout=30_000)
    page = window.page("table")
    settle(page, qtbot)
    return page


def filled_up(page: Any, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not page.queue.filling, timeout=LONG)
    settle(page, qtbot)


def test_the_panel_begins_with_the_eight_cells(ready: Any, qtbot: QtBot) -> None:
    assert ready.empty.isVisible()
    qtbot.mouseClick(ready.empty.fill, LEFT)
    panel = ready.panel
    assert panel.isVisible()
    assert panel.vary() == {name: [str(value) for value in values] for name, values in brief().items()}
    assert panel.sum.text() == "8 cells, 8 trainings"
    assert panel.start.isEnabled()
    assert "Epochs = 1" in panel.held.text()
    assert "Projection" in [chip.text() for chip in panel.rows[0]._chips._chips.values()]
    panel.seeds.set_value(3)
    panel.seeds.edited.emit()
    assert panel.sum.text() == "8 cells, 24 trainings"
    assert len(panel.request().seeds) == 3


def test_the_panel_says_what_is_wrong_before_anything_starts(ready: Any) -> None:
    panel = ready.panel
    panel.show_vary({"lora.r": ["8", "0"]})
    assert "lora.r" in panel.problem.text()
    assert not panel.start.isEnabled()
    panel.show_vary({"lora.r": []})
    assert not panel.start.isEnabled()
    panel.show_vary({})
    assert "at least one" in panel.problem.text()
    panel.show_vary({"lora.r": [str(n) for n in range(1, 40)], "train.seed": [str(n) for n in range(30)]})
    assert "leave some values out" in panel.problem.text()
    assert not panel.start.isEnabled()


def test_rows_of_the_panel_can_be_added_changed_and_taken_away(ready: Any, qtbot: QtBot) -> None:
    panel = ready.panel
    qtbot.mouseClick(panel.add, LEFT)
    line = panel.rows[-1]
    assert line.name == "lora.target_modules"
    line._text.setText("q_proj+v_proj, visual_projection")
    line._text.edited.emit()
    assert panel.vary()["lora.target_modules"] == [["q_proj", "v_proj"], ["visual_projection"]]
    assert panel.sum.text() == "16 cells, 16 trainings"
    line.setting.set_value("lora.bias")
    line.setting.edited.emit()
    assert line.values() == ["none"]
    line.away.click()
    assert list(panel.vary()) == list(brief())


def test_without_a_folder_nothing_can_be_filled(open_window: Open, qtbot: QtBot) -> None:
    page = open_window(language="en", theme="light", page="table").page("table")
    settle(page, qtbot)
    page.open_panel()
    assert "Open a folder" in page.panel.problem.text()
    assert not page.panel.start.isEnabled()


def test_one_click_fills_the_table(ready: Any, home: Path, qtbot: QtBot) -> None:
    ready.open_panel()
    ready.panel.show_vary({"lora.r": ["2", "4"]})
    qtbot.mouseClick(ready.panel.start, LEFT)
    assert ready.queue.filling
    assert ready.queue.isVisible()
    assert not ready.fill.isEnabled()
    filled_up(ready, qtbot)
    assert ready.queue.isHidden()
    assert sorted(names(ready)) == ["r=2", "r=4"]
    assert all(row.measured for row in ready.stand.rows)
    assert all(row.settings["train.epochs"] == 1 for row in ready.stand.rows)
    assert ready.window().trouble.isHidden()
    # Both presets are compared as they are: the draft's LoRA settings do not make them alike.
    ready.panel.show_vary(brief())
    assert not any(name.startswith("lora.") for name in ready.panel.kept())


def test_a_stopped_table_is_offered_again_after_a_restart_and_goes_on(
    ready: Any, home: Path, qtbot: QtBot, open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = training.train

    def held(plan: training.Plan, models: Models, control: Control) -> Work[dict[str, Any]]:
        """As `train`, but the second run waits after its first step until the stop comes, however quick it is."""
        work = train(plan, models, control)
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if plan.settings.lora.r == 4 and isinstance(event, Step):
                control.pause()
            yield event

    monkeypatch.setattr(training, "train", held)
    ready.open_panel()
    ready.panel.show_vary({"lora.r": ["2", "4", "8"]})
    ready.panel.start.click()
    qtbot.waitUntil(lambda: ready.queue._job.control.paused, timeout=LONG)
    ready.queue.stop.click()
    filled_up(ready, qtbot)
    monkeypatch.setattr(training, "train", train)
    assert [(one.done, one.failed, one.total) for one in experiments.unfinished(home)] == [(1, 0, 3)]
    assert ready.queue.isVisible()
    assert "1 of 3" in ready.queue.words.text()
    ready.app_model.state.save()

    page = open_window(page="table").page("table")
    settle(page, qtbot)
    assert page.queue.isVisible()
    assert "1 of 3" in page.queue.words.text()
    page.queue.forward.click()
    filled_up(page, qtbot)
    assert page.queue.isHidden()
    # The run that was stopped is the one that went on: nothing half done is left beside it.
    assert sorted((row.name, row.status) for row in page.stand.rows) == [
        ("r=2", "done"),
        ("r=4", "done"),
        ("r=8", "done"),
    ]
    assert experiments.unfinished(home) == []


def test_a_failed_cell_does_not_end_the_table_and_can_be_tried_again(
    ready: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = training.train

    def failing(plan: training.Plan, *rest: Any) -> Work[dict[str, Any]]:
        if plan.settings.lora.r == 2:
            raise RuntimeError("CUDA error: an illegal memory access")
        return train(plan, *rest)

    monkeypatch.setattr(training, "train", failing)
    ready.open_panel()
    ready.panel.show_vary({"lora.r": ["2", "4"]})
    ready.panel.start.click()
    filled_up(ready, qtbot)
    assert names(ready) == ["r=4"]
    assert "1 of 2" in ready.queue.words.text()
    assert "illegal memory access" in ready.queue.detail.full_text()
    monkeypatch.setattr(training, "train", train)
    assert "again" in ready.queue.forward.text()
    ready.queue.forward.click()
    filled_up(ready, qtbot)
    assert sorted(names(ready)) == ["r=2", "r=4"]


def test_an_unfinished_table_can_be_left(
    ready: Any, home: Path, tiny_pairs: Path, quick: Quick, qtbot: QtBot
) -> None:
    work = experiments.fill(
        experiments.Grid(tiny_pairs, quick(), {"lora.r": [2]}), home, Models(home), Control()
    )
    next(event for event in work if isinstance(event, Cell))
    work.close()
    ready.read()
    settle(ready, qtbot)
    assert ready.queue.isVisible()
    ready.queue.forget.click()
    settle(ready, qtbot)
    assert ready.queue.isHidden()
    assert experiments.unfinished(home) == []


def test_pause_waits_and_goes_on(ready: Any, qtbot: QtBot) -> None:
    ready.open_panel()
    ready.panel.show_vary({"lora.r": ["2"]})
    ready.panel.start.click()
    ready.queue.pause.click()
    assert ready.queue._job.control.paused
    assert "Go on" in ready.queue.pause.text()
    ready.queue.pause.click()
    filled_up(ready, qtbot)
    assert names(ready) == ["r=2"]


def test_how_far_a_grid_is_and_how_long_it_takes() -> None:
    record = GridRecord()
    assert record.left(0.0) is None

    def cell(number: int, status: str, left: float | None, at: float) -> Cell:
        return Cell(number=number, total=4, title="", status=status, seconds_left=left, time=at)

    started = Started(run="a", steps=10, start_step=0, trainable_parameters=1, device="", precision="", primary_metric="", select_by="")  # fmt: skip
    step = Step(step=5, epoch=1.0, loss=1.0, learning_rate=0.1, images_per_second=1.0, seconds_left=7.0)
    assert not record.feed([cell(1, "running", None, 0.0)])
    assert record.feed([started, step])
    assert record.share == pytest.approx(0.125)
    assert record.left(5.0) is None
    assert record.left_of_run == 7.0
    assert record.feed([cell(1, "done", 30.0, 10.0)])
    assert record.share == pytest.approx(0.25)
    assert record.left(15.0) == 25.0
    assert record.left(100.0) == 0.0
    assert record.feed([cell(2, "failed", 20.0, 20.0)])
    assert len(record.failed) == 1


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("lora.r", "8, 16", ["8", "16"]),
        ("lora.r", " ,8,, ", ["8"]),
        ("lora.r", "", []),
        (
            "lora.target_modules",
            "q_proj + v_proj,visual_projection",
            [["q_proj", "v_proj"], ["visual_projection"]],
        ),
        ("model.name", "starter, /a b/c", ["starter", "/a b/c"]),
    ],
)
def test_values_are_read_as_people_type_them(name: str, text: str, values: list[Any]) -> None:
    assert read_values(name, text) == values


def test_the_model_sorts_by_words_and_numbers_and_keeps_what_is_unknown_last() -> None:
    table = RunTable()
    table.show_rows([], [], "")
    table.sort(-1)
    assert table.rowCount() == 0
    assert table.sorted_by[0] == "created"
