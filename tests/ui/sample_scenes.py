"""The centre of the Sample page in its states, to be looked at.

python tests/ui/sample_scenes.py FOLDER [WORD…]      each in both themes and sizes, at 1× and 2×
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from sample_films import film_of, photographs

from dit_studio.ui import theme
from dit_studio.ui.app import make_app
from dit_studio.ui.sample.film import JoinedFilm
from dit_studio.ui.sample.stage import Stage

_SCALE = "QT_SCALE_FACTOR"
_NAMES = ("temple", "flower", "garden")
SIZES = ((720, 720), (464, 560))


def empty() -> Stage:
    return Stage()


def finished() -> Stage:
    stage = Stage()
    stage.show_film(film_of(photographs(16, 32), 50), image=4, class_names=_NAMES, memory="39 MB in memory")
    stage.set_stars({1, 6})
    stage.seek(22)
    return stage


def guidance() -> Stage:
    stage = finished()
    stage.guidance.click()
    return stage


def live() -> Stage:
    stage = Stage()
    film = film_of(photographs(8, 32), 50, done=19)
    stage.show_film(film, class_names=_NAMES, live=True, memory=film.memory_text)
    return stage


def branch() -> Stage:
    stage = Stage()
    past, own = film_of(photographs(4, 32), 40), film_of(photographs(4, 32)[1:], 40, seed=500, skip=18)
    stage.show_film(JoinedFilm(past, 1, 19, own), class_names=_NAMES, memory="4 MB in memory")
    stage.seek(26)
    return stage


def many() -> Stage:
    stage = Stage()
    stage.show_film(film_of(photographs(64, 32), 100, guided=False), class_names=_NAMES)
    stage.seek(60)
    stage.axis.buttons["log-SNR"].click()
    return stage


def together() -> Stage:
    stage = many()
    stage.layout_button.click()
    return stage


def single() -> Stage:
    stage = Stage()
    stage.show_film(film_of(photographs(1, 128), 20), class_names=_NAMES)
    stage.seek(9)
    return stage


SAMPLE_SCENES: dict[str, Callable[[], Stage]] = {
    "stage-empty": empty,
    "stage-finished": finished,
    "stage-guidance": guidance,
    "stage-live": live,
    "stage-branch": branch,
    "stage-many": many,
    "stage-together": together,
    "stage-single": single,
}


def take(name: str, folder: Path) -> None:
    """One scene in both themes and sizes, and at a text size of 200 %, at the scale that Qt was started with."""
    app = make_app()
    for mode, font_scale in (("dark", 100), ("light", 100), ("dark", 200)):
        theme.apply_theme(app, mode, font_scale)
        for width, height in SIZES:
            stage = SAMPLE_SCENES[name]()
            stage.resize(width, height)
            stage.show()
            text = "" if font_scale == 100 else f"-text{font_scale}"
            stage.grab().save(str(folder / f"{name}-{mode}{text}-{width}-{os.environ[_SCALE]}x.png"))
            stage.close()


def main(folder: Path, words: list[str]) -> None:
    if _SCALE not in os.environ:  # Qt takes its scale once, at its start
        for scale in ("1", "2"):
            subprocess.run([sys.executable, *sys.argv], env={**os.environ, _SCALE: scale}, check=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in SAMPLE_SCENES:
        if not words or any(word in name for word in words):
            take(name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
