"""Colours can be told apart, and every role of the style sheet exists."""

import itertools

import numpy as np
import pytest
from PySide6.QtGui import QColor

from dit_studio.plot_colours import ON_DARK, ON_LIGHT
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


# Machado, Oliveira & Fernandes 2009: from linear RGB to what it looks like without one kind of cones
SEEN_WITH = {
    "all": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def _lab(colour: str, cones: str) -> np.ndarray:
    """CIE L*a*b* of what a colour looks like."""
    srgb = np.array(QColor(colour).getRgbF()[:3])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SEEN_WITH[cones]) @ linear, 0, 1)
    xyz = np.array(((0.412456, 0.357576, 0.180438), (0.212673, 0.715152, 0.072175), (0.019334, 0.119192, 0.950304)))
    x, y, z = np.cbrt(xyz @ seen / (0.95047, 1.0, 1.08883))
    return np.array((116 * y - 16, 500 * (x - y), 200 * (y - z)))


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
@pytest.mark.parametrize("cones", SEEN_WITH)
def test_any_colour_vision_tells_curves_apart(palette: Palette, cones: str) -> None:
    for one, other in itertools.combinations(palette.curves, 2):
        assert np.linalg.norm(_lab(one, cones) - _lab(other, cones)) > 15, (one, other)


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
def test_curves_are_seen_on_their_ground(palette: Palette) -> None:
    for colour, ground in itertools.product(palette.curves, ("ground", "surface")):
        assert contrast(colour, getattr(palette, ground)) >= 3, (colour, ground)


def test_reports_have_the_colours_of_the_window() -> None:
    assert (theme.DARK.curves, theme.LIGHT.curves) == (ON_DARK, ON_LIGHT)
    for colours, page in ((ON_DARK, "#16181d"), (ON_LIGHT, "#ffffff")):
        assert min(contrast(colour, page) for colour in colours) >= 3


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
def test_the_style_sheet_is_complete(palette: Palette) -> None:
    sheet = theme.style_sheet(palette)
    assert "$" not in sheet.split("*/", 1)[1]
    assert palette.accent in sheet
