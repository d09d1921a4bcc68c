"""The card of one model file: what it is for, what identifies it, its state, and what can be done about it."""

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QGridLayout, QPushButton, QToolButton, QWidget

from dit_studio.events import ModelFileInfo, Progress
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.model_files.licence_consent import LicenceConsent
from dit_studio.ui.model_files.words import (
    USABLE,
    hash_of,
    progress_text,
    size_of,
    state_of,
    used_for,
    what_a_download_does,
)
from dit_studio.ui.widgets.basics import BusyBar, Caption, ElidedLabel, WholeText, button, describe, row, set_property
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.pill import Pill

_ICON, _COPY = 14, 24  # pixels: the mark on a button that copies, and the button
_FACTS = ("Name", "Size", "SHA-256", "Licence", "From", "Lies in")


def open_in_browser(url: str) -> None:
    QDesktopServices.openUrl(QUrl(url))


class FileCard(Card):
    """Signals carry the name of the file or model; `open_asked` the path of one that is there.

    `download_asked` follows a press of Download; where the licence has terms, it does when they were agreed to.
    """

    download_asked = Signal(str)
    cancel_asked = Signal(str)
    add_asked = Signal(str)
    forget_asked = Signal(str)
    open_asked = Signal(str)
    use_asked = Signal(str)
    terms_shown = Signal(QWidget)  # which should be in view

    def __init__(
        self, info: ModelFileInfo, *, open_url: Callable[[str], None] = open_in_browser, parent: QWidget | None = None
    ) -> None:
        super().__init__(info.title, parent=parent)
        self.info = info
        self._open_url = open_url
        self._is_busy = False
        self.pill, self.busy = Pill(), BusyBar()
        self._facts = {fact: ElidedLabel(mode=Qt.TextElideMode.ElideMiddle) for fact in _FACTS}
        self._sentence, self._will = WholeText(role="problem"), WholeText(role="caption")
        self.download = button("Download", "Fetch the file.", kind="primary")
        self.cancel = button("Cancel", "Stop fetching. What arrived is kept, and the next download goes on from it.")
        self.open = button("Open on the Sample page", f"Draw images with {info.title}.", kind="primary")
        self.use = button("Use in training", f"Train in the latents of {info.title}.", kind="primary")
        self.add = _add_button(info)
        self.forget = button("Forget the choice", "Take the model of the usual places again. The folder stays.")
        self.page = button("Open page", f"Show {info.url} in the browser, and copy the address.")
        self.copy_hash = _copy_button("SHA-256", f"Copy the SHA-256 of {info.name}.")
        self.copy_address = _copy_button("address", f"Copy the address {info.url}.")
        self.consent = LicenceConsent(info)
        self._build()
        self._connect()

    def show_info(self, info: ModelFileInfo) -> None:
        """Show the state of the file."""
        self.info, self._is_busy = info, False
        self.pill.show_text(*state_of(info))
        self._show_facts()
        has_problem = info.condition in ("truncated", "wrong hash") or (not info.path and "chosen" in info.sentence)
        self._sentence.setText(info.sentence)
        self._sentence.setVisible(has_problem)
        self._will.setText(what_a_download_does(info))
        self.busy.finish()
        self._update_buttons()

    def show_waiting(self) -> None:
        """The download begins after another one."""
        self._is_busy = True
        self.busy.show_progress("Waits for the download before it")
        self._update_buttons()

    def show_progress(self, progress: Progress) -> None:
        self._is_busy = True
        self.busy.show_progress(progress_text(progress), progress.done, progress.total)
        self._update_buttons()

    def show_ending(self) -> None:
        """Cancel was pressed; the job ends at its next step."""
        self.busy.show_progress("Stopping; press Cancel again to end at once")

    def set_highlighted(self, is_highlighted: bool) -> None:
        """Draw the eye to this card."""
        set_property(self, "highlight", is_highlighted)

    def _show_facts(self) -> None:
        info = self.info
        texts = {
            "Name": info.name,
            "Size": size_of(info),
            "SHA-256": hash_of(info),
            "Licence": info.licence,
            "From": info.url,
            "Lies in": info.path or "nowhere on this machine",
        }
        for fact, text in texts.items():
            self._facts[fact].setText(text)
        self._facts["SHA-256"].setToolTip(info.sha256)
        self.copy_hash.setVisible(bool(info.sha256))

    def _update_buttons(self) -> None:
        is_usable = self.info.condition in USABLE
        can_fetch = not self._is_busy and not is_usable
        self.download.setText("Resume" if self.info.arrived_bytes else "Download")
        describe(self.download, f"{self.download.text()} {self.info.title}", self._will.text())
        self.consent.setVisible(can_fetch and self.consent.isVisibleTo(self))
        self.download.setVisible(can_fetch and self.consent.isHidden())
        self._will.setVisible(can_fetch)
        self.cancel.setVisible(self._is_busy)
        self.open.setVisible(is_usable and self.info.role == "model")
        self.use.setVisible(is_usable and self.info.role == "vae")
        self.add.setVisible(not self._is_busy)
        self.forget.setVisible(self.info.is_chosen)

    def _on_download(self) -> None:
        if not self.info.terms:
            self.download_asked.emit(self.info.name)
            return
        self.consent.ask()
        self._update_buttons()
        self.terms_shown.emit(self.consent)

    def _on_agreed(self) -> None:
        self.consent.hide()
        self.download_asked.emit(self.info.name)

    def _on_refused(self) -> None:
        self.consent.hide()
        self._update_buttons()
        self.download.setFocus()

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)

    def _show_page(self) -> None:
        self._copy(self.info.url)
        self._open_url(self.info.url)

    # --------------------------------------------------------------------------------------------- set-up

    def _build(self) -> None:
        self.add_action(self.pill)
        self.body.addWidget(WholeText(used_for(self.info), role="muted"))
        self.body.addLayout(self._grid())
        buttons = FlowLayout()
        for widget in (self.open, self.use, self.download, self.cancel, self.add, self.forget, self.page):
            buttons.addWidget(widget)
        for part in (self._sentence, self._will, self.consent, self.busy):
            self.body.addWidget(part)
        self.body.addLayout(buttons)

    def _grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(1, 1)
        copies = {"SHA-256": (self.copy_hash,), "From": (self.copy_address,)}
        for line, (fact, value) in enumerate(self._facts.items()):
            value.setAccessibleName(fact)
            grid.addWidget(Caption(fact, wraps=False), line, 0)
            grid.setRowMinimumHeight(line, self.copy_hash.minimumHeight())
            grid.addLayout(row(value, *copies.get(fact, ()), None), line, 1)
        return grid

    def _connect(self) -> None:
        self.download.clicked.connect(self._on_download)
        self.consent.agreed.connect(self._on_agreed)
        self.consent.refused.connect(self._on_refused)
        self.consent.licence_asked.connect(lambda: self._open_url(self.info.licence_url))
        self.open.clicked.connect(lambda: self.open_asked.emit(self.info.path))
        self.use.clicked.connect(lambda: self.use_asked.emit(self.info.name))
        self.cancel.clicked.connect(lambda: self.cancel_asked.emit(self.info.name))
        self.add.clicked.connect(lambda: self.add_asked.emit(self.info.name))
        self.forget.clicked.connect(lambda: self.forget_asked.emit(self.info.name))
        self.page.clicked.connect(self._show_page)
        self.copy_hash.clicked.connect(lambda: self._copy(self.info.sha256))
        self.copy_address.clicked.connect(lambda: self._copy(self.info.url))


def _add_button(info: ModelFileInfo) -> QPushButton:
    if info.role == "model" and not info.is_on_hub:
        return button("Choose a file…", f"Take {info.name} from where it lies; it stays there.")
    if info.is_on_hub:
        return button("Choose a folder…", f"Take {info.title} from a folder that holds config.json and its weights.")
    return button("Add a file…", f"Copy {info.name} from elsewhere; its SHA-256 is checked.")


def _copy_button(what: str, tooltip: str) -> QToolButton:
    result = QToolButton()
    result.setIcon(icon("copy", "muted"))
    result.setIconSize(QSize(theme.scaled(_ICON), theme.scaled(_ICON)))
    result.setFixedSize(theme.scaled(_COPY), theme.scaled(_COPY))
    describe(result, f"Copy the {what}", tooltip)
    result.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return result
