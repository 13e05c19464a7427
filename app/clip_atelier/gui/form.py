"""The settings' own declarations as a form: nothing about a single setting is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from PySide6.QtCore import QObject, Qt, Signal, SignalInstance
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QFrame, QSizePolicy, QWidget

from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, _
from clip_atelier.engine.settings import Declared
from clip_atelier.gui import theme
from clip_atelier.gui.widgets import inputs
from clip_atelier.gui.widgets.layout import box, column, row, rule
from clip_atelier.gui.widgets.text import Button, Label, Message

if TYPE_CHECKING:
    from clip_atelier.gui.state import WindowState

_CONTROL_WIDTH = 236


class Input(Protocol):
    """What every input of `widgets.inputs` offers."""

    @property
    def edited(self) -> SignalInstance:
        """Emitted when the user changes the value."""

    def value(self) -> Any:
        """The value, possibly half-typed."""

    def set_value(self, value: Any) -> None:
        """Shows a value."""


Maker = Callable[[Declared], QWidget]


def make_input(declared: Declared) -> QWidget:
    """The widget that fits a declaration."""
    if declared.kind in ("int", "float"):
        return inputs.Number(
            whole=declared.kind == "int",
            step=declared.step,
            minimum=declared.minimum,
            maximum=declared.maximum,
        )
    if declared.kind == "bool":
        return inputs.Switch()
    if declared.kind == "choice":
        return inputs.Choice(declared.choices)
    if declared.kind == "choices":
        return inputs.Chips(declared.choices)
    return inputs.Text()


class Row(QFrame):
    """One setting: its title and input, the explanation below, and what is wrong with it."""

    edited = Signal(str)
    turned_to = Signal(str)
    reset = Signal(str)

    def __init__(self, declared: Declared, control: QWidget) -> None:
        super().__init__()
        self.declared = declared
        self.control = control
        self.input = cast(Input, control)
        self.title = Label(declared.title, "strong")
        self.title.setMinimumWidth(40)
        control.setAccessibleName(_(declared.title))
        self.unit = Label(declared.unit, "muted")
        if not declared.unit:
            self.unit.hide()
        self.back = Button("", "icon", "rotate-ccw", tip=N_("Changed from the preset. Click to put it back."))
        self.back.setFixedSize(26, 26)
        policy = self.back.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.back.setSizePolicy(policy)
        self.back.hide()
        self.summary = Label(declared.summary, "caption", wrap=True)
        self.problem = Label("", "problem", wrap=True)
        self.problem.hide()
        if declared.kind == "choices":
            lines = column(row(self.title, None, self.back), control, self.summary, self.problem, gap=6)
        else:
            if declared.kind != "bool":
                control.setFixedWidth(_CONTROL_WIDTH if not declared.unit else _CONTROL_WIDTH - 40)
            lines = column(
                row(self.title, None, self.back, control, self.unit), self.summary, self.problem, gap=theme.XS
            )
        self.setLayout(lines)
        self.input.edited.connect(lambda: self.edited.emit(declared.name))
        self.back.clicked.connect(lambda: self.reset.emit(declared.name))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click on the words asks for the long explanation."""
        self.turned_to.emit(self.declared.name)
        super().mousePressEvent(event)

    def show_turned_to(self, on: bool) -> None:
        """Marks the setting that is being explained."""
        self.title.set_role("turned" if on else "strong")

    def show_problem(self, message: str) -> None:
        """Shows what is wrong, or nothing."""
        self.problem.show_literal(message)
        self.problem.setVisible(bool(message))
        inputs.mark_wrong(self.control, bool(message))

    def retranslate(self) -> None:
        """Its name for screen readers in the current language."""
        self.control.setAccessibleName(_(self.declared.title))


class Section(QWidget):
    """The settings of one group, the advanced ones folded away."""

    def __init__(self, group: str, rows: list[Row]) -> None:
        super().__init__()
        self.group = group
        self.rows = rows
        self.problem = Label("", "problem", wrap=True)
        self.problem.hide()
        plain = [r for r in rows if not r.declared.advanced]
        advanced = [r for r in rows if r.declared.advanced]
        self.more = Button("", "quiet", "chevron-right", checkable=True)
        self.folded = box(*advanced, gap=theme.XL)
        self.folded.hide()
        if not advanced:
            self.more.hide()
        self.more.toggled.connect(self._fold)
        self._advanced = advanced
        self.setLayout(
            column(
                Label(settings.GROUP_TITLES[group], "heading"), rule(), self.problem, *plain,
                row(self.more, None), self.folded, gap=theme.L,
            )
        )  # fmt: skip
        self.retranslate()

    def _fold(self, opened: bool) -> None:
        self.folded.setVisible(opened)
        self.more.set_icon("chevron-down" if opened else "chevron-right")

    def retranslate(self) -> None:
        """The button's words."""
        self.more.say(N_("More settings ({count})"), count=len(self._advanced))

    def unfold_for(self, name: str) -> None:
        """Opens the folded part if the named setting is in it."""
        if any(r.declared.name == name for r in self._advanced):
            self.more.setChecked(True)


class Form(QWidget):
    """All settings, bound to the window's draft.

    Args:
        state: Owner of the draft.
        makers: Inputs to use instead of the usual one, by dotted name.
    """

    turned_to = Signal(str)  # the setting whose long explanation is wanted
    checked = Signal(bool)  # whether the draft can be used

    def __init__(self, state: WindowState, makers: Mapping[str, Maker] | None = None) -> None:
        super().__init__()
        self._state = state
        self.rows: dict[str, Row] = {}
        self.sections: dict[str, Section] = {}
        for name, declared in settings.DECLARED.items():
            maker = (makers or {}).get(name, make_input)
            made = Row(declared, maker(declared))
            made.edited.connect(self._edited)
            made.turned_to.connect(self.turned_to)
            made.reset.connect(state.reset_value)
            self.rows[name] = made
        for group in dict.fromkeys(d.group for d in settings.DECLARED.values()):
            self.sections[group] = Section(
                group, [r for r in self.rows.values() if r.declared.group == group]
            )
        self.setLayout(column(*self.sections.values(), None, gap=theme.XXL))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self._said: dict[str, str] = {}
        state.changed.connect(self._on_state)
        cast(QApplication, QApplication.instance()).focusChanged.connect(self._on_focus)
        self.refresh()

    def problems(self) -> dict[str, str]:
        """What is wrong with the draft, by setting."""
        return {issue.setting: issue.message for issue in settings.check(self._state.values())}

    def show_error(self, setting: str, message: str) -> None:
        """Shows what the engine said about a setting beside it, until the setting is changed."""
        self._said = {setting: message}
        self.refresh()
        self.reveal(setting)

    def reveal(self, setting: str) -> None:
        """Opens the part that holds a setting and turns to it."""
        if setting in self.rows:
            self.sections[setting.split(".", maxsplit=1)[0]].unfold_for(setting)
            self.rows[setting].control.setFocus(Qt.FocusReason.OtherFocusReason)

    def refresh(self) -> None:
        """Shows the draft: values, what was changed, what is wrong."""
        problems = {**self._said, **self.problems()}
        for name, made in self.rows.items():
            value = self._state.value(name)
            if not _equal(made.input.value(), value):
                made.input.set_value(value)
            made.back.setVisible(self._state.is_modified(name))
            made.show_problem(problems.pop(name, ""))
        for group, section in self.sections.items():
            message = problems.get(group, "")
            section.problem.show_literal(message)
            section.problem.setVisible(bool(message))
        self.checked.emit(not self.problems())

    def retranslate(self) -> None:
        """Problems in the current language."""
        self.refresh()

    def _edited(self, name: str) -> None:
        self._said.pop(name, None)
        self._state.set_value(name, self.rows[name].input.value())
        self.refresh()

    def _on_state(self, what: str) -> None:
        if what in ("draft", "preset"):
            self.refresh()

    def _on_focus(self, _old: QObject | None, now: QObject | None) -> None:
        widget = now
        while isinstance(widget, QWidget) and widget is not self:
            if isinstance(widget, Row) and self.isAncestorOf(widget):
                self.turned_to.emit(widget.declared.name)
                return
            widget = widget.parentWidget()


def limits(declared: Declared) -> Message | None:
    """The range of a setting in words."""
    low, high = declared.minimum, declared.maximum
    if low is None and high is None:
        return None
    if high is None:
        return Message(N_("at least {low}"), low=f"{low:g}")
    if low is None:
        return Message(N_("at most {high}"), high=f"{high:g}")
    words = N_("above {low}, up to {high}") if declared.open_minimum else N_("{low} to {high}")
    return Message(words, low=f"{low:,g}", high=f"{high:,.10g}")


def shown_value(declared: Declared, value: Any) -> str:
    """A value in words."""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value)
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return str(value) or _("empty")


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return list(one) == list(other)
    return bool(one == other)
