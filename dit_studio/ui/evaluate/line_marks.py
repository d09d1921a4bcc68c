"""How lines are told apart: by colour, and by mark and dash for those who see no colours, or where there are many."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt

from dit_studio.ui import theme

_SYMBOLS = ("o", "s", "t1", "d", "star", "t", "+")  # as pyqtgraph names them
_GLYPHS = ("●", "■", "▲", "◆", "★", "▼", "✚")
_DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashDotLine, Qt.PenStyle.DotLine)
UNLIKE = "≠"  # beside what is not comparable with the first


@dataclass(frozen=True)
class Mark:
    colour: str
    symbol: str
    glyph: str
    dash: Qt.PenStyle


def mark_of(number: int) -> Mark:
    """Of the line with this number, from 0."""
    colours = theme.current().curves
    turn, place = divmod(number, len(colours))
    shape = (place + turn) % len(_SYMBOLS)
    return Mark(colours[place], _SYMBOLS[shape], _GLYPHS[shape], _DASHES[turn % len(_DASHES)])


def legend(names: Sequence[str]) -> str:
    """Every name with its mark, as rich text; a name is never broken."""
    entries = []
    for number, name in enumerate(names):
        mark = mark_of(number)
        text = html.escape(name).replace(" ", "&nbsp;")
        entries.append(f'<span style="color: {mark.colour}">{mark.glyph}</span>&nbsp;{text}')
    return "&ensp; ".join(entries)
