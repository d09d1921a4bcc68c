"""Every sampler against diffusers' own scheduler, run plainly over the whole noise schedule with its own spacing."""

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from dit_studio.engine import sampling
from dit_studio.engine.checkpoint import LatentSpace, ModelDescription
from dit_studio.engine.diffusion import make_betas
from dit_studio.engine.guidance import Guided, guided_output
from dit_studio.engine.model import DiT
from dit_studio.engine.sampling import Frame, Samples, StartPoint
from dit_studio.engine.solvers import SOLVERS, NoiseSchedule, samplers_for, spaced_timesteps
from dit_studio.errors import ConfigError, DeviceMemoryError, NotFiniteError
from dit_studio.events import Notice
from dit_studio.model_settings import DiffusionConfig
from dit_studio.sample_request import Sampler, SampleRequest

SHAPE = (4, 8, 8)  # latents, which nobody clips
SCHEDULE: dict[str, Any] = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02}
CONFIG = ModelDescription(
    input_size=8, patch_size=2, in_channels=4, hidden_size=32, depth=1, num_heads=4, mlp_ratio=2.0,
    class_dropout_prob=0.1, num_classes=3, learn_sigma=False, diffusion=DiffusionConfig(),
    latents=LatentSpace(vae="none"),
)  # fmt: skip
PLAIN = {
    "dpm++": (DPMSolverMultistepScheduler, {}),
    "unipc": (UniPCMultistepScheduler, {}),
    "euler": (EulerDiscreteScheduler, {}),
    "heun": (HeunDiscreteScheduler, {}),
    "ddim": (DDIMScheduler, {"clip_sample": False}),
    "ddpm": (DDPMScheduler, {"clip_sample": False, "timestep_spacing": "linspace"}),
}


class Undecoded:
    """Stands where a VAE would."""

    is_tiled = False

    def __call__(self, latents: torch.Tensor) -> torch.Tensor:
        return latents


def sample(
    model: DiT, config: ModelDescription, request: SampleRequest, **options: Any
) -> Iterator[Frame | Samples | Notice]:
    decoder: Any = Undecoded() if config.latents else None
    return sampling.sample(model, config, request, decoder=decoder, **options)


def build(config: ModelDescription) -> DiT:
    torch.manual_seed(0)
    model = config.build().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return model


def frames_of(model: DiT, config: ModelDescription, request: SampleRequest, **options: Any) -> list[Frame]:
    return [done for done in sample(model, config, request, **options) if isinstance(done, Frame)]


def plainly(
    model: DiT, sampler: str, *, steps: int, seed: int, objective: str = "epsilon", schedule: dict[str, Any] = SCHEDULE
) -> list[torch.Tensor]:
    """Every x that diffusers asks the model about, as the model sees it."""
    make, options = PLAIN[sampler]
    prediction = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}[objective]
    scheduler = make(**schedule, **options, prediction_type=prediction)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(seed)
    x, seen = torch.randn((1, *SHAPE), generator=generator), []
    if sampler in ("euler", "heun"):
        x = x * (scheduler.sigmas.max() ** 2 + 1).sqrt()
    more = {"ddpm": {"generator": generator}, "ddim": {"generator": generator, "eta": 0.6}}.get(sampler, {})
    for t in scheduler.timesteps:
        shown = scheduler.scale_model_input(x, t)
        seen.append(shown)
        with torch.no_grad():
            output = model(shown, t.expand(1), torch.tensor([1]))
        x = scheduler.step(output, t, x, **more).prev_sample
    return [*(seen if sampler != "heun" else [seen[0], *seen[2::2]]), x]


@pytest.mark.parametrize("sampler", PLAIN)
@pytest.mark.parametrize("objective", ["epsilon", "x0", "v"])
def test_a_whole_chain_equals_diffusers_own(sampler: Sampler, objective: Any) -> None:
    config = msgspec.structs.replace(CONFIG, diffusion=DiffusionConfig(objective=objective))
    model = build(config)
    eta = 0.6 if sampler == "ddim" else 0.0
    request = SampleRequest(sampler=sampler, steps=10, classes=(1,), seed=4, eta=eta)
    drawn = list(sample(model, config, request))
    frames = [done for done in drawn if isinstance(done, Frame)]
    expected = plainly(model, sampler, steps=10, seed=4, objective=objective)
    for frame, x in zip(frames, expected[:-1], strict=True):
        torch.testing.assert_close(frame.x_t, x, rtol=2e-3, atol=2e-3)
    assert isinstance(drawn[-1], Samples)
    difference = drawn[-1].images.int() - sampling.to_uint8(expected[-1]).int()
    assert difference.abs().max() <= 1


@pytest.mark.parametrize("sampler", ["dpm++", "unipc", "euler", "heun"])
@pytest.mark.parametrize(
    ("name", "timesteps", "steps"),
    [("linear", 1000, 2), ("linear", 1000, 4), *(("cosine", 1000, steps) for steps in (2, 4, 10, 28)),
     ("linear", 10, 4)],
)  # fmt: skip
def test_few_steps_from_almost_pure_noise_equal_diffusers_own(
    sampler: Sampler, name: Any, timesteps: int, steps: int
) -> None:
    """There x_t holds so little of the image that 1 - β of the steps is 0 in float32."""
    diffusion = DiffusionConfig(schedule=name, timesteps=timesteps)
    config = msgspec.structs.replace(CONFIG, diffusion=diffusion)
    model = build(config)
    betas = make_betas(name, timesteps=timesteps, beta_start=1e-4, beta_end=0.02)
    schedule: dict[str, Any] = {"num_train_timesteps": timesteps}
    schedule |= {"beta_schedule": "squaredcos_cap_v2"} if name == "cosine" else {"trained_betas": betas.tolist()}
    *frames, drawn = sample(model, config, SampleRequest(sampler=sampler, steps=steps, classes=(1,), seed=4))
    expected = plainly(model, sampler, steps=steps, seed=4, schedule=schedule)
    for frame, x in zip(frames, expected[:-1], strict=True):
        assert isinstance(frame, Frame)
        assert (frame.x_t - x).abs().mean() <= 2e-3 * x.abs().mean()  # one number of x_t may be rounded far off
    assert isinstance(drawn, Samples)
    assert (drawn.images.int() - sampling.to_uint8(expected[-1]).int()).abs().float().mean() <= 1


@pytest.mark.parametrize("sampler", ["ddim", "flow-euler", "heun"])
def test_an_image_that_is_not_finite_is_an_error(sampler: Sampler) -> None:
    objective: Any = "flow" if sampler == "flow-euler" else "epsilon"
    config = msgspec.structs.replace(CONFIG, diffusion=DiffusionConfig(objective=objective))
    model = build(config)
    with torch.no_grad():
        next(iter(model.final_layer.parameters()))[0] = float("nan")
    heard: list[object] = []
    with pytest.raises(NotFiniteError, match=r"step 1 of 5 \(t = \d+\): the model diverged") as raised:
        heard.extend(sample(model, config, SampleRequest(sampler=sampler, steps=5)))
    assert raised.value.remedy == "Choose an earlier checkpoint."
    assert heard == []


def test_a_single_step_of_ddim_begins_at_noise() -> None:
    model = build(CONFIG)
    assert spaced_timesteps("ddim", steps=1, timesteps=1000) == [999]
    assert spaced_timesteps("ddim", steps=2, timesteps=1000) == [500, 0]
    (frame, drawn) = sample(model, CONFIG, SampleRequest(sampler="ddim", steps=1, seed=4))
    assert isinstance(frame, Frame)
    assert isinstance(drawn, Samples)
    assert torch.equal(drawn.images, sampling.to_uint8(frame.x_start))


def test_flow_equals_diffusers_own() -> None:
    config = msgspec.structs.replace(CONFIG, diffusion=DiffusionConfig(objective="flow"))
    model, steps = build(config), 8
    drawn = list(sample(model, config, SampleRequest(sampler="flow-euler", steps=steps, classes=(2,), seed=9)))
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=[1 - i / steps for i in range(steps)])
    x = torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(9))
    for t, frame in zip(scheduler.timesteps, drawn[:-1], strict=True):
        assert isinstance(frame, Frame)
        assert frame.t == pytest.approx(float(t))
        torch.testing.assert_close(frame.x_t, x, rtol=1e-4, atol=1e-4)
        with torch.no_grad():
            x = scheduler.step(model(x, t.expand(1), torch.tensor([2])), t, x).prev_sample
    assert isinstance(drawn[-1], Samples)
    assert (drawn[-1].images.int() - sampling.to_uint8(x).int()).abs().max() <= 1
    assert samplers_for("flow") == ("flow-euler",)


def test_few_steps_are_uniform_in_t() -> None:
    for make, name in ((DPMSolverMultistepScheduler, "dpm++"), (UniPCMultistepScheduler, "unipc")):
        for steps in (1, 5, 10, 20, 333):
            scheduler = make(**SCHEDULE)
            scheduler.set_timesteps(steps)
            assert spaced_timesteps(name, steps=steps, timesteps=1000) == scheduler.timesteps.tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize("sampler", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 37, 99, 100])
def test_any_number_of_steps_ends_in_an_image(sampler: Sampler, steps: int) -> None:
    objective: Any = "flow" if sampler == "flow-euler" else "epsilon"
    config = msgspec.structs.replace(
        CONFIG,
        in_channels=3,
        latents=None,
        diffusion=DiffusionConfig(timesteps=100, objective=objective, schedule="cosine"),
    )
    chain = spaced_timesteps(sampler, steps=steps, timesteps=100)
    assert len(chain) == steps
    assert all(a > b for a, b in itertools.pairwise(chain))
    *frames, done = sample(build(config), config, SampleRequest(sampler=sampler, steps=steps, cfg=2.0))
    assert isinstance(done, Samples)
    for frame in frames:
        assert isinstance(frame, Frame)
        assert frame.x_t.isfinite().all()
        assert frame.x_start.abs().max() <= 1


@pytest.mark.parametrize("sampler", SOLVERS)
def test_images_are_the_same_in_a_batch_and_alone(sampler: Sampler) -> None:
    objective: Any = "flow" if sampler == "flow-euler" else "epsilon"
    config = msgspec.structs.replace(
        CONFIG, in_channels=3, latents=None, diffusion=DiffusionConfig(objective=objective)
    )
    model = build(config)
    request = SampleRequest(sampler=sampler, steps=6, count=64, classes=(0, 1), seed=2, cfg=1.5)
    *_, together = sample(model, config, request)
    alone = msgspec.structs.replace(request, count=1, seed=2 + 41, classes=(1,))
    *_, single = sample(model, config, alone)
    assert isinstance(together, Samples)
    assert isinstance(single, Samples)
    assert (together.images[41].int() - single.images[0].int()).abs().max() <= 1


@pytest.mark.parametrize("sampler", ["dpm++", "unipc"])
def test_multistep_branches_begin_afresh_and_end_near(sampler: Sampler) -> None:
    model, request = build(CONFIG), SampleRequest(sampler=sampler, steps=20, classes=(1,), seed=3)
    frames = frames_of(model, CONFIG, request)
    start = StartPoint(x_t=frames[12].x_t[0], t=frames[12].t, draws=13)
    branch = frames_of(model, CONFIG, request, start=start)
    assert [frame.t for frame in branch] == [frame.t for frame in frames[12:]]
    torch.testing.assert_close(branch[0].x_start, frames[12].x_start)
    torch.testing.assert_close(branch[-1].x_start, frames[-1].x_start, rtol=0.05, atol=0.05)


def test_a_flow_branches_too() -> None:
    config = msgspec.structs.replace(CONFIG, diffusion=DiffusionConfig(objective="flow"))
    model, request = build(config), SampleRequest(sampler="flow-euler", steps=12, seed=3)
    frames = frames_of(model, config, request)
    branch = frames_of(model, config, request, start=StartPoint(x_t=frames[5].x_t[0], t=frames[5].t))
    torch.testing.assert_close(branch[-1].x_start, frames[-1].x_start)


@pytest.mark.parametrize(
    ("start", "sentence"),
    [(StartPoint(x_t=torch.zeros(3, 8, 8), t=5), "3×8×8"), (StartPoint(x_t=torch.zeros(SHAPE), t=1000), "0 to 999"),
     (StartPoint(x_t=torch.zeros(SHAPE), t=0.5), "0 to 999"),
     (StartPoint(x_t=torch.zeros(SHAPE), t=500, log_snr=3.0), "the same schedule")],
)  # fmt: skip
def test_impossible_starts_are_named(start: StartPoint, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        next(sample(CONFIG.build(), CONFIG, SampleRequest(), start=start))


def test_levels_are_finite_everywhere() -> None:
    for config in (DiffusionConfig(schedule="cosine"), DiffusionConfig(objective="flow"), DiffusionConfig()):
        schedule = NoiseSchedule(config)
        table = schedule.log_snr_table()
        assert all(a > b for a, b in itertools.pairwise(table))
        assert len(table) == 1000 + (config.objective == "flow")
        assert all(0 < schedule.at(t).sigma < 1e16 for t in range(len(table)))


# ------------------------------------------------------------------------------------------------- guidance


def test_guidance_of_three_channels_leaves_the_fourth() -> None:
    model, x = build(CONFIG), torch.randn(2, *SHAPE)
    t, y = torch.tensor([100.0, 900.0]), torch.tensor([0, 2])
    with torch.no_grad():
        guided, conditional, unconditional = guided_output(model, x, t, y, scale=4.0, channels=3)
        alone = model(x, t, y)
    assert conditional is not None
    assert unconditional is not None
    torch.testing.assert_close(conditional, alone)
    torch.testing.assert_close(guided[:, 3:], alone[:, 3:])
    torch.testing.assert_close(guided[:, :3], (unconditional + 4 * (conditional - unconditional))[:, :3])


def test_outside_its_interval_guidance_costs_nothing() -> None:
    model, sizes = build(CONFIG), []
    handle = model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    request = SampleRequest(steps=10, cfg=3.0, cfg_from=300, cfg_to=600)
    frames = frames_of(model, CONFIG, request)
    handle.remove()
    assert sizes == [2 if 300 <= frame.t <= 600 else 1 for frame in frames]
    for frame in frames:
        assert (frame.conditional is not None) == (300 <= frame.t <= 600)
    plain = frames_of(model, CONFIG, SampleRequest(steps=10))
    torch.testing.assert_close(frames[3].x_t, plain[3].x_t)
    assert not torch.equal(frames[-1].x_t, plain[-1].x_t)


# ------------------------------------------------------------------------------------------------- memory


def test_a_batch_that_does_not_fit_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model has memory for three images; with guidance each counts twice."""

    def cramped(model: DiT, x: torch.Tensor, *rest: torch.Tensor, **options: Any) -> Guided:
        if len(x) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return guided_output(model, x, *rest, **options)

    model, request = build(CONFIG), SampleRequest(steps=3, count=8, cfg=2.0, classes=(0, 1, 2))
    *_, whole = sample(model, CONFIG, request)
    monkeypatch.setattr(sampling, "guided_output", cramped)
    drawn = list(sample(model, CONFIG, request))
    notices = [done.message for done in drawn if isinstance(done, Notice)]
    assert [notice.partition(" images")[0] for notice in notices] == ["A batch of 8", "A batch of 4"]
    batches = [done for done in drawn if isinstance(done, Samples)]
    assert [(batch.first_image, len(batch.images)) for batch in batches] == [(0, 2), (2, 2), (4, 2), (6, 2)]
    assert isinstance(whole, Samples)
    assert (torch.cat([batch.images for batch in batches]).int() - whole.images.int()).abs().max() <= 1


def test_a_batch_that_is_halved_is_named_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def cramped(model: DiT, x: torch.Tensor, *rest: torch.Tensor, **options: Any) -> Guided:
        if len(x) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return guided_output(model, x, *rest, **options)

    monkeypatch.setattr(sampling, "guided_output", cramped)
    drawn = sample(build(CONFIG), CONFIG, SampleRequest(steps=2, count=10))
    notices = [done.message for done in drawn if isinstance(done, Notice)]
    assert [notice.partition(" images")[0] for notice in notices] == ["A batch of 10", "A batch of 5"]
    assert [notice.rpartition("with ")[2] for notice in notices] == ["5 at a time.", "2 at a time."]


def test_where_not_even_one_image_fits_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Guided:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(sampling, "guided_output", full)
    with pytest.raises(DeviceMemoryError, match="Not even one image"):
        list(sample(build(CONFIG), CONFIG, SampleRequest(count=2)))
