"""Where words beside points stand, so that none lies over another."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from PySide6.QtCore import QPointF, QRectF, QSizeF

_SQUARE = 32  # pixels
_FAR = 4  # lines that a long text may be away from its point
Anchor = tuple[float, float]  # the place of a text that lies on its point, from its upper left corner, in its sizes


def corners() -> list[Anchor]:
    """Right of a point and above it, and the three other corners, so that intervals stay clear."""
    return [(0.0, 1.0), (0.0, 0.0), (1.0, 1.0), (1.0, 0.0)]


def sides(size: QSizeF, reach: float) -> list[Anchor]:
    """Above a point, below it, right and left of it. `reach`: pixels that stay free around it."""
    across, down = reach / size.width(), reach / size.height()
    return [(0.5, 1.0 + down), (0.5, -down), (-across, 0.5), (1.0 + across, 0.5)]


def slid(place: QPointF, size: QSizeF, reach: float, room: QRectF) -> list[Anchor]:
    """Above a point and below it, then further off, as far to a side as keeps a long text in the room."""
    left = max(min(place.x() - size.width() / 2, room.right() - size.width()), room.left())
    across, down = (place.x() - left) / size.width(), reach / size.height()
    return [(across, y) for away in range(_FAR) for y in (1.0 + down + away, -down - away)]


def rect_at(place: QPointF, size: QSizeF, anchor: Anchor) -> QRectF:
    """What a text covers."""
    return QRectF(QPointF(place.x() - anchor[0] * size.width(), place.y() - anchor[1] * size.height()), size)


def free_anchor(
    place: QPointF, size: QSizeF, anchors: Sequence[Anchor], *, room: QRectF, is_taken: Callable[[QRectF], bool]
) -> Anchor | None:
    """The first with which a text lies in the room and over nothing that is taken; None if there is none."""
    for anchor in anchors:
        rect = rect_at(place, size, anchor)
        if room.contains(rect) and not is_taken(rect):
            return anchor
    return None


class Covered:
    """What is covered, kept by squares of the plot, so that of many things only those nearby are looked at."""

    def __init__(self, rects: Iterable[QRectF] = ()) -> None:
        self._squares: dict[tuple[int, int], list[QRectF]] = {}
        for rect in rects:
            self.add(rect)

    def add(self, rect: QRectF) -> None:
        for square in _squares(rect):
            self._squares.setdefault(square, []).append(rect)

    def meets(self, rect: QRectF, *, but_for: QRectF | None = None) -> bool:
        """Whether a rectangle lies over any; those that touch `but_for` do not count."""
        return any(
            rect.intersects(other) and (but_for is None or not but_for.intersects(other))
            for square in _squares(rect)
            for other in self._squares.get(square, ())
        )


def _squares(rect: QRectF) -> Iterator[tuple[int, int]]:
    for column in range(int(rect.left() // _SQUARE), int(rect.right() // _SQUARE) + 1):
        for line in range(int(rect.top() // _SQUARE), int(rect.bottom() // _SQUARE) + 1):
            yield column, line
