"""Models of other programs on the Sample page: asked once, remembered, and changed later."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from model_answers import HEADS, OBJECTIVE, SCALE, VAE, asking, opened, weights_file
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit
from pytestqt.qtbot import QtBot
from sample_answers import MODEL
from scripted import Script, ScriptedLauncher

from dit_studio.events import Failure, Progress
from dit_studio.jobs.launch import Launcher
from dit_studio.opened_models import remembered
from dit_studio.ui.drops import kind_of
from dit_studio.ui.sample.model_answers import remembered_answers
from dit_studio.ui.sample.model_sheet import ModelSheet
from dit_studio.ui.sample.page import SamplePage
from dit_studio.ui.settings import Settings
from tests.engine.foreign_models import published_state, write_pipeline

MakePage = Callable[..., SamplePage]


@pytest.fixture
def make_page(qtbot: QtBot, settings: Settings) -> Iterator[MakePage]:
    pages: list[SamplePage] = []

    def make(launcher: Any = None, **answers: Script | Callable[..., Script]) -> SamplePage:
        def described(model: str, weights: str) -> Script:
            return [msgspec.structs.replace(MODEL, path=model, weights=weights)]

        page = SamplePage(
            settings,
            launcher or ScriptedLauncher(answers={"describe_sampling": described, **answers}),  # type: ignore[arg-type]
        )
        pages.append(page)
        qtbot.addWidget(page)
        with qtbot.waitExposed(page):
            page.show()
        return page

    yield make
    for page in pages:
        page.close_page()


def sheet_of(page: SamplePage, qtbot: QtBot) -> ModelSheet:
    """The sheet, once it asks."""
    qtbot.waitUntil(lambda: page.model.opening.sheet is not None and bool(page.model.opening.sheet.rows))
    assert page.model.opening.sheet is not None
    return page.model.opening.sheet


def put(sheet: ModelSheet, name: str, answer: str) -> None:
    editor = next(line.editor for line in sheet.rows if line.question.name == name)
    assert editor.isEnabled()
    if isinstance(editor, QComboBox):
        editor.setCurrentText(answer)
    else:
        assert isinstance(editor, QLineEdit)
        editor.setText(answer)


def is_loaded(page: SamplePage, path: Path) -> bool:
    return page.session.model is not None and page.session.model.path == str(path)


def test_the_sheet_has_the_likely_answers_and_opening_is_remembered(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    file = weights_file(tmp_path)
    page = make_page(open_model=asking(OBJECTIVE, HEADS))
    page.open_model(file)
    sheet = sheet_of(page, qtbot)
    texts = [label.text() for label in sheet.findChildren(QLabel)]
    assert {"DiT-XL/2, 256 pixels", "28 blocks", OBJECTIVE.why, HEADS.text} <= set(texts)
    assert sheet.answers() == {"objective": "epsilon", "num_heads": "16"}
    assert page.session.model is None, "it is not used before it is known"
    put(sheet, "num_heads", "12")
    sheet.open_button.click()
    qtbot.waitUntil(lambda: is_loaded(page, file))
    assert remembered_answers(file)["num_heads"] == "12"
    assert page.set_up.model.path == str(file)
    page.open_model(file)
    qtbot.waitUntil(lambda: is_loaded(page, file))
    assert page.model.opening.sheet is None, "it is asked once"


def test_an_open_question_without_an_answer_keeps_the_model_closed(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    page = make_page(open_model=asking(VAE, SCALE))
    page.open_model(weights_file(tmp_path))
    sheet = sheet_of(page, qtbot)
    assert not sheet.open_button.isEnabled()
    assert VAE.text in sheet.open_button.toolTip()
    put(sheet, "vae", "someone/vae")
    assert not sheet.open_button.isEnabled(), "a name on the hub does not tell the scale"
    put(sheet, "latent_scale", "0.36")
    assert sheet.open_button.isEnabled()
    put(sheet, "latent_scale", "")
    put(sheet, "vae", "pixels")
    assert sheet.open_button.isEnabled(), "pixels have no scale"


def test_an_answer_that_cannot_be_is_said_in_the_sheet(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    sentence = "num_heads = 7 is not possible: it takes a whole number that divides 1152."

    def answer(path: str, answers: dict[str, str]) -> Script:
        return [Failure(message=sentence)] if answers.get("num_heads") == "7" else asking(HEADS)(path, answers)

    file = weights_file(tmp_path)
    page = make_page(open_model=answer)
    page.open_model(file)
    sheet = sheet_of(page, qtbot)
    put(sheet, "num_heads", "7")
    sheet.open_button.click()
    qtbot.waitUntil(lambda: sheet.problem == sentence)
    put(sheet, "num_heads", "16")
    assert sheet.open_button.isEnabled()
    sheet.open_button.click()
    qtbot.waitUntil(lambda: is_loaded(page, file))


def test_cancel_goes_back_to_the_model_before(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    first, second = weights_file(tmp_path, "first.pt"), weights_file(tmp_path, "second.pt")
    page = make_page(open_model=lambda path, answers: asking(*((HEADS,) if "second" in path else ()))(path, answers))
    page.open_model(first)
    qtbot.waitUntil(lambda: is_loaded(page, first))
    page.open_model(second)
    sheet_of(page, qtbot).cancel.click()
    qtbot.waitUntil(lambda: is_loaded(page, first))
    assert page.set_up.model.path == str(first)
    assert remembered(second) is None


def test_cancel_without_a_model_before_leaves_none(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page = make_page(open_model=asking(HEADS))
    page.open_model(weights_file(tmp_path))
    sheet_of(page, qtbot).cancel.click()
    assert page.set_up.model.path == ""
    assert page.set_up.why_not() == "choose a model first."
    assert not page.set_up.menu.isEnabled()


def test_a_model_that_tells_everything_is_not_asked(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    file = weights_file(tmp_path)
    page = make_page(
        open_model=lambda path, **_: [Progress(stage="Reading the weights", done=1, total=2), opened(path)]
    )
    page.open_model(file)
    qtbot.waitUntil(lambda: is_loaded(page, file))
    assert page.model.opening.sheet is None


def test_a_warning_is_shown_before_the_model_is_used(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    warning = "The weights are stored as float16; they are converted to float32."
    page = make_page(open_model=lambda path, **_: [opened(path, warnings=(warning,), is_known=True)])
    page.open_model(weights_file(tmp_path))
    qtbot.waitUntil(lambda: page.model.opening.sheet is not None and page.model.opening.sheet.open_button.isEnabled())
    assert page.model.opening.sheet is not None
    assert warning in [label.text() for label in page.model.opening.sheet.findChildren(QLabel)]


def test_what_is_known_is_shown_again_and_can_be_changed(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    file = weights_file(tmp_path)
    page = make_page(open_model=asking(OBJECTIVE, HEADS))
    page.open_model(file)
    first = sheet_of(page, qtbot)
    put(first, "objective", "sit")
    first.open_button.click()
    qtbot.waitUntil(lambda: is_loaded(page, file))
    page.set_up.menu.known.trigger()
    sheet = sheet_of(page, qtbot)
    assert sheet is not first
    assert sheet.answers() == {"objective": "sit", "num_heads": "16"}
    sheet.cancel.click()
    assert is_loaded(page, file), "looking changes nothing"
    page.set_up.menu.known.trigger()
    put(sheet_of(page, qtbot), "objective", "v")
    sheet_of(page, qtbot).open_button.click()
    qtbot.waitUntil(lambda: remembered_answers(file)["objective"] == "v" and is_loaded(page, file))


def test_a_file_that_changed_is_not_used_as_before_when_the_window_opens(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, settings: Settings
) -> None:
    settings.save_form("sample model", {"path": str(weights_file(tmp_path)), "weights": "ema"})
    page = make_page(open_model=asking(HEADS))
    qtbot.waitUntil(lambda: "has changed since" in page.set_up.model.message.text())
    assert page.model.opening.sheet is None
    page.set_up.menu.known.trigger()
    sheet_of(page, qtbot).open_button.click()
    qtbot.waitUntil(lambda: page.session.model is not None)


def test_models_that_were_opened_are_in_the_list(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    files = [weights_file(tmp_path, name) for name in ("first.pt", "second.pt", "third.pt")]
    page = make_page(open_model=asking())
    for file in files:
        page.open_model(file)
        qtbot.waitUntil(lambda file=file: is_loaded(page, file))
    files[1].unlink()
    again = make_page(open_model=asking())
    box = again.set_up.model.runs
    assert [box.itemData(place) for place in range(box.count()) if box.itemData(place)] == [
        str(files[2]),
        str(files[0]),
    ]


def test_folders_and_files_of_other_programs_are_models_to_the_window(tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text('{"_class_name": "DiTTransformer2DModel"}')
    (tmp_path / "images").mkdir()
    files = [weights_file(tmp_path, f"model{suffix}") for suffix in (".pt", ".pth", ".ckpt", ".bin", ".safetensors")]
    assert [kind_of(path) for path in (tmp_path, tmp_path / "transformer", *files)] == ["model"] * 7
    assert kind_of(tmp_path / "images") == "data"


# ------------------------------------------------------------------------------------------------- the real engine


@pytest.fixture
def engine() -> Iterator[Launcher]:
    launcher = Launcher(in_process=True)
    yield launcher
    launcher.close()


def test_a_published_file_is_asked_about_opened_and_drawn_from(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, engine: Launcher
) -> None:
    file = tmp_path / "DiT-XL-2-256x256.pt"
    torch.save(published_state(channels=3, out=6), file)
    page = make_page(engine)
    page.open_model(file)
    sheet = sheet_of(page, qtbot)
    assert "null_class" in sheet.answers()
    put(sheet, "num_heads", "2")
    sheet.open_button.click()
    qtbot.waitUntil(lambda: is_loaded(page, file), timeout=30_000)
    assert page.session.model is not None
    assert (page.session.model.num_heads, page.session.model.image_size) == (2, 8)
    facts = " ".join(label.text() for label in page.set_up.model.findChildren(QLabel))
    assert "computes as facebook · from DiT-XL-2-256x256.pt" in facts
    page.set_up.options.set_values({"steps": 2, "count": 1})
    page.set_up.bar.generate.click()
    qtbot.waitUntil(lambda: [entry.entry.images for entry in page.history.entries()] == [1], timeout=30_000)
    qtbot.waitUntil(lambda: not page.session.is_busy)


def test_a_diffusers_folder_is_opened_with_its_class_names(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, engine: Launcher
) -> None:
    write_pipeline(tmp_path / "pipeline")
    page = make_page(engine)
    page.open_model(tmp_path / "pipeline")
    qtbot.waitUntil(lambda: is_loaded(page, tmp_path / "pipeline"), timeout=30_000)
    assert page.session.model is not None
    assert page.session.model.class_names == ("kind 0", "kind 1", "kind 2")
    facts = " ".join(label.text() for label in page.set_up.model.findChildren(QLabel))
    assert "8 × 8 latents of pipeline/vae · computes as diffusers" in facts


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def _state(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (published_state(channels=3, out=6) | changes).items() if value is not None}


def _transposed(name: str) -> torch.Tensor:
    return published_state(channels=3, out=6)[name].T.contiguous()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: {"weights": _Code()}, "print"),
        (lambda: _state(**{"blocks.1.mlp.fc1.bias": None}), "fc1.bias"),
        (lambda: _state(**{"blocks.1.extra.weight": torch.zeros(2)}), "extra.weight"),
        (lambda: _state(**{"final_layer.linear.bias": torch.full((24,), torch.nan)}), "final_layer.linear.bias"),
        (lambda: _state(**{"blocks.1.mlp.fc1.weight": _transposed("blocks.1.mlp.fc1.weight")}), "fc1.weight"),
        (lambda: b"PK\x03\x04 and then nothing", ""),
    ],
    ids=["code", "missing", "extra", "NaN", "transposed", "truncated"],
)
def test_what_cannot_be_opened_is_a_card_with_a_sentence(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, engine: Launcher, content: Callable[[], Any], words: str
) -> None:
    file = tmp_path / "broken.pt"
    made = content()
    file.write_bytes(made) if isinstance(made, bytes) else torch.save(made, file)
    page = make_page(engine)
    page.open_model(file)
    message = page.set_up.model.message

    def is_said() -> bool:
        assert page.model.opening.sheet is None, "nothing is asked of what no answer mends"
        return "broken.pt" in message.text() and words in message.text()

    qtbot.waitUntil(is_said, timeout=30_000)
    assert not page.set_up.bar.generate.isEnabled()
    assert page.session.model is None
