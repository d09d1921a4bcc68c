"""Statistics of a set of images in an .npz: ours, those of pytorch-fid and TTUR, and ADM's reference batches.

All keep the names that this field reads: mu, sigma for FID, mu_s, sigma_s for sFID, arr_0 for images, arr_1 for their
labels. Ours add n and meta, so that a later reader knows how they were made.
"""

import itertools
import zipfile
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dit_studio.engine.evaluation.npz_stream import ArrayHead, array_heads, no_images, read_array, stream_array
from dit_studio.errors import DataError
from dit_studio.files import naming_disk_errors, open_atomically

PIXEL_HASH = "pixel_hash"  # in meta: of the images, as the protocol of a comparison with them has it
REFERENCE_IMAGES = 10_000  # that ADM's evaluator takes for precision and recall
_MOST_DIMENSIONS = 16_384
_MOST_META_BYTES = 2**20
_ASYMMETRY = 1e-5  # of the largest entry; float32 statistics have that much
_SAVE_AGAIN = "Save them as uint8 (N, H, W, 3), 0 … 255, with numpy.savez."

_Plain = str | int | float | bool | None
_Meta = dict[str, _Plain | list[_Plain] | dict[str, _Plain]]  # nothing that is nested without end


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """A Gaussian of pool features, perhaps one of spatial features, and where they come from.

    `n` is 0 and `meta` empty where a file does not say, as others' files never do.
    """

    mu: NDArray[np.float64]  # (d,)
    sigma: NDArray[np.float64]  # (d, d)
    mu_s: NDArray[np.float64] | None = None  # (2023,), height, width, channel in this order
    sigma_s: NDArray[np.float64] | None = None
    n: int = 0
    meta: dict[str, Any] = field(default_factory=dict)  # protocol, weights_sha256, image size, pixel hash, …


@dataclass(frozen=True, kw_only=True)
class NpzContents:
    """What an .npz can serve as, from its heads alone."""

    has_statistics: bool
    has_spatial_statistics: bool
    dimensions: int  # of mu, 0 without
    images: int  # of arr_0, 0 without
    image_size: tuple[int, int]  # height, width; (0, 0) without
    has_labels: bool


def describe_npz(path: Path) -> NpzContents:
    """Statistics, images, or both. Raises: DataError if the file is damaged, or holds neither in a usable form."""
    heads = array_heads(path)
    if not heads.keys() & {"mu", "sigma", "arr_0"}:
        there = ", ".join(f'"{name}"' for name in list(heads)[:12]) or "nothing"
        raise DataError(
            f'{path} has neither statistics ("mu" and "sigma") nor images ("arr_0"): it holds {there}.',
            remedy="Choose a file of statistics, a reference batch or a batch of samples.",
        )
    dimensions = _check_gaussian(path, heads, "mu", "sigma") if heads.keys() & {"mu", "sigma"} else 0
    has_spatial = bool(heads.keys() & {"mu_s", "sigma_s"})
    if has_spatial:
        _check_gaussian(path, heads, "mu_s", "sigma_s")
    images = _check_images(path, heads) if "arr_0" in heads else (0, 0, 0)
    return NpzContents(
        has_statistics=dimensions > 0,
        has_spatial_statistics=has_spatial,
        dimensions=dimensions,
        images=images[0],
        image_size=images[1:],
        has_labels="arr_1" in heads,
    )


def read_statistics(path: Path) -> Statistics:
    """Images in the file are not looked at. Raises: DataError if there are no statistics, or unusable ones."""
    heads = array_heads(path)
    _check_gaussian(path, heads, "mu", "sigma")
    mu, sigma = _read_gaussian(path, "mu", "sigma")
    spatial: tuple[NDArray[np.float64] | None, NDArray[np.float64] | None] = (None, None)
    if heads.keys() & {"mu_s", "sigma_s"}:
        _check_gaussian(path, heads, "mu_s", "sigma_s")
        spatial = _read_gaussian(path, "mu_s", "sigma_s")
    return Statistics(
        mu=mu, sigma=sigma, mu_s=spatial[0], sigma_s=spatial[1], n=_read_number(path, heads),
        meta=_read_meta(path, heads),
    )  # fmt: skip


def read_images(path: Path, *, batch_size: int, start: int = 0) -> Generator[NDArray[np.uint8], None, None]:
    """The images of arr_0 from number `start`, however large the file is. Shapes: (≤ batch_size, H, W, 3), uint8.

    Raises: DataError if there are none, or they are not uint8 in this order.
    """
    heads = array_heads(path)
    if "arr_0" not in heads:
        raise DataError(f'{path} has no images: there is no "arr_0".', remedy="Choose a batch of samples.")
    _check_images(path, heads)
    yield from stream_array(path, "arr_0", batch_size=batch_size, start=start)


def read_labels(path: Path) -> NDArray[np.int64] | None:
    """The class of each image, None if the file has none. Shape: (N,). Raises: DataError if they do not fit."""
    heads = array_heads(path)
    if "arr_1" not in heads:
        return None
    head, images = heads["arr_1"], _check_images(path, heads)[0] if "arr_0" in heads else None
    if head.dtype.kind not in "iu" or len(head.shape) != 1 or (images is not None and head.shape[0] != images):
        raise DataError(
            f'The labels "arr_1" in {path} are {head.dtype} of shape {head.shape}, for {images} images.',
            remedy="Save one whole number per image.",
        )
    return read_array(path, "arr_1").astype(np.int64)


def write_statistics(
    path: Path, statistics: Statistics, *, images: Iterable[NDArray[np.uint8]] = (), image_count: int = 0
) -> None:
    """Write an .npz that pytorch-fid reads and, with `images`, ADM's evaluator too, as a reference batch.

    The images come in batches (n, H, W, 3), `image_count` in all, of which ADM's use is 10,000; one batch is held. The
    file is there whole or not at all. Raises: DataError if the images do not fit, DiskFullError or RunError.
    """
    with naming_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with open_atomically(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in _arrays(statistics).items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
        if image_count:
            _write_images(archive, images, image_count)


def _arrays(statistics: Statistics) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"mu": statistics.mu, "sigma": statistics.sigma}
    if statistics.mu_s is not None and statistics.sigma_s is not None:
        arrays |= {"mu_s": statistics.mu_s, "sigma_s": statistics.sigma_s}
    if statistics.n:
        arrays["n"] = np.array(statistics.n, np.int64)
    if statistics.meta:
        arrays["meta"] = np.frombuffer(msgspec.json.encode(statistics.meta), np.uint8)
    return arrays


def _write_images(archive: zipfile.ZipFile, images: Iterable[NDArray[np.uint8]], count: int) -> None:
    batches = iter(images)
    first = next(batches, np.empty((0, 0, 0, 3), np.uint8))
    shape, written = first.shape[1:], 0
    with archive.open("arr_0.npy", "w", force_zip64=True) as member:
        npy.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)})
        for batch in itertools.chain([first], batches):
            if batch.dtype != np.uint8 or batch.shape[1:] != shape or batch.ndim != 4 or batch.shape[3] != 3:
                raise DataError(
                    f"A batch of images is {batch.dtype} of shape {batch.shape}; the first is of shape {first.shape}.",
                    remedy=_SAVE_AGAIN,
                )
            member.write(np.ascontiguousarray(batch).data)
            written += len(batch)
    if written != count:
        raise DataError(f"{written:,} images came instead of {count:,}.", remedy="Extract the reference again.")


# ------------------------------------------------------------------------------------------------- what fits


def _check_gaussian(path: Path, heads: dict[str, ArrayHead], mu: str, sigma: str) -> int:
    """How many dimensions. Raises: DataError, before a number is read."""
    if missing := [name for name in (mu, sigma) if name not in heads]:
        there = ", ".join(f'"{name}"' for name in list(heads)[:12]) or "nothing"
        raise DataError(
            f'{path} has no "{missing[0]}": statistics need "{mu}" and "{sigma}", and it holds {there}.',
            remedy="Choose another file, or compute the statistics from the images.",
        )
    mean, covariance = heads[mu], heads[sigma]
    if mean.dtype.hasobject or covariance.dtype.hasobject:
        raise DataError(
            f'"{mu}" or "{sigma}" in {path} holds pickled Python objects, which could run code and are never opened.',
            remedy="Save them again as arrays of numbers.",
        )
    if len(mean.shape) != 1 or covariance.shape != mean.shape * 2 or {mean.dtype.kind, covariance.dtype.kind} != {"f"}:
        raise DataError(
            f'"{mu}" {mean.dtype}{list(mean.shape)} and "{sigma}" {covariance.dtype}{list(covariance.shape)} in {path} '
            "are no mean and covariance.",
            remedy="They have to be floats of shape (d,) and (d, d).",
        )
    if not 0 < mean.shape[0] <= _MOST_DIMENSIONS:
        raise DataError(
            f"The statistics in {path} are of {mean.shape[0]:,} dimensions; 1 … {_MOST_DIMENSIONS:,} can be compared.",
            remedy="Choose another file.",
        )
    return mean.shape[0]


def _read_gaussian(path: Path, mu: str, sigma: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, covariance = (read_array(path, name).astype(np.float64) for name in (mu, sigma))
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise DataError(f'"{mu}" or "{sigma}" in {path} is not finite.', remedy="Compute the statistics again.")
    scale = float(np.abs(covariance).max())
    if float(np.abs(covariance - covariance.T).max()) > _ASYMMETRY * scale or (covariance.diagonal() < 0).any():
        raise DataError(
            f'"{sigma}" in {path} is no covariance: it is not symmetric, or has a negative variance.',
            remedy="Compute the statistics again.",
        )
    return mean, (covariance + covariance.T) / 2


def _check_images(path: Path, heads: dict[str, ArrayHead]) -> tuple[int, int, int]:
    """Count, height, width. Raises: DataError, before a pixel is read."""
    head = heads["arr_0"]
    if head.dtype.hasobject:
        raise DataError(
            f'"arr_0" in {path} holds pickled Python objects, which could run code and are never opened.',
            remedy=_SAVE_AGAIN,
        )
    if head.shape[:1] == (0,):
        raise no_images(path, head.shape)
    if head.dtype != np.uint8:
        raise DataError(
            f'The images "arr_0" in {path} are {head.dtype}, and nobody can tell what range they have.',
            remedy=_SAVE_AGAIN,
        )
    if len(head.shape) != 4 or head.shape[3] != 3 or 0 in head.shape or head.is_fortran:
        order = ", in Fortran order" if head.is_fortran else ""
        raise DataError(f'The images "arr_0" in {path} have the shape {head.shape}{order}.', remedy=_SAVE_AGAIN)
    return head.shape[0], head.shape[1], head.shape[2]


def _read_number(path: Path, heads: dict[str, ArrayHead]) -> int:
    """Of how many images the statistics are; 0 if the file does not say."""
    head = heads.get("n")
    if head is None or head.dtype.kind not in "iu" or head.shape != ():
        return 0
    n = int(read_array(path, "n"))
    if n < 0:
        raise DataError(f"The statistics in {path} are of {n:,} images, it says.", remedy="Compute them again.")
    return n


def _read_meta(path: Path, heads: dict[str, ArrayHead]) -> dict[str, Any]:
    """Ours; what others call meta is nothing to us."""
    head = heads.get("meta")
    if head is None or head.dtype != np.uint8 or len(head.shape) != 1:
        return {}
    if head.size_bytes > _MOST_META_BYTES:
        raise DataError(
            f'"meta" in {path} has {head.size_bytes:,} bytes; at most {_MOST_META_BYTES:,} are read.',
            remedy="Choose another file.",
        )
    try:
        return msgspec.json.decode(read_array(path, "meta").tobytes(), type=_Meta)
    except msgspec.DecodeError as error:
        raise DataError(f'"meta" in {path} is damaged: {error}.', remedy="Copy or download it again.") from error
