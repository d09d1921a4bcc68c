"""The two sides of a comparison, opened: images or saved statistics, with what is known of them."""

import re
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.evaluation.drawing import is_model
from dit_studio.engine.evaluation.extraction import Extracted
from dit_studio.engine.evaluation.extractors import MAIN_OUTPUT, Extractor
from dit_studio.engine.evaluation.features import FeatureArray
from dit_studio.engine.evaluation.frechet import Gaussian
from dit_studio.engine.evaluation.image_sources import ImageSource, data_set_source, npz_source, picture_source
from dit_studio.engine.evaluation.npz_stream import array_heads
from dit_studio.engine.evaluation.run_data import is_run, open_run_data
from dit_studio.engine.evaluation.statistics_file import PIXEL_HASH, Statistics, describe_npz, read_statistics
from dit_studio.engine.file_list import list_files, looks_like_image
from dit_studio.engine.left_out import shown
from dit_studio.engine.model_files.hashes import sha256_of
from dit_studio.errors import DataError
from dit_studio.events import Event

_HASH = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class OpenSide:
    """What a path turned out to hold. `names` are those of the images by number; empty where they have none."""

    path: str
    source: ImageSource | None
    names: tuple[str, ...] = ()
    statistics: Statistics | None = None
    statistics_hash: str = ""
    note: str = ""  # what has to be known of it

    def name_of(self, number: int) -> str:
        return shown(self.names[number]) if number < len(self.names) else f"#{number}"


@dataclass(frozen=True, kw_only=True)
class Side:
    """What was measured of one side. Row i of every array is of the same image."""

    n: int  # images; 0: the statistics do not say
    features: dict[str, FeatureArray] = field(default_factory=dict)  # by output; empty for statistics alone
    numbers: NDArray[np.int64] | None = None
    hashes: NDArray[np.uint64] | None = None
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    statistics: Statistics | None = None

    @cached_property
    def gaussian(self) -> Gaussian:
        """Of the main features; the saved statistics, where there are some, stand for them."""
        if self.statistics is not None:
            return Gaussian.from_moments(self.statistics.mu, self.statistics.sigma)
        return Gaussian.from_features(self.features[MAIN_OUTPUT], "reference")

    def rows(self, rows: NDArray[np.int64], outputs: frozenset[str] = frozenset({MAIN_OUTPUT})) -> "Side":
        """Some of the images, with some of their features; statistics of all of them do not stand for these."""
        return Side(
            n=len(rows),
            features={name: array[rows] for name, array in self.features.items() if name in outputs},
            numbers=None if self.numbers is None else self.numbers[rows],
            hashes=None if self.hashes is None else self.hashes[rows],
            labels=None if self.labels is None else self.labels[rows],
            class_names=self.class_names,
        )


def open_reference(path: str, extractor: Extractor) -> Generator[Event, None, OpenSide]:
    """Images, statistics, both, or a run's data set. Raises: DataError if it is none, or of another extractor alone."""
    file = Path(path).expanduser()
    if is_run(file):
        images, note = yield from open_run_data(file)
        return OpenSide(path=path, source=data_set_source(images), note=note)
    check_is_no_model(file)
    if file.suffix.lower() != ".npz":
        return (yield from _open_images(path))
    if "arr_0" in (heads := array_heads(file)) and not heads.keys() & {"mu", "sigma"}:
        return OpenSide(path=path, source=npz_source(file))
    contents = describe_npz(file)
    source = npz_source(file) if contents.images else None
    if contents.dimensions != extractor.dim:
        if source is not None:
            return OpenSide(path=path, source=source)
        raise DataError(
            f"{path} holds statistics of {contents.dimensions:,} numbers an image; {extractor.label} gives "
            f"{extractor.dim:,}.",
            remedy="Choose the extractor that made them (2,048 numbers: inception), or a folder of the images.",
        )
    statistics = read_statistics(file)
    return OpenSide(
        path=path, source=source, statistics=statistics, statistics_hash=_hash_of(file, statistics, extractor)
    )


def _hash_of(file: Path, statistics: Statistics, extractor: Extractor) -> str:
    """Of the pixels, where the statistics were made here as a comparison with the images makes them: results against
    either then compare. Else of the file."""
    meta = statistics.meta
    made_as = (meta.get("extractor"), meta.get("weights_sha256"), meta.get("protocol"))
    pixels = str(meta.get(PIXEL_HASH, ""))
    is_alike = made_as == (extractor.name, extractor.weights_sha256, extractor.protocol)
    return pixels if is_alike and _HASH.fullmatch(pixels) else sha256_of(file)[:32]


def check_is_no_model(path: Path) -> None:
    """Raises: DataError."""
    if is_model(path):
        raise DataError(
            f"{path} is a model, and no reference.", remedy="Give the run that it is of, or a folder of images."
        )


def open_generated(path: str) -> Generator[Event, None, OpenSide]:
    """Images to be measured; statistics in their file are not looked at. Raises: DataError."""
    file = Path(path).expanduser()
    if file.suffix.lower() == ".npz":
        return OpenSide(path=path, source=npz_source(file))
    return (yield from _open_images(path))


def _open_images(path: str) -> Generator[Event, None, OpenSide]:
    files = yield from list_files(path)
    source = picture_source(files)
    names = tuple(member.name for member in files.members if looks_like_image(member.name))
    return OpenSide(path=path, source=source, names=names if len(names) == source.count else ())


def measured_side(opened: OpenSide, extracted: Extracted | None) -> Side:
    """Raises: AssertionError if there is neither."""
    statistics = opened.statistics
    if extracted is None:
        assert statistics is not None
        return Side(n=statistics.n, statistics=statistics)
    source = opened.source
    assert source is not None
    return Side(
        n=len(extracted.numbers),
        features=extracted.features,
        numbers=extracted.numbers,
        hashes=extracted.hashes,
        labels=None if source.labels is None else source.labels[extracted.numbers],
        class_names=source.class_names,
        statistics=statistics,
    )
