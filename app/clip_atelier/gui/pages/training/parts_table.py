"""What each part does for each question: a table that fills while a run tries them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from clip_atelier.engine.core import N_, _, signed
from clip_atelier.engine.parts import names
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import box, clear, column, row, rule
from clip_atelier.gui.widgets.text import Label, Picture, plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.engine.core import PartMeasured

Cells = Mapping[tuple[str, str], "PartMeasured"]
"""By part and question."""

_MARK = 16
_GAP = 6


class Cell(QWidget):
    """The gain of one part for one question: a check mark where it is kept, the gain, and its interval below."""

    def __init__(self) -> None:
        super().__init__()
        self.mark = Picture("circle-check", _MARK, "accent")
        policy = self.mark.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.mark.setSizePolicy(policy)
        self.gain = Label(role="muted")
        self.interval = Label(role="caption")
        self.setLayout(
            column(
                row(self.mark, self.gain, None, gap=_GAP),
                row(_MARK + _GAP, self.interval, None, gap=0),
                gap=0,
            )
        )
        self.show_part(None, waiting=True)

    def show_part(self, found: PartMeasured | None, *, waiting: bool) -> None:
        """Shows what was measured; where nothing was, whether it is still to come."""
        self.mark.setVisible(found is not None and found.kept)
        if found is None:
            self.gain.show_literal("…" if waiting else "–")
            self.gain.set_role("muted")
            self.interval.show_literal("")
            self.setToolTip("")
            return
        if found.low == found.value == found.high == 0:  # each query is answered as it was
            self.gain.show_literal(_("no change"))
            self.gain.set_role("muted")
            self.interval.show_literal("")
            self.setAccessibleName(self.gain.text())
            return
        self.gain.show_literal(signed(found.value))
        # Calm: the accent for what can be told from luck, nothing loud for what cannot.
        self.gain.set_role("turned" if found.low > 0 else "muted")
        self.interval.show_literal(f"{signed(found.low)} … {signed(found.high)}")
        words = _("Kept for this question.") if found.kept else _("Not kept for this question.")
        self.setToolTip(plain_tooltip(words))
        self.setAccessibleName(f"{self.gain.text()} ({self.interval.text()}). {words}")


class PartsTable(QWidget):
    """Rows are parts, columns are questions; a gain is shown as soon as it is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: dict[tuple[str, str], Cell] = {}
        self._shown: Cells = {}
        self._awaited: Collection[str] = ()
        self.note = Label(
            N_(
                "Gain in mAP with its 95 % interval, on drawings that were not learned from. A check mark: kept for this "
                "question. In colour: more than luck."
            ),
            "caption",
            wrap=True,
        )
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.XL)
        self._grid.setVerticalSpacing(6)
        holder = QWidget()
        holder.setLayout(self._grid)
        self.setLayout(column(self.note, holder, None, gap=theme.S))

    def show_parts(self, parts: Cells, awaited: Collection[str]) -> None:
        """Shows what is known by part and question, and which parts are still to come."""
        asked = _in_order({question for _name, question in parts})
        wanted = [(name, question) for name in names.TITLES for question in asked]
        self._shown, self._awaited = parts, awaited
        if wanted != list(self.cells):
            self._build(asked)
        for key, cell in self.cells.items():
            cell.show_part(parts.get(key), waiting=key[0] in awaited)

    def retranslate(self) -> None:
        """The same in the current language."""
        self.cells = {}
        if self._shown:
            self.show_parts(self._shown, self._awaited)

    def _build(self, questions: list[str]) -> None:
        from clip_atelier.engine.evaluation import TASKS

        clear(self._grid)
        self.cells = {}
        for x, question in enumerate(questions, 1):
            head = Label(role="caption")
            head.show_literal(_(TASKS[question]))
            head.setIndent(_MARK + _GAP)
            self._grid.addWidget(head, 0, x)
        self._grid.addWidget(rule(), 1, 0, 1, len(questions) + 1)
        for y, name in enumerate(names.TITLES, 2):
            self._grid.addWidget(_heading(name), y, 0)
            for x, question in enumerate(questions, 1):
                cell = self.cells[name, question] = Cell()
                self._grid.addWidget(cell, y, x, Qt.AlignmentFlag.AlignTop)
        self._grid.setColumnStretch(0, 1)


def _in_order(questions: set[str]) -> list[str]:
    """Questions as they stand everywhere."""
    from clip_atelier.engine.evaluation import TASKS

    return [question for question in TASKS if question in questions]


def _heading(name: str) -> QWidget:
    title, words = Label(role="strong"), Label(role="caption", wrap=True)
    called = _(names.TITLES[name])
    title.show_literal(called[:1].upper() + called[1:])
    words.show_literal(_(names.EXPLANATIONS[name]))
    return box(title, words, gap=0)
