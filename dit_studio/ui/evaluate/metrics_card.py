"""What is measured: the network that sees, the metrics that its features serve, and of how many images."""

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from dit_studio.errors import Problem
from dit_studio.evaluation_metrics import PROTOCOLS, needed_extractor
from dit_studio.evaluation_request import METRICS, EvaluationOptions, Metric
from dit_studio.events import ModelFiles, SourceDescribed
from dit_studio.ui.evaluate.metric_words import EXTRACTORS, GROUPS, PROTOCOL_WORDS, TOOLTIPS, metric_title
from dit_studio.ui.titles import with_titles
from dit_studio.ui.widgets.basics import Caption, NoScrollComboBox, WholeText, button, describe
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.form import Form

_FORM = ("count", "seed", "batch_size", "has_floor", "weights")
_READY = ("verified", "unverified")
_NEED_MANY: tuple[Metric, ...] = ("fid-infinity", "kid-subsets")  # thousands of images
_OF_STATISTICS: tuple[Metric, ...] = ("fid", "sfid", "fid-infinity", "is")


class MetricsCard(Card):
    """`changed` follows every edit; `model_files_asked` carries the extractor whose file is missing."""

    changed = Signal()
    model_files_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Metrics", parent=parent)
        self._wanted = set(METRICS) - set(_NEED_MANY)
        self._files: ModelFiles | None = None
        self._reference: SourceDescribed | None = None
        self.extractor, self.protocol = NoScrollComboBox(), NoScrollComboBox()
        self.boxes: dict[Metric, QCheckBox] = {metric: QCheckBox() for metric in METRICS}
        self.form = Form("evaluation", names=_FORM)
        self.get_file = button("Model files…", "Download the file, or drop it in, on the page of model files.")
        self._about, self._off = Caption(), Caption()
        self._missing, self._problem = WholeText(role="problem"), WholeText(role="problem")
        self._build()
        self._connect()
        self._show_all()

    # --------------------------------------------------------------------------------------------- what is set

    @property
    def extractor_name(self) -> str:
        return str(self.extractor.currentData())

    def metrics(self) -> tuple[Metric, ...]:
        """Those that are ticked and can be served."""
        return tuple(metric for metric in METRICS if self.boxes[metric].isEnabled() and self.boxes[metric].isChecked())

    def options(self) -> dict[str, Any]:
        """What a request takes besides its two sides."""
        values = self.form.values() | {"extractor": self.extractor_name, "metrics": self.metrics()}
        return values | ({"protocol": str(self.protocol.currentData())} if self._has_choice() else {})

    def problems(self) -> list[Problem]:
        found = self.form.problems()
        if self._lacks_file():
            title = EXTRACTORS[self.extractor_name][0]
            message = f"{title} needs its model file: get it, or take random features."
            found.append(Problem("evaluation.extractor", message))
        if not self.metrics():
            found.append(Problem("evaluation.metrics", "Tick at least one metric."))
        if self.form.values().get("weights") and self.extractor_name == "random":
            message = "Random features take no weights: leave them empty, or choose other features."
            found.append(Problem("evaluation.weights", message))
        return found

    def why_not(self) -> str:
        problems = self.problems()
        return with_titles(problems[0].message) if problems else ""

    def set_options(self, options: EvaluationOptions, metrics: tuple[str, ...]) -> None:
        """Show the settings of an earlier evaluation."""
        values = {name: getattr(options, name) for name in (*_FORM, "extractor", "protocol")}
        self.set_values(values | {"metrics": list(metrics) or list(METRICS)})

    def values(self) -> dict[str, Any]:
        """What is chosen and typed: to be remembered."""
        typed = {problem.field.rpartition(".")[2]: problem.value for problem in self.form.problems()}
        chosen = {"extractor": self.extractor_name, "protocol": str(self.protocol.currentData())}
        return {"count": None} | self.form.values() | typed | chosen | {"metrics": sorted(self._wanted)}

    def set_values(self, values: Mapping[str, Any]) -> None:
        self.form.set_values({name: value for name, value in values.items() if name in _FORM})
        with QSignalBlocker(self.extractor):
            self.extractor.setCurrentIndex(max(self.extractor.findData(values.get("extractor")), 0))
        self._show_protocols(str(values.get("protocol", "")))
        if isinstance(wanted := values.get("metrics"), list):
            self._wanted = {metric for metric in METRICS if metric in wanted}
        self._show_all()

    # --------------------------------------------------------------------------------------------- what is known

    def show_model_files(self, files: ModelFiles) -> None:
        """Which extractors have their files."""
        self._files = files
        self._show_all()

    def show_reference(self, reference: SourceDescribed | None) -> None:
        """What the reference can serve."""
        self._reference = reference
        self._show_all()

    def show_problems(self, problems: list[Problem]) -> None:
        """What the engine refused, until the next edit."""
        left = []
        for problem in problems:
            name = problem.field.rpartition(".")[2]
            if name in _FORM:
                self.form.show_problem(problem)
            else:
                left.append(with_titles(problem.message))
        self._say(left)

    # --------------------------------------------------------------------------------------------- how

    def _on_edited(self) -> None:
        self._show_all()
        self.changed.emit()

    def _on_extractor(self) -> None:
        self._show_protocols("")
        self._on_edited()

    def _on_ticked(self, metric: Metric, is_on: bool) -> None:
        (self._wanted.add if is_on else self._wanted.discard)(metric)
        self._on_edited()

    def _show_all(self) -> None:
        self._show_extractors()
        for metric, box in self.boxes.items():
            self._show_metric(metric, box)
        self._show_why_off()
        self._say([] if self.metrics() else ["Tick at least one metric."])
        if self.form.values().get("weights") and self.extractor_name == "random":
            self.form.show_problem(next(one for one in self.problems() if one.field == "evaluation.weights"))

    def _show_extractors(self) -> None:
        for number, (name, (title, about)) in enumerate(EXTRACTORS.items()):
            lacks = self._is_missing(name)
            self.extractor.setItemText(number, f"{title} (needs model file)" if lacks else title)
            self.extractor.setItemData(number, about, Qt.ItemDataRole.ToolTipRole)
        self._about.setText(EXTRACTORS[self.extractor_name][1])
        lacks = self._lacks_file()
        self._missing.setText("Its model file is not on this machine. Get it first, or take random features.")
        self._missing.setVisible(lacks)
        self.get_file.setVisible(lacks)

    def _show_protocols(self, chosen: str) -> None:
        with QSignalBlocker(self.protocol):
            self.protocol.clear()
            for name in PROTOCOLS[self.extractor_name]:
                self.protocol.addItem(PROTOCOL_WORDS.get(name, name), name)
            self.protocol.setCurrentIndex(max(self.protocol.findData(chosen), 0))
        self._protocol_label.setVisible(self._has_choice())
        self.protocol.setVisible(self._has_choice())

    def _has_choice(self) -> bool:
        return self.protocol.count() > 1

    def _show_metric(self, metric: Metric, box: QCheckBox) -> None:
        reason = self._why_not_metric(metric)
        title = metric_title(metric, self.extractor_name)
        with QSignalBlocker(box):
            box.setText(title)
            box.setEnabled(not reason)
            box.setChecked(not reason and metric in self._wanted)
        describe(box, title, f"{TOOLTIPS[metric]}\nOff: {reason}." if reason else TOOLTIPS[metric])

    def _show_why_off(self) -> None:
        """The reasons, each with the metrics that are off for it: a line that needs no hovering."""
        off: dict[str, list[str]] = {}
        for metric in (metric for group in GROUPS.values() for metric in group):
            if reason := self._why_not_metric(metric):
                off.setdefault(reason, []).append(metric_title(metric, self.extractor_name))
        self._off.setText("\n".join(f"{', '.join(names)}: {reason}." for reason, names in off.items()))
        self._off.setVisible(bool(off))

    def _why_not_metric(self, metric: Metric) -> str:
        if (needed := needed_extractor(metric)) not in ("", self.extractor_name):
            return f"only with {EXTRACTORS[needed][0]}"
        reference = self._reference
        if reference is not None and not reference.has_images and metric not in _OF_STATISTICS:
            return "not against statistics without images"
        if reference is not None and metric == "agreement" and not reference.has_labels:
            return "not against a reference without classes"
        return ""

    def _is_missing(self, extractor: str) -> bool:
        if extractor == "random" or self._files is None:
            return False
        return not any(one.extractor == extractor and one.condition in _READY for one in self._files.files)

    def _lacks_file(self) -> bool:
        return self._is_missing(self.extractor_name) and not self.form.values().get("weights")

    def _say(self, sentences: list[str]) -> None:
        self._problem.setText("\n".join(sentences))
        self._problem.setVisible(bool(sentences))

    # --------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self.extractor.currentIndexChanged.connect(self._on_extractor)
        self.protocol.currentIndexChanged.connect(self._on_edited)
        self.form.changed.connect(self._on_edited)
        self.get_file.clicked.connect(lambda: self.model_files_asked.emit(self.extractor_name))
        for metric, box in self.boxes.items():
            box.toggled.connect(lambda is_on, metric=metric: self._on_ticked(metric, is_on))

    def _build(self) -> None:
        for name, (title, _) in EXTRACTORS.items():
            self.extractor.addItem(title, name)
        for box, minimum in ((self.extractor, 10), (self.protocol, 10)):
            box.setSizeAdjustPolicy(NoScrollComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(minimum)
        describe(self.extractor, "Features", "The network that turns images into features; figures of two differ.")
        describe(self.protocol, "Resize", "How images are made as large as the network asks; figures of two differ.")
        features, self._protocol_label = Caption("Features"), Caption("Resize")
        features.setBuddy(self.extractor)
        self._protocol_label.setBuddy(self.protocol)
        for part in (features, self.extractor, self._about, self._missing):
            self.body.addWidget(part)
        self.body.addWidget(self.get_file, alignment=Qt.AlignmentFlag.AlignLeft)
        self.body.addWidget(self._protocol_label)
        self.body.addWidget(self.protocol)
        for title, metrics in GROUPS.items():
            self.body.addWidget(Caption(title))
            flow = FlowLayout()
            for metric in metrics:
                flow.addWidget(self.boxes[metric])
            self.body.addLayout(flow)
        for widget in (self._off, self._problem, self.form):
            self.body.addWidget(widget)
        count = self.form.editor("count")
        assert isinstance(count, QLineEdit)
        count.setPlaceholderText("all there are")
        self._show_protocols("")
