"""From pixels to what a network takes, in batches, on the device: each way has the name that a result carries.

The way of resizing moves a Fréchet distance by more than most papers' improvements (Parmar et al. 2022,
arXiv:2104.11222), so figures under two of these names cannot be compared.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dit_studio.errors import ShapeError

INCEPTION_SIZE = 299
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)


class Preprocessing(NamedTuple):
    """One way, by name; `prepare` takes uint8 (B, 1 or 3, H, W) and gives float32 (B, 3, size, size)."""

    name: str
    prepare: Callable[[Tensor], Tensor]


def as_rgb(images: Tensor) -> Tensor:
    """Shapes: uint8 (B, 1 or 3, H, W) -> float32 (B, 3, H, W), values as they were. Raises: ShapeError."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.dtype != torch.uint8 or 0 in images.shape[2:]:
        raise ShapeError(
            f"Images {tuple(images.shape)} of {str(images.dtype).removeprefix('torch.')} cannot be measured.",
            remedy="An extractor takes bytes 0…255 of shape (B, C, H, W) with C = 1 (grey) or 3 (RGB).",
        )
    return images.float().expand(-1, 3, -1, -1)


# ------------------------------------------------------------------------------------------------- resizing


def resize_tf1(images: Tensor, size: int) -> Tensor:
    """Bilinear as TensorFlow 1 has it: no antialiasing, and pixel i of the result lies at i · in / out.

    Shapes: float32 (B, C, H, W) -> (B, C, size, size).
    Source: `ResizeBilinear(align_corners=False)`, the graph inside "inception-2015-12-05".
    """
    left, right, x = _neighbours(images.shape[3], size, images.device)
    top, bottom, y = _neighbours(images.shape[2], size, images.device)
    near = images.index_select(3, left)
    rows = near + (images.index_select(3, right) - near) * x
    near = rows.index_select(2, top)
    return near + (rows.index_select(2, bottom) - near) * y[:, None]


def _neighbours(length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The two pixels around each place, and how far it is from the first. Shapes: (size,) each."""
    place = torch.arange(size, dtype=torch.float32) * (torch.tensor(length, dtype=torch.float32) / size)
    lower = place.long().clamp(max=length - 1)
    upper = (lower + 1).clamp(max=length - 1)
    return lower.to(device), upper.to(device), (place - lower).to(device)


def resize_clean(images: Tensor, size: int) -> Tensor:
    """Bicubic with antialiasing, within 0…255, never rounded: as Pillow does it to images of mode "F".

    Shapes: float32 (B, C, H, W) -> (B, C, size, size). Source: Parmar et al. 2022, arXiv:2104.11222.
    """
    return F.interpolate(images, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)


def resize_area(images: Tensor, size: int) -> Tensor:
    """Means over equal areas, a pixel on a border in parts; by matrix products, which every device has.

    Shapes: float32 (B, C, H, W) -> (B, C, size, size).
    """
    height, width = images.shape[2:]
    if height % size == width % size == 0:
        return F.avg_pool2d(images, (height // size, width // size))  # the same, for half the time
    return _areas(height, size).to(images.device) @ images @ _areas(width, size).T.to(images.device)


def _areas(length: int, size: int) -> Tensor:
    """The share of each of `length` pixels in each of `size` means. Shape: (size, length), rows add up to 1."""
    edges = torch.arange(size + 1, dtype=torch.float64) * length / size
    pixel = torch.arange(length, dtype=torch.float64)
    covered = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return (covered.clamp_min(0) * size / length).float()


def resize_like_pillow(images: Tensor, height: int, width: int, *, mode: str = "bicubic") -> Tensor:
    """As Pillow does it to bytes: first along the rows, then along the columns, rounded after each to 0…255.

    Shapes: float32 (B, C, H, W) -> (B, C, height, width).
    """
    for size in ((images.shape[2], width), (height, width)):
        if images.shape[2:] != size:
            images = F.interpolate(images, size, mode=mode, antialias=True, align_corners=False)
            images = (images + 0.5).floor().clamp(0, 255)
    return images


def centre_crop(images: Tensor, size: int) -> Tensor:
    """Shapes: (B, C, H, W) -> (B, C, size, size), H and W at least size."""
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    return images[:, :, top : top + size, left : left + size]


# ------------------------------------------------------------------------------------------------- the ways


def _adm_tf1(images: Tensor) -> Tensor:
    return (resize_tf1(as_rgb(images), INCEPTION_SIZE) - 128) / 128


def _clean(images: Tensor) -> Tensor:
    return (resize_clean(as_rgb(images), INCEPTION_SIZE) - 128) / 128


def _legacy_pytorch(images: Tensor) -> Tensor:
    size = (INCEPTION_SIZE, INCEPTION_SIZE)
    return 2 * F.interpolate(as_rgb(images) / 255, size, mode="bilinear", align_corners=False) - 1


def _clip(size: int) -> Callable[[Tensor], Tensor]:
    def prepare(images: Tensor) -> Tensor:
        pixels = as_rgb(images)
        height, width = pixels.shape[2:]
        shortest = min(height, width)
        pixels = resize_like_pillow(pixels, size * height // shortest, size * width // shortest)
        return _normalised(centre_crop(pixels, size), _CLIP_MEAN, _CLIP_STD)

    return prepare


def _siglip(images: Tensor) -> Tensor:
    return _normalised(resize_like_pillow(as_rgb(images), 224, 224), _HALF, _HALF)


def _align(images: Tensor) -> Tensor:
    pixels = resize_like_pillow(as_rgb(images), 346, 346, mode="bilinear")
    return centre_crop(pixels, 289) / 127.5 - 1


def _dinov2(images: Tensor) -> Tensor:
    return _normalised(resize_clean(as_rgb(images), 224), _IMAGENET_MEAN, _IMAGENET_STD)


def _random_64(images: Tensor) -> Tensor:
    """Means over areas where that makes images smaller, else TensorFlow's bilinear."""
    pixels = as_rgb(images)
    small = resize_area(pixels, 64) if min(pixels.shape[2:]) >= 64 else resize_tf1(pixels, 64)
    return (small - 128) / 128


def _normalised(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    middle, scale = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (mean, std))
    return (pixels / 255 - middle) / scale


ADM_TF1 = Preprocessing("adm-tf1", _adm_tf1)  # as ADM, DiT and torch-fidelity
CLEAN = Preprocessing("clean", _clean)  # as clean-fid
LEGACY_PYTORCH = Preprocessing("legacy-pytorch", _legacy_pytorch)  # as pytorch-fid
CLIP_224 = Preprocessing("clip-224", _clip(224))
CLIP_336 = Preprocessing("clip-336", _clip(336))
SIGLIP_224 = Preprocessing("siglip-224", _siglip)
ALIGN_289 = Preprocessing("align-289", _align)
DINOV2_224 = Preprocessing("dinov2-squash-224", _dinov2)
RANDOM_64 = Preprocessing("area-64", _random_64)
INCEPTION_WAYS = {way.name: way for way in (ADM_TF1, CLEAN, LEGACY_PYTORCH)}
