"""The pictures of a report: each point's first images, and its nearest pairs, as text inside the page."""

import base64
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dit_studio.engine.evaluation.pictures_job import pictures
from dit_studio.engine.evaluation.report.contents import Entry, ReportPoint
from dit_studio.engine.export.png import encode_png
from dit_studio.errors import DataError, StudioError
from dit_studio.evaluation_plan import CopyList, read_copies
from dit_studio.events import Event, Pictures, Progress

SHOWN_COPIES, NEAREST = 8, 3
_SIZE = 64  # pixels of a picture of a pair

Key = tuple[Path, int]  # the folder of an entry, the index of a point


@dataclass(frozen=True)
class CopyPictures:
    """The closest pairs; `images` by path and number, those that could be read; `why_not`: of the others."""

    found: CopyList
    images: dict[tuple[str, int], str]
    why_not: str = ""


@dataclass
class ReportPictures:
    samples: dict[Key, str] = field(default_factory=dict)
    copies: dict[Key, CopyPictures] = field(default_factory=dict)


def data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def read_pictures(entries: Sequence[Entry]) -> Generator[Event, None, ReportPictures]:
    """What is there: a source that is gone leaves its pictures out and nothing else."""
    points = [point for entry in entries for point in entry.points if point.result is not None]
    read = ReportPictures()
    for number, point in enumerate(points):
        yield Progress(stage="Reading pictures", done=number, total=len(points), unit="points")
        key = (point.folder, point.point.index)
        samples = point.folder / point.point.samples_file
        if samples.is_file():
            read.samples[key] = data_url(samples.read_bytes())
        if point.result is not None and point.result.copying is not None:
            yield from _read_copies(point, key, read)
    return read


def _read_copies(point: ReportPoint, key: Key, read: ReportPictures) -> Generator[Event, None, None]:
    try:
        found = read_copies(point.folder, point.point)
    except DataError:
        return
    shown = found.copies[:SHOWN_COPIES]
    wanted = {
        found.fake_path: [copy.number for copy in shown],
        found.real_path: [near.number for copy in shown for near in copy.nearest[:NEAREST]],
    }
    images: dict[tuple[str, int], str] = {}
    why_not = ""
    for path, numbers in wanted.items():
        try:
            images |= yield from _read(path, numbers)
        except StudioError as error:
            why_not = error.message
    read.copies[key] = CopyPictures(found, images, why_not)


def _read(path: str, numbers: list[int]) -> Generator[Event, None, dict[tuple[str, int], str]]:
    images = {}
    for event in pictures(path, numbers, _SIZE):
        if not isinstance(event, Pictures):
            yield event
            continue
        pixels = np.frombuffer(event.data, np.uint8).reshape(-1, event.size, event.size, 3)
        for number, image in zip(event.numbers, pixels, strict=True):
            if number not in event.missing:
                images[path, number] = data_url(encode_png(image))
    return images
