"""Films: a kept one, and a branch behind its parent's past."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from PySide6.QtGui import QImage
from sample_films import Drawing, film_of, gradients, points_of, started

from dit_studio.errors import DataError
from dit_studio.sample_request import ModelReference, SampleEntry, SampleRecord, SampleRequest
from dit_studio.trajectory import INDEX, TrajectoryIndex
from dit_studio.ui.sample.film import JoinedFilm, KeptFilm

STEPS, IMAGES, SIDE = 5, 3, 8


def _entry(folder: Path, *, images: int = IMAGES) -> None:
    request = SampleRequest(classes=(4, 7), seed=20, count=images)
    record = SampleRecord(request=request, model=ModelReference(path="m", class_names=()))
    entry = SampleEntry(record=record, state="finished", images=images, height=SIDE, width=SIDE)
    (folder / "entry.json").write_bytes(msgspec.json.encode(entry))


def _picture(folder: Path, image: int, value: int) -> None:
    picture = QImage(SIDE, SIDE, QImage.Format.Format_RGB888)
    picture.fill(value << 16 | value << 8 | value)
    assert picture.save(str(folder / f"{image:06d}.png"))


def _trajectory(folder: Path, *, finished: int = IMAGES, norms: object = None) -> np.ndarray:
    draw = np.random.default_rng(0)
    x_t = draw.standard_normal((STEPS, IMAGES, 3, SIDE, SIDE)).astype(np.float32)
    x_start = draw.integers(0, 255, (STEPS, IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    np.save(folder / "x_t.npy", x_t)
    np.save(folder / "x_start.npy", x_start)
    rows = tuple(
        tuple(1.0 + step if image < finished or step < 2 else 0.0 for image in range(IMAGES)) for step in range(STEPS)
    )
    index = TrajectoryIndex(
        points=points_of(STEPS),
        images=IMAGES,
        finished=finished,
        planes=("x_t", "x_start"),
        norms=norms or rows,
        moves=rows,
    )
    (folder / INDEX).write_bytes(msgspec.json.encode(index))
    return x_start


def test_a_kept_film_shows_what_was_kept(tmp_path: Path) -> None:
    _entry(tmp_path)
    x_start = _trajectory(tmp_path)
    _picture(tmp_path, 1, 200)
    film = KeptFilm(tmp_path)
    assert (film.images, film.size, len(film.points)) == (IMAGES, (SIDE, SIDE, 3), STEPS)
    assert list(film.labels) == [4, 7, 4]
    assert list(film.seeds) == [20, 21, 22]
    shown = film.picture("x_start", 1, 3)
    assert shown is not None
    np.testing.assert_array_equal(shown, x_start[2, 1])
    final = film.final(1)
    assert final is not None
    assert (final.shape, int(final.min()), int(final.max())) == ((SIDE, SIDE, 3), 200, 200)
    assert film.final(0) is None
    assert film.picture("conditional", 0, 1) is None
    np.testing.assert_array_equal(film.norms(0), [1, 2, 3, 4, 5])


def test_an_image_that_was_stopped_has_fewer_steps(tmp_path: Path) -> None:
    _trajectory(tmp_path, finished=1)
    film = KeptFilm(tmp_path)
    assert [film.steps_done(image) for image in range(IMAGES)] == [STEPS, 2, 2]
    assert film.picture("x_start", 1, 3) is None
    np.testing.assert_array_equal(film.moves(2), [1, 2, np.nan, np.nan, np.nan])


def test_an_entry_without_a_trajectory_has_its_images(tmp_path: Path) -> None:
    _entry(tmp_path)
    _picture(tmp_path, 0, 9)
    film = KeptFilm(tmp_path)
    assert (film.images, list(film.points), film.steps_done(0), film.norms(0).size) == (IMAGES, [], 0, 0)
    assert film.final(0) is not None


def test_damage_is_said(tmp_path: Path) -> None:
    _trajectory(tmp_path, norms=((1.0,), (1.0, 2.0), (1.0,), (1.0,), (1.0,)))
    with pytest.raises(DataError, match="damaged"):
        KeptFilm(tmp_path)
    (tmp_path / INDEX).unlink()
    (tmp_path / "entry.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        KeptFilm(tmp_path)
    _entry(tmp_path, images=10**7)
    with pytest.raises(DataError, match="is damaged"):
        KeptFilm(tmp_path)


def test_a_branch_begins_with_its_parents_past() -> None:
    clean = gradients(3, SIDE)
    past, own = film_of(clean, 6), film_of(clean[::-1].copy()[:2], 6, seed=500, skip=3)
    film = JoinedFilm(past, 2, 4, own)
    assert film.shared_steps == 3
    assert [point.t for point in film.points] == [point.t for point in past.points]
    assert (film.images, list(film.seeds), film.steps_done(1)) == (2, [500, 501], 6)
    np.testing.assert_array_equal(film.picture("x_t", 1, 3), past.picture("x_t", 2, 3))
    np.testing.assert_array_equal(film.picture("x_t", 1, 4), own.picture("x_t", 1, 1))
    np.testing.assert_array_equal(film.final(0), own.final(0))
    np.testing.assert_array_equal(film.norms(0), [*past.norms(2)[:3], *own.norms(0)])


def test_a_branch_knows_how_far_it_leapt() -> None:
    clean = gradients(2, SIDE)
    past, own = film_of(clean, 4), film_of(-clean, 4, skip=2)
    film = JoinedFilm(past, 0, 3, own)
    before, after = past.picture("x_start", 0, 2), own.picture("x_start", 0, 1)
    assert before is not None
    assert after is not None
    way = np.sqrt(np.mean(((after / 127.5) - (before / 127.5)) ** 2))
    assert film.moves(0)[2] == pytest.approx(way, rel=1e-4)


def test_a_branch_may_have_planes_that_its_parent_lacks() -> None:
    clean = gradients(1, SIDE)
    film = JoinedFilm(film_of(clean, 4, guided=False), 0, 3, film_of(clean, 4, skip=2))
    assert set(film.planes) == {"x_t", "x_start", "conditional", "unconditional"}
    assert film.picture("conditional", 0, 1) is None
    assert film.picture("conditional", 0, 3) is not None


def test_a_film_grows_with_a_branch() -> None:
    clean = gradients(1, SIDE)
    start = started(clean, 4, skip=2)
    drawing = Drawing(clean, start)
    own = film_of(clean, 4, skip=2, done=0)
    film = JoinedFilm(film_of(clean, 4), 0, 3, own)
    assert film.steps_done(0) == 2
    own.add(drawing.frame(1))
    assert film.steps_done(0) == 3
