"""The look of the window: two palettes, one style sheet made from them, and a signal when they change."""

from dataclasses import asdict, dataclass
from functools import partial
from string import Template

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication

from dit_studio.places import resources_dir
from dit_studio.plot_colours import ON_DARK, ON_LIGHT

SPACES = (4, 8, 16, 24)  # pixels
RADIUS = 8  # pixels
TEXT_SIZES = (11, 13, 18)  # pixels at a font scale of 100 %: caption, text, heading
_CONTROL_HEIGHT, _MARK_SIZE = 20, 16  # pixels at a font scale of 100 %: inside an editor, a check mark's box
_ICON_SIZE = 16  # pixels at a font scale of 100 %, of a button
FONT_SCALES = (80, 200)  # percent, smallest and largest


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours by role. Text on ground, surface and raised has a contrast of at least 4.5, curves on ground and surface
    one of at least 3."""

    name: str
    ground: str  # behind everything
    surface: str  # panels, cards
    raised: str  # buttons, hovered rows, tooltips
    field: str  # where one types
    line: str  # between things
    edge: str  # around what can be operated
    text: str
    muted: str
    disabled: str
    accent: str
    accent_hover: str
    on_accent: str
    selection: str
    good: str
    warning: str
    error: str
    info: str
    curves: tuple[str, ...]


DARK = Palette(
    name="dark",
    ground="#14161A",
    surface="#1C1F25",
    raised="#262A32",
    field="#15181D",
    line="#343A46",
    edge="#6B758B",
    text="#E7EAF0",
    muted="#98A1B2",
    disabled="#757E8F",
    accent="#6C9CFF",
    accent_hover="#8AB0FF",
    on_accent="#0C1220",
    selection="#2B3F6B",
    good="#4CC38A",
    warning="#E9B44C",
    error="#FF8080",
    info="#7DB7F0",
    curves=ON_DARK,
)
LIGHT = Palette(
    name="light",
    ground="#F5F6F8",
    surface="#FFFFFF",
    raised="#EDEFF3",
    field="#FFFFFF",
    line="#D8DDE6",
    edge="#7D8799",
    text="#1A1E26",
    muted="#586173",
    disabled="#7D8696",
    accent="#2B66F6",
    accent_hover="#1F55D8",
    on_accent="#FFFFFF",
    selection="#CFDDFD",
    good="#1A7544",
    warning="#855A00",
    error="#B72C33",
    info="#1F5FA8",
    curves=ON_LIGHT,
)


class _Theme(QObject):
    """What is shown now."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.palette = DARK
        self.font_scale = 100
        self.mode = "system"
        self.follows_system = False


_theme = _Theme()
theme_changed = _theme.changed  # connect to it whatever paints colours itself


def current() -> Palette:
    return _theme.palette


def text_size(index: int) -> int:
    """A size of TEXT_SIZES, in pixels at the font scale in use."""
    return scaled(TEXT_SIZES[index])


def scaled(pixels: int) -> int:
    """A length that grows with the text: so many pixels at a font scale of 100 %."""
    return round(pixels * _theme.font_scale / 100)


def apply_theme(app: QApplication, mode: str = "system", font_scale: int = 100) -> None:
    """Show the window in a mode ("system", "dark" or "light") and a font scale in percent."""
    _theme.mode = mode
    _theme.font_scale = min(max(font_scale, FONT_SCALES[0]), FONT_SCALES[1])
    if not _theme.follows_system:
        app.styleHints().colorSchemeChanged.connect(partial(_on_system_changed, app))
        _theme.follows_system = True
    _show(app)


def _on_system_changed(app: QApplication, _scheme: Qt.ColorScheme) -> None:
    if _theme.mode == "system":
        _show(app)


def _show(app: QApplication) -> None:
    _theme.palette = _palette_of(app)
    app.setStyle("Fusion")
    app.setPalette(qt_palette(_theme.palette))
    font = QFont(app.font())
    font.setPixelSize(text_size(1))
    app.setFont(font)
    app.setStyleSheet(style_sheet(_theme.palette))
    _theme.changed.emit()


def _palette_of(app: QApplication) -> Palette:
    if _theme.mode == "system":
        return LIGHT if app.styleHints().colorScheme() == Qt.ColorScheme.Light else DARK
    return LIGHT if _theme.mode == "light" else DARK


def qt_palette(palette: Palette) -> QPalette:
    """What Qt itself paints with, where the style sheet says nothing."""
    roles = {
        QPalette.ColorRole.Window: palette.ground,
        QPalette.ColorRole.WindowText: palette.text,
        QPalette.ColorRole.Base: palette.field,
        QPalette.ColorRole.AlternateBase: palette.surface,
        QPalette.ColorRole.Text: palette.text,
        QPalette.ColorRole.PlaceholderText: palette.muted,
        QPalette.ColorRole.Button: palette.raised,
        QPalette.ColorRole.ButtonText: palette.text,
        QPalette.ColorRole.BrightText: palette.error,
        QPalette.ColorRole.Highlight: palette.accent,
        QPalette.ColorRole.HighlightedText: palette.on_accent,
        QPalette.ColorRole.Accent: palette.accent,
        QPalette.ColorRole.Link: palette.accent,
        QPalette.ColorRole.LinkVisited: palette.accent,
        QPalette.ColorRole.ToolTipBase: palette.raised,
        QPalette.ColorRole.ToolTipText: palette.text,
    }
    result = QPalette()
    for role, colour in roles.items():
        result.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, role, QColor(palette.disabled))
    return result


def style_sheet(palette: Palette) -> str:
    style = resources_dir() / "style"
    values = asdict(palette) | {
        "caption_size": text_size(0),
        "text_size": text_size(1),
        "heading_size": text_size(2),
        "control_height": scaled(_CONTROL_HEIGHT),
        "mark_size": scaled(_MARK_SIZE),
        "icon_size": scaled(_ICON_SIZE),
        "shapes": (style / palette.name).as_posix(),
    }
    return Template((style / "studio.qss").read_text(encoding="utf-8")).substitute(values)
