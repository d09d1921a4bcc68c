"""Drawn images in a folder that is a data set, and the classes that are asked for."""

import csv
import difflib
import io
from collections.abc import Generator, Iterable
from pathlib import Path

from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.export.png import encode_png
from dit_studio.engine.sample_checks import check_request
from dit_studio.engine.sampling import Frame, Samples, sample
from dit_studio.engine.warm_model import WarmModel
from dit_studio.errors import ConfigError, Problem
from dit_studio.events import Notice, Progress
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.sample_request import SampleRecord, SampleRequest


def choose_classes(text: str, config: ModelDescription) -> tuple[int, ...]:
    """Classes from "0,3" or "cat,dog", where digits are numbers, not names; every class from nothing.

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
        else:
            near = difflib.get_close_matches(word, config.class_names, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(config.class_names) or 'no classes'}."
            raise ConfigError([Problem("sample.classes", f'The model has no class "{word}". {hint}', word)])
    return tuple(chosen)


def save_samples(warm: WarmModel, request: SampleRequest, folder: Path) -> Generator[Progress | Notice, None, None]:
    """Draw a request into `folder`: 000000.png …, and labels.csv, which makes it a data set with the same classes.

    Closed early, it keeps the images that are finished. Raises: ConfigError, or RunError if it cannot write there.
    """
    config, record, finished = warm.loaded.config, warm.record(request), 0
    check_request(request, config)
    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        for done in sample(warm.loaded.model, config, request, precision=warm.precision):
            if isinstance(done, Samples):
                for k, image in enumerate(done.images, start=done.first_image):
                    write_atomically(folder / _name(k), encode_png(image.permute(1, 2, 0).numpy(), record, k))
                    finished = k + 1
            else:
                yield drawing_progress(done, request.count) if isinstance(done, Frame) else done
    finally:
        write_labels(folder, record, range(finished))


def write_labels(folder: Path, record: SampleRecord, images: Iterable[int]) -> None:
    """labels.csv, which gives each image of a folder its class."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("file", "label"), *((_name(k), record.class_of(k)) for k in images)])
    write_atomically(folder / "labels.csv", buffer.getvalue().encode("utf-8", "replace"))


def _name(image: int) -> str:
    return f"{image:06d}.png"


def drawing_progress(frame: Frame, count: int) -> Progress:
    made = frame.first_image + frame.step / frame.steps * len(frame.x_t)
    return Progress(stage="Sampling", done=int(made), total=count, unit="images")
