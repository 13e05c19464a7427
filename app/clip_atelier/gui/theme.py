"""The only file with colours, spacing, type sizes and radii: two palettes over Fusion and a small style sheet.

Widgets that paint themselves ask `tokens(self.palette())`; nothing else in the window names a colour.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Final, Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette, QPixmapCache
from PySide6.QtWidgets import QApplication, QStyleFactory

from clip_atelier.engine.core import paths

Choice = Literal["system", "light", "dark"]

# One spacing scale (device-independent pixels).
XS: Final = 4
S: Final = 8
M: Final = 12
L: Final = 16
XL: Final = 24
XXL: Final = 32

PAPER: Final = "#ffffff"  # under drawings, in both themes
INK: Final = "#1a1a1a"  # on it

# Things of one rank told apart by colour alone: Okabe & Ito's and four more, readable on both themes' surfaces.
SERIES: Final = (
    "#2f7fc1", "#d98a00", "#17936b", "#d1603d", "#b86fa0", "#45a9d6", "#9a9500", "#7a6fd0", "#c0525e", "#6d8f4e",
    "#8d6e4c", "#5f8f9b",
)  # fmt: skip

RADIUS: Final = 8
RADIUS_SMALL: Final = 5

# One type scale (pixels).
CAPTION: Final = 12
BODY: Final = 13
SUBTITLE: Final = 15
TITLE: Final = 20
DISPLAY: Final = 26


@dataclass(frozen=True)
class Tokens:
    """The colours of one theme, by what they are for."""

    dark: bool
    window: str  # the table everything lies on
    surface: str  # cards, lists, fields
    raised: str  # a surface under the pointer
    text: str
    muted: str  # explanations
    line: str  # hairlines and borders
    strong_line: str  # borders of fields, chevrons
    faint: str  # what lies behind a curve
    accent: str  # the one accent: chosen things, the adapted model
    accent_hover: str
    accent_soft: str  # a wash of the accent
    on_accent: str
    base: str  # the untouched model in every picture
    gain: str
    loss: str
    loss_soft: str
    warning: str


LIGHT: Final = Tokens(
    dark=False,
    window="#f5f3ef",
    surface="#ffffff",
    raised="#efece6",
    text="#23211e",
    muted="#6a645b",
    line="#e2ddd4",
    strong_line="#8c8579",
    faint="#dcd6cb",
    accent="#3b55b5",
    accent_hover="#2f4699",
    accent_soft="#e6eaf8",
    on_accent="#ffffff",
    base="#8a8378",
    gain="#25734a",
    loss="#b0392b",
    loss_soft="#fae9e6",
    warning="#8a5a00",
)

DARK: Final = Tokens(
    dark=True,
    window="#1b1a18",
    surface="#252421",
    raised="#302e2a",
    text="#ebe7e0",
    muted="#a9a297",
    line="#383530",
    strong_line="#7d776d",
    faint="#48443d",
    accent="#93a8f4",
    accent_hover="#abbcf8",
    accent_soft="#2c3352",
    on_accent="#161a2b",
    base="#989186",
    gain="#74c698",
    loss="#ef8b7d",
    loss_soft="#452623",
    warning="#e3b866",
)


def tokens(palette: QPalette) -> Tokens:
    """The colours that belong to a palette of ours."""
    # Not the window's colour: a style sheet's background puts its own into the palette of the widget it styles.
    return DARK if palette.color(QPalette.ColorRole.ToolTipBase).lightness() < 128 else LIGHT


def build_palette(t: Tokens) -> QPalette:
    """The Qt palette of a theme."""
    role = QPalette.ColorRole
    palette = QPalette()
    for which, colour in (
        (role.Window, t.window), (role.WindowText, t.text), (role.Base, t.surface), (role.AlternateBase, t.window),
        (role.Text, t.text), (role.Button, t.surface), (role.ButtonText, t.text), (role.BrightText, t.on_accent),
        (role.ToolTipBase, t.surface), (role.ToolTipText, t.text), (role.PlaceholderText, t.muted),
        (role.Highlight, t.accent), (role.HighlightedText, t.on_accent), (role.Link, t.accent),
        (role.LinkVisited, t.accent), (role.Light, t.raised), (role.Midlight, t.line), (role.Mid, t.strong_line),
        (role.Dark, t.strong_line), (role.Shadow, t.line), (role.Accent, t.accent),
    ):  # fmt: skip
        palette.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(t.strong_line))
    palette.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(t.strong_line))
    return palette


def style_sheet(t: Tokens) -> str:
    """The few rules that Fusion and the palette cannot say."""
    return f"""
    QToolTip {{ background: {t.surface}; color: {t.text}; border: 1px solid {t.line}; padding: {XS}px {S}px; }}
    QLabel[role="muted"], QLabel[role="caption"] {{ color: {t.muted}; }}
    QLabel[role="caption"] {{ font-size: {CAPTION}px; }}
    QLabel[role="heading"] {{ font-size: {SUBTITLE}px; font-weight: 600; }}
    QLabel[role="title"] {{ font-size: {TITLE}px; font-weight: 600; }}
    QLabel[role="display"] {{ font-size: {DISPLAY}px; font-weight: 600; }}
    QLabel[role="strong"], QLabel[role="turned"] {{ font-weight: 600; }}
    QLabel[role="turned"] {{ color: {t.accent}; }}
    QLabel[role="problem"] {{ color: {t.loss}; font-size: {CAPTION}px; }}
    QLabel[role="warning"] {{ color: {t.warning}; }}
    QLabel[role="gain"] {{ color: {t.gain}; font-weight: 600; }}
    QLabel[role="heading-gain"] {{ color: {t.gain}; font-size: {SUBTITLE}px; font-weight: 600; }}
    QLabel[role="heading-loss"] {{ color: {t.loss}; font-size: {SUBTITLE}px; font-weight: 600; }}
    QLabel[role="loss"] {{ color: {t.loss}; font-weight: 600; }}
    QFrame[role="card"] {{ background: {t.surface}; border: 1px solid {t.line}; border-radius: {RADIUS}px; }}
    QFrame[role="preset"] {{ background: {t.surface}; border: 1px solid {t.strong_line}; border-radius: {RADIUS}px; }}
    QFrame[role="preset"]:hover {{ background: {t.raised}; }}
    QFrame[role="preset"]:focus {{ border-color: {t.accent}; }}
    QFrame[role="preset"][chosen="true"] {{ background: {t.accent_soft}; border: 1px solid {t.accent}; }}
    QFrame[role="preset"][changed="true"] {{ background: {t.surface}; border: 1px dashed {t.accent}; }}
    QFrame[role="preset"][chosen="true"]:focus {{ border: 2px solid {t.accent}; }}
    QScrollArea[role="scrolled"] {{ border: 1px solid transparent; }}
    QScrollArea[role="scrolled"]:focus {{ border-color: {t.accent}; }}
    QFrame[role="panel"] {{ background: {t.surface}; border: none; border-left: 1px solid {t.line}; }}
    QFrame[role="notice"] {{ background: {t.accent_soft}; border: none; border-radius: {RADIUS}px; }}
    QFrame[role="news"] {{ background: {t.accent_soft}; border: none; border-bottom: 1px solid {t.line}; }}
    QFrame[role="alarm"] {{ background: {t.loss_soft}; border: none; border-bottom: 1px solid {t.line}; }}
    QFrame[role="rail"] {{ background: {t.surface}; border: none; border-right: 1px solid {t.line}; }}
    QFrame[role="bar"] {{ background: {t.window}; border: none; border-bottom: 1px solid {t.line}; }}
    QFrame[role="rule"] {{ background: {t.line}; border: none; }}
    QFrame[role="chip"] {{ background: {t.raised}; border: none; border-radius: {RADIUS_SMALL}px; }}
    QScrollArea, QScrollArea > QWidget > QWidget[role="page"] {{ background: transparent; border: none; }}

    QPushButton {{ background: {t.surface}; color: {t.text}; border: 1px solid {t.strong_line};
        border-radius: {RADIUS_SMALL + 1}px; padding: 5px {M}px; min-height: 20px; }}
    QPushButton:hover {{ background: {t.raised}; }}
    QPushButton:checked {{ background: {t.accent_soft}; color: {t.accent}; border-color: {t.accent}; }}
    QPushButton:pressed {{ background: {t.line}; }}
    QPushButton:focus {{ border: 1px solid {t.accent}; }}
    QPushButton:disabled {{ color: {t.strong_line}; border-color: {t.line}; }}
    QPushButton[kind="primary"] {{ background: {t.accent}; color: {t.on_accent}; border-color: {t.accent};
        font-weight: 600; }}
    QPushButton[kind="primary"]:hover {{ background: {t.accent_hover}; border-color: {t.accent_hover}; }}
    QPushButton[kind="primary"]:focus {{ border: 1px solid {t.text}; }}
    QPushButton[kind="primary"]:disabled {{ background: {t.line}; color: {t.muted}; border-color: {t.line}; }}
    QPushButton[kind="quiet"] {{ background: transparent; border-color: transparent; color: {t.text}; }}
    QPushButton[kind="quiet"]:hover {{ background: {t.raised}; }}
    QPushButton[kind="quiet"]:focus {{ border-color: {t.accent}; }}
    QPushButton[kind="quiet"]:disabled {{ color: {t.strong_line}; }}
    QPushButton[kind="icon"] {{ background: transparent; border-color: transparent; padding: {XS}px; }}
    QPushButton[kind="icon"]:hover {{ background: {t.raised}; }}
    QPushButton[kind="icon"]:focus {{ border-color: {t.accent}; }}
    QPushButton[kind="rail"] {{ background: transparent; border: 1px solid transparent; text-align: left;
        padding: {S}px {M}px; border-radius: {RADIUS}px; color: {t.muted}; }}
    QPushButton[kind="rail"]:hover {{ background: {t.raised}; color: {t.text}; }}
    QPushButton[kind="rail"]:focus {{ border-color: {t.accent}; }}
    QPushButton[kind="rail"]:checked {{ background: {t.accent_soft}; color: {t.accent}; font-weight: 600; }}
    QPushButton[kind="tab"] {{ background: transparent; border: none; border-bottom: 2px solid transparent;
        border-radius: 0; padding: {S}px {XS}px; margin-right: {L}px; color: {t.muted}; }}
    QPushButton[kind="tab"]:hover {{ color: {t.text}; }}
    QPushButton[kind="tab"]:focus {{ color: {t.accent}; background: {t.accent_soft}; }}
    QPushButton[kind="tab"]:checked {{ color: {t.text}; border-bottom-color: {t.accent}; }}
    QPushButton[kind="chip"] {{ padding: 3px {S + 2}px; min-height: 18px; }}
    QPushButton[kind="chip"]:checked {{ background: {t.accent_soft}; color: {t.accent}; border-color: {t.accent}; }}
    QPushButton[kind="chip"]:focus {{ border-color: {t.accent}; }}
    QPushButton:checked:focus {{ border: 2px solid {t.accent}; padding: 4px {M - 1}px; }}
    QPushButton[kind="chip"]:checked:focus {{ border: 2px solid {t.accent}; padding: 2px {S + 1}px; }}
    QPushButton[kind="icon"]:checked:focus {{ border: 2px solid {t.accent}; padding: {XS - 1}px; }}
    QPushButton[kind="rail"]:checked:focus {{ border: 1px solid {t.accent}; padding: {S}px {M}px; }}
    QPushButton[kind="tab"]:checked:focus {{ border: none; border-bottom: 2px solid {t.accent}; padding: {S}px {XS}px; }}

    QLineEdit, QPlainTextEdit, QAbstractSpinBox, QComboBox {{ background: {t.surface}; color: {t.text};
        border: 1px solid {t.strong_line}; border-radius: {RADIUS_SMALL + 1}px; padding: {XS}px {S}px;
        selection-background-color: {t.accent}; selection-color: {t.on_accent}; }}
    QAbstractSpinBox QLineEdit {{ border: none; padding: 0 0 0 {S - 2}px; background: transparent; }}
    QLineEdit, QAbstractSpinBox, QComboBox {{ min-height: 22px; }}
    QLineEdit:focus, QPlainTextEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {{ border-color: {t.accent}; }}
    QLineEdit[wrong="true"], QAbstractSpinBox[wrong="true"], QComboBox[wrong="true"] {{ border-color: {t.loss}; }}
    QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled {{ color: {t.strong_line};
        border-color: {t.line}; }}
    QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ border: none; background: transparent; width: 20px; }}
    QComboBox::drop-down {{ border: none; width: 24px; }}
    QComboBox::down-arrow, QAbstractSpinBox::up-arrow, QAbstractSpinBox::down-arrow {{ image: none; width: 0; height: 0; }}
    QComboBox QAbstractItemView {{ background: {t.surface}; border: 1px solid {t.line}; outline: none;
        padding: {XS}px; }}

    QListView, QTableView, QTreeView {{ background: transparent; border: 1px solid transparent; outline: none;
        gridline-color: {t.line}; selection-background-color: {t.accent_soft}; selection-color: {t.text}; }}
    QListView:focus, QTableView:focus, QTreeView:focus {{ border-color: {t.accent}; }}
    QTableView {{ background: {t.surface}; alternate-background-color: {t.surface}; }}
    QTableView::item {{ padding: {XS}px {S - 3}px; border-bottom: 1px solid {t.line}; }}
    QTableView::item:selected {{ background: {t.accent_soft}; color: {t.text}; }}
    QHeaderView {{ background: {t.surface}; border: none; }}
    QHeaderView::section {{ background: {t.surface}; color: {t.muted}; border: none; padding: {S}px;
        border-bottom: 1px solid {t.strong_line}; }}
    QTableCornerButton::section {{ background: {t.surface}; border: none; }}

    QScrollBar:vertical {{ background: transparent; width: 12px; margin: 0; }}
    QScrollBar:horizontal {{ background: transparent; height: 12px; margin: 0; }}
    QScrollBar::handle {{ background: {t.line}; border-radius: 4px; margin: 2px; min-height: 32px; min-width: 32px; }}
    QScrollBar::handle:hover {{ background: {t.strong_line}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QAbstractScrollArea::corner {{ background: transparent; border: none; }}
    QSplitter::handle {{ background: transparent; }}
    QSlider:horizontal {{ min-height: 20px; }}
    QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {t.line}; }}
    QSlider::sub-page:horizontal {{ height: 4px; border-radius: 2px; background: {t.accent}; }}
    QSlider::handle:horizontal {{ width: 14px; height: 14px; margin: -6px 0; border-radius: 8px;
        background: {t.surface}; border: 1px solid {t.accent}; }}
    QSlider::handle:horizontal:hover, QSlider::handle:horizontal:focus {{ background: {t.accent}; }}
    QSlider::sub-page:horizontal:disabled {{ background: {t.strong_line}; }}
    QProgressBar {{ background: {t.line}; border: none; border-radius: 2px; max-height: 4px; min-height: 4px; }}
    QProgressBar::chunk {{ background: {t.accent}; border-radius: 2px; }}
    QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
    QInputDialog QLineEdit {{ min-width: 320px; }}
    QMenu {{ background: {t.surface}; border: 1px solid {t.line}; padding: {XS}px; }}
    QMenu::item {{ padding: 6px {L}px; border-radius: {RADIUS_SMALL}px; }}
    QMenu::item:selected {{ background: {t.accent_soft}; color: {t.text}; }}
    QMenu::item:disabled {{ color: {t.strong_line}; }}
    """


def load_fonts() -> None:
    """Sets the bundled typeface, which draws Latin and Hangul alike; the system's own where it is missing."""
    families: list[str] = []
    folder = paths.resources() / "fonts"
    for file in sorted([*folder.glob("*.otf"), *folder.glob("*.ttf")]) if folder.is_dir() else []:
        number = QFontDatabase.addApplicationFont(str(file))
        families += QFontDatabase.applicationFontFamilies(number)
    font = QFont(QApplication.font())
    if families:
        font.setFamilies([*dict.fromkeys(families), font.family()])
    font.setPixelSize(BODY)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    QApplication.setFont(font)


def monospace() -> QFont:
    """The system's fixed-width face at body size, for code."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(CAPTION)
    return font


class Theme(QObject):
    """Keeps the application in the chosen theme, following the system where asked to."""

    changed = Signal()

    def __init__(self, app: QApplication, choice: Choice = "system") -> None:
        super().__init__(app)
        self._app = app
        self._choice: Choice = choice
        app.setStyle(QStyleFactory.create("Fusion"))
        load_fonts()
        app.styleHints().colorSchemeChanged.connect(self._apply)
        self._apply()

    @property
    def choice(self) -> Choice:
        """What the user chose: "system", "light" or "dark"."""
        return self._choice

    @property
    def tokens(self) -> Tokens:
        """The colours in force."""
        dark = self._choice == "dark" or (
            self._choice == "system" and self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark
        )
        return DARK if dark else LIGHT

    def choose(self, choice: Choice) -> None:
        """Changes the theme at once."""
        self._choice = choice
        self._apply()

    def _apply(self) -> None:
        # Qt walks over a list of all widgets and tells each, which runs our code; were a window that nobody holds any
        # more collected in the middle of that, Qt would walk over its remains.
        collecting = gc.isenabled()
        gc.disable()
        try:
            QPixmapCache.clear()  # icons in the colours of before are not shown again
            self._app.setPalette(build_palette(self.tokens))
            self._app.setStyleSheet(style_sheet(self.tokens))
        finally:
            if collecting:
                gc.enable()
        self.changed.emit()
