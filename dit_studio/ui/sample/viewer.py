"""The picked image, seen twice: as noisy as it is, and as clean as the model takes it to be."""

import math
from typing import Literal, NamedTuple

from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from dit_studio.ui import theme
from dit_studio.ui.sample.film import Film, why_missing
from dit_studio.ui.sample.pixels import Pixels, difference
from dit_studio.ui.sample.tile import Tile, View, fit

Focus = Literal["both", "x_start", "x_t"]
FOCUSES: tuple[Focus, ...] = ("both", "x_start", "x_t")
_SPACE = 16  # pixels between tiles
_DIFFERENCE_TIMES = 4  # how much larger a difference is shown than it is


class Words(NamedTuple):
    """What a tile says of its plane."""

    title: str
    subtitles: tuple[str, ...]
    about: str


WORDS = {
    "x_t": Words(
        "xₜ",
        ("the noisy image", "noisy"),
        "xₜ on a fixed scale: −3 is black, +3 is white at every step, so that the noise is seen to go.",
    ),
    "x_start": Words(
        "x̂₀",
        ("what the model sees in it", "seen in it"),
        "The clean image that the model predicts from xₜ, after guidance.",
    ),
    "unconditional": Words(
        "No class",
        ("without guidance", "alone"),
        "The clean image that the model predicts when it is told no class.",
    ),
    "conditional": Words(
        "Class",
        ("the class alone", "alone"),
        "The clean image that the model predicts when it is told the class. "
        "Guidance goes from the one without it to this one, and beyond.",
    ),
    "difference": Words(
        "Difference",
        (f"× {_DIFFERENCE_TIMES}, what the class adds", f"× {_DIFFERENCE_TIMES}"),
        f"{_DIFFERENCE_TIMES} · |class − no class|; black where they agree. Guidance adds this, times its scale.",
    ),
}
GUIDANCE = ("unconditional", "conditional", "difference")


class Viewer(QWidget):
    """Tiles that zoom together; as large as fit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = View(self)
        self.tiles = {name: Tile(self.view, *words, self) for name, words in WORDS.items()}
        self._film: Film | None = None
        self._image, self._step = 0, 1
        self._focus: Focus = "both"
        self._shows_guidance = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.theme_changed.connect(self._arrange)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 110)

    def sizeHint(self) -> QSize:
        return QSize(560, 300)

    @property
    def focus(self) -> Focus:
        """Which of x_t and x̂₀ is shown, or both."""
        return self._focus

    @property
    def has_guidance(self) -> bool:
        """Whether the film knows the predictions with and without class."""
        return self._film is not None and "conditional" in self._film.planes and "unconditional" in self._film.planes

    @property
    def shown(self) -> list[str]:
        """The tiles that are shown, in order."""
        if self._film is not None and not self._film.points:
            return ["x_start"]
        names = ["x_t", "x_start"] if self._focus == "both" else [self._focus]
        return names + (list(GUIDANCE) if self._shows_guidance and self.has_guidance else [])

    def show_film(self, film: Film | None) -> None:
        self._film, self._image, self._step = film, 0, 1  # the film before may have had more images
        self.view.reset()
        self._arrange()

    def show_step(self, image: int, step: int) -> None:
        self._image, self._step = image, step
        film = self._film
        if film is None:
            return
        size = QSize(film.size[1], film.size[0])
        for name in self.shown:
            self.tiles[name].show_pixels(self._pixels(film, name), size, missing=self._missing(film, name))

    def next_focus(self) -> Focus:
        """Both, x̂₀ alone, x_t alone, and again."""
        self._focus = FOCUSES[(FOCUSES.index(self._focus) + 1) % len(FOCUSES)]
        self._arrange()
        return self._focus

    def show_guidance(self, shows: bool) -> None:
        self._shows_guidance = shows
        self._arrange()

    def _pixels(self, film: Film, name: str) -> Pixels | None:
        if not film.points:
            return film.final(self._image)
        if name not in GUIDANCE:
            return film.picture(name, self._image, self._step)
        with_class = film.picture("conditional", self._image, self._step)
        without = film.picture("unconditional", self._image, self._step)
        if name == "conditional":
            return with_class
        if with_class is None or without is None or not without.any():
            return None  # outside the guidance interval, where nobody asks what the model sees without a class
        return without if name == "unconditional" else difference(with_class, without, times=_DIFFERENCE_TIMES)

    def _missing(self, film: Film, name: str) -> str:
        if film.points and (why := why_missing(film, self._image, self._step)):
            return why
        return "no guidance at this step" if name in GUIDANCE else "no picture was kept"

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        shown = self.shown
        for name, tile in self.tiles.items():
            tile.setVisible(name in shown)
        for name, box in zip(shown, self._boxes(len(shown)), strict=True):
            self.tiles[name].setGeometry(box)
        self.show_step(self._image, self._step)

    def _boxes(self, tiles: int) -> list[QRect]:
        """Places for so many tiles, close together in the middle: in the rows that make them largest."""
        height, width = self._film.size[:2] if self._film else (1, 1)
        plans = [[tiles], [tiles // 2, tiles - tiles // 2]] if tiles > 1 else [[1]]
        rows = max(plans, key=self._enlarged)
        scale = self._enlarged(rows)
        wide, high = math.ceil(width * scale), math.ceil(height * scale) + self._title_height()
        top = (self.height() - len(rows) * (high + _SPACE) + _SPACE) // 2
        result = []
        for row, columns in enumerate(rows):
            left = (self.width() - columns * (wide + _SPACE) + _SPACE) // 2
            y = top + row * (high + _SPACE)
            result += [QRect(left + column * (wide + _SPACE), y, wide, high) for column in range(columns)]
        return result

    def _enlarged(self, rows: list[int]) -> float:
        """How large pictures can be in such rows."""
        height, width = self._film.size[:2] if self._film else (1, 1)
        wide = (self.width() + _SPACE) // max(rows) - _SPACE
        high = (self.height() + _SPACE) // len(rows) - _SPACE - self._title_height()
        return fit(QSize(width, height), QSize(max(wide, 1), max(high, 1)), self.devicePixelRatioF())

    def _title_height(self) -> int:
        return self.tiles["x_t"].title_height()
