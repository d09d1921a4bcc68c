"""What a data set is, before anything is trained on it: counts, problems, warnings and a row of pictures."""

import io
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dit_studio.engine import pictures
from dit_studio.engine.file_list import PROGRESS_SECONDS, FileList, list_files, looks_like_image
from dit_studio.engine.image_files import Header, Pixels
from dit_studio.engine.left_out import shown
from dit_studio.engine.pictures import Picture, PictureSet, find_pictures, in_parallel
from dit_studio.errors import StudioError
from dit_studio.events import ClassSummary, DataSummary, Event, Progress
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.places import cache_dir

THUMBNAIL_SIZE = 64
_MAX_THUMBNAILS = 24
_CANDIDATES = 2 * _MAX_THUMBNAILS  # some may turn out to be unusable
_FEW_IMAGES = 100
_SMALL_PIXELS = 32
_UNEVEN = 20


def scan(path: str, classes: str = "auto", thumbnails_dir: str = "") -> Iterator[Event]:
    """Read what a folder, zip or tar holds; ends with a DataSummary.

    Files are checked by their headers and ends; pictures of all classes, in turn, are put into one PNG file below
    `thumbnails_dir`, or below the cache.
    Raises: DataError if it is missing, not to be opened, no data set, or without one image that can be used.
    """
    files = yield from list_files(path)
    found = find_pictures(files, classes)
    tally = _Tally(found)
    told = time.monotonic()
    yield Progress(stage="Reading images", done=0, total=found.total, unit="images")
    inspect = partial(_inspect, candidates=tally.candidates, by_order=found.cifar is not None)
    done = 0
    with found.open() as opened, closing(in_parallel(inspect, opened)) as results:
        for done, (picture, (header, thumbnail)) in enumerate(results, 1):
            tally.add(picture, header, thumbnail)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                yield Progress(stage="Reading images", done=done, total=found.total, unit="images")
    yield Progress(stage="Reading images", done=done, total=done, unit="images")
    if not tally.usable:
        raise files.too_few(0)
    yield _summary(tally, Path(thumbnails_dir) if thumbnails_dir else cache_dir() / "thumbnails", classes)


@dataclass
class _Tally:
    """What has been seen so far; of each picture only a few bytes are kept."""

    found: PictureSet
    per_class: Counter[int] = field(default_factory=Counter)
    sizes: list[tuple[int, int]] = field(default_factory=list)  # smallest, largest
    signatures: set[int] = field(default_factory=set)
    copies: int = 0
    first_copy: str = ""
    thumbnails: dict[int, tuple[int, Pixels]] = field(default_factory=dict)  # by picture: class and pixels

    def __post_init__(self) -> None:
        self.candidates = _candidates(self.found)

    @property
    def usable(self) -> int:
        return self.per_class.total()

    @property
    def files(self) -> FileList:
        return self.found.files

    def add(self, picture: Picture, header: Header | str, thumbnail: Pixels | None) -> None:
        if isinstance(header, str):
            self.files.left_out.add(picture.name, header)
            return
        self.per_class[picture.label] += 1
        size = header.width, header.height
        ends = [*self.sizes, size]
        self.sizes = [min(ends, key=_area), max(ends, key=_area)]
        self._note_copy(picture.name, hash(header.signature))
        if thumbnail is not None:
            self.thumbnails[picture.number] = (picture.label, thumbnail)

    def _note_copy(self, name: str, signature: int) -> None:
        if signature in self.signatures:
            self.copies += 1
            self.first_copy = self.first_copy or name
        self.signatures.add(signature)


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _inspect(picture: Picture, *, candidates: frozenset[int], by_order: bool) -> tuple[Header | str, Pixels | None]:
    header = pictures.check(picture)
    wants_thumbnail = picture.number < 5 * _CANDIDATES if by_order else picture.number in candidates
    if isinstance(header, str) or not wants_thumbnail:
        return header, None
    pixels = pictures.decode(picture, image_size=THUMBNAIL_SIZE, color="rgb")
    return (pixels, None) if isinstance(pixels, str) else (header, pixels)


def _candidates(found: PictureSet) -> frozenset[int]:
    """Pictures to show, the classes in turn."""
    if found.labels is None:
        return frozenset()
    classes = range(min(max(1, len(found.class_names)), _CANDIDATES))
    labels = np.where([looks_like_image(member.name) for member in found.files.members], found.labels, -1)
    order = [np.flatnonzero(labels == label)[:_CANDIDATES].tolist() for label in classes]
    return frozenset(_in_turn(order, _CANDIDATES))


def _in_turn(groups: Sequence[Sequence[int]], count: int) -> list[int]:
    """The first of each group, then the second of each, up to `count`."""
    turns = range(max(map(len, groups), default=0))
    return [group[turn] for turn in turns for group in groups if turn < len(group)][:count]


# ------------------------------------------------------------------------------------------------- the summary


def _summary(tally: _Tally, folder: Path, choice: str) -> DataSummary:
    found, files = tally.found, tally.files
    names = found.class_names
    counts = [(label, tally.per_class[label]) for label in sorted(tally.per_class)] if names else []
    warnings = [*found.warnings, *_warnings(tally, [(names[label], count) for label, count in counts])]
    fingerprint = f"{files.fingerprint}-{choice}"
    shown_pictures = _shown_pictures(tally)
    try:
        thumbnails = _write_row(folder, fingerprint, [pixels for _, pixels in shown_pictures])
    except StudioError as error:
        thumbnails, shown_pictures = "", []
        warnings.append(f"There are no thumbnails: {error}")
    return DataSummary(
        path=shown(str(files.path)),
        images=tally.usable,
        source=found.source,
        sources=found.sources,
        classes=tuple(ClassSummary(name=names[label], images=count) for label, count in counts),
        smallest=tally.sizes[0],
        largest=tally.sizes[1],
        size_bytes=sum(member.size_bytes for member in files.members),
        problem_count=files.left_out.count,
        problems=files.left_out.problems,
        warnings=tuple(warnings),
        thumbnails=thumbnails,
        thumbnail_size=THUMBNAIL_SIZE,
        thumbnail_labels=tuple(names[label] if names else "" for label, _ in shown_pictures),
        fingerprint=fingerprint,
    )


def _shown_pictures(tally: _Tally) -> list[tuple[int, Pixels]]:
    by_class: dict[int, list[int]] = {}
    for index, (label, _) in sorted(tally.thumbnails.items()):
        by_class.setdefault(label, []).append(index)
    order = _in_turn([by_class[label] for label in sorted(by_class)], _MAX_THUMBNAILS)
    return [tally.thumbnails[index] for index in order]


def _write_row(folder: Path, name: str, row: Sequence[Pixels]) -> str:
    if not row:
        return ""
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(row, axis=2).transpose(1, 2, 0).copy()).save(buffer, "PNG")
    file = folder / f"{name}.png"
    with naming_disk_errors(file):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, buffer.getvalue())
    return str(file)


def _warnings(tally: _Tally, classes: Sequence[tuple[str, int]]) -> Iterator[str]:
    if tally.usable == 1:
        yield "There is only one image; training needs at least two."
    elif tally.usable < _FEW_IMAGES:
        yield f"There are only {tally.usable} images, which a model will learn by heart; some thousands are better."
    if single := [name for name, count in classes if count == 1]:
        verb = "has" if len(single) == 1 else "have"
        yield f"{_listed(single)} {verb} one image only; nothing of it can be held out."
    if missing := [name for label, name in enumerate(tally.found.class_names) if not tally.per_class[label]]:
        verb = "has" if len(missing) == 1 else "have"
        yield f"{_listed(missing)} {verb} no image that can be used, and will be no class."
    yield from _size_warnings(tally, classes)
    if tally.copies:
        verb = "file is an exact copy" if tally.copies == 1 else "files are exact copies"
        yield f"{tally.copies:,} {verb} of others, for instance {shown(tally.first_copy)}."


def _size_warnings(tally: _Tally, classes: Sequence[tuple[str, int]]) -> Iterator[str]:
    if classes:
        least, most = min(classes, key=lambda item: item[1]), max(classes, key=lambda item: item[1])
        if most[1] > _UNEVEN * least[1]:
            yield f"The classes are uneven: {most[0]} has {most[1]:,} images, {least[0]} has {least[1]:,}."
    width, height = tally.sizes[0]
    if min(width, height) < _SMALL_PIXELS:
        yield f"The smallest image has {width} × {height} pixels; at a larger image size it is enlarged and looks soft."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
