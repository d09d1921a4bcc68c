"""The run bar: a table of buttons for each state, progress, speed and the time left."""

import pytest
from pytestqt.qtbot import QtBot

from dit_studio.config import Recipe
from dit_studio.events import JobState, Metrics, Notice, Progress, Resumed, Started
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.places import runs_dir
from dit_studio.ui.train import amounts
from dit_studio.ui.train.pace import STEPS_BEFORE_ESTIMATE, Pace
from dit_studio.ui.train.run_bar import BUTTONS, Labels, RunBar


@pytest.fixture
def bar(qtbot: QtBot) -> RunBar:
    result = RunBar()
    qtbot.addWidget(result)
    return result


def steps(first: int, last: int, *, seconds_per_step: float = 0.5) -> list[Metrics]:
    return [
        Metrics(step=n, loss=1.0, learning_rate=1e-4, images_seen=32 * n, seconds=n * seconds_per_step)
        for n in range(first, last + 1)
    ]


def started(total: int) -> Started:
    return Started(steps=total, parameters=1, device="cpu", precision="fp32", images=9, validation_images=1)


@pytest.mark.parametrize("state", list(JobState))
def test_the_buttons_follow_from_the_state_alone(bar: RunBar, state: JobState) -> None:
    bar.show_state(state)
    for key, text in BUTTONS[state]._asdict().items():
        button = bar.buttons[key]
        assert button.isVisibleTo(bar) is bool(text), key
        if text:
            assert button.text() == text.removeprefix("-")
            assert button.accessibleName() == button.text()
            assert button.isEnabled() is not text.startswith("-"), key


def test_a_run_at_work_can_be_stopped_and_one_that_is_not_can_be_started() -> None:
    for state, labels in BUTTONS.items():
        assert bool(labels.stop) is state.is_active
        assert bool(labels.start) is not state.is_active
        assert bool(labels.resume) is state.can_resume


def test_resume_is_off_where_there_is_nothing_to_go_on_from(bar: RunBar) -> None:
    bar.show_state(JobState.FAILED)
    assert (bar.buttons["resume"].property("kind"), bar.buttons["start"].property("kind")) == ("primary", "")
    bar.set_why_not_resume("There is no checkpoint.")
    assert not bar.buttons["resume"].isEnabled()
    assert bar.buttons["resume"].toolTip() == "Off: There is no checkpoint."
    assert (bar.buttons["resume"].property("kind"), bar.buttons["start"].property("kind")) == ("", "primary")
    bar.show_state(JobState.FAILED)
    assert not bar.buttons["resume"].isEnabled(), "another run, another reason, not none"
    bar.set_why_not_resume("")
    assert bar.buttons["resume"].isEnabled()


def test_start_leads_once_the_settings_are_mended(bar: RunBar) -> None:
    bar.show_state(JobState.FAILED)
    bar.prefer_start()
    assert (bar.buttons["resume"].property("kind"), bar.buttons["start"].property("kind")) == ("", "primary")
    bar.show_state(JobState.STOPPED)
    assert bar.buttons["resume"].property("kind") == "primary"


def test_a_run_that_failed_while_preparing_shows_no_progress(bar: RunBar) -> None:
    bar.show_state(JobState.PREPARING)
    bar.add_events([Progress(stage="decoding", done=30, total=100)])
    bar.show_state(JobState.FAILED)
    assert (bar._bar.value(), bar._line.text()) == (0, "")
    bar.add_events([Progress(stage="looking for images", done=0, unit="files")])
    assert (bar._bar.value(), bar._bar.maximum() > 0, bar._line.text()) == (0, True, "")


def test_each_press_is_named(bar: RunBar) -> None:
    pressed: list[str] = []
    bar.pressed.connect(pressed.append)
    for state in (JobState.RUNNING, JobState.STOPPED):
        bar.show_state(state)
        for key in Labels._fields:
            if bar.buttons[key].isVisibleTo(bar):
                bar.buttons[key].click()
    assert pressed == ["queue", "pause", "stop", "save", "preview", "command", "start", "queue", "resume", "command"]


def test_shortcuts_survive_new_texts(bar: RunBar) -> None:
    bar.show_state(JobState.RUNNING)
    bar.show_state(JobState.PAUSED)
    assert bar.buttons["pause"].shortcut().toString() == "Ctrl+P"
    assert bar.buttons["stop"].shortcut().toString() == "Ctrl+."
    bar.show_state(JobState.IDLE)
    assert bar.buttons["start"].shortcut().toString() == "Ctrl+Return"


def test_start_says_why_it_is_off(bar: RunBar) -> None:
    bar.set_why_not_start("open a folder of images first.")
    assert not bar.buttons["start"].isEnabled()
    assert "open a folder" in bar.buttons["start"].toolTip()
    assert bar.note == "Start is off: open a folder of images first."
    bar.show_state(JobState.RUNNING)
    assert bar.note == "Add to queue is off: open a folder of images first."
    bar.set_why_not_start("")
    bar.show_state(JobState.FINISHED)
    assert bar.buttons["start"].isEnabled()
    assert bar.note == ""


def test_progress_speed_and_time_left(bar: RunBar) -> None:
    bar.show_run(RunFolder.create(runs_dir() / "20260101-120000-digits", Recipe()))
    bar.show_state(JobState.RUNNING)
    bar.add_events([started(1000), *steps(1, STEPS_BEFORE_ESTIMATE)])
    assert "estimating" in bar._line.text()
    bar.add_events(steps(STEPS_BEFORE_ESTIMATE + 1, 100))
    assert bar._line.text().startswith("7 min 30 s left, until ")
    assert bar._line.text().endswith(" · 2.0 it/s · 64.0 images/s · 50 s of training")
    assert bar._steps_label.text() == "step 100 / 1,000"
    assert bar._bar.value() == 100
    assert bar.summary == "digits  running · step 100 / 1,000 · 2.0 it/s · 7 min 30 s left"


def test_the_two_speeds_agree_whatever_a_single_step_took(bar: RunBar) -> None:
    bar.show_state(JobState.RUNNING)
    newest = Metrics(step=101, loss=1.0, learning_rate=1e-4, images_seen=3232, images_per_second=999.0, seconds=50.5)
    bar.add_events([started(1000), *steps(1, 100), newest])
    assert " · 2.0 it/s · 64.0 images/s" in bar._line.text()


def test_no_time_is_promised_again_after_a_resume(bar: RunBar) -> None:
    bar.show_state(JobState.RUNNING)
    bar.add_events([started(1000), *steps(1, 100)])
    bar.add_events([Resumed(step=100), *steps(101, 110, seconds_per_step=0.5)])
    assert "estimating" in bar._line.text()


def test_after_a_resume_the_step_is_the_one_it_goes_on_from(bar: RunBar) -> None:
    bar.show_state(JobState.RUNNING)
    bar.add_events([started(2000), *steps(1, 500)])
    bar.add_events([Resumed(step=250)])
    assert bar._steps_label.text() == "step 250 / 2,000"
    assert bar._bar.value() == 250


def test_preparing_shows_its_stages(bar: RunBar) -> None:
    bar.show_state(JobState.PREPARING)
    bar.add_events([Progress(stage="decoding", done=300, total=1797, unit="images")])
    assert bar._line.text() == "Decoding: 300 / 1,797 images"
    assert (bar._bar.value(), bar._bar.maximum()) == (300, 1797)


def test_what_was_asked_is_told_until_the_run_answers(bar: RunBar) -> None:
    bar.show_state(JobState.RUNNING)
    bar.note_asked("save")
    assert "saves" in bar.note
    bar.add_events(steps(1, 3))
    assert "saves" in bar.note
    bar.add_events([Notice(message="Saved.")])
    assert bar.note == ""


def test_the_pace_is_that_of_late() -> None:
    pace = Pace()
    for metrics in steps(1, 200, seconds_per_step=1.0):
        pace.add(metrics)
    assert pace.steps_per_second == pytest.approx(1.0)
    seconds = 200.0
    for step in range(201, 501):
        seconds += 0.25
        pace.add(Metrics(step=step, loss=1.0, learning_rate=0.0, seconds=seconds))
    assert pace.steps_per_second == pytest.approx(4.0, rel=0.01)
    assert pace.remaining_seconds(600) == pytest.approx(25.0, rel=0.01)


@pytest.mark.parametrize(
    ("number", "text"),
    [(45, "45 s"), (330, "5 min 30 s"), (3599, "59 min"), (5999, "1 h 39 min"), (200_000, "2 d 7 h")],
)
def test_durations(number: float, text: str) -> None:
    assert amounts.duration(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(950, "950"), (675_129_632, "675 M"), (33_012_345, "33.0 M"), (1_500, "1.5 k")]
)
def test_short_numbers(number: float, text: str) -> None:
    assert amounts.short(number) == text
