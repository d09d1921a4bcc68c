"""Sampling, against diffusers' schedulers run plainly, and the promises about seeds."""

import itertools
import math

import msgspec
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from msgspec.structs import replace

from dit_studio.class_names import imagenet_names
from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.guidance import guided_output
from dit_studio.engine.model import DiT
from dit_studio.engine.sample_files import choose_classes
from dit_studio.engine.sampling import (
    Frame,
    Samples,
    sample,
    to_uint8,
)
from dit_studio.engine.solvers import spaced_timesteps
from dit_studio.errors import ConfigError
from dit_studio.model_settings import DiffusionConfig
from dit_studio.sample_request import SampleRequest

CONFIG = ModelDescription(
    input_size=8, patch_size=2, in_channels=3, hidden_size=32, depth=2, num_heads=4, mlp_ratio=4.0,
    class_dropout_prob=0.1, num_classes=3, learn_sigma=True, diffusion=DiffusionConfig(),
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> DiT:
    torch.manual_seed(0)
    model = CONFIG.build().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return model


def images_of(model: DiT, request: SampleRequest) -> torch.Tensor:
    return torch.cat([done.images for done in sample(model, CONFIG, request) if isinstance(done, Samples)])


def test_timesteps_are_the_published_ones() -> None:
    assert spaced_timesteps("ddim", steps=50, timesteps=1000) == list(range(980, -1, -20))
    full = spaced_timesteps("ddpm", steps=250, timesteps=1000)
    assert full[0] == 999
    assert full[-1] == 0
    assert full == [round(i * 999 / 249) for i in range(250)][::-1]
    assert spaced_timesteps("ddim", steps=30, timesteps=1000)[0] == 999
    assert spaced_timesteps("ddpm", steps=1, timesteps=1000) == [999]


@pytest.mark.parametrize("steps", [10, 50])
def test_ddim_equals_diffusers_on_the_whole_chain(model: DiT, steps: int) -> None:
    """diffusers' own leading spacing with guidance, image by image; the first noise is what diffusers would draw."""
    request = SampleRequest(classes=(1, 2), count=2, seed=7, steps=steps, cfg=3.0)
    scheduler = DDIMScheduler(1000, beta_start=1e-4, beta_end=0.02, clip_sample=True, set_alpha_to_one=True)
    scheduler.set_timesteps(steps)
    for k, label in enumerate((1, 2)):
        x = torch.randn((1, 3, 8, 8), generator=torch.Generator().manual_seed(7 + k))
        for t in scheduler.timesteps:
            with torch.no_grad():
                y = torch.tensor([label, 3])
                conditional, unconditional = model(torch.cat([x, x]), t.expand(2), y)[:, :3].chunk(2)
            epsilon = unconditional + 3.0 * (conditional - unconditional)
            x = scheduler.step(epsilon, t, x, use_clipped_model_output=True).prev_sample
        difference = images_of(model, request)[k].int() - to_uint8(x)[0].int()
        assert difference.abs().max() <= 1


def test_full_ddpm_with_learned_variance_equals_diffusers(model: DiT) -> None:
    config = with_timesteps(CONFIG, 20)
    request = SampleRequest(classes=(0,), count=1, seed=3, sampler="ddpm", steps=20)
    (done,) = [done for done in sample(model, config, request) if isinstance(done, Samples)]
    scheduler = DDPMScheduler(
        20, beta_start=0.005, beta_end=0.5, variance_type="learned_range", clip_sample=True, prediction_type="epsilon"
    )
    generator = torch.Generator().manual_seed(3)
    x = torch.randn((1, 3, 8, 8), generator=generator)
    for t in range(19, -1, -1):
        with torch.no_grad():
            output = model(x, torch.tensor([int(t)]), torch.tensor([0]))
        x = scheduler.step(output, int(t), x, generator=generator).prev_sample
    assert (done.images[0].int() - to_uint8(x)[0].int()).abs().max() <= 1


def test_respaced_ddpm_with_learned_variance_equals_a_loop_of_the_equations(model: DiT) -> None:
    """250 of 1000 steps, written down from Ho et al. (7) and Nichol & Dhariwal (15) in float64, without diffusers."""
    request = SampleRequest(classes=(2,), seed=3, sampler="ddpm", steps=250)
    taken = [round(i * 999 / 249) for i in range(250)]
    alphas = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[taken]  # ᾱ
    before = np.append(1.0, alphas[:-1])
    betas = 1 - alphas / before
    posterior = betas * (1 - before) / (1 - alphas)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn((1, 3, 8, 8), generator=generator).double()
    for i in range(249, -1, -1):
        with torch.no_grad():
            output = model(x.float(), torch.tensor([taken[i]]), torch.tensor([2])).double()
        noise, fraction = output[:, :3], (output[:, 3:] + 1) / 2
        x_start = ((x - math.sqrt(1 - alphas[i]) * noise) / math.sqrt(alphas[i])).clamp(-1, 1)
        mean = math.sqrt(before[i]) * betas[i] / (1 - alphas[i]) * x_start
        mean = mean + math.sqrt(1 - betas[i]) * (1 - before[i]) / (1 - alphas[i]) * x
        if i > 0:
            deviation = (0.5 * (fraction * math.log(betas[i]) + (1 - fraction) * math.log(posterior[i]))).exp()
            mean = mean + deviation * torch.randn((1, 3, 8, 8), generator=generator)
        x = mean
    assert (images_of(model, request)[0].int() - to_uint8(x)[0].int()).abs().max() <= 1


def with_timesteps(config: ModelDescription, timesteps: int) -> ModelDescription:

    diffusion = DiffusionConfig(timesteps=timesteps, beta_start=0.0001, beta_end=0.01)
    return msgspec.structs.replace(config, diffusion=diffusion)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_an_image_is_the_same_alone_and_in_any_batch(model: DiT, sampler: str) -> None:
    request = SampleRequest(classes=(0, 1, 2), count=7, seed=11, sampler=sampler, steps=10, cfg=2.0)
    together = images_of(model, request)
    in_twos = images_of(model, replace(request, batch_size=2))
    alone = images_of(model, replace(request, classes=(2,), count=1, seed=16))
    assert together.shape == (7, 3, 8, 8)
    assert (together.int() - in_twos.int()).abs().max() <= 1
    assert (together[5].int() - alone[0].int()).abs().max() <= 1
    assert (together[0].int() - together[3].int()).abs().max() > 1  # the same class, another seed


def test_the_process_wide_generator_is_left_alone(model: DiT) -> None:
    before = torch.get_rng_state()
    images_of(model, SampleRequest(count=1, sampler="ddpm", steps=5))
    assert torch.equal(torch.get_rng_state(), before)


def test_frames_tell_where_they_are(model: DiT) -> None:
    drawn = list(sample(model, CONFIG, SampleRequest(classes=(1,), count=2, steps=4)))
    frames = [frame for frame in drawn if isinstance(frame, Frame)]
    assert [frame.t for frame in frames] == [750, 500, 250, 0]
    assert [frame.step for frame in frames] == [1, 2, 3, 4]
    assert all(a.sigma > b.sigma and a.log_snr < b.log_snr for a, b in itertools.pairwise(frames))
    assert frames[0].x_start.shape == frames[0].x_t.shape == (2, 3, 8, 8)
    last = drawn[-1]
    assert isinstance(last, Samples)
    assert last.labels == (1, 1)
    assert last.seeds == (0, 1)


def test_guidance_follows_its_formula_and_spares_passes(model: DiT) -> None:
    x, t, y = torch.randn(2, 3, 8, 8), torch.tensor([100, 900]), torch.tensor([0, 2])
    calls = []

    def count(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
        calls.append(len(inputs[0]))

    handle = model.register_forward_pre_hook(count)
    with torch.no_grad():
        conditional, unconditional = model(x, t, y), model(x, t, torch.tensor([3, 3]))
        for cfg in (0.0, 1.0, 4.0):
            guided = guided_output(model, x, t, y, scale=cfg).guided
            expected = unconditional + cfg * (conditional - unconditional)
            torch.testing.assert_close(guided[:, :3], expected[:, :3], rtol=1e-4, atol=1e-5)
    handle.remove()
    assert calls == [2, 2, 2, 2, 4]


def test_pixels_are_rounded_as_published() -> None:
    values = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0, 100 / 127.5 - 1]).reshape(1, 1, 1, 6)
    assert to_uint8(values).flatten().tolist() == [0, 0, 128, 255, 255, 100]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"steps": 0}, "from 1 to 1000"), ({"steps": 100_000}, "from 1 to 1000"), ({"cfg": -1.0}, "from 0 to 100"),
     ({"cfg": float("nan")}, "from 0 to 100"), ({"classes": (3,)}, "from 0 to 2"),
     ({"sampler": "eulr"}, 'Did you mean "euler"'),
     ({"count": 0}, "from 1 to"), ({"batch_size": 0}, "from 1 to"), ({"seed": -1}, "from 0 to"),
     ({"classes": ()}, "from 0 to 2"), ({"eta": 0.5, "sampler": "ddpm"}, "has no η"), ({"eta": 2.0}, "from 0 to 1"),
     ({"sampler": "flow-euler"}, "predicts epsilon takes one of ddim, ddpm"),
     ({"cfg_from": 500, "cfg_to": 400}, "swap the two")],
)  # fmt: skip
def test_impossible_requests_are_named(model: DiT, change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        next(iter(sample(model, CONFIG, replace(SampleRequest(), **change))))


def test_a_model_without_a_null_class_offers_no_guidance() -> None:

    config = msgspec.structs.replace(CONFIG, class_dropout_prob=0.0)
    with pytest.raises(ConfigError, match="without a null class"):
        next(iter(sample(config.build(), config, SampleRequest(cfg=2.0))))


def test_classes_are_chosen_by_number_or_by_name() -> None:
    config = msgspec.structs.replace(CONFIG, class_names=("1", "2", "sea"))
    assert choose_classes("", config) == (0, 1, 2)
    assert choose_classes("0, 1,sea", config) == (0, 1, 2)
    with pytest.raises(ConfigError, match="Did you mean sea"):
        choose_classes("see", config)
    for count, words in ((3, "classes without names: the numbers from 0 to 2"), (1, "no classes but number 0")):
        nameless = msgspec.structs.replace(CONFIG, class_names=(), num_classes=count)
        with pytest.raises(ConfigError, match=f'no class "sea". It has {words}'):
            choose_classes("sea", nameless)


def test_imagenets_classes_are_known_by_their_other_names() -> None:
    config = msgspec.structs.replace(CONFIG, class_names=imagenet_names(), num_classes=1000)
    assert choose_classes("golden retriever,red panda,999,toilet paper", config) == (207, 387, 999, 999)
    with pytest.raises(ConfigError, match=r'no class "crane"\. Did you mean crane \(bird\) or crane \(machine\)\?'):
        choose_classes("crane", config)
    with pytest.raises(ConfigError, match=r"It has tench, goldfish, .* and 990 more\."):
        choose_classes("xyzzyxyzzy", config)
