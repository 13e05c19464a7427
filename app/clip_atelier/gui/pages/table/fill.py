"""Filling the table: which settings are varied over which values, and what that makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, UserError, _, paths
from clip_atelier.engine.settings import DECLARED, PRESETS, written
from clip_atelier.gui import theme
from clip_atelier.gui.pages.table.jobs import Request
from clip_atelier.gui.parts.beginning import Beginning
from clip_atelier.gui.widgets.inputs import Chips, Choice, Number, Text
from clip_atelier.gui.widgets.layout import card, clear, column, row, rule
from clip_atelier.gui.widgets.text import Button, Label, SpokenName

if TYPE_CHECKING:
    from clip_atelier.gui.app_model import AppModel

PRESET: Final = "preset"
_MOST = 200  # runs; more is a slip of the hand


def brief() -> dict[str, list[Any]]:
    """The default grid: both presets, each with r 8 and 16 and lora_alpha 16 and 32."""
    from clip_atelier.engine.experiments import DEFAULT_GRID

    return {name: list(values) for name, values in DEFAULT_GRID.items()}


def read_values(name: str, text: str) -> list[Any]:
    """Values as they are typed: commas between them, lists joined with + ("q_proj+v_proj, visual_projection")."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if name in DECLARED and DECLARED[name].kind == "choices":
        return [[word.strip() for word in part.split("+") if word.strip()] for part in parts]
    return list(parts)


class Empty(Beginning):
    """No run yet."""

    def __init__(self, app_model: AppModel) -> None:
        self.fill = Button(N_("Fill the table"), "plain", "layers")
        super().__init__(app_model, "table", title=N_("The table is empty"), trained=True, more=self.fill)
        self.teach(
            N_("Every training stands here with what it did for retrieval. Train once, or fill the table at once: the same "
               "collection with several settings, compared on the same drawings, which none of them learned from.")
        )  # fmt: skip


class VaryRow(QWidget):
    """One setting that is varied, with its values."""

    edited = Signal()
    removed = Signal(object)

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        super().__init__()
        self.setting = Choice({PRESET: N_("Preset"), **{n: d.title for n, d in DECLARED.items()}})
        self.setting.setFixedWidth(240)
        SpokenName(self.setting, N_("What is varied"))
        self.setting.set_value(name)
        self.away = Button("", "icon", "x", tip=N_("Do not vary this"))
        self._text = Text(N_("values with commas between them"))
        self._chips = Chips({})
        self.hint = Label(role="caption", wrap=True)
        self._field = column(self._text, self._chips, gap=0)
        line = row(self.setting, self._field, self.away)
        line.setStretch(1, 1)
        below = row(248, self.hint, gap=0)
        below.setStretch(1, 1)
        self.setLayout(column(line, below, gap=2))
        self._text.edited.connect(self.edited)
        self.setting.edited.connect(self._on_setting)
        self.away.clicked.connect(lambda: self.removed.emit(self))
        self._show(values)

    @property
    def name(self) -> str:
        """The setting's dotted name, or "preset"."""
        return self.setting.value()

    def values(self) -> list[Any]:
        """The values to try."""
        if _choices(self.name):
            return list(self._chips.value())
        return read_values(self.name, self._text.value())

    def _on_setting(self) -> None:
        declared = DECLARED.get(self.name)
        self._show([declared.default] if declared is not None else [])
        self.edited.emit()

    def _show(self, values: Sequence[Any]) -> None:
        choices = _choices(self.name)
        words = [written(value) for value in values]
        self._text.setVisible(not choices)
        self._text.set_value(", ".join(words))
        self._field.removeWidget(self._chips)
        self._chips.hide()
        self._chips.deleteLater()
        self._chips = Chips(choices, named=self.name == PRESET)
        self._chips.edited.connect(self.retranslate)
        self._chips.edited.connect(self.edited)
        self._chips.set_value(words)
        self._field.addWidget(self._chips)
        self._chips.setVisible(bool(choices))  # not before it lies in the row
        self.retranslate()

    def retranslate(self) -> None:
        """What the setting does, in the current language."""
        declared = DECLARED.get(self.name)
        if declared is None:
            self.hint.say(
                N_(
                    "Each preset brings its own rate and length; what is varied below comes on top. {targets}"
                ),
                targets="; ".join(
                    f"{_(PRESETS[name].title)}: {_targets(name)}" for name in self._chips.value()
                ),
            )
        elif declared.kind == "choices":
            self.hint.say(
                N_("Lists are joined with +, for example {example}."), example=_example(declared.name)
            )
        else:
            self.hint.say(declared.summary)


def _targets(preset: str) -> str:
    """What a preset trains."""
    values = PRESETS[preset].values
    if values.get("train.method") == "layernorm":
        return "LayerNorm"
    return written(values.get("lora.target_modules", DECLARED["lora.target_modules"].default))


def _choices(name: str) -> Mapping[str, str]:
    """The values of a setting that are few and known, with their explanations."""
    if name == PRESET:
        return {key: preset.title for key, preset in PRESETS.items()}
    kind = DECLARED[name].kind if name in DECLARED else "text"
    if kind == "bool":
        return {"true": "", "false": ""}
    return DECLARED[name].choices if kind == "choice" else {}


def _example(name: str) -> str:
    return "q_proj+v_proj, visual_projection" if name == "lora.target_modules" else "1+2, 3+4"


class FillPanel(QWidget):
    """The panel: what is varied, how often each cell is trained, and what stays as it is."""

    asked = Signal(object)  # a Request
    closed = Signal()

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self.app_model = app_model
        self.rows: list[VaryRow] = []
        self._lines = column(gap=theme.M)
        self.add = Button(N_("Vary another setting"), "quiet", "plus")
        self.reset = Button(N_("The eight cells to begin with"), "quiet", "rotate-ccw")
        self.reset.tell(N_("Attention and Projection, each with r 8 and 16 and lora_alpha 16 and 32"))
        self.seeds = Number(whole=True, minimum=1, maximum=20)
        SpokenName(self.seeds, N_("Seeds per cell"))
        self.seeds.setFixedWidth(88)
        self.seeds.set_value(app_model.state.view("table.seeds", 1))
        self.held = Label(role="muted", wrap=True)
        self.sum = Label(role="heading")
        self.folder = Label(role="muted", wrap=True)
        self.problem = Label(role="problem", wrap=True)
        self.start = Button(N_("Fill the table"), "primary", "play")
        self.back = Button(N_("Back to the table"), "plain")
        seeds = row(Label(N_("Seeds per cell"), "strong"), self.seeds, Label(N_(
            "Several seeds show how much of a difference is luck of the start and of the order of drawings."), "caption", wrap=True))  # fmt: skip
        seeds.setStretch(2, 1)
        lines = QWidget()
        lines.setLayout(self._lines)
        inner = card(
            lines, row(self.add, self.reset, None), rule(), seeds, rule(), Label(N_("The same in every cell"), "strong"),
            self.held, gap=theme.M,
        )  # fmt: skip
        foot = row(
            column(self.sum, self.folder, self.problem, gap=theme.XS), self.back, self.start, gap=theme.S
        )
        foot.setStretch(0, 1)
        layout = column(
            Label(N_("Fill the table"), "title"),
            Label(N_(
                "Each combination is trained once, and all are compared on the same drawings, which none of them learned from. A cell that "
                "fails does not end it; closing the window does not either, it goes on the next time."
            ), "muted", wrap=True),
            theme.S, inner, theme.S, foot, None, gap=theme.S,
        )  # fmt: skip
        self.setLayout(layout)
        self.setMaximumWidth(880)
        self.add.clicked.connect(self._on_add)
        self.reset.clicked.connect(lambda: self.show_vary(brief()))
        self.seeds.edited.connect(self.refresh)
        self.start.clicked.connect(self._on_start)
        self.back.clicked.connect(self.closed)
        self.show_vary(app_model.state.view("table.vary", None) or brief())

    # What is varied

    def show_vary(self, vary: Mapping[str, Sequence[Any]]) -> None:
        """Shows settings with their values."""
        clear(self._lines)
        self.rows = []
        for name, values in vary.items():
            if name == PRESET or name in DECLARED:
                self._append(name, values)
        self.refresh()

    def _append(self, name: str, values: Sequence[Any]) -> None:
        line = VaryRow(name, values)
        line.edited.connect(self.refresh)
        line.removed.connect(self._on_remove)
        self.rows.append(line)
        self._lines.addWidget(line)

    def _on_add(self) -> None:
        taken = {line.name for line in self.rows}
        free = ("lora.r", "lora.lora_alpha", "lora.target_modules", "train.learning_rate", *DECLARED)
        name = next((n for n in free if n not in taken), "")
        if name:
            self._append(name, [self.app_model.state.value(name)])
            self.refresh()

    def _on_remove(self, line: VaryRow) -> None:
        self.rows.remove(line)
        line.hide()
        self._lines.removeWidget(line)
        line.deleteLater()
        self.refresh()

    def vary(self) -> dict[str, list[Any]]:
        """Setting -> values."""
        return {line.name: line.values() for line in self.rows}

    # What that makes

    def request(self) -> Request:
        """What is asked for.

        Raises:
            UserError: no folder is open, or the values are not possible.
        """
        if self.app_model.split is None:
            raise self.app_model.split_error or UserError(
                _("Open a folder of drawings on the Collection page first."), ""
            )
        if not self.rows:
            raise UserError(_("Vary at least one setting."), "")
        names = [line.name for line in self.rows]
        if len(set(names)) < len(names):
            raise UserError(_("Each setting can be varied only once."), "")
        vary = self.vary()
        state = self.app_model.state
        seed = settings.build({"train.seed": state.value("train.seed")}).train.seed
        count = self.seeds.value()
        if not isinstance(count, int) or count < 1:
            raise UserError(_("Seeds per cell: give a whole number of at least 1."), "")
        seeds = tuple(range(seed, seed + count)) if count > 1 else ()
        preset = str(state.get("preset") or "")
        preset = preset if preset in PRESETS and PRESET not in vary else ""
        return Request(Path(state.folder), self.kept(), vary, seeds, preset)

    def kept(self) -> dict[str, Any]:
        """What holds in every cell beside the preset: the draft's own changes.

        Where presets are compared, the draft's LoRA settings would make them all the same, and are left out.
        """
        vary = {line.name for line in self.rows}
        state = self.app_model.state
        return {
            name: state.value(name)
            for name in DECLARED
            if (state.is_modified(name) or name in state.own_values)
            and name not in vary
            and not (PRESET in vary and name.startswith("lora."))
        }

    def refresh(self) -> None:
        """Says what the choices make, or what is wrong with them."""
        state = self.app_model.state
        preset = PRESETS.get(str(state.get("preset")))
        kept = [f"{_(DECLARED[name].title)} = {written(value)}" for name, value in self.kept().items()]
        if PRESET not in {line.name for line in self.rows} and preset is not None:
            kept.insert(0, _("preset {name}").format(name=_(preset.title)))
        self.held.show_literal(
            ", ".join(kept) or _("The defaults; what you change on the Settings page holds here too.")
        )
        self.folder.show_literal(paths.shown(state.folder) if state.folder else "")
        try:
            request = self.request()
            cells = _cells(request)
        except UserError as error:
            self.sum.say("")
            self.problem.show_literal(f"{error.message} {error.hint}".strip())
            self.start.setEnabled(False)
        else:
            runs = cells * max(len(request.seeds), 1)
            self.sum.say(N_("{cells} cells, {runs} trainings"), cells=cells, runs=runs)
            self.problem.say(
                N_("More than {most} trainings: leave some values out.") if runs > _MOST else "", most=_MOST
            )
            self.start.setEnabled(runs <= _MOST)
        self.problem.setVisible(bool(self.problem.text()))
        self.sum.setVisible(bool(self.sum.text()))

    def retranslate(self) -> None:
        """The sums in the current language."""
        self.refresh()

    def _on_start(self) -> None:
        try:
            request = self.request()
            _cells(request)
        except UserError as error:
            self.app_model.report(error)
            return
        self.app_model.state.set_view(
            "table.vary", {k: [written(v) for v in vs] for k, vs in self.vary().items()}
        )
        self.app_model.state.set_view("table.seeds", self.seeds.value())
        self.asked.emit(request)


def _cells(request: Request) -> int:
    """How many cells a request has.

    Raises:
        UserError: a value is not possible.
    """
    from clip_atelier.engine.experiments import Grid

    grid = Grid(request.folder, request.values, request.vary, request.seeds, request.preset)
    count = 1
    for values in request.vary.values():
        count *= len(values)
    # Thousands of combinations are not built only to be refused.
    return len(grid.cells()) if count <= _MOST else count


def described(vary: Mapping[str, Sequence[Any]]) -> str:
    """What a grid varies, in one line."""
    parts = [
        f"{name.rpartition('.')[2]} {', '.join(written(value) for value in values)}"
        for name, values in vary.items()
    ]
    return "  ×  ".join(parts)
