"""The draft as a picture: which layers of the chosen model learn, and what is added to one of its matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from clip_atelier.engine import settings
from clip_atelier.engine.core import N_, UserError, _
from clip_atelier.gui import theme
from clip_atelier.gui.parts.tower_picture import TowerPicture, Towers
from clip_atelier.gui.parts.update_picture import Update, UpdatePicture
from clip_atelier.gui.widgets.inputs import Choice
from clip_atelier.gui.widgets.layout import column
from clip_atelier.gui.widgets.text import Label, SpokenName

if TYPE_CHECKING:
    from clip_atelier.engine.models import shapes
    from clip_atelier.gui.app_model import AppModel

_ROLES = {
    "query": N_("queries"), "key": N_("keys"), "value": N_("values"), "output": N_("attention output"),
    "expand": N_("first half of feed-forward"), "reduce": N_("second half of feed-forward"),
    "image_projection": N_("image projection"), "text_projection": N_("text projection"),
}  # fmt: skip
_SIDES = {"vision": N_("images"), "text": N_("texts")}
_END = {"vision": "visual_projection", "text": "text_projection"}


class Pictures(QWidget):
    """Follows the draft, and changes it where it is clicked."""

    def __init__(self, app_model: AppModel) -> None:
        super().__init__()
        self._app_model = app_model
        self._targets: dict[str, list[shapes.Target]] = {}
        self.towers = TowerPicture()
        self.which = Choice({})
        SpokenName(self.which, N_("Matrix"))
        self.matrix = UpdatePicture()
        self.words = Label(role="caption", wrap=True)
        self.trouble = Label(role="problem", wrap=True)
        layout = column(
            Label(N_("Which layers learn"), "strong"), self.towers,
            Label(
                N_("Click a layer: it and those behind it learn. Ctrl and click: it alone. Click a name: that side alone."),
                "caption", wrap=True,
            ),
            theme.S, Label(N_("What is added to a matrix"), "strong"), self.which, self.matrix, self.words,
            self.trouble, None, gap=theme.S,
        )  # fmt: skip
        layout.setContentsMargins(0, 0, theme.S, 0)
        self.setLayout(layout)
        self.towers.last_layers.connect(self._choose_last)
        self.towers.single_layers.connect(self._choose_single)
        self.towers.towers.connect(self._choose_towers)
        self.towers.end.connect(self._turn_end)
        self.which.edited.connect(self._draw_matrix)

    def retranslate(self) -> None:
        """The names of the matrices in the current language."""
        self.refresh()

    def refresh(self) -> None:
        """Draws the draft; what is half-typed leaves the picture as it was."""
        from clip_atelier.engine.models import Models
        from clip_atelier.engine.models import shapes as of_files

        values = self._app_model.state.values()
        if settings.check(values):
            return
        chosen = settings.build(values)
        try:
            found = of_files.anatomy(Models(self._app_model.home).resolve(chosen.model.name), chosen)
        except UserError as error:
            self.trouble.show_literal(str(error))
            self.trouble.show()
            return
        self.trouble.hide()
        self.towers.show_towers(
            Towers(
                {str(tower): count for tower, count in found.layers.items()},
                {str(tower): numbers for tower, numbers in found.adapted.items()},
                {str(tower): learns for tower, learns in found.ends.items()},
            )
        )
        self._offer(found)
        self._draw_matrix()

    def _offer(self, found: shapes.Anatomy) -> None:
        """The kinds of matrices that get an update, each with its shape; the one looked at stays where it is there."""
        kinds: dict[str, list[shapes.Target]] = {}
        for one in found.targets:
            kinds.setdefault(f"{one.tower}.{one.role}", []).append(one)
        self._targets = kinds
        before = self.which.value()
        self.which.renew(
            {
                kind: _("{role}, {side} ({count} ×)").format(
                    role=_(_ROLES[ones[0].role]), side=_(_SIDES[ones[0].tower]), count=len(ones)
                )
                for kind, ones in kinds.items()
            }
        )
        self.which.set_value(before if before in kinds else next(iter(kinds), ""))
        self.which.setVisible(bool(kinds))

    def _draw_matrix(self) -> None:
        values = self._app_model.state.values()
        ones = self._targets.get(self.which.value(), [])
        self.matrix.setVisible(bool(ones))
        if settings.check(values) or not ones:
            self.matrix.show_update(None)
            self.words.say(
                N_(
                    "No matrix gets an update: the scale and shift of each normalisation are trained themselves."
                )
            )
            return
        lora = settings.build(values).lora
        drawn = Update(
            ones[0].outputs, ones[0].inputs, lora.r, lora.lora_alpha, lora.use_rslora, lora.use_dora
        )
        self.matrix.show_update(drawn)
        share = drawn.parameters / (drawn.outputs * drawn.inputs)
        parts = [
            _("{learned} learned numbers stand beside {all} frozen ones ({share}).").format(
                learned=f"{drawn.parameters:,}", all=f"{drawn.outputs * drawn.inputs:,}", share=f"{share:.1%}"
            )
        ]
        if drawn.lengths:
            parts.append(_("m holds a length for each row, learned too (DoRA)."))
        if drawn.too_wide:
            parts.append(
                _("r is more than the matrix has rows or columns: what is above {most} adds nothing.").format(
                    most=min(drawn.outputs, drawn.inputs)
                )
            )
        self.words.show_literal(" ".join(parts))

    def _choose_last(self, count: int) -> None:
        self._app_model.state.set_value("train.layers_to_transform", "")
        self._app_model.state.set_value("train.last_layers", count)

    def _choose_single(self, numbers: frozenset[int]) -> None:
        """These layers of each tower; all of them is said by naming none."""
        most = max(self.towers.shown.layers.values(), default=0)
        written = "" if len(numbers) == most else settings.layers_written(numbers)
        self._app_model.state.set_value("train.last_layers", 0)
        self._app_model.state.set_value("train.layers_to_transform", written)

    def _choose_towers(self, towers: str) -> None:
        """Only one side, or both. A side of which nothing is adapted yet begins with its end or its attention."""
        state = self._app_model.state
        state.set_value("train.towers", towers)
        targets = list(state.value("lora.target_modules"))
        opposite = _END["text" if towers == "vision" else "vision"]
        if towers != "both" and set(targets) == {opposite}:
            state.set_value("lora.target_modules", [_END[towers]])

    def _turn_end(self, tower: str) -> None:
        """Adds the last matrix of a side to what is adapted, or takes it away; something always stays."""
        state = self._app_model.state
        targets, end = list(state.value("lora.target_modules")), _END[tower]
        if end in targets and state.value("train.towers") in ("both", tower):
            targets = [name for name in targets if name != end]
        else:
            targets += [end] * (end not in targets)
            if state.value("train.towers") not in ("both", tower):
                state.set_value("train.towers", "both")
        if targets:
            order = list(settings.DECLARED["lora.target_modules"].choices)
            state.set_value("lora.target_modules", sorted(targets, key=order.index))
