"""Builds the installers. `build.py` beside this package is the command; the steps are its modules."""
