"""The points of a plan as rows: what sets each apart, its figures, and how it stands with it."""

from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QColor, QFont, QIcon

from dit_studio.evaluation_plan import EvaluationPlan, EvaluationPoint
from dit_studio.evaluation_request import EvaluationResult, Metric, MetricResult
from dit_studio.figures import figure_text, interval_of, value_and_interval
from dit_studio.ui import theme
from dit_studio.ui.evaluate.cautions import LEVELS, MARKS, caution_text, worst
from dit_studio.ui.evaluate.comparable import differences, figure_of, metrics_in
from dit_studio.ui.evaluate.line_marks import UNLIKE
from dit_studio.ui.evaluate.plan_axis import axis_title, axis_values
from dit_studio.ui.evaluate.plot_lines import metric_title
from dit_studio.ui.icons import icon

SORT_ROLE = Qt.ItemDataRole.UserRole
_BEST = "★"
_HINT = "Point at a figure to see its interval."
_Index = QModelIndex | QPersistentModelIndex
_NUMBERS = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_WORDS = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class PointRow:
    """What is known of a point."""

    point: EvaluationPoint
    result: EvaluationResult | None = None
    samples: str = ""
    message: str = ""  # why it failed
    remedy: str = ""
    progress: tuple[str, int, int | None] | None = None  # while it is measured

    @property
    def state(self) -> str:
        if self.result is not None:
            return "done"
        if self.message:
            return f"failed: {self.message}"
        if self.progress is None:
            return "waiting"
        _, done, total = self.progress
        return f"measuring, {done / total:.0%}" if total else "measuring"


class PointsModel(QAbstractTableModel):
    """Columns: the axes (without axes the name), the state, and the metrics that any point has."""

    measured = Signal()  # a point has its figures; those of others may look different now

    def __init__(self, plan: EvaluationPlan) -> None:
        super().__init__()
        self.rows = [PointRow(point) for point in plan.points]
        self.metrics: list[Metric] = []
        self.heads = [*([axis_title(axis) for axis in plan.axes] or ["Name"]), "State"]
        self._keys = [axis_values(plan, place) for place in range(len(plan.axes))]
        self._best: set[tuple[int, Metric]] = set()

    def change(self, index: int, **changes: Any) -> None:
        """Another state of a point."""
        self.rows[index] = replace(self.rows[index], **changes)
        if "result" in changes:
            self._take_in_results()
        self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, self.columnCount() - 1))
        if "result" in changes:
            self.measured.emit()

    def _take_in_results(self) -> None:
        found = metrics_in(row.result for row in self.rows if row.result)
        if is_wider := found != self.metrics:
            self.beginResetModel()
        self.metrics = found
        self._find_best()
        if is_wider:
            self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008  Qt's own signature
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.heads) + len(self.metrics)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        metric = self._metric(section)
        if role == Qt.ItemDataRole.DisplayRole:
            return self._head(section, metric)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _NUMBERS if metric else _WORDS
        if role == Qt.ItemDataRole.ToolTipRole and metric:
            return f"{_BEST}: the best of those that are comparable; {UNLIKE}: not comparable with the first. {_HINT}"
        return None

    def data(self, index: _Index, role: int = 0) -> Any:
        row, metric = self.rows[index.row()], self._metric(index.column())
        if metric is None:
            return self._word(row, index.column(), role)
        found = figure_of(row.result, metric) if row.result else None
        return self._figure(row, metric, found, role)

    @property
    def is_all_done(self) -> bool:
        return all(row.result is not None for row in self.rows)

    def is_best(self, index: int, metric: Metric) -> bool:
        return (index, metric) in self._best

    # ------------------------------------------------------------------------------------------------- cells

    def _metric(self, column: int) -> Metric | None:
        place = column - len(self.heads)
        return self.metrics[place] if 0 <= place < len(self.metrics) else None

    def _head(self, section: int, metric: Metric | None) -> str:
        if metric is None:
            return self.heads[section]
        title = metric_title({row.point.index: row.result for row in self.rows if row.result}, metric)
        name, _, made = title.partition("-")
        return f"{name}{title[-2:]}\n{made[:-2]}" if made and title[-1] in "↓↑" else title  # narrower on two lines

    def _word(self, row: PointRow, column: int, role: int) -> Any:
        is_state = column == len(self.heads) - 1
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return row.state if is_state else row.point.labels[column]
        if role == SORT_ROLE:
            if is_state or not self._keys:
                return row.state if is_state else row.point.index
            return self._keys[column][row.point.index]
        if role == Qt.ItemDataRole.ForegroundRole and (row.message or is_state):
            return QColor(theme.current().error if row.message else theme.current().muted)
        return None

    def _figure(self, row: PointRow, metric: Metric, found: MetricResult | None, role: int) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return self._marked(row, metric, found) if found else ""
        if role == SORT_ROLE:
            return found.value if found else None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _NUMBERS
        if role == Qt.ItemDataRole.DecorationRole:
            return self._mark(row, metric)
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join(self._sentences(row, metric, found))
        if role == Qt.ItemDataRole.FontRole and self.is_best(row.point.index, metric):
            font = QFont()
            font.setBold(True)
            return font
        return None

    def _marked(self, row: PointRow, metric: Metric, found: MetricResult) -> str:
        is_best, is_unlike = self.is_best(row.point.index, metric), bool(self._differences(row, metric))
        return " ".join([*([_BEST] if is_best else []), *([UNLIKE] if is_unlike else []), _value_text(found)])

    def _differences(self, row: PointRow, metric: Metric) -> list[str]:
        """What keeps a figure from being compared with that of the first point that is measured."""
        first = next((other.result for other in self.rows if other.result), None)
        if first is None or row.result is None:
            return []
        return differences(first, row.result, metric)

    def _mark(self, row: PointRow, metric: Metric) -> QIcon | None:
        """Red or amber, where something has to be known with the figure."""
        level = worst(each for each in row.result.cautions if each.metric in (metric, "")) if row.result else ""
        return icon(MARKS[level], MARKS[level]) if level in LEVELS[:2] else None

    def _sentences(self, row: PointRow, metric: Metric, found: MetricResult | None) -> list[str]:
        if row.result is None or found is None:
            return []
        lines = [f"{found.name}: {figure_text(found) or found.why_no_value}"]
        if why := self._differences(row, metric):
            lines.append(f"{UNLIKE} {'; '.join(why)}: not comparable with the first.")
        return lines + [caution_text(each) for each in row.result.cautions if each.metric in (metric, "")]

    def _find_best(self) -> None:
        """The best of each metric, of the figures that may stand beside the first one."""
        self._best = set()
        results = [(row, row.result) for row in self.rows if row.result]
        for metric in self.metrics if len(results) > 1 else ():
            values = {
                row.point.index: found
                for row, result in results
                if (found := figure_of(result, metric)) is not None and found.value is not None
                if not self._differences(row, metric)
            }
            better = next((found.better for found in values.values()), "")
            if len(values) > 1 and better:
                sign = -1 if better == "higher" else 1
                best = min(sign * (found.value or 0.0) for found in values.values())
                self._best |= {(i, metric) for i, found in values.items() if sign * (found.value or 0.0) == best}


def _value_text(found: MetricResult) -> str:
    """A figure with as many digits as its interval leaves it; the interval itself is in the tooltip."""
    return "none" if found.value is None else value_and_interval(found.value, interval_of(found))[0]


class PointsOrder(QSortFilterProxyModel):
    """Sorted by a column, points without a figure at the end."""

    def lessThan(self, left: _Index, right: _Index) -> bool:
        one, two = left.data(SORT_ROLE), right.data(SORT_ROLE)
        if one is None or two is None:
            is_rising = self.sortOrder() == Qt.SortOrder.AscendingOrder
            return two is None and one is not None if is_rising else one is None and two is not None
        return bool(one < two)
