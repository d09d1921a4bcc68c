"""Every format and mode of one image file, compared with pixels that were worked out another way."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from dit_studio.engine.image_files import MAX_PIXELS, UnusableImageError, check, decode, fit

_PHOTOS = Path(sklearn.datasets.__file__).parent / "images"
_RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4  # every pixel differs


def _file(image: Image.Image, image_format: str, **options: object) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    buffer.seek(0)
    return buffer


def _decoded(image: Image.Image, image_format: str = "PNG", *, color: str = "rgb", **options: object) -> np.ndarray:
    return decode(_file(image, image_format, **options), image_size=8, color=color).astype(int)


def _colours() -> np.ndarray:
    """An 8 × 8 picture with four flat quarters, whose corners are all different."""
    quarters = np.array([[[200, 30, 60], [20, 180, 90]], [[40, 70, 220], [240, 230, 20]]], np.uint8)
    return quarters.repeat(4, 0).repeat(4, 1)


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_give_the_very_pixels(image_format: str) -> None:
    options = {"lossless": True} if image_format == "WEBP" else {}
    decoded = _decoded(Image.fromarray(_colours()), image_format, **options)
    np.testing.assert_array_equal(decoded, _colours().transpose(2, 0, 1))


def test_jpeg_and_gif_come_close() -> None:
    for image_format, options in (("JPEG", {"quality": 98, "subsampling": 0}), ("GIF", {})):
        decoded = _decoded(Image.fromarray(_colours()), image_format, **options)
        assert np.abs(decoded - _colours().transpose(2, 0, 1)).max() <= 8


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 120, 250)]
    for image_format, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        decoded = _decoded(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
        assert (decoded == 10).all()


def test_grey_and_bilevel() -> None:
    np.testing.assert_array_equal(_decoded(Image.fromarray(_RAMP)), np.stack([_RAMP] * 3))
    np.testing.assert_array_equal(_decoded(Image.fromarray(_RAMP), color="grey"), _RAMP[None])
    bilevel = Image.fromarray(_RAMP > 100)
    np.testing.assert_array_equal(_decoded(bilevel), np.stack([(_RAMP > 100) * 255] * 3))


def test_colour_becomes_grey_by_the_weights_of_rec_601() -> None:
    expected = _colours() @ np.array([0.299, 0.587, 0.114])
    for image_format, limit in (("PNG", 1), ("JPEG", 3)):
        options = {"quality": 98, "subsampling": 0} if image_format == "JPEG" else {}
        decoded = _decoded(Image.fromarray(_colours()), image_format, color="grey", **options)
        assert np.abs(decoded[0] - expected).max() <= limit


def test_palette() -> None:
    picture = Image.fromarray(_RAMP // 64).convert("P")
    picture = Image.frombytes("P", (8, 8), (_RAMP // 64).tobytes())
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 200, 0], [10, 20, 255]], np.uint8)
    picture.putpalette(palette.tobytes())
    np.testing.assert_array_equal(_decoded(picture), palette[_RAMP // 64].transpose(2, 0, 1))
    transparent = _decoded(picture, transparency=1)
    expected = palette.copy()
    expected[1] = 255  # on white
    np.testing.assert_array_equal(transparent, expected[_RAMP // 64].transpose(2, 0, 1))


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_lies_on_white(image_format: str) -> None:
    alpha = _RAMP
    rgba = np.dstack([_colours(), alpha])
    options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
    weight = alpha[..., None] / 255
    expected = _colours() * weight + 255 * (1 - weight)
    decoded = _decoded(Image.fromarray(rgba), image_format, **options)
    assert np.abs(decoded - expected.transpose(2, 0, 1)).max() <= 1


def test_grey_with_alpha_and_grey_with_a_transparent_value() -> None:
    both = Image.merge("LA", [Image.fromarray(_RAMP), Image.new("L", (8, 8), 0)])
    assert (_decoded(both) == 255).all()
    keyed = _decoded(Image.fromarray(_RAMP), transparency=40)
    np.testing.assert_array_equal(keyed[0], np.where(_RAMP == 40, 255, _RAMP))


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040  # to 65520
    expected = np.rint(values / 257)
    for image_format in ("PNG", "TIFF"):
        np.testing.assert_array_equal(_decoded(Image.fromarray(values), image_format)[0], expected)
    big_endian = Image.frombytes("I;16B", (8, 8), values.astype(">u2").tobytes())
    np.testing.assert_array_equal(fit(big_endian, image_size=8, color="grey")[0], expected)


def test_integers_and_floats_are_scaled_by_the_least_range_that_holds_them() -> None:
    values = np.arange(64).reshape(8, 8)
    as_integers = Image.fromarray((values * 1040).astype(np.int32))
    np.testing.assert_array_equal(_decoded(as_integers, "TIFF")[0], np.rint(values * 1040 / 257))
    for top in (1.0, 255.0, 65535.0):
        as_floats = Image.fromarray((values / 63 * top).astype(np.float32))
        assert np.abs(_decoded(as_floats, "TIFF")[0] - values / 63 * 255).max() <= 0.51
    assert (_decoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF") == 0).all()


def test_cmyk() -> None:
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[:4, :4, 0] = 255  # cyan
    ink[4:, 4:, 3] = 255  # black
    expected = np.full((8, 8, 3), 255)
    expected[:4, :4, 0] = 0
    expected[4:, 4:] = 0
    picture = Image.frombytes("CMYK", (8, 8), ink.tobytes())
    for image_format, limit in (("TIFF", 0), ("JPEG", 4)):
        options = {"quality": 98} if image_format == "JPEG" else {}
        decoded = _decoded(picture, image_format, **options)
        assert np.abs(decoded - expected.transpose(2, 0, 1)).max() <= limit


def test_every_exif_rotation_is_undone() -> None:
    """An EXIF orientation says how the stored rows and columns lie in the scene (Exif 2.3, tag 0x0112)."""
    upright = _colours()
    stored = {  # what a camera stores so that it shows `upright`
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    for orientation, pixels in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for image_format, options in (("PNG", {}), ("JPEG", {"quality": 98, "subsampling": 0}), ("TIFF", {})):
            image = Image.fromarray(np.ascontiguousarray(pixels))
            decoded = _decoded(image, image_format, exif=exif, **options)
            assert np.abs(decoded - upright.transpose(2, 0, 1)).max() <= 8, (orientation, image_format)


def test_the_header_gives_the_size_as_it_is_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert check(_file(Image.new("RGB", (20, 10)), "JPEG", exif=exif))[:2] == (10, 20)
    assert check(_file(Image.new("RGB", (20, 10)), "PNG"))[:2] == (20, 10)


def _center_crop_arr(image: Image.Image, image_size: int) -> np.ndarray:
    """The reference: guided_diffusion/image_datasets.py of Dhariwal & Nichol, in its own order of steps."""
    while min(*image.size) >= 2 * image_size:
        image = image.resize(tuple(x // 2 for x in image.size), resample=Image.Resampling.BOX)
    scale = image_size / min(*image.size)
    image = image.resize(tuple(round(x * scale) for x in image.size), resample=Image.Resampling.BICUBIC)
    pixels = np.array(image.convert("RGB"))
    top, left = (pixels.shape[0] - image_size) // 2, (pixels.shape[1] - image_size) // 2
    return pixels[top : top + image_size, left : left + image_size].transpose(2, 0, 1)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
@pytest.mark.parametrize("size", [32, 64, 100, 256, 700])
def test_photographs_are_scaled_as_in_adm(name: str, size: int) -> None:
    with Image.open(_PHOTOS / name) as photo:
        expected = _center_crop_arr(photo, size).astype(float)
    decoded = decode(io.BytesIO((_PHOTOS / name).read_bytes()), image_size=size, color="rgb")
    assert decoded.shape == (3, size, size)
    difference = np.abs(decoded - expected)
    if size >= 256:
        assert difference.max() <= 1
    else:  # the file is decoded at a fraction of its size at once, where the reference halves and rounds step by step
        assert difference.mean() < 4


def test_a_halved_square_is_the_mean_of_its_blocks() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    means = pixels.reshape(8, 4, 8, 4, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(_decoded(Image.fromarray(pixels)) - means).max() <= 1


def test_the_middle_is_kept() -> None:
    wide = np.zeros((8, 20, 3), np.uint8)
    wide[:, 6:14] = _colours()
    np.testing.assert_array_equal(_decoded(Image.fromarray(wide)), _colours().transpose(2, 0, 1))


def test_a_very_long_strip_needs_no_more_memory_than_itself() -> None:
    assert decode(_file(Image.new("RGB", (60000, 1), "red"), "PNG"), image_size=256, color="rgb").shape == (3, 256, 256)


# ------------------------------------------------------------------------------------------------- what is left out


def _reason(content: bytes, *, checked: bool) -> str:
    read = check if checked else partial(decode, image_size=8, color="rgb")
    with pytest.raises(UnusableImageError) as caught:
        read(io.BytesIO(content))
    return str(caught.value)


@pytest.mark.parametrize("checked", [True, False])
def test_each_unusable_file_gets_its_reason(checked: bool) -> None:
    assert "0 bytes" in _reason(b"", checked=checked)
    assert "not an image" in _reason(b"some text, no picture", checked=checked)
    assert "not an image" in _reason(b"\xff\xd8", checked=checked)


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_truncated_file_is_named_so(image_format: str, checked: bool) -> None:
    with Image.open(_PHOTOS / "flower.jpg") as photo:
        content = _file(photo.resize((200, 130)), image_format).getvalue()
    reason = _reason(content[: len(content) * 2 // 3], checked=checked)
    assert "truncated" in reason or image_format in ("WEBP", "TIFF"), reason  # these two say damaged, or no image


@pytest.mark.parametrize("checked", [True, False])
def test_a_bomb_is_refused_by_its_header(checked: bool) -> None:
    side = int(MAX_PIXELS**0.5) + 100
    bomb = bytearray(_file(Image.new("1", (8, 8)), "BMP").getvalue())
    bomb[18:26] = side.to_bytes(4, "little") * 2  # the header alone claims the size
    assert "too large" in _reason(bytes(bomb), checked=checked)
    assert "179 million" in _reason(bytes(bomb), checked=checked)


def test_a_png_with_a_wrong_checksum_is_found_without_decoding() -> None:
    content = bytearray(_file(Image.fromarray(_colours()), "PNG").getvalue())
    content[content.index(b"IDAT") + 6] ^= 0xFF
    assert "damaged" in _reason(bytes(content), checked=True)


def test_bytes_after_the_end_do_no_harm() -> None:
    for image_format in ("JPEG", "PNG"):
        content = _file(Image.fromarray(_colours()), image_format).getvalue() + b"trailing" * 100
        assert check(io.BytesIO(content))[:2] == (8, 8)
        assert decode(io.BytesIO(content), image_size=8, color="rgb").shape == (3, 8, 8)


def test_signatures_tell_files_apart() -> None:
    files = [_file(Image.fromarray(_colours() + value), "BMP") for value in (0, 0, 1)]
    first, same, other = (check(file).signature for file in files)
    assert first == same != other
