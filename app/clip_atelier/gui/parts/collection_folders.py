"""Further folders of the open collection: added, taken out and found again, each with the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from clip_atelier.engine.core import _, paths
from clip_atelier.gui.jobs import at_once
from clip_atelier.gui.parts.delete_question import may_forget
from clip_atelier.gui.parts.new_collection import NewCollection
from clip_atelier.gui.workers import Job

if TYPE_CHECKING:
    from clip_atelier.engine.data import FurtherFolder
    from clip_atelier.engine.storage import TrashEntry
    from clip_atelier.gui.app_model import AppModel


def taken_as_further(app_model: AppModel, found: Sequence[Path], parent: QWidget) -> bool:
    """Asks what is to become of folders that were dropped; whether that was all to be done.

    Nothing is asked of one that could not be added to the open collection: the folder that is open, one in it or one around it.
    Several are never opened one without the others.
    """
    from clip_atelier.engine.data import can_be_added

    root = app_model.state.folder
    folders = [path for path in found if path.is_dir()] if found[0].is_dir() else []
    if not folders or (len(folders) == 1 and not (root and can_be_added(Path(root), folders[0]))):
        return False
    answer = "open"
    if root and can_be_added(Path(root), folders[0]):
        answer = _asked(folders, Path(root), parent, kept=kept_root(app_model) is not None)
    if answer == "add":
        add(app_model, folders)
    elif answer == "open" and len(folders) > 1:
        NewCollection(app_model, folders, parent).open()
        return True
    return answer != "open"


def _asked(folders: Sequence[Path], root: Path, parent: QWidget, *, kept: bool) -> str:
    question = QMessageBox(parent)
    question.setTextFormat(Qt.TextFormat.PlainText)
    question.setIcon(QMessageBox.Icon.NoIcon)
    names = ", ".join(f"“{paths.shown(folder.name)}”" for folder in folders[:3])
    question.setText(
        (
            _("Add {names} to the collection “{collection}”, or open it by itself?")
            if len(folders) == 1
            else _("Add {names} to the collection “{collection}”, or make a collection of them?")
        ).format(names=names if len(folders) <= 3 else f"{names} …", collection=paths.shown(root.name))
    )
    question.setInformativeText(
        _(
            "Added, its drawings are learned and searched together with those that are open. It stays where it is; the program notes "
            "it in the list that it keeps."
        )
        if kept
        else _(
            "Added, its drawings are learned and searched together with those that are open. It stays where it is; which folders "
            "belong together is noted in a small file in “{collection}”."
        ).format(collection=paths.shown(root.name))
    )
    add_it = question.addButton(_("Add to the collection"), QMessageBox.ButtonRole.AcceptRole)
    alone = _("Open by itself") if len(folders) == 1 else _("Make a collection of them")
    open_it = question.addButton(alone, QMessageBox.ButtonRole.ActionRole)
    question.addButton(_("Cancel"), QMessageBox.ButtonRole.RejectRole)
    question.setDefaultButton(open_it)
    question.exec()
    if question.clickedButton() is add_it:
        return "add"
    return "open" if question.clickedButton() is open_it else ""


def place_for_new(app_model: AppModel) -> Path | None:
    """The folder that new drawings of the open collection go into; None where none is open.

    That is its own one, but where the program keeps a list in its home: there the first of the user's folders that is there.
    """
    from clip_atelier.engine.data import collections_of

    collection = app_model.collection
    if collection is None or not collection.root.is_relative_to(collections_of(app_model.home)):
        return collection.root if collection is not None else None
    return next((one.path for one in collection.further if one.there), None)


def kept_root(app_model: AppModel) -> Path | None:
    """The folder of the open collection where the program keeps its list in the home; None for any other."""
    from clip_atelier.engine.data import collections_of

    root = Path(app_model.state.folder)
    return root if root.parent == collections_of(app_model.home) else None


def may_be_deleted(app_model: AppModel) -> bool:
    """Whether the open collection can be deleted now: what is learned or computed needs to know where its drawings are."""
    return kept_root(app_model) is not None and not app_model.lanes.compute.busy


def ask_to_delete(app_model: AppModel, parent: QWidget) -> bool:
    """Asks, closes the open collection and puts its list into the trash; whether it was wanted."""
    root = kept_root(app_model)
    if root is None or not may_be_deleted(app_model) or not may_forget(parent, paths.shown(root.name)):
        return False

    def failed(error: Exception) -> None:
        app_model.open_folder(root)
        app_model.report(error)

    # Closed first: some systems do not move a folder that is read or watched.
    app_model.forget_folder()
    app_model.page_wanted.emit("collection")
    job = Job("folders", lambda tools, _control: at_once(lambda: _delete(tools.home, root.name)))
    job.done.connect(lambda entry: app_model.deleted.emit([entry]))
    job.failed.connect(failed)
    app_model.lanes.files.submit(job)
    return True


def offer_again(app_model: AppModel, entries: Sequence[TrashEntry], places: Sequence[Path]) -> list[Path]:
    """Puts collections that are back from the trash among the recent folders, for nobody would look for them in the home.

    Args:
        app_model: The window's.
        entries: What was put back.
        places: Where each is now.

    Returns:
        The collections among them.
    """
    back = [place for entry, place in zip(entries, places, strict=True) if entry.kind == "collection"]
    for root in back:
        app_model.state.offer_folder(str(root))
    return back


def ask_for_folder(app_model: AppModel, parent: QWidget) -> None:
    """Lets the user choose a folder and adds it."""
    start = str((place_for_new(app_model) or Path(app_model.state.folder)).parent)
    chosen = QFileDialog.getExistingDirectory(parent, _("Add a folder to this collection"), start)
    if chosen:
        add(app_model, [Path(chosen)])


def ask_where(app_model: AppModel, name: str, parent: QWidget) -> None:
    """Lets the user choose where a further folder is now."""
    title = _("Where is “{name}” now?").format(name=paths.shown(name))
    chosen = QFileDialog.getExistingDirectory(parent, title, str(Path.home()))
    if chosen:
        root = Path(app_model.state.folder)
        _do(app_model, partial(_locate, root, name, Path(chosen)), partial(_on_located, app_model))


def add(app_model: AppModel, folders: Sequence[Path]) -> None:
    """Makes folders part of the open collection."""
    root = Path(app_model.state.folder)
    _do(app_model, partial(_add, root, folders), partial(_on_added, app_model, root))


def take_out(app_model: AppModel, name: str, root: Path | None = None) -> None:
    """Takes a folder out of the open collection; nothing in it is changed."""
    root = root or Path(app_model.state.folder)
    _do(app_model, partial(_remove, root, name), partial(_on_out, app_model, root))


def _do(app_model: AppModel, call: Callable[[], Any], done: Callable[[Any], None]) -> None:
    job = Job("folders", lambda _tools, _control: at_once(call))
    job.done.connect(done)
    job.failed.connect(app_model.report)
    job.ended.connect(app_model.rescan)  # some may have been added before one could not
    app_model.lanes.files.submit(job)


def _add(root: Path, folders: Sequence[Path]) -> list[FurtherFolder]:
    from clip_atelier.engine.data import add_folder

    return [add_folder(root, folder) for folder in folders]


def _locate(root: Path, name: str, other: Path) -> FurtherFolder:
    from clip_atelier.engine.data import locate_folder

    return locate_folder(root, name, other)


def _remove(root: Path, name: str) -> FurtherFolder:
    from clip_atelier.engine.data import remove_folder

    return remove_folder(root, name)


def _delete(home: Path, name: str) -> TrashEntry:
    from clip_atelier.engine.data import delete_collection

    return delete_collection(home, name)


def _put_back(root: Path, former: FurtherFolder) -> None:
    from clip_atelier.engine.data import put_back

    put_back(root, former)


def _on_added(app_model: AppModel, root: Path, added: list[FurtherFolder]) -> None:
    hint = _("Nothing in it is changed. Captions of its drawings are saved beside them.")
    names = ", ".join(f"“{paths.shown(one.name)}”" for one in added)
    message = _("Part of this collection now: {names}").format(names=names)
    if len(added) == 1:
        app_model.undoable.emit(message, hint, partial(take_out, app_model, added[0].name, root))
    else:
        app_model.news.emit(message, hint)


def _on_located(app_model: AppModel, now: FurtherFolder) -> None:
    app_model.news.emit(
        _("“{name}” is found again.").format(name=paths.shown(now.name)),
        _("It is read from {folder} from now on.").format(folder=paths.shown(now.folder)),
    )


def _on_out(app_model: AppModel, root: Path, former: FurtherFolder) -> None:
    app_model.undoable.emit(
        _("“{name}” is taken out of this collection.").format(name=paths.shown(former.name)),
        _("Its drawings and captions stay in {folder}.").format(folder=paths.shown(former.folder)),
        partial(_back, app_model, root, former),
    )


def _back(app_model: AppModel, root: Path, former: FurtherFolder) -> None:
    def told(_none: object) -> None:
        app_model.news.emit(
            _("“{name}” is part of this collection again.").format(name=paths.shown(former.name)), ""
        )

    _do(app_model, partial(_put_back, root, former), told)
