"""Films of a model in latents: planes whose pixels are latents, beside images that are larger."""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pytestqt.qtbot import QtBot
from sample_films import points_of

from dit_studio.events import SampleFrame, SampleModel, SamplesDrawn, SamplingStarted
from dit_studio.sample_request import ModelReference, SampleEntry, SampleOptions, SampleRecord, SampleRequest
from dit_studio.trajectory import INDEX, TrajectoryIndex, latents_to_pixels
from dit_studio.ui.sample.cost import trajectory_bytes
from dit_studio.ui.sample.film import KeptFilm
from dit_studio.ui.sample.frames import Frames
from dit_studio.ui.sample.viewer import Viewer

_STEPS, _SIDE, _FACTOR = 3, 4, 8
_COLOURS = ((0.5, 0.0, 0.0, 0.1), (0.0, 0.5, 0.0, 0.2), (0.0, 0.0, 0.5, -0.1))  # three channels of latents
_LATENTS = np.random.default_rng(0).standard_normal((_STEPS, 1, 3, _SIDE, _SIDE)).astype(np.float32)
_PLANES = np.stack([latents_to_pixels(latents, _COLOURS) for latents in _LATENTS])
_FINAL = np.random.default_rng(1).integers(0, 256, (_SIDE * _FACTOR, _SIDE * _FACTOR, 3), dtype=np.uint8)


def _live(*, is_finished: bool) -> Frames:
    side = _SIDE * _FACTOR
    start = SamplingStarted(
        folder="", points=points_of(_STEPS), labels=(0,), seeds=(0,), height=side, width=side,
        plane_height=_SIDE, plane_width=_SIDE, channels=3, planes=("x_t", "x_start"),
    )  # fmt: skip
    film = Frames(start, budget_bytes=10**9)
    for step, pixels in enumerate(_PLANES, start=1):
        data = 2 * pixels.tobytes()
        film.add(SampleFrame(first_image=0, images=1, step=step, norms=(1.0,), moves=(0.0,), data=data))
    if is_finished:
        film.finish(SamplesDrawn(first_image=0, images=1, data=_FINAL.tobytes()))
    return film


def _kept(folder: Path) -> KeptFilm:
    np.save(folder / "x_t.npy", _LATENTS)
    np.save(folder / "x_start.npy", _PLANES)
    rows = ((1.0,),) * _STEPS
    index = TrajectoryIndex(
        points=points_of(_STEPS), images=1, finished=1, planes=("x_t", "x_start"), norms=rows, moves=rows,
        colours=_COLOURS,
    )  # fmt: skip
    (folder / INDEX).write_bytes(msgspec.json.encode(index))
    side = _SIDE * _FACTOR
    record = SampleRecord(request=SampleRequest(steps=_STEPS), model=ModelReference(path="run"))
    entry = SampleEntry(record=record, state="finished", images=1, height=side, width=side)
    (folder / "entry.json").write_bytes(msgspec.json.encode(entry))
    Image.fromarray(_FINAL).save(folder / "000000.png")
    return KeptFilm(folder)


def _same(pixels: NDArray[np.uint8] | None, expected: NDArray[np.uint8]) -> bool:
    return pixels is not None and np.array_equal(pixels, expected)


def test_a_live_film_has_small_planes_and_large_images() -> None:
    film = _live(is_finished=False)
    assert film.size == (32, 32, 3)
    assert film.size_bytes == _STEPS * 2 * _SIDE * _SIDE * 3
    assert all(_same(film.picture("x_start", 0, step), _PLANES[step - 1, 0]) for step in (1, 2, 3))
    film = _live(is_finished=True)
    assert _same(film.picture("x_start", 0, 2), _PLANES[1, 0])
    assert _same(film.picture("x_start", 0, 3), _FINAL)  # the last is decoded
    assert _same(film.picture("x_t", 0, 3), _PLANES[2, 0])


def test_a_kept_film_shows_what_the_live_one_did(tmp_path: Path) -> None:
    kept, live = _kept(tmp_path), _live(is_finished=True)
    assert kept.size == live.size
    for plane in ("x_t", "x_start"):
        for step in (1, 2, 3):
            shown = live.picture(plane, 0, step)
            assert shown is not None
            assert _same(kept.picture(plane, 0, step), shown), (plane, step)


def test_the_viewer_shows_latents_as_large_as_the_image(qtbot: QtBot) -> None:
    viewer = Viewer()
    qtbot.addWidget(viewer)
    viewer.resize(800, 500)
    viewer.show()
    viewer.show_film(_live(is_finished=True))
    viewer.show_step(0, 1)
    early = viewer.tiles["x_start"].target()
    viewer.show_step(0, 3)
    assert viewer.tiles["x_start"].target() == early
    shown = viewer.tiles["x_start"].grab().toImage()
    corner = early.topLeft().toPoint()
    pixel = shown.pixelColor(corner.x() + 3, corner.y() + 3)
    assert abs(pixel.red() - int(_FINAL[0, 0, 0])) <= 2


def test_the_cost_of_a_trajectory_is_of_latents() -> None:
    model = SampleModel(path="run", name="run", image_size=256, channels=4, latent_size=32)
    options = SampleOptions(steps=10, count=2, cfg=1.0)
    assert trajectory_bytes(options, model) == 2 * 10 * 32 * 32 * (4 * 4 + 3)
