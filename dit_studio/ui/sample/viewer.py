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
        for name, box in zip(shown, self._boxes(shown), strict=True):
            self.tiles[name].setGeometry(box)
        self.show_step(self._image, self._step)

    def _boxes(self, names: list[str]) -> list[QRect]:
        """Places for tiles, close together in the middle: in the rows that make them largest, and of those in the ones
        that leave room for the titles."""
        tiles = len(names)
        plans = [[tiles], [tiles // 2, tiles - tiles // 2]] if tiles > 1 else [[1]]
        rows = max(plans, key=lambda rows: (self._enlarged(rows), self._has_room_for_titles(names, rows)))
        high = math.ceil(self._picture_size()[0] * self._enlarged(rows)) + self._title_height()
        top = (self.height() - len(rows) * (high + _SPACE) + _SPACE) // 2
        result: list[QRect] = []
        for row, columns in enumerate(rows):
            widths = self._widths(names[len(result) : len(result) + columns], rows)
            left = (self.width() - sum(widths) - (columns - 1) * _SPACE) // 2
            for width in widths:
                result.append(QRect(left, top + row * (high + _SPACE), width, high))
                left += width + _SPACE
        return result

    def _widths(self, names: list[str], rows: list[int]) -> list[int]:
        """Of the tiles of a row: each as wide as its picture, and as its title if all of these fit."""
        picture = math.ceil(self._picture_size()[1] * self._enlarged(rows))
        wanted = [max(picture, self.tiles[name].title_width()) for name in names]
        if sum(wanted) + (len(names) - 1) * _SPACE <= self.width():
            return wanted
        return [max(picture, min(width, self._room(rows))) for width in wanted]

    def _has_room_for_titles(self, names: list[str], rows: list[int]) -> bool:
        lines = names[: rows[0]], names[rows[0] :]
        return all(
            width >= self.tiles[name].title_width()
            for row in lines
            for name, width in zip(row, self._widths(row, rows), strict=True)
        )

    def _picture_size(self) -> tuple[int, int]:
        """Height and width of the film's images."""
        return self._film.size[:2] if self._film else (1, 1)

    def _room(self, rows: list[int]) -> int:
        """How wide a tile in such rows can be."""
        return (self.width() + _SPACE) // max(rows) - _SPACE

    def _enlarged(self, rows: list[int]) -> float:
        """How large pictures can be in such rows."""
        height, width = self._picture_size()
        wide = self._room(rows)
        high = (self.height() + _SPACE) // len(rows) - _SPACE - self._title_height()
        return fit(QSize(width, height), QSize(max(wide, 1), max(high, 1)), self.devicePixelRatioF())

    def _title_height(self) -> int:
        return self.tiles["x_t"].title_height()
