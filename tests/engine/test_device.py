"""Which device and number format is chosen, on machines that are simulated, and what is said when memory runs out."""

import weakref
from pathlib import Path

import pytest
import torch

from dit_studio.engine import device as devices
from dit_studio.engine.device import Precision, naming_memory_errors, pick_device, pick_devices, pick_precision
from dit_studio.errors import ConfigError, DeviceMemoryError

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> object:
    """Pretend that CUDA and MPS are there or not, and bfloat16 on each."""

    def pretend(*, cuda: bool = False, mps: bool = False, cuda_bf16: bool = True, cpu_flags: str = "fpu") -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: cuda_bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        reading = Path.read_text

        def read_text(self: Path, *args: object, **kwargs: object) -> str:
            if str(self) == "/proc/cpuinfo":
                return f"model name\t: Test CPU 9000\nflags\t: {cpu_flags}\n"
            return reading(self, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(Path, "read_text", read_text)

    return pretend


def test_cuda_comes_before_mps_and_mps_before_the_cpu(machine) -> None:  # type: ignore[no-untyped-def]
    machine(cuda=True, mps=True)
    assert pick_device() == CUDA
    machine(mps=True)
    assert pick_device() == MPS
    machine()
    assert pick_device() == CPU
    assert pick_device("cpu") == CPU


def test_a_device_that_is_not_there_is_named(machine) -> None:  # type: ignore[no-untyped-def]
    machine(mps=True)
    for name in ("cuda", "cuda:1", "gpu", ""):
        with pytest.raises(ConfigError, match="it takes one of auto, mps, cpu"):
            pick_device(name)


def test_several_devices_are_taken_in_the_order_of_their_names(machine, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    machine(cuda=True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.here() == ["cuda:0", "cuda:1", "cpu"]
    assert pick_devices("auto") == (CUDA,)
    assert pick_devices("cuda:1, cuda:0") == (torch.device("cuda:1"), torch.device("cuda:0"))
    assert pick_device("cuda:1,cuda:0") == torch.device("cuda:1")
    assert pick_devices("cpu,cpu,cpu") == (CPU, CPU, CPU)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cuda:0,cuda:2", "cuda:2 is not here; this machine has cuda:0, cuda:1, cpu; name only these, or auto."),
        ("cuda,cuda:0", "two of these names are of one device; name each once."),
        ("cuda:0,cuda:0", "cuda:0 is named twice"),
        ("cuda:0,cpu", "cpu and cuda cannot train together"),
        ("auto,auto", "auto is one device"),
        ("cuda:7", "it takes one of auto, cuda:0, cuda:1, cpu."),
        (" , ", "it takes one of auto, cuda:0, cuda:1, cpu."),
    ],
)
def test_devices_that_cannot_be_taken_get_a_sentence(machine, monkeypatch, name: str, reason: str) -> None:  # type: ignore[no-untyped-def]
    machine(cuda=True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=f'^train.device = "{name}" is not ') as raised:
        pick_devices(name)
    assert reason in str(raised.value)


def test_the_setting_at_fault_is_named_as_the_caller_calls_it(machine) -> None:  # type: ignore[no-untyped-def]
    machine()
    for pick, field in (
        (lambda: pick_device("mps"), "train.device"),
        (lambda: pick_device("mps", setting="device"), "device"),
        (lambda: pick_precision(CPU, "fp16"), "train.precision"),
        (lambda: pick_precision(CPU, "fp16", setting="precision"), "precision"),
        (lambda: pick_precision(CPU, "fp8", setting="precision"), "precision"),
    ):
        with pytest.raises(ConfigError, match=rf"^{field} = ") as raised:
            pick()
        assert [problem.field for problem in raised.value.problems] == [field]


def test_the_number_format_suits_the_device(machine) -> None:  # type: ignore[no-untyped-def]
    machine(cuda=True)
    assert pick_precision(CUDA).name == "bf16"
    machine(cuda=True, cuda_bf16=False)
    assert pick_precision(CUDA) == Precision("fp16")
    assert pick_precision(CUDA).needs_scaler
    machine(mps=True)
    assert pick_precision(MPS).name == "fp32"
    for flags in ("fpu avx512_bf16", "amx_bf16 fpu", "asimd bf16 i8mm"):
        machine(cpu_flags=flags)
        assert pick_precision(CPU).name == "bf16"
    machine(cpu_flags="fpu avx2 avx512f")
    assert pick_precision(CPU).name == "fp32"
    assert pick_precision(CPU, "bf16").name == "bf16"  # whoever asks for it gets it
    with pytest.raises(ConfigError, match="not possible on a CPU"):
        pick_precision(CPU, "fp16")


def test_the_cpu_is_named_as_people_know_it(machine) -> None:  # type: ignore[no-untyped-def]
    machine()
    assert devices.describe(CPU) == "Test CPU 9000"


def test_autocast_uses_the_format_and_float32_uses_none() -> None:
    a = torch.randn(4, 4)
    with Precision("bf16").autocast(CPU):
        assert (a @ a).dtype == torch.bfloat16
    with Precision("fp32").autocast(CPU):
        assert (a @ a).dtype == torch.float32


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), MemoryError(),
     RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
     RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")],
)  # fmt: skip
def test_every_back_ends_memory_error_becomes_one_sentence(error: BaseException) -> None:
    with pytest.raises(DeviceMemoryError, match="Training does not fit into the memory of") as raised, \
         naming_memory_errors(CPU, batch_size=64):  # fmt: skip
        raise error
    assert raised.value.numbers["batch_size"] == 64
    assert raised.value.numbers["total_bytes"] > 0


def test_the_step_that_failed_keeps_no_tensor_alive() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    def step() -> None:
        activations = torch.zeros(1000)
        alive.append(weakref.ref(activations))
        raise MemoryError

    with pytest.raises(DeviceMemoryError) as raised, naming_memory_errors(CPU):
        step()
    assert raised.value.numbers
    assert alive[0]() is None


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes do not match"), naming_memory_errors(CPU):
        raise RuntimeError("shapes do not match")


def test_plain_attention_is_only_for_the_cpu_in_bfloat16() -> None:
    q = torch.empty(8, 6, 256, 64, dtype=torch.bfloat16)
    assert devices.prefers_plain_attention(q)
    assert not devices.prefers_plain_attention(q.float())
    assert not devices.prefers_plain_attention(q.to("meta"))
    assert not devices.prefers_plain_attention(torch.empty(64, 16, 1024, 1, dtype=torch.bfloat16))


def test_memory_figures_make_sense() -> None:
    assert 0 < devices.memory_used(CPU) < devices.memory_total(CPU)
    assert 0 < devices.memory_free(CPU) <= devices.memory_total(CPU)
