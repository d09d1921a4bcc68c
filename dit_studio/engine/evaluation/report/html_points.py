"""What is known of a point: its protocol in full, cautions, its first images, and those nearest to training images."""

from collections.abc import Sequence
from html import escape

from dit_studio.engine.evaluation.report.contents import ReportPoint
from dit_studio.engine.evaluation.report.pictures import NEAREST, SHOWN_COPIES, CopyPictures, ReportPictures
from dit_studio.evaluation_request import CautionRecord, Copy, EvaluationResult, SourceRecord
from dit_studio.figures import number

_LEVELS = {"red": "Not to be trusted", "amber": "Caution", "note": "Note"}


def point_section(point: ReportPoint, pictures: ReportPictures) -> str:
    """Raises: AssertionError if it was not measured."""
    result, key = point.result, (point.folder, point.point.index)
    assert result is not None
    parts = [
        f"<h3>{escape(point.label)}</h3>",
        f'<p class="protocol">{escape(result.protocol_line)}</p>',
        *_cautions(result),
        _no_intervals(result),
        *(_left_out(side) for side in (result.real, result.fake) if side.left_out),
        f'<p class="why">Floor: {escape(result.why_no_floor)}</p>' if result.why_no_floor else "",
        _samples(pictures.samples.get(key)),
        *_copying(result, pictures.copies.get(key)),
    ]
    return "\n".join(part for part in parts if part)


def _no_intervals(result: EvaluationResult) -> str:
    """Why figures have none, each reason once."""
    names: dict[str, list[str]] = {}
    for found in result.results:
        if found.why_no_interval:
            names.setdefault(found.why_no_interval, []).append(found.name)
    lines = [f"<li>{escape(', '.join(alike))}: {escape(why)}</li>" for why, alike in names.items()]
    return f'<ul class="why">{"".join(lines)}</ul>' if lines else ""


def _cautions(result: EvaluationResult) -> list[str]:
    names: dict[str, str] = {found.metric: found.name for found in result.results}
    return [_caution(caution, names.get(caution.metric, "")) for caution in result.cautions]


def _caution(caution: CautionRecord, name: str) -> str:
    words = ", ".join(word for word in (_LEVELS[caution.level], name) if word)
    return f'<p class="caution {caution.level}"><b>{escape(words)}:</b> {escape(caution.message)}</p>'


def _left_out(side: SourceRecord) -> str:
    return f'<p class="caution"><b>{escape(side.path)}:</b> {escape(side.left_out)}</p>'


def _samples(url: str | None) -> str:
    if url is None:
        return ""
    return (
        f'<figure><img class="samples" src="{url}" alt="The first images that were measured">'
        "<figcaption>The first images that were measured.</figcaption></figure>"
    )


# ------------------------------------------------------------------------------------------------- copying


def _copying(result: EvaluationResult, shown: CopyPictures | None) -> list[str]:
    copying = result.copying
    if copying is None:
        return [f'<p class="why">Copying: {escape(result.why_no_copying)}</p>'] if result.why_no_copying else []
    floor = "" if copying.floor is None else f", and {copying.floor:.1%} of one half of them to the other"
    words = (
        f"Copying: {copying.share_closer:.1%} of the images are closer to a reference image than "
        f"{copying.expected:.0%} of those are to each other{floor}; {copying.exact:,} are one, to the last byte."
    )
    kind = "caution red" if copying.is_suspicious else "caution"
    return [f'<p class="{kind}">{escape(words)}</p>', *(_pairs(shown) if shown is not None else [])]


def _pairs(shown: CopyPictures) -> list[str]:
    """Generated images above those of the reference that are nearest to each."""
    copies = shown.found.copies[:SHOWN_COPIES]
    if not copies:
        return []
    rows = [_cells(shown, shown.found.fake_path, [(copy.number, copy.image, None) for copy in copies], copies)]
    for place in range(NEAREST):
        near = [copy.nearest[place] if place < len(copy.nearest) else None for copy in copies]
        rows.append(
            _cells(
                shown,
                shown.found.real_path,
                [(one.number, one.image, one.distance) if one else None for one in near],
                copies if place == 0 else (),
            )
        )
    why = f'<p class="why">Some pictures are missing: {escape(shown.why_not)}</p>' if shown.why_not else ""
    caption = (
        "Above: the generated images that are closest to a reference image. Below each: the nearest of those, and "
    )
    caption += "the distance. Framed in red: closer than reference images are to each other."
    return [
        f'<div class="wide"><table class="pairs">{"".join(rows)}</table></div>',
        why,
        f'<p class="why">{caption}</p>',
    ]


def _cells(
    shown: CopyPictures, path: str, images: Sequence[tuple[int, str, float | None] | None], marked: Sequence[Copy]
) -> str:
    cells = []
    for place, image in enumerate(images):
        is_close = place < len(marked) and marked[place].is_closer
        cells.append(f"<td{' class=close' if is_close else ''}>{_cell(shown, path, image)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _cell(shown: CopyPictures, path: str, image: tuple[int, str, float | None] | None) -> str:
    if image is None:
        return ""
    place, name, distance = image
    url = shown.images.get((path, place))
    picture = f'<img src="{url}" alt="{escape(name)}" title="{escape(name)}">' if url else escape(name)
    return picture if distance is None else f'{picture}<br><span class="why">{number(distance)}</span>'
