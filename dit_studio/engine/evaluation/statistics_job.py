"""The job that saves a reference's statistics, so that no one has to read its images again.

pytorch-fid takes mu and sigma; ADM's evaluator mu, sigma, mu_s and sigma_s, and for precision and recall images, which
are put into the file where they all are of one size.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dit_studio import __version__
from dit_studio.engine.device import pick_devices
from dit_studio.engine.evaluation.extraction import Extracted, extract
from dit_studio.engine.evaluation.extractors import MAIN_OUTPUT, Extractor, open_on_each
from dit_studio.engine.evaluation.features import FeatureArray
from dit_studio.engine.evaluation.image_sources import ImageSource
from dit_studio.engine.evaluation.moments import Moments
from dit_studio.engine.evaluation.sides import open_reference
from dit_studio.engine.evaluation.statistics_file import PIXEL_HASH, REFERENCE_IMAGES, Statistics, write_statistics
from dit_studio.engine.evaluation.weights import weights_for
from dit_studio.engine.left_out import shown
from dit_studio.errors import ConfigError, DataError, Problem, RunError
from dit_studio.evaluation_request import EvaluationRequest
from dit_studio.events import Event, Progress, SettingsRefused, Written
from dit_studio.files import why_not_writable

_SPATIAL = "spatial"  # sFID's features, which Inception alone gives
_OTHERS = {"adm-tf1": "ADM's evaluator", "legacy-pytorch": "pytorch-fid", "clean": "clean-fid"}  # whose resizing it is


def save_statistics(request: dict[str, Any], path: str, device: str = "auto") -> Generator[Event, None, None]:
    """Progress…, then Written: the statistics of an EvaluationRequest's reference as .npz; its other side is not read.

    What cannot be served is answered with SettingsRefused. Raises: DataError, CheckpointError, DiskFullError, RunError.
    """
    file = Path(path).expanduser()
    try:
        _check_target(file, path)
        asked = _parsed(request)
        on = pick_devices(device, setting="evaluate.device")
        weights = weights_for(asked.extractor, asked.weights)
        yield Progress(stage=f"Opening {asked.extractor}", done=0, total=1, unit="extractors")
        extractor = open_on_each(asked.extractor, on, files=weights.files, protocol=asked.protocol)
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    source, extracted = yield from _read(asked, extractor)
    yield Progress(stage="Computing statistics", done=0, total=1, unit="files")
    size = _common_size(extracted) if _SPATIAL in extractor.outputs else None
    chosen = extracted.numbers[:REFERENCE_IMAGES] if size is not None else extracted.numbers[:0]
    statistics = _statistics(asked, extractor, source, extracted)
    write_statistics(file, statistics, images=_images(source, chosen), image_count=len(chosen))
    note = _note(extractor, statistics.n, len(chosen))
    yield Written(file=str(file), size_bytes=file.stat().st_size, images=statistics.n, note=note)


def _check_target(file: Path, path: str) -> None:
    """Raises: ConfigError or RunError, before anything is read."""
    if not path or file.suffix.lower() != ".npz":
        message = f'Statistics cannot be written to "{shown(path)}": its name has to end in .npz.'
        raise ConfigError([Problem("evaluate.path", message, shown(path))])
    if file.is_dir():
        raise RunError(f"{shown(path)} is a folder.", remedy="Choose another name for the file.")
    if why := why_not_writable(file.parent):
        raise RunError(shown(why), remedy="Choose a folder that you may write to.")


def _parsed(request: dict[str, Any]) -> EvaluationRequest:
    try:
        return msgspec.convert({"fake": ""} | request, EvaluationRequest)
    except msgspec.ValidationError as error:
        raise ConfigError([Problem("evaluate", f"The request cannot be read: {error}.")]) from error


def _read(asked: EvaluationRequest, extractor: Extractor) -> Generator[Event, None, tuple[ImageSource, Extracted]]:
    """The reference's images and their features. Raises: DataError if it has none."""
    opened = yield from open_reference(asked.real, extractor)
    if opened.source is None:
        raise DataError(
            f"{shown(asked.real)} holds saved statistics and no images: there is nothing to compute.",
            remedy="Copy that file, or choose the images that it was made from.",
        )
    extracted = yield from extract(
        opened.source, extractor, stage="Reference", count=asked.count, seed=asked.seed, batch_size=asked.batch_size
    )
    return opened.source, extracted


def _statistics(
    asked: EvaluationRequest, extractor: Extractor, source: ImageSource, extracted: Extracted
) -> Statistics:
    main = _moments(extracted.features[MAIN_OUTPUT])
    spatial = _moments(extracted.features[_SPATIAL]) if _SPATIAL in extractor.outputs else None
    return Statistics(
        mu=main.mean,
        sigma=main.covariance(),
        mu_s=spatial.mean if spatial else None,
        sigma_s=spatial.covariance() if spatial else None,
        n=main.n,
        meta={
            "extractor": extractor.name,
            "weights_sha256": extractor.weights_sha256,
            "protocol": extractor.protocol,
            "statistics": "float64, covariance over n - 1",
            "source": shown(source.path),
            PIXEL_HASH: extracted.pixel_hash,
            "source_images": source.count,
            "seed": asked.seed,
            "dit_studio": __version__,
        },
    )


def _moments(features: FeatureArray) -> Moments:
    moments = Moments(features.shape[1])
    moments.add(features)
    return moments


def _common_size(extracted: Extracted) -> str | None:
    """The size of all images, None if there are several."""
    return next(iter(extracted.seen.sizes)) if len(extracted.seen.sizes) == 1 else None


def _images(source: ImageSource, numbers: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Shapes: (≤ 64, H, W, 3); a grey image has the same in all three."""
    if len(numbers):
        for batch in source.batches(batch_size=64, wanted=numbers):
            yield np.broadcast_to(batch.pixels.transpose(0, 2, 3, 1), (len(batch.pixels), *batch.pixels.shape[2:], 3))


def _note(extractor: Extractor, n: int, images: int) -> str:
    """Who can read it."""
    if extractor.name != "inception":
        return f"{n:,} images in {extractor.label}, which only this program reads: other programs take Inception's."
    resizing = f"Resized as {_OTHERS.get(extractor.protocol, extractor.protocol)} does it"
    readers = "pytorch-fid and ADM's evaluator read it" if images else (
        "pytorch-fid reads it; for ADM's evaluator the images would have to be of one size"
    )  # fmt: skip
    return f"{n:,} images. {resizing}: compare with figures of that way alone. {readers}."
