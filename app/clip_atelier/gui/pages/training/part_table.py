"""What helps: a table of parts and questions that fills while a run measures them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from clip_atelier.engine.core import N_, _
from clip_atelier.gui import theme
from clip_atelier.gui.widgets.layout import clear, column
from clip_atelier.gui.widgets.text import Label

if TYPE_CHECKING:
    from clip_atelier.engine.core import PartMeasured


class PartTable(QWidget):
    """A row for each part, a column for each question: the gain in mAP on drawings that were not learned from."""

    def __init__(self) -> None:
        super().__init__()
        self.note = Label(
            N_(
                "Gain in mAP of each part alone, on drawings it has not learned from, with its 95 % interval. ✓ is kept."
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
        self.setLayout(column(self.note, holder, gap=theme.S))
        self.cells: dict[tuple[str, str], Label] = {}

    def show_parts(self, measured: Mapping[tuple[str, str], PartMeasured]) -> None:
        """Shows what is known so far.

        Args:
            measured: (part, question) -> what was measured last.
        """
        from clip_atelier.engine.evaluation import TASKS
        from clip_atelier.engine.parts import names

        clear(self._grid)
        self.cells.clear()
        asked = [task for task in TASKS if any(question == task for _part, question in measured)]
        for x, task in enumerate(asked, 1):
            self._put(_(TASKS[task]), "caption", 0, x)
        known = [part for part in names.TITLES if any(name == part for name, _question in measured)]
        for y, part in enumerate(known, 1):
            title = self._put(_(names.TITLES[part]), "body", y, 0)
            title.setToolTip(_(names.EXPLANATIONS[part]))
            for x, task in enumerate(asked, 1):
                if (one := measured.get((part, task))) is not None:
                    self.cells[part, task] = self._put(_cell(one), _role(one), y, x)
        self._grid.setColumnStretch(len(asked) + 1, 1)

    def _put(self, text: str, role: str, y: int, x: int) -> Label:
        label = Label(role=role)
        label.show_literal(text)
        if x:
            label.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._grid.addWidget(label, y, x)
        return label


def _cell(one: PartMeasured) -> str:
    kept = "✓ " if one.kept else ""
    if one.low == one.high == one.value == 0:
        return f"{kept}–"
    return f"{kept}{one.value:+.3f}  ({one.low:+.3f} … {one.high:+.3f})"


def _role(one: PartMeasured) -> str:
    if one.low > 0:
        return "gain"
    return "loss" if one.high < 0 else "muted"
