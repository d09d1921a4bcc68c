"""Colours can be told apart, and every role of the style sheet exists."""

import itertools

import pytest
from PySide6.QtGui import QColor

from dit_studio.ui import theme
from dit_studio.ui.theme import DARK, LIGHT, Palette

GROUNDS = ("ground", "surface", "raised", "field")


def _luminance(colour: str) -> float:
    """Relative luminance; source: WCAG 2.2."""
    channels = QColor(colour).getRgbF()[:3]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_formula() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
@pytest.mark.parametrize("role", ["text", "muted", "good", "warning", "error", "info"])
def test_text_can_be_read(palette: Palette, role: str) -> None:
    for ground in GROUNDS:
        assert contrast(getattr(palette, role), getattr(palette, ground)) >= 4.5, ground


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
def test_the_rest_can_be_seen(palette: Palette) -> None:
    assert contrast(palette.on_accent, palette.accent) >= 4.5
    assert contrast(palette.on_accent, palette.accent_hover) >= 4.5
    assert contrast(palette.text, palette.selection) >= 4.5
    for ground in GROUNDS:
        assert contrast(palette.disabled, getattr(palette, ground)) >= 3, f"disabled text on {ground}"
        assert contrast(palette.edge, getattr(palette, ground)) >= 3, f"edges on {ground}"
        assert contrast(palette.accent, getattr(palette, ground)) >= 3, f"the focus ring on {ground}"


def test_curves_differ() -> None:
    for one, other in itertools.combinations(theme.CURVES, 2):
        assert one != other


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
def test_the_style_sheet_is_complete(palette: Palette) -> None:
    sheet = theme.style_sheet(palette)
    assert "$" not in sheet.split("*/", 1)[1]
    assert palette.accent in sheet
