#!/bin/sh
# Tells the desktop of new menu entries, file types and icons below the folder $1, where it has a way to be told.
refresh() { command -v "$1" >/dev/null 2>&1 && "$@" >/dev/null 2>&1 || true; }
refresh update-mime-database "$1/mime"
refresh update-desktop-database "$1/applications"
refresh gtk-update-icon-cache -q -t -f "$1/icons/hicolor"
