"""Training page (under work)."""
from PySide6.QtWidgets import QWidget
def make(desk):
    return QWidget()
