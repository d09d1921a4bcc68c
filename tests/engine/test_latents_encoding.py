"""A data set becomes latents once: right, whole, gone on with after a kill, and never half-written."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from dit_studio.config import DataConfig, Recipe
from dit_studio.engine import device as devices
from dit_studio.engine import latents_encoding
from dit_studio.engine.latents_cache import MomentsWriter, latents_folder, open_moments, writing_moments
from dit_studio.engine.latents_encoding import Encoded, encode, latents_key, load_latents
from dit_studio.engine.latents_space import planned_space
from dit_studio.errors import ConfigError, DeviceMemoryError, DiskFullError, NotFiniteError, RunError
from dit_studio.events import Notice, Progress
from dit_studio.model_settings import LatentsConfig, ModelConfig
from tests.engine.digits import write_digits
from tests.engine.tiny_vaes import tiny_vae, write_tiny_vae

_CPU = torch.device("cpu")
_COUNT = 21


def _recipe(place: Path, *, flip: bool = True, batch_size: int = 4, **latents: Any) -> Recipe:
    """`place` gets digits and a VAE that makes 4 × 4 latents of their 8 × 8 pixels."""
    if not (place / "vae").exists():
        write_tiny_vae(place / "vae", factor=2)
        write_digits(place / "digits", first=0, count=_COUNT)
    return Recipe(
        data=DataConfig(path=str(place / "digits"), image_size=8, flip=flip),
        model=ModelConfig(hidden_size=32, depth=1, num_heads=2, patch_size=2),
        latents=LatentsConfig(vae=str(place / "vae"), batch_size=batch_size, **latents),
    )


def _load(recipe: Recipe, seen: list[Progress | Notice] | None = None) -> Encoded:
    loading = load_latents(recipe, device=_CPU)
    while True:
        try:
            event = next(loading)
        except StopIteration as end:
            encoded: Encoded = end.value
            return encoded
        if seen is not None:
            seen.append(event)


def _folder() -> Path:
    (folder,) = latents_folder("x").parent.iterdir()
    return folder


def test_moments_are_those_of_diffusers_for_both_flips(tmp_path: Path) -> None:
    encoded = _load(_recipe(tmp_path))

    vae = AutoencoderKL.from_pretrained(tmp_path / "vae")
    x = torch.from_numpy(np.array(encoded.images.images)).float() / 127.5 - 1
    moments = torch.from_numpy(np.array(encoded.latents.moments))
    assert moments.shape == (_COUNT, 2, 2, 4, 4, 4)
    with torch.no_grad():
        for flip, images in enumerate((x, torch.flip(x, [3]))):
            posterior = vae.encode(images).latent_dist
            torch.testing.assert_close(moments[:, flip, 0], posterior.mean, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(moments[:, flip, 1], posterior.std, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(moments[:, 0, 0], moments[:, 1, 0].flip(-1), atol=1e-3)  # not merely the mirrored latents


def test_without_flips_there_is_one(tmp_path: Path) -> None:
    assert _load(_recipe(tmp_path, flip=False)).latents.moments.shape == (_COUNT, 1, 2, 4, 4, 4)


def test_a_draw_is_the_posteriors_scaled_and_shifted(tmp_path: Path) -> None:
    latents = _load(_recipe(tmp_path, scale=2.0, shift=0.5)).latents
    indices, mirrored = np.array([3, 3, 7]), torch.tensor([False, True, False])

    drawn = latents.draw(indices, mirrored, torch.Generator().manual_seed(5))

    noise = torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(5))
    mean, deviation = torch.from_numpy(latents.moments[indices, [0, 1, 0]]).unbind(1)
    torch.testing.assert_close(drawn, (mean + deviation * noise - 0.5) * 2)
    torch.testing.assert_close(latents.means(indices)[2], (mean[2] - 0.5) * 2)


def test_a_second_start_opens_no_vae(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = _recipe(tmp_path)
    first = np.array(_load(recipe).latents.moments)
    monkeypatch.setattr(latents_encoding, "load_vae", _must_not_be_called)

    again = _load(recipe)

    assert np.array_equal(first, again.latents.moments)
    assert again.vae_seconds == 0


def _must_not_be_called(*_: object, **__: object) -> None:
    raise AssertionError


def test_progress_counts_up_with_a_rate(tmp_path: Path) -> None:
    seen: list[Progress | Notice] = []
    _load(_recipe(tmp_path), seen)

    encoding = [event for event in seen if isinstance(event, Progress) and event.stage == "Encoding images"]
    assert [event.done for event in encoding] == sorted(event.done for event in encoding)
    assert (encoding[0].done, encoding[-1].done, encoding[-1].total) == (0, _COUNT, _COUNT)
    assert encoding[-1].rate > 0


# ------------------------------------------------------------------------------------------------- interrupted


@pytest.mark.parametrize("is_decoded", [False, True])
def test_what_was_encoded_before_a_stop_is_not_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_decoded: bool
) -> None:
    recipe = _recipe(tmp_path)
    whole = np.array(_load(recipe).latents.moments)
    _forget_latents()
    if not is_decoded:
        _forget_images()
    with pytest.raises(KeyboardInterrupt):
        _load_with(monkeypatch, recipe, _stopping_after(2))
    assert not (_folder() / "meta.json").exists()
    counted: list[int] = []

    again = _load_with(monkeypatch, recipe, _counting(counted))

    assert np.array_equal(whole, again.latents.moments)
    assert sum(counted) == _COUNT - 2 * 4


def _load_with(monkeypatch: pytest.MonkeyPatch, recipe: Recipe, wrapped: Callable[..., Any]) -> Encoded:
    with monkeypatch.context() as patch:
        patch.setattr(latents_encoding, "encode", wrapped)
        return _load(recipe)


def _stopping_after(batches: int) -> Callable[..., Any]:
    left = [batches]

    def stopping(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return encode(*args, **options)

    return stopping


def _counting(counted: list[int]) -> Callable[..., Any]:
    def counting(network: Any, images: torch.Tensor, **options: Any) -> Any:
        counted.append(len(images))
        return encode(network, images, **options)

    return counting


def _forget_latents() -> None:
    for file in _folder().iterdir():
        file.unlink()


def _forget_images() -> None:
    datasets = latents_folder("x").parent.parent / "datasets"
    datasets.rename(datasets.with_name("gone"))


_KILLED = """
import os, signal, sys
import torch
from dit_studio.config import parse_recipe
from dit_studio.engine import latents_encoding
encode, batches = latents_encoding.encode, int(sys.argv[2])
def killing(*args, **options):
    global batches
    batches -= 1
    if batches < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(*args, **options)
latents_encoding.encode = killing
torch.set_num_threads(1)
import msgspec
for _ in latents_encoding.load_latents(parse_recipe(msgspec.json.decode(sys.argv[1])), device=torch.device("cpu")):
    pass
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal here")
def test_a_killed_process_leaves_what_it_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = _recipe(tmp_path)
    command = [sys.executable, "-c", _KILLED, msgspec.json.encode(recipe).decode(), "3"]
    done = subprocess.run(command, env=os.environ.copy(), capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (_folder() / "index.bin").stat().st_size == 12 * 12
    counted: list[int] = []

    encoded = _load_with(monkeypatch, recipe, _counting(counted))

    assert sum(counted) == _COUNT - 12
    killed = np.array(encoded.latents.moments)
    _forget_latents()
    assert np.array_equal(killed, _load(recipe).latents.moments)


# ------------------------------------------------------------------------------------------------- the store


def test_half_a_record_a_changed_byte_and_other_images_are_not_kept() -> None:
    shape, moments = (1, 2, 1, 2, 2), np.arange(3 * 8, dtype=np.float32).reshape(3, 1, 2, 1, 2, 2)
    with writing_moments("key", shape) as writer:
        writer.append([10, 11, 12], moments)
    folder = latents_folder("key")
    assert open_moments("key", shape, np.array([10, 11, 12], np.uint64)) is None  # it was not finished
    with (folder / "moments.bin").open("ab") as file:
        file.write(b"half")
    with (folder / "index.bin").open("ab") as file:
        file.write(b"h")
    with writing_moments("key", shape) as writer:
        assert len(writer) == 3
        assert (folder / "moments.bin").stat().st_size == 3 * 32
    with (folder / "moments.bin").open("r+b") as file:
        file.seek(40)
        file.write(b"!")
    with writing_moments("key", shape) as writer:
        assert len(writer) == 1
        writer.append([11, 12], moments[1:])
        writer.finish()
    found = open_moments("key", shape, np.array([10, 11, 12], np.uint64))
    assert found is not None
    assert np.array_equal(found, moments)
    assert open_moments("key", shape, np.array([10, 11, 13], np.uint64)) is None
    assert open_moments("key", shape, np.array([10, 11], np.uint64)) is None
    assert open_moments("key", (1, 2, 1, 2, 4), np.array([10, 11, 12], np.uint64)) is None
    (folder / "moments.bin").write_bytes(b"short")
    assert open_moments("key", shape, np.array([10, 11, 12], np.uint64)) is None


def test_an_image_that_changed_is_encoded_again_with_those_behind_it(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path)
    encoded = _load(recipe)
    whole, keys = np.array(encoded.latents.moments), encoded.images.keys
    assert keys is not None
    shape = whole.shape[1:]
    with writing_moments(_folder().name, shape) as writer:
        writer.forget_from(5)
        writer.append([1, *keys[6:].tolist()], whole[5:] + 1)
        writer.finish()

    again = _load(recipe)

    assert np.array_equal(again.latents.moments[:5], whole[:5])
    np.testing.assert_allclose(again.latents.moments, whole, atol=1e-5)


def test_one_process_encodes_at_a_time() -> None:
    with writing_moments("key", (1, 2, 1, 2, 2)), pytest.raises(RunError, match="being encoded by another run"):
        writing_moments("key", (1, 2, 1, 2, 2)).__enter__()


def test_a_disk_without_room_is_a_sentence(tmp_path: Path) -> None:
    writer = MomentsWriter(tmp_path, (2, 2, 4, 128, 128))
    with pytest.raises(DiskFullError, match=r"no room for the latents.*MB are needed") as caught:
        writer.check_room(10**9)
    assert "random flip" in caught.value.remedy
    writer.close()


# ------------------------------------------------------------------------------------------------- short of memory


def test_a_batch_that_does_not_fit_is_halved_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = _recipe(tmp_path, batch_size=8)
    sizes: list[int] = []

    def short(network: Any, images: torch.Tensor, **options: Any) -> torch.Tensor:
        sizes.append(len(images))
        if len(images) > 2:
            raise MemoryError("out of memory")
        return encode(network, images, **options)

    monkeypatch.setattr(latents_encoding, "encode", short)
    seen: list[Progress | Notice] = []
    encoded = _load(recipe, seen)

    assert sizes[:3] == [8, 4, 2]
    assert set(sizes[3:]) <= {1, 2}
    words = [event.message for event in seen if isinstance(event, Notice) and event.level == "warning"]
    assert words[0].startswith("8 images at once do not fit")
    assert words[1].endswith("goes on with 2.")
    monkeypatch.setattr(latents_encoding, "encode", encode)
    halved = np.array(encoded.latents.moments)
    _forget_latents()
    np.testing.assert_allclose(halved, _load(recipe).latents.moments, atol=1e-5)


def test_an_image_that_does_not_fit_alone_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents_encoding, "encode", _out_of_memory)
    with pytest.raises(DeviceMemoryError, match="Not even one image can be encoded") as caught:
        _load(_recipe(tmp_path))
    assert devices.describe(_CPU) in caught.value.message
    assert "train.device" in caught.value.remedy


def _out_of_memory(*_: object, **__: object) -> None:
    raise MemoryError("out of memory")


# ------------------------------------------------------------------------------------------------- what does not fit


def test_nan_is_named_with_its_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiling(network: Any, images: torch.Tensor, **options: Any) -> torch.Tensor:
        moments = encode(network, images, **options)
        moments[1, 0, 0, 0, 0, 0] = torch.nan
        return moments

    with pytest.raises(NotFiniteError, match="makes NaN or infinity of image 1 of"):
        _load_with(monkeypatch, _recipe(tmp_path), spoiling)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"image_size": 9}, "data.image_size", "makes one latent of 2 × 2 pixels; 8 or 10 would do"),
        ({"image_size": 10}, "model.patch_size", "it does not divide an image of 5 latents; 1 would"),
        ({"color": "grey"}, "data.color", "takes 3 channels; set it to rgb"),
    ],
)
def test_images_and_model_have_to_fit_the_vae(tmp_path: Path, changes: dict[str, Any], field: str, words: str) -> None:
    recipe = _recipe(tmp_path)
    recipe = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, **changes))
    for asked in (lambda: _load(recipe), lambda: planned_space(recipe)):
        with pytest.raises(ConfigError) as caught:
            asked()
        (problem,) = caught.value.problems
        assert problem.field == field
        assert words in problem.message


# ------------------------------------------------------------------------------------------------- scale and shift


def test_scale_and_shift_are_those_of_the_recipe_else_of_the_vae(tmp_path: Path) -> None:
    write_digits(tmp_path / "digits", first=0, count=_COUNT)
    tiny_vae(factor=2, scaling_factor=0.7, shift_factor=0.1).save_pretrained(tmp_path / "vae")

    asked: list[dict[str, Any]] = [{}, {"scale": 3.0}, {"scale": 3.0, "shift": -1.0}]
    spaces = [_load(_recipe(tmp_path, **settings)).latents.space for settings in asked]

    assert [(space.scale, space.shift) for space in spaces] == [(0.7, 0.1), (3.0, 0.1), (3.0, -1.0)]
    assert planned_space(_recipe(tmp_path)) == msgspec.structs.replace(spaces[0], digest="")


def test_without_a_scale_latents_are_fitted_to_unit_variance_and_it_is_said(tmp_path: Path) -> None:
    write_digits(tmp_path / "digits", first=0, count=_COUNT)
    tiny_vae(factor=2, scaling_factor=None).save_pretrained(tmp_path / "vae")
    seen: list[Progress | Notice] = []

    latents = _load(_recipe(tmp_path), seen).latents

    everything = np.arange(_COUNT).repeat(20)
    drawn = latents.draw(everything, torch.zeros(len(everything)).bool(), torch.Generator().manual_seed(0))
    assert abs(float(drawn.mean())) < 0.02
    assert abs(float(drawn.std()) - 1) < 0.02
    (notice,) = [event for event in seen if isinstance(event, Notice)]
    assert f"scale {latents.space.scale:g}, shift {latents.space.shift:g}" in notice.message
    assert _load(_recipe(tmp_path)).latents.space == latents.space


def test_a_scale_that_does_not_suit_is_warned_of(tmp_path: Path) -> None:
    seen: list[Progress | Notice] = []
    _load(_recipe(tmp_path, scale=50.0), seen)
    (notice,) = [event for event in seen if isinstance(event, Notice)]
    assert notice.level == "warning"
    assert "Scaled by 50, the latents have a deviation of" in notice.message


def test_a_key_is_of_images_vae_and_flips(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path)
    plain = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, flip=False))
    keys = {latents_key("a", "b", recipe), latents_key("a", "c", recipe), latents_key("b", "b", recipe)}
    assert len({*keys, latents_key("a", "b", plain)}) == 4


def test_closing_it_early_keeps_what_is_encoded_and_the_lock_free(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path)
    loading: Generator[Progress | Notice, None, Encoded] = load_latents(recipe, device=_CPU)
    for event in loading:
        if isinstance(event, Progress) and event.stage == "Encoding images":
            break
    loading.close()

    assert len(_load(recipe).latents.moments) == _COUNT
