"""Captions, labels, pairs and parts as they are edited: what is unsaved, and every step back and forth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QUndoStack

from clip_atelier.engine.core import N_, _, paths
from clip_atelier.gui.pages.collection.caption_step import Step
from clip_atelier.gui.parts.picture_detail import PARTS
from clip_atelier.gui.widgets.text import plain_tooltip

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection, ColumnEdit, DraftEdit

Index = QModelIndex | QPersistentModelIndex
HEADERS = (N_("File"), N_("Captions, one a line"), N_("Label"), N_("Pair"), N_("Part"))
FILE, CAPTIONS, LABEL, PAIR, PART = range(5)
EDITABLE = (CAPTIONS, LABEL, PAIR, PART)
PICTURE = Qt.ItemDataRole.UserRole + 1
SPLITS = {"": N_("automatic"), **PARTS, "unused": N_("left out")}
_SINGLY = 50  # rows that are told to the view one by one; more are told at once


class Told(NamedTuple):
    """All of a drawing that can be edited."""

    captions: tuple[str, ...]
    label: str
    pair: str
    split: str


class CaptionModel(QAbstractTableModel):
    """Files, their captions, label, pair and part; the rows that the page chose, in the order that the user chose.

    `draft` holds everything unsaved of the folder at `root`, also about images that are not there now. Every change goes
    through `change`, so that `steps` can take it back, also after it was saved.
    """

    edited = Signal(int)  # how many images have something unsaved

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._collection: Collection | None = None
        self._parts: Mapping[int, str] = {}
        self._item_of: dict[str, int] = {}
        self._rows: list[int] = []  # item of each row
        self._row_of: dict[int, int] = {}
        self._sorted: tuple[int, Qt.SortOrder] = (-1, Qt.SortOrder.AscendingOrder)
        self.draft: dict[str, DraftEdit] = {}
        self._kept: dict[str, DraftEdit] = {}
        self._moved: dict[str, str] = {}  # old path -> new one, for the steps made before
        self._alike: Counter[str] = Counter()  # files of each digest
        self.steps = QUndoStack(self)

    # What there is

    @property
    def root(self) -> Path | None:
        """The folder that is shown."""
        return None if self._collection is None else self._collection.root

    @property
    def paths(self) -> list[str]:
        """Every drawing of the collection, shown or not."""
        return list(self._item_of)

    @property
    def edits(self) -> dict[str, DraftEdit]:
        """What is unsaved of images that are there, by path."""
        return {path: edit for path, edit in self.draft.items() if path in self._item_of}

    @property
    def elsewhere(self) -> int:
        """Unsaved captions of images that are not there now."""
        return sum(path not in self._item_of for path in self.draft)

    @property
    def overtaken(self) -> int:
        """Unsaved captions of images whose captions in the folder changed since they were typed."""
        return sum(
            edit.before != self.saved(path).captions
            for path, edit in self.draft.items()
            if path in self._item_of and edit.captions != edit.before
        )

    def saved(self, path: str) -> Told:
        """What the folder says of a drawing."""
        assert self._collection is not None
        item = self._collection.items[self._item_of[path]]
        return Told(item.captions, item.label, item.pair, item.split)

    def told(self, path: str) -> Told:
        """What is said of a drawing now, saved or not."""
        saved = self.saved(path)
        edit = self.draft.get(path)
        if edit is None:
            return saved
        mine = (getattr(edit, name) for name in ("label", "pair", "split"))
        return Told(edit.captions, *(s if m is None else m for m, s in zip(mine, saved[1:], strict=True)))

    def path(self, index: Index) -> str:
        """The drawing of a row."""
        assert self._collection is not None
        return self._collection.items[self._rows[index.row()]].path

    def file(self, path: str) -> Path:
        """Where a drawing's file is."""
        assert self._collection is not None
        return self._collection.absolute(self._collection.items[self._item_of[path]])

    def index_of(self, path: str, column: int = CAPTIONS) -> QModelIndex:
        """A drawing's cell; none where the row is not shown."""
        row = self._row_of.get(self._item_of.get(path, -1), -1)
        return self.index(row, column) if row >= 0 else QModelIndex()

    @property
    def shown(self) -> list[str]:
        """The drawings in the rows, in their order."""
        assert self._collection is not None or not self._rows
        return [self._collection.items[n].path for n in self._rows] if self._collection else []

    def show(self, collection: Collection, parts: Mapping[int, str], draft: Mapping[str, DraftEdit]) -> None:
        """Shows a collection and what is unsaved of it; the same rows stay where they are."""
        paths_now = {item.path: number for number, item in enumerate(collection.items)}
        same = self._collection is not None and self._collection.root == collection.root
        if not same:
            self.steps.clear()
            self._moved = {}
        if same and paths_now.keys() == self._item_of.keys():
            self._take(collection, parts, paths_now, draft)
            self._tell_all()
        else:
            self.beginResetModel()
            self._take(collection, parts, paths_now, draft)
            self._place(range(len(collection.items)))
            self.endResetModel()
        self.edited.emit(len(self.draft))

    def _take(
        self,
        collection: Collection,
        parts: Mapping[int, str],
        item_of: dict[str, int],
        draft: Mapping[str, DraftEdit],
    ) -> None:
        from clip_atelier.engine.data import caption_drafts

        self._collection, self._parts, self._item_of = collection, parts, item_of
        self._alike = Counter(item.digest for item in collection.items)
        self._kept = dict(draft)
        self.draft = {}
        new = caption_drafts.moved(draft, collection.items)
        self._moved |= new
        for old, typed in draft.items():
            path = new.get(old, old)
            edit = typed.model_copy(update={"path": path})
            left = edit if path not in item_of else self._still(path, edit)
            if left is not None:
                self.draft[path] = left

    def _still(self, path: str, edit: DraftEdit) -> DraftEdit | None:
        """What is left of an edit, now that the folder may say the same; None where nothing is."""
        saved = self.saved(path)
        changes: dict[str, Any] = {
            name: None for name in edit.columns if getattr(edit, name) == getattr(saved, name)
        }
        if edit.captions in (edit.before, saved.captions):  # only other columns were edited
            changes |= {"captions": saved.captions, "before": saved.captions}
        left = edit.model_copy(update=changes) if changes else edit
        return left if left.columns or left.captions != saved.captions else None

    # Rows

    def show_rows(self, rows: Sequence[int]) -> None:
        """Shows only these items of the collection, in the order that was chosen."""
        self.layoutAboutToBeChanged.emit()
        old = self.persistentIndexList()
        items = [self._rows[index.row()] for index in old]
        self._place(rows)
        places = [(self._row_of.get(item, -1), index) for item, index in zip(items, old, strict=True)]
        new = [self.index(row, index.column()) if row >= 0 else QModelIndex() for row, index in places]
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sorts the rows by a column; -1 is the folder's order."""
        self._sorted = (column, order)
        self.show_rows(sorted(self._rows))

    def _place(self, rows: Sequence[int]) -> None:
        column, order = self._sorted
        self._rows = list(rows)
        if column >= 0 and self._collection is not None:
            items = self._collection.items
            keys = {n: self._text(items[n].path, n, column).casefold() for n in self._rows}
            self._rows.sort(key=keys.__getitem__, reverse=order == Qt.SortOrder.DescendingOrder)
        self._row_of = {item: row for row, item in enumerate(self._rows)}

    def _tell_all(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, PART))

    # Changing

    def change(self, values: Mapping[str, Told], words: str, session: int = 0) -> int:
        """Changes drawings in one step that can be taken back.

        Args:
            values: path -> what is said of it from now on.
            words: What the step is called, in the user's language.
            session: Steps of one session (one opened box) become one; 0 for a step of its own.

        Returns:
            How many drawings were changed.
        """
        before = {path: self.told(path) for path in values if path in self._item_of}
        changes = {path: (old, values[path]) for path, old in before.items() if old != values[path]}
        if changes:
            self.steps.push(Step(self, changes, words, session))
        return len(changes)

    def apply(self, values: Mapping[str, Told]) -> None:
        """Puts values into the draft; called by the steps."""
        from clip_atelier.engine.data import DraftEdit

        assert self._collection is not None
        rows = []
        for known, told in values.items():
            path = self._now(known)
            if path not in self._item_of:
                continue  # its file went away in the meantime
            saved, old = self.saved(path), self.draft.get(path)
            before = saved.captions if old is None or old.captions == old.before else old.before
            fields = zip(Told._fields[1:], told[1:], saved[1:], strict=True)
            columns: dict[str, Any] = {n: v for n, v, s in fields if v != s}
            if told == saved:
                self.draft.pop(path, None)
            else:
                digest = self._collection.items[self._item_of[path]].digest
                columns["digest"] = digest if self._alike[digest] == 1 else ""
                self.draft[path] = DraftEdit(path=path, captions=told.captions, before=before, **columns)
            rows.append(self._row_of.get(self._item_of[path], -1))
        if len(rows) > _SINGLY:
            self._tell_all()
        else:
            for row in rows:
                if row >= 0:
                    self.dataChanged.emit(self.index(row, 0), self.index(row, PART))
        self.edited.emit(len(self.draft))

    def _now(self, path: str) -> str:
        """What a file that was renamed is called now."""
        while path not in self._item_of and path in self._moved:
            path = self._moved[path]
        return path

    def discard(self) -> None:
        """Puts everything unsaved back to what the folder says, in a step that can be taken back."""
        self.change({path: self.saved(path) for path in self.edits}, _("Discard changes"))
        self.forget(dict(self.draft))

    def forget(self, edits: Mapping[str, DraftEdit]) -> None:
        """Takes edits out of the draft, since they are saved or not wanted; what was typed since stays."""
        self.draft = {path: edit for path, edit in self.draft.items() if edits.get(path) != edit}
        self._tell_all()
        self.edited.emit(len(self.draft))

    def to_save(self) -> tuple[dict[str, tuple[str, ...]], dict[str, ColumnEdit]]:
        """The captions to be written, and what is to be written into other columns."""
        from clip_atelier.engine.data import ColumnEdit

        assert self._collection is not None
        edits = self.edits
        captions = {p: e.captions for p, e in edits.items() if e.captions != self.saved(p).captions}
        columns = {
            p: {name: str(getattr(e, name)) for name in e.columns} for p, e in edits.items() if e.columns
        }
        if any("pair" in values for values in columns.values()):
            # One pair in the table, and pairs by folder count no more: all of them are written.
            for item in self._collection.items:
                pair = self.told(item.path).pair
                if pair:
                    role = {"role": item.role} if item.role else {}
                    columns[item.path] = columns.get(item.path, {}) | {"pair": pair, **role}
        return captions, {p: ColumnEdit(values, self.told(p).captions) for p, values in columns.items()}

    def keep(self, home: Path) -> None:
        """Writes the draft into the home, if it is another one than is there.

        Raises:
            WorkError: the home cannot be written.
        """
        from clip_atelier.engine.data import caption_drafts

        if self.root is not None and self.draft != self._kept:
            caption_drafts.write_draft(home, self.root, self.draft)
            self._kept = dict(self.draft)

    # Qt's model

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(HEADERS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return _(HEADERS[section])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return None

    def _text(self, path: str, item: int, column: int) -> str:
        if column == FILE:
            return paths.shown(path)
        told = self.told(path)
        if column == PART:
            part = told.split or self._parts.get(item, "")
            return _(SPLITS[part]) if part else ""
        return "\n".join(told.captions) if column == CAPTIONS else told[column - 1]  # type: ignore[return-value]

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """One cell."""
        if self._collection is None or not index.isValid():
            return None
        number = self._rows[index.row()]
        item = self._collection.items[number]
        column = index.column()
        if role == PICTURE:
            return self._collection.absolute(item)
        if role == Qt.ItemDataRole.EditRole and column == PART:
            return self.told(item.path).split
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.EditRole):
            text = self._text(item.path, number, column)
            return plain_tooltip(text) if role == Qt.ItemDataRole.ToolTipRole else text
        if role == Qt.ItemDataRole.UserRole:
            edit = self.draft.get(item.path)
            if edit is None or column == FILE:
                return edit is not None
            return (
                edit.captions != item.captions
                if column == CAPTIONS
                else Told._fields[column - 1] in edit.columns
            )
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() in EDITABLE else flags

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        return role == Qt.ItemDataRole.EditRole and self.type_in(index, str(value), 0)

    def type_in(self, index: Index, text: str, session: int) -> bool:
        """What was typed into a cell; whether there is such a cell."""
        if self._collection is None or index.column() not in EDITABLE:
            return False
        path, field = self.path(index), Told._fields[index.column() - 1]
        lines = tuple(line.strip() for line in text.splitlines() if line.strip())
        value = lines if index.column() == CAPTIONS else " ".join(lines)
        words = _("Edit “{file}”").format(file=paths.shown(path))
        values: dict[str, Any] = {field: value}
        self.change({path: self.told(path)._replace(**values)}, words, session)
        return True
