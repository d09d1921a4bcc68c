"""TensorBoard files, read back by TensorBoard itself."""

import json
import math
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from dit_studio.cli import main
from dit_studio.config import Recipe, parse_recipe
from dit_studio.errors import StudioError
from dit_studio.events import (
    Event,
    JobState,
    Measured,
    Metrics,
    Notice,
    PreviewSaved,
    Progress,
    Resumed,
    Started,
    StateChanged,
    Validation,
    Written,
    encode,
)
from dit_studio.jobs import tensorboard
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.tensorboard import export_tensorboard, with_tensorboard

BEGAN = 1_700_000_000.0
STARTED = Started(
    steps=9, parameters=1, device="cpu", precision="fp32", images=8, validation_images=1, time=BEGAN
)  # fmt: skip


def metrics(step: int, loss: float | None = None, *, time: float = 0.0) -> Metrics:
    return Metrics(
        step=step, loss=1 / step if loss is None else loss, learning_rate=1e-3 * step, grad_norm=2.0 * step,
        images_per_second=100.0, memory_bytes=7_000_000, images_seen=64 * step, bands=(0.5, None), seconds=step * 0.5,
        time=time or BEGAN + step,
    )  # fmt: skip


def run_folder(place: Path, *events: Event, name: str = "a run", is_live: bool = False) -> RunFolder:
    folder = RunFolder.create(place / name, parse_recipe({"train": {"seed": 7, "tensorboard": is_live}}))
    with EventWriter(folder) as writer:
        for event in events:
            writer.append(event)
    return folder


def read(place: Path) -> EventAccumulator:
    result = EventAccumulator(str(place), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    result.Reload()
    return result


def scalars(place: Path, tag: str) -> list[tuple[int, float]]:
    """From the tensors as TensorBoard migrates what was a scalar."""
    board = read(place)
    if tag in board.Tags()["scalars"]:
        return [(one.step, one.value) for one in board.Scalars(tag)]
    return [(one.step, one.tensor_proto.float_val[0]) for one in board.Tensors(tag)]


def export(path: Path, *folders: RunFolder) -> list[Event]:
    return list(export_tensorboard([str(folder.path) for folder in folders], str(path)))


# ------------------------------------------------------------------------------------------------- export


def test_every_figure_is_there_with_its_step_and_time(tmp_path: Path) -> None:
    preview = PreviewSaved(step=2, file="previews/step-2.png", columns=3, rows=1, cell_size=8, time=BEGAN + 9)
    folder = run_folder(
        tmp_path, STARTED, metrics(1), metrics(2), Validation(step=2, loss=0.25, bands=(0.1, 0.2), time=BEGAN + 8),
        preview, Measured(step=2, metric="fid", name="FD-random-256", value=31.5, time=BEGAN + 10),
    )  # fmt: skip
    picture = Image.new("RGB", (24, 8), (200, 30, 90))
    picture.save(folder.path / "previews" / "step-2.png")
    *_, written = export(tmp_path / "out", folder)
    assert isinstance(written, Written)
    place = tmp_path / "out" / "a run"
    assert written.size_bytes == sum(file.stat().st_size for file in place.iterdir()) > 0
    expected = {
        "loss/train": [(1, 1.0), (2, 0.5)],
        "loss/validation": [(2, 0.25)],
        "learning_rate": [(1, pytest.approx(1e-3)), (2, pytest.approx(2e-3))],
        "gradient_norm": [(1, 2.0), (2, 4.0)],
        "images_per_second": [(1, 100.0), (2, 100.0)],
        "memory_bytes": [(1, 7e6), (2, 7e6)],
        "loss_by_band/train_1_of_2": [(1, 0.5), (2, 0.5)],
        "loss_by_band/validation_2_of_2": [(2, pytest.approx(0.2))],
        "metrics/FD-random-256": [(2, 31.5)],
    }
    assert {tag: scalars(place, tag) for tag in expected} == expected
    assert [one.wall_time for one in read(place).Scalars("loss/train")] == [BEGAN + 1, BEGAN + 2]
    (image,) = read(place).Images("previews")
    assert (image.step, image.width, image.height) == (2, 24, 8)
    assert image.encoded_image_string == (folder.path / "previews" / "step-2.png").read_bytes()
    text = read(place).Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "seed = 7" in text
    assert any("hparams" in tag for tag in read(place).PluginTagToContent("hparams"))


def test_what_a_resumed_run_said_anew_replaces_what_it_said_before(tmp_path: Path) -> None:
    folder = run_folder(
        tmp_path, STARTED, *(metrics(step, 1.0) for step in range(1, 9)), Resumed(step=5),
        *(metrics(step, 2.0) for step in (6, 7)), Resumed(step=3), metrics(4, 3.0),
    )  # fmt: skip
    export(tmp_path / "out", folder)
    (file,) = (tmp_path / "out" / "a run").iterdir()
    steps = [
        record.step for record in EventFileLoader(str(file)).Load()
        for value in record.summary.value if value.tag == "loss/train"
    ]  # fmt: skip
    assert steps == [1, 2, 3, 4]  # also for readers that do not know of a restart
    assert scalars(file.parent, "loss/train") == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 3.0)]


def test_a_loss_that_is_not_a_number_stays_one(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, Metrics(step=1, loss=None, learning_rate=1.0, time=BEGAN))
    export(tmp_path / "out", folder)
    ((_, value),) = scalars(tmp_path / "out" / "a run", "loss/train")
    assert math.isnan(value)


def test_half_a_line_and_a_broken_one_are_passed_over(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, metrics(1))
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(b"{broken}\n" + encode(metrics(2)) + b"\n" + encode(metrics(3))[:20])
    export(tmp_path / "out", folder)
    assert [step for step, _ in scalars(tmp_path / "out" / "a run", "loss/train")] == [1, 2]


def test_an_export_replaces_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    first, second = run_folder(tmp_path, metrics(1)), run_folder(tmp_path, metrics(5), name="other")
    out = tmp_path / "out"
    (out / "other").mkdir(parents=True)
    (out / "other" / "notes.txt").write_text("mine")
    for _ in range(2):
        export(out, first, second)
    assert sorted(place.name for place in out.iterdir()) == ["a run", "other", "other-2"]
    assert len(list((out / "a run").iterdir())) == 1
    assert (out / "other" / "notes.txt").read_text() == "mine"
    assert [step for step, _ in scalars(out / "other-2", "loss/train")] == [5]


def test_what_is_no_run_or_cannot_be_written_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="is not a run"):
        export(tmp_path / "out", RunFolder(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(StudioError, match="cannot be written"):
        export(tmp_path / "file", run_folder(tmp_path, metrics(1)))


def test_memory_stays_flat_however_long_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(count: int) -> int:
        folder = RunFolder.create(tmp_path / str(count), Recipe())
        line = encode(metrics(1)) + b"\n"
        (folder.path / "events.jsonl").write_bytes(line * count)
        monkeypatch.setattr(tensorboard, "_LINES_BETWEEN", 100)
        tracemalloc.start()
        said = export(tmp_path / "out", folder)
        assert sum(isinstance(event, Progress) for event in said) >= 2
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    peak(10)  # what is loaded once
    assert peak(2_500) < 1.2 * peak(500) + 2**16


def test_the_command_line_exports_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [run_folder(tmp_path, metrics(1), name=name) for name in ("a", "b")]
    words = ["tensorboard", *(str(run.path) for run in runs), "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(tmp_path / "out")
    assert sorted(place.name for place in (tmp_path / "out").iterdir()) == ["a", "b"]


# ------------------------------------------------------------------------------------------------- live


def test_a_run_is_mirrored_as_it_goes(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, is_live=True)
    place = folder.path / "tensorboard"
    seen: list[list[tuple[int, float]]] = []

    def events() -> Iterator[Event]:
        yield STARTED
        yield metrics(1)
        yield Validation(step=1, loss=0.25)  # which is flushed, with all before it
        seen.append(scalars(place, "loss/train"))
        yield StateChanged(state=JobState.STOPPED, step=1)

    said = list(with_tensorboard(events(), folder))
    assert [type(event) for event in said] == [Started, Metrics, Validation, StateChanged]
    assert all(event.time for event in said)
    assert seen == [[(1, 1.0)]]
    (validation,) = read(place).Scalars("loss/validation")
    assert validation.wall_time == said[2].time


def test_a_resumed_run_goes_on_and_what_it_overwrites_is_forgotten(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, is_live=True)
    list(with_tensorboard(iter([STARTED, *(metrics(step, 1.0) for step in range(1, 9))]), folder))
    list(with_tensorboard(iter([STARTED, Resumed(step=5), metrics(6, 2.0)]), folder))
    place = folder.path / "tensorboard"
    assert len(list(place.iterdir())) == 2
    assert scalars(place, "loss/train") == [*((step, 1.0) for step in range(1, 6)), (6, 2.0)]


def test_without_the_setting_nothing_is_written(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    assert len(list(with_tensorboard(iter([STARTED, metrics(1)]), folder))) == 2
    assert not (folder.path / "tensorboard").exists()


def test_what_goes_wrong_is_said_once_and_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_folder(tmp_path, is_live=True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensorboard._Board, "_put", full)
    said = list(with_tensorboard(iter([STARTED, metrics(1), metrics(2)]), folder))
    notices = [event for event in said if isinstance(event, Notice)]
    assert len(notices) == 1
    assert "No space left on device" in notices[0].message
    assert [event.step for event in said if isinstance(event, Metrics)] == [1, 2]


def test_whoever_gives_up_leaves_a_whole_file(tmp_path: Path) -> None:
    folder, closed = run_folder(tmp_path, is_live=True), []

    def events() -> Iterator[Event]:
        try:
            yield metrics(1)
            yield metrics(2)
        finally:
            closed.append(True)

    following = with_tensorboard(events(), folder)
    next(following), next(following)
    following.close()  # type: ignore[attr-defined]
    assert closed == [True]
    (file,) = (folder.path / "tensorboard").iterdir()
    data, at = file.read_bytes(), 0
    while at < len(data):  # records: length, its check, the record, its check
        at += 16 + struct.unpack_from("<Q", data, at)[0]
    assert at == len(data)
    assert scalars(file.parent, "loss/train") == [(1, 1.0)]
