"""Preprocessing against direct formulas, Pillow and the processors that published models come with."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from dit_studio.engine.demo import landscape
from dit_studio.engine.evaluation import preprocessing
from dit_studio.engine.evaluation.preprocessing import INCEPTION_WAYS, Preprocessing, resize_clean, resize_tf1
from dit_studio.errors import ShapeError

SIZES = [(8, 8), (32, 32), (64, 48), (299, 299), (256, 256), (512, 333)]
WAYS = [way for way in vars(preprocessing).values() if isinstance(way, Preprocessing)]


def _pixels(height: int, width: int, *, channels: int = 3, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def _tf1_by_hand(image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """(H, W) -> (size, size), one pixel after the other, as the kernel of TensorFlow 1 is written."""
    height, width = image.shape
    scale_y, scale_x = np.float32(height) / np.float32(size), np.float32(width) / np.float32(size)
    result = np.empty((size, size), np.float32)
    for row in range(size):
        y = np.float32(row) * scale_y
        top = int(np.floor(y))
        bottom, dy = min(top + 1, height - 1), y - np.float32(top)
        for column in range(size):
            x = np.float32(column) * scale_x
            left = int(np.floor(x))
            right, dx = min(left + 1, width - 1), x - np.float32(left)
            a, b = np.float32(image[top, left]), np.float32(image[top, right])
            c, d = np.float32(image[bottom, left]), np.float32(image[bottom, right])
            upper, lower = a + (b - a) * dx, c + (d - c) * dx
            result[row, column] = upper + (lower - upper) * dy
    return result


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tf1_equals_its_formula_bit_for_bit(size: tuple[int, int]) -> None:
    images = _pixels(*size, channels=1, count=1)
    resized = resize_tf1(images.float(), 299)[0, 0].numpy()
    np.testing.assert_array_equal(resized, _tf1_by_hand(images[0, 0].numpy(), 299))


def test_tf1_is_near_nvidias_sampling_grid() -> None:
    images = _pixels(64, 48).float()
    theta = torch.tensor([[[1, 0, 1 / 48 - 1 / 299], [0, 1, 1 / 64 - 1 / 299]]]).expand(2, -1, -1)
    grid = F.affine_grid(theta, [2, 3, 299, 299], align_corners=False)
    sampled = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    torch.testing.assert_close(resize_tf1(images, 299), sampled, rtol=0, atol=5e-3)


@pytest.mark.parametrize("size", [32, 64, 128, 256, 299, 512])
def test_clean_equals_pillows_floats(size: int) -> None:
    images = torch.from_numpy(landscape("desert", seed=1, size=size).transpose(2, 0, 1)[None].copy())
    _check_against_pillows_floats(images, tolerance=2e-3)
    _check_against_pillows_floats(_pixels(size, size), tolerance=5e-3)  # noise: no picture is as rough


def _check_against_pillows_floats(images: torch.Tensor, *, tolerance: float) -> None:
    size = images.shape[2:]
    expected = [
        np.asarray(Image.fromarray(channel).resize((299, 299), Image.Resampling.BICUBIC))
        for channel in images.numpy().astype(np.float32).reshape(-1, *size)
    ]
    expected = np.clip(np.stack(expected), 0, 255).reshape(-1, 3, 299, 299)
    np.testing.assert_allclose(resize_clean(images.float(), 299).numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (256, 256), (300, 448)], ids=str)
def test_bytes_are_resized_as_pillow_does(size: tuple[int, int]) -> None:
    """But for halves: Pillow's weights have 22 bits, whose errors decide whether a half is rounded up."""
    images = _pixels(*size)
    for mode, equal in (("bicubic", 0.999), ("bilinear", 0.95)):
        filter_ = Image.Resampling[mode.upper()]
        expected = np.stack(
            [np.asarray(Image.fromarray(image).resize((224, 200), filter_)) for image in _channels_last(images)]
        )
        resized = preprocessing.resize_like_pillow(images.float(), 200, 224, mode=mode).permute(0, 2, 3, 1).numpy()
        assert np.abs(resized - expected).max() <= 2
        assert (resized == expected).mean() > equal


@pytest.mark.parametrize("size", [(64, 64), (128, 192), (100, 333)], ids=str)
def test_areas_are_means(size: tuple[int, int]) -> None:
    """Of the image with each pixel drawn out to 64 × 64, whose areas are whole."""
    images = _pixels(*size, count=1)
    fine = images[0, 0].numpy().astype(np.float64).repeat(64, 0)
    rows = fine.reshape(64, -1, size[1]).mean(1)
    expected = rows.repeat(64, 1).reshape(64, 64, -1).mean(2)
    resized = preprocessing.resize_area(images.float(), 64)[0, 0]
    np.testing.assert_allclose(resized.numpy(), expected, rtol=0, atol=1e-3)


def _channels_last(images: torch.Tensor) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = images.permute(0, 2, 3, 1).contiguous().numpy()
    return pixels


def test_what_each_inception_way_does_to_its_range() -> None:
    flat = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 16, 16)
    found = {name: way.prepare(flat).amax((1, 2, 3)).tolist() for name, way in INCEPTION_WAYS.items()}
    tf = pytest.approx([-1, 0, 127 / 128], abs=1e-6)
    assert found == {"adm-tf1": tf, "clean": tf, "legacy-pytorch": pytest.approx([-1, 2 * 128 / 255 - 1, 1], abs=1e-6)}


@pytest.mark.parametrize("name", ["adm-tf1", "clean", "legacy-pytorch"])
def test_an_image_of_the_right_size_is_left_alone(name: str) -> None:
    images = _pixels(299, 299, count=1)
    centre, scale = (127.5, 127.5) if name == "legacy-pytorch" else (128, 128)
    prepared = INCEPTION_WAYS[name].prepare(images)
    torch.testing.assert_close(prepared, (images.float() - centre) / scale, rtol=0, atol=2e-5)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("size", [(8, 8), (40, 65), (64, 64), (400, 380)], ids=str)
def test_every_way_takes_every_size_and_treats_images_alone(way: Preprocessing, size: tuple[int, int]) -> None:
    images = _pixels(*size)
    prepared = way.prepare(images)
    side = prepared.shape[-1]
    assert prepared.shape == (2, 3, side, side)
    assert prepared.dtype == torch.float32
    torch.testing.assert_close(way.prepare(images[1:]), prepared[1:])


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_grey_is_three_equal_channels(way: Preprocessing) -> None:
    grey = _pixels(20, 20, channels=1)
    torch.testing.assert_close(way.prepare(grey), way.prepare(grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 4, 8, 8, dtype=torch.uint8), torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)],
    ids=["RGBA", "floats", "one image"],
)
def test_what_is_no_batch_of_bytes_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match="cannot be measured"):
        preprocessing.ADM_TF1.prepare(images)


PROCESSORS = {
    "clip-224": ("CLIPImageProcessorPil", {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}),
    "clip-336": ("CLIPImageProcessorPil", {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}),
    "siglip-224": ("SiglipImageProcessorPil", {"size": {"height": 224, "width": 224}, "resample": 3}),
    "align-289": (
        "EfficientNetImageProcessorPil",
        {
            "size": {"height": 346, "width": 346},
            "crop_size": {"height": 289, "width": 289},
            "resample": 2,
            "do_center_crop": True,
            "rescale_factor": 1 / 127.5,
            "rescale_offset": True,
            "do_normalize": False,
            "include_top": False,
        },
    ),
}


@pytest.mark.parametrize("way", [way for way in WAYS if way.name in PROCESSORS], ids=lambda way: way.name)
@pytest.mark.parametrize("size", [(32, 32), (256, 256), (300, 448)], ids=str)
def test_the_models_own_processors_agree(way: Preprocessing, size: tuple[int, int]) -> None:
    transformers = pytest.importorskip("transformers")
    class_name, options = PROCESSORS[way.name]
    processor = getattr(transformers, class_name)(**options)
    images = _pixels(*size)
    expected = processor(images=list(_channels_last(images)), return_tensors="np")["pixel_values"]
    difference = np.abs(way.prepare(images).numpy() - expected)
    assert difference.max() < 1.01 / 255 / 0.26  # one grey level, in units of the smallest deviation
    assert (difference < 1e-5).mean() > 0.99
