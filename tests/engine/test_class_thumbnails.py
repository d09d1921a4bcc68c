"""A picture of every class: from the training images, else from a preview, else none."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from dit_studio.engine import cache
from dit_studio.engine.checkpoint import Progressed
from dit_studio.engine.class_thumbnails import SIZE, class_thumbnails
from dit_studio.engine.left_out import LeftOut
from dit_studio.events import PreviewSaved, encode

NAMES = ("cat", "dog")
COLOURS = ((200, 10, 30), (20, 190, 40))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "checkpoints" / "step-0000010"
    folder.mkdir(parents=True)
    state = Progressed(step=10, images_seen=1, seconds=1.0, ema_updates=1, data_fingerprint="abc")
    (folder / "state.json").write_bytes(msgspec.json.encode(state))
    return folder / "ema.safetensors"


def fill_cache(names: tuple[str, ...] = NAMES) -> None:
    with cache.new_cache("abc", (3, 8, 8), expected=3) as writer:
        for key, label in enumerate((1, 0, 1)):
            colour = np.array(COLOURS[label], np.uint8)[:, None, None]
            writer.append(np.ascontiguousarray(np.broadcast_to(colour, (3, 8, 8))), label=label, key=key)
        writer.finish(names, LeftOut())


def save_preview(run: Path, *, step: int = 10) -> None:
    (run / "previews").mkdir(exist_ok=True)
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8, :8], pixels[:8, 8:] = COLOURS[1], COLOURS[0]
    Image.fromarray(pixels).save(run / "previews" / f"{step}.png")
    event = PreviewSaved(step=step, file=f"previews/{step}.png", columns=2, rows=2, cell_size=8, labels=("dog", "cat"))
    with (run / "events.jsonl").open("ab") as log:
        log.write(encode(event) + b"\n")


def colours_of(thumbnails: np.ndarray) -> list[tuple[int, ...]]:  # type: ignore[type-arg]
    assert thumbnails.shape[1:] == (SIZE, SIZE, 3)
    assert (thumbnails == thumbnails[:, :1, :1]).all()
    return [tuple(int(value) for value in picture[0, 0]) for picture in thumbnails]


def test_training_images_are_taken_first(file: Path) -> None:
    fill_cache()
    assert colours_of(class_thumbnails(file, NAMES)) == list(COLOURS)


def test_a_preview_stands_in_for_them(file: Path) -> None:
    run = file.parents[2]
    save_preview(run)
    with (run / "events.jsonl").open("ab") as log:
        log.write(b'{"kind": "preview", "ste')
    assert colours_of(class_thumbnails(file, NAMES)) == list(COLOURS)


def test_a_preview_that_is_gone_gives_way_to_the_one_before(file: Path) -> None:
    run = file.parents[2]
    save_preview(run, step=5)
    save_preview(run, step=10)
    (run / "previews" / "10.png").unlink()
    assert colours_of(class_thumbnails(file, NAMES)) == list(COLOURS)


def test_images_of_other_classes_are_not_taken(file: Path) -> None:
    fill_cache(("bird", "fish"))
    assert len(class_thumbnails(file, NAMES)) == 0


def test_without_pictures_there_is_nothing(file: Path, tmp_path: Path) -> None:
    assert class_thumbnails(file, NAMES).shape == (0, SIZE, SIZE, 3)
    assert class_thumbnails(tmp_path / "model.safetensors", NAMES).shape == (0, SIZE, SIZE, 3)
    assert class_thumbnails(file, ()).shape == (0, SIZE, SIZE, 3)
