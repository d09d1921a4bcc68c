"""Who a process is among several, how a batch is shared out, and what is said when they do not come together."""

import socket
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from dit_studio.config import parse_recipe
from dit_studio.engine import device as devices
from dit_studio.engine import distributed
from dit_studio.engine.batches import Batches
from dit_studio.engine.checkpoint import LatentSpace
from dit_studio.engine.data import ImageSet
from dit_studio.engine.distributed import LIMIT_VARIABLE, World, join
from dit_studio.engine.latents_encoding import Latents
from dit_studio.engine.training_together import check_images, check_settings
from dit_studio.errors import ConfigError, DiskFullError, ProcessLostError, StudioError


@pytest.mark.parametrize(("count", "size"), [(7, 2), (8, 2), (5, 5), (64, 6), (2, 3)])
def test_shares_are_those_of_array_split(count: int, size: int) -> None:
    parts = [np.arange(count)[World(rank=rank, size=size).share(count)] for rank in range(size)]
    assert [part.tolist() for part in parts] == [part.tolist() for part in np.array_split(np.arange(count), size)]


@pytest.mark.parametrize("in_latents", [False, True])
def test_the_shares_of_a_step_are_the_step(*, in_latents: bool) -> None:
    generator = np.random.default_rng(0)
    images = ImageSet(
        images=generator.integers(0, 256, (11, 3, 4, 4), dtype=np.uint8), labels=np.arange(11) % 3,
        class_names=("a", "b", "c"), fingerprint="", problems=(), path="",
    )  # fmt: skip
    moments = generator.normal(size=(11, 2, 2, 4, 2, 2)).astype(np.float32)
    latents = Latents(moments, LatentSpace(vae="v")) if in_latents else None
    batches = Batches(images, np.arange(11), batch_size=7, seed=3, flip=True, latents=latents)
    whole, labels = batches.at(5)
    shares = [batches.at(5, World(rank=rank, size=3).share(7)) for rank in range(3)]
    assert torch.equal(torch.cat([part for part, _ in shares]), whole)
    assert all(torch.equal(part_labels, labels) for _, part_labels in shares)


# ------------------------------------------------------------------------------------------------- devices


def test_each_process_takes_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)

    def taken(name: str, local_size: int) -> list[str]:
        return [
            str(devices.pick_device_of_rank(name, local_rank=rank, local_size=local_size)) for rank in range(local_size)
        ]

    assert taken("auto", 3) == ["cuda:0", "cuda:1", "cuda:2"]
    assert taken("cuda:3,cuda:1", 2) == ["cuda:3", "cuda:1"]
    assert taken("cuda:2", 1) == ["cuda:2"]
    assert taken("cpu", 3) == ["cpu", "cpu", "cpu"]
    with pytest.raises(ConfigError, match=r"8 processes were started .* has 4 of the kind cuda: start 4 .*node=4"):
        taken("auto", 8)
    with pytest.raises(ConfigError, match=r'3 processes .* train.device = "cpu,cpu" names 2: start 2'):
        taken("cpu,cpu", 3)
    with pytest.raises(ConfigError, match="cuda:7 is not here; this machine has cuda:0, cuda:1, cuda:2, cuda:3"):
        taken("cuda:0,cuda:7", 2)


def test_more_processes_than_images_in_a_batch() -> None:
    recipe = parse_recipe({"train": {"batch_size": 2}})
    with pytest.raises(ConfigError, match=r"train.batch_size = 2 is not possible with 3 processes.* batch of 3, or"):
        check_settings(recipe, World(size=3))


# ------------------------------------------------------------------------------------------------- coming together


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("rank", "sentence"),
    [(0, "1 of 3 processes came to 127.0.0.1:{port} within 2 s."),
     (1, "This process, 2 of 3, did not reach the meeting place 127.0.0.1:{port} within 2 s.")],
)  # fmt: skip
def test_a_rendezvous_that_never_completes_ends(
    rank: int, sentence: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    values = {"RANK": rank, "WORLD_SIZE": 3, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, LIMIT_VARIABLE: 2}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    started = time.monotonic()
    with pytest.raises(StudioError) as caught:
        join("cpu")
    assert caught.value.message == sentence.format(port=port)
    assert caught.value.remedy
    assert 2 <= time.monotonic() - started < 3.5, "the limit itself, not twice"
    assert "frame #" not in capfd.readouterr().err


def test_alone_there_is_no_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    world = join("cpu")
    assert (world.rank, world.size, world.is_main, world.control) == (0, 1, True, None)
    assert world.broadcast("word") == "word"
    assert world.gather(3) == [3]


# ------------------------------------------------------------------------------------------------- agreement


def seen_by(monkeypatch: pytest.MonkeyPatch, words: list[object], rank: int) -> World:
    """One of two processes, which hears these words."""
    monkeypatch.setattr(World, "gather", lambda _self, _word: words)
    return replace(World(rank=rank, size=2), hosts=("alpha", "beta"))


def test_the_odd_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world = seen_by(monkeypatch, [{"data set": "12"}, {"data set": "34"}], 0)
    with pytest.raises(StudioError, match="Process 2 of 2 on beta has another data set than process 1 on alpha"):
        check_images("12", world)


def test_all_processes_end_with_the_sentence_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    error = DiskFullError("There is no room.", remedy="Free some.")
    world = seen_by(monkeypatch, [distributed._Said.of(error), None], 1)
    with pytest.raises(DiskFullError, match=r"Process 1 of 2 on alpha: There is no room. Free some."):
        world.agree(None)
    world = seen_by(monkeypatch, [None, distributed._Said.of(KeyError("x"))], 0)
    with pytest.raises(ProcessLostError, match="Process 2 of 2 on beta: KeyError: 'x'"), world.together():
        pass
