"""The drawing of the model: its parts, what is marked, the window that shows it."""

from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from dit_studio.model_settings import DiffusionConfig, ModelConfig
from dit_studio.ui.train.architecture_dialog import ArchitectureDialog
from dit_studio.ui.train.architecture_parts import Architecture, Input, architecture_of
from dit_studio.ui.train.architecture_view import description

LATENTS = Input(size=32, channels=4, is_latent=True, classes=1000)


def drawn(*, diffusion: DiffusionConfig | None = None, seen: Input = LATENTS, **model: object) -> Architecture:
    settings = ModelConfig(**({"preset": "XL/2"} | model))  # type: ignore[arg-type]
    return architecture_of(settings, diffusion or DiffusionConfig(), seen)


def marked(shown: Architecture) -> list[str]:
    return [part.title for part in (*shown.before, *shown.block, *shown.after, *shown.conditioning) if part.is_other]


def test_the_papers_own_has_nothing_to_mark() -> None:
    shown = drawn()
    assert marked(shown) == []
    assert shown.before[1].detail == "2 × 2, 256 tokens of 1,152"
    assert shown.block_title == "Block, 28 times"
    assert [shown.block[number].title for number in shown.reaches] == ["Scale and shift", "Gate"] * 2
    assert shown.after[1].detail == "2 × 2 × 8 a patch"


@pytest.mark.parametrize(
    ("changes", "titles"),
    [
        ({"attention": "grouped", "num_kv_heads": 4}, ["Self-attention"]),
        ({"attention": "window", "window": 5}, ["Self-attention"]),
        ({"rope": True, "qk_norm": True}, ["Self-attention"]),
        ({"norm": "rms"}, ["RMSNorm", "RMSNorm", "RMSNorm"]),
        ({"mlp": "swiglu"}, ["MLP"]),
        ({"position": "learned"}, ["+ position"]),
        ({"block": "cross-attention"}, ["Cross-attention", "A sequence of 2"]),
        ({"block": "in-context"}, ["+ 2 tokens", "A sequence of 2"]),
        ({"block": "adaln"}, ["Sum, SiLU, Linear"]),
        ({"learn_sigma": False}, ["Prediction"]),
    ],
)
def test_what_the_choice_changes_is_marked(changes: dict[str, object], titles: list[str]) -> None:
    assert marked(drawn(**changes)) == titles


def test_only_the_gates_of_adaln_zero_close_the_block_at_first() -> None:
    assert [part.title for part in drawn().block if part.is_joined] == ["Gate", "Gate"]
    assert [part.title for part in drawn(block="adaln").block if part.is_joined] == ["Self-attention", "MLP"]
    crossed = [part.title for part in drawn(block="cross-attention").block if part.is_joined]
    assert crossed == ["Self-attention", "Cross-attention", "MLP"]


def test_pixels_without_classes() -> None:
    shown = drawn(seen=Input(size=28, channels=1), patch_size=4)
    assert (shown.before[0].title, shown.before[0].detail) == ("Noisy image", "28 × 28 × 1")
    assert [part.title for part in shown.conditioning] == ["Time", "Sum, SiLU, Linear"]


def test_the_drawing_is_told_in_words_and_saved(qtbot: QtBot, tmp_path: Path) -> None:
    answers = [str(tmp_path / "drawing.png"), str(tmp_path / "nowhere" / "drawing.png"), ""]
    dialog = ArchitectureDialog(choose_png=lambda _parent: answers.pop(0))
    qtbot.addWidget(dialog)
    shown = drawn(attention="window")
    dialog.show_architecture(shown)
    assert dialog.view.accessibleDescription() == description(shown)
    assert "Self-attention (16 heads, 7 × 7 patches), not as published" in description(shown)
    dialog.open_beside()
    dialog.save.click()
    image = QImage(str(tmp_path / "drawing.png"))
    assert image.size() == dialog.view.sizeHint() * 2
    colours = {image.pixel(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)}
    assert len(colours) > 4
    dialog.save.click()
    assert "cannot be written" in dialog.note.text()
    dialog.save.click()
