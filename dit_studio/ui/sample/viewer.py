"""The picked image, seen twice: as noisy as it is, and as clean as the model takes it to be."""

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from dit_studio.ui import theme
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.pixels import Pixels, difference
from dit_studio.ui.sample.tile import Tile, View

Focus = Literal["both", "x_start", "x_t"]
FOCUSES: tuple[Focus, ...] = ("both", "x_start", "x_t")
_SPACE = 12  # pixels between tiles


@dataclass(frozen=True)
class Words:
    """What a tile says of its plane."""

    title: str
    subtitle: str
    about: str


WORDS = {
    "x_t": Words(
        "x_t",
        "the noisy image",
        "x_t on a fixed scale: −3 is black, +3 is white at every step, so the noise is seen to go.",
    ),
    "x_start": Words(
        "x̂₀", "what the model sees in it", "The clean image that the model predicts from x_t, after guidance."
    ),
    "conditional": Words("x̂₀ with class", "conditional", "What the model predicts when it is told the class."),
    "unconditional": Words("x̂₀ without", "unconditional", "What the model predicts when it is told no class."),
    "difference": Words(
        "|with − without|", "what the class adds", "The absolute difference of the two: guidance makes it larger."
    ),
}
GUIDANCE = ("conditional", "unconditional", "difference")


class Viewer(QWidget):
    """Tiles that zoom together; as many columns as make them largest."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = View(self)
        self.tiles = {name: Tile(self.view, *_said(words), self) for name, words in WORDS.items()}
        self._film: Film | None = None
        self._image, self._step = 0, 1
        self._focus: Focus = "both"
        self._shows_guidance = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.theme_changed.connect(self._arrange)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 150)

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
        self._film = film
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
        if name != "difference":
            return film.picture(name, self._image, self._step)
        with_class = film.picture("conditional", self._image, self._step)
        without = film.picture("unconditional", self._image, self._step)
        return difference(with_class, without) if with_class is not None and without is not None else None

    def _missing(self, film: Film, name: str) -> str:
        if film.points and self._step > film.steps_done(self._image):
            return "not drawn yet"
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
        """Places for so many tiles: in as many columns as make them largest."""
        height, width = self._film.size[:2] if self._film else (1, 1)
        title = next(iter(self.tiles.values())).title_height()

        def picture_width(columns: int) -> float:
            rows = -(-tiles // columns)
            wide = (self.width() - (columns - 1) * _SPACE) / columns
            high = (self.height() - (rows - 1) * _SPACE) / rows - title
            return min(wide, high * width / height)

        columns = max(range(1, tiles + 1), key=picture_width)
        rows = -(-tiles // columns)
        wide = (self.width() - (columns - 1) * _SPACE) // columns
        high = (self.height() - (rows - 1) * _SPACE) // rows
        places = [divmod(index, columns) for index in range(tiles)]
        return [QRect(column * (wide + _SPACE), row * (high + _SPACE), wide, high) for row, column in places]


def _said(words: Words) -> tuple[str, str, str]:
    return words.title, words.subtitle, words.about
