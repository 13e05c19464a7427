"""What dmgbuild reads: the window of the disk image. `application` is given with -D."""

import os.path

application = defines.get("application")  # type: ignore[name-defined] # noqa: F821 - dmgbuild's
name = os.path.basename(application)

files = [application]
symlinks = {"Applications": "/Applications"}
format = "UDZO"
compression_level = 9
filesystem = "HFS+"
icon_size = 112
icon_locations = {name: (150, 160), "Applications": (430, 160)}
window_rect = ((200, 200), (580, 340))
