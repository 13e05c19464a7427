"""Tells that a folder of drawings changed on disk, once it has been quiet for a moment."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

if TYPE_CHECKING:
    from clip_atelier.engine.data import Collection

_QUIET_MS = 800
_MOST = 512
"""Folders and tables that are watched: systems allow only so many, and other programs need some too."""
_TABLES = ("metadata.csv", "metadata.jsonl")


class FolderWatch(QObject):
    """Watches the folders that hold a collection's images, and the tables of captions in them."""

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._watcher = QFileSystemWatcher(self)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_QUIET_MS)
        self._quiet.timeout.connect(self.changed)
        # Copying a hundred files is one change: each starts the wait anew.
        self._watcher.directoryChanged.connect(lambda _path: self._quiet.start())
        self._watcher.fileChanged.connect(lambda _path: self._quiet.start())

    def watch(self, collection: Collection) -> None:
        """Watches a collection in place of what was watched before."""
        from clip_atelier.engine.data import located

        # Of one that is not there the folder around it: its drive may come back.
        further = {one.path if one.there else one.path.parent for one in collection.further}
        names = {posixpath.dirname(item.path) for item in collection.items}
        below = {located(collection.root, name) for name in names}
        folders = sorted({collection.root} | {one for one in further if one.is_dir()} | below)
        wanted = {str(folder) for folder in folders[: _MOST // 2]}
        tables = (Path(folder, name) for folder in folders[: _MOST // 4] for name in _TABLES)
        wanted |= {str(table) for table in tables if table.is_file()}
        now = {*self._watcher.directories(), *self._watcher.files()}
        if now - wanted:
            self._watcher.removePaths(sorted(now - wanted))
        if wanted - now:
            self._watcher.addPaths(sorted(wanted - now))

    def stop(self) -> None:
        """Watches nothing: some systems do not let go of a folder that is watched."""
        self._quiet.stop()
        if now := [*self._watcher.directories(), *self._watcher.files()]:
            self._watcher.removePaths(now)

    def again(self) -> None:
        """Waits once more: it cannot be read now."""
        self._quiet.start()
