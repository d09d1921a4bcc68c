"""Drawn images in a folder that is a data set, and the classes that are asked for."""

import csv
import difflib
import io
import os
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from dit_studio.class_names import other_names
from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.export.png import encode_png
from dit_studio.engine.sample_checks import check_request
from dit_studio.engine.sampling import Samples
from dit_studio.engine.several_devices import Underway, draw_on
from dit_studio.engine.warm_model import WarmModel
from dit_studio.errors import ConfigError, Problem
from dit_studio.events import Notice, Progress
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.sample_request import SampleRecord, SampleRequest

_NAMES_SAID = 10


def choose_classes(text: str, config: ModelDescription) -> tuple[int, ...]:
    """Classes from "0,3" or "cat,dog", where digits are numbers, not names; every class from nothing. ImageNet's are
    known by their other names, too.

    Raises: ConfigError that names the one that is not there, and the nearest that is.
    """
    if not text:
        return tuple(range(config.num_classes))
    chosen = []
    for word in (word.strip() for word in text.split(",")):
        if word.isdecimal():
            chosen.append(int(word))
        elif word in config.class_names:
            chosen.append(config.class_names.index(word))
        elif len(called := [name for name in config.class_names if word in other_names(name)]) == 1:
            chosen.append(config.class_names.index(called[0]))
        else:
            near = called or difflib.get_close_matches(word, config.class_names, n=1)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {_its_classes(config)}."
            raise ConfigError([Problem("sample.classes", f'The model has no class "{word}". {hint}', word)])
    return tuple(chosen)


def _its_classes(config: ModelDescription) -> str:
    names, last = config.class_names, config.num_classes - 1
    if not names:
        return f"classes without names: the numbers from 0 to {last:,}" if last else "no classes but number 0"
    more = f" and {len(names) - _NAMES_SAID:,} more" if len(names) > _NAMES_SAID else ""
    return ", ".join(names[:_NAMES_SAID]) + more


def save_samples(
    models: Sequence[WarmModel], request: SampleRequest, folder: Path
) -> Generator[Progress | Notice, None, None]:
    """Draw a request, by a model or its copies on several devices, into `folder`: 000000.png …, and labels.csv, which
    makes it a data set with the same classes.

    Closed early, it keeps the images that are finished. Raises: ConfigError, or RunError if it cannot write there.
    """
    config, record = models[0].loaded.config, models[0].record(request)
    check_request(request, config)
    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with LabelsFile(folder, record) as labels, closing(draw_on(models, request)) as drawing:
        for done in drawing:
            if isinstance(done, Samples):
                for k, image in enumerate(done.images, start=done.first_image):
                    write_atomically(folder / _name(k), encode_png(image.permute(1, 2, 0).numpy(), record, k))
                    labels.add(k)
            else:
                yield drawing_progress(done, request.count) if isinstance(done, Underway) else done


class LabelsFile:
    """labels.csv, which gives each image of a folder its class: a line an image, as they come."""

    def __init__(self, folder: Path, record: SampleRecord) -> None:
        self._folder, self._record = folder, record
        self._path = folder / "labels.csv"
        self._file: BinaryIO | None = None

    def __enter__(self) -> "LabelsFile":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with naming_disk_errors(self._path), self._file:
                os.fsync(self._file.fileno())

    def add(self, image: int) -> None:
        """An image that is on the disk; where there is no room for its line, it goes, too.

        Raises: DiskFullError or RunError.
        """
        with naming_disk_errors(self._path):
            end = 0
            try:
                lines = [] if self._file else [("file", "label")]
                self._file = self._file or self._path.open("wb", buffering=0)
                end = self._file.tell()
                self._write([*lines, (_name(image), self._record.class_of(image))])
            except OSError:
                (self._folder / _name(image)).unlink(missing_ok=True)
                if self._file is not None:
                    self._file.truncate(end)
                raise

    def _write(self, lines: list[tuple[str, str]]) -> None:
        assert self._file is not None
        buffer = io.StringIO()
        csv.writer(buffer).writerows(lines)
        data = memoryview(buffer.getvalue().encode("utf-8", "replace"))
        while data:
            data = data[self._file.write(data) :]


def _name(image: int) -> str:
    return f"{image:06d}.png"


def drawing_progress(underway: Underway, count: int) -> Progress:
    return Progress(stage="Sampling", done=int(underway.made), total=count, unit="images")
