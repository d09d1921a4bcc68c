"""Editors that the dialogs of exports share: which images, which plane, OK and Cancel."""

from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QDialog, QDialogButtonBox, QSpinBox

from dit_studio.ui.sample.film import Film
from dit_studio.ui.widgets.basics import NoScrollComboBox, describe

FEW = 10  # images of a sheet, where nobody says another number
PLANES = (("Predicted clean image", "x_start"), ("Noisy image xₜ", "x_t"))  # in words: fonts lose the hat of x̂₀


def image_choices(film: Film, image: int, favourites: list[int]) -> list[tuple[str, object]]:
    """The sets of images that can be exported, in words: only those whose steps are all there."""
    whole = [place for place in range(film.images) if film.steps_done(place) >= len(film.points) > 0]
    marked = [place for place in favourites if place in whole]
    choices = [(f"Image {image + 1} (picked)", [image] if image in whole else [])]
    choices.append((f"Favourites ({len(marked)})", marked))
    choices.append((f"The first {FEW}", whole[:FEW] if len(whole) > FEW else []))
    choices.append((f"All ({len(whole)})", whole if len(whole) > 1 else []))
    return [(text, images) for text, images in choices if images]


def combo(choices: list[tuple[str, object]], name: str, tooltip: str) -> QComboBox:
    """A combo box of texts and what they stand for."""
    result = NoScrollComboBox()
    for text, value in choices:
        result.addItem(text, value)
    describe(result, name, tooltip)
    return result


def plane_choices(film: Film) -> list[tuple[str, object]]:
    """The planes that a film has, in words."""
    return [(text, plane) for text, plane in PLANES if plane in film.planes]


def spin(low: int, high: int, value: int, name: str, tooltip: str, *, suffix: str = "") -> QSpinBox:
    result = QSpinBox()
    result.setRange(low, high)
    result.setValue(value)
    result.setSuffix(suffix)
    inset(result)
    describe(result, name, tooltip)
    return result


def inset(box: QAbstractSpinBox) -> None:
    """Keep the number off the frame, as in other editors; the style sheet cannot."""
    box.lineEdit().setTextMargins(8, 0, 0, 0)


def dialog_buttons(dialog: QDialog) -> QDialogButtonBox:
    """Export… and Cancel, at work."""
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok)
    export = box.button(QDialogButtonBox.StandardButton.Ok)
    export.setText("Export…")
    export.setDefault(True)
    export.setProperty("kind", "primary")
    export.setToolTip("Choose where to save it.")
    cancel = box.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
    cancel.setToolTip("Go back without a file.")
    box.accepted.connect(dialog.accept)
    box.rejected.connect(dialog.reject)
    return box
