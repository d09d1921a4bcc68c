"""Exports, read back by other programs' code: what a file holds is what was drawn."""

import os
import re
import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from dit_studio.engine.export import npz as npz_module
from dit_studio.engine.export.film import open_film
from dit_studio.engine.export.job import SUFFIXES, export
from dit_studio.engine.export.npz import open_npz
from dit_studio.engine.export.options import SheetOptions
from dit_studio.engine.export.png import grid
from dit_studio.engine.export.sheet import resized
from dit_studio.engine.export.sheet_layout import columns_of, elide, font, lay_out, lay_out_contact, time_text
from dit_studio.errors import ConfigError, DataError, DiskFullError, RunError, StudioError
from dit_studio.events import StepPoint, Written
from dit_studio.image_settings import read_settings
from dit_studio.npz_count import StoppedNpz, images_in
from dit_studio.sample_request import BranchPoint
from dit_studio.trajectory import labelled_columns
from tests.engine.kept_entries import final_images, write_entry


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    return write_entry(tmp_path / "history" / "entry")


def write(kind: str, path: Path, entry: Path, **options: Any) -> Written:
    *_, last = export(kind, str(path), {"entry": str(entry), **options})
    assert isinstance(last, Written)
    assert last.size_bytes == path.stat().st_size
    return last


def pixels_of(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def points(*times: float) -> list[StepPoint]:
    return [StepPoint(t=t, sigma=1.0, log_snr=(500 - t) / 50) for t in times]


# ------------------------------------------------------------------------------------------------- pictures


def test_one_image_is_taken_with_its_settings(entry: Path, tmp_path: Path) -> None:
    write("png", tmp_path / "new folder" / "a.png", entry, image=2)
    assert (tmp_path / "new folder" / "a.png").read_bytes() == (entry / "000002.png").read_bytes()


def test_a_grid_holds_every_image_and_the_whole_request(entry: Path, tmp_path: Path) -> None:
    assert write("grid", tmp_path / "a.png", entry, columns=3).images == 4
    whole, final = pixels_of(tmp_path / "a.png"), final_images(4)
    assert whole.shape == (2 * 16 + 2, 3 * 16 + 4, 3)
    np.testing.assert_array_equal(whole[:16, 18:34], final[1])
    np.testing.assert_array_equal(whole[18:, :16], final[3])
    assert (whole[16:18] == 255).all()
    found = read_settings(tmp_path / "a.png")
    assert found.image is None
    assert found.of_this_image()["count"] == 4


def test_a_contact_sheet_shows_every_step_and_the_end(entry: Path, tmp_path: Path) -> None:
    assert write("contact", tmp_path / "a.png", entry, image=1, columns=5, plane="x_start").images == 13
    layout = lay_out_contact(open_film(entry, planes=("x_start",)), 1, 5, 16)
    assert (layout.cell, len({cell.y for cell in layout.cells}), len({cell.x for cell in layout.cells})) == (64, 3, 5)
    whole = pixels_of(tmp_path / "a.png")
    assert whole.shape == (layout.height, layout.width, 3)
    shown = [*np.load(entry / "x_start.npy")[:, 1], final_images(4)[1]]
    for cell, pixels in zip(layout.cells, shown, strict=True):
        found = whole[cell.y : cell.y + 64, cell.x : cell.x + 64]
        np.testing.assert_array_equal(found, pixels.repeat(4, 0).repeat(4, 1))
    found_settings = read_settings(tmp_path / "a.png")
    assert found_settings.image == 1


def test_each_picture_of_a_contact_sheet_has_its_time_below(entry: Path, tmp_path: Path) -> None:
    write("contact", tmp_path / "a.png", entry, image=1, columns=5)
    film = open_film(entry, planes=("x_start",))
    layout = lay_out_contact(film, 1, 5, 16)
    assert [text.words.removeprefix("t = ") for text in layout.texts] == [
        time_text(film.points, k) for k in range(1, 14)
    ]
    assert layout.texts[-1].words == "t = 0"
    whole = pixels_of(tmp_path / "a.png")
    for cell, text in zip(layout.cells, layout.texts, strict=True):
        assert cell.y + layout.cell < text.y < cell.y + layout.cell + 2 * text.size
        assert text.x == cell.x + layout.cell / 2
        assert font(text.size).getlength(text.words) <= layout.cell
        assert whole[cell.y + layout.cell : int(text.y + text.size / 2), cell.x : cell.x + layout.cell].min() < 128
    large = lay_out_contact(film, 1, 100, 256)
    assert (large.cell, len({cell.y for cell in large.cells})) == (256, 1)


@pytest.mark.parametrize(("columns", "every", "shown"), [
    (1, 1, [0]), (5, 1, [0, 1, 2, 3, 4]), (10, 2, [0, 2, 4, 6, 9]), (9, 4, [0, 4, 8]), (10, 4, [0, 4, 9]),
    (3, 9, [2]), (10, 9, [0, 9]),
])  # fmt: skip
def test_thinned_labels_keep_the_last_and_their_distance(columns: int, every: int, shown: list[int]) -> None:
    assert labelled_columns(columns, every) == shown


def test_thinned_heads_end_with_zero(entry: Path) -> None:
    film = open_film(entry, planes=("x_start",))
    for columns in range(2, 14):
        for cell in (4, 8, 16, 24):
            layout = lay_out(film, (0,), SheetOptions(entry="", columns=columns, cell=cell))
            heads = [text for text in layout.texts if text.align == "middle"]
            assert heads[-1].words.removeprefix("t = ") == "0"
            assert heads[-1].x == layout.cells[-1].x + cell / 2
            for one, other in pairwise(heads):
                widths = [font(text.size).getlength(text.words) for text in (one, other)]
                assert other.x - one.x >= sum(widths) / 2


def test_images_side_by_side_in_colour_and_grey() -> None:
    for channels in (1, 3):
        images = np.random.default_rng(0).integers(0, 256, (5, 2, 3, channels), np.uint8)
        whole = grid(images, columns=2)
        assert whole.shape == (6, 6, channels)
        np.testing.assert_array_equal(whole[2:4, 3:], images[3])
        assert (whole[4:, 3:] == 0).all()


# ------------------------------------------------------------------------------------------------- films


def test_a_gif_has_every_step_and_holds_the_last(entry: Path, tmp_path: Path) -> None:
    write("gif", tmp_path / "a.gif", entry, images=[1], plane="x_start", fps=20, scale=3, hold_seconds=1)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.size == (48, 48)
        assert film.info["loop"] == 0
        durations = []
        for frame in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(frame)
            durations.append(film.info["duration"])
        last = np.asarray(film.convert("RGB"))[1::3, 1::3].astype(int)
    assert sum(durations) == 13 * 50 + 1000
    assert durations[-1] >= 1050
    assert np.abs(last - final_images(4)[1]).max() <= 8


def test_an_mp4_plays_everywhere_and_holds_the_last(entry: Path, tmp_path: Path) -> None:
    write("mp4", tmp_path / "a.mp4", entry, images=[0, 1], plane="both", fps=10, scale=4, hold_seconds=0.5)
    with av.open(str(tmp_path / "a.mp4")) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 10
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(shown) == 13 + 5
    assert shown[0].shape == (128, 128, 3)
    final = final_images(4)[1].astype(int)
    for corner in (shown[-1][64:, :64], shown[-1][64:, 64:]):  # the image itself, in both planes
        assert np.abs(corner[2::4, 2::4].astype(int) - final).mean() < 6
    assert np.abs(shown[0][66::4, 2:64:4].astype(int) - final).mean() > 30


def test_sides_of_odd_length_are_made_even(tmp_path: Path) -> None:
    odd = write_entry(tmp_path / "odd", images=1, steps=3, size=9)
    write("mp4", tmp_path / "a.mp4", odd, scale=1, hold_seconds=0)
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (10, 10)


def test_a_branch_shows_its_parents_past_first(tmp_path: Path) -> None:
    parent = write_entry(tmp_path / "parent", images=3)
    t = open_film(parent, planes=("x_t",)).points[5].t
    child = write_entry(
        tmp_path / "child", images=2, steps=7, first_t=t, branch=BranchPoint(entry="parent", image=2, step=6, t=t)
    )
    film = open_film(child, planes=("x_t", "x_start"))
    assert len(film.points) == 5 + 7
    assert film.points[5].t == t
    np.testing.assert_array_equal(film.frame("x_start", 0, 5), np.load(parent / "x_start.npy")[4, 2])
    np.testing.assert_array_equal(film.frame("x_start", 1, 6), np.load(child / "x_start.npy")[0, 1])
    np.testing.assert_array_equal(film.frame("x_t", 1, 13), final_images(2)[1])
    grandchild = write_entry(
        tmp_path / "grandchild", images=1, steps=4, branch=BranchPoint(entry="child", image=1, step=3)
    )
    assert len(open_film(grandchild, planes=("x_t",)).points) == 5 + 2 + 4


@pytest.mark.parametrize("parent", ["gone", "../outside", "child"])
def test_a_branch_without_its_parent_is_shown_from_the_branch(tmp_path: Path, parent: str) -> None:
    write_entry(tmp_path / "outside")
    child = write_entry(tmp_path / "history" / "child", steps=7, branch=BranchPoint(entry=parent, image=0, step=1))
    written = write("gif", tmp_path / "a.gif", child, images=[0])
    assert written.images == 8
    assert "left out" in written.note


# ------------------------------------------------------------------------------------------------- sheets


def test_columns_are_evenly_spaced_in_t_from_the_first_step_to_the_image() -> None:
    times = [float(t) for t in range(990, -1, -10)]
    chosen = columns_of(points(*times), 10, "t")
    assert [time_text(points(*times), step) for step in chosen] == [
        "990", "880", "770", "660", "550", "440", "330", "220", "110", "0",
    ]  # fmt: skip
    assert chosen[-1] == 101


def test_columns_are_evenly_spaced_in_log_snr_where_that_is_asked() -> None:
    uneven = [
        StepPoint(t=1000.0 - k, sigma=1.0, log_snr=value) for k, value in enumerate([-9, -8.9, -8, -4, 0, 1, 4.2, 9])
    ]
    assert columns_of(uneven, 4, "log-snr") == [1, 5, 8, 9]


@pytest.mark.parametrize("spacing", ["t", "log-snr"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("columns", [2, 3, 10, 40])
def test_columns_never_repeat_and_always_end_with_the_image(spacing: str, steps: int, columns: int) -> None:
    times = np.linspace(999, 0, steps) if steps > 1 else [0.0]
    chosen = columns_of(points(*times), columns, spacing)
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 1
    assert chosen[-1] == steps + 1
    assert len(chosen) <= columns


@pytest.mark.parametrize("cell", [4, 16, 33, 96, 300])
def test_a_sheet_has_cells_of_any_size(entry: Path, tmp_path: Path, cell: int) -> None:
    film = open_film(entry, planes=("x_start",))
    layout = lay_out(film, [0, 1, 2], SheetOptions(entry=str(entry), cell=cell, columns=5))
    write("sheet", tmp_path / "a.png", entry, images=[0, 1, 2], cell=cell, columns=5)
    whole = pixels_of(tmp_path / "a.png")
    assert whole.shape == (layout.height, layout.width, 3)
    assert len(layout.cells) == 15
    place = layout.cells[9]
    shown = whole[place.y : place.y + cell, place.x : place.x + cell]
    np.testing.assert_array_equal(shown, np.asarray(resized(final_images(4)[1], cell)))
    for text in layout.texts:
        width = font(text.size).getlength(text.words)
        left = {"left": text.x, "middle": text.x - width / 2, "right": text.x - width}[text.align]
        assert left >= 0
        assert left + width <= layout.width
        assert text.y - text.size / 2 >= 0


def test_labels_do_not_run_into_each_other(entry: Path) -> None:
    film = open_film(entry, planes=("x_start",))
    for cell in (6, 12, 20, 28, 40, 64, 200):
        layout = lay_out(film, [0, 1], SheetOptions(entry=str(entry), cell=cell))
        heads = [text for text in layout.texts if text.align == "middle"]
        edges = [(head.x - w / 2, head.x + w / 2) for head in heads if (w := font(head.size).getlength(head.words))]
        assert all(before[1] < after[0] for before, after in pairwise(edges))
        assert heads


def test_a_sheet_without_labels_is_images_alone(entry: Path, tmp_path: Path) -> None:
    write("sheet", tmp_path / "a.png", entry, labels=False, cell=32, columns=4)
    assert pixels_of(tmp_path / "a.png").shape == (4 * 32 + 3 + 8, 4 * 32 + 3 + 8, 3)


def test_a_pdf_keeps_letters_as_letters_and_pixels_as_they_are(entry: Path, tmp_path: Path) -> None:
    write("sheet", tmp_path / "a.pdf", entry, images=[0, 1], columns=3)
    data = (tmp_path / "a.pdf").read_bytes()
    images = re.findall(rb"<<[^<>]*/Subtype /Image[^<>]*>>", data)
    assert len(images) == 6
    assert all(b"/Width 16" in image and b"/Interpolate" not in image and b"DCT" not in image for image in images)
    assert re.search(rb"/FontFile2", data)
    assert b"DejaVuSans" in data
    first = re.search(rb"/Subtype /Image.*?stream\r?\n(.*?)endstream", data, re.DOTALL)
    assert first is not None
    encoded = first[1].strip()
    decoded = zlib.decompress(_ascii85(encoded) if b"ASCII85" in images[0] else encoded)
    x_start = np.load(entry / "x_start.npy")
    assert any(decoded == x_start[step, image].tobytes() for step in range(12) for image in range(2)) or any(
        decoded == image.tobytes() for image in final_images(4)
    )


def _ascii85(data: bytes) -> bytes:
    import base64

    return base64.a85decode(data.removesuffix(b"~>"))


def test_small_pixels_stay_squares() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 1] = 255
    assert np.asarray(resized(image, 6))[:3, 3:].min() == 255
    assert set(np.unique(np.asarray(resized(image, 5))[:, :, 0])) <= set(range(256))
    assert resized(np.zeros((64, 64, 3), np.uint8), 5).size == (5, 5)


def test_long_names_are_cut_in_the_middle() -> None:
    assert elide("a mountain at dusk", 10, len) == "a moun…usk"
    assert elide("sea", 10, len) == "sea"
    assert len(elide("x" * 1000, 1, len)) == 3


# ------------------------------------------------------------------------------------------------- NPZ


def test_an_entry_becomes_an_npz(entry: Path, tmp_path: Path) -> None:
    assert write("npz", tmp_path / "a.npz", entry).images == 4
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["arr_0"], final_images(4))
        assert found["arr_0"].dtype == np.uint8
        assert found["arr_1"].tolist() == [0, 1, 2, 3]
        assert found["arr_1"].dtype == np.int64


def test_grey_images_are_written_in_three_channels(tmp_path: Path) -> None:
    grey = write_entry(tmp_path / "grey", channels=1)
    write("npz", tmp_path / "a.npz", grey)
    with np.load(tmp_path / "a.npz") as found:
        np.testing.assert_array_equal(found["arr_0"], final_images(4, channels=1).repeat(3, axis=3))


@pytest.mark.parametrize("came", [1, 30, 100])
def test_a_stop_leaves_the_images_that_came(tmp_path: Path, came: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (came, 4, 5, 3), np.uint8)

    def draw() -> None:
        with open_npz(tmp_path / "a.npz", images=100, size=(4, 5)) as npz:
            for k in range(came):
                npz.add(images[k : k + 1], [k])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw()
    with np.load(tmp_path / "a.npz") as found:
        np.testing.assert_array_equal(found["arr_0"], images)
        assert found["arr_1"].tolist() == list(range(came))
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("came", [0, 30, 100])
def test_a_stop_leaves_a_file_that_was_there_alone(tmp_path: Path, came: int) -> None:
    (tmp_path / "a.npz").write_bytes(b"old")
    stopped = StoppedNpz(tmp_path / "a.npz")

    def draw() -> None:
        with open_npz(tmp_path / "a.npz", images=100, size=(4, 5)) as npz:
            for k in range(came):
                npz.add(np.zeros((1, 4, 5, 3), np.uint8), [k])
            raise GeneratorExit

    with pytest.raises(GeneratorExit):
        draw()
    if came == 100:
        assert images_in(tmp_path / "a.npz") == 100
        assert stopped.sentence() == "stopped: a.npz holds 100 images."
        return
    assert (tmp_path / "a.npz").read_bytes() == b"old"
    assert images_in(tmp_path / "a.partial.npz") == came
    assert [path.name for path in tmp_path.glob("*.partial.npz")] == ["a.partial.npz"] * (came > 0)
    holds = "a.partial.npz holds 30 of 100 images. a.npz is as it was." if came else "a.npz was not written."
    assert stopped.sentence(100) == f"stopped: {holds}"


def test_what_a_stop_left_is_said(tmp_path: Path) -> None:
    stopped = StoppedNpz(tmp_path / "a.npz")
    assert stopped.file() is None
    with open_npz(tmp_path / "a.npz", images=2000, size=(2, 2)) as npz:
        npz.add(np.zeros((1234, 2, 2, 3), np.uint8), [0] * 1234)
    assert stopped.file() == tmp_path / "a.npz"
    assert stopped.sentence(2000) == "stopped: a.npz holds 1,234 of 2,000 images."


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 1000])
def test_what_is_no_npz_holds_no_images(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert images_in(tmp_path / "a.npz") == images_in(tmp_path / "none.npz") == images_in(tmp_path) == 0


def test_what_a_killed_process_left_beside_the_file_goes(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / f".a.npz.{int(dead.stdout)}.tmp").touch()
    others = {f".a.npz.{os.getppid()}.tmp", f".b.npz.{int(dead.stdout)}.tmp", ".a.npz.mine.tmp"}
    for name in others:
        (tmp_path / name).touch()
    with open_npz(tmp_path / "a.npz", images=1, size=(2, 2)) as npz:
        npz.add(np.zeros((1, 2, 2, 3), np.uint8), [0])
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", *others}


def test_an_interrupt_in_the_middle_of_a_batch_leaves_the_batches_before(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 5, 3), np.uint8)

    def interrupt() -> Any:
        raise KeyboardInterrupt
        yield

    def draw() -> None:
        with open_npz(tmp_path / "a.npz", images=8, size=(4, 5)) as npz:
            npz.add(images[:4], [0] * 4)
            npz.add(images[4:], interrupt())

    with pytest.raises(KeyboardInterrupt):
        draw()
    with np.load(tmp_path / "a.npz") as found:
        np.testing.assert_array_equal(found["arr_0"], images[:4])
        assert found["arr_1"].tolist() == [0] * 4


def test_a_stop_before_the_first_image_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), open_npz(tmp_path / "a.npz", images=9, size=(4, 4)):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"old")

    def draw() -> None:
        with open_npz(tmp_path / "a.npz", images=9, size=(4, 4)) as npz:
            npz.add(np.zeros((1, 4, 4, 3), np.uint8), [0])
            raise OSError(5, "Input/output error")

    with pytest.raises(RunError, match="cannot be written"):
        draw()
    assert (tmp_path / "a.npz").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_room_is_looked_for_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_module, "free_bytes", lambda _: 10_000_000)
    sentence = r"50,000 images take 148 MB, and 10 MB are free"
    with pytest.raises(DiskFullError, match=sentence), open_npz(tmp_path / "a.npz", images=50_000, size=(32, 32)):
        pass
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("kind", "file", "options", "sentence"),
    [
        ("tiff", "a.tiff", {}, "cannot be exported"),
        ("sheet", "a.jpg", {}, r"end in \.png or \.pdf"),
        ("gif", "", {}, r"end in \.gif"),
        ("sheet", "a.png", {"cell": 0}, "cell"),
        ("sheet", "a.png", {"columns": 1}, "columns"),
        ("sheet", "a.png", {"spacing": "sigma"}, "spacing"),
        ("sheet", "a.png", {"colour": 1}, "colour"),
        ("gif", "a.gif", {"fps": float("nan")}, "fps|finite"),
        ("gif", "a.gif", {"fps": 500}, "fps"),
        ("mp4", "a.mp4", {"images": [9]}, "Image 10 is not finished: 4 are"),
        ("mp4", "a.mp4", {"images": []}, "No image is picked"),
        ("mp4", "a.mp4", {"scale": 64, "images": [0, 1, 2, 3] * 3, "plane": "both"}, "4096 a side"),
        ("png", "a.png", {"image": 9}, "Image 10 of entry cannot be read: 4 are there"),
        ("contact", "a.png", {"image": 4}, "is not finished"),
        ("sheet", "a.png", {"cell": 2048, "columns": 100}, "million pixels"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_a_sentence_and_no_file(
    entry: Path, tmp_path: Path, kind: str, file: str, options: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "out" / file if file else ""
    with pytest.raises((ConfigError, DataError), match=sentence):
        list(export(kind, str(path), {"entry": str(entry), **options}))
    assert list((tmp_path / "out").glob("*")) == []


@pytest.mark.parametrize("kind", SUFFIXES)
def test_entries_that_are_gone_or_damaged_are_a_sentence(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / f"a{SUFFIXES[kind][0]}")
    with pytest.raises(DataError, match="is not an entry"):
        list(export(kind, path, {"entry": str(tmp_path / "gone")}))
    damaged = write_entry(tmp_path / "damaged")
    (damaged / "entry.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        list(export(kind, path, {"entry": str(damaged)}))
    empty = write_entry(tmp_path / "empty", finished=0)
    with pytest.raises(DataError, match=r"No image of empty is finished|cannot be read"):
        list(export(kind, path, {"entry": str(empty)}))


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_folder_is_no_file_to_write(entry: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a{SUFFIXES[kind][0]}"
    path.mkdir()
    with pytest.raises(ConfigError, match="is a folder: choose another name"):
        write(kind, path, entry)


@pytest.mark.parametrize("kind", ["contact", "sheet", "gif", "mp4"])
def test_an_entry_without_steps_says_so(tmp_path: Path, kind: str) -> None:
    bare = write_entry(tmp_path / "bare", trajectory=False)
    with pytest.raises(DataError, match="not its steps"):
        list(export(kind, str(tmp_path / f"a{SUFFIXES[kind][0]}"), {"entry": str(bare)}))


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_place_that_cannot_be_written_is_a_sentence(entry: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudioError, match="cannot be written"):
        list(export(kind, str(tmp_path / "file" / f"a{SUFFIXES[kind][0]}"), {"entry": str(entry)}))


def test_a_damaged_image_is_named(entry: Path, tmp_path: Path) -> None:
    (entry / "000002.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(DataError, match="Image 3 of entry is damaged"):
        list(export("grid", str(tmp_path / "a.png"), {"entry": str(entry)}))
