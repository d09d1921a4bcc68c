"""Where the heads look in what is on the stage: what is asked of the sampling worker, and why it cannot be."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QObject, Signal

from dit_studio.errors import StudioError
from dit_studio.events import (
    Event,
    Failure,
    Progress,
    SampleModel,
    SettingsRefused,
)
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.sample_history import HistoryEntry, SampleHistory
from dit_studio.model_events import AttentionSeen
from dit_studio.sample_request import ModelReference
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.sample.export_path import ExportPlace, SavePath, save_path
from dit_studio.ui.sample.export_status import ExportStatus
from dit_studio.ui.sample.lineage import origin_of
from dit_studio.ui.sample.on_stage import OnStage
from dit_studio.ui.sample.stage import Stage
from dit_studio.ui.train.amounts import count

_NOT_YET = "The images are still being drawn: the heads can be looked at once they are finished."
_NO_MODEL = "No model is loaded, which would show where its heads look."


class Attention(QObject):
    """The newest thing that was asked for is computed; what was asked before is given up."""

    model_asked = Signal(str, str)  # path, weights

    def __init__(
        self,
        launcher: Launcher,
        history: SampleHistory,
        stage: Stage,
        on_stage: OnStage,
        status: ExportStatus,
        parent: QObject | None = None,
        *,
        save_path: SavePath = save_path,
    ) -> None:
        super().__init__(parent)
        self._launcher, self._history, self._status = launcher, history, status
        self._stage, self._on_stage, self._panel = stage, on_stage, stage.attention
        self._model: SampleModel | None = None
        self._wanted_model: ModelReference | None = None  # the one that drew what is shown
        self._place = ExportPlace(will_write=status.will_write, save_path=save_path)
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._panel.wanted.connect(self._look)
        self._panel.export_asked.connect(self._export)
        self._panel.model_asked.connect(self._ask_for_model)

    def show_model(self, model: SampleModel | None) -> None:
        """The model that is loaded; None: there is none."""
        self._model = model
        if model is not None:
            size = model.latent_size or model.image_size
            self._panel.show_model(depth=model.depth, grid=size // model.patch_size)
        self._panel.ask()

    def give_way(self) -> None:
        """Something else is to be drawn."""
        self._job.drop()

    def close_job(self) -> None:
        self._job.close()

    # --------------------------------------------------------------------------------------------- looking

    def _look(self) -> None:
        self._job.drop()
        params = self._asked()
        if params is not None:
            self._panel.show_busy("Looking")
            self._job.run(self._launcher.call("see_attention", **params))

    def _asked(self) -> dict[str, Any] | None:
        """What is to be computed; None after saying why nothing can be."""
        try:
            return self._params()
        except StudioError as error:
            self._panel.show_problem(str(error))
            return None

    def _params(self) -> dict[str, Any] | None:
        """Raises: DataError if an entry cannot be read."""
        if self._on_stage.film is None or not self._on_stage.film.points:
            return None
        place = self._on_stage.place(self._stage.current_image, self._stage.current_step)
        if self._on_stage.is_live or self._history.entry(place.entry) is None:
            self._panel.show_problem(_NOT_YET)
            return None
        point = origin_of(self._history, place)
        found = self._history.entry(point.entry)
        if found is None or self._model is None or not self._has_its_model(found, self._model):
            self._say_which_model(found)
            return None
        return {
            "model": self._model.path,
            "weights": self._model.weights,
            "request": msgspec.to_builtins(found.entry.record.request),
            "image": point.image,
            "step": point.step,
            "block": self._panel.block,
            "patch": self._panel.patch,
            "folder": str(found.path),
        }

    def _has_its_model(self, found: HistoryEntry, model: SampleModel) -> bool:
        drew = found.entry.record.model
        if drew.fingerprint and model.fingerprint:
            return drew.fingerprint == model.fingerprint
        return (drew.path, drew.weights) == (model.path, model.weights)

    def _say_which_model(self, found: HistoryEntry | None) -> None:
        drew = found.entry.record.model if found is not None else None
        if drew is None or not drew.path:
            self._panel.show_problem(_NO_MODEL)
            return
        self._wanted_model = drew
        is_there = Path(drew.path).exists()
        text = f"{drew.name or drew.path} drew these images, and another model, or none, is loaded."
        gone = "" if is_there else f" {drew.path} is not there any more."
        self._panel.show_problem(text + gone, needs_model=is_there)

    def _ask_for_model(self) -> None:
        if self._wanted_model is not None:
            self.model_asked.emit(self._wanted_model.path, self._wanted_model.weights)

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case AttentionSeen():
                    self._panel.show_seen(event)
                case Progress():
                    of = f" {count(event.done)} of {count(event.total)}" if event.total else ""
                    self._panel.show_busy(event.stage + of)
                case SettingsRefused():
                    self._panel.show_problem(" ".join(sentence for _, sentence in event.problems))
                case Failure():
                    self._panel.show_problem(f"{event.message} {event.remedy}".strip())

    # --------------------------------------------------------------------------------------------- taking along

    def _export(self) -> None:
        params = self._asked()
        if params is None:
            return
        name = f"attention-image{params['image'] + 1}-step{params['step']}-block{params['block'] + 1}.png"
        path = self._place.ask("Export the attention maps", name, ending="png", kinds="PNG (*.png)")
        if path is not None:
            self._status.run(partial(self._launcher.call, "export_attention", **params, path=str(path)), path)
