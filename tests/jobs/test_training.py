"""A training job, run in both ways: what it says, what it obeys, and what is left when it dies."""

import errno
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from dit_studio.engine import data
from dit_studio.engine import trainer as trainer_module
from dit_studio.engine.trainer import Trainer
from dit_studio.errors import NotFiniteError, RunError
from dit_studio.events import (
    CaughtUp,
    CheckpointSaved,
    Command,
    Event,
    Failure,
    JobState,
    Metrics,
    Notice,
    PreviewSaved,
    Progress,
    Resumed,
    Started,
    StateChanged,
    Validation,
)
from dit_studio.jobs import event_log, training
from dit_studio.jobs.launch import Job, Launcher
from dit_studio.jobs.run_folder import RunFolder, Status
from tests.jobs.conftest import MakeRun
from tests.pictures import write_pictures

LIMIT_SECONDS = 120


@pytest.fixture(params=[False, True], ids=["worker process", "in process"])
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    launcher = Launcher(in_process=request.param)
    yield launcher
    launcher.close()


def events_of(job: Job, *, react: Callable[[Event], None] = lambda _: None) -> list[Event]:
    """All events of a job, each shown to `react` as it comes."""
    seen, deadline = [], time.monotonic() + LIMIT_SECONDS
    for event in job.events():
        assert time.monotonic() < deadline, "the job did not end"
        if event is not None:
            seen.append(event)
            react(event)
    return seen


def states(events: list[Event]) -> list[JobState]:
    return [event.state for event in events if isinstance(event, StateChanged)]


def losses(events: list[Event]) -> list[tuple[int, float | None]]:
    return [(event.step, event.loss) for event in events if isinstance(event, Metrics)]


def test_a_run_tells_its_story_and_leaves_its_files(make_run: MakeRun, launcher: Launcher) -> None:
    folder = make_run()
    events = events_of(launcher.train(folder))
    assert states(events) == [JobState.PREPARING, JobState.RUNNING, JobState.FINISHED]
    (started,) = [event for event in events if isinstance(event, Started)]
    assert (started.steps, started.images, started.validation_images) == (6, 19, 5)
    assert started.class_names == ("class 0", "class 1", "class 2")
    metrics = [event for event in events if isinstance(event, Metrics)]
    assert [event.step for event in metrics] == list(range(1, 7))
    assert [event.learning_rate for event in metrics[:3]] == [5e-4, 1e-3, 1e-3]
    assert metrics[-1].images_seen == 48
    assert all(event.loss and event.loss > 0 and event.grad_norm and event.memory_bytes for event in metrics)
    assert [event.step for event in events if isinstance(event, Validation)] == [2, 4, 6]
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [3, 6]
    for event in events:
        if isinstance(event, PreviewSaved):
            with Image.open(folder.path / event.file) as picture:
                assert picture.size == (3 * 8, 8)
                assert event.labels == started.class_names
    assert folder.read_status().state is JobState.FINISHED
    assert (folder.path / "environment.json").stat().st_size > 100
    assert not folder.is_locked()


def test_commands_are_obeyed(make_run: MakeRun, launcher: Launcher) -> None:
    folder = make_run("train.steps=100000", "train.checkpoint_every=0", "train.preview_every=0")

    answers: list[tuple[type[Event], JobState | None, Command]] = [
        (StateChanged, JobState.RUNNING, Command.PAUSE),
        (StateChanged, JobState.PAUSED, Command.SAVE),
        (CheckpointSaved, None, Command.PREVIEW),
        (PreviewSaved, None, Command.RESUME),
        (StateChanged, JobState.RUNNING, Command.STOP),
    ]

    def react(event: Event) -> None:
        if answers and isinstance(event, answers[0][0]) and getattr(event, "state", None) == answers[0][1]:
            folder.send(answers.pop(0)[2])

    events = events_of(launcher.train(folder), react=react)
    expected = ["preparing", "running", "paused", "running", "stopping", "stopped"]
    assert states(events) == expected
    paused = next(i for i, event in enumerate(events) if isinstance(event, StateChanged) and event.state == "paused")
    assert [type(event) for event in events[paused + 1 : paused + 3]] == [CheckpointSaved, PreviewSaved]
    last = events[-1]
    assert isinstance(last, StateChanged)
    assert folder.checkpoints()[-1].name == f"step-{last.step:07d}"


def test_stopped_and_resumed_gives_the_same_losses_to_the_last_bit(make_run: MakeRun, launcher: Launcher) -> None:
    whole = losses(events_of(launcher.train(make_run("train.steps=60", "train.preview_every=0", name="whole"))))
    folder = make_run("train.steps=60", "train.preview_every=1", name="stopped")

    def stop_at_4(event: Event) -> None:
        if isinstance(event, Metrics) and event.step == 4:
            folder.send(Command.STOP)

    before = events_of(launcher.train(folder), react=stop_at_4)
    assert states(before)[-1] is JobState.STOPPED
    (folder.path / "run.toml").write_text(
        (folder.path / "run.toml").read_text().replace("preview_every = 1", "preview_every = 0")
    )
    after = events_of(launcher.train(folder, resume=True))
    assert any(isinstance(event, Resumed) for event in after)
    assert states(after)[-1] is JobState.FINISHED
    assert dict(losses(folder.read_events())) == dict(whole)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_killed_and_resumed_gives_the_same_losses_to_the_last_bit(make_run: MakeRun, precision: str) -> None:
    launcher, settings = Launcher(), (f"train.precision={precision}", "train.steps=40", "train.checkpoint_every=2")
    whole = dict(losses(events_of(launcher.train(make_run(*settings, "train.preview_every=0", name="whole")))))
    folder = make_run(*settings, "train.preview_every=1", name="killed")

    def kill_after_5(event: Event) -> None:
        if isinstance(event, Metrics) and event.step == 5 and folder.is_alive():
            os.kill(folder.read_status().pid, signal.SIGKILL)

    events = events_of(launcher.train(folder), react=kill_after_5)
    assert states(events)[-1] is JobState.INTERRUPTED
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert failure.code == "killed"
    assert "signal 9" in failure.message
    assert folder.checkpoints()[-1].name in failure.remedy
    assert folder.observed_status().state is JobState.INTERRUPTED
    after = events_of(launcher.train(folder, resume=True))
    assert states(after)[-1] is JobState.FINISHED
    assert dict(losses(after)) == whole


def test_killed_at_any_moment_no_checkpoint_is_half_written(make_run: MakeRun) -> None:
    """Every step saves; the process is killed at a different moment each time, and resumed from what it left."""
    launcher, folder = Launcher(), make_run("train.steps=100000", "train.checkpoint_every=1", "train.preview_every=0")
    reached = [0]
    for attempt in range(4):
        saved_now: list[int] = []

        def kill(event: Event, attempt: int = attempt, saved_now: list[int] = saved_now) -> None:
            if isinstance(event, CheckpointSaved) and event.step > reached[-1]:
                saved_now.append(event.step)
                if len(saved_now) == 3 + attempt and folder.is_alive():
                    time.sleep(0.004 * attempt)
                    os.kill(folder.read_status().pid, signal.SIGKILL)

        events = events_of(launcher.train(folder, resume=attempt > 0), react=kill)
        assert states(events)[-1] is JobState.INTERRUPTED
        resumed = [event.step for event in events if isinstance(event, Resumed)]
        assert len(resumed) == attempt
        reached.append(int(folder.checkpoints()[-1].name.removeprefix("step-")))
        for checkpoint in folder.checkpoints():
            for name in ("model", "ema", "optimizer", "rng"):
                with safe_open(checkpoint / f"{name}.safetensors", framework="pt") as file:
                    assert file.keys()
    assert reached == sorted(reached)
    assert len(set(reached)) == 5


def test_two_processes_never_train_the_same_run(make_run: MakeRun) -> None:
    folder = make_run()
    with folder.lock(), pytest.raises(RunError, match="in use by another process"):
        next(training.run(folder))


def test_a_run_is_found_alive_by_whoever_looks(make_run: MakeRun) -> None:
    """What a window does that was closed and opened again: it follows, from the first event, and may command."""
    folder = make_run("train.steps=100000", "train.preview_every=0", "train.checkpoint_every=0")
    first = Launcher().train(folder)
    for event in first.events():
        if isinstance(event, Metrics):
            break
    first.cancel()  # this window is closed
    assert folder.observed_status().state is JobState.RUNNING

    def stop_at_once(event: Event) -> None:
        if isinstance(event, Metrics) and event.step == 1:
            folder.send(Command.STOP)

    events = events_of(Launcher().follow(folder), react=stop_at_once)
    assert isinstance(next(event for event in events if isinstance(event, Metrics)), Metrics)
    assert losses(events)[0][0] == 1
    assert states(events)[-1] is JobState.STOPPED


def test_a_process_that_cannot_be_started_leaves_the_run_as_it_was(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run()
    before = folder.read_status()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(training.subprocess, "Popen", refuse)
    with pytest.raises(RunError, match="cannot be started: Resource temporarily unavailable"):
        training.start_worker(folder)
    assert folder.read_status() == before


def test_following_a_run_whose_process_is_gone_says_so(make_run: MakeRun) -> None:
    folder = make_run()
    folder.write_status(Status(state=JobState.RUNNING, step=3, pid=4_000_000, host=os.uname().nodename))
    events = events_of(Launcher().follow(folder))
    assert [type(event) for event in events] == [CaughtUp, Failure, StateChanged]
    assert folder.read_status().state is JobState.INTERRUPTED


# ------------------------------------------------------------------------------------------------- faults, in process


def run_here(folder: RunFolder, *, resume: bool = False) -> list[Event]:
    return list(training.run(folder, resume=resume))


def test_a_preview_that_is_not_finite_ends_no_training(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(_: Trainer) -> None:
        raise NotFiniteError("The images became NaN.")

    monkeypatch.setattr(Trainer, "preview", diverged)
    events = run_here(make_run("train.preview_every=3"))
    assert states(events)[-1] is JobState.FINISHED
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert notices == [f"No preview at step {step}: The images became NaN." for step in (3, 6)]


@pytest.mark.provokes_log
def test_nan_stops_after_a_few_steps_and_keeps_the_good_weights(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run("train.steps=50", "train.checkpoint_every=1", "train.preview_every=0")
    healthy = Trainer._losses

    def broken(self: Trainer, x: torch.Tensor, *rest: torch.Tensor) -> object:
        return healthy(self, x * float("nan") if self.step >= 3 else x, *rest)

    monkeypatch.setattr(Trainer, "_losses", broken)
    events = run_here(folder)
    assert states(events)[-1] is JobState.FAILED
    assert [loss is None for _, loss in losses(events)] == [False] * 3 + [True] * 5
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert failure.code == "not_finite"
    assert "5 steps in a row" in failure.message
    assert "Lower the learning rate" in failure.remedy
    for checkpoint in folder.checkpoints():
        with safe_open(checkpoint / "model.safetensors", framework="pt") as file:
            assert all(torch.isfinite(file.get_tensor(name)).all() for name in file.keys())  # noqa: SIM118
    assert [path.name for path in folder.checkpoints()] == ["step-0000001", "step-0000002"]  # 3 gave the first NaN
    monkeypatch.undo()
    assert states(run_here(folder, resume=True))[-1] is JobState.FINISHED


@pytest.mark.provokes_log
def test_out_of_memory_becomes_a_card_with_numbers(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_: object) -> None:
        torch.empty(2**60)  # the allocator's own error

    monkeypatch.setattr(Trainer, "_losses", too_much)
    events = run_here(make_run())
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert failure.code == "out_of_memory"
    assert failure.numbers["batch_size"] == 8
    assert failure.numbers["total_bytes"] > 2**30
    assert "smaller batch, gradient checkpointing, or a smaller model" in failure.remedy
    assert states(events)[-1] is JobState.FAILED


@pytest.mark.provokes_log
def test_a_full_disk_keeps_the_last_good_checkpoint(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run("train.steps=8", "train.checkpoint_every=2", "train.preview_every=0")
    saving = trainer_module.save_checkpoint
    saves = 0

    def save(path: Path, *args: object, **kwargs: object) -> int:
        nonlocal saves
        saves += 1
        if saves > 1:
            from safetensors import SafetensorError

            def no_room(*_: object, **__: object) -> None:
                raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

            monkeypatch.setattr("dit_studio.engine.checkpoint.save_file", no_room)
        return saving(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer_module, "save_checkpoint", save)
    events = run_here(folder)
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert failure.code == "disk_full"
    assert "no room to write" in failure.message
    assert states(events)[-1] is JobState.FAILED
    assert [path.name for path in folder.checkpoints()] == ["step-0000002"]
    monkeypatch.undo()
    resumed = run_here(folder, resume=True)
    assert next(event.step for event in resumed if isinstance(event, Resumed)) == 2
    assert states(resumed)[-1] is JobState.FINISHED


@pytest.mark.provokes_log
def test_a_damaged_newest_checkpoint_is_set_aside_with_a_warning(make_run: MakeRun) -> None:
    folder = make_run("train.steps=6", "train.checkpoint_every=2", "train.preview_every=0", "train.keep_checkpoints=2")
    whole = dict(losses(run_here(folder)))
    newest = folder.checkpoints()[-1] / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    events = run_here(folder, resume=True)
    assert next(event.step for event in events if isinstance(event, Resumed)) == 4
    assert any("set aside" in getattr(event, "message", "") for event in events)
    assert dict(losses(events)) == {step: loss for step, loss in whole.items() if step > 4}
    assert [path.name for path in folder.checkpoints()] == ["step-0000004", "step-0000006"]  # whole ones
    assert (folder.path / "checkpoints" / "set-aside" / "step-0000006").is_dir()


def test_a_finished_run_says_that_it_is_and_stays_finished(make_run: MakeRun) -> None:
    folder = make_run("train.preview_every=0")
    run_here(folder)
    events = run_here(folder, resume=True)
    failure = next(event for event in events if isinstance(event, Failure))
    assert "all of its 6 steps" in failure.message
    assert "Raise the steps" in failure.remedy
    assert states(events)[-1] is JobState.FINISHED
    assert folder.read_status().state is JobState.FINISHED


@pytest.mark.provokes_log
def test_data_that_is_gone_is_a_sentence(make_run: MakeRun) -> None:
    folder = make_run("data.path=/nowhere/at all")
    failure = next(event for event in run_here(folder) if isinstance(event, Failure))
    assert "/nowhere/at all" in failure.message
    assert folder.read_status().state is JobState.FAILED


@pytest.mark.provokes_log
def test_other_classes_or_another_schedule_are_refused_and_other_images_are_spoken_of(
    make_run: MakeRun, tmp_path: Path
) -> None:
    folder = make_run("train.steps=3", "train.preview_every=0")
    run_here(folder)
    recipe = folder.path / "run.toml"
    text = recipe.read_text().replace("steps = 3\n", "steps = 5\n", 1)
    write_pictures(tmp_path / "more", classes=3, per_class=9)
    (tmp_path / "more" / "class 2").rename(tmp_path / "more" / "yak")
    for changed, sentence in (
        (text.replace("pictures ü", "more"), "class 0, class 1, yak now, class 0, class 1, class 2 then"),
        (text.replace('schedule = "linear"', 'schedule = "cosine"', 1), "diffusion = schedule linear"),
        (text.replace("depth = 2", "depth = 1"), "depth = 2, and the recipe says 1"),
    ):
        recipe.write_text(changed)
        failure = next(event for event in run_here(folder, resume=True) if isinstance(event, Failure))
        assert sentence in failure.message
        assert folder.checkpoints()[-1].name == "step-0000003"
    recipe.write_text(text.replace("pictures ü", "more"))
    (tmp_path / "more" / "yak").rename(tmp_path / "more" / "class 2")
    events = run_here(folder, resume=True)
    assert any("images have changed" in getattr(event, "message", "") for event in events)
    assert states(events)[-1] is JobState.FINISHED


@pytest.mark.provokes_log
@pytest.mark.parametrize("victim", ["events.jsonl", "status.json"])
def test_a_disk_that_fills_under_events_or_status_is_said(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    folder = make_run("train.steps=1000", "train.preview_every=0", "train.checkpoint_every=2")
    is_full = [False]
    if victim == "events.jsonl":
        writing = event_log._write_whole

        def write_whole(*arguments: object) -> None:
            if is_full[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            writing(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(event_log, "_write_whole", write_whole)
    else:
        syncing = os.fsync

        def fsync(descriptor: int) -> None:
            if is_full[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            syncing(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
    events = []
    for event in training.run(folder):
        events.append(event)
        is_full[0] = isinstance(event, CheckpointSaved) or is_full[0]
    failure = next(event for event in events if isinstance(event, Failure))
    assert failure.code == "disk_full"
    assert states(events)[-1] is JobState.FAILED
    assert not folder.is_locked()
    monkeypatch.undo()
    assert folder.observed_status().state in (JobState.FAILED, JobState.INTERRUPTED)
    assert all(event is not None for event in folder.read_events())
    folder.send(Command.STOP)


def test_a_dead_run_that_cannot_be_written_down_is_still_said(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run()
    folder.write_status(Status(state=JobState.RUNNING, step=3, pid=4_000_000, host=os.uname().nodename))

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    monkeypatch.setattr(event_log, "_write_whole", no_room)
    events = events_of(Launcher().follow(folder))
    assert [type(event) for event in events] == [CaughtUp, Failure, StateChanged]


@pytest.mark.provokes_log
@pytest.mark.parametrize("method", ["validate", "preview", "__init__"])
def test_out_of_memory_outside_a_step_is_the_same_card(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def too_much(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(Trainer, method, too_much)
    failure = next(event for event in run_here(make_run()) if isinstance(event, Failure))
    assert failure.code == "out_of_memory"
    assert failure.numbers["batch_size"] == 8


def test_stop_while_the_images_are_prepared_ends_at_once(make_run: MakeRun) -> None:
    folder, events = make_run(), []
    for event in training.run(folder):
        events.append(event)
        if isinstance(event, Progress):
            folder.send(Command.STOP)
    assert states(events) == [JobState.PREPARING, JobState.STOPPED]
    assert not folder.checkpoints()


def test_a_scaler_comes_back_as_it_was(make_run: MakeRun) -> None:
    """float16 has no CPU precision of its own, so the scaler is put in by hand."""
    folder = make_run("train.steps=4", "train.preview_every=0")
    run_here(folder)
    images = exhaust(data.load(folder.recipe().data))
    trainer = Trainer(folder.recipe(), images, folder.path)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=128.0)
    trainer.restore()
    trainer.train_step()
    trainer.save()
    again = Trainer(folder.recipe(), images, folder.path)
    again.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    again.restore()
    assert again.scaler.state_dict() == trainer.scaler.state_dict()
    assert again.train_step().loss == trainer.train_step().loss


@pytest.mark.filterwarnings("default")  # the compiler's own imports warn of each other
@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.long)])
def test_a_compiled_model_learns_the_same(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    plain = losses(run_here(make_run("train.precision=fp32", "train.preview_every=0", name="plain")))
    events = run_here(make_run("train.precision=fp32", "train.preview_every=0", "train.compile=true", name="compiled"))
    assert any("was compiled" in getattr(event, "message", "") for event in events)
    assert [loss for _, loss in losses(events)] == pytest.approx([loss for _, loss in plain], rel=1e-3)


def test_where_nothing_can_be_compiled_training_goes_on(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", lambda _: broken)
    events = run_here(make_run("train.compile=true", "train.preview_every=0"))
    assert any("cannot be compiled here" in getattr(event, "message", "") for event in events)
    assert states(events)[-1] is JobState.FINISHED


def exhaust(generator: Generator[object, None, data.ImageSet]) -> data.ImageSet:
    while True:
        try:
            next(generator)
        except StopIteration as end:
            images: data.ImageSet = end.value
            return images


def test_accumulation_gives_the_losses_and_weights_of_the_whole_batch(make_run: MakeRun) -> None:
    whole = losses(run_here(make_run("train.precision=fp32", name="whole")))
    parts = losses(run_here(make_run("train.precision=fp32", "train.accumulate=4", name="parts")))
    for (_, a), (_, b) in zip(whole, parts, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


@pytest.mark.parametrize(
    "settings",
    [("data.color=grey", "train.gradient_checkpointing=true"), ("data.classes=none", "model.learn_sigma=false"),
     ("sample.sampler=ddpm", "diffusion.schedule=cosine", "train.learning_rate_schedule=cosine"),
     ("train.clip_grad_norm=0", "train.checkpoint_every=0", "data.validation_fraction=0")],
)  # fmt: skip
def test_other_settings_train_too(make_run: MakeRun, settings: tuple[str, ...]) -> None:
    folder = make_run(*settings)
    events = run_here(folder)
    assert states(events)[-1] is JobState.FINISHED, [event for event in events if isinstance(event, Failure)]
    assert folder.checkpoints()
