"""The film that is being drawn."""

from pathlib import Path

import numpy as np
import pytest
from sample_films import Drawing, gradients, started

from dit_studio.errors import DiskFullError
from dit_studio.ui.sample.frames import Frames


def test_frames_of_batches_find_their_images() -> None:
    clean = gradients(5, 8)
    start = started(clean, 4)
    film, drawing = Frames(start, budget_bytes=10**9), Drawing(clean, start)
    film.add(drawing.frame(1, first=0, images=3))
    film.add(drawing.frame(2, first=0, images=3))
    film.add(drawing.frame(1, first=3, images=2))
    assert [film.steps_done(image) for image in range(5)] == [2, 2, 2, 1, 1]
    assert film.picture("x_t", 3, 2) is None
    assert film.final(0) is None
    frame = drawing.frame(2, first=0, images=3)
    sent = np.frombuffer(frame.data, np.uint8).reshape(4, 3, 8, 8, 3)
    for plane, pixels in zip(start.planes, sent, strict=True):
        np.testing.assert_array_equal(film.picture(plane, 1, 2), pixels[1])
    np.testing.assert_allclose(film.norms(1)[1], frame.norms[1], rtol=1e-6)
    assert np.isnan(film.norms(1)[2:]).all()


def test_finished_images_are_those_that_were_sent() -> None:
    clean = gradients(3, 8)
    start = started(clean, 4)
    film, drawing = Frames(start, budget_bytes=10**9), Drawing(clean, start)
    drawn = drawing.drawn(first=1, images=1)
    film.finish(drawn)
    np.testing.assert_array_equal(film.final(1), np.frombuffer(drawn.data, np.uint8).reshape(8, 8, 3))
    assert film.final(0) is None
    assert film.final(2) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_beyond_the_budget_frames_go_to_the_disk_and_leave_it(
    channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    clean = gradients(2, 8, channels)
    start = started(clean, 4)
    size_bytes = 4 * 2 * 8 * 8 * channels * 4
    kept, spilled = (Frames(start, budget_bytes=budget) for budget in (size_bytes, size_bytes - 1))
    assert kept.is_in_memory
    assert not spilled.is_in_memory
    assert len(list(tmp_path.iterdir())) == 1
    drawing = Drawing(clean, start)
    for film in (kept, spilled):
        film.add(drawing.frame(1))
    np.testing.assert_array_equal(kept.picture("x_t", 1, 1), spilled.picture("x_t", 1, 1))
    spilled.close()
    assert not list(tmp_path.iterdir())
    assert spilled.picture("x_t", 1, 1) is None


def test_a_film_that_fits_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Disk:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _place: Disk)
    with pytest.raises(DiskFullError, match=r"take 3 kB, and .* has 1 kB free"):
        Frames(started(gradients(1, 8), 4), budget_bytes=0)


def test_its_memory_is_said_with_a_unit() -> None:
    film = Frames(started(gradients(1, 8), 4), budget_bytes=10**9)
    assert film.memory_text == "3 kB in memory"
