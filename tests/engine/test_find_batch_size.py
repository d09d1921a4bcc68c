"""The largest batch that fits: exactly found, by steps that leave nothing behind, and never one that would end us."""

import gc
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dit_studio.config import Recipe, parse_recipe
from dit_studio.engine import device as devices
from dit_studio.engine import find_batch_size as finder
from dit_studio.engine.find_batch_size import Budget, find_batch_size, most_of, search
from dit_studio.engine.model import DiT
from dit_studio.engine.trainer import Trainer
from dit_studio.events import Event, Progress
from dit_studio.findings import batch_found
from dit_studio.machine_events import BatchFound, BatchTried
from tests.engine.digits import write_digits
from tests.engine.tiny_vaes import write_tiny_vae

CPU = torch.device("cpu")
TINY: dict[str, Any] = {
    "data": {"image_size": 8, "color": "grey"},
    "model": {"hidden_size": 16, "depth": 1, "num_heads": 2, "patch_size": 4},
}


@pytest.fixture(autouse=True)
def _little_to_collect() -> Iterator[None]:
    """Memory is released often here; what the other tests hold is not looked through each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def hold_at_most(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A device on which a forward pass of more images raises what a GPU raises."""

    def limit(images: int) -> list[int]:
        seen: list[int] = []
        forward = DiT.forward

        def limited(self: DiT, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
            if type(x) is Tensor:  # and not one of a walk, which takes no memory
                seen.append(len(x))
            if type(x) is Tensor and len(x) > images:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            return forward(self, x, t, y)

        monkeypatch.setattr(DiT, "forward", limited)
        return seen

    return limit


def _found(events: Sequence[Event]) -> BatchFound:
    assert isinstance(events[-1], BatchFound)
    return events[-1]


@pytest.mark.parametrize("images", [1, 5, 8, 13])
def test_the_largest_is_found_exactly(hold_at_most: Any, images: int) -> None:
    seen = hold_at_most(images)
    events = list(find_batch_size(TINY, 10, 40))
    found = _found(events)
    assert found.batch_size == images
    assert f"A batch of {images + 1} does not fit into the memory of" in found.limit
    tried = [event for event in events if isinstance(event, BatchTried)]
    assert {one.batch_size for one in tried} == set(seen), "every one was really tried"
    assert {one.batch_size for one in tried if one.fits} == {size for size in seen if size <= images}
    assert all((one.peak_bytes or 0) > 0 and (one.images_per_second or 0) > 0 for one in tried if one.fits)


def test_a_batch_in_parts_grows_by_one_image_a_part(hold_at_most: Any) -> None:
    seen = hold_at_most(3)
    found = _found(list(find_batch_size({**TINY, "train": {"accumulate": 4, "batch_size": 4}}, 0, 60)))
    assert found.batch_size == 12
    assert max(seen) == 4, "no part was larger than the first that does not fit"


def test_not_even_one_image_says_what_to_do(hold_at_most: Any) -> None:
    hold_at_most(0)
    found = _found(list(find_batch_size(TINY, 10, 40)))
    assert found.batch_size is None
    assert found.fastest is None
    assert "A batch of 1 does not fit" in found.limit
    assert "gradient checkpointing" in found.limit


def test_no_more_than_there_are_images_is_tried() -> None:
    found = _found(list(find_batch_size(TINY, 10, 11)))
    assert found.batch_size == 10, "one of eleven is held out"
    assert found.limit == "No larger batch was tried: there are 10 images to train on."


def test_the_most_is_that_of_the_setting_and_of_the_images_to_train_on() -> None:
    recipe = parse_recipe({"data": {"validation_fraction": 0.05}})
    assert most_of(recipe, None) == 65_536
    assert most_of(recipe, 1797) == 1797 - 90
    assert most_of(recipe, 10**6) == 65_536
    assert most_of(parse_recipe({"data": {"validation_fraction": 0.0}}), 7) == 7


def test_images_are_counted_where_the_recipe_names_them_and_nothing_is_written(tmp_path: Path) -> None:
    path = write_digits(tmp_path / "digits", first=0, count=9)
    before = _files(tmp_path)
    tables = {**TINY, "data": {**TINY["data"], "path": path, "validation_fraction": 0.0}}
    assert _found(list(find_batch_size(tables))).batch_size == 9
    assert _files(tmp_path) == before


def _files(place: Path) -> list[Path]:
    """Without the thumbnails that a look at images keeps."""
    return sorted(path for path in place.rglob("*") if "cache" not in path.parts)


def test_latents_are_tried_in_their_own_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    forward = DiT.forward

    def noting(self: DiT, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        if type(x) is Tensor:
            shapes.append(tuple(x.shape))
        return forward(self, x, t, y)

    monkeypatch.setattr(DiT, "forward", noting)
    vae = write_tiny_vae(tmp_path / "vae")
    tables = {"data": {"image_size": 32}, "model": {**TINY["model"], "patch_size": 2}, "latents": {"vae": str(vae)}}
    assert _found(list(find_batch_size(tables, 3, 5))).batch_size == 4
    assert {shape[1:] for shape in shapes} == {(4, 8, 8)}


# ------------------------------------------------------------------------------------------------- nothing is left


def _state() -> tuple[object, ...]:
    formats = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    models = sum(type(one) is DiT for one in gc.get_objects())
    return torch.get_rng_state().tolist(), torch.get_num_threads(), formats, torch.get_default_dtype(), models


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_everything_is_as_it_was(hold_at_most: Any, *, is_cancelled: bool) -> None:
    hold_at_most(3)
    gc.collect()
    torch.manual_seed(5)
    before = _state()
    search = find_batch_size(TINY, 10, 40)
    for event in search:
        if is_cancelled and isinstance(event, Progress) and event.done == 2:
            search.close()
    assert _state() == before


def test_what_is_found_before_a_cancel_counts() -> None:
    tried: list[BatchTried] = []
    search = find_batch_size(TINY, 10, 400)
    for event in search:
        if isinstance(event, BatchTried):
            tried.append(event)
        if len(tried) == 3:
            search.close()
    assert batch_found(tried, limit="").batch_size == 4


# ------------------------------------------------------------------------------------------------- the search


def _device(limit: int, tried: list[int]) -> Any:
    def try_batch(batch: int) -> Generator[Progress, None, BatchTried]:
        tried.append(batch)
        yield Progress(stage="", done=0)
        return BatchTried(batch_size=batch, fits=batch <= limit, reason="" if batch <= limit else "full")

    return try_batch


def _largest(limit: int, *, unit: int, most: int) -> int:
    tried: list[int] = []
    running = search(_device(limit, tried), unit=unit, most=most)
    while True:
        try:
            next(running)
        except StopIteration as end:
            assert len(tried) == len(set(tried)), "none is tried twice"
            return max((one.batch_size for one in end.value[0] if one.fits), default=0)


@pytest.mark.parametrize("unit", [1, 3])
def test_the_search_finds_every_limit(unit: int) -> None:
    for limit in range(70):
        expected = min(limit, 48) // unit * unit
        assert _largest(limit, unit=unit, most=48) == expected, limit


def test_a_slow_step_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "SLOW_SECONDS", -1.0)
    found = _found(list(find_batch_size(TINY, 10, 400)))
    assert found.batch_size == 1
    assert "A step with a batch of 1 takes 0 s; larger ones were not tried." in found.limit


# ------------------------------------------------------------------------------------------------- memory of a CPU


def test_on_a_cpu_nothing_is_tried_that_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image takes 100 MB here, and 2 GB are free: nine tenths hold 18."""
    used, sizes, base = [10**9], [], 10**9
    monkeypatch.setattr(devices, "memory_used", lambda _: used[0])
    monkeypatch.setattr(devices, "memory_free", lambda _: 2 * 10**9 - (used[0] - base))
    train_step = Trainer.train_step

    def step(self: Trainer) -> Any:
        sizes.append(self.recipe.train.batch_size)
        return train_step(self)

    def most_held(_: torch.device, action: Any) -> int:
        action()
        return base + 10**8 * sizes[-1]

    monkeypatch.setattr(Trainer, "train_step", step)
    monkeypatch.setattr(devices, "most_held", most_held)
    events = list(find_batch_size(TINY, 10, 400))
    assert _found(events).batch_size == 18
    assert max(sizes) == 18
    assert "would take about 1.9 GB, and 1.8 GB may be taken" in _found(events).limit


def test_a_budget_follows_the_steepest_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "memory_used", lambda _: 100)
    monkeypatch.setattr(devices, "memory_free", lambda _: 1000)
    budget = Budget(CPU)
    assert budget.why_not(1, lambda: 901), "the estimate counts before anything is measured"
    assert not budget.why_not(1, lambda: 900)
    budget.note(1, 100 + 300)
    assert not budget.why_not(3, lambda: 0), "three times the first"
    assert budget.why_not(4, lambda: 0)
    budget.note(2, 100 + 400)
    budget.note(4, 100 + 500)
    assert not budget.why_not(10, lambda: 0), "500 and 6 times 66"
    assert budget.why_not(11, lambda: 0)


def test_processes_on_one_processor_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "memory_used", lambda _: 0)
    monkeypatch.setattr(devices, "memory_free", lambda _: 1000)
    assert not Budget(CPU, processes=2).why_not(1, lambda: 450)
    assert Budget(CPU, processes=2).why_not(1, lambda: 451)


def test_the_most_that_was_held_is_seen_though_it_is_gone() -> None:
    before = devices.memory_used(CPU)

    def action() -> None:
        for _ in range(3):
            torch.ones(50_000_000)  # 200 MB

    held = devices.most_held(CPU, action)
    assert held - before > 150_000_000


def test_a_container_has_what_its_limit_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    for name, text in (("max", "1000"), ("current", "700"), ("stat", "anon 500\ninactive_file 150\n")):
        (group / f"memory.{name}").write_text(text)
    monkeypatch.setattr(devices, "Path", lambda path: tmp_path / str(path).lstrip("/"))
    assert devices.memory_free(CPU) == 1000 - (700 - 150)


# ------------------------------------------------------------------------------------------------- what it says


def _tried(*speeds: tuple[int, float | None]) -> Iterator[BatchTried]:
    for batch, speed in speeds:
        yield BatchTried(batch_size=batch, fits=speed is not None, images_per_second=speed)


def test_the_fastest_is_the_smallest_of_those_that_are_as_fast() -> None:
    found = batch_found(list(_tried((1, 10.0), (8, 99.0), (16, 100.0), (32, 80.0), (64, None))), limit="full")
    assert (found.batch_size, found.fastest, found.images_per_second, found.limit) == (32, 8, 99.0, "full")


def test_several_devices_are_given_a_share_each() -> None:
    found = _found(list(find_batch_size({**TINY, "train": {"device": "cpu,cpu", "batch_size": 2}}, 10, 12)))
    assert found.batch_size == 10, "the largest even number of the eleven to train on"
    assert most_of(Recipe(), 12) == 11
