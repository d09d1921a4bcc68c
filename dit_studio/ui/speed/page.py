"""The Speed page: implementations of attention side by side, and the whole family, on this machine."""

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from dit_studio.jobs.launch import Launcher
from dit_studio.speed_settings import AttentionSizes, FamilySizes, batch_sizes, family_members
from dit_studio.ui.settings import Settings
from dit_studio.ui.speed.bars import BarModel
from dit_studio.ui.speed.panel import SpeedPanel
from dit_studio.ui.speed.words import ATTENTION, FAMILY
from dit_studio.ui.widgets.basics import Heading, WholeText
from dit_studio.ui.widgets.form import Form
from dit_studio.ui.widgets.scrolling import Scrolling

_INTRODUCTION = (
    "Times are medians of rounds in which all take turns. Anything else that runs on the device makes them longer."
)


class SpeedPage(QWidget):
    """Two tables; only one is measured at a time."""

    status_changed = Signal(str)  # what is measured, in a line

    def __init__(self, settings: Settings, launcher: Launcher, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.attention = SpeedPanel(
            settings,
            launcher,
            name="Attention",
            job="time_attention",
            form=Form("attention speed"),
            params=_attention_params,
            model=BarModel(ATTENTION, key=lambda row: (row.name, row.batch, row.tokens), group=lambda row: row.batch),
            empty="Measure shows plain softmax, fused kernels, grouped and window attention side by side, and how far "
            "each is from the plain one.",
        )
        self.family = SpeedPanel(
            settings,
            launcher,
            name="Family",
            job="time_family",
            form=Form("family speed"),
            params=_family_params,
            model=BarModel(FAMILY, key=lambda row: row.name, group=lambda _row: 0),
            empty="Measure shows parameters, Gflops, images a second and memory of every model that is named above.",
        )
        self._panels = (self.attention, self.family)
        self._build()

    def close_page(self) -> None:
        for panel in self._panels:
            panel.close_panel()

    def _on_busy(self) -> None:
        for panel, other in ((self.attention, self.family), (self.family, self.attention)):
            panel.set_elsewhere_busy(other.is_busy)

    def _build(self) -> None:
        tabs = QTabWidget(documentMode=True)
        tabs.tabBar().setDrawBase(False)
        tabs.tabBar().setAccessibleName("What is measured")
        for panel, title, tooltip in (
            (self.attention, "Attention", "Implementations of attention side by side."),
            (self.family, "Family", "Every size of the Diffusion Transformer."),
        ):
            tabs.setTabToolTip(tabs.addTab(Scrolling(panel), title), tooltip)
            panel.busy_changed.connect(self._on_busy)
            panel.status_changed.connect(self.status_changed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(Heading("Speed"))
        layout.addWidget(WholeText(_INTRODUCTION, role="muted"))
        layout.addWidget(tabs, 1)


def _attention_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """Raises: ConfigError."""
    sizes = AttentionSizes(**values)
    return {
        "batches": list(batch_sizes(sizes)),
        "tokens": sizes.tokens,
        "heads": sizes.heads,
        "head_size": sizes.head_size,
    }


def _family_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """Raises: ConfigError."""
    sizes = FamilySizes(**values)
    return {"names": list(family_members(sizes)), "image_size": sizes.image_size, "batch": sizes.batch}
